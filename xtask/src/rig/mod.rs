//! What the verbs that kill share: a memtrace that runs, the memory cgroups in which victims live,
//! and an end on Ctrl-C that leaves nobody behind.

pub(crate) mod group;
pub(crate) mod memtrace;

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::Result;
use group::Group;
use tokio::signal::unix::{SignalKind, signal};

/// A program that is a member of a group from its first moment on, and that Ctrl-C does not reach.
pub(crate) fn member(group: &Group, program: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "echo $$ > \"$0\" && exec \"$@\""])
        .arg(group.procs())
        .arg(program)
        .args(args)
        .process_group(0);
    command
}

/// What Ctrl-C and SIGTERM do instead of ending the verb at once.
pub(crate) fn on_interrupt(then: impl FnOnce() + Send + 'static) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let (mut interrupt, mut terminate) = runtime.block_on(async {
        Ok::<_, std::io::Error>((
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        ))
    })?;
    thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        eprintln!("interrupted: ending what runs");
        then();
    });
    Ok(())
}
