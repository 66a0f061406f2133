//! Facts flow one way: a module of memtrace uses only modules of its own layer or of those above.

use super::source::{self, Files};

/// The layers in the order of the flow. Modules on one line may use each other.
const LAYERS: &[&[&str]] = &[
    &["units", "share"],
    &["python"],
    &["loss", "entry"],
    &["wire"],
    &["event"],
    &["clock", "contain", "text", "words", "lines"],
    &["decode"],
    &["kernel"],
    &["targets", "naming"],
    &["track"],
    &["record"],
    &["align", "sample"],
    &["phrase"],
    &["report"],
    &["sink"],
    &["report_files"],
    &["cli"],
    &["plan"],
    &["command", "doctor", "stacks"],
    &["run"],
    &["main"],
];

const SOURCES: &str = "memtrace/src/";

/// Uses that go against the flow, and modules that no layer holds.
pub(super) fn check(files: &Files) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in source::rust(files) {
        let Some(module) = path.strip_prefix(SOURCES).map(top_module) else {
            continue;
        };
        if module == "lib" || source::is_tests(path) {
            continue;
        }
        let Some(layer) = layer_of(module) else {
            faults.push(format!(
                "{path}: give `{module}` its layer in xtask/src/tidy/layers.rs"
            ));
            continue;
        };
        for (line, used) in uses(&source::code(source::without_tests(text))) {
            if layer_of(&used).is_some_and(|used| used > layer) {
                faults.push(format!(
                    "{path}:{line}: `{module}` uses `{used}`, a later stage"
                ));
            }
        }
    }
    faults
}

/// `kernel/load.rs` belongs to `kernel`, `units.rs` to `units`.
fn top_module(path: &str) -> &str {
    let first = path.split('/').next().unwrap_or(path);
    first.strip_suffix(".rs").unwrap_or(first)
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Line numbers and first segments of all paths that begin with `crate::` (in the binary,
/// `memtrace::`).
fn uses(code: &str) -> Vec<(usize, String)> {
    let mut uses = Vec::new();
    for prefix in ["crate::", "memtrace::"] {
        for (at, _) in code.match_indices(prefix) {
            if code[..at].ends_with(is_word) {
                continue;
            }
            let line = code[..at].matches('\n').count() + 1;
            uses.extend(first_segments(&code[at + prefix.len()..]).map(|name| (line, name)));
        }
    }
    uses
}

/// `units::Bytes` → `units`; `{units, loss::{Kind, Ledger}}` → `units`, `loss`.
fn first_segments(path: &str) -> impl Iterator<Item = String> {
    let tree = path.strip_prefix('{');
    let mut depth = 1;
    let end = |c: char| match c {
        '{' => {
            depth += 1;
            false
        }
        '}' => {
            depth -= 1;
            depth == 0
        }
        _ => false,
    };
    let items = match tree {
        Some(tree) => top_level_items(tree.split(end).next().unwrap_or(tree)),
        None => vec![path],
    };
    items
        .into_iter()
        .map(|item| {
            item.trim()
                .chars()
                .take_while(|c| is_word(*c))
                .collect::<String>()
        })
        .collect::<Vec<_>>()
        .into_iter()
}

/// Splits at the commas outside inner braces.
fn top_level_items(tree: &str) -> Vec<&str> {
    let mut depth = 0;
    tree.split(|c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    })
    .collect()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::{Files, check};

    fn faults_of(path: &str, source: &str) -> Vec<String> {
        check(&Files::from([(
            path.to_owned(),
            source.as_bytes().to_vec(),
        )]))
    }

    #[test]
    fn a_stage_may_use_earlier_ones() {
        let source =
            "use crate::{loss::{Kind, Ledger}, units::Bytes};\nfn f(_: crate::entry::What) {}\n";
        assert_eq!(faults_of("memtrace/src/track/mod.rs", source), [""; 0]);
    }

    #[test]
    fn a_stage_may_not_use_later_ones() {
        let source =
            "use crate::{\n    loss::{Kind, Ledger},\n    sink::Sink,\n};\n// crate::run\n";
        let faults = faults_of("memtrace/src/track/mod.rs", source);
        assert_eq!(
            faults,
            ["memtrace/src/track/mod.rs:1: `track` uses `sink`, a later stage"]
        );
        assert_eq!(
            faults_of("memtrace/src/units.rs", "fn f() { crate::loss::f() }").len(),
            1
        );
    }

    #[test]
    fn tests_may_use_anything() {
        let source = "#[cfg(test)]\nmod tests {\n    use crate::run;\n}\n";
        assert_eq!(faults_of("memtrace/src/units.rs", source), [""; 0]);
        assert_eq!(
            faults_of("memtrace/src/track/tests.rs", "use crate::run;"),
            [""; 0]
        );
    }

    #[test]
    fn a_new_module_needs_a_layer() {
        assert_eq!(faults_of("memtrace/src/novel.rs", "").len(), 1);
    }
}
