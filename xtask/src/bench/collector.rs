//! memtrace itself: CPU time while nothing happens, memory with many processes.

use std::fs;
use std::io::{PipeWriter, pipe};
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::Place;
use super::table::Row;
use super::tracer::Tracer;

/// How long nothing happens.
const IDLE: Duration = Duration::from_secs(20);
/// Processes that are traced.
const TRACED: usize = 1000;
/// Processes that are known, for a kill may name any of them.
const KNOWN: usize = 10_000;
/// A name that nobody else's processes have.
const SLEEPER: &str = "bench-sleeper";

/// First while it waits, then with many processes.
pub(super) fn measure(place: &Place) -> Result<Vec<Row>> {
    let waiting = Tracer::waiting(place, &["--comm", "nobody-is-called-so"])?;
    let mut rows = vec![idle("collector, waiting: idle CPU", &waiting)?];
    drop(waiting);
    let sleepers = Sleepers::start(place, TRACED)?;
    let tracer = Tracer::tracing(place, &["--quiet", "--comm", SLEEPER], TRACED)?;
    tracer.until_marked();
    // Until the first census, after which what the beginning took is given back.
    thread::sleep(Duration::from_secs(12));
    rows.push(idle("collector, 1,000 processes: idle CPU", &tracer)?);
    rows.push(memory(&tracer)?);
    drop((tracer, sleepers));
    let _sleepers = Sleepers::start(place, KNOWN)?;
    let waiting = Tracer::waiting(place, &["--comm", "nobody-is-called-so"])?;
    thread::sleep(Duration::from_secs(12));
    rows.push(state(&waiting)?);
    Ok(rows)
}

fn idle(measure: &str, tracer: &Tracer) -> Result<Row> {
    thread::sleep(Duration::from_secs(1));
    let (before, started) = (cpu_ns(tracer.pid())?, Instant::now());
    thread::sleep(IDLE);
    let used = cpu_ns(tracer.pid())? - before;
    let percent = used / 1e9 / started.elapsed().as_secs_f64() * 100.0;
    Ok(Row {
        measure: measure.to_owned(),
        baseline: String::new(),
        floor: String::new(),
        ours: format!("{:.2} ms", used / 1e6),
        result: percent,
        target: 0.1,
        unit: "%",
    })
}

/// CPU time of all threads: the first number of each schedstat.
fn cpu_ns(pid: u32) -> Result<f64> {
    let mut total = 0.0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
        let stat = fs::read_to_string(task.path().join("schedstat"))?;
        let first = stat.split(' ').next().unwrap_or_default();
        total += first.parse::<f64>().context("read schedstat")?;
    }
    Ok(total)
}

/// With many processes that are traced: all but what it shares with the kernel.
fn memory(tracer: &Tracer) -> Result<Row> {
    row("collector, 1,000 processes: memory", tracer, |memory| {
        memory.resident - memory.rings
    })
}

/// With many processes that are known: what it knows of them.
fn state(tracer: &Tracer) -> Result<Row> {
    row(
        "collector, 10,000 processes known: state",
        tracer,
        |memory| memory.resident - memory.rings - memory.file,
    )
}

fn row(measure: &str, tracer: &Tracer, counted: impl Fn(&Memory) -> f64) -> Result<Row> {
    let memory = Memory::of_process(tracer.pid())?;
    Ok(Row {
        measure: measure.to_owned(),
        baseline: format!("{:.2} program", mib(memory.file)),
        floor: format!("{:.2} rings", mib(memory.rings)),
        ours: format!("{:.2} MiB", mib(memory.resident)),
        result: mib(counted(&memory)),
        target: 10.0,
        unit: "MiB",
    })
}

fn mib(kib: f64) -> f64 {
    kib / 1024.0
}

/// Resident memory, in KiB.
#[derive(Default)]
struct Memory {
    resident: f64,
    /// Of it, rings and other maps shared with the kernel.
    rings: f64,
    /// Of it, pages of files: the program and its libraries, shared with whoever else runs them.
    file: f64,
}

impl Memory {
    fn of_process(pid: u32) -> Result<Self> {
        let smaps = fs::read_to_string(format!("/proc/{pid}/smaps"))?;
        Ok(Self::of(&smaps))
    }

    fn of(smaps: &str) -> Self {
        let mut memory = Self::default();
        let mut name = "";
        for line in smaps.lines() {
            let mut words = line.split_whitespace();
            let first = words.next().unwrap_or_default();
            if !first.ends_with(':') {
                name = words.nth(4).unwrap_or_default();
            } else if first == "Rss:" {
                let kib = words.next().and_then(|kib| kib.parse().ok()).unwrap_or(0.0);
                memory.resident += kib;
                if name.contains("bpf") && name.starts_with("anon_inode") {
                    memory.rings += kib;
                } else if name.starts_with('/') {
                    memory.file += kib;
                }
            }
        }
        memory
    }
}

/// Processes that sleep until this is dropped: they wait on a pipe that nobody writes to.
struct Sleepers {
    processes: Vec<Child>,
    #[expect(dead_code, reason = "held: closing it would wake them")]
    never_written: PipeWriter,
}

impl Sleepers {
    fn start(place: &Place, count: usize) -> Result<Self> {
        let program = place.victims.join(SLEEPER);
        let _ = fs::remove_file(&program);
        symlink(place.victims.join("storm"), &program)?;
        let (wait_on, never_written) = pipe()?;
        let mut sleepers = Self {
            processes: Vec::new(),
            never_written,
        };
        for _ in 0..count {
            sleepers.processes.push(
                Command::new(&program)
                    .arg("1")
                    .stdin(wait_on.try_clone()?)
                    .stdout(Stdio::null())
                    .spawn()?,
            );
        }
        Ok(sleepers)
    }
}

impl Drop for Sleepers {
    fn drop(&mut self) {
        for sleeper in &mut self.processes {
            // It may have ended already.
            let _ = sleeper.kill();
            let _ = sleeper.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;

    #[test]
    fn rings_and_files_are_told_apart() {
        let smaps = "7f00-7f01 rw-s 00000000 00:0e 1061 anon_inode:bpf-map\nRss:   8 kB\nPss: 8 kB\n\
                     5500-5501 r-xp 00000000 fe:00 77 /usr/bin/memtrace\nRss:   4 kB\n\
                     5600-5601 rw-p 00000000 00:00 0 [heap]\nRss:   2 kB\n";
        let Memory {
            resident,
            rings,
            file,
        } = Memory::of(smaps);
        assert_eq!(
            [resident, rings, file].map(f64::to_bits),
            [14.0, 8.0, 4.0].map(f64::to_bits)
        );
    }
}
