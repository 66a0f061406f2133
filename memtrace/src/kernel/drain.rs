//! Empties the rings, on a thread of its own that goes before others: two hundred busy processes
//! must not keep the one that listens from its cpu, and decoding takes longer than copying.
//!
//! A record becomes visible when its probe submits it, and the rings are read one after the other.
//! So a pass vouches only for what is older than its beginning.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use aya::maps::{MapData, RingBuf};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::load::Rings;
use crate::{clock, units::BootNanos};

/// A probe takes its time a moment before its record is visible.
const SETTLE_NS: u64 = 2_000_000;
/// Bytes that are taken from one ring in one pass.
const BUDGET: usize = 1 << 20;
/// Bytes that may wait to be decoded. Beyond that the rings are left to fill, and the kernel side
/// counts what they have no room for.
const MOST: usize = 64 << 20;
/// Rings ask to be read. This is for one that was read up to a record which was still being
/// written: who wrote it found a reader that had not caught up.
const IDLE: Duration = Duration::from_secs(1);
/// Between two passes.
const BREATH: Duration = Duration::from_millis(1);
/// Between two passes while records come: each waking costs the one who is traced.
const GATHER: Duration = Duration::from_millis(4);
/// Passes after one that brought something, for what is younger than a pass vouches for.
const PASSES_AFTER: u32 = 3;
/// The same after a life's record: a kill waits for what others saw of it.
const PASSES_AFTER_LIFE: u32 = 10;

/// What one pass over the rings brought.
#[derive(Debug, Default)]
pub struct Batch {
    /// Records, each behind its length in four bytes.
    bytes: Vec<u8>,
    /// Everything older than this has come, with this batch or before.
    pub settled: BootNanos,
}

impl Batch {
    /// The records.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.bytes[..];
        std::iter::from_fn(move || {
            let (length, behind) = rest.split_first_chunk()?;
            let length = usize::try_from(u32::from_ne_bytes(*length)).ok()?;
            let (record, behind) = behind.split_at_checked(length)?;
            rest = behind;
            Some(record)
        })
    }
}

#[derive(Debug, Default)]
struct Shared {
    waiting: AtomicUsize,
    stop: AtomicBool,
}

/// The thread's address.
#[derive(Debug)]
pub struct Drain {
    batches: UnboundedReceiver<Batch>,
    shared: Arc<Shared>,
    wake: OwnedFd,
    thread: Option<JoinHandle<()>>,
}

impl Drain {
    /// Starts the thread.
    pub fn start(rings: Rings) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let (sender, batches) = unbounded_channel();
        let work = Work {
            rings,
            shared: Arc::clone(&shared),
            wake: wake.try_clone()?,
            sender,
            last: [0; 4],
        };
        let thread = thread::Builder::new()
            .name("drain".to_owned())
            .spawn(move || work.until_stopped())?;
        Ok(Self {
            batches,
            shared,
            wake,
            thread: Some(thread),
        })
    }

    /// Waits for the next batch.
    pub async fn next(&mut self) -> Option<Batch> {
        let batch = self.batches.recv().await?;
        self.shared
            .waiting
            .fetch_sub(batch.bytes.len(), Ordering::Relaxed);
        Some(batch)
    }

    /// The next batch if there is one.
    pub fn try_next(&mut self) -> Option<Batch> {
        let batch = self.batches.try_recv().ok()?;
        self.shared
            .waiting
            .fetch_sub(batch.bytes.len(), Ordering::Relaxed);
        Some(batch)
    }

    /// Has the thread read the rings a last time, and waits for it to end.
    pub fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            // It does not panic; if it did, what it had sent is still there.
            let _ = thread.join();
        }
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What the thread works with.
struct Work {
    rings: Rings,
    shared: Arc<Shared>,
    wake: OwnedFd,
    sender: UnboundedSender<Batch>,
    /// The time of the last record of each ring.
    last: [u64; 4],
}

impl Work {
    fn until_stopped(mut self) {
        super::memory::go_first();
        let mut passes_left: u32 = 0;
        let mut slept = false;
        loop {
            let stopping = self.shared.stop.load(Ordering::Relaxed);
            let life_before = self.last[0];
            let (batch, more) = self.pass();
            let came = !batch.bytes.is_empty();
            // That nothing has come for long is worth telling, too: a census waits for it.
            let telling = came || passes_left > 0 || slept;
            slept = false;
            // Nobody listens any more: then there is nothing left to do.
            let heard = !telling || self.sender.send(batch).is_ok();
            if !heard || (stopping && !more) {
                return;
            }
            passes_left = if self.last[0] != life_before {
                PASSES_AFTER_LIFE
            } else if came {
                passes_left.max(PASSES_AFTER) - 1
            } else {
                passes_left.saturating_sub(1)
            };
            if !more {
                // Whoever goes before others lets them go on, too: above all a probe that was
                // interrupted while it wrote, whose ring asks to be read all the time.
                thread::sleep(BREATH);
                if passes_left > 0 {
                    self.gather();
                } else {
                    self.sleep();
                    slept = true;
                }
            }
            while self.shared.waiting.load(Ordering::Relaxed) > MOST && !stopping {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Takes what is in the rings; true if there may be more.
    fn pass(&mut self) -> (Batch, bool) {
        let mut until = clock::now().0;
        let mut batch = Batch::default();
        let mut more = false;
        let Rings {
            rss,
            life,
            mark,
            stack,
        } = &mut self.rings;
        for (ring, last) in [life, mark, rss, stack].into_iter().zip(&mut self.last) {
            more |= take(ring, &mut batch.bytes, last);
            // A probe that was interrupted while it wrote holds up those behind it. What is left
            // in a ring is younger than what was last taken from it.
            if is_readable(ring) {
                until = until.min(*last);
            }
        }
        batch.settled = BootNanos(until.saturating_sub(SETTLE_NS));
        self.shared
            .waiting
            .fetch_add(batch.bytes.len(), Ordering::Relaxed);
        (batch, more)
    }

    /// Until any ring asks to be read.
    fn sleep(&self) {
        let Rings {
            rss,
            life,
            mark,
            stack,
        } = &self.rings;
        let [rss, life, mark, stack] = [rss, life, mark, stack].map(|ring| ring.as_fd());
        wait_for([rss, life, mark, stack, self.wake.as_fd()], IDLE);
    }

    /// A moment, in which checkpoints and RSS steps may come together; a life is not kept waiting.
    fn gather(&self) {
        wait_for([self.rings.life.as_fd(), self.wake.as_fd()], GATHER);
    }
}

fn wait_for<const N: usize>(readable: [BorrowedFd<'_>; N], most: Duration) {
    let mut fds = readable.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    let most = Timespec::try_from(most).ok();
    // An interrupted sleep is a short one.
    let _ = poll(&mut fds, most.as_ref());
}

/// Takes records up to the budget and notes the time of the last one; true if there may be more.
fn take(ring: &mut RingBuf<MapData>, bytes: &mut Vec<u8>, last: &mut u64) -> bool {
    let start = bytes.len();
    while let Some(record) = ring.next() {
        let length = u32::try_from(record.len()).unwrap_or(0);
        bytes.extend_from_slice(&length.to_ne_bytes());
        bytes.extend_from_slice(&record);
        *last = time_of(&record).unwrap_or(*last);
        if bytes.len() - start > BUDGET {
            return true;
        }
    }
    false
}

/// There is something in the ring, be it only half written.
fn is_readable(ring: &RingBuf<MapData>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(ring.as_fd(), PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// The time in a record's header.
fn time_of(record: &[u8]) -> Option<u64> {
    let at = record.get(8..)?.first_chunk()?;
    Some(u64::from_ne_bytes(*at))
}
