//! The programs that are measured: they say when they are ready, wait for a line, and print what
//! one of what they do has cost.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result};

use super::Place;
use crate::workspace::{line, root};

/// A program that waits for the word to begin.
pub(super) struct Victim {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    /// Its process id.
    pub(super) pid: u32,
}

impl Victim {
    /// `storm ARGS…`
    pub(super) fn storm(place: &Place, args: &[&str]) -> Result<Self> {
        let mut storm = pinned(&place.victims.join("storm"));
        storm.args(args);
        Self::start(place, storm)
    }

    /// `storm.py ARGS…`
    pub(super) fn python(place: &Place, args: &[&str]) -> Result<Self> {
        let mut python = pinned(Path::new("python3"));
        python.arg(root().join("tests/victims/storm.py")).args(args);
        Self::start(place, python)
    }

    /// `PROGRAM ARGS…`, which does as these do.
    pub(super) fn of(place: &Place, program: &Path, args: &[String]) -> Result<Self> {
        let mut command = pinned(program);
        command.args(args);
        Self::start(place, command)
    }

    fn start(place: &Place, mut command: Command) -> Result<Self> {
        let mut child = command
            .current_dir(&place.scratch)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", line(&command)))?;
        let stdin = child.stdin.take().expect("stdin is piped");
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut victim = Self {
            pid: child.id(),
            child,
            stdin,
            stdout,
        };
        let ready = victim.line()?;
        victim.pid = ready
            .strip_prefix("ready ")
            .and_then(|pid| pid.trim().parse().ok())
            .with_context(|| format!("`{}` instead of `ready PID`", ready.trim()))?;
        Ok(victim)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        Ok(line)
    }

    /// Lets it begin; nanoseconds of one of what it does, in its best round.
    pub(super) fn go(mut self) -> Result<f64> {
        self.stdin.write_all(b"\n")?;
        let told = self.line()?;
        self.child.wait()?;
        told.split_once(" min ")
            .and_then(|(_, rest)| rest.split(' ').next()?.parse().ok())
            .with_context(|| format!("`{}` instead of figures", told.trim()))
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that stays on the last cpu, away from where most else runs.
fn pinned(program: &Path) -> Command {
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let mut taskset = Command::new("taskset");
    taskset.args(["-c", &(cpus - 1).to_string()]).arg(program);
    taskset
}
