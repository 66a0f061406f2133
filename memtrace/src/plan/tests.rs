use clap::Parser as _;

use super::*;

fn plan(line: &[&str]) -> Result<TracePlan, String> {
    let cli = Cli::try_parse_from(std::iter::once(&"memtrace").chain(line)).unwrap();
    match Plan::new(cli) {
        Ok(Plan::Trace(plan)) => Ok(*plan),
        Ok(_) => panic!("not a trace"),
        Err(error) => Err(error.to_string()),
    }
}

fn error(line: &[&str]) -> String {
    plan(line).map(|_| "no error").unwrap_err()
}

#[test]
fn nobody_to_watch_is_an_error_that_names_the_ways() {
    let error = error(&["--quiet"]);
    for way in [
        "--comm",
        "--pid",
        "--exe",
        "--cgroup",
        "--uid",
        "--all",
        "memtrace run",
    ] {
        assert!(error.contains(way), "{error}");
    }
}

#[test]
fn a_process_that_is_not_there_and_a_thread_are_refused_by_name() {
    let error_of = error(&["--pid", "4194305"]);
    assert!(
        error_of.starts_with("no such process: 4194305"),
        "{error_of}"
    );
    let own = std::process::id();
    // Alive until the end of the test: other tests' threads come and go.
    let (tell, told) = std::sync::mpsc::channel();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let other = std::thread::spawn(move || {
        let task = fs::read_link("/proc/thread-self").unwrap();
        tell.send(task.file_name().unwrap().to_string_lossy().into_owned())
            .unwrap();
        let _ = ended.recv();
    });
    let thread = told.recv().unwrap();
    let error = error(&["--pid", &thread]);
    drop(end);
    other.join().unwrap();
    assert_eq!(
        error,
        format!("{thread} is a thread of process {own}: give --pid {own}")
    );
    assert_eq!(
        plan(&["--pid", &own.to_string()]).unwrap().targets.pids,
        [Tgid(own)]
    );
}

#[test]
fn users_are_numbers_or_names() {
    assert_eq!(plan(&["--uid", "root"]).unwrap().targets.uids, [0]);
    assert_eq!(plan(&["--uid", "1234"]).unwrap().targets.uids, [1234]);
    assert_eq!(error(&["--uid", "no body"]), "no such user: no body");
}

#[test]
fn a_cgroup_that_is_not_there_is_named() {
    let error = error(&["--cgroup", "/no/such/group"]);
    assert!(
        error.starts_with("no such cgroup: /no/such/group"),
        "{error}"
    );
}

#[test]
fn thresholds_are_parts_of_the_limit_or_fixed_or_the_defaults() {
    let limit = Limit {
        cgroup: "/bot".to_owned(),
        file: "memory.max".to_owned(),
        limit: Bytes::from_mb(300),
    };
    let of = |line: &[&str], limit: Option<&Limit>| {
        let style = plan(line).unwrap().style.of(limit);
        (
            style.warning.0 >> 20,
            style.warning_fixed,
            style.critical.0 >> 20,
            style.critical_fixed,
        )
    };
    let line = &["--all", "--warning", "80%", "--critical", "290"];
    assert_eq!(of(line, Some(&limit)), (240, true, 290, true));
    // Without a limit a part of it is nothing: the default holds, and the program's own may.
    assert_eq!(of(line, None), (800, false, 290, true));
    assert_eq!(of(&["--all"], Some(&limit)), (800, false, 950, false));
}

#[test]
fn markers_are_symbols_with_a_name_if_given() {
    let plan = plan(&[
        "--all",
        "--marker",
        "load",
        "--marker",
        "save=written=twice",
    ])
    .unwrap();
    let symbols: Vec<&str> = plan.markers.iter().map(|marker| &*marker.symbol).collect();
    assert_eq!(symbols, ["load", "save"]);
    assert_eq!(plan.marker_names[&plan.markers[0].cookie], "load");
    assert_eq!(plan.marker_names[&plan.markers[1].cookie], "written=twice");
}

#[test]
fn a_marker_that_is_wrong_is_named_with_what_is() {
    for (marker, expected) in [
        ("", "--marker : write [PATH:]SYMBOL[=NAME]"),
        ("load=", "--marker load=: write [PATH:]SYMBOL[=NAME]"),
        (
            "/lib/x.so:",
            "--marker /lib/x.so:: write [PATH:]SYMBOL[=NAME]",
        ),
        (
            "/no/such.so:load",
            "--marker /no/such.so:load: /no/such.so: No such file or directory (os error 2)",
        ),
        ("/proc:load", "--marker: /proc: not a regular file"),
    ] {
        assert_eq!(error(&["--all", "--marker", marker]), expected);
    }
}

#[test]
fn a_symbol_that_is_not_in_its_file_is_answered_with_the_nearest_names() {
    let own = std::env::current_exe().unwrap();
    let own = own.to_string_lossy();
    // Every program has a `main`.
    let wrong = error(&["--all", "--marker", &format!("{own}:mian")]);
    assert!(
        wrong.contains("has no function mian; the nearest names there are"),
        "{wrong}"
    );
    assert!(wrong.contains("main"), "{wrong}");
    let none = error(&["--all", "--marker", &format!("{own}:{}", "zq".repeat(10))]);
    assert!(none.ends_with("nothing there has a similar name"), "{none}");
    let plan = plan(&["--all", "--marker", &format!("{own}:main=start")]).unwrap();
    assert_eq!(plan.markers[0].path.as_deref(), Some(Path::new(&*own)));
}

#[test]
fn a_ring_of_zero_is_one_page_and_others_are_powers_of_two() {
    for (mb, bytes) in [
        ("0", 4096),
        ("1", 1 << 20),
        ("3", 4 << 20),
        ("1024", 1 << 30),
    ] {
        assert_eq!(plan(&["--all", "--ring-mb", mb]).unwrap().ring_bytes, bytes);
    }
}

#[test]
fn a_command_is_run_and_needs_nobody_else() {
    let plan = plan(&["run", "--memory-max", "300M", "--", "true", "-x"]).unwrap();
    let run = plan.run.unwrap();
    assert_eq!(run.command, ["true", "-x"]);
    assert_eq!(run.memory_max, Some(Bytes::from_mb(300)));
    assert!(plan.targets.only_pids());
}
