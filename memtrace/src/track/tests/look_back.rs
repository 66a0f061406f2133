use super::host::*;
use crate::{
    event::Kind,
    track::samples::Samples,
    units::{BootNanos, Bytes},
};

/// The neighbours that the kill of 50 tells, which happens at the census of that instant.
fn near(host: &mut Host, at_ms: u64) -> String {
    host.feed(at_ms, boxed_oom(oom(50, 50)));
    host.flush(at_ms + 30);
    let told = host.told_all(50);
    told.into_iter()
        .find(|entry| entry.starts_with("near"))
        .expect("a census was taken")
}

#[test]
fn growth_is_from_the_start_of_the_window_wherever_the_samples_lie() {
    let mut host = Host::with_python(50);
    host.found(task(51, "python3", 10));
    host.tasks = vec![task(50, "python3", 200), task(51, "python3", 500)];
    // 51 had a busy second long before the window, and has been idle since.
    host.feed(1000, rss(51, 20));
    host.feed(1100, rss(51, 300));
    host.feed(1200, rss(51, 500));
    assert_eq!(near(&mut host, 100_000), "near 50:100>200 51:500>500");
}

#[test]
fn less_than_a_window_of_samples_counts_from_the_first() {
    let mut host = Host::with_python(50);
    host.found(task(51, "python3", 10));
    host.feed(5000, rss(51, 60));
    host.tasks = vec![task(50, "python3", 200), task(51, "python3", 60)];
    assert_eq!(near(&mut host, 20_000), "near 50:100>200 51:10>60");
}

#[test]
fn untraced_neighbours_are_known_by_the_censuses() {
    let mut host = Host::with_python(50);
    host.found(task(60, "java", 10));
    for (at, mb) in [(10_000, 30), (20_000, 40), (80_000, 700)] {
        host.tasks = vec![task(50, "python3", 200), task(60, "java", mb)];
        host.census(at);
    }
    assert_eq!(near(&mut host, 85_000), "near 60:40>700 50:200>200");
}

#[test]
fn a_process_younger_than_the_window_grew_from_nothing() {
    let mut host = Host::with_python(50);
    let mut young = fork(50, 61, "python3");
    young.started = ms(50_000);
    host.feed(50_000, Kind::Fork(young));
    host.feed(50_001, rss(61, 400));
    host.tasks = vec![task(50, "python3", 200)];
    // No census has seen it: it is where its parent was.
    let near = near(&mut host, 70_000);
    assert_eq!(near, "near 61:0>400 50:100>200");
}

#[test]
fn only_those_in_the_cgroup_that_ran_out_are_told_and_at_most_ten_with_the_victim() {
    let mut host = Host::with_python(50);
    host.tasks = vec![task(50, "python3", 100)];
    let mut elsewhere = task(99, "java", 4000);
    elsewhere.groups = vec![8, 1];
    host.tasks.push(elsewhere);
    for pid in 60..80 {
        host.found(task(pid, "x", 10));
        host.tasks.push(task(pid, "x", 10));
    }
    host.census(10_000);
    for task in &mut host.tasks[2..] {
        task.memory = crate::sample::memory_mb(500);
    }
    host.census(20_000);
    let near = near(&mut host, 30_000);
    assert_eq!(near.split(' ').count(), 11, "{near}");
    assert!(near.contains(" 50:") && !near.contains(" 99:"), "{near}");
}

#[test]
fn a_neighbours_last_checkpoint_is_told() {
    let mut host = Host::with_python(50);
    host.found(task(51, "python3", 10));
    host.tasks = vec![task(50, "python3", 200), task(51, "python3", 10)];
    host.feed(1, Kind::Mark(Box::new(checkpoint(51, "loaded", 10))));
    host.feed(2, boxed_oom(oom(50, 50)));
    host.flush(40);
    let checkpoint = host.raw.iter().find_map(|output| match output {
        crate::track::Output::Entry(_, entry) => match &entry.what {
            crate::entry::What::Neighbours(near) => near.processes[1].checkpoint.clone(),
            _ => None,
        },
        _ => None,
    });
    assert_eq!(checkpoint.as_deref(), Some("loaded"));
}

#[test]
fn a_storm_of_kills_shares_a_census() {
    let mut host = Host::with_python(50);
    host.tasks = vec![task(50, "python3", 200)];
    for pid in 50..60 {
        host.feed(u64::from(pid), boxed_oom(oom(pid, 1)));
    }
    let censuses = |host: &Host| {
        host.raw
            .iter()
            .filter(|output| **output == crate::track::Output::Census)
            .count()
    };
    assert_eq!(censuses(&host), 1);
    host.feed(151, boxed_oom(oom(60, 1)));
    assert_eq!(censuses(&host), 2);
}

#[test]
fn samples_stay_few_and_keep_the_first_of_the_window_and_the_last() {
    let mut samples = Samples::default();
    let tenth = |n: u64| BootNanos(n * 100_000_000);
    for n in 0..10_000 {
        samples.add(tenth(n), Bytes(n), 2.0);
    }
    let (at, _) = samples.before(tenth(9_999)).unwrap();
    assert!((9_370..=9_399).contains(&(at.0 / 100_000_000)));
    assert_eq!(
        samples.before(BootNanos(u64::MAX)),
        Some((tenth(9_999), Bytes(9_999)))
    );
    assert!(samples.len() < 64, "{}", samples.len());
}
