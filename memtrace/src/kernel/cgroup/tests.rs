use std::path::PathBuf;

use super::*;

/// A directory tree that looks like a memory hierarchy, removed when dropped.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str, file: &str, limits: &[(&str, &str)]) -> Self {
        let root = std::env::temp_dir().join(format!("memtrace-{name}-{}", std::process::id()));
        for (group, limit) in limits {
            let group = root.join(group);
            fs::create_dir_all(&group).unwrap();
            fs::write(group.join(file), limit).unwrap();
        }
        Self(root)
    }

    fn limit(&self, v1: bool, group: &str) -> Option<(String, u64)> {
        let controller = MemoryController {
            mount: self.0.clone(),
            v1,
        };
        let found = controller.limit(group)?;
        assert_eq!(found.file, controller.limit_file());
        Some((found.cgroup, found.limit.0))
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn none_is_max_or_a_huge_number() {
    for (text, expected) in [
        ("314572800\n", Some(314_572_800)),
        ("0\n", Some(0)),
        ("max\n", None),
        ("9223372036854771712\n", None),
        ("", None),
        ("-1", None),
        ("1 2", None),
    ] {
        assert_eq!(parse(text).map(|limit| limit.0), expected, "{text}");
    }
}

#[test]
fn the_tightest_limit_on_the_way_to_the_root_holds() {
    let tree = Tree::new(
        "tightest",
        "memory.max",
        &[
            ("a/b/c", "max\n"),
            ("a/b", "300\n"),
            ("a", "200\n"),
            ("a/d", "100\n"),
        ],
    );
    assert_eq!(tree.limit(false, "/a/b/c"), Some(("/a".to_owned(), 200)));
    assert_eq!(tree.limit(false, "/a/d"), Some(("/a/d".to_owned(), 100)));
    // One that was removed meanwhile is passed by.
    assert_eq!(tree.limit(false, "/a/b/gone"), Some(("/a".to_owned(), 200)));
    assert_eq!(tree.limit(false, "/"), None);
}

#[test]
fn of_equal_limits_the_lowest_is_named() {
    let tree = Tree::new(
        "equal",
        "memory.limit_in_bytes",
        &[("a/b", "5\n"), ("a", "5\n")],
    );
    assert_eq!(tree.limit(true, "/a/b"), Some(("/a/b".to_owned(), 5)));
    assert_eq!(tree.limit(false, "/a/b"), None);
}

#[test]
fn a_limit_on_the_mount_itself_counts() {
    let tree = Tree::new("mount", "memory.max", &[("", "7\n"), ("a", "max\n")]);
    assert_eq!(tree.limit(false, "/a"), Some(("/".to_owned(), 7)));
}
