//! A track with a host around it, as the run loop would be, and its story in short words.

use std::collections::VecDeque;

use crate::{
    entry::{Begin, Constraint, Entry, Memory, NameState, Program, What},
    event::{
        Event, Exec, Exit, Fork, Group, Kind, Mark, MarkSource, OomMark, Origin, Rename, Sigkill,
        Task, Unsent,
    },
    sample::{begin, memory_mb},
    targets::{Glob, Targets},
    track::{Output, Rules, Track},
    units::{BootNanos, Bytes, Tgid, Tid},
};

/// The tests' time zero: long after the processes of the tests began.
pub(super) const START: u64 = 1_000_000_000_000;

/// So many milliseconds after the tests' time zero.
pub(super) fn ms(n: u64) -> BootNanos {
    BootNanos(START + n * 1_000_000)
}

/// When a process began that does not say otherwise: soon after boot.
pub(super) fn old(pid: u32) -> BootNanos {
    BootNanos(u64::from(pid))
}

/// So many checkpoints and RSS steps were not sent.
pub(super) fn unsent(marks: u32, steps: u32) -> Unsent {
    Unsent {
        marks,
        steps,
        too_fast: 0,
    }
}

/// Traces whatever is called `python3`, and its children.
pub(super) fn python() -> Rules {
    Rules {
        targets: Targets {
            comms: vec![Glob::new("python3")],
            ..Targets::default()
        },
        follow: true,
        total_memory: Some(Bytes::from_mb(4096)),
        ..Rules::default()
    }
}

pub(super) struct Host {
    pub(super) track: Track,
    /// What the next census finds.
    pub(super) tasks: Vec<Task>,
    /// Everything that was given out, in short, with the pid that it is about.
    pub(super) story: Vec<(u32, String)>,
    /// The entries and ends themselves.
    pub(super) raw: Vec<Output>,
}

impl Host {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            track: Track::new(rules),
            tasks: Vec::new(),
            story: Vec::new(),
            raw: Vec::new(),
        }
    }

    /// A traced `python3` that has run for long, with 100 MB.
    pub(super) fn with_python(pid: u32) -> Self {
        let mut host = Self::new(python());
        host.found(task(pid, "python3", 100));
        host
    }

    pub(super) fn found(&mut self, task: Task) {
        let program = Program {
            comm: task.comm.clone(),
            exe: None,
            args: vec![task.comm.clone(), format!("{}.py", task.pid)],
        };
        let mut out = Vec::new();
        self.track
            .found(ms(0), task, program.into(), Vec::new(), &mut out);
        self.answer(ms(0), out);
    }

    pub(super) fn feed(&mut self, at_ms: u64, kind: Kind) {
        self.at(ms(at_ms), kind);
    }

    pub(super) fn at(&mut self, at: BootNanos, kind: Kind) {
        let mut out = Vec::new();
        self.track.apply(Event { at, kind }, Vec::new(), &mut out);
        self.answer(at, out);
    }

    pub(super) fn unknown_python(&mut self, at_ms: u64, pid: u32, why: &str) {
        let mut out = Vec::new();
        self.track
            .unknown_python(ms(at_ms), Tgid(pid), why.to_owned(), &mut out);
        self.answer(ms(at_ms), out);
    }

    pub(super) fn census(&mut self, at_ms: u64) {
        let mut out = Vec::new();
        self.track.flush(ms(at_ms), &mut out);
        self.track
            .census(ms(at_ms), ms(at_ms), &self.tasks, &mut out);
        self.answer(ms(at_ms), out);
    }

    pub(super) fn flush(&mut self, at_ms: u64) {
        let mut out = Vec::new();
        self.track.flush(ms(at_ms), &mut out);
        self.answer(ms(at_ms), out);
    }

    pub(super) fn detach(&mut self, at_ms: u64) {
        let mut out = Vec::new();
        self.track.detach(ms(at_ms), &mut out);
        self.answer(ms(at_ms), out);
    }

    pub(super) fn answer(&mut self, at: BootNanos, out: Vec<Output>) {
        let mut queue: VecDeque<Output> = out.into();
        while let Some(output) = queue.pop_front() {
            let mut more = Vec::new();
            match &output {
                Output::Adopt(pid) if !self.track.is_traced(*pid) => {
                    if let Some(begin) = self.begin_of(*pid) {
                        self.track.begin(at, begin, &mut more);
                    }
                }
                Output::Census => self.track.census(at, at, &self.tasks, &mut more),
                Output::Adopt(_) | Output::Release(_) | Output::Discover(_) | Output::Name(_) => {}
                Output::Entry(life, entry) => {
                    let pid = self.pid_of(*life, entry);
                    self.story.push((pid, short(entry)));
                }
                Output::Ended(_, pid) => self.story.push((pid.0, "ended".to_owned())),
                Output::Unheard => self.story.push((0, "unheard".to_owned())),
                Output::TooMany => self.story.push((0, "too many".to_owned())),
                Output::UntracedKill(kill) => {
                    self.story
                        .push((kill.victim.pid.0, "untraced kill".to_owned()));
                }
            }
            self.raw.push(output);
            for output in more.into_iter().rev() {
                queue.push_front(output);
            }
        }
    }

    fn begin_of(&self, pid: Tgid) -> Option<Begin> {
        let person = self.track.person(pid)?;
        Some(Begin {
            pid,
            started: person.started,
            program: person.program.clone(),
            parent: person.parent,
            memory: person.memory,
            ..begin()
        })
    }

    fn pid_of(&self, life: crate::track::LifeId, entry: &Entry) -> u32 {
        if let What::Begin(begin) = &entry.what {
            return begin.pid.0;
        }
        let first = self.raw.iter().find_map(|output| match output {
            Output::Entry(of, first) if *of == life => Some(first),
            _ => None,
        });
        match first.map(|first| &first.what) {
            Some(What::Begin(begin)) => begin.pid.0,
            other => panic!("a life does not begin with its beginning but with {other:?}"),
        }
    }

    /// What was told of a process so far but for its neighbours, and forgets it.
    pub(super) fn told(&mut self, pid: u32) -> Vec<String> {
        let mut told = self.told_all(pid);
        told.retain(|entry| !entry.starts_with("near"));
        told
    }

    /// What was told of a process so far, and forgets it.
    pub(super) fn told_all(&mut self, pid: u32) -> Vec<String> {
        let (of, others) = std::mem::take(&mut self.story)
            .into_iter()
            .partition(|(who, _)| *who == pid);
        self.story = others;
        let of: Vec<(u32, String)> = of;
        of.into_iter().map(|(_, text)| text).collect()
    }

    /// The entries of all lives of a process.
    pub(super) fn kills(&self) -> Vec<crate::entry::OomKill> {
        self.raw
            .iter()
            .filter_map(|output| match output {
                Output::Entry(_, entry) => match &entry.what {
                    What::OomKill(kill) => Some((**kill).clone()),
                    _ => None,
                },
                Output::UntracedKill(kill) => Some((**kill).clone()),
                _ => None,
            })
            .collect()
    }
}

/// An entry in a few words.
pub(super) fn short(entry: &Entry) -> String {
    let mb = |memory: &Memory| memory.rss().0 >> 20;
    match &entry.what {
        What::Begin(begin) => format!("begin {}", begin.program.comm),
        What::Rename { comm } => format!("rename {comm}"),
        What::UnknownPython { why } => format!("unknown python {why}"),
        What::Exec { program } => format!("exec {}", program.comm),
        What::Child { pid } => format!("child {pid}"),
        What::Init {
            name,
            warning,
            critical,
            ..
        } => {
            let mb = |bytes: &Option<Bytes>| bytes.map(|bytes| bytes.0 >> 20);
            format!("init {name:?} {:?} {:?}", mb(warning), mb(critical))
        }
        What::Checkpoint(mark) => format!("mark {} {}", mark.name, mb(&mark.memory)),
        What::Rss { memory } => format!("rss {}", mb(memory)),
        What::OomKill(kill) => {
            let with: Vec<u32> = kill.together_with.iter().map(|who| who.pid.0).collect();
            format!(
                "oom by {}{}{}{}",
                kill.trigger.pid,
                if kill.own { " own" } else { "" },
                if kill.already_exiting { " exiting" } else { "" },
                if with.is_empty() {
                    String::new()
                } else {
                    format!(" with {with:?}")
                }
            )
        }
        What::Sigkill(kill) => format!("{:?} by {}", kill.how, kill.sender.comm),
        What::Stack(stack) => {
            let frames: Vec<String> = stack
                .frames
                .iter()
                .map(|frame| {
                    let name = frame.function.as_deref().unwrap_or("?");
                    let line = frame.line.map_or("?".to_owned(), |line| line.to_string());
                    format!("{name}:{line}")
                })
                .collect();
            let moved = stack.moved.map(|moved| format!(" {:+}", moved.0 >> 20));
            format!(
                "{:?} of {}{} {}",
                stack.why,
                stack.tid,
                moved.unwrap_or_default(),
                frames.join(" ")
            )
        }
        What::Neighbours(near) => {
            let one = |near: &crate::entry::Neighbour| {
                format!(
                    "{}:{}>{}",
                    near.who.pid,
                    near.before.0 >> 20,
                    near.rss.0 >> 20
                )
            };
            let all: Vec<String> = near.processes.iter().map(one).collect();
            format!("near {}", all.join(" "))
        }
        What::Lost(lost) => format!("lost {:?} {}", lost.kind, lost.count),
        What::Exit(exit) => match (exit.code, exit.signal) {
            (Some(code), _) => format!("exit {code}"),
            (_, Some(signal)) => format!("exit by signal {signal}"),
            _ => "exit unheard".to_owned(),
        },
        What::Detach { memory } => format!("detach {:?}", memory.as_ref().map(mb)),
    }
}

/// The limit that a kill was about, in a few words.
pub(super) fn limit(constraint: &Constraint) -> String {
    match constraint {
        Constraint::Cgroup {
            cgroup,
            file,
            limit,
            usage,
        } => format!("{cgroup} {file} {}/{}", usage.0 >> 20, limit.0 >> 20),
        Constraint::Global { total, .. } => {
            format!("global {:?}", total.map(|total| total.0 >> 20))
        }
        other => format!("{other:?}"),
    }
}

pub(super) fn task(pid: u32, comm: &str, mb: u64) -> Task {
    Task {
        pid: Tgid(pid),
        parent: Tgid(1),
        started: old(pid),
        uid: 1000,
        comm: comm.to_owned(),
        memory: memory_mb(mb),
        groups: vec![7, 1],
    }
}

pub(super) fn rss(pid: u32, mb: u64) -> Kind {
    Kind::Rss {
        pid: Tgid(pid),
        memory: memory_mb(mb),
    }
}

pub(super) fn fork(parent: u32, child: u32, comm: &str) -> Fork {
    Fork {
        parent: Tgid(parent),
        child: Tgid(child),
        started: old(child),
        shares_memory: false,
        uid: 1000,
        comm: comm.to_owned(),
        memory: memory_mb(5),
    }
}

pub(super) fn exec(pid: u32, comm: &str) -> Kind {
    Kind::Exec(Box::new(Exec {
        pid: Tgid(pid),
        started: old(pid),
        uid: 1000,
        comm: comm.to_owned(),
        filename: Some(format!("/usr/bin/{comm}")),
        args: vec![comm.to_owned(), "new.py".to_owned()],
        memory: memory_mb(1),
    }))
}

pub(super) fn rename(pid: u32, comm: &str) -> Kind {
    Kind::Rename(Rename {
        pid: Tgid(pid),
        started: old(pid),
        uid: 1000,
        comm: comm.to_owned(),
    })
}

pub(super) fn exit(pid: u32, status: i32) -> Exit {
    Exit {
        pid: Tgid(pid),
        started: old(pid),
        status: Some(status),
        unsent: Unsent::default(),
        peak: Bytes::from_mb(200),
        memory: None,
    }
}

pub(super) fn checkpoint(pid: u32, name: &str, mb: u64) -> Mark {
    Mark {
        pid: Tgid(pid),
        tid: Tid(pid),
        source: MarkSource::Call,
        name: name.to_owned(),
        name_state: NameState::Whole,
        details: None,
        memory: memory_mb(mb),
    }
}

/// SIGKILL for a process from a thread of another (or of the same).
pub(super) fn sigkill(pid: u32, sender: u32, origin: Origin) -> Sigkill {
    Sigkill {
        pid: Tgid(pid),
        started: old(pid),
        comm: format!("c{pid}"),
        sender_pid: Tgid(sender),
        sender_tid: Tid(sender),
        sender_uid: 0,
        sender_comm: format!("c{sender}"),
        origin,
        group: true,
        effective: true,
        memory: memory_mb(190),
    }
}

/// The OOM killer's mark of a process, for want of memory in another (or in the same).
pub(super) fn oom(pid: u32, trigger: u32) -> OomMark {
    OomMark {
        pid: Tgid(pid),
        tid: Tid(pid),
        started: old(pid),
        uid: 1000,
        comm: format!("c{pid}"),
        oom_score_adj: 0,
        page_tables: Bytes(4096),
        exact: memory_mb(200),
        approximate: memory_mb(199),
        trigger_pid: Tgid(trigger),
        trigger_tid: Tid(trigger),
        trigger_comm: format!("c{trigger}"),
        trigger_uid: 1000,
        reclaim: None,
        unsent: Unsent::default(),
        groups: vec![group(7, "bot", 300, Some(300)), group(1, "", 900, None)],
    }
}

pub(super) fn group(id: u64, name: &str, usage: u64, limit: Option<u64>) -> Group {
    Group {
        id,
        name: name.to_owned(),
        usage: Bytes::from_mb(usage),
        limit: limit.map(Bytes::from_mb),
        swap_usage: Bytes(0),
        swap_limit: None,
    }
}

pub(super) fn boxed_oom(mark: OomMark) -> Kind {
    Kind::OomMark(Box::new(mark))
}

pub(super) fn boxed_kill(kill: Sigkill) -> Kind {
    Kind::Sigkill(Box::new(kill))
}
