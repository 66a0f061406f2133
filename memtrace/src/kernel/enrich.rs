//! Completes events of classic tracepoints with what /proc has, a moment later.
//!
//! Their records say that something happened to a pid, and no more. What cannot be read any
//! longer stays as track last knew it.

use procfs::process::Process;

use super::procfs as host;
use crate::{
    entry::Memory,
    event::{Event, Kind},
    units::{BootNanos, Tgid},
};

/// Fills an event in; [`None`] if there is nothing left to tell. `known` is when a process began and
/// what memory it had, as far as that was known before.
pub fn complete(
    mut event: Event,
    page_bytes: u64,
    known: impl Fn(Tgid) -> Option<(BootNanos, Option<Memory>)>,
) -> Option<Event> {
    let look = |pid: Tgid| {
        Process::new(i32::try_from(pid.0).ok()?)
            .ok()
            .and_then(|p| host::task(&p, page_bytes))
            // One that is exiting has no memory to show any more: that is not known, not zero.
            .filter(|task| task.memory.vms.is_some_and(|vms| vms.0 > 0))
    };
    let memory = |pid: Tgid| look(pid).map(|task| task.memory).or_else(|| known(pid)?.1);
    let begun = |pid: Tgid| {
        look(pid)
            .map(|task| task.started)
            .or_else(|| Some(known(pid)?.0))
    };
    match &mut event.kind {
        Kind::Rss { pid, memory: rss } => *rss = look(*pid)?.memory,
        Kind::Fork(fork) => {
            // A thread has no entry of its own in the list of processes.
            let task = look(fork.child).filter(|_| host::is_leader(fork.child.0))?;
            fork.started = task.started;
            fork.comm = task.comm;
            fork.memory = task.memory;
        }
        Kind::Exec(exec) => {
            let task = look(exec.pid)?;
            let program = host::program(exec.pid.0, &task.comm);
            exec.started = task.started;
            exec.comm = task.comm;
            exec.filename = program.exe;
            exec.args = program.args;
            exec.memory = task.memory;
        }
        Kind::Mark(mark) => mark.memory = memory(mark.pid).unwrap_or_default(),
        Kind::Print(print) if print.may_end_a_line() => {
            print.memory = memory(print.pid).unwrap_or_default();
        }
        Kind::OomMark(mark) => {
            let task = look(mark.pid);
            mark.pid = host::leader(mark.tid.0).map_or(mark.pid, Tgid);
            mark.started = begun(mark.pid)?;
            mark.uid = task.as_ref().map_or(0, |task| task.uid);
            mark.comm = task.map(|task| task.comm).unwrap_or_default();
            mark.exact = memory(mark.pid).unwrap_or_default();
            mark.approximate = mark.exact;
        }
        Kind::Sigkill(kill) => {
            let task = look(kill.pid);
            kill.started = begun(kill.pid)?;
            kill.comm = task.map(|task| task.comm).unwrap_or_default();
            kill.memory = memory(kill.pid).unwrap_or_default();
        }
        Kind::Exit(exit) => exit.started = known(exit.pid)?.0,
        // There are no stacks without BTF.
        Kind::Rename(_)
        | Kind::Loaded { .. }
        | Kind::Print(_)
        | Kind::Stack(_)
        | Kind::Code(_)
        | Kind::Lines(_) => {}
    }
    Some(event)
}
