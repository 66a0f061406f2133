//! One function per rule: files in, faults out.

use super::source::{self, Files};

/// Where `unsafe` may stand, and why.
const UNSAFE_ALLOWED: &[(&str, &str)] = &[
    ("memtrace-ebpf/", "kernel memory, maps"),
    ("memtrace/src/kernel/", "system calls that no crate wraps"),
    ("tests/", "victims are signalled and read by system call"),
];

/// Lines of a file without its tests.
const MAX_LINES: usize = 400;

/// Files that may be longer, up to how long, and why.
const LONG_FILES: &[(&str, usize, &str)] = &[
    (
        "memtrace/src/run/mod.rs",
        650,
        "the wiring of all stages, told in one place",
    ),
    (
        "memtrace-ebpf/src/wire/mod.rs",
        450,
        "one struct after the other",
    ),
    (
        "memtrace/src/entry/mod.rs",
        450,
        "one struct after the other",
    ),
    ("memtrace/src/words.rs", 680, "one flat table"),
    (
        "memtrace/src/align/mod.rs",
        460,
        "one fold, an arm for each fact",
    ),
    (
        "memtrace/src/plan/mod.rs",
        450,
        "one answer for each argument",
    ),
    (
        "memtrace/src/track/mod.rs",
        520,
        "one state machine, an arm for each event",
    ),
    (
        "memtrace/src/track/kills.rs",
        540,
        "signals and marks are joined in one place",
    ),
    (
        "memtrace/src/kernel/load.rs",
        650,
        "the only file that may name programs and maps",
    ),
];

/// Paths of somebody's machine.
const MACHINE_PATHS: &[&str] = &["/work/", "/root/", "/home/"];

/// Files in which such a path is not a machine's, and why.
const MACHINE_PATHS_ALLOWED: &[(&str, &str)] = &[("xtask/src/tidy/rules.rs", "this table")];

/// How the address of the one registry ends in the lock file.
const REGISTRY: &str = "/crates.io-index\"";

/// A folder module is `foo/mod.rs` and has at least two files.
pub(super) fn modules(files: &Files) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, _) in source::rust(files).filter(|(path, _)| path.contains("/src/")) {
        let stem = path.strip_suffix(".rs").unwrap_or(path);
        let in_folder = |folder: &str| {
            let folder = format!("{folder}/");
            source::rust(files)
                .filter(|(path, _)| path.starts_with(&folder))
                .count()
        };
        if in_folder(stem) > 0 {
            faults.push(format!(
                "{path}: with files in {stem}/ this is {stem}/mod.rs"
            ));
        }
        if let Some(folder) = stem
            .strip_suffix("/mod")
            .filter(|folder| in_folder(folder) < 2)
        {
            faults.push(format!("{path}: a folder with one file is {folder}.rs"));
        }
    }
    faults
}

/// `unsafe` stands only where [`UNSAFE_ALLOWED`] says.
pub(super) fn unsafe_code(files: &Files) -> Vec<String> {
    let allowed = |path: &str| {
        UNSAFE_ALLOWED
            .iter()
            .any(|(prefix, _)| path.starts_with(prefix))
    };
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    source::rust(files)
        .filter(|(path, _)| !allowed(path))
        .filter_map(|(path, text)| {
            let code = source::code(text);
            let line = code
                .lines()
                .position(|line| line.split(|c| !is_word(c)).any(|word| word == "unsafe"))?;
            Some(format!(
                "{path}:{}: unsafe code belongs to memtrace/src/kernel/",
                line + 1
            ))
        })
        .collect()
}

/// No file is longer than [`MAX_LINES`] without a reason.
pub(super) fn lengths(files: &Files) -> Vec<String> {
    source::rust(files)
        .filter(|(path, _)| !source::is_tests(path))
        .filter_map(|(path, text)| {
            let lines = source::without_tests(text).lines().count();
            let exception = LONG_FILES.iter().find(|(long, ..)| *long == path);
            let most = exception.map_or(MAX_LINES, |(_, most, _)| *most);
            (lines > most).then(|| {
                format!("{path}: {lines} lines without tests, at most {most}: split it, or say why in xtask/src/tidy/rules.rs")
            })
        })
        .collect()
}

/// No file, built objects included, names a path of the machine that it was written on.
pub(super) fn machine_paths(files: &Files) -> Vec<String> {
    let allowed = |path: &str| {
        MACHINE_PATHS_ALLOWED
            .iter()
            .any(|(prefix, _)| path.starts_with(prefix))
    };
    let mut faults = Vec::new();
    for (path, bytes) in files.iter().filter(|(path, _)| !allowed(path)) {
        let text = String::from_utf8_lossy(bytes);
        for machine_path in MACHINE_PATHS {
            let starts_there = |at: usize| {
                !text[..at].ends_with(|c: char| c.is_alphanumeric() || "_-.~}".contains(c))
            };
            if text
                .match_indices(machine_path)
                .any(|(at, _)| starts_there(at))
            {
                faults.push(format!(
                    "{path}: names a path of a machine ({machine_path}…)"
                ));
            }
        }
    }
    faults
}

/// Every dependency comes from crates.io or from the workspace.
pub(super) fn registries(files: &Files) -> Vec<String> {
    let mut faults = Vec::new();
    for lock in ["Cargo.lock", "fuzz/Cargo.lock"] {
        let Some(bytes) = files.get(lock) else {
            continue;
        };
        faults.extend(
            String::from_utf8_lossy(bytes)
                .lines()
                .filter_map(|line| line.strip_prefix("source = "))
                .filter(|source| !source.ends_with(REGISTRY))
                .map(|source| format!("{lock}: a dependency from {source}, not from crates.io")),
        );
    }
    faults
}

/// CONTRIBUTING.md tells of every verb.
pub(super) fn documented_verbs(files: &Files, verbs: &[String]) -> Vec<String> {
    let page = files
        .get("CONTRIBUTING.md")
        .map(|bytes| String::from_utf8_lossy(bytes))
        .unwrap_or_default();
    verbs
        .iter()
        .filter(|verb| !page.contains(&format!("`cargo xtask {verb}")))
        .map(|verb| format!("CONTRIBUTING.md: does not tell of `cargo xtask {verb}`"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{
        Files, documented_verbs, lengths, machine_paths, modules, registries, unsafe_code,
    };

    fn files(list: &[(&str, &str)]) -> Files {
        list.iter()
            .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
            .collect()
    }

    #[test]
    fn folder_modules_have_mod_rs_and_two_files() {
        let good = files(&[
            ("a/src/x/mod.rs", ""),
            ("a/src/x/y.rs", ""),
            ("a/src/z.rs", ""),
        ]);
        assert_eq!(modules(&good), [""; 0]);
        assert_eq!(
            modules(&files(&[("a/src/x.rs", ""), ("a/src/x/y.rs", "")])).len(),
            1
        );
        assert_eq!(modules(&files(&[("a/src/x/mod.rs", "")])).len(), 1);
    }

    #[test]
    fn unsafe_is_kept_in_its_places() {
        let source = "// unsafe\n#![forbid(unsafe_code)]\nlet s = \"unsafe\";\n";
        assert_eq!(
            unsafe_code(&files(&[("memtrace/src/track/mod.rs", source)])),
            [""; 0]
        );
        let source = "fn f() {\n    unsafe { g() }\n}\n";
        assert_eq!(
            unsafe_code(&files(&[("memtrace/src/kernel/ring.rs", source)])),
            [""; 0]
        );
        let faults = unsafe_code(&files(&[("memtrace/src/track/mod.rs", source)]));
        assert!(
            faults[0].starts_with("memtrace/src/track/mod.rs:2: "),
            "{faults:?}"
        );
    }

    #[test]
    fn tests_do_not_count_as_length() {
        let long = "\n".repeat(401);
        let tested = format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{{long}}}\n");
        assert_eq!(lengths(&files(&[("a/src/x.rs", &long)])).len(), 1);
        assert_eq!(
            lengths(&files(&[
                ("a/src/x.rs", &tested),
                ("a/src/x/tests.rs", &long)
            ])),
            [""; 0]
        );
    }

    #[test]
    fn machine_paths_are_found_and_lookalikes_are_not() {
        for (text, faults) in [
            ("see /home/me/x", 1),
            ("target/work/x", 0),
            ("$HOME/work/", 0),
        ] {
            assert_eq!(
                machine_paths(&files(&[("a.md", text)])).len(),
                faults,
                "{text}"
            );
        }
    }

    #[test]
    fn other_registries_and_undocumented_verbs_are_told() {
        let lock = "source = \"registry+elsewhere\"\n";
        assert_eq!(registries(&files(&[("Cargo.lock", lock)])).len(), 1);
        let page = files(&[("CONTRIBUTING.md", "| `cargo xtask lint` | …")]);
        let verbs = ["lint".to_owned(), "test".to_owned()];
        assert_eq!(documented_verbs(&page, &verbs).len(), 1);
    }
}
