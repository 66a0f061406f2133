//! What stacks add to a verdict: where the program was when it was killed, and which line grew most
//! before that. The one is the moment, the other the cause, and the words say which is which.

use super::{
    facts,
    places::{self, Names},
};
use crate::{
    align::{
        Kill, Killer, Story,
        growth::{Grown, Place},
        threads::First,
    },
    entry::{Lang, PythonState, Stack},
    text::escape,
    words::{Word, fill, say},
};

/// `config.py:118 load_learning_config ← backtest.py:10810 main`, and what is to be said of it.
/// Nothing where no stacks were told.
pub(super) fn position(story: &Story, names: &Names) -> Option<String> {
    let lang = story.begin.style.lang;
    let unknown = story.unknown_python.as_ref();
    let unknown = unknown.map(|why| fill(lang, Word::UnknownPython, &[&escape(why)]));
    let Some((stack, why)) = story.first_thread() else {
        return unknown;
    };
    let is_native = stack.python == PythonState::Unknown && !stack.natives.is_empty();
    if stack.frames.is_empty() && !is_native {
        return unknown.or_else(|| Some(without_frames(story, stack, names)));
    }
    let is_leader = stack.tid.0 == story.begin.pid.0;
    let thread = (!is_leader).then(|| thread(lang, Word::Thread, stack));
    let torn = (stack.python == PythonState::Torn).then(|| say(lang, Word::StackTorn).to_owned());
    let moment = moment(story, stack, why).map(|word| say(lang, word).to_owned());
    let native = is_native.then(|| say(lang, Word::NativeCode).to_owned());
    let notes = native.into_iter().chain(unknown).chain(thread);
    let notes: Vec<String> = notes.chain(torn).chain(moment).collect();
    let text = if is_native {
        places::natives(&stack.natives)
    } else {
        names.stack(lang, stack)
    };
    Some(match notes.as_slice() {
        [] => text,
        notes => format!("{text} ({})", notes.join(", ")),
    })
}

/// What the position is not: where it is only that.
fn moment(story: &Story, stack: &Stack, why: First) -> Option<Word> {
    // Who sent the SIGKILL may be unknown.
    let Some(kill) = story.kill.as_deref() else {
        return Some(Word::PositionThen);
    };
    let grew_here = kill
        .lines
        .first()
        .map(|grown| grown.place == Place::of(stack));
    match &kill.by {
        Killer::Sigkill(_) => Some(Word::PositionThen),
        Killer::Oom(oom) if !oom.own => Some(Word::PositionNotTrigger),
        Killer::Oom(_) if why != First::Asked => Some(Word::PositionThen),
        Killer::Oom(_) if grew_here == Some(false) => Some(Word::PositionNotGrowth),
        Killer::Oom(_) => None,
    }
}

/// The thread has no frames to show: why, and where Python was meanwhile.
fn without_frames(story: &Story, stack: &Stack, names: &Names) -> String {
    let lang = story.begin.style.lang;
    let text = runs_no_python(lang, stack);
    let text = match stack.natives.as_slice() {
        [] => text,
        natives => format!("{text}: {}", places::natives(natives)),
    };
    let python = story
        .threads
        .as_deref()
        .and_then(|threads| threads.running_python());
    match python {
        None => text,
        Some(python) => {
            let at = names.stack(lang, python);
            text + "\n" + &fill(lang, Word::Meanwhile, &[&python.tid, &at])
        }
    }
}

/// Why a thread has no frames.
pub(super) fn runs_no_python(lang: Lang, stack: &Stack) -> String {
    let word = match stack.python {
        PythonState::Whole | PythonState::OtherThread => Word::ThreadNoPython,
        PythonState::Cut | PythonState::Torn => Word::ThreadUnread,
        PythonState::Unknown => Word::ThreadNoInterpreter,
    };
    thread(lang, word, stack)
}

/// A thread by number and name, in a phrase.
pub(super) fn thread(lang: Lang, word: Word, stack: &Stack) -> String {
    fill(lang, word, &[&stack.tid, &escape(&stack.comm)])
}

/// The line that grew most in the last minute, and below it the checkpoints.
pub(super) fn grew(story: &Story, kill: &Kill, names: &Names) -> Option<String> {
    let lang = story.begin.style.lang;
    let lines = lines(lang, kill, names);
    let mark = kill.mark.as_deref();
    let marks = facts::grown_marks(lang, &story.book, mark, kill.rss);
    match (lines, marks) {
        (Some(lines), Some(marks)) => Some(lines + "\n" + &marks),
        (Some(one), None) | (None, Some(one)) => Some(one),
        (None, None) => facts::grown(lang, &story.book, mark, kill.rss),
    }
}

/// `config.py:118 +398.00MB (60 秒内)`, and before it what grew more without Python.
fn lines(lang: Lang, kill: &Kill, names: &Names) -> Option<String> {
    let is_code = |grown: &Grown| matches!(grown.place, Place::Code(_) | Place::Native(_));
    let first_code = kill.lines.iter().position(is_code).unwrap_or(0);
    let lines = kill.lines.get(..=first_code)?;
    let seconds = kill.recent.map_or(1, |recent| recent.seconds.max(1));
    Some(names.grown(lang, lines) + &fill(lang, Word::Within, &[&seconds]))
}
