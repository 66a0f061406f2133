use std::collections::HashMap;

use super::*;
use crate::kernel::btf::blob::Blob;

/// A kernel with every field at 8, 16, 24, … of its struct.
struct Kernel {
    per_cpu: bool,
    without: Option<(&'static str, &'static str)>,
    /// The tracepoints it has, each with the kinds of its arguments: pointer, int, `gfp_t`.
    tracepoints: Vec<(&'static str, &'static str)>,
}

fn kernel() -> Kernel {
    Kernel {
        per_cpu: true,
        without: None,
        tracepoints: TRACEPOINTS.iter().map(|name| (*name, "p")).collect(),
    }
}

impl Kernel {
    fn blob(&self) -> Vec<u8> {
        let mut blob = Blob::new();
        let int = blob.int("int");
        let gfp = blob.of(kind::TYPEDEF, "gfp_t", int);
        let pointer = blob.of(kind::PTR, "", int);
        let counter = blob.structure(
            kind::STRUCT,
            "percpu_counter",
            40,
            &[("count", int, 8), ("counters", int, 32)],
        );
        let atomic = blob.structure(kind::STRUCT, "mm_rss_stat", 32, &[("count", int, 0)]);
        let rss = if self.per_cpu {
            blob.array(counter, 4)
        } else {
            atomic
        };
        let mut fields: Vec<(&str, Vec<&str>)> = Vec::new();
        for (_, structure, field) in FIELDS.iter().chain(&[("", "css_set", "subsys")]) {
            match fields.iter_mut().find(|(name, _)| name == structure) {
                Some((_, known)) => known.push(field),
                None => fields.push((structure, vec![field])),
            }
        }
        for (structure, fields) in fields {
            let members: Vec<(&str, u32, u32)> = (1..)
                .zip(fields)
                .filter(|(_, field)| self.without != Some((structure, field)))
                .map(|(n, field)| (field, if field == "rss_stat" { rss } else { int }, n * 8))
                .collect();
            blob.structure(kind::STRUCT, structure, 512, &members);
        }
        if self.without != Some(("cgroup_subsys_id", "memory_cgrp_id")) {
            blob.enumeration("cgroup_subsys_id", &[("cpu", 0), ("memory_cgrp_id", 4)]);
        }
        for (name, arguments) in &self.tracepoints {
            let arguments: Vec<u32> = arguments
                .chars()
                .map(|kind| match kind {
                    'p' => pointer,
                    'g' => gfp,
                    _ => int,
                })
                .collect();
            blob.tracepoint(name, &arguments);
        }
        blob.finish()
    }

    fn globals(&self) -> HashMap<&'static str, u32> {
        let layout = Layout::find(&self.blob()).unwrap();
        layout.globals.into_iter().collect()
    }
}

#[test]
fn a_kernel_with_per_cpu_counters_is_understood() {
    let layout = Layout::find(&kernel().blob()).unwrap();
    assert_eq!(layout.rss, RssLayout::PerCpu);
    assert_eq!(layout.missing_tracepoints, [""; 0]);
    let globals = kernel().globals();
    for (name, value) in [
        ("TASK_MM", 8),
        ("TASK_TGID", 16),
        ("MM_RSS", 16),
        ("RSS_STRIDE", 40),
        ("RSS_COUNT", 8),
        ("RSS_PERCPU", 32),
        ("PERCPU_RSS", 1),
        ("CSET_MEMORY", 8 + 8 * 4),
    ] {
        assert_eq!(globals[name], value, "{name}");
    }
}

#[test]
fn a_kernel_with_shared_counts_is_understood() {
    let old = Kernel {
        per_cpu: false,
        ..kernel()
    };
    assert_eq!(Layout::find(&old.blob()).unwrap().rss, RssLayout::Atomic);
    let globals = old.globals();
    assert_eq!((globals["RSS_STRIDE"], globals["PERCPU_RSS"]), (8, 0));
    // This one's threads keep nothing to themselves.
    assert_eq!(globals["TASK_RSS"], 0);
}

#[test]
fn a_field_that_is_missing_is_named() {
    for (structure, field, expected) in [
        (
            "task_struct",
            "mm",
            "this kernel's BTF has no task_struct.mm",
        ),
        (
            "css_set",
            "subsys",
            "this kernel's BTF has no css_set.subsys",
        ),
        (
            "cgroup_subsys_id",
            "memory_cgrp_id",
            "this kernel's BTF has no memory cgroups",
        ),
    ] {
        let lacking = Kernel {
            without: Some((structure, field)),
            ..kernel()
        };
        let error = Layout::find(&lacking.blob()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn tracepoints_that_are_missing_are_named_and_no_error() {
    let old = Kernel {
        tracepoints: vec![("rss_stat", "pii")],
        ..kernel()
    };
    let layout = Layout::find(&old.blob()).unwrap();
    assert_eq!(layout.missing_tracepoints, TRACEPOINTS[1..]);
}

#[test]
fn the_forms_of_tracepoints_are_told_apart() {
    for (victim, reclaim, expected) in [("pi", "ig", (0, 0)), ("i", "gip", (1, 1))] {
        let some = Kernel {
            tracepoints: vec![
                ("mark_victim", victim),
                ("mm_vmscan_memcg_reclaim_begin", reclaim),
            ],
            ..kernel()
        };
        let globals = some.globals();
        assert_eq!((globals["VICTIM_BY_PID"], globals["GFP_FIRST"]), expected);
    }
}

#[test]
fn a_broken_blob_is_an_error_at_every_length() {
    let blob = kernel().blob();
    for length in (0..blob.len()).step_by(7) {
        assert!(Layout::find(&blob[..length]).is_err());
    }
}
