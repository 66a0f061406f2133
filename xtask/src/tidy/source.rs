//! The files of the workspace as the rules see them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Contents by path from the top of the workspace.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// What no rule looks into: products, and what git keeps for itself.
const SKIPPED: [&str; 4] = ["target", ".git", "__pycache__", "node_modules"];

/// Reads every file below a directory.
pub(super) fn files(root: &Path) -> Result<Files> {
    let mut files = Files::new();
    collect(root, root, &mut files)?;
    Ok(files)
}

/// The Rust sources among them, as text.
pub(super) fn rust(files: &Files) -> impl Iterator<Item = (&str, &str)> {
    files
        .iter()
        .filter(|(path, _)| Path::new(path).extension() == Some(OsStr::new("rs")))
        .filter_map(|(path, bytes)| Some((path.as_str(), std::str::from_utf8(bytes).ok()?)))
}

/// Is the whole file tests?
pub(super) fn is_tests(path: &str) -> bool {
    path.starts_with("tests/") || path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// The part of a source before its inline tests.
pub(super) fn without_tests(source: &str) -> &str {
    let cut = source
        .find("#[cfg(test)]\nmod tests {")
        .unwrap_or(source.len());
    &source[..cut]
}

/// A source with comments and the contents of plain strings blanked out, line for line.
pub(super) fn code(source: &str) -> String {
    source
        .lines()
        .map(code_of_line)
        .collect::<Vec<_>>()
        .join("\n")
}

fn code_of_line(line: &str) -> String {
    let mut out = String::new();
    let mut in_string = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if in_string => drop(chars.next()),
            '"' => in_string = !in_string,
            '/' if !in_string && chars.peek() == Some(&'/') => break,
            _ if in_string => {}
            _ => out.push(c),
        }
    }
    out
}

fn collect(root: &Path, dir: &Path, files: &mut Files) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if SKIPPED.iter().any(|skipped| entry.file_name() == *skipped) {
            continue;
        }
        if kind.is_dir() {
            collect(root, &path, files)?;
        } else if kind.is_file() {
            let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
            let name = path.strip_prefix(root).unwrap_or(&path);
            files.insert(name.to_string_lossy().into_owned(), bytes);
        }
    }
    Ok(())
}
