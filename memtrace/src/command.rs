//! The command of `memtrace run`: its cgroup, its signals, its end.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Child, ExitStatus},
    time::{Duration, Instant},
};

use crate::{
    kernel::{
        cgroup::{Group, GroupError},
        spawn::{self, Start},
    },
    plan::RunPlan,
};

/// How long a command has to end after it was asked to, before it is killed.
const GRACE: Duration = Duration::from_secs(10);
/// Ctrl-C reaches the command by the terminal. One that came to us alone is passed on after this.
const TERMINAL_FIRST: Duration = Duration::from_millis(300);

/// Why the command did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its cgroup could not be made.
    #[error("limit the command's memory")]
    Group(#[from] GroupError),
    /// It could not be executed.
    #[error(transparent)]
    Spawn(#[from] io::Error),
}

/// The file that the command will execute, found as `execvp(3)` finds it.
pub fn executable(plan: &RunPlan) -> Option<PathBuf> {
    let name = Path::new(plan.command.first()?);
    let found = if name.components().count() > 1 {
        name.to_owned()
    } else {
        let path = env::var_os("PATH")?;
        let mut candidates = env::split_paths(&path).map(|dir| dir.join(name));
        candidates.find(|candidate| candidate.is_file())?
    };
    fs::canonicalize(found).ok()
}

/// A command that was started.
#[derive(Debug)]
pub struct Command {
    child: Child,
    status: Option<(ExitStatus, Instant)>,
    group: Option<Group>,
    asked: Option<(i32, Instant)>,
    passed_on: bool,
}

impl Command {
    /// Starts it, in a cgroup of its own if its memory is limited.
    /// `oom_score_adj` is what it would have had without us.
    pub fn start(plan: &RunPlan, oom_score_adj: &str) -> Result<Self, StartError> {
        let group = plan.memory_max.map(Group::create).transpose()?;
        let procs = group.as_ref().map(Group::procs);
        let child = spawn::spawn(
            &plan.command,
            Start {
                procs: procs.as_deref(),
                oom_score_adj,
            },
        )?;
        Ok(Self {
            child,
            status: None,
            group,
            asked: None,
            passed_on: false,
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// When its end was noticed, if it has ended. Also sees to one that was asked to end and
    /// does not.
    pub fn ended(&mut self) -> Option<Instant> {
        if self.status.is_none()
            && let Ok(Some(status)) = self.child.try_wait()
        {
            self.status = Some((status, Instant::now()));
        }
        if self.status.is_none()
            && let Some((signal, since)) = self.asked
        {
            if !self.passed_on && since.elapsed() >= TERMINAL_FIRST {
                self.passed_on = true;
                spawn::signal(&self.child, signal);
            }
            if since.elapsed() >= GRACE {
                spawn::signal(&self.child, libc::SIGKILL);
            }
        }
        self.status.map(|(_, when)| when)
    }

    /// Passes a signal on that asks for the end; false if it has been asked before and is to be
    /// waited for no longer.
    pub fn pass_on(&mut self, signal: i32) -> bool {
        if signal == 0 || self.status.is_some() {
            return true;
        }
        if self.asked.is_some() {
            return false;
        }
        self.asked = Some((signal, Instant::now()));
        if signal != libc::SIGINT {
            self.passed_on = true;
            spawn::signal(&self.child, signal);
        }
        true
    }

    /// Waits for its end, killing it if it must be, and removes its cgroup.
    pub fn finish(mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            spawn::signal(&self.child, libc::SIGKILL);
            let status = self.child.wait().ok()?;
            self.status = Some((status, Instant::now()));
        }
        drop(self.group.take());
        self.status.map(|(status, _)| status)
    }
}
