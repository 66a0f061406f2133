//! The drop-in's own tests, under every Python 3 of this machine.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::tally::{Tally, parse_python};
use crate::workspace::{self, command, output_of, root};

/// Runs `python/`'s tests, one group for each version of Python.
pub(super) fn run(filter: Option<&str>, tally: &mut Tally) -> Result<()> {
    if !root().join("python").is_dir() {
        tally.not_run("Python: there is no directory python/".to_owned());
        return Ok(());
    }
    let interpreters = interpreters();
    if interpreters.is_empty() {
        tally.not_run("Python: no python3 found".to_owned());
    }
    for (version, interpreter) in interpreters {
        let mut python = command(&interpreter.to_string_lossy());
        python.args(["-m", "unittest", "discover", "-s", "python"]);
        python.env("PYTHONDONTWRITEBYTECODE", "1");
        if let Some(filter) = filter {
            python.args(["-k", filter]);
        }
        eprintln!("$ {}", workspace::line(&python));
        let output = python
            .output()
            .with_context(|| format!("start {}", interpreter.display()))?;
        let told = String::from_utf8_lossy(&output.stderr);
        eprint!("{told}");
        let counts = parse_python(&told);
        // Since 3.12 a run without any test is a failure to Python; with a filter it is not to us.
        let nothing_chosen =
            filter.is_some() && counts.passed + counts.failed + counts.skipped == 0;
        tally.ran(
            &format!("python {version}"),
            counts,
            output.status.success() || nothing_chosen,
        );
    }
    Ok(())
}

/// One interpreter for each version of Python 3 that the drop-in is for, those on PATH first.
pub fn interpreters() -> BTreeMap<String, PathBuf> {
    let mut found = every_interpreter();
    found.retain(|version, _| !is_older_than_the_drop_in(version));
    found
}

/// The drop-in is for 3.8 and later; an older one is none of its.
fn is_older_than_the_drop_in(version: &str) -> bool {
    let minor = version.split('.').nth(1);
    minor
        .and_then(|minor| minor.parse().ok())
        .is_none_or(|minor: u32| minor < 8)
}

/// One interpreter for each version of Python 3, the oldest ones too.
pub fn every_interpreter() -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    for dir in directories() {
        for path in entries(&dir)
            .into_iter()
            .filter(|path| is_interpreter(path))
        {
            if let Some(version) = version(&path) {
                found.entry(version).or_insert(path);
            }
        }
    }
    found
}

/// PATH, then where pyenv, uv, the manylinux images and a plain `make install` put interpreters.
fn directories() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<_> = env::split_paths(&path).collect();
    directories.extend(["/usr/bin", "/usr/local/bin"].map(PathBuf::from));
    let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let pyenv = env::var_os("PYENV_ROOT").map_or_else(|| home.join(".pyenv"), PathBuf::from);
    let trees = [
        pyenv.join("versions"),
        home.join(".local/share/uv/python"),
        "/opt/python".into(),
    ];
    for tree in trees {
        directories.extend(
            entries(&tree)
                .into_iter()
                .map(|version| version.join("bin")),
        );
    }
    directories
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort_unstable();
    paths
}

/// `python3` or `python3.N`, nothing that only begins so.
fn is_interpreter(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let Some(rest) = name.strip_prefix("python3") else {
        return false;
    };
    let minor = rest.strip_prefix('.').unwrap_or("0");
    (rest.is_empty() || rest.starts_with('.')) && minor.bytes().all(|byte| byte.is_ascii_digit())
}

fn version(interpreter: &Path) -> Option<String> {
    let code = "import platform; print(platform.python_version())";
    output_of(Command::new(interpreter).args(["-c", code]))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{is_interpreter, is_older_than_the_drop_in};

    #[test]
    fn tells_versions_that_the_drop_in_is_not_for() {
        for (version, expected) in [("3.7.16", true), ("3.8.18", false), ("3.15.0rc1", false)] {
            assert_eq!(is_older_than_the_drop_in(version), expected, "{version}");
        }
    }

    #[test]
    fn tells_interpreters_from_their_neighbours() {
        for (name, expected) in [
            ("python3", true),
            ("python3.8", true),
            ("python3.14", true),
            ("python3-config", false),
            ("python3.11-config", false),
            ("python", false),
        ] {
            assert_eq!(is_interpreter(Path::new(name)), expected, "{name}");
        }
    }
}
