//! Pieces of what programs print and write.

use memtrace_ebpf::wire::print;

use super::{DecodeError, Fields, Result};
use crate::{
    event::{Kind, Print, Rest, Stream},
    python::text,
};

pub(super) fn print(fields: &mut Fields<'_>, room: usize) -> Result<Kind> {
    let (pid, tid, stream) = (fields.pid()?, fields.tid()?, fields.u64()?);
    let (kind, width, size) = (fields.u32()?, fields.u32()?, fields.u64()?);
    let (copied, last, missed) = (fields.u32()?, fields.u32()?, fields.u64()?);
    let memory = fields.memory()?;
    let room = fields.bytes(room)?;
    let (text, rest) = if kind == print::NO_TEXT || copied == u32::MAX {
        (None, Rest::None)
    } else {
        let bytes = room.get(..copied as usize);
        let bytes = bytes.ok_or(DecodeError::Length { tag: fields.tag })?;
        let rest = if u64::from(copied) >= size {
            Rest::None
        } else if matches!(char::from_u32(last), Some('\n' | '\r')) {
            Rest::Lines
        } else {
            Rest::More
        };
        (string(kind, width, bytes), rest)
    };
    let stream = if kind == print::WRITTEN {
        Stream::Descriptor(stream)
    } else {
        Stream::File(stream)
    };
    Ok(Kind::Print(Box::new(Print {
        pid,
        tid,
        stream,
        text,
        rest,
        missed,
        memory,
    })))
}

/// A string as UTF-8, and what was written as it is; absent if characters have a width that none have.
fn string(kind: u32, width: u32, bytes: &[u8]) -> Option<Vec<u8>> {
    if kind == print::WRITTEN {
        return Some(bytes.to_vec());
    }
    let width = u8::try_from(width)
        .ok()
        .filter(|w| matches!(w, 1 | 2 | 4))?;
    let kind = text::Kind {
        width,
        ascii: false,
    };
    Some(kind.decode(bytes).into_bytes())
}
