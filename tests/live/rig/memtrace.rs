//! A memtrace that traces.

use std::{
    ffi::OsStr,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

use memtrace::kernel::cgroup::MemoryController;

use super::{Life, TempDir, lives, program, signal, signed, stream::Stream, wait_until};

/// A running one, with a log directory of its own.
#[derive(Debug)]
pub(in crate::live) struct Memtrace {
    child: Child,
    stdout: Option<Stream>,
    stderr: Option<Stream>,
    dir: Option<TempDir>,
}

/// One that has ended.
#[derive(Debug)]
pub(in crate::live) struct Ended {
    status: ExitStatus,
    pub(in crate::live) stdout: String,
    pub(in crate::live) stderr: String,
    dir: TempDir,
}

impl Memtrace {
    /// `memtrace ARGS…`, ready: whoever runs and matches is traced, and what comes is noticed.
    #[track_caller]
    pub(in crate::live) fn watch<A: AsRef<OsStr>>(args: &[A]) -> Self {
        let memtrace = Self::start(Command::new(program()).args(args));
        memtrace.wait_for(|line| line.ends_with("(Ctrl-C ends)"));
        memtrace
    }

    /// The same with the log directory of another one.
    #[track_caller]
    pub(in crate::live) fn watch_in<A: AsRef<OsStr>>(dir: &Path, args: &[A]) -> Self {
        let mut command = Command::new(program());
        command.args(args).arg("--log-dir").arg(dir);
        let memtrace = Self::spawn(&mut command, TempDir::new());
        memtrace.wait_for(|line| line.ends_with("(Ctrl-C ends)"));
        memtrace
    }

    /// `memtrace run ARGS… -- COMMAND…`
    #[track_caller]
    pub(in crate::live) fn run<A: AsRef<OsStr>>(args: &[&str], command: &[A]) -> Self {
        let mut run = Command::new(program());
        run.arg("run").args(args);
        let dir = TempDir::new();
        run.arg("--log-dir").arg(dir.path());
        run.arg("--").args(command);
        Self::spawn(&mut run, dir)
    }

    /// Runs a command line, with a log directory added.
    #[track_caller]
    pub(in crate::live) fn start(command: &mut Command) -> Self {
        let dir = TempDir::new();
        command.arg("--log-dir").arg(dir.path());
        Self::spawn(command, dir)
    }

    /// Runs a command line as it is.
    #[track_caller]
    pub(in crate::live) fn spawn(command: &mut Command, dir: TempDir) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            // What a program writes beside itself is removed with the rest.
            .current_dir(dir.path())
            .spawn()
            .expect("memtrace starts");
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        Self {
            child,
            stdout: Some(Stream::read("memtrace's stdout", stdout)),
            stderr: Some(Stream::read("memtrace's stderr", stderr)),
            dir: Some(dir),
        }
    }

    pub(in crate::live) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(in crate::live) fn dir(&self) -> &Path {
        self.dir.as_ref().expect("it runs").path()
    }

    pub(in crate::live) fn stdout(&self) -> &Stream {
        self.stdout.as_ref().expect("it runs")
    }

    pub(in crate::live) fn stderr(&self) -> &Stream {
        self.stderr.as_ref().expect("it runs")
    }

    /// The first line on stderr that is as wanted.
    #[track_caller]
    pub(in crate::live) fn wait_for(&self, wanted: impl Fn(&str) -> bool) -> String {
        self.stderr().wait_for(wanted)
    }

    /// Until the checkpoints in a file are seen.
    #[track_caller]
    pub(in crate::live) fn wait_for_checkpoints_in(&self, file: impl AsRef<Path>) {
        let file = file.as_ref().to_string_lossy().into_owned();
        self.wait_for(|line| line.contains("checkpoints are seen in ") && line.ends_with(&file));
    }

    /// The life of a process, if it has one yet.
    pub(in crate::live) fn try_life(&self, pid: u32) -> Option<Life> {
        lives::find(self.dir(), pid)
    }

    /// The life of a process, once its recording is there and as wanted.
    #[track_caller]
    pub(in crate::live) fn wait_for_life(&self, pid: u32, wanted: impl Fn(&Life) -> bool) -> Life {
        wait_until(&format!("the recording of process {pid}"), || {
            lives::find(self.dir(), pid).filter(|life| wanted(life))
        })
    }

    /// The life of a process, once its recording has been begun.
    #[track_caller]
    pub(in crate::live) fn wait_until_traced(&self, pid: u32) -> Life {
        self.wait_for_life(pid, |_| true)
    }

    /// Until the report of a process stands on disk; its life.
    #[track_caller]
    pub(in crate::live) fn wait_for_report(&self, pid: u32) -> Life {
        self.wait_for_life(pid, |life| !life.report.is_empty())
    }

    pub(in crate::live) fn signal(&self, number: i32) {
        signal(signed(self.child.id()), number);
    }

    /// Ctrl-C, and what came of it.
    #[track_caller]
    pub(in crate::live) fn stop(self) -> Ended {
        self.signal(libc::SIGINT);
        self.end()
    }

    /// Waits for its own end, whatever else still holds its output: exit code and signal.
    #[track_caller]
    pub(in crate::live) fn end_either_way(mut self) -> (Option<i32>, Option<i32>) {
        let status = wait_until("the end of memtrace", || {
            self.child.try_wait().expect("it is our child")
        });
        (status.code(), status.signal())
    }

    /// Waits for its own end.
    #[track_caller]
    pub(in crate::live) fn end(mut self) -> Ended {
        let status = wait_until("the end of memtrace", || {
            self.child.try_wait().expect("it is our child")
        });
        let stdout = self.stdout.take().expect("it ran").finish();
        let stderr = self.stderr.take().expect("it ran").finish();
        Ended {
            status,
            stdout,
            stderr,
            dir: self.dir.take().expect("it ran"),
        }
    }
}

impl Drop for Memtrace {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            // With the command that it runs, if any.
            signal(-signed(self.child.id()), libc::SIGKILL);
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            for stream in [&self.stdout, &self.stderr].into_iter().flatten() {
                eprintln!("--- memtrace said:\n{}", stream.so_far());
            }
        }
        for group in run_groups(self.child.id()) {
            let _ = std::fs::remove_dir(group);
        }
    }
}

/// Where the cgroup of a `memtrace run` may be, whether it is there or not.
pub(in crate::live) fn run_groups(pid: u32) -> Vec<std::path::PathBuf> {
    let Some(controller) = MemoryController::find() else {
        return Vec::new();
    };
    let own = memtrace::kernel::procfs::memory_cgroup(std::process::id()).unwrap_or_default();
    let own = controller.mount.join(own.trim_start_matches('/'));
    [own, controller.mount]
        .map(|parent| parent.join(format!("memtrace-run-{pid}")))
        .to_vec()
}

impl Ended {
    /// Its exit code; none if a signal ended it.
    #[track_caller]
    pub(in crate::live) fn code(&self) -> i32 {
        let Some(code) = self.status.code() else {
            panic!(
                "memtrace was ended by signal {:?}; it said:\n{}",
                self.status.signal(),
                self.stderr
            );
        };
        code
    }

    /// Asserts an exit code; shows what was said where it is another.
    #[track_caller]
    pub(in crate::live) fn assert_code(&self, code: i32) {
        assert_eq!(
            self.status.code(),
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
    }

    /// All lives, in the order of their pids.
    pub(in crate::live) fn lives(&self) -> Vec<Life> {
        lives::all(self.dir.path())
    }

    /// The life of a process.
    #[track_caller]
    pub(in crate::live) fn life(&self, pid: u32) -> Life {
        lives::find(self.dir.path(), pid)
            .unwrap_or_else(|| panic!("process {pid} has no recording; stderr:\n{}", self.stderr))
    }

    /// The only life.
    #[track_caller]
    pub(in crate::live) fn only_life(&self) -> Life {
        let mut lives = self.lives();
        assert_eq!(lives.len(), 1, "lives: {lives:#?}\n{}", self.stderr);
        lives.pop().expect("there is one")
    }
}
