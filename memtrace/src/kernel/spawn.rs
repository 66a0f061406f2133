//! Starts the command of `run`, in its cgroup from its first instruction.

use std::{
    ffi::OsString,
    fs::File,
    io,
    os::{fd::AsRawFd as _, unix::process::CommandExt as _},
    path::Path,
    process::{Child, Command},
};

/// Starts a command. With a group, it moves itself there before it becomes the command.
pub fn spawn(command: &[OsString], procs: Option<&Path>) -> io::Result<Child> {
    let (program, args) = command
        .split_first()
        .ok_or_else(|| io::Error::other("no command was given"))?;
    let mut builder = Command::new(program);
    builder.args(args);
    let procs = procs
        .map(|path| File::options().write(true).open(path))
        .transpose()?;
    if let Some(procs) = &procs {
        let fd = procs.as_raw_fd();
        // SAFETY: between fork and exec only write(2) is called, which is async-signal-safe, on a
        // descriptor that `procs` keeps open until spawn has returned.
        unsafe {
            builder.pre_exec(move || {
                // "0" is whoever writes.
                match libc::write(fd, c"0".as_ptr().cast(), 1) {
                    1 => Ok(()),
                    _ => Err(io::Error::last_os_error()),
                }
            });
        }
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
