//! memtrace, or somebody else's tracer, while something is measured.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::Place;
use crate::workspace::{line, output_of};

/// How long a tracer may take until it traces.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);
/// Marker probes come one after the other; when none has come for so long, all are there.
const QUIET: Duration = Duration::from_millis(400);

/// A running tracer; dropping it ends it.
pub(super) struct Tracer {
    child: Child,
    dir: PathBuf,
}

impl Tracer {
    /// memtrace with these options, when it has said that it waits.
    pub(super) fn waiting(place: &Place, options: &[&str]) -> Result<Self> {
        let mut tracer = Self::memtrace(place, options)?;
        tracer.until(|tracer| tracer.said().contains("waiting"))?;
        Ok(tracer)
    }

    /// memtrace on some processes, when it has begun their logs.
    pub(super) fn tracing(place: &Place, options: &[&str], processes: usize) -> Result<Self> {
        let mut tracer = Self::memtrace(place, options)?;
        tracer.until(|tracer| tracer.files("jsonl").len() >= processes)?;
        Ok(tracer)
    }

    /// bpftrace's way to count the same tracepoint.
    pub(super) fn bpftrace(place: &Place) -> Result<Self> {
        let mut bpftrace = Command::new("bpftrace");
        bpftrace.args([
            "-e",
            "BEGIN { printf(\"begun\\n\") } tracepoint:kmem:rss_stat { @ = count(); }",
        ]);
        let mut tracer = Self::start(place, bpftrace)?;
        tracer.until(|tracer| tracer.said().contains("begun"))?;
        Ok(tracer)
    }

    fn memtrace(place: &Place, options: &[&str]) -> Result<Self> {
        let mut memtrace = Command::new(&place.memtrace);
        memtrace.args(options).arg("--log-dir").arg(&place.scratch);
        Self::start(place, memtrace)
    }

    fn start(place: &Place, mut command: Command) -> Result<Self> {
        let dir = place.scratch.clone();
        for entry in fs::read_dir(&dir)?.flatten() {
            // What an earlier run left.
            let _ = fs::remove_file(entry.path());
        }
        let said = File::create(dir.join("said"))?;
        let child = command
            .current_dir(&dir)
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said)
            .spawn()
            .with_context(|| format!("start {}", line(&command)))?;
        Ok(Self { child, dir })
    }

    fn until(&mut self, ready: impl Fn(&Self) -> bool) -> Result<()> {
        let started = Instant::now();
        while !ready(self) {
            if let Some(status) = self.child.try_wait()? {
                bail!("the tracer ended with {status}: {}", self.said());
            }
            if started.elapsed() > PATIENCE {
                bail!("the tracer is not ready: {}", self.said());
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Waits until its marker probes sit.
    pub(super) fn until_marked(&self) {
        let (mut count, mut since) = (self.probes(), Instant::now());
        while since.elapsed() < QUIET {
            thread::sleep(POLL);
            let now = self.probes();
            if now != count {
                (count, since) = (now, Instant::now());
            }
        }
    }

    /// Descriptors of attached probes: links, and before 5.15 perf events.
    fn probes(&self) -> usize {
        let Ok(descriptors) = fs::read_dir(format!("/proc/{}/fd", self.pid())) else {
            return 0;
        };
        descriptors
            .flatten()
            .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
            .filter(|target| {
                let target = target.to_string_lossy();
                target.contains("bpf_link") || target.contains("perf_event")
            })
            .count()
    }

    fn files(&self, extension: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == extension))
            .collect()
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub(super) fn said(&self) -> String {
        let bytes = fs::read(self.dir.join("said")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn end(&mut self) -> Result<()> {
        output_of(Command::new("kill").args(["-INT", &self.pid().to_string()]))
            .context("interrupt the tracer")?;
        self.child.wait()?;
        Ok(())
    }

    /// Ends it as Ctrl-C does; the reports that it has written.
    pub(super) fn told(mut self) -> Result<String> {
        self.end()?;
        let reports = self.files("log").into_iter().map(fs::read_to_string);
        Ok(reports.collect::<Result<Vec<_>, _>>()?.concat())
    }

    /// Ends it as Ctrl-C does; how many stacks it has recorded.
    pub(super) fn stacks(mut self) -> Result<f64> {
        self.end()?;
        let mut stacks = 0;
        for recording in self.files("jsonl") {
            let lines = fs::read_to_string(&recording)?;
            stacks += lines.matches("\"event\":\"stack\"").count();
        }
        Ok(f64::from(u32::try_from(stacks)?))
    }

    /// Ends it as Ctrl-C does; how many checkpoints it says it has lost.
    pub(super) fn stop(mut self) -> Result<f64> {
        self.end()?;
        let said = self.said();
        let count = said
            .split_once("lost: checkpoint records × ")
            .and_then(|(_, rest)| rest.split(';').next())
            .unwrap_or("0");
        count
            .parse()
            .with_context(|| format!("`{count}` is no number of losses"))
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
