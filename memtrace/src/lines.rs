//! Lines of a file of any size and in any state, in bounded room.
#![forbid(unsafe_code)]

use std::io::{self, BufRead, Read as _};

/// Bytes after which a line cannot be one of ours.
const LIMIT: u64 = 1 << 20;

/// What the next line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is in the buffer, without its line end.
    Line,
    /// It was longer than any of ours and is skipped.
    TooLong,
    /// There is none.
    End,
}

/// Reads the next line into `line`, whose old contents are dropped.
pub fn next(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Next> {
    line.clear();
    let length = input.take(LIMIT).read_until(b'\n', line)?;
    let whole = line.pop_if(|byte| *byte == b'\n').is_some();
    if !whole && length as u64 == LIMIT {
        input.skip_until(b'\n')?;
        return Ok(Next::TooLong);
    }
    line.pop_if(|byte| *byte == b'\r');
    Ok(if length == 0 { Next::End } else { Next::Line })
}
