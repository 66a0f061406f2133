//! Whether a recording names the place that a program declares.

use std::{collections::BTreeMap, fmt::Write as _};

use memtrace::entry::{Frame, PythonState, Stack, StackWhy};

use super::program::{Minor, Program};
use crate::live::rig::Life;

/// How many frames of a wrong stack are shown.
const SHOWN: usize = 8;

/// What a kill shows.
#[derive(Debug)]
pub(super) enum Judgement {
    Right,
    /// It was dead before its interpreter had been looked at.
    TooEarly,
    /// A page was refused at another line than the one that takes nearly all of them: an event loop, or
    /// a thread that starts, needs one now and then. The stack is whole and the growth is right.
    Elsewhere(String),
    Wrong(String),
}

pub(super) fn judge(program: &Program, minor: Minor, life: &Life) -> Judgement {
    let stack = match position(life) {
        Ok(stack) => stack,
        Err(what) => return Judgement::Wrong(what),
    };
    if stack.python == PythonState::Unknown {
        return Judgement::TooEarly;
    }
    let Err(what) = judge_stack(program, minor, stack).and_then(|()| growth(program, life)) else {
        return Judgement::Right;
    };
    let has_all_names = |frame: &Frame| frame.function.is_some() && frame.line.is_some();
    let is_sound = stack.python == PythonState::Whole
        && stack.frames.iter().all(has_all_names)
        && place(program, stack) != Some(&wanted(program, minor));
    match growth(program, life) {
        Ok(()) if is_sound => Judgement::Elsewhere(what),
        _ => Judgement::Wrong(what),
    }
}

fn wanted(program: &Program, minor: Minor) -> Frame {
    Frame {
        file: Some(program.file.as_str().into()),
        line: Some(program.line),
        function: Some(program.function(minor).into()),
    }
}

fn judge_stack(program: &Program, minor: Minor, stack: &Stack) -> Result<(), String> {
    let wanted = wanted(program, minor);
    if place(program, stack) != Some(&wanted) {
        return Err(format!(
            "expected {}, found\n{}",
            shown(&wanted),
            shown_stack(stack)
        ));
    }
    let deep_enough = program.deep && stack.python == PythonState::Cut;
    if stack.python != PythonState::Whole && !deep_enough {
        return Err(format!("the stack is not whole:\n{}", shown_stack(stack)));
    }
    let is_outside = |caller: &&str| {
        let mut further_out = stack.frames.iter().skip(1);
        further_out.any(|frame| frame.function.as_deref() == Some(*caller))
    };
    if let Some(caller) = program.callers(minor).find(|caller| !is_outside(caller)) {
        return Err(format!(
            "{caller} called it, and is not there:\n{}",
            shown_stack(stack)
        ));
    }
    Ok(())
}

/// The stack of the thread that asked for the page which was not there.
fn position(life: &Life) -> Result<&Stack, String> {
    let trigger = &life.oom().trigger;
    let all: Vec<&Stack> = life.stacks().collect();
    let marked = all.iter().rfind(|stack| stack.why == StackWhy::Mark);
    let killed = || {
        let of_trigger = |stack: &&&Stack| stack.why == StackWhy::Kill && stack.tid == trigger.tid;
        all.iter().rfind(of_trigger)
    };
    let found = marked.or_else(killed).copied();
    found.ok_or_else(|| {
        let there: Vec<_> = all.iter().map(|stack| (stack.why, stack.tid)).collect();
        format!(
            "no stack of thread {}, which hit the limit: {there:?}",
            trigger.tid.0
        )
    })
}

/// The frame that a stack stands for.
fn place<'a>(program: &Program, stack: &'a Stack) -> Option<&'a Frame> {
    let is_own = |frame: &&Frame| frame.file.as_deref() == Some(&*program.file);
    let own = || stack.frames.iter().find(is_own);
    if program.own_file {
        own()
    } else {
        stack.frames.first()
    }
}

/// The line that the memory is charged to, over the whole life, is the same one.
fn growth(program: &Program, life: &Life) -> Result<(), String> {
    let mut bytes_by_line = BTreeMap::<(String, u32), i64>::new();
    let is_known = |stack: &&Stack| stack.python != PythonState::Unknown;
    let of_growth = life.stacks().filter(|stack| stack.why == StackWhy::Growth);
    for stack in of_growth.filter(is_known) {
        let frame = place(program, stack).cloned().unwrap_or_default();
        let file = frame.file.as_deref().unwrap_or("?").to_owned();
        let at = (file, frame.line.unwrap_or(0));
        let moved = stack.moved.map_or(0, |moved| moved.0);
        *bytes_by_line.entry(at).or_default() += moved.max(0);
    }
    let heaviest = bytes_by_line.iter().max_by_key(|(_, bytes)| **bytes);
    match heaviest {
        Some((at, _)) if (at.0.as_str(), at.1) == (&*program.file, program.line) => Ok(()),
        _ => Err(format!(
            "expected most growth at {}:{}, found {bytes_by_line:?}",
            program.file, program.line
        )),
    }
}

fn shown(frame: &Frame) -> String {
    let Frame {
        file,
        line,
        function,
    } = frame;
    let line = line.map_or_else(|| "?".to_owned(), |line| line.to_string());
    let [file, function] = [file, function].map(|text| text.as_deref().unwrap_or("?"));
    format!("{file}:{line} {function}")
}

fn shown_stack(stack: &Stack) -> String {
    let mut text = format!("  {:?} of thread {}", stack.why, stack.tid.0);
    let _ = write!(
        text,
        ", {:?}, {} frames",
        stack.python,
        stack.frames.len() + stack.omitted as usize
    );
    for native in stack.natives.iter().take(SHOWN) {
        let name = native.function.as_deref().unwrap_or("?");
        let _ = write!(text, "\n    ({name})");
    }
    for frame in stack.frames.iter().take(SHOWN) {
        let _ = write!(text, "\n    {}", shown(frame));
    }
    text
}
