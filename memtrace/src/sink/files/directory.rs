//! The directory of the logs. Others may be able to write in it, and they know our files' names
//! beforehand: the time of a process' start and its pid are no secret. So every file is made new,
//! below the directory as it was opened once, and nothing that is there is opened or followed but
//! what was made so.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use rustix::{
    fd::{AsFd as _, OwnedFd},
    fs::{AtFlags, Mode, OFlags, ResolveFlags, fchown, openat, openat2, unlinkat},
    io::Errno,
    process::{Gid, Uid},
};

/// Who reads the logs: their owner, and his group if the directory lets it in.
const FILE: u32 = 0o640;
/// A directory that we make: names of programs and of checkpoints are nobody else's business.
const DIRECTORY: u32 = 0o700;
/// Names that are tried for one file.
const MOST_NAMES: u32 = 100;

/// Where files are made.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// Whom it is given to where we make it.
    owner: Option<(u32, u32)>,
    /// Absent until it could be opened, and once it was removed.
    open: Option<OwnedFd>,
}

impl Directory {
    /// Touches nothing yet. The second is the user and group that a new directory is for, if not
    /// ourselves.
    pub fn at(path: PathBuf, owner: Option<(u32, u32)>) -> Self {
        Self {
            path,
            owner,
            open: None,
        }
    }

    /// Its path as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes it if it is not there. Its own path is the user's, who may have links in it.
    pub fn make(&self) -> io::Result<()> {
        if self.path.is_dir() {
            return Ok(());
        }
        if let Some(parent) = self.path.parent() {
            fs::create_dir_all(parent)?;
        }
        DirBuilder::new().mode(DIRECTORY).create(&self.path)?;
        let Some((user, group)) = self.owner else {
            return Ok(());
        };
        let made = open(&self.path, OPEN | OFlags::NOFOLLOW | OFlags::RDONLY)?;
        let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
        Ok(fchown(made, Some(user), Some(group))?)
    }

    /// Tries to write in it.
    pub fn try_out(&mut self) -> io::Result<()> {
        let (name, mut file) = self.create(&format!(".memtrace-{}", std::process::id()))?;
        let written = file.write_all(b"memtrace\n");
        unlinkat(self.opened()?, &*name, AtFlags::empty())?;
        written
    }

    /// Opens a file that [`Self::create`] made; an error if another is in its place.
    pub(super) fn append(&mut self, name: &str, identity: Identity) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NONBLOCK;
        let file: File = open_in(self.opened()?, name, flags, Mode::empty())?.into();
        if Identity::of(&file)? != identity {
            return Err(io::Error::other("another file has been put in its place"));
        }
        Ok(file)
    }

    /// Creates a file of this name; where it is taken, of one with a number behind it, which is
    /// told.
    pub(super) fn create(&mut self, name: &str) -> io::Result<(String, File)> {
        let mut candidate = name.to_owned();
        let (mut number, mut is_reopened) = (2, false);
        loop {
            match create_in(self.opened()?, &candidate) {
                Err(Errno::EXIST) if number < MOST_NAMES => {
                    candidate = numbered(name, number);
                    number += 1;
                }
                // It was removed; there may be another in its place.
                Err(Errno::NOENT) if !is_reopened => {
                    self.open = None;
                    is_reopened = true;
                }
                result => return Ok((candidate, result?.into())),
            }
        }
    }

    fn opened(&mut self) -> io::Result<&OwnedFd> {
        let open = if let Some(open) = self.open.take() {
            open
        } else {
            self.make()?;
            open(&self.path, OPEN | OFlags::PATH)?
        };
        Ok(self.open.insert(open))
    }
}

const OPEN: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

fn open(path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, flags, Mode::empty())
}

/// `log_7.log` → `log_7_2.log`
fn numbered(name: &str, number: u32) -> String {
    match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() => format!("{stem}_{number}.{ending}"),
        _ => format!("{name}_{number}"),
    }
}

/// Who a file is, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    /// Where the file system knows it: a number is soon given to another file.
    created: Option<SystemTime>,
}

impl Identity {
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            created: metadata.created().ok(),
        })
    }
}

fn create_in(directory: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL;
    open_in(directory, name, flags, Mode::from_raw_mode(FILE))
}

/// A name is one component, and `openat2` sees to that; where there is none (before 5.6, or a
/// container's seccomp filter), we do.
fn open_in(directory: &OwnedFd, name: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match openat2(directory.as_fd(), name, flags, mode, beneath) {
        Err(Errno::NOSYS | Errno::PERM) if !name.contains('/') => {
            openat(directory.as_fd(), name, flags, mode)
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use super::{Directory, FILE, numbered};

    #[test]
    fn what_was_planted_is_neither_followed_nor_opened_and_nothing_is_made_elsewhere() {
        let place = std::env::temp_dir().join(format!("memtrace-directory-{}", std::process::id()));
        let mut directory = Directory::at(place.join("logs"), None);
        directory.try_out().expect("it can be made and written");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        let mode = fs::metadata(directory.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o700);
        symlink(place.join("outside"), directory.path().join("a.log")).unwrap();
        fs::write(directory.path().join("a_2.log"), "theirs").unwrap();
        let (_, file) = directory.create("a.log").expect("another name is free");
        assert_eq!(
            file.metadata().unwrap().permissions().mode() & 0o777 & !FILE,
            0
        );
        assert!(directory.path().join("a_3.log").is_file());
        assert!(directory.create("../b.log").is_err());
        assert!(!place.join("outside").exists() && !place.join("b.log").exists());
        // Who removes it loses what was there, not what comes later.
        fs::remove_dir_all(directory.path()).unwrap();
        assert!(directory.create("c.log").is_ok());
        assert!(directory.path().join("c.log").is_file());
        fs::remove_dir_all(place).unwrap();
    }

    #[test]
    fn a_number_goes_before_the_ending() {
        assert_eq!(numbered("a.b_7.log", 2), "a.b_7_2.log");
        assert_eq!(numbered(".memtrace-7", 3), ".memtrace-7_3");
    }
}
