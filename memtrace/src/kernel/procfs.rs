//! What /proc tells of a process. Everything here may vanish while it is read.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
};

use procfs::process::{MMPermissions, MMapPath, Process};

use crate::{
    decode::arguments,
    entry::{Memory, Program},
    event::Task,
    units::{BootNanos, Bytes, Tgid},
};

/// Most bytes of a command line that are read.
const COMMAND_LINE: u64 = 512;

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

/// A file that a process maps to run code from it.
#[derive(Debug)]
pub struct Mapped {
    /// Device and inode: the identity of the file.
    pub id: (u64, u64),
    /// Its path as the process sees it.
    pub path: PathBuf,
    /// The file itself, open for reading.
    pub file: File,
}

/// Files that a process runs code from and that `known` does not know yet. What cannot be opened
/// or is not a regular file is given as an error with its path.
pub fn mapped_code(
    pid: u32,
    known: impl Fn((u64, u64)) -> bool,
) -> Vec<Result<Mapped, (PathBuf, io::Error)>> {
    let Ok(maps) = i32::try_from(pid)
        .map_err(io::Error::other)
        .and_then(|pid| {
            Process::new(pid)
                .and_then(|process| process.maps())
                .map_err(io::Error::other)
        })
    else {
        return Vec::new(); // gone
    };
    let mut seen = Vec::new();
    let mut found = Vec::new();
    for map in maps {
        let MMapPath::Path(path) = map.pathname else {
            continue;
        };
        let key = (map.dev, map.inode);
        if !map.perms.contains(MMPermissions::EXECUTE) || seen.contains(&key) {
            continue;
        }
        seen.push(key);
        let link = format!(
            "/proc/{pid}/map_files/{:x}-{:x}",
            map.address.0, map.address.1
        );
        match open(&link).or_else(|_| open(&format!("/proc/{pid}/root{}", path.display()))) {
            Ok((id, _)) if known(id) => {}
            Ok((id, file)) => found.push(Ok(Mapped { id, path, file })),
            // The process or its mapping went away meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => found.push(Err((path, error))),
        }
    }
    found
}

/// Opens a file that has to be a regular one; a FIFO or a device would block or do things.
pub fn open(path: &str) -> io::Result<((u64, u64), File)> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    Ok(((meta.dev(), meta.ino()), file))
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
