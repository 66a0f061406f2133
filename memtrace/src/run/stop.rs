//! The signals that ask for the end.

use std::future::pending;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::kernel::procfs;

/// The signals that end memtrace.
pub(super) struct Stop {
    interrupt: Signal,
    terminate: Signal,
    /// None where it was ignored when we were started: that is what `nohup` is for.
    hangup: Option<Signal>,
    child: Signal,
}

impl Stop {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: if procfs::ignores(libc::SIGHUP) {
                None
            } else {
                Some(signal(SignalKind::hangup())?)
            },
            child: signal(SignalKind::child())?,
        })
    }

    /// Waits for one of them; a child's end wakes the loop and is given as zero.
    pub(super) async fn any(&mut self) -> i32 {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => libc::SIGINT,
            _ = self.terminate.recv() => libc::SIGTERM,
            _ = hangup => libc::SIGHUP,
            _ = self.child.recv() => 0,
        }
    }
}
