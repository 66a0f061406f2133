//! How others stood when a process was killed, and who grew.

use std::collections::HashMap;

use super::{
    life::Life,
    people::{People, Person},
    samples::WINDOW_SECONDS,
};
use crate::{
    entry::{Actor, Neighbour, Neighbours},
    units::{BootNanos, Bytes, Tgid, Tid},
};

/// Most neighbours that are told.
const MOST: usize = 10;

/// Those in the cgroup that ran out, or everybody if the machine did; the largest growth first.
pub(super) fn of(
    people: &People,
    lives: &HashMap<Tgid, Box<Life>>,
    group: Option<u64>,
    (pid, victim, victim_rss): (Tgid, &Actor, Bytes),
    at: BootNanos,
) -> Neighbours {
    let inside = |person: &&Person| {
        person.pid == pid || group.is_none_or(|group| person.groups.contains(&group))
    };
    let mut processes: Vec<Neighbour> = people
        .iter()
        .filter(inside)
        .map(|person| {
            let life = lives.get(&person.pid);
            let mut neighbour = stand(person, life.map(Box::as_ref), at);
            if person.pid == pid {
                neighbour.who = victim.clone();
                neighbour.rss = victim_rss;
            }
            neighbour
        })
        .filter(|neighbour| neighbour.rss.0 > 0)
        .collect();
    processes.sort_by_key(|process| {
        (
            std::cmp::Reverse(process.rss.since(process.before)),
            process.who.pid,
        )
    });
    keep_victim(&mut processes, pid);
    Neighbours {
        window_seconds: WINDOW_SECONDS,
        processes,
    }
}

fn keep_victim(processes: &mut Vec<Neighbour>, pid: Tgid) {
    if let Some(place) = processes.iter().position(|process| process.who.pid == pid)
        && place >= MOST
    {
        processes.swap(place, MOST - 1);
    }
    processes.truncate(MOST);
}

fn stand(person: &Person, life: Option<&Life>, at: BootNanos) -> Neighbour {
    let now = life
        .and_then(Life::last_memory)
        .or(person.memory)
        .map_or(Bytes(0), |memory| memory.rss());
    let start = at.minus_seconds(WINDOW_SECONDS);
    let before = if person.started >= start {
        Bytes(0)
    } else {
        // Of what its own events and the censuses know, the figure nearest to that instant.
        life.and_then(|life| life.before(at))
            .into_iter()
            .chain(person.samples.before(at))
            .min_by_key(|(then, _)| then.0.abs_diff(start.0))
            .map_or(now, |(_, rss)| rss)
    };
    Neighbour {
        who: person.actor(Tid(person.pid.0)),
        rss: now,
        before,
        checkpoint: life.and_then(|life| life.last_checkpoint.clone()),
    }
}
