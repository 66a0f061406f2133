use super::{read::Reader, write};
use crate::{
    entry::{Entry, What},
    loss::Kind,
    sample::{begin, checkpoint, rss, seconds},
};

fn recording() -> (Vec<Entry>, String) {
    let begin = Entry {
        at: seconds(0),
        what: What::Begin(Box::new(begin())),
    };
    let entries = vec![begin, checkpoint(1, "a\n]\u{202e}", 60), rss(2, 70)];
    let text = entries
        .iter()
        .map(|entry| write::line(entry) + "\n")
        .collect();
    (entries, text)
}

fn read(text: &[u8]) -> (Vec<Entry>, u64) {
    let mut reader = Reader::new(text);
    let entries = std::iter::from_fn(|| reader.entry().unwrap()).collect();
    (entries, reader.lost().get(Kind::UnreadableLine))
}

#[test]
fn what_is_written_is_read_back_one_line_each() {
    let (entries, text) = recording();
    assert_eq!(text.lines().count(), entries.len());
    assert_eq!(read(text.as_bytes()), (entries, 0));
}

#[test]
fn a_recording_cut_anywhere_gives_its_whole_lines() {
    let (entries, text) = recording();
    for end in 0..text.len() {
        let cut = &text.as_bytes()[..end];
        let whole = cut
            .split_inclusive(|byte| *byte == b'\n')
            .filter(|line| line.ends_with(b"\n"))
            .count();
        let (read, unreadable) = read(cut);
        assert!(read.len() == whole || read.len() == whole + 1);
        assert_eq!(read, entries[..read.len()]);
        assert!(unreadable <= 1);
    }
}

#[test]
fn damaged_lines_are_skipped_and_counted() {
    let (entries, text) = recording();
    let huge = "x".repeat(3 << 20);
    let damaged =
        format!("{huge}\n{text}\n\n\0\0{{\n[1]\n{{\"at\":1,\"event\":\"nonsense\"}}\n{text}")
            .into_bytes();
    let (read, unreadable) = read(&damaged);
    assert_eq!((read.len(), unreadable), (2 * entries.len(), 4));
}

#[test]
fn a_newer_version_is_refused_even_where_it_says_other_things() {
    let mut reader = Reader::new(&b"{\"event\":\"begin\",\"version\":2,\"whatever\":{}}\n"[..]);
    let error = reader.entry().unwrap_err();
    assert_eq!(
        error.to_string(),
        "recording of version 2, this memtrace reads up to 1; use a newer memtrace"
    );
}
