//! The battery: more than a hundred Python programs, each killed in a memory cgroup of its own at a
//! line that it declares itself, under the interpreters of this machine.
//!
//! As it is, every program runs under the oldest and under the newest interpreter, and under one
//! of those in between, which take turns. `MEMTRACE_BATTERY_ALL=1` runs everything everywhere,
//! `MEMTRACE_BATTERY_RUNS=10` ten times each, `MEMTRACE_BATTERY_PYTHON=PATH` under this interpreter
//! alone, and `MEMTRACE_BATTERY_ONLY=NAME` the programs with this in their names.

mod judge;
mod program;

use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Write as _,
    io::{self, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use self::{
    judge::Judgement,
    program::{Minor, Program},
};
use super::rig::{Cgroup, Life, Memtrace, TempDir, Victim, scaled};

/// Victims at a time, where they are not slow.
const AT_ONCE: usize = 4;

/// Programs that are enough where each takes seconds.
const FEW: usize = 12;

/// What all of them may have together, whatever one of them does.
const ALL_MIB: u64 = 1024;

/// A program may be dead before its interpreter has been looked at, or be refused a page elsewhere.
/// Then it is run again, so often at most.
const ATTEMPTS: usize = 5;

/// After so many failures under one interpreter the rest of them is of no use.
const ENOUGH: usize = 20;

/// The versions whose stacks memtrace knows.
const KNOWN: std::ops::RangeInclusive<Minor> = 7..=15;

/// Says of itself what decides about what it can run. What it loads to do so is in the page cache
/// then, and is not charged to the cgroup of a victim.
const QUESTION: &str = r"
import platform, sys
print(platform.python_implementation(), platform.python_version())
for module in sys.argv[1:]:
    try:
        __import__(module)
        print(module)
    except ImportError:
        pass
";

#[derive(Debug)]
struct Interpreter {
    path: PathBuf,
    /// In full, as it says itself.
    version: String,
    minor: Minor,
    /// Those of the modules asked for that it has.
    modules: BTreeSet<String>,
}

impl Interpreter {
    /// Nothing for one that is no CPython, or of a version that is not known.
    fn ask(path: &Path, modules: &BTreeSet<String>) -> Option<Self> {
        let mut command = Command::new(path);
        let output = command.args(["-c", QUESTION]).args(modules).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines = text.lines().map(str::to_owned);
        let version = lines.next()?.strip_prefix("CPython ")?.to_owned();
        let minor = version.split('.').nth(1)?.parse().ok()?;
        KNOWN.contains(&minor).then(|| Self {
            path: path.to_owned(),
            version,
            minor,
            modules: lines.collect(),
        })
    }

    /// Why it cannot run a program.
    fn obstacle(&self, program: &Program) -> Option<String> {
        let missing = program
            .needs
            .iter()
            .find(|need| !self.modules.contains(*need));
        if self.minor < program.since {
            Some(format!("only from Python 3.{}", program.since))
        } else {
            missing.map(|module| format!("no module {module}"))
        }
    }
}

/// The interpreter itself: what is found may be a script that looks for one, as pyenv has them, and
/// a victim should not have to pay for that.
fn behind(path: &Path) -> Option<PathBuf> {
    let code = "import sys; print(sys.executable)";
    let output = Command::new(path).args(["-c", code]).output().ok()?;
    let told = String::from_utf8(output.stdout).ok()?;
    let told = told.trim();
    (!told.is_empty()).then(|| PathBuf::from(told))
}

/// The oldest first.
fn interpreters(programs: &[Program]) -> Vec<Interpreter> {
    let modules = programs
        .iter()
        .flat_map(|program| program.needs.iter().cloned())
        .collect();
    let paths = match env::var_os("MEMTRACE_BATTERY_PYTHON") {
        Some(path) => vec![PathBuf::from(path)],
        None => xtask::test::python::every_interpreter()
            .into_values()
            .filter_map(|path| behind(&path))
            .chain(xtask::test::debian::interpreters().into_values())
            .collect(),
    };
    let asked = paths
        .iter()
        .filter_map(|path| Interpreter::ask(path, &modules));
    // A version that is there twice is the same thing twice.
    let mut found: BTreeMap<(Minor, String), Interpreter> = BTreeMap::new();
    for interpreter in asked {
        let key = (interpreter.minor, interpreter.version.clone());
        found.entry(key).or_insert(interpreter);
    }
    assert!(!found.is_empty(), "there is a CPython: {paths:?}");
    found.into_values().collect()
}

/// Which programs run under which interpreter, by their places.
fn plan(interpreters: usize, programs: usize) -> Vec<Vec<usize>> {
    let everywhere = env::var_os("MEMTRACE_BATTERY_ALL").is_some();
    let between = interpreters.saturating_sub(2).max(1);
    let takes_its_turn = |interpreter: usize, program: usize| program % between + 1 == interpreter;
    (0..interpreters)
        .map(|interpreter| {
            let is_end = interpreter == 0 || interpreter + 1 == interpreters;
            (0..programs)
                .filter(|program| everywhere || is_end || takes_its_turn(interpreter, *program))
                .collect()
        })
        .collect()
}

/// Says what is not run. Not by a macro: what those print, nobody sees of a test that passes.
fn tell_not_run(interpreter: &Interpreter, obstacles: &BTreeMap<String, Vec<&str>>) {
    for (why, programs) in obstacles {
        let programs = programs.join(", ");
        let version = &interpreter.version;
        let _ = writeln!(
            io::stdout(),
            "NOT RUN: battery under Python {version}: {programs}: {why}"
        );
    }
}

/// Runs one program until it is killed; the life that was.
fn kill(program: &Program, interpreter: &Interpreter, round: &Round<'_>, attempt: usize) -> Life {
    let number = round.number_of(program);
    let name = format!("{}-{number}-{attempt}", interpreter.minor);
    let group = round.group.below(&name, program.limit_mib);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "echo $$ > \"$0/cgroup.procs\"; exec \"$@\""])
        .arg(group.dir())
        .arg(&interpreter.path)
        .args(&program.args)
        .current_dir(round.stage)
        // What `sys.executable` says is no way to start an interpreter that is run by its loader.
        .env("BATTERY_PYTHON", &interpreter.path);
    let mut victim = Victim::spawn_silent(&mut shell);
    victim.wait();
    let killed = killed(round.memtrace, victim.pid());
    killed.unwrap_or_else(|| panic!("nobody was killed by the OOM killer"))
}

/// The life of the process that was killed: this one, or one below it.
fn killed(memtrace: &Memtrace, pid: u32) -> Option<Life> {
    let life = memtrace.wait_for_report(pid);
    if life.was_oom() {
        return Some(life);
    }
    let mut children = life.children().into_iter();
    children.find_map(|child| killed(memtrace, child))
}

/// Programs under one interpreter, each once.
struct Round<'a> {
    memtrace: &'a Memtrace,
    group: &'a Cgroup,
    stage: &'a Path,
    programs: &'a [&'a Program],
    besides: &'a Besides,
}

/// Kills that do not count.
#[derive(Debug, Default)]
struct Besides {
    too_early: AtomicUsize,
    elsewhere: Mutex<Vec<String>>,
}

impl Round<'_> {
    fn number_of(&self, program: &Program) -> usize {
        let same = |other: &&Program| std::ptr::eq(*other, program);
        self.programs
            .iter()
            .position(same)
            .expect("it is one of them")
    }

    /// What went wrong, program by program.
    fn run(&self, interpreter: &Interpreter) -> Vec<String> {
        let queue = Mutex::new(self.programs.iter());
        let failures = Mutex::new(Vec::new());
        let work = || {
            loop {
                let next = queue.lock().expect("nobody panics with it").next();
                let Some(program) = next else { return };
                let outcome = self.try_one(program, interpreter);
                let mut failures = failures.lock().expect("nobody panics with it");
                if let Err(what) = outcome {
                    failures.push(format!(
                        "Python {}, {}: {what}",
                        interpreter.version, program.name
                    ));
                }
                if failures.len() >= ENOUGH {
                    return;
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..scaled(AT_ONCE).max(1) {
                scope.spawn(work);
            }
        });
        let left = queue.into_inner().expect("nobody panicked with it").len();
        let mut failures = failures.into_inner().expect("nobody panicked with it");
        if left > 0 {
            failures.push(format!(
                "Python {}: {left} programs were not tried after that",
                interpreter.version
            ));
        }
        failures
    }

    /// A wait in vain is a failure of this program alone, and so are two kills elsewhere.
    fn try_one(&self, program: &Program, interpreter: &Interpreter) -> Result<(), String> {
        let mut was_elsewhere = false;
        for attempt in 0..ATTEMPTS {
            let tried = catch_unwind(AssertUnwindSafe(|| {
                let life = kill(program, interpreter, self, attempt);
                judge::judge(program, interpreter.minor, &life)
            }));
            match tried.unwrap_or_else(|panic| Judgement::Wrong(said(&*panic))) {
                Judgement::Right => return Ok(()),
                Judgement::TooEarly => {
                    self.besides.too_early.fetch_add(1, Ordering::Relaxed);
                }
                Judgement::Elsewhere(what) if !was_elsewhere => {
                    was_elsewhere = true;
                    let what = format!("Python {}, {}: {what}", interpreter.version, program.name);
                    let mut elsewhere = self.besides.elsewhere.lock();
                    let elsewhere = elsewhere.as_mut().expect("nobody panics with it");
                    elsewhere.push(what);
                }
                Judgement::Elsewhere(what) | Judgement::Wrong(what) => return Err(what),
            }
        }
        Err(format!(
            "dead before its interpreter had been looked at, {ATTEMPTS} times"
        ))
    }
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}

/// One run of programs, under a memtrace of its own: what it wrote of thousands would slow down
/// whoever looks for one.
fn round(
    stage: &Path,
    programs: &[&Program],
    interpreter: &Interpreter,
    besides: &Besides,
) -> Vec<String> {
    let group = Cgroup::new(ALL_MIB);
    let memtrace = Memtrace::watch(&["--cgroup", &group.path, "--quiet"]);
    let round = Round {
        memtrace: &memtrace,
        group: &group,
        stage,
        programs,
        besides,
    };
    let failures = round.run(interpreter);
    memtrace.stop().assert_code(0);
    failures
}

#[test]
fn every_program_is_seen_to_die_at_its_line() {
    let stage = TempDir::new();
    let mut programs = program::stage(stage.path());
    assert!(programs.len() >= 60, "{} programs", programs.len());
    if let Ok(part) = env::var("MEMTRACE_BATTERY_ONLY") {
        programs.retain(|program| program.name.contains(&part));
    }
    // Where everything takes long, some of each kind must do: they are in the order of their names.
    let is_slow = scaled(programs.len()) < programs.len();
    let enough = if is_slow { FEW } else { programs.len() };
    let every = programs.len().div_ceil(enough.max(1));
    let programs: Vec<Program> = programs.into_iter().step_by(every.max(1)).collect();
    let interpreters = interpreters(&programs);
    let runs = env::var("MEMTRACE_BATTERY_RUNS").unwrap_or_else(|_| "1".to_owned());
    let runs: usize = runs.parse().expect("MEMTRACE_BATTERY_RUNS is a number");
    let (mut kills, mut failures) = (0, Vec::new());
    let besides = Besides::default();
    let plan = plan(interpreters.len(), programs.len());
    for (interpreter, chosen) in interpreters.iter().zip(plan) {
        let mut obstacles = BTreeMap::<String, Vec<&str>>::new();
        let mut able = Vec::new();
        for program in chosen.iter().map(|place| &programs[*place]) {
            match interpreter.obstacle(program) {
                Some(why) => obstacles.entry(why).or_default().push(&program.name),
                None => able.push(program),
            }
        }
        tell_not_run(interpreter, &obstacles);
        for _ in 0..runs {
            kills += able.len();
            failures.extend(round(stage.path(), &able, interpreter, &besides));
        }
    }
    let mut text = String::new();
    for failure in &failures {
        let _ = writeln!(text, "{failure}");
    }
    let elsewhere = besides.elsewhere.into_inner();
    let elsewhere = elsewhere.expect("nobody panicked with it");
    for kill in &elsewhere {
        println!("elsewhere: {kill}");
    }
    // One in a thousand was seen.
    let are_few = elsewhere.len() <= 2 + kills / 100;
    assert!(
        failures.is_empty() && are_few,
        "{} of {kills} kills, and {} elsewhere:\n{text}",
        failures.len(),
        elsewhere.len()
    );
    println!(
        "figure: {kills} kills under {} interpreters; {} more came before the first look, {} at another line",
        interpreters.len(),
        besides.too_early.into_inner(),
        elsewhere.len()
    );
}
