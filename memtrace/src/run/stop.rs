//! The signals that ask for the end.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that end memtrace.
pub(super) struct Stop {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    child: Signal,
}

impl Stop {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            child: signal(SignalKind::child())?,
        })
    }

    /// Waits for one of them; a child's end wakes the loop and is given as zero.
    pub(super) async fn any(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => libc::SIGINT,
            _ = self.terminate.recv() => libc::SIGTERM,
            _ = self.hangup.recv() => libc::SIGHUP,
            _ = self.child.recv() => 0,
        }
    }
}
