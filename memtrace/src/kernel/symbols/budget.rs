//! Bounds what is read of a file: a sparse one that says it has a gigabyte of symbols costs nothing
//! to make, and would cost whoever believes it a gigabyte.

use std::{cell::Cell, ops::Range};

use object::ReadRef;

/// Bytes that may be read and kept of one file. The symbols and sections of the largest programs
/// that are shipped, debug symbols included, take half of it.
const MOST: u64 = 256 << 20;
/// What a name costs beside its bytes where it is kept.
const NAME: u64 = 64;

/// What is left for one file.
#[derive(Debug)]
pub(in crate::kernel) struct Budget(Cell<u64>);

impl Default for Budget {
    fn default() -> Self {
        Self(Cell::new(MOST))
    }
}

impl Budget {
    /// Reads through it.
    pub(in crate::kernel) fn on<R>(&self, inner: R) -> Bounded<'_, R> {
        Bounded {
            inner,
            left: &self.0,
        }
    }

    /// Nothing more is read.
    pub(in crate::kernel) fn is_spent(&self) -> bool {
        self.0.get() == 0
    }
}

/// A file of which no more than the budget is read.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernel) struct Bounded<'b, R> {
    inner: R,
    left: &'b Cell<u64>,
}

impl<R> Bounded<'_, R> {
    /// Takes so much of the budget. Whoever asks for more than is there gets nothing any more.
    fn spend(self, bytes: u64) -> Result<(), ()> {
        let left = self.left.get().checked_sub(bytes);
        self.left.set(left.unwrap_or(0));
        left.map(drop).ok_or(())
    }
}

impl<'a, R: ReadRef<'a>> ReadRef<'a> for Bounded<'_, R> {
    fn len(self) -> Result<u64, ()> {
        self.inner.len()
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        // What lies outside the file is an error, and no reason to spend anything.
        if offset.checked_add(size).ok_or(())? > self.inner.len()? {
            return Err(());
        }
        self.spend(size)?;
        self.inner.read_bytes_at(offset, size)
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'a [u8], ()> {
        self.spend(NAME)?;
        let bytes = self.inner.read_bytes_at_until(range, delimiter)?;
        self.spend(bytes.len() as u64)?;
        Ok(bytes)
    }
}
