//! Many processes and many checkpoints at once.

use super::rig::{Memtrace, Victim, scaled, wait_until};

#[test]
fn two_hundred_processes_with_a_thousand_checkpoints_each() {
    let (processes, checkpoints) = (scaled(200), scaled(1000));
    let memtrace = Memtrace::watch(&["--comm", "many", "--quiet"]);
    let args = [checkpoints.to_string(), "2".to_owned()];
    let mut victims: Vec<Victim> = (0..processes)
        .map(|_| Victim::start("many", &args))
        .collect();
    for victim in &victims {
        memtrace.wait_until_traced(victim.pid());
    }
    wait_until("checkpoints to be seen", || {
        let mut first = Victim::start("many", &["1", "0"]);
        first.say("go");
        first.wait();
        memtrace
            .wait_for_report(first.pid())
            .has("c0000")
            .then_some(())
    });
    for victim in &mut victims {
        victim.say("go");
    }
    // They say by their exit code how many they set.
    let code = i32::try_from(checkpoints % 100).expect("it is small");
    for victim in &mut victims {
        assert_eq!(victim.wait().code(), Some(code));
    }
    let last: Vec<u32> = victims.iter().map(Victim::pid).collect();
    for pid in &last {
        memtrace.wait_for_report(*pid);
    }
    let ended = memtrace.stop();
    ended.assert_code(0);
    let lives: Vec<_> = ended
        .lives()
        .into_iter()
        .filter(|life| last.contains(&life.begin().pid.0))
        .collect();
    assert_eq!(lives.len(), processes);
    let wanted: Vec<String> = (0..checkpoints)
        .map(|number| format!("c{number:04}"))
        .collect();
    for life in &lives {
        let names = life.names();
        let odd = (0..names.len().max(wanted.len()))
            .find(|&at| names.get(at).copied() != wanted.get(at).map(String::as_str));
        assert_eq!(
            odd.map(|at| (at, names.get(at..(at + 3).min(names.len())))),
            None,
            "of {} checkpoints of {}: {:#?}",
            names.len(),
            life.begin().pid,
            life.checkpoints().get(odd.unwrap_or(0))
        );
        assert!(life.entries.is_sorted_by_key(|entry| entry.at));
        assert_eq!(life.exit().code, Some(code));
        assert!(!life.report.is_empty());
        let logged = life
            .log
            .lines()
            .filter(|line| line.contains("] [INFO] [c"))
            .count();
        assert_eq!(logged, checkpoints);
    }
    println!(
        "figure: {processes} logs, {} checkpoints, none missing, none out of order",
        processes * checkpoints
    );
}
