//! `memtrace doctor`: what this host lets memtrace do, what it does not, and why. Found out by
//! doing it: every program is loaded and attached, and detached again.

#[cfg(test)]
mod tests;

use std::{fmt::Write as _, path::Path};

use crate::kernel::{
    cgroup::MemoryController,
    facts::{Facts, NoLayout},
    formats::{self, FormatError},
    load::{Ground, Loader, MarkerProgram, Probes, Settings},
    memory,
    offsets::{Layout, RssLayout},
    procfs,
    programs::LoadError,
    protect,
    sensor::Sensor,
};

/// One thing that memtrace would use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is for.
    pub what: &'static str,
    /// Whether it can be had.
    pub state: State,
    /// How, or why not, and since which kernel it can.
    pub detail: String,
}

/// Whether something can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It can.
    Yes,
    /// It cannot, or not as well as elsewhere; memtrace does without.
    Less,
    /// It cannot, and memtrace cannot without.
    No,
}

/// All that was found.
#[derive(Debug)]
pub struct Diagnosis {
    /// In the order of the pipeline.
    pub findings: Vec<Finding>,
    /// The kernel refused for want of rights.
    pub not_permitted: bool,
}

impl Diagnosis {
    /// Nothing that memtrace needs is missing.
    pub fn is_able(&self) -> bool {
        self.findings.iter().all(|found| found.state != State::No)
    }

    /// A line each, and one that sums up.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for Finding {
            what,
            state,
            detail,
        } in &self.findings
        {
            let sign = match state {
                State::Yes => "ok  ",
                State::Less => "less",
                State::No => "NO  ",
            };
            let _ = writeln!(text, "{sign}  {what:<28}{detail}");
        }
        text.push_str(if self.is_able() {
            "\nmemtrace works here.\n"
        } else {
            "\nmemtrace does not work here: mend what is marked NO.\n"
        });
        text
    }
}

/// What a trial of the probes showed.
struct Trial {
    /// How RSS is sensed, if the probes could be put in place.
    loaded: Result<Sensor, LoadError>,
    /// Stacks can be taken; absent where there is no way to.
    stacks: Option<Result<(), LoadError>>,
    /// A census can be taken; absent if nothing could be loaded.
    census: Option<bool>,
    /// A uprobe on our own code.
    uprobe: Option<Result<(), LoadError>>,
}

/// Looks and tries. `btf` is where the kernel's BTF is, if not in its place.
pub fn examine(btf: Option<&Path>) -> Diagnosis {
    let facts = Facts::observe(btf, false);
    let formats = formats::offsets();
    let trial = try_probes(&facts, formats.as_deref().ok());
    let not_permitted = trial
        .as_ref()
        .and_then(|trial| trial.loaded.as_ref().err())
        .is_some_and(LoadError::is_not_permitted);
    let mut findings = vec![kernel(&facts), capabilities(&facts)];
    findings.extend(types(&facts.layout));
    findings.push(classic(&formats, facts.layout.is_ok()));
    findings.extend(probes(trial, &facts));
    findings.extend(surroundings());
    Diagnosis {
        findings,
        not_permitted,
    }
}

fn found(what: &'static str, state: State, detail: impl Into<String>) -> Finding {
    Finding {
        what,
        state,
        detail: detail.into(),
    }
}

fn kernel(facts: &Facts) -> Finding {
    let detail = format!(
        "{} on {}, {} possible cpus, pages of {} bytes",
        facts.release,
        std::env::consts::ARCH,
        facts.cpus,
        facts.page_bytes
    );
    found("kernel", State::Yes, detail)
}

fn capabilities(facts: &Facts) -> Finding {
    if facts.missing_capabilities.is_empty() {
        found("capabilities", State::Yes, "all that it needs")
    } else {
        let missing = facts.missing_capabilities.join(", ");
        found(
            "capabilities",
            State::Less,
            format!("missing: {missing}; run it as root"),
        )
    }
}

/// What BTF tells.
fn types(layout: &Result<Layout, NoLayout>) -> Vec<Finding> {
    let layout = match layout {
        Ok(layout) => layout,
        Err(error) => {
            return vec![found(
                "kernel structs (BTF)",
                State::Less,
                format!(
                    "{error}; sizes come from /proc and are late, exit codes and limits are unknown; \
                     CONFIG_DEBUG_INFO_BTF=y has it all, or --btf FILE"
                ),
            )];
        }
    };
    let counters = match layout.rss {
        RssLayout::PerCpu => "summed over the per-cpu counters",
        RssLayout::Atomic => {
            "as /proc has it: this kernel batches up to 64 faults a thread (until 6.2)"
        }
    };
    let by_pid = layout
        .globals
        .iter()
        .any(|(name, value)| *name == "VICTIM_BY_PID" && *value != 0);
    let victim = if by_pid {
        found(
            "OOM victims",
            State::Less,
            "mark_victim gives a pid only; the victim is taken from the SIGKILL before it (task: 6.9, and \
             5.10.235, 5.15.179, 6.1.129, 6.6.79)",
        )
    } else {
        found("OOM victims", State::Yes, "mark_victim gives the task")
    };
    let mut findings = vec![
        found("kernel structs (BTF)", State::Yes, "every field was found"),
        found("exact RSS", State::Yes, counters),
        victim,
    ];
    findings.extend(layout.missing_tracepoints.iter().map(|name| {
        let (state, detail) = lacking(name);
        found("tracepoint", state, format!("{name} is missing{detail}"))
    }));
    findings
}

/// How bad it is that a tracepoint is missing, and since when kernels have it.
fn lacking(tracepoint: &str) -> (State, &'static str) {
    match tracepoint {
        "rss_stat" => (State::No, "; it came with 5.5"),
        "mark_victim" => (State::No, "; it came with 4.14"),
        "mm_vmscan_memcg_reclaim_begin" | "mm_vmscan_direct_reclaim_begin" => {
            (State::Less, ": order and gfp of an OOM are not told")
        }
        _ => (State::No, ""),
    }
}

fn classic(formats: &Result<Vec<(&'static str, u32)>, FormatError>, has_btf: bool) -> Finding {
    const WHAT: &str = "classic tracepoints";
    match formats {
        Ok(_) => found(WHAT, State::Yes, "tracefs tells their formats"),
        Err(error) if has_btf => found(
            WHAT,
            State::Less,
            format!("{error}; only needed where there is no BTF"),
        ),
        Err(error) => found(WHAT, State::No, error.to_string()),
    }
}

/// The smallest rings will do: nothing is read.
const SETTINGS: Settings = Settings {
    step_pages: 256,
    stack_pages: 1024,
    follow: true,
    watch_exec: false,
    ring_bytes: 4096,
    mark_ring_bytes: 4096,
    sensor: None,
};

fn try_probes(facts: &Facts, formats: Option<&[(&'static str, u32)]>) -> Option<Trial> {
    let ground = match (&facts.layout, formats) {
        (Ok(layout), _) => Ground::Typed(layout),
        (Err(_), Some(offsets)) => Ground::Plain(offsets),
        (Err(_), None) => return None,
    };
    let loader = Loader::begin().ok()?;
    let trial = match Probes::load(loader, facts, ground, SETTINGS, None) {
        Err(error) => Trial {
            loaded: Err(error),
            stacks: None,
            census: None,
            uprobe: None,
        },
        Ok((mut probes, _rings)) => Trial {
            stacks: match ground {
                Ground::Typed(_) => Some(probes.take_stack_trouble().map_or(Ok(()), Err)),
                Ground::Plain(_) => None,
            },
            census: Some(matches!(probes.census(), Ok(Some(_)))),
            uprobe: procfs::own_code().map(|(file, offset)| {
                probes.attach_marker(MarkerProgram::Loaded, &file, offset, None)
            }),
            loaded: probes.watch_rss(true).map(|()| probes.sensor()),
        },
    };
    Some(trial)
}

fn probes(trial: Option<Trial>, facts: &Facts) -> Vec<Finding> {
    let Some(Trial {
        loaded,
        stacks,
        census,
        uprobe,
    }) = trial
    else {
        return Vec::new();
    };
    let sensor = match loaded {
        Ok(sensor) => sensor.name(),
        // What else there is to try cannot be told from this.
        Err(error) => return vec![found("probes", State::No, in_one_line(error))],
    };
    let attached = format!("attached; RSS by {sensor}");
    let mut findings = vec![found("probes", State::Yes, attached)];
    findings.push(match stacks {
        Some(Ok(())) => found(
            "stacks",
            State::Yes,
            "of growth, at the OOM mark and at SIGKILL",
        ),
        Some(Err(error)) => found("stacks", State::Less, in_one_line(error)),
        None => found("stacks", State::Less, "none without BTF: no line is named"),
    });
    findings.extend(census.map(|census| {
        if census {
            found(
                "census of all processes",
                State::Yes,
                "by the task iterator",
            )
        } else {
            let detail = "from /proc: no task iterator (5.8, and BTF in the kernel)";
            found("census of all processes", State::Less, detail)
        }
    }));
    findings.extend(uprobe.map(|uprobe| match uprobe {
        Ok(()) => found(
            "checkpoints (uprobes)",
            State::Yes,
            "attached to our own code",
        ),
        Err(error) => found("checkpoints (uprobes)", State::Less, in_one_line(error)),
    }));
    findings.push(if facts.cookies {
        found("--marker", State::Yes, "several functions are told apart")
    } else {
        let detail = "all functions share one name (bpf_get_attach_cookie: 5.15)";
        found("--marker", State::Less, detail)
    });
    findings
}

/// An error with its causes, without the verifier's log.
fn in_one_line(error: LoadError) -> String {
    let text = format!("{:#}", anyhow::Error::new(error));
    text.lines().next().unwrap_or_default().to_owned()
}

/// What is not the kernel's tracing.
fn surroundings() -> Vec<Finding> {
    let memory = MemoryController::find().map_or_else(
        || {
            let detail = "no memory controller is mounted: no limits, no --memory-max; mount cgroup2 on \
                          /sys/fs/cgroup, or boot with cgroup_enable=memory";
            found("memory cgroups", State::Less, detail)
        },
        |controller| {
            let version = if controller.v1 { "v1" } else { "v2" };
            let detail = format!("{version} at {}", controller.mount.display());
            found("memory cgroups", State::Yes, detail)
        },
    );
    let first = if memory::go_first() {
        found(
            "goes before others",
            State::Yes,
            "real-time, lowest priority",
        )
    } else {
        let detail = "no real-time priority (CAP_SYS_NICE): on a busy machine more may be lost";
        found("goes before others", State::Less, detail)
    };
    let short = protect::protect();
    let protected = [protect::SPARED, protect::LOCKED].map(|what| {
        match short.iter().find(|short| short.what == what) {
            None => found(what, State::Yes, ""),
            Some(short) => found(
                what,
                State::Less,
                format!("{}; it needs {}", short.error, short.needs),
            ),
        }
    });
    let mut findings = vec![memory, first];
    findings.extend(protected);
    findings
}
