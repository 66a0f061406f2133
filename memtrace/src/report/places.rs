//! Places in a program as text: a frame in full, or with its file's name as short as tells it from
//! the others; and what stands where there is no frame. What cannot be read is `?`.

use std::{collections::BTreeSet, fmt::Write as _};

use crate::{
    align::{
        Story,
        growth::{Caller, Function, Grown, Place},
    },
    entry::{Frame, Lang, Native, PythonState, Stack},
    text::{cut, escape},
    words::{Word, fill, say},
};

/// Frames of a stack that a line shows.
const SHOWN: usize = 6;

/// Of these, the innermost ones, whosever they are.
const INNERMOST: usize = 2;

/// Frames that a stack holds before those that are left out in its middle.
const BEFORE_GAP: usize = 48;

/// Columns after which a file's name in a line is cut, and a function's.
const NAME_COLUMNS: usize = 40;

/// The files that a page names, so that it names them in short.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// Those of a story's verdict and top ten.
    pub(super) fn of(story: &Story) -> Self {
        let threads = story.threads.as_deref();
        let python = threads.and_then(|threads| threads.running_python());
        let first = story.first_thread().map(|(stack, _)| stack);
        let stacks = first.into_iter().chain(python);
        let frames = stacks.flat_map(|stack| {
            let runs = runs(stack);
            shown(&runs).into_iter().map(move |at| runs[at].frame)
        });
        let marks = story.book.marks.top().iter().flat_map(|mark| &mark.lines);
        let kill = story.kill.iter().flat_map(|kill| &kill.lines);
        let lines = marks.chain(kill).flat_map(|grown| {
            let place = match &grown.place {
                Place::Code(frame) => Some(frame),
                _ => None,
            };
            let callers = grown.callers.iter().map(|caller| &caller.frame);
            place.into_iter().chain(callers)
        });
        let files = frames
            .chain(lines)
            .filter_map(|frame| frame.file.as_deref());
        Self(files.map(str::to_owned).collect())
    }

    /// `config.py:118 load_learning_config`.
    pub(super) fn frame(&self, frame: &Frame) -> String {
        let at = self.line(frame);
        match &frame.function {
            Some(function) => format!("{at} {}", cut(&escape(function), NAME_COLUMNS)),
            None => at,
        }
    }

    /// `config.py:118 load_learning_config ← backtest.py:10810 main`: the innermost frames, and those
    /// of the program itself where they are all a library's.
    pub(super) fn stack(&self, lang: Lang, stack: &Stack) -> String {
        let runs = runs(stack);
        let mut text = String::new();
        let mut next = 0;
        for at in shown(&runs) {
            let run = &runs[at];
            if at > 0 {
                text += " ← ";
            }
            if at != next || run.is_behind_gap {
                text += "… ← ";
            }
            text += &(self.frame(run.frame) + &run.times(lang));
            next = at + 1;
        }
        let is_cut = stack.python == PythonState::Cut;
        let goes_on = next < runs.len() || is_cut || gap(stack, stack.frames.len());
        text += match stack.python {
            _ if goes_on => " ← …",
            PythonState::Torn => " ← ?",
            _ => "",
        };
        text
    }

    /// `config.py:118 +398.00MB, util.py:3 +20.00MB (← x.py:7 main +18.00MB)`.
    pub(super) fn grown(&self, lang: Lang, lines: &[Grown]) -> String {
        let one = |Grown {
                       place,
                       moved,
                       callers,
                   }: &Grown| {
            let place = match place {
                Place::Code(frame) => self.line(frame),
                other => without_code(lang, other),
            };
            let caller =
                |caller: &Caller| format!("← {} {}", self.frame(&caller.frame), caller.net);
            let callers: Vec<_> = callers.iter().map(caller).collect();
            match callers.as_slice() {
                [] => format!("{place} {}", moved.net),
                callers => format!("{place} {} ({})", moved.net, callers.join(", ")),
            }
        };
        lines.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    fn line(&self, frame: &Frame) -> String {
        let file = frame.file.as_deref().map_or("?", |file| self.short(file));
        let line = frame
            .line
            .map_or_else(|| "?".to_owned(), |line| line.to_string());
        format!("{}:{line}", cut(&escape(file), NAME_COLUMNS))
    }

    /// The last parts of a path, as many as no other file ends with.
    fn short<'a>(&self, file: &'a str) -> &'a str {
        let is_taken = |name: &str| {
            let others = self.0.iter().filter(|other| *other != file);
            // A package's name is its folder's.
            matches!(name, "__init__.py" | "__main__.py")
                || others.into_iter().any(|other| ends_with(other, name))
        };
        let slashes = file.rmatch_indices('/').map(|(at, _)| &file[at + 1..]);
        let names = slashes.filter(|name| !name.is_empty());
        names
            .into_iter()
            .find(|name| !is_taken(name))
            .unwrap_or(file)
    }
}

/// `/srv/bot/config.py:118 load_learning_config`; without a line where a function is meant.
pub(super) fn in_full(lang: Lang, place: &Place) -> String {
    let frame = match place {
        Place::Code(frame) => frame,
        Place::Native(Function { file, name: None }) => return escape(file),
        Place::Native(Function {
            file,
            name: Some(name),
        }) => return format!("{} [{}]", called(escape(name)), escape(file)),
        other => return without_code(lang, other),
    };
    match frame.line {
        None => {
            let known = frame.file.iter().chain(&frame.function);
            known.map(|text| escape(text)).collect::<Vec<_>>().join(" ")
        }
        Some(_) => frame_in_full(frame),
    }
}

/// `/srv/bot/config.py:118 load_learning_config`.
pub(super) fn frame_in_full(frame: &Frame) -> String {
    let Frame {
        file,
        line,
        function,
    } = frame;
    let mut text = file.as_deref().map_or_else(|| "?".to_owned(), escape);
    let done = match line {
        Some(line) => write!(text, ":{line}"),
        None => write!(text, ":?"),
    };
    done.expect("a string takes all that is written to it");
    text + " " + &function.as_deref().map_or_else(|| "?".to_owned(), escape)
}

/// Frames are left out before this one.
pub(super) fn gap(stack: &Stack, at: usize) -> bool {
    stack.omitted > 0 && at == stack.frames.len().min(BEFORE_GAP)
}

/// `/src/grow.c:12 grow() [/srv/prog]`, `grow() [/srv/prog]`, `/lib/libc.so.6+0x18e2b1`.
pub(super) fn native_in_full(native: &Native) -> String {
    let file = native.file.as_deref().map(escape);
    let source = native.source.as_deref().map(escape);
    native_at(native, source, file)
}

/// `grow.c:12 grow() [prog] ← main() [prog]`.
pub(super) fn natives(natives: &[Native]) -> String {
    let short = |path: &str| cut(&escape(last_part(path)), NAME_COLUMNS);
    let one = |native: &Native| {
        let file = native.file.as_deref().map(short);
        native_at(native, native.source.as_deref().map(short), file)
    };
    let mut text = String::new();
    for (number, native) in natives.iter().take(SHOWN).enumerate() {
        text += if number > 0 { " ← " } else { "" };
        text += if native.behind_gap { "… ← " } else { "" };
        text += &one(native);
    }
    text + if natives.len() > SHOWN {
        " ← …"
    } else {
        ""
    }
}

fn native_at(native: &Native, source: Option<String>, file: Option<String>) -> String {
    let Some(function) = native.function.as_deref() else {
        return match file {
            Some(file) => format!("{file}+{:#x}", native.at),
            None => format!("{:#x}", native.at),
        };
    };
    let function = called(escape(function));
    let line = source.zip(native.line);
    let line = line.map(|(source, line)| format!("{source}:{line} "));
    let file = file.map(|file| format!(" [{file}]"));
    line.unwrap_or_default() + &function + &file.unwrap_or_default()
}

/// `grow()`; what came with its arguments has them.
fn called(name: String) -> String {
    if name.ends_with(')') {
        name
    } else {
        name + "()"
    }
}

fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn without_code(lang: Lang, place: &Place) -> String {
    match place {
        Place::Native(Function { file, name: None }) => escape(last_part(file)),
        Place::Native(Function {
            file,
            name: Some(name),
        }) => {
            let name = cut(&escape(name), NAME_COLUMNS);
            format!("{} [{}]", called(name), escape(last_part(file)))
        }
        Place::NoPython(comm) => fill(lang, Word::PlaceNoPython, &[&escape(comm)]),
        Place::Unread(comm) => fill(lang, Word::PlaceUnread, &[&escape(comm)]),
        Place::NoInterpreter(comm) => fill(lang, Word::PlaceNoInterpreter, &[&escape(comm)]),
        Place::Others | Place::Code(_) => say(lang, Word::PlaceOthers).to_owned(),
    }
}

/// A frame, and how often it follows itself: recursion.
pub(super) struct Run<'a> {
    /// The frame.
    pub frame: &'a Frame,
    /// Not zero.
    pub length: usize,
    /// Frames are left out before it.
    pub is_behind_gap: bool,
}

impl Run<'_> {
    /// ` ×48`, where it is more than one.
    pub(super) fn times(&self, lang: Lang) -> String {
        match self.length {
            1 => String::new(),
            length => fill(lang, Word::Times, &[&length]),
        }
    }
}

/// The frames of a stack, the innermost first.
pub(super) fn runs(stack: &Stack) -> Vec<Run<'_>> {
    let mut runs: Vec<Run<'_>> = Vec::new();
    for (at, frame) in stack.frames.iter().enumerate() {
        let is_behind_gap = gap(stack, at);
        match runs.last_mut() {
            Some(last) if last.frame == frame && !is_behind_gap => last.length += 1,
            _ => runs.push(Run {
                frame,
                length: 1,
                is_behind_gap,
            }),
        }
    }
    runs
}

/// Which frames a line shows: the innermost ones, and those of the program itself further out. Who
/// allocates is often a helper's helper; which part of the program it was for, its callers tell.
fn shown(runs: &[Run<'_>]) -> Vec<usize> {
    let own = (INNERMOST..runs.len()).filter(|at| !runs[*at].frame.is_library());
    let innermost = 0..runs.len().min(INNERMOST);
    innermost.chain(own.take(SHOWN - INNERMOST)).collect()
}

/// It is this path, or ends with it after a slash.
fn ends_with(path: &str, end: &str) -> bool {
    let rest = path.strip_suffix(end);
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}
