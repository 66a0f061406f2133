//! Where a storm is raised: a directory, victims under names that nobody else has, a memtrace.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::recordings;
use super::table::Ended;
use super::wait_until;
use crate::rig::group::{Group, Groups};
use crate::rig::member;
use crate::rig::memtrace::Memtrace;
use crate::workspace::{output_of, target_dir};

/// How long anything may take that is not a storm itself.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// Nothing is written any more when nothing has been for so long.
const QUIET: Duration = Duration::from_millis(700);
const VICTIMS: [&str; 5] = ["hog", "many", "lives", "faults", "markers"];

/// The place of one storm.
pub(super) struct Site<'a> {
    dir: PathBuf,
    name: String,
    groups: &'a Groups,
    /// Victims so far.
    started: AtomicU32,
}

/// Somebody who is watched; who still lives is killed when it is dropped.
pub(super) struct Victim {
    child: Child,
    stdin: Option<ChildStdin>,
    said: PathBuf,
    /// Its process id.
    pub(super) pid: u32,
}

/// Where all of them are.
pub(super) fn home() -> PathBuf {
    target_dir().join("storms")
}

/// Removes a directory with what an interrupted storm has left mounted in it.
pub(super) fn remove(dir: &Path) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mounts = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    for mount in mounts.filter(|mount| Path::new(mount).starts_with(dir)) {
        // It may not be frozen.
        let _ = output_of(Command::new("fsfreeze").args(["-u", mount]));
        // Lazily: the memtrace of a storm that was killed may still write there.
        output_of(Command::new("umount").args(["-l", mount]))
            .with_context(|| format!("umount {mount}"))?;
    }
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

impl<'a> Site<'a> {
    /// An empty one.
    pub(super) fn prepare(name: &str, victims: &Path, groups: &'a Groups) -> Result<Self> {
        let dir = home().join(name);
        remove(&dir)?;
        for below in ["logs", "said-by"] {
            fs::create_dir_all(dir.join(below))?;
        }
        for victim in VICTIMS {
            symlink(victims.join(victim), dir.join(format!("storm-{victim}")))?;
        }
        Ok(Self {
            dir,
            name: name.to_owned(),
            groups,
            started: AtomicU32::new(0),
        })
    }

    /// Beside everything else.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Where memtrace writes.
    pub(super) fn logs(&self) -> PathBuf {
        self.path("logs")
    }

    /// A cgroup of this storm.
    pub(super) fn group(&self, name: &str, mib: u64) -> Result<Group> {
        self.groups.group(&format!("{}-{name}", self.name), mib)
    }

    /// A memtrace that is ready.
    pub(super) fn memtrace(&self, args: &[&str]) -> Result<Memtrace> {
        let args = [&["--quiet", "--lang", "en"], args].concat();
        Memtrace::start(&self.dir, &self.logs(), &args)
    }

    /// Ends it as Ctrl-C does, and reads what it has written.
    pub(super) fn end(&self, memtrace: Memtrace) -> Result<Ended> {
        let (code, said) = memtrace.stop()?;
        Ok(Ended {
            code,
            said,
            lives: recordings::read(&self.logs())?,
        })
    }

    /// Until memtrace has written all that waited.
    pub(super) fn settle(&self) -> Result<()> {
        let mut last = (0, std::time::Instant::now());
        wait_until("the disk to have it all", 2 * PATIENCE, || {
            let mut bytes = 0;
            for entry in fs::read_dir(self.logs())? {
                bytes += entry?.metadata()?.len();
            }
            if bytes != last.0 {
                last = (bytes, std::time::Instant::now());
            }
            Ok((last.1.elapsed() > QUIET).then_some(()))
        })
    }

    /// memtrace meets a program once before it is to know its checkpoints from the first on.
    pub(super) fn meet(&self, group: &Group, name: &str, args: &[&str]) -> Result<()> {
        wait_until("checkpoints to be seen", PATIENCE, || {
            let mut victim = self.victim(group, name, args)?;
            victim.stdin = None;
            victim.end()?;
            let logs = self.logs();
            let is_over = |life: &recordings::Life| life.exit.is_some();
            let life = wait_until("a recording", PATIENCE, || {
                Ok(recordings::of(&logs, victim.pid)?.filter(is_over))
            })?;
            Ok((!life.checkpoints.is_empty()).then_some(()))
        })
    }

    /// Starts somebody; each waits for a line.
    pub(super) fn victim(&self, group: &Group, name: &str, args: &[&str]) -> Result<Victim> {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let said = self.path("said-by").join(format!("{name}-{number}"));
        let mut child = member(group, &self.path(&format!("storm-{name}")), args)
            .current_dir(&self.dir)
            .stdin(Stdio::piped())
            // A file, and not a pipe: whoever waits for a line can give up.
            .stdout(File::create(&said)?)
            .spawn()
            .with_context(|| format!("start {name}"))?;
        Ok(Victim {
            stdin: child.stdin.take(),
            said,
            pid: child.id(),
            child,
        })
    }

    /// Starts several, and waits until each is ready.
    pub(super) fn victims(
        &self,
        group: &Group,
        count: usize,
        name: &str,
        args: &[&str],
    ) -> Result<Vec<Victim>> {
        let victims = (0..count)
            .map(|_| self.victim(group, name, args))
            .collect::<Result<Vec<_>>>()?;
        for victim in &victims {
            victim.told("ready ", PATIENCE)?;
        }
        Ok(victims)
    }
}

impl Victim {
    /// What it has printed so far.
    pub(super) fn said(&self) -> Result<String> {
        Ok(fs::read_to_string(&self.said)?)
    }

    /// Waits for a whole line with this in it; what stands behind.
    pub(super) fn told(&self, word: &str, patience: Duration) -> Result<String> {
        let what = format!("`{word}` of process {}", self.pid);
        wait_until(&what, patience, || {
            let said = self.said()?;
            let told = said.split_once(word).and_then(|(_, rest)| {
                let (line, _) = rest.split_once('\n')?;
                Some(line.to_owned())
            });
            Ok(told)
        })
    }

    /// Lets it go on.
    pub(super) fn go(&mut self) -> Result<()> {
        let stdin = self.stdin.as_mut().context("its stdin is open")?;
        Ok(stdin.write_all(b"\n")?)
    }

    /// How it ended, when it has.
    pub(super) fn end(&mut self) -> Result<ExitStatus> {
        let child = &mut self.child;
        wait_until("a victim to end", PATIENCE, || Ok(child.try_wait()?))
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
