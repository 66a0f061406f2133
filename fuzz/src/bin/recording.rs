//! Recordings: what is read is written and read back the same, and whatever stands in one, neither
//! its log nor its report can be told from a terminal's commands or have a line forged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use memtrace::{
    align::{Story, row::Line},
    entry::{Entry, NameState},
    record::{read::Reader, write},
    report,
    report::log_lines::{self, Said},
    report_files, sink,
};
use memtrace_fuzz::assert_plain;

fuzz_target!(|data: &[u8]| {
    let entries = read(data);
    let text: String = entries
        .iter()
        .map(|entry| write::line(entry) + "\n")
        .collect();
    assert_eq!(text.lines().count(), entries.len());
    assert_eq!(read(text.as_bytes()), entries, "{text}");

    let mut story: Option<Story> = None;
    for entry in &entries {
        match (Story::of(entry), &mut story) {
            (Some(begun), _) => {
                assert_plain(&sink::usual_log::header(&begun));
                assert_plain(&sink::usual_log::file_name(&begun.begin));
                story = Some(begun);
            }
            (None, Some(story)) => follow(story, entry),
            (None, None) => {}
        }
    }
    if let Ok(stories) = report_files::stories(data) {
        for story in &stories {
            assert_plain(&report::text(story));
        }
    }
});

fn read(data: &[u8]) -> Vec<Entry> {
    let mut reader = Reader::new(data);
    std::iter::from_fn(|| reader.entry().ok().flatten()).collect()
}

/// Every line of the log is one, and a checkpoint's gives back its name and details.
fn follow(story: &mut Story, entry: &Entry) {
    let mut rows = Vec::new();
    story.apply(entry, &mut rows);
    for row in &rows {
        let line = sink::usual_log::line(story, row);
        assert_plain(&line);
        assert!(!line.contains('\n'), "{line:?}");
        let (Line::Checkpoint(mark), Some(parsed)) = (&row.line, log_lines::parse(&line)) else {
            continue;
        };
        let Said::Checkpoint { name, details, .. } = parsed.what else {
            panic!("{line:?} is no checkpoint any more: {:?}", parsed.what);
        };
        assert_eq!(details.as_deref(), mark.details.as_deref(), "{line:?}");
        if mark.name_state == NameState::Whole {
            assert_eq!(name, *mark.name, "{line:?}");
        }
    }
}
