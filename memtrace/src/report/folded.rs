//! Growth as folded stacks, which flame graph tools read: a line for each stack, its frames from the
//! outermost to the innermost with `;` between them, a space, and the bytes that it grew by. The
//! words are English in every language, since no reader of ours is meant.

use std::{collections::BTreeMap, fmt::Write as _};

use super::places::gap;
use crate::{
    align::growth::Place,
    entry::{Frame, Native, PythonState, Stack, StackWhy},
    text::escape,
};

/// The stacks of any number of recordings. What shrank is left out: no flame is less than nothing.
#[derive(Debug, Default)]
pub struct Folded {
    bytes: BTreeMap<String, u64>,
}

impl Folded {
    /// Takes a stack; true if it is one that tells of growth or shrinking.
    pub fn apply(&mut self, stack: &Stack) -> bool {
        let Some(moved) = stack.moved.filter(|_| stack.why == StackWhy::Growth) else {
            return false;
        };
        if let Ok(grown @ 1..) = u64::try_from(moved.0) {
            let bytes = self.bytes.entry(folded(stack)).or_default();
            *bytes = bytes.saturating_add(grown);
        }
        true
    }

    /// All lines, in the order of their text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (stack, bytes) in &self.bytes {
            writeln!(text, "{stack} {bytes}").expect("a string takes all that is written to it");
        }
        text
    }
}

fn folded(stack: &Stack) -> String {
    let thread = match Place::of(stack) {
        Place::Code(_) | Place::Others => None,
        Place::Native(_) => return natives(&stack.natives),
        Place::NoPython(comm) => Some(format!("[no python: {}]", harmless(&comm))),
        Place::NoInterpreter(comm) => Some(format!("[no cpython: {}]", harmless(&comm))),
        Place::Unread(comm) => Some(format!("[not readable: {}]", harmless(&comm))),
    };
    if let Some(thread) = thread {
        return thread;
    }
    let mut frames = Vec::new();
    for (at, one) in stack.frames.iter().enumerate() {
        frames.extend(left_out(stack, at));
        frames.push(frame(one));
    }
    frames.extend(left_out(stack, stack.frames.len()));
    frames.extend(match stack.python {
        PythonState::Cut | PythonState::Torn => Some("[more frames]".to_owned()),
        PythonState::Whole | PythonState::OtherThread | PythonState::Unknown => None,
    });
    frames.reverse();
    frames.join(";")
}

/// `main (/srv/prog);grow (/srv/prog)`.
fn natives(natives: &[Native]) -> String {
    let known = |text: &Option<_>| text.as_deref().map_or_else(|| "?".to_owned(), harmless);
    let mut frames = Vec::new();
    for frame in natives {
        frames.extend(frame.behind_gap.then(|| "[more frames]".to_owned()));
        frames.push(format!(
            "{} ({})",
            known(&frame.function),
            known(&frame.file)
        ));
    }
    frames.reverse();
    frames.join(";")
}

fn left_out(stack: &Stack, at: usize) -> Option<String> {
    gap(stack, at).then(|| format!("[{} frames left out]", stack.omitted))
}

/// `load_learning_config (/srv/bot/config.py:118)`.
fn frame(frame: &Frame) -> String {
    let Frame {
        file,
        line,
        function,
    } = frame;
    let known = |text: &Option<_>| text.as_deref().map_or_else(|| "?".to_owned(), harmless);
    let line = line.map_or_else(|| "?".to_owned(), |line| line.to_string());
    format!("{} ({}:{line})", known(function), known(file))
}

/// Nothing in a name is taken for the end of a frame, of a stack or of a line.
fn harmless(name: &str) -> String {
    let one = |c: char| match c {
        ';' => ',',
        c if c.is_whitespace() => '_',
        c => c,
    };
    escape(name).chars().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{grew, stack};

    fn text(stacks: &[Stack]) -> String {
        let mut folded = Folded::default();
        for stack in stacks {
            folded.apply(stack);
        }
        folded.text()
    }

    fn native(file: &str, function: Option<&str>) -> Native {
        Native {
            file: Some(file.into()),
            function: function.map(Into::into),
            ..Native::default()
        }
    }

    #[test]
    fn stacks_are_summed_and_what_shrank_is_left_out() {
        let frames = [("/srv/a.py", 3, "load"), ("/srv/b.py", 9, "main")];
        assert_eq!(
            text(&[
                grew(1, 2, &frames),
                grew(2, 1, &frames),
                grew(1, -1, &frames)
            ]),
            "main (/srv/b.py:9);load (/srv/a.py:3) 3145728\n"
        );
    }

    #[test]
    fn only_stacks_of_growth_are_told() {
        let mut folded = Folded::default();
        assert!(!folded.apply(&stack(StackWhy::Kill, 1, &[("a.py", 1, "f")])));
        assert!(folded.apply(&grew(1, -1, &[("a.py", 1, "f")])));
        assert_eq!(folded.text(), "");
    }

    #[test]
    fn no_name_forges_a_frame_or_a_line() {
        let frames = [("/srv/my file;x.py", 3, "加载;\n9\u{202e} 7")];
        assert_eq!(
            text(&[grew(1, 1, &frames)]),
            "加载,\\n9\\u{202e}_7 (/srv/my_file,x.py:3) 1048576\n"
        );
    }

    #[test]
    fn what_is_missing_of_a_stack_is_told() {
        let deep: Vec<_> = (1..=50).map(|line| ("a.py", line, "f")).collect();
        let cut = Stack {
            omitted: 7,
            ..grew(1, 1, &deep)
        };
        let cut = text(&[cut]);
        assert!(cut.starts_with("f (a.py:50);f (a.py:49);[7 frames left out];f (a.py:48);"));
        let torn = Stack {
            python: PythonState::Torn,
            ..grew(1, 1, &deep[..1])
        };
        assert_eq!(text(&[torn]), "[more frames];f (a.py:1) 1048576\n");
        let without = Stack {
            comm: "blas 1;".to_owned(),
            python: PythonState::OtherThread,
            ..grew(1, 1, &[])
        };
        assert_eq!(text(&[without]), "[no python: blas_1,] 1048576\n");
        let native = Stack {
            python: PythonState::Unknown,
            natives: vec![
                native("/lib/libc.so.6", None),
                Native {
                    behind_gap: true,
                    ..native("/srv/p", Some("main"))
                },
            ],
            ..grew(1, 1, &[])
        };
        assert_eq!(
            text(&[native]),
            "main (/srv/p);[more frames];? (/lib/libc.so.6) 1048576\n"
        );
        let nameless = Stack {
            frames: vec![Frame::default()],
            ..grew(1, 1, &[])
        };
        assert_eq!(text(&[nameless]), "[not readable: python3] 1048576\n");
    }
}
