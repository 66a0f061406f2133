//! Many processes and many checkpoints at once.

use memtrace::loss::Kind;

use super::rig::{Memtrace, Victim, scaled, wait_until};

/// A process may set 200,000 checkpoints at once and 50,000 a second for long.
#[test]
fn one_that_sets_too_many_checkpoints_does_not_drown_its_neighbour() {
    // An emulated machine takes most of a millisecond for one of them.
    let (many, few) = (scaled(scaled(600_000)), 500);
    let memtrace = Memtrace::watch(&["--comm", "many", "--quiet"]);
    let mut loud = Victim::start("many", &[many.to_string(), "0".to_owned()]);
    let mut calm = Victim::start("many", &[few.to_string(), "0".to_owned()]);
    memtrace.wait_until_traced(loud.pid());
    memtrace.wait_until_traced(calm.pid());
    wait_for_probes(&memtrace);
    for victim in [&mut loud, &mut calm] {
        victim.say("go");
    }
    for victim in [&mut loud, &mut calm] {
        victim.wait();
        memtrace.wait_for_report(victim.pid());
    }
    let ended = memtrace.stop();
    let (loud, calm) = (ended.life(loud.pid()), ended.life(calm.pid()));
    assert_eq!(calm.names().len(), few);
    assert_eq!(calm.lost(Kind::CheckpointRecord), 0);
    let too_fast = loud.lost(Kind::CheckpointRate);
    let lost = too_fast + loud.lost(Kind::CheckpointRecord);
    assert_eq!(loud.names().len() as u64 + lost, many as u64);

    let number = |name: &&str| name[1..].parse::<u32>().expect("c and a number");
    assert!(loud.names().iter().is_sorted_by_key(number));
    ended.assert_code(if lost == 0 { 0 } else { 3 });
    println!("figure: of {many} checkpoints in one go {too_fast} came too fast");
}

/// Until the marker's probe is in place, which a process that comes and goes shows.
fn wait_for_probes(memtrace: &Memtrace) {
    wait_until("checkpoints to be seen", || {
        let mut first = Victim::start("many", &["1", "0"]);
        first.say("go");
        first.wait();
        memtrace
            .wait_for_report(first.pid())
            .has("c0000")
            .then_some(())
    });
}

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
    wait_for_probes(&memtrace);
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
