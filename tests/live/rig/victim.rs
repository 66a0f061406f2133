//! A process to be traced.

use std::{
    ffi::OsStr,
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Mutex, OnceLock},
    time::{Duration, Instant},
};

use super::{signal, signed, stream::Stream, victim_program, wait_until};

/// One of the programs in `tests/victims`, or any other that speaks as they do: it prints `ready
/// PID` and waits for lines. With all of its descendants it dies with this value.
#[derive(Debug)]
pub(in crate::live) struct Victim {
    child: Child,
    stdin: Option<ChildStdin>,
    out: Stream,
    pid: u32,
}

impl Victim {
    /// Starts one of `tests/victims`.
    #[track_caller]
    pub(in crate::live) fn start<A: AsRef<OsStr>>(name: &str, args: &[A]) -> Self {
        Self::spawn(Command::new(victim_program(name)).args(args))
    }

    /// A copy of `steps` under another name.
    #[track_caller]
    pub(in crate::live) fn copied(to: &Path) -> Self {
        std::fs::copy(victim_program("steps"), to).expect("a program can be copied");
        Self::spawn(&mut Command::new(to))
    }

    /// Starts a command and waits until it is ready.
    #[track_caller]
    pub(in crate::live) fn spawn(command: &mut Command) -> Self {
        let mut victim = Self::spawn_silent(command);
        let line = victim.out.next_line();
        let pid = line.strip_prefix("ready ").and_then(|pid| pid.parse().ok());
        victim.pid = pid.unwrap_or_else(|| panic!("not ready: {line}"));
        victim
    }

    /// Starts a command that says nothing of itself.
    #[track_caller]
    pub(in crate::live) fn spawn_silent(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("start {command:?}: {error}"));
        let stdin = child.stdin.take();
        let out = Stream::read("a victim's stdout", child.stdout.take().expect("piped"));
        let pid = child.id();
        Self {
            child,
            stdin,
            out,
            pid,
        }
    }

    /// The process that said it was ready.
    pub(in crate::live) fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a line.
    #[track_caller]
    pub(in crate::live) fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("its input is open");
        let _ = stdin.write_all(format!("{line}\n").as_bytes());
    }

    /// The next line that it prints.
    #[track_caller]
    pub(in crate::live) fn hear(&mut self) -> String {
        self.out.next_line()
    }

    /// Sends a command and takes its answer, which must begin with `ok`; the rest of it.
    #[track_caller]
    pub(in crate::live) fn ask(&mut self, command: &str) -> String {
        self.say(command);
        let answer = self.hear();
        let rest = answer.strip_prefix("ok");
        rest.unwrap_or_else(|| panic!("{command}: {answer}"))
            .trim()
            .to_owned()
    }

    /// Closes its input and waits for its end.
    #[track_caller]
    pub(in crate::live) fn finish(&mut self) -> ExitStatus {
        self.stdin = None;
        self.wait()
    }

    /// Waits for its end.
    #[track_caller]
    pub(in crate::live) fn wait(&mut self) -> ExitStatus {
        wait_until("the end of a victim", || {
            self.child.try_wait().expect("it is our child")
        })
    }

    pub(in crate::live) fn signal(&self, number: i32) {
        signal(signed(self.pid), number);
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        signal(-signed(self.child.id()), libc::SIGKILL);
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- a victim said:\n{}", self.out.so_far());
        }
    }
}

/// The interpreter behind `python3`, not a shell script that looks for one.
pub(in crate::live) fn python() -> &'static Path {
    static FOUND: OnceLock<std::path::PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        let output = Command::new("python3")
            .args(["-c", "import sys; print(sys.executable)"])
            .output()
            .expect("python3 runs");
        let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert!(!path.is_empty(), "there is a python3");
        path.into()
    })
}

/// A minute of life and a bit: what a verdict looks back at.
const OLD: Duration = Duration::from_secs(62);

static ELDER: Mutex<Option<(Victim, Instant)>> = Mutex::new(None);

/// Starts the one who will be old when it is needed. When the tests end, so does its input, and so
/// does it.
pub(super) fn let_one_grow_old() {
    let mut elder = ELDER.lock().expect("starting it does not panic");
    elder.get_or_insert_with(|| {
        // Under a name of its own, so that no test takes it for its victim.
        let program = victim_program("elder");
        let _ = std::fs::remove_file(&program);
        (Victim::copied(&program), Instant::now())
    });
}

/// A process that is older than a minute, for one test.
#[track_caller]
pub(in crate::live) fn elder() -> Victim {
    let_one_grow_old();
    let taken = ELDER.lock().expect("nobody panics with it").take();
    let (victim, since) = taken.expect("it was just started");
    while since.elapsed() < OLD {
        std::thread::sleep(Duration::from_millis(50));
    }
    victim
}
