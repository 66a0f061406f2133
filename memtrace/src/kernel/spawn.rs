//! Starts the command of `run`, in its cgroup from its first instruction.

use std::{
    ffi::{CString, OsString},
    fs::File,
    io,
    os::{fd::AsRawFd as _, unix::process::CommandExt as _},
    path::Path,
    process::{Child, Command},
    sync::mpsc::{Sender, channel},
    thread,
};

/// A thread that waits, with all the rights that we were started with, to start a command with them.
#[derive(Debug)]
pub struct Starter(Sender<Work>);

type Work = Box<dyn FnOnce() + Send>;

impl Starter {
    /// Starts it. Where it is dropped, it ends and has done nothing.
    pub fn begin() -> io::Result<Self> {
        let (sender, work) = channel::<Work>();
        let thread = thread::Builder::new().name("starter".to_owned());
        thread.spawn(move || work.recv().map_or((), |work| work()))?;
        Ok(Self(sender))
    }

    /// Has it do this, its last.
    pub fn finish<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (reply, answer) = channel();
        let work = move || drop(reply.send(work()));
        self.0.send(Box::new(work)).ok()?;
        answer.recv().ok()
    }
}

/// What a command starts with, beside what it inherits.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// The file that moves it into its cgroup before it becomes the command.
    pub procs: Option<&'a Path>,
    /// Its `oom_score_adj`: ours is not for it.
    pub oom_score_adj: &'a str,
}

/// Starts a command.
pub fn spawn(command: &[OsString], start: Start<'_>) -> io::Result<Child> {
    let (program, args) = command
        .split_first()
        .ok_or_else(|| io::Error::other("no command was given"))?;
    let mut builder = Command::new(program);
    builder.args(args);
    let procs = start
        .procs
        .map(|path| File::options().write(true).open(path))
        .transpose()?;
    let procs_fd = procs.as_ref().map(File::as_raw_fd);
    let score = CString::new(start.oom_score_adj).map_err(io::Error::other)?;
    // SAFETY: between fork and exec only open(2), write(2) and close(2) are called, which are
    // async-signal-safe, on memory and a descriptor that live until spawn has returned.
    unsafe {
        builder.pre_exec(move || {
            if let Some(fd) = procs_fd {
                // "0" is whoever writes.
                if libc::write(fd, c"0".as_ptr().cast(), 1) != 1 {
                    return Err(io::Error::last_os_error());
                }
            }
            let own = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY);
            if own >= 0 {
                let bytes = score.as_bytes();
                // Raising it is allowed to everybody, and it was lowered only if that was.
                libc::write(own, bytes.as_ptr().cast(), bytes.len());
                libc::close(own);
            }
            Ok(())
        });
    }
    builder.spawn()
}

/// Sends a signal to a child that has not been waited for.
pub fn signal(child: &Child, signal: i32) {
    let Ok(pid) = i32::try_from(child.id()) else {
        return;
    };
    // SAFETY: kill takes no pointers; the child is ours and not reaped, so its pid is not reused.
    unsafe {
        libc::kill(pid, signal);
    }
}
