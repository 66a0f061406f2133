//! A QEMU that can be trusted, and one guest in it from start to end.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::{
    cache_dir,
    machine::Machine,
    packages::{Apt, Installed, own_suite},
};
use crate::cli::Arch;
use crate::workspace::output_of;

/// What the guests have. The global OOM has to fill it; the tests' files are in it too.
const MEMORY_MB: u32 = 1024;

/// A guest that has not come to its end by then hangs.
const PATIENCE: Duration = Duration::from_secs(45 * 60);

/// The disk that guests swap to.
const SWAP_BYTES: u64 = 256 << 20;

/// An emulator and where its parts are.
pub(super) struct Qemu {
    pub(super) machine: &'static Machine,
    program: PathBuf,
    /// Of a copy that is not installed.
    unpacked: Option<PathBuf>,
}

/// How a guest ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Its tests passed.
    Passed,
    /// One of them did not.
    Failed,
    /// No verdict: why.
    Died(String),
}

impl Qemu {
    /// One on PATH if it is new enough, else Debian's package, unpacked.
    pub(super) fn find(machine: &'static Machine) -> Result<Self> {
        let program = PathBuf::from(machine.qemu);
        let oldest = machine.oldest_qemu;
        if version(&mut Command::new(&program)).is_some_and(|version| version >= oldest) {
            return Ok(Self {
                machine,
                program,
                unpacked: None,
            });
        }
        let dir = cache_dir().join(machine.qemu_package);
        let qemu = Self {
            machine,
            program: dir.join("usr/bin").join(machine.qemu),
            unpacked: Some(dir.clone()),
        };
        if !qemu.program.exists() {
            let own = own_suite()?;
            let backports = format!("{own}-backports");
            let updates = format!("{own}-updates");
            let security = format!("{own}-security");
            let apt = Apt::open("qemu", None, &[&own, &updates, &security, &backports])?;
            let everything = |_: &str| true;
            apt.unpack_with_dependencies(
                &[machine.qemu_package],
                &backports,
                Installed::Here,
                everything,
                &dir,
            )?;
        }
        let found = version(&mut qemu.command());
        ensure!(
            found.is_some_and(|version| version >= oldest),
            "QEMU {oldest:?} or later is needed: the package {} of this machine's backports gave {found:?}",
            machine.qemu_package
        );
        Ok(qemu)
    }

    fn command(&self) -> Command {
        // A guest does not outlive us.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&self.program);
        if let Some(dir) = &self.unpacked {
            let host = Arch::host().map(Machine::of);
            let host = host.map_or("", |host| host.triplet);
            let library = dir.join("usr/lib").join(host);
            let merged = dir.join("lib").join(host);
            let path = std::env::join_paths([library, merged]).unwrap_or_default();
            command.env("LD_LIBRARY_PATH", path);
            for share in ["usr/share/qemu", "usr/share/seabios"] {
                command.arg("-L").arg(dir.join(share));
            }
        }
        command
    }

    /// Boots a kernel; each line that the guest's tests print goes to `line`. What the kernel says
    /// goes to `log`.
    pub(super) fn boot(
        &self,
        kernel: &Path,
        initrd: &Path,
        log: &Path,
        mut line: impl FnMut(&str),
    ) -> Result<Ended> {
        let mut command = self.command();
        command
            .args(["-accel", "tcg,thread=multi", "-smp", "2"])
            .args(self.machine.options)
            .args(["-m", &MEMORY_MB.to_string()])
            .args(["-nodefaults", "-display", "none", "-monitor", "none"])
            .arg("-no-reboot")
            .arg("-kernel")
            .arg(kernel)
            .arg("-initrd")
            .arg(initrd)
            // A root on ramfs has program text count as file memory, as everywhere else.
            .arg("-append")
            .arg(format!(
                "console={} panic=-1 oops=panic quiet cryptomgr.notests rootfstype=ramfs",
                self.machine.console
            ))
            .arg("-serial")
            .arg(format!("file:{}", log.display()))
            .args(["-serial", "stdio"])
            .arg("-drive")
            .arg(format!(
                "file={},format=raw,if=none,id=swap,snapshot=on",
                swap_disk()?.display()
            ))
            .args(["-device", "nvme,drive=swap,serial=swap"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = command.spawn().context("start QEMU")?;
        let stdout = child.stdout.take().expect("stdout is piped");
        let (sender, lines) = mpsc::channel();
        let reader = thread::spawn(move || {
            for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
                let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
            }
        });
        let end = Instant::now() + PATIENCE;
        let mut hangs = false;
        loop {
            match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(said) => line(said.trim_end_matches('\r')),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    hangs = true;
                    child.kill().context("end QEMU")?;
                    break;
                }
            }
        }
        let status = child.wait().context("wait for QEMU")?;
        let _ = reader.join();
        Ok(match status.code() {
            _ if hangs => Ended::Died(format!("no end within {} s", PATIENCE.as_secs())),
            // As leave.c has it; with 0 it ends also when the guest's kernel panics.
            Some(33) => Ended::Passed,
            Some(35) => Ended::Failed,
            Some(0) => Ended::Died("the guest ended without a verdict".to_owned()),
            _ => Ended::Died(format!("QEMU ended with {status}")),
        })
    }
}

fn swap_disk() -> Result<PathBuf> {
    let path = cache_dir().join("swap.img");
    let file = fs::File::options().create(true).append(true).open(&path);
    let file = file.with_context(|| format!("create {}", path.display()))?;
    file.set_len(SWAP_BYTES)
        .context("set the size of the disk")?;
    Ok(path)
}

/// `QEMU emulator version 10.0.2 (Debian …)` → (10, 0)
fn version(qemu: &mut Command) -> Option<(u32, u32)> {
    let told = output_of(qemu.arg("--version"))?;
    let (_, version) = told.split_once("version ")?;
    let mut numbers = version
        .split(|c: char| !c.is_ascii_digit())
        .map_while(|number| number.parse().ok());
    Some((numbers.next()?, numbers.next()?))
}
