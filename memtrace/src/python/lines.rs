//! From an instruction to its line: the three tables that CPython has had.

/// Which table a version has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// `co_lnotab`, up to 3.9: steps of bytes and of lines (`Objects/lnotab_notes.txt`).
    Steps,
    /// `co_linetable` of 3.10: ranges and steps of lines (PEP 626).
    Ranges,
    /// `co_linetable` from 3.11 on: locations (`Objects/locations.md` of 3.11).
    Locations,
}

/// What a table says of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// It is of this line.
    At(u32),
    /// It is of no line: the compiler's own.
    None,
    /// The table ends before it, or is not one.
    Unknown,
}

impl Table {
    /// The line of the instruction `offset` bytes into a code object that begins at line `first`. A
    /// frame that has not begun has a negative offset.
    pub fn line(self, table: &[u8], first: i32, offset: i64) -> Line {
        if offset < 0 {
            return line_of(i64::from(first));
        }
        match self {
            Self::Steps => steps(table, first, offset),
            Self::Ranges => ranges(table, first, offset),
            Self::Locations => locations(table, first, offset),
        }
    }
}

fn line_of(line: i64) -> Line {
    u32::try_from(line).map_or(Line::Unknown, Line::At)
}

/// The last step says where it begins, not where it ends: any offset behind it is of its line.
fn steps(table: &[u8], first: i32, offset: i64) -> Line {
    let (mut address, mut line) = (0, i64::from(first));
    for pair in table.chunks_exact(2) {
        address += i64::from(pair[0]);
        if address > offset {
            break;
        }
        line += i64::from(pair[1].cast_signed());
    }
    line_of(line)
}

fn ranges(table: &[u8], first: i32, offset: i64) -> Line {
    const NO_LINE: i8 = -128;
    let (mut end, mut line) = (0, i64::from(first));
    for pair in table.chunks_exact(2) {
        let step = pair[1].cast_signed();
        if step != NO_LINE {
            line += i64::from(step);
        }
        end += i64::from(pair[0]);
        if end > offset {
            return if step == NO_LINE {
                Line::None
            } else {
                line_of(line)
            };
        }
    }
    Line::Unknown
}

fn locations(table: &[u8], first: i32, offset: i64) -> Line {
    let mut bytes = table.iter().copied();
    let (mut end, mut line) = (0, i64::from(first));
    while let Some(byte) = bytes.next() {
        if byte & 0x80 == 0 {
            return Line::Unknown; // each entry begins with a byte like this
        }
        end += (i64::from(byte & 7) + 1) * 2;
        let Some(has_line) = entry(byte >> 3 & 15, &mut bytes, &mut line) else {
            return Line::Unknown;
        };
        if end > offset {
            return if has_line { line_of(line) } else { Line::None };
        }
    }
    Line::Unknown
}

/// Reads what follows the first byte of an entry; false if it has no line.
fn entry(code: u8, bytes: &mut impl Iterator<Item = u8>, line: &mut i64) -> Option<bool> {
    match code {
        15 => return Some(false),
        14 => {
            *line += signed(bytes)?;
            for _ in 0..3 {
                varint(bytes)?;
            }
        }
        13 => *line += signed(bytes)?,
        10..=12 => {
            *line += i64::from(code) - 10;
            bytes.next()?;
            bytes.next()?;
        }
        _ => drop(bytes.next()?),
    }
    Some(true)
}

/// Six bits a byte, the lowest first; one more bit says that another byte follows.
fn varint(bytes: &mut impl Iterator<Item = u8>) -> Option<i64> {
    let mut value = 0;
    for shift in (0..36).step_by(6) {
        let byte = bytes.next()?;
        value |= i64::from(byte & 63) << shift;
        if byte & 64 == 0 {
            return Some(value);
        }
    }
    None
}

/// The lowest bit is the sign.
fn signed(bytes: &mut impl Iterator<Item = u8>) -> Option<i64> {
    let value = varint(bytes)?;
    Some(if value & 1 == 0 {
        value >> 1
    } else {
        -(value >> 1)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Line, Table};

    #[test]
    fn steps_hold_until_the_next() {
        // Lines 10, 11 from byte 4, 9 from byte 8.
        let table = [4, 1, 4, 0xfe];
        let line = |offset| Table::Steps.line(&table, 10, offset);
        assert_eq!([0, 3].map(line), [Line::At(10); 2]);
        assert_eq!([4, 6].map(line), [Line::At(11); 2]);
        assert_eq!([8, 1000].map(line), [Line::At(9); 2]);
        assert_eq!(line(-1), Line::At(10));
    }

    #[test]
    fn ranges_end_and_may_have_no_line() {
        let table = [4, 1, 2, 0x80, 6, 1];
        let line = |offset| Table::Ranges.line(&table, 10, offset);
        assert_eq!([0, 2].map(line), [Line::At(11); 2]);
        assert_eq!(line(4), Line::None);
        assert_eq!([6, 10].map(line), [Line::At(12); 2]);
        assert_eq!(line(12), Line::Unknown);
    }

    #[test]
    fn locations_of_every_form_are_read() {
        // Short form, one unit; one-line form with +1, two units; no columns with −3, one unit; long
        // form with +70, one unit; no location, one unit.
        let table = [
            0x80, 0x11, 0xd9, 1, 2, 0xe8, 7, 0xf0, 0x4c, 0x02, 0, 0, 0, 0xf8,
        ];
        let line = |offset| Table::Locations.line(&table, 100, offset);
        assert_eq!(line(0), Line::At(100));
        assert_eq!([2, 4].map(line), [Line::At(101); 2]);
        assert_eq!(line(6), Line::At(98));
        assert_eq!(line(8), Line::At(168));
        assert_eq!(line(10), Line::None);
        assert_eq!(line(12), Line::Unknown);
        assert_eq!(line(-2), Line::At(100));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(
            table in proptest::collection::vec(any::<u8>(), 0..64),
            first: i32,
            offset in -4..200_i64,
        ) {
            for kind in [Table::Steps, Table::Ranges, Table::Locations] {
                kind.line(&table, first, offset);
            }
        }
    }
}
