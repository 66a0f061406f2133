//! The code objects of one life, and the names and lines that its stacks get from them.
//!
//! The kernel side tells of each code object before the first stack that it is in. Its address may be
//! another's later, which is then told, too: the last one counts.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{
    entry::Frame,
    event::{self, Code, Lines, Text},
    python::{layout::Layout, lines::Line},
};

/// Code objects that are kept of one life; what comes beyond them replaces all.
const MOST_CODES: usize = 8192;
/// Bytes of line tables that are kept of one life. Lines of what comes beyond them are unknown.
const MOST_LINES: usize = 8 << 20;

/// Code objects by address.
#[derive(Debug)]
pub(super) struct Codes {
    layout: Layout,
    known: HashMap<u64, Known>,
    /// Files and functions, each kept once.
    texts: HashSet<Arc<str>>,
    /// Bytes of line tables.
    lines: usize,
}

#[derive(Debug)]
struct Known {
    first_line: i32,
    file: Option<Arc<str>>,
    function: Option<Arc<str>>,
    /// Absent if it could not be read.
    lines: Option<Vec<u8>>,
}

impl Codes {
    /// None yet, of a process whose Python is like this.
    pub(super) fn new(layout: Layout) -> Self {
        Self {
            layout,
            known: HashMap::new(),
            texts: HashSet::new(),
            lines: 0,
        }
    }

    /// What its Python is like.
    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    /// One more code object. What could not be read of it does not replace what is known.
    pub(super) fn add(&mut self, code: Code) {
        if self.known.len() >= MOST_CODES {
            *self = Self::new(self.layout);
        }
        let file = code.file.and_then(|text| self.text(&text));
        let function = code.function.and_then(|text| self.text(&text));
        let lines = code.lines.filter(|lines| self.has_room(lines.len()));
        let is_worse = file.is_none() || function.is_none() || lines.is_none();
        let is_same = |known: &Known| known.first_line == code.first_line;
        if is_worse && self.known.get(&code.code).is_some_and(is_same) {
            return;
        }
        self.lines += lines.as_ref().map_or(0, Vec::len);
        let known = Known {
            first_line: code.first_line,
            file,
            function,
            lines,
        };
        if let Some(old) = self.known.insert(code.code, known) {
            self.lines -= old.lines.map_or(0, |lines| lines.len());
        }
    }

    /// More of a line table. Parts come in order; behind one that is missing the others are of no use.
    pub(super) fn add_lines(&mut self, more: &Lines) {
        if !self.has_room(more.bytes.len()) {
            return;
        }
        let known = self.known.get_mut(&more.code);
        if let Some(lines) = known.and_then(|known| known.lines.as_mut())
            && usize::try_from(more.from) == Ok(lines.len())
        {
            lines.extend_from_slice(&more.bytes);
            self.lines += more.bytes.len();
        }
    }

    /// A frame with its names.
    pub(super) fn frame(&self, frame: event::Frame) -> Frame {
        let Some(known) = self.known.get(&frame.code) else {
            return Frame::default();
        };
        let table = self.layout.table;
        let line = known
            .lines
            .as_ref()
            .map(|lines| table.line(lines, known.first_line, frame.offset));
        Frame {
            file: known.file.clone(),
            line: match line {
                Some(Line::At(line)) => Some(line),
                Some(Line::None | Line::Unknown) | None => None,
            },
            function: known.function.clone(),
        }
    }

    fn has_room(&self, more: usize) -> bool {
        self.lines + more <= MOST_LINES
    }

    /// A text, kept once. One that was cut says so.
    fn text(&mut self, text: &Text) -> Option<Arc<str>> {
        let kind = self.layout.text_bits.kind(text.state)?;
        let mut decoded = kind.decode(&text.bytes);
        if text.is_cut {
            decoded.push('…');
        }
        if let Some(known) = self.texts.get(decoded.as_str()) {
            return Some(Arc::clone(known));
        }
        let decoded: Arc<str> = decoded.into();
        self.texts.insert(Arc::clone(&decoded));
        Some(decoded)
    }
}

#[cfg(test)]
mod tests {
    use super::Codes;
    use crate::{
        event::{Code, Frame, Lines, Text},
        python::layout::{Layout, Version},
        units::{BootNanos, Tgid},
    };

    fn codes() -> Codes {
        let version = Version { major: 3, minor: 9 };
        Codes::new(Layout::of(version).unwrap())
    }

    fn code(first_line: i32, file: Option<&str>, lines: &[u8]) -> Code {
        let text = |text: &str| Text {
            state: 1 << 2 | 1 << 6,
            bytes: text.as_bytes().to_vec(),
            is_cut: false,
        };
        Code {
            pid: Tgid(1),
            started: BootNanos(0),
            code: 0x1000,
            first_line,
            file: file.map(text),
            function: Some(text("f")),
            lines: Some(lines.to_vec()),
        }
    }

    fn line_at(codes: &Codes, offset: i64) -> Option<u32> {
        codes
            .frame(Frame {
                code: 0x1000,
                offset,
            })
            .line
    }

    #[test]
    fn a_frame_gets_its_names_and_its_line() {
        let mut codes = codes();
        codes.add(code(10, Some("a.py"), &[4, 1, 4, 2]));
        let frame = codes.frame(Frame {
            code: 0x1000,
            offset: 9,
        });
        assert_eq!(frame.file.as_deref(), Some("a.py"));
        assert_eq!(frame.function.as_deref(), Some("f"));
        assert_eq!((frame.line, line_at(&codes, 5)), (Some(13), Some(11)));
        let other = Frame {
            code: 0x2000,
            offset: 0,
        };
        assert_eq!(codes.frame(other), crate::entry::Frame::default());
    }

    #[test]
    fn what_was_paged_out_since_does_not_replace_what_is_known() {
        let mut codes = codes();
        codes.add(code(10, Some("a.py"), &[4, 1]));
        codes.add(code(10, None, &[4, 1]));
        let frame = codes.frame(Frame {
            code: 0x1000,
            offset: 0,
        });
        assert_eq!(frame.file.as_deref(), Some("a.py"));
        // Another code object at the same address.
        codes.add(code(99, None, &[4, 1]));
        assert_eq!(line_at(&codes, 0), Some(99));
    }

    #[test]
    fn a_long_table_comes_in_parts() {
        let mut codes = codes();
        codes.add(code(10, Some("a.py"), &[4, 1]));
        let more = |from| Lines {
            pid: Tgid(1),
            started: BootNanos(0),
            code: 0x1000,
            from,
            bytes: vec![4, 5],
        };
        codes.add_lines(&more(4));
        assert_eq!(line_at(&codes, 8), Some(11));
        codes.add_lines(&more(2));
        assert_eq!(line_at(&codes, 8), Some(16));
    }
}
