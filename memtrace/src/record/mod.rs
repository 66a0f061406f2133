//! The recording: one entry per line as JSON, the first line of each life a
//! [`Begin`](crate::entry::Begin) with the version of the writer. It stores facts, so that the
//! report can be made again, and better, from the same file.
#![forbid(unsafe_code)]

pub mod read;
pub mod write;

#[cfg(test)]
mod tests;
