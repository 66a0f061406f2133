//! Which limit an OOM kill was about. Pure.

use crate::{
    entry::Constraint,
    event::{Group, OomMark},
    units::Bytes,
};

/// A cgroup with less room than this is full: the kernel charges in batches of 64 pages
/// (`MEMCG_CHARGE_BATCH`, mm/memcontrol.c).
const SLACK: u64 = 65 * 4096;

/// What is known of the machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Machine {
    pub(super) cgroup_v1: bool,
    pub(super) total_memory: Option<Bytes>,
}

/// The lowest cgroup of the victim that has no room left is the one whose limit was hit; if all
/// have room, the machine ran out. The second value is that cgroup's inode.
pub(super) fn of(mark: &OomMark, machine: Machine) -> (Constraint, Option<u64>) {
    for (level, group) in mark.groups.iter().enumerate() {
        if let Some((limit, usage, swap)) = full(group, machine.cgroup_v1) {
            let constraint = Constraint::Cgroup {
                cgroup: path(&mark.groups[level..]).unwrap_or_default(),
                file: limit_file(machine.cgroup_v1, swap).to_owned(),
                limit,
                usage,
            };
            return (constraint, Some(group.id));
        }
    }
    if mark.groups.is_empty() {
        return (Constraint::Unknown, None);
    }
    let for_cgroup = mark.reclaim.is_some_and(|reclaim| reclaim.memcg);
    if for_cgroup && !reaches_root(&mark.groups) {
        // The full one is above those that were read.
        return (Constraint::Unknown, None);
    }
    let global = Constraint::Global {
        total: machine.total_memory,
        available: None,
    };
    (global, None)
}

/// Limit and usage of a cgroup without room; true if they are those of memory and swap.
fn full(group: &Group, v1: bool) -> Option<(Bytes, Bytes, bool)> {
    let hit = |usage: Bytes, limit: Option<Bytes>| {
        limit.filter(|limit| usage.0.saturating_add(SLACK) >= limit.0)
    };
    let memory = hit(group.usage, group.limit).map(|limit| (limit, group.usage, false));
    // Only v1 counts memory and swap together, so that the sum can be what is full.
    let both = || hit(group.swap_usage, group.swap_limit).filter(|_| v1);
    memory.or_else(|| both().map(|limit| (limit, group.swap_usage, true)))
}

fn limit_file(v1: bool, swap: bool) -> &'static str {
    match (v1, swap) {
        (true, true) => "memory.memsw.limit_in_bytes",
        (true, false) => "memory.limit_in_bytes",
        (false, true) => "memory.swap.max",
        (false, false) => "memory.max",
    }
}

fn is_root(group: &Group) -> bool {
    group.name.is_empty() || group.name == "/"
}

fn reaches_root(groups: &[Group]) -> bool {
    groups.last().is_some_and(is_root)
}

/// Path of a cgroup from its hierarchy's root, from the names of it and those above it. With no
/// root among them the tree is deeper than what was read, and the path begins with `…`.
pub(super) fn path(groups: &[Group]) -> Option<String> {
    if groups.is_empty() {
        return None;
    }
    let start = if reaches_root(groups) { "" } else { "…" };
    let names: Vec<&str> = groups
        .iter()
        .rev()
        .filter(|group| !is_root(group))
        .map(|group| group.name.as_str())
        .collect();
    Some(format!("{start}/{}", names.join("/")))
}
