//! The programs and maps of an object by name, and what may be wrong with them.

use std::{collections::HashMap, io};

use aya::{
    Ebpf, EbpfError,
    maps::{Map, MapError},
    programs::{Program, ProgramError},
};

/// Why the probes could not be put in place.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The object as a whole.
    #[error("load the eBPF object")]
    Object(#[from] Box<EbpfError>),
    /// One program.
    #[error("{action} {name}")]
    Program {
        /// `load` or `attach`.
        action: &'static str,
        /// Which one.
        name: String,
        /// Why, with the verifier's log if it was that.
        source: Box<ProgramError>,
    },
    /// A map.
    #[error("map {name}")]
    Map {
        /// Which one.
        name: &'static str,
        /// Why.
        source: Box<MapError>,
    },
    /// The object is not the one that this program was built with.
    #[error("the eBPF object has no {0}")]
    NoSuch(&'static str),
}

impl LoadError {
    /// The kernel said that we may not.
    pub fn is_not_permitted(&self) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if let Some(io) = error.downcast_ref::<io::Error>() {
                return matches!(io.raw_os_error(), Some(libc::EPERM | libc::EACCES));
            }
            cause = error.source();
        }
        false
    }
}

pub(super) fn failed(action: &'static str, name: &str) -> impl FnOnce(ProgramError) -> LoadError {
    let name = name.to_owned();
    move |source| LoadError::Program {
        action,
        name,
        source: Box::new(source),
    }
}

/// Programs by name: all of an object's, or some of them, for a thread that loads them.
pub(super) trait Named {
    fn named(&mut self, name: &str) -> Option<&mut Program>;
}

impl Named for Ebpf {
    fn named(&mut self, name: &str) -> Option<&mut Program> {
        self.program_mut(name)
    }
}

pub(super) type Programs<'a> = HashMap<&'a str, &'a mut Program>;

impl Named for Programs<'_> {
    fn named(&mut self, name: &str) -> Option<&mut Program> {
        self.get_mut(name).map(|program| &mut **program)
    }
}

pub(super) fn program<'a, P>(
    programs: &'a mut impl Named,
    name: &'static str,
) -> Result<&'a mut P, LoadError>
where
    &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
{
    let found = programs.named(name).ok_or(LoadError::NoSuch(name))?;
    found.try_into().map_err(failed("use", name))
}

pub(super) fn take<M>(ebpf: &mut Ebpf, name: &'static str) -> Result<M, LoadError>
where
    M: TryFrom<Map, Error = MapError>,
{
    let map = ebpf.take_map(name).ok_or(LoadError::NoSuch(name))?;
    map.try_into().map_err(|source| LoadError::Map {
        name,
        source: Box::new(source),
    })
}
