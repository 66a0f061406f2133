//! Recordings in, text out, compared with files in `data/`. `MEMTRACE_BLESS=1` rewrites them.

use std::{
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
};

use memtrace::{
    align::Story,
    entry::{Entry, Lang, What},
    record, report,
    report_files::{self, Source},
    sink::usual_log,
};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("data")
        .join(name)
}

fn compare(name: &str, text: &str) {
    let path = data(name);
    if std::env::var_os("MEMTRACE_BLESS").is_some() {
        fs::write(&path, text).expect("a golden can be written");
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        golden == text,
        "{name} differs; MEMTRACE_BLESS=1 rewrites it. Now:\n{text}"
    );
}

/// Replays a recording in a language: the whole log (header, lines, report) and the report.
fn replay(name: &str, lang: Lang) -> (String, String) {
    let mut reader = record::read::Reader::new(BufReader::new(
        File::open(data(name)).expect("the recording exists"),
    ));
    let mut log = String::new();
    let mut story: Option<Story> = None;
    let mut rows = Vec::new();
    while let Some(mut entry) = reader.entry().expect("the recording is of our version") {
        // What is written again reads the same.
        let again = record::write::line(&entry);
        assert_eq!(
            serde_json::from_str::<Entry>(&again).expect("our own line"),
            entry
        );
        if let What::Begin(begin) = &mut entry.what {
            begin.style.lang = lang;
        }
        match &mut story {
            None => {
                let begun = Story::of(&entry).expect("a recording begins with a beginning");
                log.push_str(&usual_log::header(&begun));
                story = Some(begun);
            }
            Some(story) => {
                story.apply(&entry, &mut rows);
                for row in rows.drain(..) {
                    let line = usual_log::line(story, &row);
                    assert!(
                        !line.chars().any(char::is_control),
                        "a line holds a control character: {line:?}"
                    );
                    log.push_str(&(line + "\n"));
                }
            }
        }
    }
    let mut story = story.expect("a recording has a beginning");
    story.book.lost.merge(reader.lost());
    let report = report::text(&story);
    (log + "\n" + &report, report)
}

/// A recording gives the log of its golden in both languages; the log gives its report again.
fn check(name: &str) {
    for (lang, suffix) in [(Lang::Zh, "zh"), (Lang::En, "en")] {
        let (log, report) = replay(&format!("{name}.jsonl"), lang);
        compare(&format!("{name}.{suffix}.log"), &log);
        let golden = data(&format!("{name}.{suffix}.log"));
        let back = report_files::from_file(&golden).expect("the file gives a report");
        assert_eq!(
            (back.source, back.reports.as_slice()),
            (Source::Log, [report.clone()].as_slice())
        );
        within_fifty_lines(&report);
        rebuilds(&log, &report);
    }
    let (_, report) = replay(&format!("{name}.jsonl"), Lang::Zh);
    let outcome =
        report_files::from_file(&data(&format!("{name}.jsonl"))).expect("the file gives a report");
    assert_eq!(
        (outcome.source, outcome.reports.as_slice()),
        (Source::Recording, [report].as_slice())
    );
}

/// The top ten ends within the fifty lines that `grep -A 50` shows after the title.
fn within_fifty_lines(report: &str) {
    let line = |sign: &str| report.lines().position(|line| line.starts_with(sign));
    let after_top = line("⚠️")
        .or(line("📈"))
        .or(line("🧵"))
        .or(line("📍"))
        .expect("a report lists its checkpoints");
    assert!(after_top <= 51, "the top ten ends at line {after_top}");
    assert!(
        report
            .lines()
            .take(51)
            .all(|line| line.chars().count() < 400),
        "an overlong line: {report}"
    );
}

/// The log without its report gives a report with the same top ten and the same checkpoints, but for
/// the lines under the ten that stacks tell: a log has none.
fn rebuilds(log: &str, report: &str) {
    let mut reader = report::old_log::Reader::new("log");
    let lines = log.strip_suffix(report).expect("the report ends the log");
    lines.lines().for_each(|line| reader.line(line));
    let rebuilt = reader.finish();
    assert_eq!(rebuilt.len(), 1);
    assert_eq!(section(&rebuilt[0], "📍"), section(report, "📍"));
    let has_stacks = !section(report, "📈").is_empty();
    let top = |report| {
        let lines = section(report, "🔥").into_iter();
        lines
            .filter(|line| !has_stacks || !line.starts_with("     "))
            .collect::<Vec<_>>()
    };
    assert_eq!(top(&rebuilt[0]), top(report));
    assert!(
        !rebuilt[0].contains('×'),
        "no line of ours is unreadable: {}",
        rebuilt[0]
    );
}

fn section<'a>(report: &'a str, sign: &str) -> Vec<&'a str> {
    let lines = report.lines().skip_while(|line| !line.starts_with(sign));
    lines.take_while(|line| !line.is_empty()).collect()
}

/// A log of the older monitor gives the report of its golden.
fn check_old(name: &str) {
    let outcome =
        report_files::from_file(&data(&format!("{name}.log"))).expect("the file gives a report");
    assert_eq!(outcome.source, Source::Log);
    compare(&format!("{name}.report.txt"), &outcome.reports.concat());
}

#[test]
fn golden_own_oom() {
    check("own_oom");
}

#[test]
fn golden_innocent_victim_of_a_neighbour() {
    check("innocent_victim");
}

#[test]
fn golden_sigkill_by_earlyoom() {
    check("earlyoom");
}

#[test]
fn golden_cgroup_kill_of_a_process_begun_under_our_eyes() {
    check("cgroup_kill");
}

#[test]
fn golden_clean_exit_with_the_programs_own_start() {
    check("clean_exit");
}

#[test]
fn golden_oom_without_checkpoints() {
    check("no_checkpoints");
}

#[test]
fn golden_losses_are_told() {
    check("losses");
}

#[test]
fn golden_hostile_names_forge_nothing() {
    check("hostile_names");
}

#[test]
fn golden_long_command_line_and_many_checkpoints() {
    check("long_command_line");
}

#[test]
fn golden_segfault() {
    check("segfault");
}

#[test]
fn golden_detached() {
    check("detached");
}

#[test]
fn golden_recording_that_breaks_off() {
    check("breaks_off");
}

#[test]
fn golden_oom_at_the_line_that_grew_most() {
    check("stacks");
}

#[test]
fn golden_asleep_while_another_process_hit_the_limit() {
    check("stacks_asleep");
}

#[test]
fn golden_sigkill_deep_in_a_library() {
    check("stacks_sigkill");
}

#[test]
fn golden_oom_in_a_thread_without_python() {
    check("stacks_blas");
}

#[test]
fn golden_oom_of_a_program_without_python() {
    check("stacks_native");
}

#[test]
fn golden_old_log_of_the_deployment_notes() {
    check_old("old_deploy");
}

#[test]
fn golden_old_log_with_remarks_and_a_line_without_level() {
    check_old("old_remarks");
}

#[test]
fn golden_old_log_with_odd_sizes_stacks_and_a_cut_end() {
    check_old("old_odd");
}

#[test]
fn golden_files_without_a_report_are_named_in_the_error() {
    let folder = std::env::temp_dir().join(format!("memtrace-golden-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let error = |text: &str| {
        let path = folder.join("file");
        fs::write(&path, text).unwrap();
        let error = report_files::from_file(&path).unwrap_err();
        assert!(
            error.to_string().contains(&*path.to_string_lossy()),
            "{error}"
        );
        format!("{:#}", anyhow::Error::from(error))
    };
    assert!(error("").contains("neither a memtrace recording nor"));
    assert!(error("some text\n").contains("neither a memtrace recording nor"));
    assert!(error("{\"at\":1}\n").contains("without a beginning"));
    assert!(
        error("{\"at\":1,\"event\":\"begin\",\"version\":9}\n").contains("recording of version 9")
    );
    assert!(
        report_files::from_file(&folder.join("missing"))
            .unwrap_err()
            .to_string()
            .contains("missing")
    );
    fs::remove_dir_all(&folder).unwrap();
}
