use super::host::*;
use crate::{
    event::{Group, OomMark, Reclaim},
    track::constraint::{Machine, of, path},
    units::Bytes,
};

fn check(groups: Vec<Group>, v1: bool, expected: &str) {
    check_after(None, groups, v1, expected);
}

/// After a reclaim for a cgroup, for the machine, or none that is known.
fn check_after(memcg: Option<bool>, groups: Vec<Group>, v1: bool, expected: &str) {
    let mark = OomMark {
        groups,
        reclaim: memcg.map(|memcg| Reclaim {
            memcg,
            at: ms(0),
            gfp: 0,
            order: 0,
        }),
        ..oom(50, 50)
    };
    let machine = Machine {
        cgroup_v1: v1,
        total_memory: Some(Bytes::from_mb(4096)),
    };
    assert_eq!(limit(&of(&mark, machine).0), expected);
}

#[test]
fn of_nested_limits_the_lowest_full_one_was_hit() {
    let tree = |inner, middle| {
        vec![
            group(3, "inner", inner, Some(512)),
            group(2, "outer", middle, Some(64)),
            group(1, "", 900, None),
        ]
    };
    check(tree(64, 64), false, "/outer memory.max 64/64");
    check(tree(512, 64), false, "/outer/inner memory.max 512/512");
    check(
        tree(512, 64),
        true,
        "/outer/inner memory.limit_in_bytes 512/512",
    );
    check(tree(64, 60), false, "global Some(4096)");
}

#[test]
fn a_batch_of_charges_less_than_the_limit_is_full() {
    let mut almost = group(3, "a", 64, Some(64));
    almost.usage = Bytes(almost.usage.0 - 64 * 4096);
    check(
        vec![almost.clone(), group(1, "", 1, None)],
        false,
        "/a memory.max 63/64",
    );
    almost.usage = Bytes(almost.usage.0 - 2 * 4096);
    check(
        vec![almost, group(1, "", 1, None)],
        false,
        "global Some(4096)",
    );
}

#[test]
fn memory_and_swap_together_can_be_full_in_v1_and_swap_alone_is_no_reason_in_v2() {
    let mut swapped = group(3, "a", 50, Some(64));
    swapped.swap_usage = Bytes::from_mb(80);
    swapped.swap_limit = Some(Bytes::from_mb(80));
    let tree = vec![swapped, group(1, "", 1, None)];
    check(tree.clone(), true, "/a memory.memsw.limit_in_bytes 80/80");
    check(tree, false, "global Some(4096)");
}

#[test]
fn with_room_up_to_the_root_the_machine_ran_out_and_with_no_groups_nothing_is_known() {
    check(Vec::new(), false, "Unknown");
    check(vec![group(1, "", 900, None)], true, "global Some(4096)");
}

#[test]
fn a_tree_deeper_than_what_is_read_is_told_with_an_ellipsis() {
    let deep: Vec<Group> = (0..8)
        .map(|n| group(n, &format!("g{n}"), 1, None))
        .collect();
    assert_eq!(path(&deep).as_deref(), Some("…/g7/g6/g5/g4/g3/g2/g1/g0"));
    assert_eq!(path(&[]), None);
    assert_eq!(path(&[group(1, "", 0, None)]).as_deref(), Some("/"));
    assert_eq!(path(&[group(1, "/", 0, None)]).as_deref(), Some("/"));
}

#[test]
fn a_limit_above_what_is_read_is_unknown_and_not_the_machines() {
    let deep: Vec<Group> = (0..8)
        .map(|n| group(n, &format!("g{n}"), 1, None))
        .collect();
    check_after(Some(true), deep.clone(), false, "Unknown");
    check_after(Some(false), deep, false, "global Some(4096)");
}

#[test]
fn after_a_reclaim_for_a_cgroup_the_one_with_the_least_room_was_hit_though_some_was_given_back() {
    let mut tree = vec![
        group(4, "inner", 63, Some(200)),
        group(3, "middle", 64, Some(64)),
        group(2, "outer", 64, Some(300)),
        group(1, "", 900, None),
    ];
    tree[1].usage = Bytes(tree[1].usage.0 - 1_000_000);
    check_after(
        Some(true),
        tree.clone(),
        false,
        "/outer/middle memory.max 63/64",
    );
    check_after(None, tree, false, "global Some(4096)");
    let equals = vec![
        group(3, "inner", 63, Some(64)),
        group(2, "outer", 63, Some(64)),
        group(1, "", 900, None),
    ];
    check_after(Some(true), equals, false, "/outer/inner memory.max 63/64");
    check_after(Some(true), vec![group(1, "", 900, None)], false, "Unknown");
}

#[test]
fn after_a_reclaim_for_the_machine_no_cgroup_is_named_though_one_is_full() {
    let full = vec![group(3, "cache", 64, Some(64)), group(1, "", 900, None)];
    check_after(Some(false), full, false, "global Some(4096)");
}
