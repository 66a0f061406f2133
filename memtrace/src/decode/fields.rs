//! Reads the fields of a record one after the other, without `unsafe`: what is not there is an
//! error.

use bytes::{Buf as _, TryGetError};
use memtrace_ebpf::wire;

use super::{DecodeError, Result};
use crate::{
    entry::Memory,
    units::{BootNanos, Bytes, Tgid, Tid},
};

/// The fields of one record, in order.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    pub(super) tag: u32,
    page_bytes: u64,
}

impl<'a> Fields<'a> {
    /// The fields of a record behind its tag.
    pub(super) fn of(record: &'a [u8], page_bytes: u64) -> Result<Self> {
        let mut fields = Self {
            rest: record,
            tag: 0,
            page_bytes,
        };
        fields.tag = fields.u32()?;
        Ok(fields)
    }

    fn or_short<T>(&self, value: std::result::Result<T, TryGetError>) -> Result<T> {
        value.map_err(|_| DecodeError::Short { tag: self.tag })
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        let value = self.rest.try_get_u32_ne();
        self.or_short(value)
    }

    pub(super) fn i32(&mut self) -> Result<i32> {
        let value = self.rest.try_get_i32_ne();
        self.or_short(value)
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        let value = self.rest.try_get_u64_ne();
        self.or_short(value)
    }

    pub(super) fn i64(&mut self) -> Result<i64> {
        let value = self.rest.try_get_i64_ne();
        self.or_short(value)
    }

    pub(super) fn pid(&mut self) -> Result<Tgid> {
        self.u32().map(Tgid)
    }

    pub(super) fn tid(&mut self) -> Result<Tid> {
        self.u32().map(Tid)
    }

    /// When a process began, to the clock tick: with the pid its identity, and the same number
    /// that /proc/PID/stat has.
    pub(super) fn start(&mut self) -> Result<BootNanos> {
        const TICK_NS: u64 = 10_000_000;
        Ok(BootNanos(self.u64()? / TICK_NS * TICK_NS))
    }

    pub(super) fn time(&mut self) -> Result<BootNanos> {
        self.u64().map(BootNanos)
    }

    pub(super) fn pages(&mut self) -> Result<Bytes> {
        let pages = self.u64()?;
        Ok(Bytes(pages.saturating_mul(self.page_bytes)))
    }

    /// A limit in pages. "None" is a huge number that differs between kernels.
    pub(super) fn limit(&mut self) -> Result<Option<Bytes>> {
        const UNLIMITED: u64 = 1 << 58;
        let limit = self.pages()?;
        Ok((limit.0 < UNLIMITED).then_some(limit))
    }

    pub(super) fn memory(&mut self) -> Result<Memory> {
        let (file, anon, swap, shmem, vms) = (
            self.i64()?,
            self.i64()?,
            self.i64()?,
            self.i64()?,
            self.i64()?,
        );
        let bytes = |pages| Bytes::from_pages(pages, self.page_bytes);
        Ok(Memory {
            anon: bytes(anon),
            file: bytes(file),
            shmem: bytes(shmem),
            swap: bytes(swap),
            vms: Some(bytes(vms)),
        })
    }

    pub(super) fn bytes(&mut self, length: usize) -> Result<&'a [u8]> {
        let (found, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(DecodeError::Short { tag: self.tag })?;
        self.rest = rest;
        Ok(found)
    }

    /// A text of the length that the record states; negative: there is none.
    pub(super) fn sized(&mut self, length: i32) -> Result<Option<&'a [u8]>> {
        match usize::try_from(length) {
            Err(_) => Ok(None),
            Ok(length) if length < wire::TEXT_ROOM => self.bytes(length).map(Some),
            Ok(_) => Err(DecodeError::Length { tag: self.tag }),
        }
    }

    /// A fixed room with a NUL-ended text in it.
    pub(super) fn text(&mut self, room: usize) -> Result<String> {
        let bytes = self.bytes(room)?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(room);
        Ok(String::from_utf8_lossy(&bytes[..end]).into_owned())
    }

    pub(super) fn comm(&mut self) -> Result<String> {
        self.text(16)
    }
}

/// The text, without the half character that a cut may have left at its end. Bytes that are no
/// UTF-8 are replaced.
pub(super) fn without_half(bytes: &[u8]) -> String {
    let half = bytes
        .utf8_chunks()
        .last()
        .map_or(&[][..], |last| last.invalid());
    let is_half = std::str::from_utf8(half).is_err_and(|error| error.error_len().is_none());
    let kept = bytes.len() - if is_half { half.len() } else { 0 };
    String::from_utf8_lossy(&bytes[..kept]).into_owned()
}
