//! What a guest has: Debian's Python and shell, memtrace, the tests and their victims.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::{
    cache_dir,
    initrd::Tree,
    machine::Machine,
    packages::{Apt, Installed, own_suite},
};
use crate::cli::Arch;
use crate::test::victims;
use crate::workspace::{self, cargo, output_of, root, target_dir};

/// Live tests that no guest can run: FUSE is a module of its kernels, and it has none.
const NOT_IN_GUESTS: [&str; 1] =
    ["live::hostile::a_mount_that_never_answers_holds_up_no_other_file"];

/// Programs of ours for any Linux: they bring their own C library.
pub(super) struct Programs {
    machine: &'static Machine,
    memtrace: PathBuf,
    tests: PathBuf,
    /// The same, made for the machine that we run on: it can be asked for its tests' names.
    listing: PathBuf,
    victims: PathBuf,
    leave: PathBuf,
}

impl Programs {
    /// Builds all of them.
    pub(super) fn build(machine: &'static Machine) -> Result<Self> {
        let host = Arch::host().map(Machine::of);
        let host = host.context("there is no guest for this machine's architecture")?;
        for machine in [machine, host] {
            add_target(machine.target)?;
        }
        let release = ["build", "--release", "--package", "memtrace"];
        workspace::run(cargo(release).args(["--target", machine.target]))?;
        let gcc = machine.tool("gcc");
        let out = target_dir().join(format!("vm/programs-{}", machine.debian));
        let victims = victims::compile_with(&gcc, &out.join("victims")).with_context(|| {
            format!("{gcc} is needed, of the package {}", machine.tool_package())
        })?;
        let leave = out.join("leave");
        let source = root().join("xtask/src/vm/leave.c");
        let mut gcc = workspace::command(&gcc);
        workspace::run(gcc.arg("-O2").arg("-o").arg(&leave).arg(source))?;
        let binary = build_tests(machine)?;
        let listing = if machine.arch == host.arch {
            binary.clone()
        } else {
            build_tests(host)?
        };
        // Without what only debuggers read: it lies in the guest's memory.
        let tests = out.join("tests");
        let mut strip = workspace::command(&machine.tool("strip"));
        workspace::run(strip.arg("--strip-debug").arg("-o").args([&tests, &binary]))?;
        Ok(Self {
            machine,
            memtrace: target_dir().join(machine.target).join("release/memtrace"),
            tests,
            listing,
            victims,
            leave,
        })
    }

    /// Names of the live tests.
    pub(super) fn names(&self, filter: Option<&str>, skip: &[String]) -> Result<Vec<String>> {
        let listed = output_of(Command::new(&self.listing).args(["--list", "--format", "terse"]));
        let listed = listed.context("the tests cannot be listed")?;
        let names = listed
            .lines()
            .filter_map(|line| line.strip_suffix(": test"))
            .filter(|name| name.starts_with("live::") && !NOT_IN_GUESTS.contains(name))
            .filter(|name| filter.is_none_or(|filter| name.contains(filter)))
            .filter(|name| !skip.iter().any(|skip| name.contains(skip)));
        Ok(names.map(str::to_owned).collect())
    }
}

fn add_target(target: &str) -> Result<()> {
    let has = |listed: Option<String>| listed.is_some_and(|listed| listed.contains(target));
    let installed = ["target", "list", "--installed"];
    if has(output_of(workspace::command("rustup").args(installed))) {
        return Ok(());
    }
    let mut add = workspace::command("rustup");
    workspace::run(add.args(["target", "add", target]))
        .with_context(|| format!("the Rust target {target} is needed"))
}

fn build_tests(machine: &Machine) -> Result<PathBuf> {
    let mut build = cargo(["test", "--no-run", "--package", "memtrace-tests"]);
    build
        .args(["--test", "all", "--target", machine.target])
        .args(["--message-format", "json-render-diagnostics"]);
    eprintln!("$ {}", workspace::line(&build));
    let output = build
        .stderr(Stdio::inherit())
        .output()
        .context("start cargo")?;
    if !output.status.success() {
        bail!("the tests crate cannot be built for {}", machine.target);
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "all")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo names no test binary")
}

/// Packages whose files a guest has, by the beginning of their names.
const PACKAGES: &[&str] = &[
    "busybox-static",
    "dash",
    "libc6",
    "libcap-ng0",
    "libexpat1",
    "libffi",
    "libgcc-s1",
    "libpython3",
    "python3",
    "util-linux",
    "zlib1g",
];

/// The files of Debian's packages, unpacked once.
fn userland(machine: &'static Machine) -> Result<PathBuf> {
    let own = own_suite()?;
    let dir = cache_dir().join(format!("guest-{own}-{}", machine.debian));
    if !dir.exists() {
        let (updates, security) = (format!("{own}-updates"), format!("{own}-security"));
        let apt = Apt::open("guest", Some(machine), &[&own, &updates, &security])?;
        let unpacked = dir.with_extension("unpacked");
        apt.unpack_with_dependencies(
            &[
                "busybox-static",
                "dash",
                "python3-minimal",
                "libpython3-stdlib",
                "util-linux",
            ],
            &own,
            Installed::Nothing,
            |package| PACKAGES.iter().any(|wanted| package.starts_with(wanted)),
            &unpacked,
        )?;
        fs::rename(unpacked, &dir).context("keep the guest's files")?;
    }
    Ok(dir)
}

/// Where a file of a package lies in a guest; nothing if no test needs it. `/bin` and `/lib` are
/// links into `/usr` there, whatever the package says.
fn place(path: &Path) -> Option<PathBuf> {
    const NEEDLESS: [&str; 11] = [
        "usr/share",
        "usr/include",
        "gconv",
        "etc",
        "var",
        "ensurepip",
        "idlelib",
        "lib2to3",
        "pydoc_data",
        "sqlite3",
        "tkinter",
    ];
    let text = path.to_string_lossy();
    let is_needless = |needless: &&str| {
        text.starts_with(&format!("{needless}/")) || text.contains(&format!("/{needless}/"))
    };
    if NEEDLESS.iter().any(is_needless) {
        return None;
    }
    let first = path.components().next();
    let is_old = ["bin", "sbin", "lib", "lib64"]
        .iter()
        .any(|old| first == Some(Component::Normal(old.as_ref())));
    let placed = if is_old {
        Path::new("usr").join(path)
    } else {
        path.to_owned()
    };
    // Of util-linux no more than busybox lacks; that has the rest.
    let is_program = placed.starts_with("usr/bin") || placed.starts_with("usr/sbin");
    let name = placed.file_name()?.to_string_lossy().into_owned();
    let is_wanted = ["unshare", "setpriv", "dash", "sh", "busybox"].contains(&&*name)
        || name.starts_with("python3");
    (!is_program || is_wanted).then_some(placed)
}

/// The whole of it, as an archive that a kernel unpacks.
pub(super) fn archive(programs: &Programs, names: &[String]) -> Result<Vec<u8>> {
    let mut tree = Tree::default();
    for dir in ["bin", "sbin", "lib", "lib64"] {
        tree.link(dir, Path::new("usr").join(dir));
    }
    for dir in [
        "dev",
        "proc",
        "sys",
        "tmp",
        "root",
        "run",
        "usr/sbin",
        "usr/lib64",
    ] {
        tree.dir(dir);
    }
    tree.files(&userland(programs.machine)?, &place)?;
    tree.text("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\n");
    tree.text("init", 0o755, include_str!("init.sh"));
    let Programs {
        memtrace,
        tests,
        victims,
        leave,
        ..
    } = programs;
    for (name, from) in [("memtrace", memtrace), ("live", tests), ("leave", leave)] {
        tree.file(Path::new("memtrace").join(name), from)?;
    }
    let below = |place: &'static str| move |path: &Path| Some(Path::new(place).join(path));
    tree.files(victims, &below("memtrace/victims"))?;
    for dir in ["python", "examples", "tests/battery"] {
        let place = |path: &Path| {
            let is_cache = path.to_string_lossy().contains("__pycache__");
            (!is_cache).then(|| Path::new("memtrace").join(dir).join(path))
        };
        tree.files(&root().join(dir), &place)?;
    }
    tree.text("memtrace/names", 0o644, &names.join("\n"));
    tree.text("memtrace/environment", 0o644, ENVIRONMENT);
    Ok(tree.archive())
}

/// What the tests are told of where they are. An emulated machine is several times slower than
/// the one it runs on.
const ENVIRONMENT: &str = "\
export MEMTRACE_BIN=/memtrace/memtrace
export MEMTRACE_VICTIMS=/memtrace/victims
export MEMTRACE_ROOT=/memtrace
export MEMTRACE_GUEST=1
export MEMTRACE_SLOWER=4
";
