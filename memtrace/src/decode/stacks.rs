//! Stacks, and the code objects in them.

use memtrace_ebpf::wire::{self, python, why};

use super::{DecodeError, Fields, Result};
use crate::{
    entry::{PythonState, StackWhy},
    event::{Code, Frame, Kind, Lines, Stack, Text},
};

pub(super) fn stack(fields: &mut Fields<'_>) -> Result<Kind> {
    let (started, pid, tid) = (fields.start()?, fields.pid()?, fields.tid()?);
    let why = match fields.u32()? {
        why::GROWTH => StackWhy::Growth,
        why::MARK => StackWhy::Mark,
        _ => StackWhy::Kill,
    };
    let (bits, depth, natives_len) = (fields.u32()?, fields.u32()?, fields.i32()?);
    let (comm, memory) = (fields.comm()?, fields.memory()?);
    let kept: Vec<Frame> = (0..wire::INNERMOST + wire::OUTERMOST)
        .map(|_| frame(fields))
        .collect::<Result<_>>()?;
    let mut natives: Vec<u64> = (0..wire::NATIVES)
        .map(|_| fields.u64())
        .collect::<Result<_>>()?;
    natives.truncate(usize::try_from(natives_len).unwrap_or(0) / 8);
    let (frames, omitted) = in_order(&kept, depth);
    Ok(Kind::Stack(Box::new(Stack {
        pid,
        started,
        tid,
        comm,
        why,
        rss: (why == StackWhy::Growth).then(|| memory.rss()),
        python: state(bits),
        frames,
        omitted,
        natives,
    })))
}

fn frame(fields: &mut Fields<'_>) -> Result<Frame> {
    Ok(Frame {
        code: fields.u64()?,
        offset: fields.i64()?,
    })
}

fn state(bits: u32) -> PythonState {
    if bits & python::KNOWN == 0 {
        PythonState::Unknown
    } else if bits & python::TORN != 0 {
        PythonState::Torn
    } else if bits & python::THREAD == 0 {
        PythonState::OtherThread
    } else if bits & python::CUT != 0 {
        PythonState::Cut
    } else {
        PythonState::Whole
    }
}

/// The frames that were kept of `depth`, and how many are missing between them: the first
/// [`wire::INNERMOST`], and behind them a ring of the last [`wire::OUTERMOST`].
fn in_order(kept: &[Frame], depth: u32) -> (Vec<Frame>, u32) {
    let depth = depth as usize;
    let inner = depth.min(wire::INNERMOST);
    let outer = depth.saturating_sub(wire::OUTERMOST).max(inner);
    let place = |number: usize| wire::INNERMOST + number % wire::OUTERMOST;
    let frames = kept[..inner]
        .iter()
        .copied()
        .chain((outer..depth).map(|number| kept[place(number)]))
        .collect();
    (frames, u32::try_from(outer - inner).unwrap_or(u32::MAX))
}

/// Rooms for a line table, a file and a function.
pub(super) const LONG: [usize; 3] = [wire::LINES_ROOM, wire::FILE_ROOM, wire::NAME_ROOM];
pub(super) const SHORT: [usize; 3] = [
    wire::SHORT_LINES_ROOM,
    wire::SHORT_FILE_ROOM,
    wire::SHORT_NAME_ROOM,
];

pub(super) fn code(fields: &mut Fields<'_>, rooms: [usize; 3]) -> Result<Kind> {
    let (started, code, pid) = (fields.start()?, fields.u64()?, fields.pid()?);
    let first_line = fields.i32()?;
    let [lines, file, function] = [head(fields)?, head(fields)?, head(fields)?];
    let lines = text(fields, lines, rooms[0])?;
    Ok(Kind::Code(Box::new(Code {
        pid,
        started,
        code,
        first_line,
        lines: lines.map(|text| text.bytes),
        file: text(fields, file, rooms[1])?,
        function: text(fields, function, rooms[2])?,
    })))
}

#[derive(Clone, Copy)]
struct Head {
    size: u64,
    state: u32,
    copied: u32,
}

fn head(fields: &mut Fields<'_>) -> Result<Head> {
    Ok(Head {
        size: fields.u64()?,
        state: fields.u32()?,
        copied: fields.u32()?,
    })
}

/// The text in a room; absent if it could not be read.
fn text(fields: &mut Fields<'_>, head: Head, room: usize) -> Result<Option<Text>> {
    let Head {
        size,
        state,
        copied,
    } = head;
    let bytes = fields.bytes(room)?;
    if copied == u32::MAX {
        return Ok(None);
    }
    let bytes = bytes
        .get(..copied as usize)
        .ok_or(DecodeError::Length { tag: fields.tag })?;
    Ok(Some(Text {
        state,
        bytes: bytes.to_vec(),
        is_cut: u64::from(copied) < size,
    }))
}

pub(super) fn lines(fields: &mut Fields<'_>) -> Result<Kind> {
    let (started, code, pid) = (fields.start()?, fields.u64()?, fields.pid()?);
    let (from, copied, _zero) = (fields.u32()?, fields.u32()?, fields.u32()?);
    let bytes = fields.bytes(wire::LINES_ROOM)?;
    let copied = if copied == u32::MAX { 0 } else { copied };
    let bytes = bytes
        .get(..copied as usize)
        .ok_or(DecodeError::Length { tag: fields.tag })?;
    Ok(Kind::Lines(Box::new(Lines {
        pid,
        started,
        code,
        from,
        bytes: bytes.to_vec(),
    })))
}

#[cfg(test)]
mod tests {
    use memtrace_ebpf::wire::{INNERMOST, OUTERMOST};

    use super::{Frame, in_order};

    #[test]
    fn frames_beyond_those_that_are_kept_are_counted_and_the_outermost_are_in_order() {
        let all = INNERMOST + OUTERMOST;
        for depth in [0, 1, 47, 48, 49, 63, 64, 65, 100, 1000] {
            let mut kept = vec![Frame { code: 0, offset: 0 }; all];
            // As the probe puts them.
            for number in 0..depth {
                let place = if number < INNERMOST {
                    number
                } else {
                    INNERMOST + number % OUTERMOST
                };
                kept[place].code = number as u64;
            }
            let (frames, omitted) = in_order(&kept, u32::try_from(depth).unwrap());
            assert_eq!(frames.len() + omitted as usize, depth);
            let numbers: Vec<usize> = frames
                .iter()
                .map(|frame| usize::try_from(frame.code).unwrap())
                .collect();
            let inner = depth.min(INNERMOST);
            let outer = depth.saturating_sub(OUTERMOST).max(inner);
            let expected: Vec<usize> = (0..inner).chain(outer..depth).collect();
            assert_eq!(numbers, expected);
        }
    }
}
