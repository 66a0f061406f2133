use clap::CommandFactory as _;

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split(' '))
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn sizes_are_bytes_or_have_a_unit() {
    for (text, expected) in [
        ("300M", Some(300 << 20)),
        ("300m", Some(300 << 20)),
        ("300MB", Some(300 << 20)),
        ("300MiB", Some(300 << 20)),
        ("1.5G", Some(3 << 29)),
        ("64k", Some(64 << 10)),
        ("1T", Some(1 << 40)),
        ("1048576", Some(1 << 20)),
        ("512B", Some(512)),
        (" 2 G ", Some(2 << 30)),
        ("0", None),
        ("-1M", None),
        ("", None),
        ("M", None),
        ("NaN", None),
        ("infM", None),
        ("1e40", None),
        ("0x10", None),
        ("3 apples", None),
        ("中", None),
        ("5中", None),
    ] {
        assert_eq!(size(text).ok(), expected, "{text}");
    }
    let error = size("3 apples").unwrap_err();
    assert!(error.starts_with("`3 apples` is not a size"), "{error}");
}

#[test]
fn thresholds_are_megabytes_sizes_or_parts_of_the_limit() {
    for (text, expected) in [
        ("800", Some(ThresholdArg::Bytes(800 << 20))),
        ("1.5G", Some(ThresholdArg::Bytes(3 << 29))),
        ("80%", Some(ThresholdArg::Percent(80.0))),
        ("100%", Some(ThresholdArg::Percent(100.0))),
        ("0%", None),
        ("101%", None),
        ("NaN%", None),
        ("%", None),
        ("0", None),
        ("much", None),
    ] {
        assert_eq!(threshold(text).ok(), expected, "{text}");
    }
}

#[test]
fn intervals_are_seconds_that_a_clock_can_hold() {
    for (text, expected) in [
        ("0.5", Some(0.5)),
        ("0", Some(0.0)),
        ("-1", None),
        ("NaN", None),
        ("1e9", None),
        ("5s", None),
    ] {
        assert_eq!(seconds(text).ok(), expected, "{text}");
    }
}

#[test]
fn a_command_keeps_its_own_options() {
    let cli = parse("memtrace run --memory-max 300M -- python3 --comm x").unwrap();
    let Some(Command::Run(run)) = cli.command else {
        panic!("not a run")
    };
    assert_eq!(run.memory_max, Some(300 << 20));
    assert_eq!(run.command, ["python3", "--comm", "x"]);
}

#[test]
fn the_older_names_of_thresholds_are_taken() {
    let cli = parse("memtrace --comm x --warning-mb 800 --critical-mb 950").unwrap();
    assert_eq!(cli.trace.warning, Some(ThresholdArg::Bytes(800 << 20)));
    assert_eq!(cli.trace.critical, Some(ThresholdArg::Bytes(950 << 20)));
}

#[test]
fn what_makes_no_sense_is_refused() {
    for line in [
        "memtrace run",
        "memtrace report",
        "memtrace --pid x",
        "memtrace --comm a run -- b",
        "memtrace --all --ring-mb 2000",
        "memtrace --all --step 0",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}
