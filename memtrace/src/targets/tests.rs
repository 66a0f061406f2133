use super::*;

fn args(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

#[test]
fn globs_match_whole_names() {
    for (pattern, text, expected) in [
        ("python3", "python3", true),
        ("python3", "python3.11", false),
        ("python*", "python3.11", true),
        ("*test?.py", "backtest1.py", true),
        ("[pq]ython", "qython", true),
        ("[!pq]ython", "python", false),
        ("a*b*c", "aXbYbZc", true),
        ("a*b*c", "aXbYbZ", false),
        ("*", "", true),
        ("", "x", false),
        ("[", "[", true),
        ("very_long_command_name", "very_long_comma", true),
    ] {
        assert_eq!(
            Glob::new(pattern).matches(text),
            expected,
            "{pattern} against {text}"
        );
    }
}

#[test]
fn a_script_is_found_behind_its_interpreter() {
    for (line, expected) in [
        ("python3 backtest.py --bot x", Some("backtest.py")),
        (
            "/usr/bin/python3.11 -u -X dev /opt/run.py",
            Some("/opt/run.py"),
        ),
        ("python3 -m http.server", Some("http.server")),
        ("python3 -c print(1)", None),
        ("bash -x job.sh", Some("job.sh")),
        ("grep backtest.py", None),
    ] {
        assert_eq!(script(&args(line)), expected, "{line}");
    }
}

#[test]
fn a_target_is_named_by_comm_exe_or_script() {
    let targets = Targets {
        comms: vec![Glob::new("backtest.py")],
        ..Targets::default()
    };
    let line = args("python3 ds/backtest.py");
    let who = Candidate {
        comm: "python3",
        args: &line,
        ..Candidate::default()
    };
    assert!(targets.matches(&who));
    let targets = Targets {
        comms: vec![Glob::new("python3.11")],
        ..Targets::default()
    };
    assert!(!targets.matches(&who));
    assert!(targets.matches(&Candidate {
        exe: Some("/usr/bin/python3.11"),
        ..who
    }));
}

#[test]
fn a_cgroup_counts_with_its_subtree_and_no_sibling() {
    let targets = Targets {
        cgroups: vec!["/bot".to_owned()],
        ..Targets::default()
    };
    let inside = |path: &str| {
        let cgroups = [path.to_owned()];
        targets.matches(&Candidate {
            cgroups: &cgroups,
            ..Candidate::default()
        })
    };
    assert!(inside("/bot") && inside("/bot/deep/er"));
    assert!(!inside("/bottom") && !inside("/"));
}

#[test]
fn hostile_patterns_end_soon() {
    let pattern = Glob::new(&"*a".repeat(200));
    assert!(!pattern.matches(&"a".repeat(199)));
    assert!(pattern.matches(&"a".repeat(200)));
    for (pattern, text, expected) in [
        ("[a-c]x", "bx", true),
        ("[a-c]x", "dx", false),
        ("[^a]", "b", true),
        ("[]]", "]", true),
        ("[a", "[a", true),
        ("[a", "a", false),
        ("[a-]", "-", true),
        ("?", "中", true),
        ("??", "中", false),
        ("**", "", true),
        ("a**b", "ab", true),
    ] {
        assert_eq!(
            Glob::new(pattern).matches(text),
            expected,
            "{pattern} against {text}"
        );
    }
}

#[test]
fn a_name_that_the_kernel_cut_matches_only_at_its_full_length() {
    let glob = Glob::new("very_long_command_name");
    assert!(!glob.matches("very_long_comm"));
    assert!(!glob.matches("very_long_commb"));
    assert!(!Glob::new("very_long_comma").matches("very_long_comm"));
}

#[test]
fn more_scripts_are_found_and_what_is_no_script_is_not() {
    for (line, expected) in [
        ("python3.13t -W ignore a.py", Some("a.py")),
        ("python3 -- a.py", Some("a.py")),
        ("python3 -", None),
        ("python3", None),
        ("python3-config a.py", None),
        ("pythonic a.py", None),
        ("java -jar app.jar", Some("app.jar")),
        ("perl -e print", None),
        ("python3 -m", None),
        ("node --inspect server.js", Some("server.js")),
    ] {
        assert_eq!(script(&args(line)), expected, "{line}");
    }
    assert_eq!(script(&[]), None);
}

#[test]
fn an_executable_is_named_by_its_name_or_by_its_path() {
    let matches = |pattern: &str, exe: Option<&str>| {
        let targets = Targets {
            exes: vec![Glob::new(pattern)],
            ..Targets::default()
        };
        targets.matches(&Candidate {
            comm: "python3",
            exe,
            ..Candidate::default()
        })
    };
    assert!(matches("python3.11", Some("/usr/bin/python3.11")));
    assert!(matches("/usr/bin/python3*", Some("/usr/bin/python3.11")));
    assert!(matches("/opt/*/bin/*", Some("/opt/conda/bin/python")));
    assert!(!matches("/usr/bin", Some("/usr/bin/python3.11")));
    assert!(!matches("python3", Some("/usr/bin/python3.11")));
    assert!(!matches("python3", None));
}

#[test]
fn users_pids_and_everybody_are_targets() {
    let of = |targets: &Targets, pid: u32, uid: Option<u32>| {
        targets.matches(&Candidate {
            pid: Tgid(pid),
            uid,
            ..Candidate::default()
        })
    };
    let user = Targets {
        uids: vec![1000],
        ..Targets::default()
    };
    assert!(of(&user, 1, Some(1000)));
    assert!(!of(&user, 1, Some(0)) && !of(&user, 1000, None));
    let pid = Targets {
        pids: vec![Tgid(7)],
        ..Targets::default()
    };
    assert!(of(&pid, 7, None) && !of(&pid, 8, None));
    let all = Targets {
        all: true,
        ..Targets::default()
    };
    assert!(of(&all, 1, None));
    assert!(!of(&Targets::default(), 1, Some(0)));
    assert!(pid.only_pids() && !user.only_pids() && !all.only_pids());
}

#[test]
fn the_root_cgroup_holds_everybody_and_a_slash_at_the_end_is_no_matter() {
    for wanted in ["/", "/bot/"] {
        let targets = Targets {
            cgroups: vec![wanted.to_owned()],
            ..Targets::default()
        };
        let cgroups = ["/bot/1".to_owned()];
        assert!(
            targets.matches(&Candidate {
                cgroups: &cgroups,
                ..Candidate::default()
            }),
            "{wanted}"
        );
    }
}
