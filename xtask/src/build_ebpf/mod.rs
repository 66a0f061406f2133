//! `build-ebpf`: from the sources of the probes to the object that is checked in.
//!
//! The object must be the same bit for bit wherever it is built, or nobody could check it: no path
//! of the machine, one codegen unit, no debug sections, and one exact compiler and linker.

mod object;
mod toolchain;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};
use clap::ValueEnum as _;
use toolchain::{Toolchain, Versions};

use crate::cli::{Arch, BuildEbpf};
use crate::workspace::{self, cargo_home, command, root, target_dir};

/// Binaries of memtrace-ebpf, and what their checked-in copies are called.
const OBJECTS: [(&str, &str); 2] = [
    ("memtrace-ebpf", "memtrace"),
    ("memtrace-ebpf-bench", "bench"),
];
const CANNOT_COMPARE: u8 = 3;
const TOOL_MISSING: u8 = 4;

/// Builds the object, then refreshes or compares the checked-in copy.
pub fn run(options: &BuildEbpf) -> Result<ExitCode> {
    let toolchain = match toolchain::find() {
        Ok(toolchain) => toolchain,
        Err(missing) => {
            eprintln!("error: cannot build the eBPF object, missing:{missing}");
            return Ok(ExitCode::from(TOOL_MISSING));
        }
    };
    let all = options
        .arch
        .map_or(Arch::value_variants().to_vec(), |arch| vec![arch]);
    let mut worst = ExitCode::SUCCESS;
    for arch in all {
        build(&toolchain, arch, options.diagnostics)?;
        for (binary, name) in OBJECTS {
            let outcome = bring(options, &toolchain, arch, (binary, name))?;
            if outcome != ExitCode::SUCCESS {
                worst = outcome;
            }
        }
    }
    Ok(worst)
}

/// Shows what was built, and does with it what is asked for.
fn bring(
    options: &BuildEbpf,
    toolchain: &Toolchain,
    arch: Arch,
    (binary, name): (&str, &str),
) -> Result<ExitCode> {
    let built = object::strip(&linked(arch, binary)?)?;
    println!("{name}-{}.o, {}", arch.name(), toolchain.versions);
    println!("{}", object::describe(&built)?);
    match (options.check, options.diagnostics) {
        (true, _) => check(&toolchain.versions, &checked_in(arch, name), &built),
        (false, true) => keep_apart(arch, name, &built),
        (false, false) => refresh(&toolchain.versions, arch, name, &built),
    }
}

/// A `cargo VERB` for the bpf target, with everything that decides on the bytes; or what is
/// missing for it. Also for clippy.
pub(crate) fn bpf_cargo(verb: &str, arch: Arch) -> Result<Command, String> {
    let toolchain = toolchain::find()?;
    cargo_with(&toolchain, verb, arch, false).map_err(|error| format!(" {error:#}"))
}

/// The name of the nightly under which it is installed here, for `cargo +NAME`; or what is missing.
pub(crate) fn nightly() -> Result<String, String> {
    toolchain::nightly()
}

fn build(toolchain: &Toolchain, arch: Arch, diagnostics: bool) -> Result<()> {
    // First, so that the directories of unpacked sources are there to be remapped.
    workspace::run(&mut workspace::cargo(["fetch"]))?;
    workspace::run(&mut cargo_with(toolchain, "build", arch, diagnostics)?)
}

fn linked(arch: Arch, binary: &str) -> Result<Vec<u8>> {
    let linked = bpf_target_dir(arch)
        .join("bpfel-unknown-none/release")
        .join(binary);
    fs::read(&linked).with_context(|| format!("read {}", linked.display()))
}

fn cargo_with(toolchain: &Toolchain, verb: &str, arch: Arch, diagnostics: bool) -> Result<Command> {
    let features = if diagnostics { "diagnostics" } else { "probes" };
    let mut cargo = command("cargo");
    cargo
        .arg(format!("+{}", toolchain.name))
        .args([verb, "--release", "--target", "bpfel-unknown-none", "-Z", "build-std=core"])
        .args(["--package", "memtrace-ebpf", "--bins", "--features", features])
        .env("CARGO_TARGET_DIR", bpf_target_dir(arch))
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags(toolchain, arch)?.join("\x1f"))
        // The release profile is made for user space; bpf-linker does its own link-time work.
        .env("CARGO_PROFILE_RELEASE_LTO", "false")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
        .env("CARGO_INCREMENTAL", "0");
    // xtask's own cargo leaves its compiler in the environment, and that is not the nightly.
    for name in [
        "RUSTUP_TOOLCHAIN",
        "RUSTC",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "CARGO",
    ] {
        cargo.env_remove(name);
    }
    Ok(cargo)
}

fn rustflags(toolchain: &Toolchain, arch: Arch) -> Result<Vec<String>> {
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let mut flags = vec![
        "-Cdebuginfo=2".to_owned(),
        "-Ccodegen-units=1".to_owned(),
        "-Cpanic=abort".to_owned(),
        "-Clinker=bpf-linker".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        "--cfg".to_owned(),
        format!("bpf_target_arch=\"{}\"", arch.name()),
    ];
    // Where two prefixes fit, the last one wins.
    flags.extend(
        unpacked_sources()?
            .iter()
            .map(|dir| remap(dir, "/registry")),
    );
    flags.push(remap(
        &toolchain.sysroot.join("lib/rustlib/src/rust"),
        "/rust",
    ));
    flags.push(remap(&root(), "/memtrace"));
    flags.push(remap(&bpf_target_dir(arch), "/memtrace/target"));
    Ok(flags)
}

/// Where cargo unpacks the sources of dependencies: a directory for each registry or mirror, whose
/// name must not get into the object either.
fn unpacked_sources() -> Result<Vec<PathBuf>> {
    let dir = cargo_home()?.join("registry/src");
    let entries = fs::read_dir(&dir).with_context(|| format!("list {}", dir.display()))?;
    let mut dirs: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    dirs.sort_unstable();
    Ok(dirs)
}

/// Refreshes the checked-in copy, if this is the toolchain that makes it.
fn refresh(versions: &Versions, arch: Arch, name: &str, built: &[u8]) -> Result<ExitCode> {
    let copy = checked_in(arch, name);
    let pinned = Versions::pinned();
    if *versions != pinned {
        println!("the checked-in copy is left alone: it is built with {pinned}.");
        println!("These bring it:\n{}", toolchain::install_commands());
        return keep_apart(arch, name, built);
    }
    let changed = fs::read(&copy).ok().is_none_or(|old| old != built);
    if changed {
        // Untouched when it is the same: it is compiled into memtrace, which would be built anew.
        write(&copy, built)?;
    }
    println!(
        "{} {}",
        copy.display(),
        if changed { "refreshed" } else { "unchanged" }
    );
    Ok(ExitCode::SUCCESS)
}

/// Writes an object that is not to be checked in.
fn keep_apart(arch: Arch, name: &str, built: &[u8]) -> Result<ExitCode> {
    let path = bpf_target_dir(arch).join(format!("{name}.o"));
    write(&path, built)?;
    println!("written to {}", path.display());
    Ok(ExitCode::SUCCESS)
}

/// Is the checked-in copy what the sources build?
fn check(versions: &Versions, copy: &Path, built: &[u8]) -> Result<ExitCode> {
    let old = fs::read(copy).with_context(|| format!("read {}", copy.display()))?;
    if old == built {
        println!("{} is what the sources build", copy.display());
        return Ok(ExitCode::SUCCESS);
    }
    let pinned = Versions::pinned();
    if *versions != pinned {
        eprintln!(
            "error: cannot compare: {} is built with {pinned}",
            copy.display()
        );
        eprintln!(
            "you have {versions}. These bring it:\n{}",
            toolchain::install_commands()
        );
        return Ok(ExitCode::from(CANNOT_COMPARE));
    }
    eprintln!("error: {} is not what the sources build:", copy.display());
    for line in object::differences(&old, built)? {
        eprintln!("  {line}");
    }
    eprintln!("run `cargo xtask build-ebpf` and commit the object with the sources");
    Ok(ExitCode::FAILURE)
}

fn checked_in(arch: Arch, name: &str) -> PathBuf {
    root().join(format!("memtrace-ebpf/objects/{name}-{}.o", arch.name()))
}

fn bpf_target_dir(arch: Arch) -> PathBuf {
    target_dir().join("bpf").join(arch.name())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let dir = path.parent().expect("a file has a directory");
    fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
    fs::write(path, bytes).with_context(|| format!("write {}", path.display()))
}
