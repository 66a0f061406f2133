//! A memtrace that runs beside what it is shown.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::workspace::{output_of, target_dir};

/// How long it may take until its probes sit, and until it has ended.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// The memtrace that is watched; dropping it ends it.
pub(crate) struct Memtrace {
    child: Child,
    said: PathBuf,
}

impl Memtrace {
    /// `memtrace ARGS… --log-dir LOGS`, when it waits or traces. What it says goes to `DIR/said`.
    pub(crate) fn start(dir: &Path, logs: &Path, args: &[&str]) -> Result<Self> {
        let said = dir.join("said");
        let out = File::create(&said)?;
        let child = Command::new(target_dir().join("release/memtrace"))
            .args(args)
            .arg("--log-dir")
            .arg(logs)
            .current_dir(dir)
            // Ctrl-C is for the verb alone.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .context("start memtrace")?;
        let mut memtrace = Self { child, said };
        let began = Instant::now();
        while !memtrace.said().contains("(Ctrl-C ends)") {
            if let Some(status) = memtrace.ended()? {
                bail!("memtrace ended with {status}: {}", memtrace.said());
            }
            ensure!(
                began.elapsed() < PATIENCE,
                "memtrace does not wait for processes"
            );
            thread::sleep(POLL);
        }
        Ok(memtrace)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// What it has printed so far.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.said).unwrap_or_default()).into_owned()
    }

    /// Sends it a signal by name.
    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        let pid = self.pid().to_string();
        let sent = output_of(Command::new("kill").args(["-s", name, &pid]));
        sent.with_context(|| format!("send SIG{name} to memtrace"))?;
        Ok(())
    }

    /// Ends it as Ctrl-C does: its exit code, and all that it said.
    pub(crate) fn stop(mut self) -> Result<(Option<i32>, String)> {
        self.signal("INT")?;
        let began = Instant::now();
        while self.ended()?.is_none() {
            ensure!(began.elapsed() < PATIENCE, "memtrace does not end");
            thread::sleep(POLL);
        }
        Ok((self.child.wait()?.code(), self.said()))
    }
}

impl Drop for Memtrace {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
