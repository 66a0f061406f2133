//! What /proc tells of a process. Everything here may vanish while it is read.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::fd::{AsRawFd as _, OwnedFd},
    path::{Component, Path, PathBuf},
};

use procfs::process::{MMPermissions, MMapPath, MemoryMap, Process};
use rustix::{
    fs::{FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2},
    io::Errno,
};

use crate::{
    decode::arguments,
    entry::{Memory, Program},
    event::{Identity, Spot, Task},
    units::{BootNanos, Bytes, Tgid},
};

/// Most bytes of a command line that are read.
const COMMAND_LINE: u64 = 512;

/// Whether we ignore a signal: at the start, as whoever started us had it.
pub fn ignores(signal: i32) -> bool {
    let status = Process::myself().and_then(|process| process.status());
    status.is_ok_and(|status| status.sigign >> (signal - 1) & 1 == 1)
}

/// Name, executable and arguments of a process.
pub fn program(pid: u32, comm: &str) -> Program {
    let exe = fs::read_link(format!("/proc/{pid}/exe")).ok().map(|path| {
        path.to_string_lossy()
            .trim_end_matches(" (deleted)")
            .to_owned()
    });
    Program {
        comm: comm.to_owned(),
        exe,
        args: command_line(pid).unwrap_or_default(),
    }
}

fn command_line(pid: u32) -> io::Result<Vec<String>> {
    let mut bytes = Vec::new();
    File::open(format!("/proc/{pid}/cmdline"))?
        .take(COMMAND_LINE)
        .read_to_end(&mut bytes)?;
    Ok(arguments(&bytes))
}

/// Paths of the process' cgroups, one for each hierarchy, without repeats.
pub fn cgroups(pid: u32) -> Vec<String> {
    let mut paths: Vec<String> = hierarchies(pid).into_iter().map(|(_, path)| path).collect();
    paths.sort();
    paths.dedup();
    paths
}

/// Path of the memory cgroup from its hierarchy's root.
pub fn memory_cgroup(pid: u32) -> Option<String> {
    let hierarchies = hierarchies(pid);
    let of_memory =
        |(controllers, _): &&(String, String)| controllers.split(',').any(|name| name == "memory");
    let unified = |(controllers, _): &&(String, String)| controllers.is_empty();
    hierarchies
        .iter()
        .find(of_memory)
        .or_else(|| hierarchies.iter().find(unified))
        .map(|(_, path)| path.clone())
}

/// `(controllers, path)` of each hierarchy.
fn hierarchies(pid: u32) -> Vec<(String, String)> {
    fs::read_to_string(format!("/proc/{pid}/cgroup"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
        })
        .collect()
}

/// A file that a process maps to run code from it, as `/proc/PID/maps` has it: nothing of this asks
/// the file.
#[derive(Debug)]
pub struct Mapped {
    /// Major and minor number of its device.
    pub device: (i32, i32),
    /// Its inode.
    pub inode: u64,
    /// Its path as the process sees it.
    pub path: PathBuf,
    pid: u32,
    range: (u64, u64),
}

impl Mapped {
    /// Opens it by its mapping, which is this very file whatever its path leads to by now. Where that
    /// is not allowed, by its path, which had no links in it when the kernel wrote it, so that one in
    /// it now was put there since: it must not lead us out of the process' root.
    pub fn open(&self) -> io::Result<((u64, u64), File)> {
        regular(&self.find()?)
    }

    /// Which file it is, without opening it.
    pub fn identity(&self) -> io::Result<Identity> {
        Ok(identity_of(&fstat(self.find()?)?))
    }

    fn find(&self) -> Result<OwnedFd, Errno> {
        by_mapping(self.pid, self.range).or_else(|_| below_root(self.pid, &self.path))
    }
}

fn by_mapping(pid: u32, (start, end): (u64, u64)) -> Result<OwnedFd, Errno> {
    look_up(Path::new(&format!(
        "/proc/{pid}/map_files/{start:x}-{end:x}"
    )))
}

fn below_root(pid: u32, path: &Path) -> Result<OwnedFd, Errno> {
    let root = look_up(Path::new(&format!("/proc/{pid}/root")))?;
    beneath(root, path.strip_prefix("/").unwrap_or(path))
}

/// Opens a file that a process mapped, which may have ended since: by its mapping, below its root, or
/// below our own. It has to be that very file.
pub fn open_again(pid: u32, spot: &Spot) -> io::Result<File> {
    let path = Path::new(&*spot.file.path);
    let is_it = |found: &OwnedFd| {
        let stat = fstat(found).ok();
        stat.is_some() && stat.map(|stat| identity_of(&stat)) == spot.file.identity
    };
    let found = by_mapping(pid, spot.range)
        .ok()
        .filter(is_it)
        .or_else(|| below_root(pid, path).ok().filter(is_it))
        .or_else(|| below_root(std::process::id(), path).ok().filter(is_it));
    let found = found.ok_or(io::ErrorKind::NotFound)?;
    Ok(regular(&found)?.1)
}

/// Which file a path leads to.
#[cfg(test)]
pub(super) fn identity(path: &Path) -> io::Result<Identity> {
    Ok(identity_of(&fstat(look_up(path)?)?))
}

fn identity_of(stat: &Stat) -> Identity {
    Identity {
        device: stat.st_dev,
        inode: stat.st_ino,
        bytes: u64::try_from(stat.st_size).unwrap_or(0),
        modified: (stat.st_mtime, stat.st_mtime_nsec.cast_signed()),
    }
}

/// What a process runs code from.
#[derive(Debug, Default)]
pub struct MappedCode {
    /// Its files, each once.
    pub files: Vec<Mapped>,
    /// Where they are mapped.
    pub parts: Vec<MappedPart>,
}

/// A part of a file with code.
#[derive(Debug)]
pub struct MappedPart {
    /// Which of [`MappedCode::files`].
    pub file: usize,
    /// From and up to which address.
    pub range: (u64, u64),
    /// What of the file is at the first.
    pub offset: u64,
}

/// Files that a process runs code from.
pub fn mapped_code(pid: u32) -> MappedCode {
    let mut parts = Vec::new();
    let is_code = |map: &MemoryMap| map.perms.contains(MMPermissions::EXECUTE);
    let each = |map: &MemoryMap, file| {
        parts.push(MappedPart {
            file,
            range: map.address,
            offset: map.offset,
        });
    };
    // One that is gone runs none.
    let files = mapped(pid, is_code, each).unwrap_or_default();
    MappedCode { files, parts }
}

/// Files that a process maps from their beginning, and the address of that.
pub fn mapped_from_start(pid: u32) -> io::Result<Vec<(u64, Mapped)>> {
    let mapped = mapped(pid, |map| map.offset == 0, |_, _| ())?;
    Ok(mapped
        .into_iter()
        .map(|file| (file.range.0, file))
        .collect())
}

/// The first mapping of each file that is as wanted. `each` gets all of these mappings, and which of
/// the files they are of.
fn mapped(
    pid: u32,
    wanted: impl Fn(&MemoryMap) -> bool,
    mut each: impl FnMut(&MemoryMap, usize),
) -> io::Result<Vec<Mapped>> {
    let process = Process::new(i32::try_from(pid).map_err(io::Error::other)?);
    let maps = process.and_then(|process| process.maps());
    let mut found: Vec<Mapped> = Vec::new();
    for map in maps.map_err(io::Error::other)?.into_iter().filter(wanted) {
        let (device, inode) = (map.dev, map.inode);
        let MMapPath::Path(path) = &map.pathname else {
            continue;
        };
        let is_it = |file: &Mapped| (file.device, file.inode) == (device, inode);
        let known = found.iter().position(is_it);
        each(&map, known.unwrap_or(found.len()));
        if known.is_none() {
            found.push(Mapped {
                device,
                inode,
                path: path.clone(),
                pid,
                range: map.address,
            });
        }
    }
    Ok(found)
}

/// Opens a file that has to be a regular one, and gives its device and inode too.
pub fn open(path: &Path) -> io::Result<((u64, u64), File)> {
    regular(&look_up(path)?)
}

/// What a path leads to, without opening it.
fn look_up(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
}

/// Opens what was looked up. A FIFO would block, and some devices do things when they are opened.
fn regular(found: &OwnedFd) -> io::Result<((u64, u64), File)> {
    let stat = rustix::fs::fstat(found)?;
    if !FileType::from_raw_mode(stat.st_mode).is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let path = format!("/proc/self/fd/{}", found.as_raw_fd());
    // A lease on it would have us wait for its holder.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty())?;
    Ok(((stat.st_dev, stat.st_ino), file.into()))
}

/// What a path without links leads to below a directory. Before 5.6 there is no `openat2`, and some
/// containers' filters refuse it: then one step after the other.
fn beneath(root: OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match openat2(&root, path, flags, Mode::empty(), within) {
        Err(Errno::NOSYS | Errno::PERM) => step_by_step(root, path),
        result => result,
    }
}

/// A link is opened itself, and nothing is below it.
fn step_by_step(root: OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    path.components().try_fold(root, |below, part| match part {
        Component::Normal(name) => openat(&below, name, flags, Mode::empty()),
        _ => Err(Errno::XDEV),
    })
}

/// Every process and its memory as /proc has it, where the kernel has no iterator to offer. The
/// start is known to a clock tick only, and from before 6.16 the sizes are approximate.
pub fn tasks(page_bytes: u64) -> Vec<Task> {
    let Ok(all) = procfs::process::all_processes() else {
        return Vec::new();
    };
    all.filter_map(|process| task(&process.ok()?, page_bytes))
        .collect()
}

/// One process as /proc has it.
pub fn task(process: &Process, page_bytes: u64) -> Option<Task> {
    let stat = process.stat().ok()?;
    let status = process.status().ok()?;
    let kib = |value: Option<u64>| Bytes(value.unwrap_or(0) * 1024);
    let tick_ns = 1_000_000_000 / procfs::ticks_per_second();
    if status.vmsize.is_none() && stat.ppid == 2 {
        return None; // one of the kernel's
    }
    Some(Task {
        pid: Tgid(u32::try_from(stat.pid).ok()?),
        parent: Tgid(u32::try_from(stat.ppid).unwrap_or(0)),
        started: BootNanos(stat.starttime.saturating_mul(tick_ns)),
        uid: status.euid,
        comm: stat.comm,
        memory: Memory {
            anon: kib(status.rssanon),
            file: kib(status.rssfile),
            shmem: kib(status.rssshmem),
            swap: kib(status.vmswap),
            vms: Some(Bytes(stat.vsize / page_bytes * page_bytes)),
        },
        groups: Vec::new(),
    })
}

/// The process runs, and is not a zombie: it has an executable.
pub fn is_there(pid: u32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok()
}

/// The process that a thread belongs to.
pub fn leader(tid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("Tgid:")?.trim().parse().ok())
}

/// This id is a process', not a thread's.
pub fn is_leader(tid: u32) -> bool {
    leader(tid) == Some(tid)
}

/// `MemTotal` in bytes.
pub fn total_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// Our own program and where in it this very function begins: something to put a probe on.
pub fn own_code() -> Option<(File, u64)> {
    let here = own_code as fn() -> Option<(File, u64)> as usize as u64;
    let maps = Process::myself().and_then(|process| process.maps()).ok()?;
    let map = maps
        .into_iter()
        .find(|map| (map.address.0..map.address.1).contains(&here))?;
    let file = File::open("/proc/self/exe").ok()?;
    Some((file, here - map.address.0 + map.offset))
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::{fd::OwnedFd, unix::fs::symlink},
        path::Path,
    };

    use rustix::io::Errno;

    use super::{beneath, look_up, open, regular, step_by_step};

    type Way = fn(OwnedFd, &Path) -> Result<OwnedFd, Errno>;

    #[test]
    fn a_link_that_was_put_on_the_way_leads_nowhere() {
        let place = std::env::temp_dir().join(format!("memtrace-beneath-{}", std::process::id()));
        fs::create_dir_all(place.join("root/lib")).unwrap();
        fs::write(place.join("outside"), "secret").unwrap();
        fs::write(place.join("root/lib/x"), "").unwrap();
        symlink(&place, place.join("root/away")).unwrap();
        symlink(place.join("outside"), place.join("root/lib/y")).unwrap();
        for way in [beneath as Way, step_by_step] {
            let found = |path: &str| {
                let root = look_up(&place.join("root")).unwrap();
                regular(&way(root, Path::new(path))?)
            };
            assert!(found("lib/x").is_ok());
            for path in ["away/outside", "lib/y", "../outside", "lib/../../outside"] {
                assert!(found(path).is_err(), "{path}");
            }
        }
        assert!(open(&place.join("root/lib/x")).is_ok());
        assert!(open(&place).is_err() && open(Path::new("/dev/null")).is_err());
        fs::remove_dir_all(place).unwrap();
    }
}
