//! Which compiler and linker are expected, which are here, and what brings the missing ones.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::workspace::output_of;

/// The file that both this module and the CI set-up read.
const PINNED: &str = include_str!("../../../memtrace-ebpf/toolchain.env");

/// Versions of what builds the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Versions {
    rustc: String,
    rust_src: &'static str,
    bpf_linker: String,
}

/// What is installed here.
#[derive(Debug)]
pub(super) struct Toolchain {
    /// Name for `cargo +NAME`.
    pub(super) name: String,
    /// Its sysroot.
    pub(super) sysroot: PathBuf,
    /// The versions of its parts.
    pub(super) versions: Versions,
}

impl Versions {
    /// What the checked-in objects are built with.
    pub(super) fn pinned() -> Self {
        Self {
            rustc: pinned("RUSTC").to_owned(),
            rust_src: "its own",
            bpf_linker: pinned("BPF_LINKER").to_owned(),
        }
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rustc,
            rust_src,
            bpf_linker,
        } = self;
        write!(
            out,
            "{rustc} with {rust_src} rust-src, bpf-linker {bpf_linker}"
        )
    }
}

/// Finds the tools, preferring the pinned nightly; or says what is missing.
pub(super) fn find() -> Result<Toolchain, String> {
    let mut missing = Missing::default();
    let nightly = find_nightly();
    match &nightly {
        None => missing.add("a nightly compiler", &install_nightly()),
        Some((name, sysroot)) => check_nightly(name, sysroot, &mut missing),
    }
    let bpf_linker = output_of(Command::new("bpf-linker").arg("--version"));
    if bpf_linker.is_none() {
        missing.add("bpf-linker", &install_bpf_linker());
    }
    match (nightly, bpf_linker) {
        (Some((name, sysroot)), Some(bpf_linker)) if missing.0.is_empty() => Ok(Toolchain {
            versions: Versions {
                rustc: rustc_version(&name).unwrap_or_default(),
                rust_src: rust_src_origin(&sysroot),
                bpf_linker: bpf_linker.trim_start_matches("bpf-linker ").to_owned(),
            },
            name,
            sysroot,
        }),
        _ => Err(missing.0),
    }
}

/// The name of the nightly alone, or what brings one.
pub(super) fn nightly() -> Result<String, String> {
    find_nightly().map(|(name, _)| name).ok_or_else(|| {
        let mut missing = Missing::default();
        missing.add("a nightly compiler", &install_nightly());
        missing.0
    })
}

/// The commands that bring exactly the pinned versions.
pub(super) fn install_commands() -> String {
    format!("    {}\n    {}\n", install_nightly(), install_bpf_linker())
}

fn install_nightly() -> String {
    let nightly = pinned("NIGHTLY");
    format!("rustup toolchain install {nightly} --profile minimal -c rust-src -c clippy")
}

fn install_bpf_linker() -> String {
    format!("cargo install bpf-linker@{} --locked", pinned("BPF_LINKER"))
}

/// What is missing, each with the command that brings it.
#[derive(Default)]
struct Missing(String);

impl Missing {
    fn add(&mut self, what: &str, command: &str) {
        let _ = write!(self.0, "\n  {what}; this brings it:\n    {command}");
    }
}

/// A nightly without the sources of `core`, or with an LLVM that bpf-linker cannot load.
fn check_nightly(name: &str, sysroot: &Path, missing: &mut Missing) {
    if !sysroot
        .join("lib/rustlib/src/rust/library/core/src/lib.rs")
        .exists()
    {
        let command = format!("rustup component add rust-src --toolchain {name}");
        missing.add(&format!("rust-src of {name}"), &command);
    }
    let llvm = verbose_field(name, "LLVM version").unwrap_or_default();
    let wanted = pinned("LLVM");
    if llvm.split('.').next() != Some(wanted) {
        let linker = pinned("BPF_LINKER");
        let what = format!(
            "a nightly with LLVM {wanted}, which bpf-linker {linker} loads ({name} has LLVM {llvm})"
        );
        missing.add(&what, &install_nightly());
    }
}

/// The pinned nightly under whatever name it is installed, else any nightly.
fn find_nightly() -> Option<(String, PathBuf)> {
    let list = output_of(Command::new("rustup").args(["toolchain", "list"]))?;
    let names: Vec<_> = list
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| name.starts_with("nightly"))
        .collect();
    let is_pinned = |name: &&&str| rustc_version(name).as_deref() == Some(pinned("RUSTC"));
    let name = *names.iter().find(is_pinned).or(names.first())?;
    let sysroot = output_of(rustc(name).args(["--print", "sysroot"]))?;
    Some((name.to_owned(), sysroot.into()))
}

fn rustc(toolchain: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", toolchain, "rustc"]);
    command
}

fn rustc_version(toolchain: &str) -> Option<String> {
    output_of(rustc(toolchain).arg("-V"))
}

fn verbose_field(toolchain: &str, field: &str) -> Option<String> {
    let verbose = output_of(rustc(toolchain).arg("-Vv"))?;
    let line = verbose.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.trim_start_matches(": ").to_owned())
}

/// Did rustup install the sources of `core`, or were they put there from elsewhere?
fn rust_src_origin(sysroot: &Path) -> &'static str {
    let manifest = sysroot.join("lib/rustlib/manifest-rust-src");
    if manifest.exists() {
        "its own"
    } else {
        "a foreign"
    }
}

fn pinned(key: &str) -> &'static str {
    PINNED
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        .expect("toolchain.env names every tool")
        .trim_matches('"')
}
