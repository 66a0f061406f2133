//! Interpreters of other Debian releases, unpacked and run with their own loader and C library: builds
//! and versions that this machine has not.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::cli::Arch;
use crate::vm::{machine::Machine, packages::Apt};
use crate::workspace::target_dir;

/// Version, release, and the libraries that it needs.
const RELEASES: [(&str, &str, &[&str]); 4] = [
    ("3.9", "bullseye", &["libcrypt1"]),
    ("3.13", "trixie", &[]),
    ("3.14", "forky", &[]),
    ("3.15", "forky", &[]),
];

/// What all of them need.
const LIBRARIES: [&str; 3] = ["libc6", "libexpat1", "zlib1g"];

fn directory() -> PathBuf {
    target_dir().join("pythons")
}

/// Those that `cargo xtask test` has brought, by version. Each is a script that becomes the interpreter.
pub fn interpreters() -> BTreeMap<String, PathBuf> {
    RELEASES
        .iter()
        .map(|(version, ..)| ((*version).to_owned(), script(version)))
        .filter(|(_, script)| script.is_file())
        .collect()
}

fn script(version: &str) -> PathBuf {
    directory().join(format!("python{version}"))
}

/// Brings those that are not here yet.
pub(super) fn fetch() -> Result<()> {
    if RELEASES
        .iter()
        .all(|(version, ..)| script(version).is_file())
    {
        return Ok(());
    }
    let machine = Machine::of(Arch::host().context("Debian knows no such machine")?);
    let mut suites = RELEASES.map(|(_, suite, _)| suite).to_vec();
    suites.dedup();
    let apt = Apt::open("pythons", Some(machine), &suites)?;
    for (version, suite, more) in RELEASES {
        bring(&apt, machine, version, suite, more)?;
    }
    Ok(())
}

fn bring(apt: &Apt, machine: &Machine, version: &str, suite: &str, more: &[&str]) -> Result<()> {
    if script(version).is_file() {
        return Ok(());
    }
    let root = directory().join(version);
    let own = [
        format!("python{version}-minimal"),
        format!("libpython{version}-minimal"),
        format!("libpython{version}-stdlib"),
    ];
    let libraries = LIBRARIES.iter().chain(more).map(|&name| name.to_owned());
    for package in own.into_iter().chain(libraries) {
        apt.unpack_one(&format!("{package}/{suite}"), &root)?;
    }
    write_script(machine, version, &root)
}

/// The loader of a release finds its own libraries, and Python its own modules.
fn write_script(machine: &Machine, version: &str, root: &Path) -> Result<()> {
    let libraries = ["usr/lib", "lib"].map(|dir| root.join(dir).join(machine.triplet));
    let is_loader = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("ld-") && name.contains(".so")
    };
    let loader = libraries
        .iter()
        .filter_map(|dir| fs::read_dir(dir).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .find(is_loader)
        .with_context(|| format!("the libc6 of Python {version} holds no loader"))?;
    let text = format!(
        "#!/bin/sh\nexport PYTHONHOME={}\nexec {} --library-path {}:{} {} \"$@\"\n",
        root.join("usr").display(),
        loader.display(),
        libraries[0].display(),
        libraries[1].display(),
        root.join(format!("usr/bin/python{version}")).display(),
    );
    let path = script(version);
    fs::write(&path, text).context("write a script")?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).context("make it executable")
}
