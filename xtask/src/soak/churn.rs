//! What goes on while memtrace is watched: kills, checkpoints, short lives.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::{EXAMPLE, Soak};
use crate::rig::group::{Group, Groups};
use crate::rig::member;

/// How many go on at once.
pub(super) const WORKERS: u32 = 2;
/// A shared machine is left some of its time.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a victim may take to be killed, and its report to be there.
const PATIENCE: Duration = Duration::from_secs(30);
/// Until marker probes sit on a program that was not seen before.
const WARM_UP: Duration = Duration::from_secs(3);

/// What `hog` does until it is killed.
const HOGS: [&[&str]; 3] = [
    &[],
    &["--threads", "4"],
    &["--threads", "2", "--leader-exits"],
];
/// Checkpoints, memory, threads, a child, an exec, and an end.
const STEPS: &str = "anon 4\nmark begun\nmarks 40\nshmem 2\nthread 3 1\nfork\nmark child 说明\nfree\nexec soak-steps\nmark after\nanon 3\nexit 7\n";
/// Names and programs that change, and children that end at once.
const SHELL: &str = "echo soak-renamed > /proc/self/comm; ./soak-true; (./soak-true; ./soak-true) & ./soak-true; wait; echo soak-twice > /proc/self/comm; exec ./soak-true";

/// One round after the other until the soak is over.
pub(super) fn run(soak: &Soak, groups: &Groups, number: u32) {
    let worker = match Worker::new(soak, groups, number) {
        Ok(worker) => worker,
        Err(error) => return soak.fault(&format!("{error:#}")),
    };
    let mut round = number as usize;
    while !soak.is_over() {
        if let Err(error) = worker.round(round) {
            // What was interrupted is no fault.
            if !soak.is_over() {
                soak.fault(&format!("round {round}: {error:#}"));
            }
        }
        round += 1;
    }
}

struct Worker<'a> {
    soak: &'a Soak,
    small: Group,
    large: Group,
    calm: Group,
}

impl<'a> Worker<'a> {
    fn new(soak: &'a Soak, groups: &Groups, number: u32) -> Result<Self> {
        let worker = Self {
            soak,
            small: groups.group(&format!("small-{number}"), 48)?,
            large: groups.group(&format!("large-{number}"), 300)?,
            calm: groups.group(&format!("calm-{number}"), 128)?,
        };
        // memtrace meets each program once before it is to know its checkpoints from the first on.
        worker.calm("soak-hog", &["--max", "1"], "\n\n")?;
        worker.calm("soak-steps", &[], "exit 0\n")?;
        worker.calm("soak-many", &["1", "1"], "\n")?;
        let script = [EXAMPLE, "--expect"];
        let python = PathBuf::from(&soak.python);
        worker.start(&worker.calm, &python, &script, "")?.wait()?;
        thread::sleep(WARM_UP);
        Ok(worker)
    }

    /// Mostly short lives and hogs; every eighth time the example is killed.
    fn round(&self, round: usize) -> Result<()> {
        let hog = HOGS[round / 4 % HOGS.len()];
        match round % 8 {
            0 => {
                let (number, checkpoint) =
                    &self.soak.scenarios[round / 8 % self.soak.scenarios.len()];
                let script = [EXAMPLE, "--speed", "20", "--scenario", number];
                let python = PathBuf::from(&self.soak.python);
                self.killed(&self.large, &python, &script, checkpoint)?;
            }
            1 | 4 => {
                let args = [hog, &["--mark", "大表"]].concat();
                self.killed(&self.small, &self.program("soak-hog"), &args, "大表")?;
            }
            2 | 6 => {
                self.calm("soak-steps", &[], STEPS)?;
            }
            3 | 7 => {
                self.calm("soak-sh", &["-c", SHELL], "")?;
            }
            _ => {
                self.calm("soak-many", &["200", "4"], "\n")?;
            }
        }
        thread::sleep(PAUSE);
        Ok(())
    }

    fn program(&self, name: &str) -> PathBuf {
        self.soak.dir.join(name)
    }

    /// Somebody who lives and ends in peace.
    fn calm(&self, name: &str, args: &[&str], says: &str) -> Result<ExitStatus> {
        let mut child = self.start(&self.calm, &self.program(name), args, says)?;
        self.end_of(&mut child, name)
    }

    /// Somebody who is killed for their memory after this checkpoint, and the report says so.
    fn killed(&self, group: &Group, program: &Path, args: &[&str], checkpoint: &str) -> Result<()> {
        let mut child = self.start(group, program, args, "\n")?;
        let pid = child.id();
        self.end_of(&mut child, &program.display().to_string())?;
        let began = Instant::now();
        let mut text = String::new();
        while began.elapsed() < PATIENCE {
            text = report_of(&self.soak.dir.join("logs"), pid)?.unwrap_or_default();
            if is_right(&text, checkpoint) {
                self.soak.kills.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.soak.fault(&format!(
            "pid {pid} was killed after [{checkpoint}], and its log says:\n{text}"
        ));
        Ok(())
    }

    fn start(&self, group: &Group, program: &Path, args: &[&str], says: &str) -> Result<Child> {
        let mut child = member(group, program, args)
            .current_dir(&self.soak.dir)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let mut stdin = child.stdin.take().expect("stdin is piped");
        // Who ends before reading it all has heard enough.
        let _ = stdin.write_all(says.as_bytes());
        Ok(child)
    }

    fn end_of(&self, child: &mut Child, name: &str) -> Result<ExitStatus> {
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if self.soak.is_over() || began.elapsed() > PATIENCE {
                child.kill()?;
                child.wait()?;
                bail!("{name} did not end");
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The log of a process, if it is there.
fn report_of(logs: &Path, pid: u32) -> Result<Option<String>> {
    let middle = format!("_{pid}_");
    for entry in fs::read_dir(logs)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.contains(&middle) && name.ends_with(".log") {
            // The janitor may have been faster.
            return Ok(fs::read_to_string(&path).ok());
        }
    }
    Ok(None)
}

fn is_right(report: &str, checkpoint: &str) -> bool {
    let named = format!("   检查点    [{checkpoint}] 之后 ");
    report.contains("💀 被内核 OOM 杀死: PID ")
        && report.lines().any(|line| line.starts_with(&named))
}
