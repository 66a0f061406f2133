//! The rings as one stream of events in the order of time.

use super::{
    drain::{Batch, Drain},
    load::Rings,
};
use crate::{
    decode::Decoder,
    event::{Event, Task},
    loss::{self, Ledger},
    units::BootNanos,
};

/// Gives out the events of the rings.
pub struct Source {
    drain: Drain,
    decoder: Decoder,
    waiting: Vec<Event>,
    settled: BootNanos,
    /// What could not be decoded.
    pub lost: Ledger,
}

impl Source {
    /// Reads these rings.
    pub fn start(rings: Rings, decoder: Decoder) -> std::io::Result<Self> {
        Ok(Self {
            drain: Drain::start(rings)?,
            decoder,
            waiting: Vec::new(),
            settled: BootNanos(0),
            lost: Ledger::default(),
        })
    }

    /// Waits until something has come.
    pub async fn arrived(&mut self) {
        if let Some(batch) = self.drain.next().await {
            self.take(&batch);
        }
    }

    fn take(&mut self, batch: &Batch) {
        for record in batch.records() {
            match self.decoder.event(record) {
                Ok(event) => self.waiting.push(event),
                Err(_) => self.lost.add(loss::Kind::BadRecord, 1),
            }
        }
        self.settled = self.settled.max(batch.settled);
    }

    /// Something is too young to be given out.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Everything older than this has been given out by the last read.
    pub fn settled(&self) -> BootNanos {
        self.settled
    }

    /// Gives out, in order, what is old enough.
    pub fn read(&mut self, out: &mut Vec<Event>) {
        // Stable: records of one instant keep the order of their ring.
        self.waiting.sort_by_key(|event| event.at);
        let ready = self
            .waiting
            .partition_point(|event| event.at <= self.settled);
        out.extend(self.waiting.drain(..ready));
    }

    /// Gives out everything that has arrived, at the end.
    pub fn read_all(&mut self, out: &mut Vec<Event>) {
        self.drain.stop();
        while let Some(batch) = self.drain.try_next() {
            self.take(&batch);
        }
        self.settled = BootNanos(u64::MAX);
        self.read(out);
    }

    /// The records of a census.
    pub fn tasks(&mut self, records: &[u8]) -> Vec<Task> {
        let size = size_of::<memtrace_ebpf::wire::Task>();
        let mut tasks = Vec::with_capacity(records.len() / size);
        for record in records.chunks(size) {
            match self.decoder.task(record) {
                Ok((_, task)) => tasks.push(task),
                Err(_) => self.lost.add(loss::Kind::BadRecord, 1),
            }
        }
        tasks
    }
}
