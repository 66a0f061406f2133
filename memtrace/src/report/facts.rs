//! The lines under the headline of a verdict: one phrase per question.
//!
//! # Who is to blame
//!
//! A victim counts as innocent when it grew by less than 16 MB and by less than a tenth of its RSS
//! in the last minute, while another process of the group that ran out grew by at least 16 MB. The
//! one that grew most is then named in the line after the headline.

use crate::{
    align::{
        Kill, Story,
        book::{Book, Recent},
        row::Mark,
    },
    entry::{Actor, Constraint, Lang, Memory, Neighbour, Neighbours},
    phrase,
    text::escape,
    units::{BootNanos, Bytes, Delta},
    words::{Word, fill, say},
};

/// Growth in the last minute from which a process counts as one that grew.
const GREW: Delta = Delta(16 << 20);

/// Other processes that one line names.
const NAMED: usize = 5;

/// Checkpoints that one line names beside the last one.
const NAMED_MARKS: usize = 2;

/// Says who grew, where it was not the victim.
pub(super) fn blame(story: &Story, kill: &Kill) -> Option<String> {
    let Neighbours {
        window_seconds,
        processes,
    } = story.neighbours.as_deref()?;
    let pid = story.begin.pid;
    let itself = processes.iter().find(|process| process.who.pid == pid);
    let own = itself
        .map(growth)
        .or(kill.recent.map(|Recent { grown, .. }| grown))?;
    let worst = processes
        .iter()
        .filter(|process| process.who.pid != pid)
        .max_by_key(|process| growth(process))?;
    let rss = i64::try_from(kill.rss?.0).unwrap_or(i64::MAX);
    let innocent = own < GREW && own.0.saturating_mul(10) < rss;
    if !innocent || growth(worst) < GREW {
        return None;
    }
    let lang = story.begin.style.lang;
    let Neighbour {
        who,
        rss: _,
        before: _,
        checkpoint,
    } = worst;
    let word = if own < Delta(1 << 20) {
        Word::Innocent
    } else {
        Word::NearlyInnocent
    };
    let process = phrase::process(who.pid, &who.comm, &who.args);
    let sentence = fill(
        lang,
        word,
        &[window_seconds, &own, &process, &growth(worst)],
    );
    let after = |name: &String| fill(lang, Word::InnocentAfter, &[&phrase::short_name(name)]);
    Some(sentence + &checkpoint.as_ref().map(after).unwrap_or_default())
}

fn growth(process: &Neighbour) -> Delta {
    process.rss.since(process.before)
}

/// `[加载config_BEFORE] 之后 1.2 秒, 此后 +412.07MB`, or what helps where there is no checkpoint.
pub(super) fn checkpoint(story: &Story, kill: &Kill) -> String {
    let lang = story.begin.style.lang;
    let Some(mark) = &kill.mark else {
        return without_checkpoint(story, kill);
    };
    let ago = phrase::span(lang, kill.at.seconds_since(mark.at));
    let name = phrase::short_mark_name(lang, mark);
    match kill.rss {
        Some(rss) => fill(lang, Word::AfterGrown, &[&name, &ago, &rss.since(mark.rss)]),
        None => fill(lang, Word::After, &[&name, &ago]),
    }
}

fn without_checkpoint(story: &Story, kill: &Kill) -> String {
    let lang = story.begin.style.lang;
    let ago = phrase::span(lang, kill.at.seconds_since(story.began));
    let mut parts = vec![
        say(lang, Word::NoCheckpoint).to_owned(),
        fill(lang, Word::NoCheckpointAgo, &[&ago]),
    ];
    parts.extend(
        kill.recent
            .map(|Recent { grown, seconds }| fill(lang, Word::RecentGrowth, &[&seconds, &grown])),
    );
    parts.extend(
        kill.rss
            .map(|rss| fill(lang, Word::GrowthSinceBaseline, &[&story.book.total(rss)])),
    );
    parts.join(", ")
}

/// `RSS 980.78MB, [Phase3_END] 之后 0.4 秒`.
pub(super) fn then(
    story: &Story,
    at: BootNanos,
    rss: Option<String>,
    mark: Option<&Mark>,
) -> String {
    let lang = story.begin.style.lang;
    let mut parts: Vec<String> = rss.into_iter().collect();
    parts.push(match mark {
        None => say(lang, Word::NoCheckpoint).to_owned(),
        Some(mark) => {
            let ago = phrase::span(lang, at.seconds_since(mark.at));
            fill(
                lang,
                Word::After,
                &[&phrase::short_mark_name(lang, mark), &ago],
            )
        }
    });
    parts.join(", ")
}

/// `RSS 980.78MB`, and whether that is an older figure.
pub(super) fn rss_then(lang: Lang, rss: Option<Bytes>, exact: bool) -> Option<String> {
    let word = if exact { Word::RssNow } else { Word::RssKnown };
    rss.map(|rss| fill(lang, word, &[&rss]))
}

pub(super) fn triggered(lang: Lang, trigger: &Actor, own: bool, request: &str) -> String {
    let who = if own {
        fill(lang, Word::OwnTrigger, &[&trigger.tid])
    } else {
        let process = phrase::process(trigger.pid, &trigger.comm, &trigger.args);
        fill(lang, Word::OtherTrigger, &[&process, &trigger.tid])
    };
    who + request + ")"
}

/// `, 用户页, order 0`: what was asked for, as far as it is known.
pub(super) fn request(lang: Lang, order: Option<i32>, gfp: Option<u32>) -> String {
    // ___GFP_HIGHMEM | ___GFP_MOVABLE, the same bits in every kernel from 2.6.24 on: GFP_HIGHUSER_MOVABLE.
    const USER_PAGE: u32 = 0x02 | 0x08;
    let gfp = gfp.map(|gfp| match gfp & USER_PAGE {
        USER_PAGE => format!(", {}", say(lang, Word::UserPage)),
        _ => format!(
            ", {}",
            fill(lang, Word::OtherPage, &[&format_args!("{gfp:#x}")])
        ),
    });
    let order = order.map(|order| format!(", order {order}"));
    gfp.unwrap_or_default() + &order.unwrap_or_default()
}

pub(super) fn rss(
    lang: Lang,
    memory: Memory,
    page_tables: Option<Bytes>,
    printed: Option<Memory>,
) -> String {
    let Memory {
        anon,
        file,
        shmem,
        swap,
        vms: _,
    } = memory;
    let bare = |size: Bytes| size.to_string().trim_end_matches("MB").to_owned();
    let mut text = fill(
        lang,
        Word::RssExact,
        &[&memory.rss(), &bare(anon), &bare(file), &bare(shmem)],
    );
    if swap > Bytes(0) {
        text += &fill(lang, Word::RssSwap, &[&swap]);
    }
    if let Some(size) = page_tables {
        text += &fill(lang, Word::RssPageTables, &[&size]);
    }
    if let Some(printed) = printed {
        text += &fill(lang, Word::RssPrinted, &[&printed.rss()]);
    }
    text
}

/// Growth from the last checkpoint to an RSS, then the checkpoints that grew most.
pub(super) fn grown(
    lang: Lang,
    book: &Book,
    mark: Option<&Mark>,
    rss: Option<Bytes>,
) -> Option<String> {
    let nothing = || say(lang, Word::NeverGrown).to_owned();
    mark.map(|_| grown_marks(lang, book, mark, rss).unwrap_or_else(nothing))
}

/// Likewise; nothing where nothing grew.
pub(super) fn grown_marks(
    lang: Lang,
    book: &Book,
    mark: Option<&Mark>,
    rss: Option<Bytes>,
) -> Option<String> {
    let mark = mark?;
    let since = rss.map(|rss| rss.since(mark.rss)).filter(|by| by.0 > 0);
    let name = |mark: &Mark| phrase::short_mark_name(lang, mark);
    let since = since.map(|by| fill(lang, Word::GrownSince, &[&name(mark), &by]));
    let top = book.marks.top().iter().take(NAMED_MARKS);
    let parts: Vec<String> = since
        .into_iter()
        .chain(top.map(|mark| format!("[{}] {}", name(mark), mark.own)))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

pub(super) const fn group_label(constraint: &Constraint) -> Word {
    match constraint {
        Constraint::Cgroup { .. } => Word::LabelGroup,
        Constraint::Global { .. } | Constraint::Cpuset | Constraint::Unknown => Word::LabelOthers,
    }
}

/// `12345 +412.07MB, 12346 worker +1.02MB (最近 60 秒)`.
pub(super) fn group(story: &Story) -> Option<String> {
    let Neighbours {
        window_seconds,
        processes,
    } = story.neighbours.as_deref()?;
    let lang = story.begin.style.lang;
    let one = |process: &Neighbour| match process.who.pid {
        pid if pid == story.begin.pid => format!("{pid} {}", growth(process)),
        pid => phrase::grown(pid, &process.who.comm, growth(process)),
    };
    if processes.is_empty() {
        return None;
    }
    let named = processes
        .iter()
        .take(NAMED)
        .map(one)
        .collect::<Vec<_>>()
        .join(", ");
    Some(named + &more(lang, processes.len()) + &fill(lang, Word::Window, &[window_seconds]))
}

pub(super) fn together(lang: Lang, others: &[Actor]) -> Option<String> {
    if others.is_empty() {
        return None;
    }
    let one = |actor: &Actor| format!("PID {} {}", actor.pid, escape(&actor.comm));
    let named = others
        .iter()
        .take(NAMED)
        .map(one)
        .collect::<Vec<_>>()
        .join(", ");
    Some(named + &more(lang, others.len()) + say(lang, Word::TogetherWhy))
}

fn more(lang: Lang, all: usize) -> String {
    match all.saturating_sub(NAMED) {
        0 => String::new(),
        rest => fill(lang, Word::AndMore, &[&rest]),
    }
}
