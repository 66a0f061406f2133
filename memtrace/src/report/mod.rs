//! The report: what a reader gets after the end, in the log and on the terminal. Pure: a story in,
//! text out, the same text for the same story whenever it is made.
#![forbid(unsafe_code)]

use crate::{align::Story, entry::Style, phrase};

use self::{page::Page, places::Names};

mod facts;
pub mod folded;
mod growth;
pub mod log_lines;
pub mod old_log;
mod page;
mod places;
mod position;
mod verdict;

#[cfg(test)]
mod tests;

/// The whole report, from its first rule to its last, with the line end of the last line. Its time
/// is that of the last entry, so that a replay gives the same bytes.
pub fn text(story: &Story) -> String {
    let Style {
        lang, precision, ..
    } = story.begin.style;
    let title = story
        .name
        .as_deref()
        .map_or_else(|| phrase::title(&story.program), crate::text::escape);
    Page {
        lang,
        clock: &story.clock,
        precision,
        title,
        generated: story.latest,
        ending: verdict::ending(story).text(),
        kernel_peak: verdict::kernel_peak(story),
        book: &story.book,
        names: Names::of(story),
        stacks: growth::by_line(story) + &growth::at_kill(story),
    }
    .text()
}

/// The verdict alone, as it stands in the report, with the line end of the last line; for a
/// process that was killed, whoever killed it.
pub fn verdict(story: &Story) -> Option<String> {
    verdict::was_killed(story).then(|| verdict::ending(story).text())
}
