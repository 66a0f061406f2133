//! The CPython in a process: the file it is mapped from, where its runtime is, what it is like.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use super::{
    procfs,
    symbols::{
        SymbolError,
        python::{Interpreter, interpreter_in, published_in, words},
    },
};
use crate::python::{
    layout::{Layout, Unknown, Version},
    walk::{Memory, Runtime},
};

/// A process' memory, read while it runs (`process_vm_readv`): what is not resident is brought in.
#[derive(Debug, Clone, Copy)]
pub struct Remote {
    pid: i32,
}

impl Remote {
    /// Of this process.
    pub fn of(pid: u32) -> Option<Self> {
        Some(Self {
            pid: i32::try_from(pid).ok()?,
        })
    }

    /// Whether we may read it, and it is there.
    fn try_out(self, at: u64) -> io::Result<()> {
        self.read_some(at, &mut [0]).map(drop)
    }

    fn read_some(self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let local = libc::iovec {
            iov_base: into.as_mut_ptr().cast(),
            iov_len: into.len(),
        };
        let remote = libc::iovec {
            iov_base: at as *mut libc::c_void,
            iov_len: into.len(),
        };
        // SAFETY: the kernel writes to `into` no more than its length; the other address is another
        // process', and the kernel checks it.
        let read = unsafe {
            libc::process_vm_readv(self.pid, &raw const local, 1, &raw const remote, 1, 0)
        };
        usize::try_from(read).map_err(|_| io::Error::last_os_error())
    }
}

impl Memory for Remote {
    fn read(&self, at: u64, into: &mut [u8]) -> bool {
        into.is_empty()
            || self
                .read_some(at, into)
                .is_ok_and(|read| read == into.len())
    }
}

/// A CPython that was found in a process.
#[derive(Debug, Clone)]
pub struct Found {
    /// The file that it is mapped from, as the process sees it.
    pub path: PathBuf,
    /// Where to walk from.
    pub runtime: Runtime,
}

/// Why there are no stacks of a process.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It runs no Python that we know the marks of.
    #[error("no CPython in it: no file that it maps defines _PyRuntime and PyCode_Type")]
    None,
    /// The interpreter's structs are not known.
    #[error("{}: {why}", path.display())]
    Unknown {
        /// The interpreter.
        path: PathBuf,
        /// Why.
        why: Unknown,
    },
    /// Nothing tells which version it is.
    #[error("{}: which version of CPython it is cannot be told", .0.display())]
    NoVersion(PathBuf),
    /// A file could not be searched.
    #[error("{}: {why}", path.display())]
    File {
        /// It.
        path: PathBuf,
        /// Why.
        why: SymbolError,
    },
    /// Its memory cannot be read.
    #[error("its memory cannot be read: {0}; it needs CAP_SYS_PTRACE, or to be the same user's")]
    Memory(io::Error),
}

/// Looks for the CPython of a process: in files called `python…` or `libpython…`, else in all that it
/// runs code from.
pub fn find(pid: u32) -> Result<Found, Error> {
    let mut failed = None;
    for (base, file) in candidates(pid).map_err(Error::Memory)? {
        let searched = file
            .open()
            .map_err(SymbolError::Io)
            .and_then(|(_, open)| interpreter_in(open));
        match searched {
            Ok(Some(elf)) => return in_process(pid, base, elf, &file.path),
            Err(why) if is_python(&file.path) => {
                failed.get_or_insert(Error::File {
                    path: file.path,
                    why,
                });
            }
            Ok(None) | Err(_) => {}
        }
    }
    Err(failed.unwrap_or(Error::None))
}

/// What a process maps from its beginning, and where: first what is called Python, then the rest in
/// the order of their addresses.
pub(super) fn candidates(pid: u32) -> io::Result<Vec<(u64, procfs::Mapped)>> {
    let mut mapped = procfs::mapped_from_start(pid)?;
    mapped.sort_by_key(|(_, file)| !is_python(&file.path));
    Ok(mapped)
}

/// What the Python in a file is like, as far as the file itself tells.
pub fn layout_in(file: &File, path: &Path) -> Option<Layout> {
    let elf = interpreter_in(file).ok()??;
    let version = of_name(path)?;
    if !version.publishes() {
        return Layout::of(version).ok();
    }
    let words = published_in(file, elf.runtime)?;
    Layout::published(&words).ok()
}

/// The libraries that an interpreter which is about to be run may bring: those that were installed
/// with it.
pub fn libraries_of(executable: &Path) -> Vec<PathBuf> {
    let prefix = executable.parent().and_then(Path::parent);
    let Some(prefix) = prefix.filter(|_| is_python(executable)) else {
        return Vec::new();
    };
    let Ok(entries) = std::fs::read_dir(prefix.join("lib")) else {
        return Vec::new();
    };
    let is_library = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libpython") && name.contains(".so.")
    };
    let paths = entries.flatten().map(|entry| entry.path());
    paths.filter(is_library).collect()
}

/// `python3.11`, `libpython3.9.so.1.0`
pub(super) fn is_python(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("python") || name.starts_with("libpython")
}

/// The interpreter of a file that a process maps at `base`.
pub(super) fn in_process(
    pid: u32,
    base: u64,
    elf: Interpreter,
    path: &Path,
) -> Result<Found, Error> {
    let remote = Remote::of(pid).ok_or(Error::None)?;
    let bias = base.wrapping_sub(elf.begin);
    let at = |address: u64| address.wrapping_add(bias);
    let address = at(elf.runtime);
    remote.try_out(address).map_err(Error::Memory)?;
    let layout = layout(remote, address, elf.version.map(at), path)?;
    Ok(Found {
        path: path.to_owned(),
        runtime: Runtime {
            address,
            code_type: at(elf.code_type),
            layout,
        },
    })
}

fn layout(
    remote: Remote,
    runtime: u64,
    version: Option<u64>,
    path: &Path,
) -> Result<Layout, Error> {
    let mut hex = [0; 4];
    let told = version
        .filter(|at| remote.read(*at, &mut hex))
        .map(|_| Version::of_hex(u32::from_le_bytes(hex)));
    let version = told
        .or_else(|| of_name(path))
        .ok_or_else(|| Error::NoVersion(path.to_owned()))?;
    let unknown = |why| Error::Unknown {
        path: path.to_owned(),
        why,
    };
    if !version.publishes() {
        return Layout::of(version).map_err(unknown);
    }
    let mut bytes = [0; 8 * Layout::PUBLISHED_WORDS];
    if !remote.read(runtime, &mut bytes) {
        return Err(unknown(Unknown::Published(version)));
    }
    Layout::published(&words(&bytes)).map_err(unknown)
}

/// Before 3.11 nothing in it says: `python3.9`, `libpython3.8.so.1.0`, `libpython3.7m.so.1.0`.
fn of_name(path: &Path) -> Option<Version> {
    let name = path.file_name()?.to_str()?;
    let (_, rest) = name.split_once("python")?;
    let (major, rest) = rest.split_once('.')?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    Some(Version {
        major: major.parse().ok()?,
        minor: digits.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::of_name;
    use crate::python::layout::Version;

    #[test]
    fn a_version_is_read_from_a_name() {
        let minor = |name| of_name(Path::new(name)).map(|Version { minor, .. }| minor);
        assert_eq!(minor("/usr/bin/python3.9"), Some(9));
        assert_eq!(minor("/lib/libpython3.8.so.1.0"), Some(8));
        assert_eq!(minor("/lib/libpython3.7m.so.1.0"), Some(7));
        assert_eq!(minor("/usr/bin/python3"), None);
        assert_eq!(minor("/usr/bin/uwsgi"), None);
    }
}
