//! The sections of the page that stacks make: growth by line and by function, and what each thread
//! was at when the process was killed.

use super::{
    page::section,
    places::{self, frame_in_full, gap, native_in_full, runs},
    position,
};
use crate::{
    align::{
        Story,
        book::Marks,
        growth::{Grown, Growth, Moved, Place},
        threads::First,
    },
    entry::{Lang, PythonState, Stack},
    text::pad,
    units::Delta,
    words::{Word, fill, say},
};

/// Threads whose stacks are shown, and frames of each.
const THREADS: usize = 8;
const FRAMES: usize = 64;

/// Where memory grew; nothing where no stacks were taken.
pub(super) fn by_line(story: &Story) -> String {
    let Some(growth) = story.growth() else {
        return String::new();
    };
    let lang = story.begin.style.lang;
    let total = growth.total.net;
    let all = growth.lines();
    let shown = listed(&all);
    let mut lines = vec![basis(lang, growth)];
    lines.extend(
        shown
            .is_empty()
            .then(|| say(lang, Word::NoLineGrew).to_owned()),
    );
    lines.extend(table(lang, shown, total));
    if all.len() > shown.len() {
        let sum = shown.iter().map(|grown| grown.moved.net.0).sum::<i64>();
        let rest = Delta(total.0.saturating_sub(sum));
        lines.push(fill(lang, Word::OtherLines, &[&rest]));
    }
    let functions = growth.functions();
    let functions = listed(&functions);
    if !functions.is_empty() {
        lines.push(format!("{}:", say(lang, Word::ByFunction)));
        lines.extend(table(lang, functions, total));
    }
    section("📈", say(lang, Word::ByLineTitle), &indented(&lines))
}

/// The stacks of the threads at the kill; nothing where none were told.
pub(super) fn at_kill(story: &Story) -> String {
    let (Some(threads), Some((first, why))) = (story.threads.as_deref(), story.first_thread())
    else {
        return String::new();
    };
    let lang = story.begin.style.lang;
    let stacks = threads.in_order(first.tid);
    let mut lines = Vec::new();
    for stack in stacks.iter().take(THREADS) {
        let why = (stack.tid == first.tid).then_some(why);
        lines.push(heading(lang, stack, why));
        lines.extend(
            frames(lang, stack)
                .iter()
                .map(|frame| format!("   {frame}")),
        );
    }
    let more = stacks.len().saturating_sub(THREADS) as u64 + threads.left_out();
    lines.extend((more > 0).then(|| fill(lang, Word::MoreThreads, &[&more])));
    section("🧵", say(lang, Word::AtKillTitle), &indented(&lines))
}

fn indented(lines: &[String]) -> String {
    lines
        .iter()
        .fold(String::new(), |text, line| text + "  " + line + "\n")
}

fn basis(lang: Lang, growth: &Growth) -> String {
    let mut text = fill(
        lang,
        Word::ByLineBasis,
        &[&growth.total.net, &growth.stacks],
    );
    if growth.incomplete > 0 {
        text += &fill(lang, Word::ByLineIncomplete, &[&growth.incomplete]);
    }
    text
}

/// The first few that grew by as much as shows.
fn listed(grown: &[Grown]) -> &[Grown] {
    let is_listed = |grown: &Grown| grown.place != Place::Others && Marks::shows(grown.moved.net);
    let end = grown
        .iter()
        .take(Growth::LISTED)
        .take_while(|grown| is_listed(grown))
        .count();
    &grown[..end]
}

/// `#1    +398.00MB  41.2%  /srv/bot/config.py:118 load_learning_config (增 +400.00MB, 减 -2.00MB)`.
fn table(lang: Lang, rows: &[Grown], total: Delta) -> impl Iterator<Item = String> {
    let row = move |(at, grown): (usize, &Grown)| {
        let number = pad(&format!("#{}", at + 1), 3);
        let net = format!("{:>11}", grown.moved.net.to_string());
        let share = share(grown.moved.net, total);
        let place = places::in_full(lang, &grown.place);
        let moves = moves(lang, grown.moved);
        let mut lines = vec![format!("{number} {net} {share:>6}  {place}{moves}")];
        lines.extend(grown.callers.iter().map(|caller| {
            let net = format!("{:>11}", caller.net.to_string());
            format!("    {net} {:>6}    ← {}", "", frame_in_full(&caller.frame))
        }));
        lines
    };
    rows.iter().enumerate().flat_map(row)
}

/// What was gained and lost, where the net growth does not tell.
fn moves(lang: Lang, moved: Moved) -> String {
    let shrunk = moved.shrunk();
    if Marks::shows(Delta(shrunk.0.saturating_neg())) {
        fill(lang, Word::GainedLost, &[&moved.gained, &shrunk])
    } else {
        String::new()
    }
}

#[expect(clippy::cast_precision_loss, reason = "one decimal of a percentage")]
fn share(part: Delta, total: Delta) -> String {
    if total.0 <= 0 {
        return String::new();
    }
    format!("{:.1}%", part.0 as f64 * 100.0 / total.0 as f64)
}

fn heading(lang: Lang, stack: &Stack, first: Option<First>) -> String {
    let is_native = stack.python == PythonState::Unknown && !stack.natives.is_empty();
    let thread = match stack.frames.as_slice() {
        [] if !is_native => position::runs_no_python(lang, stack),
        _ => position::thread(lang, Word::Thread, stack),
    };
    match first {
        Some(First::Asked) => format!("{thread} ← {}", say(lang, Word::AskedForIt)),
        Some(First::GrewLast) => format!("{thread} ← {}", say(lang, Word::GrewLast)),
        Some(First::RunsPython | First::Any) | None => thread,
    }
}

/// The frames of a thread, and where some are missing.
fn frames(lang: Lang, stack: &Stack) -> Vec<String> {
    let left_out = |count: &dyn std::fmt::Display| fill(lang, Word::FramesLeftOut, &[count]);
    let runs = runs(stack);
    let (shown, rest) = runs.split_at(runs.len().min(FRAMES));
    let mut lines = Vec::new();
    for native in &stack.natives {
        let gap = native.behind_gap.then(|| "…".to_owned());
        let native = gap.into_iter().chain([native_in_full(native)]);
        lines.extend(native.map(|native| fill(lang, Word::NativeFrame, &[&native])));
    }
    for run in shown {
        lines.extend(run.is_behind_gap.then(|| left_out(&stack.omitted)));
        lines.push(frame_in_full(run.frame) + &run.times(lang));
    }
    let rest: usize = rest.iter().map(|run| run.length).sum();
    let at_end = gap(stack, stack.frames.len()).then(|| left_out(&stack.omitted));
    lines.extend(match rest {
        0 => at_end,
        rest => Some(left_out(&rest)),
    });
    let end = match stack.python {
        _ if stack.frames.is_empty() => None,
        PythonState::Cut => Some(Word::FramesCut),
        PythonState::Torn => Some(Word::FramesTorn),
        PythonState::Whole | PythonState::OtherThread | PythonState::Unknown => None,
    };
    lines.extend(end.map(|word| say(lang, word).to_owned()));
    lines
}
