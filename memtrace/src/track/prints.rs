//! Lines of what a process prints, put together from pieces: `print` hands on each argument, each
//! separator and each end by itself, and what is written ends anywhere.

use super::{Output, Track};
use crate::{
    entry::{Checkpoint, NameState, What},
    event::{Print, Rest, Stream},
    units::{BootNanos, Tid},
};

/// Streams of threads that are remembered of one life; the one that was silent for longest is forgotten.
const MOST_STREAMS: usize = 64;
/// Bytes of a line that are looked at.
const MOST_LINE: usize = 1024;
/// What stands for an object that is no string.
const LEFT_OUT: &str = "…";

/// The lines that a life has begun.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The one that was last written to is the last.
    open: Vec<Open>,
    missed: u64,
    /// The process prints, so that its writes tell nothing new.
    prints: bool,
}

/// A line that has not ended, or the end of one.
#[derive(Debug)]
struct Open {
    /// The thread; threads that write to a descriptor do so one behind the other.
    tid: Option<Tid>,
    stream: Stream,
    missed: u64,
    state: State,
    text: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Whole,
    /// More of it is not known.
    Cut,
    /// Its beginning or its middle is missing.
    Broken,
}

/// A line that has ended.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    text: String,
    is_cut: bool,
}

impl Track {
    /// A line becomes a checkpoint with the piece that ends it.
    pub(super) fn print(&mut self, at: BootNanos, print: &Print, out: &mut Vec<Output>) {
        let Some(life) = self.lives.get_mut(&print.pid) else {
            return;
        };
        let lines = life.lines.get_or_insert_default();
        let naming = match print.stream {
            Stream::File(_) => {
                lines.prints = true;
                self.rules.prints.as_ref()
            }
            // What it prints would come a second time.
            Stream::Descriptor(_) if lines.prints => None,
            Stream::Descriptor(_) => self.rules.lines.as_ref(),
        };
        let Some(naming) = naming else {
            return;
        };
        for line in lines.add(print) {
            let Some(named) = naming.name(&line.text, line.is_cut) else {
                continue;
            };
            life.sample(at, print.memory);
            life.last_checkpoint = Some(named.name.clone());
            let checkpoint = Checkpoint {
                name: named.name,
                details: named.details,
                name_state: if named.is_cut {
                    NameState::Cut
                } else {
                    NameState::Whole
                },
                tid: print.tid,
                memory: print.memory,
            };
            life.tell(at, What::Checkpoint(checkpoint), out);
        }
    }
}

impl Lines {
    /// Takes a piece; the lines that it ends.
    fn add(&mut self, print: &Print) -> Vec<Line> {
        let mut open = self.take(print);
        if print.missed > open.missed {
            // What was missed may have been of this line, or its end.
            open.missed = print.missed;
            open.state = State::Broken;
        }
        let mut ended = Vec::new();
        let text = print.text.as_deref().unwrap_or(LEFT_OUT.as_bytes());
        let mut lines = text.split(|byte| Print::ENDS.contains(byte));
        open.extend(lines.next().unwrap_or_default());
        for line in lines {
            ended.extend(open.end());
            open.extend(line);
        }
        if print.rest != Rest::None && open.state == State::Whole {
            open.state = State::Cut;
        }
        if print.rest == Rest::Lines {
            ended.extend(open.end());
        }
        self.open.push(open);
        ended
    }

    /// What is open of a thread's stream.
    fn take(&mut self, print: &Print) -> Open {
        let tid = match print.stream {
            Stream::File(_) => Some(print.tid),
            Stream::Descriptor(_) => None,
        };
        let known = |open: &Open| (open.tid, open.stream) == (tid, print.stream);
        let missed = self.missed;
        self.missed = missed.max(print.missed);
        if let Some(place) = self.open.iter().rposition(known) {
            return self.open.remove(place);
        }
        if self.open.len() >= MOST_STREAMS {
            self.open.remove(0);
        }
        Open {
            tid,
            stream: print.stream,
            missed,
            state: State::Whole,
            text: Vec::new(),
        }
    }
}

impl Open {
    fn extend(&mut self, text: &[u8]) {
        if self.state != State::Whole {
            return;
        }
        let room = MOST_LINE - self.text.len();
        self.text.extend_from_slice(&text[..text.len().min(room)]);
        if text.len() > room {
            self.state = State::Cut;
        }
    }

    /// The line that ends here, unless it is broken; the next one begins.
    fn end(&mut self) -> Option<Line> {
        let text = std::mem::take(&mut self.text);
        match std::mem::replace(&mut self.state, State::Whole) {
            State::Broken => None,
            state => Some(Line {
                text: String::from_utf8_lossy(whole(&text)).into_owned(),
                is_cut: state == State::Cut,
            }),
        }
    }
}

/// Without the half character that a cut may have left at the end.
fn whole(text: &[u8]) -> &[u8] {
    match std::str::from_utf8(text) {
        Err(error) if error.error_len().is_none() => &text[..error.valid_up_to()],
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Lines, MOST_LINE, MOST_STREAMS};
    use crate::{
        entry::Memory,
        event::{Print, Rest, Stream},
        units::{Tgid, Tid},
    };

    fn piece(tid: u32, text: &str) -> Print {
        Print {
            pid: Tgid(1),
            tid: Tid(tid),
            stream: Stream::File(0x1000),
            text: Some(text.as_bytes().to_vec()),
            rest: Rest::None,
            missed: 0,
            memory: Memory::default(),
        }
    }

    fn written(bytes: &[u8], rest: Rest) -> Print {
        Print {
            stream: Stream::Descriptor(1),
            text: Some(bytes.to_vec()),
            rest,
            ..piece(1, "")
        }
    }

    /// The lines that pieces end, in order; `…!` behind those that are cut.
    fn lines(pieces: impl IntoIterator<Item = Print>) -> Vec<String> {
        let mut lines = Lines::default();
        let ended = pieces.into_iter().flat_map(|piece| lines.add(&piece));
        ended
            .map(|Line { text, is_cut }| text + if is_cut { "…!" } else { "" })
            .collect()
    }

    #[test]
    fn pieces_are_put_together_up_to_the_end_of_the_line() {
        let pieces = ["【Phase", " ", "1】", "\n", "x\ny", "\n", "tail"];
        assert_eq!(
            lines(pieces.map(|text| piece(1, text))),
            ["【Phase 1】", "x", "y"]
        );
        let progress = ["10%", "\r", "20%", "\r", "\n"];
        assert_eq!(
            lines(progress.map(|text| piece(1, text))),
            ["10%", "20%", ""]
        );
    }

    #[test]
    fn each_thread_and_each_file_has_lines_of_its_own() {
        let other = |text| Print {
            stream: Stream::File(0x2000),
            ..piece(1, text)
        };
        let pieces = [
            piece(1, "a"),
            piece(2, "b"),
            other("c"),
            piece(2, "\n"),
            piece(1, "\n"),
            other("\n"),
        ];
        assert_eq!(lines(pieces), ["b", "a", "c"]);
    }

    #[test]
    fn threads_write_to_one_descriptor_and_a_character_may_come_in_two_halves() {
        let phase = "客".as_bytes();
        let second = Print {
            tid: Tid(2),
            ..written(&[&phase[2..], b"\n\xff\n"].concat(), Rest::None)
        };
        let pieces = [written(&phase[..2], Rest::None), second];
        assert_eq!(lines(pieces), ["客", "\u{fffd}"]);
    }

    #[test]
    fn an_object_that_is_no_string_leaves_its_mark() {
        let object = Print {
            text: None,
            ..piece(1, "")
        };
        assert_eq!(
            lines([piece(1, "n ="), piece(1, " "), object, piece(1, "\n")]),
            ["n = …"]
        );
    }

    #[test]
    fn what_is_not_known_of_a_line_is_marked_and_ends_with_it() {
        let long = "x".repeat(MOST_LINE);
        let cut = |rest| written(&[b"first\n", &long.as_bytes()[..9]].concat(), rest);
        let end = || written(b"more\nnext\n", Rest::None);
        assert_eq!(
            lines([cut(Rest::More), end()]),
            ["first", "xxxxxxxxx…!", "next"]
        );
        assert_eq!(
            lines([cut(Rest::Lines), end()]),
            ["first", "xxxxxxxxx…!", "more", "next"]
        );
        let parts = [&long, "y", "y", "\n", "z", "\n"].map(|text| piece(1, text));
        assert_eq!(lines(parts), [format!("{long}…!"), "z".to_owned()]);
    }

    #[test]
    fn a_line_that_pieces_are_missing_of_is_none() {
        let after = |missed, tid, text| Print {
            missed,
            ..piece(tid, text)
        };
        let pieces = [
            piece(1, "a"),
            piece(2, "b"),
            after(3, 1, "c"),
            after(3, 1, "\n"),
            after(3, 1, "whole"),
            after(3, 1, "\n"),
            after(3, 2, "\n"),
            after(3, 2, "whole, too"),
            after(3, 2, "\n"),
            // It has missed nothing since others have.
            after(3, 3, "new"),
            after(3, 3, "\n"),
        ];
        assert_eq!(lines(pieces), ["whole", "whole, too", "new"]);
    }

    #[test]
    fn so_many_streams_are_remembered_and_no_more() {
        let mut all = Lines::default();
        for tid in 0..1000 {
            all.add(&piece(tid, "begun"));
        }
        assert_eq!(all.open.len(), MOST_STREAMS);
        assert_eq!(all.add(&piece(999, "\n")).len(), 1);
    }
}
