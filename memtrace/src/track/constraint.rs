//! Which limit an OOM kill was about. Pure.

use crate::{
    entry::Constraint,
    event::{Group, OomMark},
    units::Bytes,
};

/// A cgroup with less room than this passes for full where nothing else tells: the kernel charges in
/// batches of 64 pages (`MEMCG_CHARGE_BATCH`, mm/memcontrol.c).
const SLACK: u64 = 65 * 4096;

/// What is known of the machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Machine {
    pub(super) cgroup_v1: bool,
    pub(super) total_memory: Option<Bytes>,
}

/// Which limit, and the inode of its cgroup.
///
/// A thread reclaims for the limit that it meets before it invokes the OOM killer, sixteen times for a
/// cgroup's (`MAX_RECLAIM_RETRIES`, mm/memcontrol.c), so that its last reclaim tells a cgroup from the
/// machine: a cgroup may well be full of page cache while the machine runs out. Of the cgroups it was
/// the one with the least room, of equals the lowest: no page of it was left when the OOM killer was
/// invoked. By the mark there is room again. Messages were printed in between, and meanwhile batches
/// charged in advance were given back, slab pages freed; of a cgroup's memory, and with it of all above.
pub(super) fn of(mark: &OomMark, machine: Machine) -> (Constraint, Option<u64>) {
    let least = least_room(&mark.groups, machine.cgroup_v1);
    let is_full = |room: &Room| room.left <= SLACK;
    let met = match mark.reclaim.map(|reclaim| reclaim.memcg) {
        Some(true) if reaches_root(&mark.groups) => least,
        Some(false) => None,
        // It may be above those that were read, or nothing is known of a reclaim.
        Some(true) | None => least.filter(is_full),
    };
    if let Some(room) = met {
        let constraint = Constraint::Cgroup {
            cgroup: path(&mark.groups[room.level..]).unwrap_or_default(),
            file: limit_file(machine.cgroup_v1, room.of_both).to_owned(),
            limit: room.limit,
            usage: room.usage,
        };
        return (constraint, Some(mark.groups[room.level].id));
    }
    let for_cgroup = mark.reclaim.is_some_and(|reclaim| reclaim.memcg);
    if mark.groups.is_empty() || for_cgroup {
        return (Constraint::Unknown, None);
    }
    let global = Constraint::Global {
        total: machine.total_memory,
        available: None,
    };
    (global, None)
}

/// What may still be charged to a cgroup.
#[derive(Debug, Clone, Copy)]
struct Room {
    level: usize,
    left: u64,
    limit: Bytes,
    usage: Bytes,
    /// Of memory and swap together, which only v1 counts.
    of_both: bool,
}

fn least_room(groups: &[Group], v1: bool) -> Option<Room> {
    let rooms = groups.iter().enumerate().flat_map(|(level, group)| {
        let room = |usage: Bytes, limit: Option<Bytes>, of_both| {
            limit.map(|limit| Room {
                level,
                left: limit.0.saturating_sub(usage.0),
                limit,
                usage,
                of_both,
            })
        };
        let both = group.swap_limit.filter(|_| v1);
        [
            room(group.usage, group.limit, false),
            room(group.swap_usage, both, true),
        ]
    });
    rooms.flatten().min_by_key(|room| room.left)
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
