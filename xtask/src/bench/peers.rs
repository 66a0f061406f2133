//! memray and Scalene beside memtrace, on the same programs: whose output names the line after a
//! kill, and how much slower the program is.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::Place;
use super::table::{Row, undisturbed};
use super::tracer::Tracer;
use super::victim::Victim;
use crate::rig::group::Groups;
use crate::rig::member;
use crate::workspace::{self, output_of, root, target_dir};

/// Kills of each program under each tool.
const KILLS: u32 = 3;
/// What a program that is killed may take, in MiB.
const LIMIT: u64 = 300;

/// What the peers write; Scalene adds the ending where there is none.
const OUT: &str = "peer.json";

/// Who watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tool {
    Nobody,
    Memtrace,
    Memray,
    Scalene,
}

const TOOLS: [Tool; 4] = [Tool::Nobody, Tool::Memtrace, Tool::Memray, Tool::Scalene];

/// A program, and where most of its memory comes from.
struct Program {
    name: &'static str,
    /// Its arguments where it ends by itself, and where it is killed.
    whole: &'static [&'static str],
    killed: &'static [&'static str],
    file: &'static str,
    /// What stands in that line and in no other.
    mark: &'static str,
}

const PROGRAMS: [Program; 2] = [
    Program {
        name: "a list that grows",
        whole: &["list", "400"],
        killed: &["list", "400"],
        file: "tests/victims/peers.py",
        mark: "  # most",
    },
    Program {
        name: "examples/backtest.py",
        whole: &["backtest"],
        killed: &["backtest", "killed"],
        file: "examples/backtest.py",
        mark: "\"data\": bytearray(",
    },
];

/// The peers' Python, where pip could install them.
struct Peers {
    python: PathBuf,
    tools: Vec<Tool>,
}

/// First the kills, then the costs in turn; a table of its own, and what memtrace did not name.
pub(super) fn measure(place: &Place) -> Result<Vec<Row>> {
    let peers = Peers::install()?;
    let mut rows = Vec::new();
    let mut lines = Vec::new();
    for program in &PROGRAMS {
        let named = peers.kills(place, program)?;
        let costs = peers.costs(place, program)?;
        let alone = undisturbed(&costs[0]);
        for ((tool, named), costs) in peers.tools.iter().zip(&named).zip(&costs) {
            let (tool, kills) = (format!("{tool:?}"), format!("{named} of {KILLS}"));
            lines.push(format!(
                "{:<24} {tool:<10} {kills:>25} {:>10.0} ms {:>10.3} ×",
                program.name,
                undisturbed(costs) / 1e6,
                undisturbed(costs) / alone
            ));
        }
        rows.push(Row {
            measure: format!("kills without the line, {}", program.name),
            baseline: String::new(),
            floor: String::new(),
            ours: format!("{} of {KILLS} named", named[1]),
            result: f64::from(KILLS - named[1]),
            target: 0.0,
            unit: "",
        });
    }
    println!(
        "\n{:<24} {:<10} {:>25} {:>13} {:>12}",
        "program", "watched by", "kills whose line it names", "CPU time", "slow-down"
    );
    for line in &lines {
        println!("{line}");
    }
    Ok(rows)
}

impl Peers {
    /// Into a virtual environment of their own; without them, memtrace alone.
    fn install() -> Result<Self> {
        let venv = target_dir().join("peers/venv");
        let python = venv.join("bin/python");
        if !python.exists() {
            let mut create = workspace::command("python3");
            workspace::run(create.args(["-m", "venv"]).arg(&venv))?;
        }
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet"]);
        let installed = workspace::run(pip.args(["memray", "scalene"]));
        let tools = match installed {
            Ok(()) => TOOLS.to_vec(),
            Err(error) => {
                eprintln!("peers: memray and Scalene are NOT MEASURED, not to be had: {error:#}");
                vec![Tool::Nobody, Tool::Memtrace]
            }
        };
        let mut list = Command::new(&python);
        let versions = output_of(list.args(["-m", "pip", "list", "--format=freeze"]));
        for version in versions.unwrap_or_default().lines() {
            if version.starts_with("memray=") || version.starts_with("scalene=") {
                eprintln!("peers: {version}");
            }
        }
        Ok(Self { python, tools })
    }

    /// In how many kills each tool names the line.
    fn kills(&self, place: &Place, program: &Program) -> Result<Vec<u32>> {
        let needles = program.needles()?;
        let mut named = vec![0; self.tools.len()];
        for _ in 0..KILLS {
            for (tool, named) in self.tools.iter().zip(&mut named) {
                let told = self.killed(place, *tool, program)?;
                *named += u32::from(needles.iter().any(|needle| told.contains(needle)));
            }
        }
        eprintln!("peers, {}: {named:?} of {KILLS} kills", program.name);
        Ok(named)
    }

    /// All that a tool has to say of a program that was killed.
    fn killed(&self, place: &Place, tool: Tool, program: &Program) -> Result<String> {
        let out = place.scratch.join(OUT);
        let _ = fs::remove_file(&out);
        let groups = Groups::create("bench", LIMIT)?;
        let group = groups.group("peer", LIMIT)?;
        let args = Self::line(place, tool, program.killed);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut command = member(&group, &self.python, &args);
        command.current_dir(&place.scratch).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().context("start a program to be killed")?;
        let tracer = match tool {
            Tool::Memtrace => Some(Tracer::tracing(
                place,
                &["--pid", &child.id().to_string()],
                1,
            )?),
            _ => None,
        };
        // This closes its stdin, which lets it begin.
        let output = child.wait_with_output()?;
        ensure!(group.kills()? > 0, "{} was not killed", program.name);
        let mut told = [output.stdout, output.stderr].concat();
        told.extend(match tracer {
            Some(tracer) => tracer.told()?.into_bytes(),
            None => self.read(tool, &out).into_bytes(),
        });
        Ok(String::from_utf8_lossy(&told).into_owned())
    }

    /// What a peer reads out of what it has left.
    fn read(&self, tool: Tool, out: &PathBuf) -> String {
        let words: &[&str] = match tool {
            Tool::Memray => &["-m", "memray", "stats"],
            Tool::Scalene => &["-m", "scalene", "view", "--cli"],
            Tool::Nobody | Tool::Memtrace => return String::new(),
        };
        let mut command = Command::new(&self.python);
        output_of(command.args(words).arg(out)).unwrap_or_default()
    }

    /// What the program costs under each tool, run by run.
    fn costs(&self, place: &Place, program: &Program) -> Result<Vec<Vec<f64>>> {
        let mut costs = vec![Vec::new(); self.tools.len()];
        for run in 0..place.runs {
            for (tool, costs) in self.tools.iter().zip(&mut costs) {
                let args = Self::line(place, *tool, program.whole);
                let victim = Victim::of(place, &self.python, &args)?;
                let pid = victim.pid.to_string();
                let tracer = match tool {
                    Tool::Memtrace => Some(Tracer::tracing(place, &["--pid", &pid], 1)?),
                    _ => None,
                };
                // Nor do the others' imports count.
                if let Some(tracer) = &tracer {
                    tracer.until_marked();
                }
                costs.push(victim.go()?);
            }
            let last: Vec<f64> = costs
                .iter()
                .map(|costs| costs[costs.len() - 1] / 1e6)
                .collect();
            eprintln!(
                "peers, {}: run {} of {}: {last:.0?} ms",
                program.name,
                run + 1,
                place.runs
            );
        }
        Ok(costs)
    }

    /// The arguments of Python that run a program under a tool.
    fn line(place: &Place, tool: Tool, args: &[&str]) -> Vec<String> {
        let words: &[&str] = match tool {
            Tool::Memray => &["-m", "memray", "run", "-q", "-f", "-o"],
            Tool::Scalene => &["-m", "scalene", "run", "-o"],
            Tool::Nobody | Tool::Memtrace => &[],
        };
        let mut line: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        if !words.is_empty() {
            line.push(place.scratch.join(OUT).display().to_string());
        }
        line.push(root().join("tests/victims/peers.py").display().to_string());
        line.extend(args.iter().map(|&arg| arg.to_owned()));
        line
    }
}

impl Program {
    /// What names the line: its file and number, or what stands in it.
    fn needles(&self) -> Result<[String; 2]> {
        let text = fs::read_to_string(root().join(self.file))?;
        let (index, line) = text
            .lines()
            .enumerate()
            .find(|(_, line)| line.contains(self.mark))
            .with_context(|| format!("{} has no `{}`", self.file, self.mark))?;
        let name = self.file.rsplit('/').next().unwrap_or(self.file);
        Ok([format!("{name}:{}", index + 1), line.trim().to_owned()])
    }
}
