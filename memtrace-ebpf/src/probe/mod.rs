//! The probes, one file for what they watch.

pub(crate) mod census;
pub(crate) mod code;
pub(crate) mod kill;
pub(crate) mod learn;
pub(crate) mod life;
pub(crate) mod marker;
pub(crate) mod plain;
pub(crate) mod printed;
pub(crate) mod python;
pub(crate) mod rss;
pub(crate) mod spare;
pub(crate) mod stack;
