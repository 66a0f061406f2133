use super::{
    live::{self, Look},
    usual_log::{file_name, header, line},
};
use crate::{
    align::Story,
    entry::{Begin, Lang, Program, Style},
    report::log_lines::{self, Said},
    sample::{begin, checkpoint, rss, seconds},
};

fn lines(entry: &crate::entry::Entry, look: Option<Look>) -> Vec<String> {
    let mut story = Story::begin(seconds(0), begin());
    let mut rows = Vec::new();
    story.apply(entry, &mut rows);
    let one = |row| match look {
        None => line(&story, row),
        Some(look) => live::line(&story, row, look),
    };
    rows.iter().map(one).collect()
}

#[test]
fn a_checkpoint_reads_as_the_users_know_it() {
    assert_eq!(
        lines(&checkpoint(0, "回测启动", 60), None),
        ["[2025-11-20 10:30:45] [INFO] [回测启动] RSS=60.00MB (Δ+0.00MB, +0.00MB)"]
    );
}

#[test]
fn crossing_a_threshold_reads_as_the_users_know_it() {
    assert_eq!(
        lines(&rss(198, 870), None),
        [
            "[2025-11-20 10:34:03] [CRITICAL] ⚠️ 内存接近危险阈值！当前RSS=870.00MB (阈值=950.00MB)",
            "[2025-11-20 10:34:03] [WARNING] [后台监控] RSS=870.00MB (Δ+810.00MB)",
        ]
    );
}

#[test]
fn the_terminal_gets_the_same_line_with_pid_and_colour() {
    let look = Look {
        colour: true,
        pid: true,
    };
    assert_eq!(
        lines(&rss(198, 870), Some(look))[1],
        "\x1b[33m  12345 [2025-11-20 10:34:03] [WARNING] [后台监控] RSS=870.00MB (Δ+810.00MB)\x1b[0m"
    );
    assert_eq!(
        lines(&rss(198, 870), Some(Look::default())),
        lines(&rss(198, 870), None)
    );
}

#[test]
fn every_name_is_read_back_from_its_line() {
    let pieces = [
        "]",
        "] RSS=",
        "[INFO] ",
        "\\",
        "\n",
        "\x1b",
        "\u{202e}",
        "检查",
        " ",
        " | ",
        "RSS=1.00MB (Δ+1.00MB)",
        "\u{2028}",
    ];
    for n in 0..pieces.len().pow(3) {
        let name = [n, n / pieces.len(), n / pieces.len().pow(2)]
            .map(|n| pieces[n % pieces.len()])
            .concat();
        let written = lines(&checkpoint(0, &name, 60), None);
        let Some(Said::Checkpoint {
            name: read,
            details: None,
            ..
        }) = log_lines::parse(&written[0]).map(|line| line.what)
        else {
            panic!("unreadable: {}", written[0]);
        };
        assert_eq!(read, name);
    }
}

#[test]
fn the_header_has_its_six_fields_first_and_in_order() {
    let text = header(&Story::begin(seconds(0), begin()));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[1..7],
        [
            "内存监控日志 - python3 (backtest.py)",
            "开始时间: 2025-11-20 10:30:45",
            "PID: 12345",
            "基线内存: RSS=60.00MB",
            "警告阈值: 800.00MB",
            "危险阈值: 950.00MB",
        ]
    );
    assert_eq!(
        (lines[0], lines[lines.len() - 2], lines[lines.len() - 1]),
        ("=".repeat(80).as_str(), "=".repeat(80).as_str(), "")
    );
}

#[test]
fn the_header_speaks_english_too() {
    let english = Begin {
        style: Style {
            lang: Lang::En,
            ..begin().style
        },
        ..begin()
    };
    assert!(header(&Story::begin(seconds(0), english)).contains("\nWarning threshold: 800.00MB\n"));
}

#[test]
fn a_file_name_holds_nothing_that_a_directory_would_read() {
    assert_eq!(
        file_name(&begin()),
        "memory_monitor_python3_12345_20251120_103045.log"
    );
    let odd = Begin {
        program: Program {
            comm: "../a b\n加".into(),
            ..Program::default()
        }
        .into(),
        ..begin()
    };
    assert_eq!(
        file_name(&odd),
        "memory_monitor_.._a_b_加_12345_20251120_103045.log"
    );
}
