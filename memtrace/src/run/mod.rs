//! The wiring: builds the stages, runs the one loop, shuts down in order.

mod begin;
mod ground;
mod losses;
mod news;
mod rights;
mod stop;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    process::ExitStatus,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use memtrace_ebpf::wire::lost;
use tokio::sync::mpsc::UnboundedReceiver;

use self::{
    begin::Common,
    ground::{ground, mark_ring_bytes, refused, watch_lines},
    stop::Stop,
};
use crate::{
    clock::{self, Anchor},
    command::{Command, StartError},
    decode::Decoder,
    event::{Event, Kind, Task},
    kernel::{
        cgroup::{self, MemoryController},
        counts::Skipped,
        enrich,
        facts::Facts,
        finder::{Finder, News},
        load::{Diagnostics, Loader, Probes, Settings},
        natives::Namer,
        procfs,
        programs::LoadError,
        protect,
        ring::Source,
        sensor::Sensor,
        spawn::Starter,
        symbols,
    },
    loss::{self, Ledger},
    plan::{RunPlan, TracePlan},
    sink::{
        fan::{Fan, Wanted},
        files::{Terminal, Writer},
    },
    track::{Output, Rules, Track},
    units::{BootNanos, Bytes, Tgid},
};

/// A census of all processes is taken this often, for the look back at who grew.
const CENSUS: Duration = Duration::from_secs(10);
/// Small changes of RSS and counts of losses are fetched this often.
const TICK: Duration = Duration::from_secs(1);
/// A command that was asked to end is looked at this often.
const PERIOD: Duration = Duration::from_millis(50);
/// The same while something waits for its time.
const SOON: Duration = Duration::from_millis(4);
/// How long the end of a command waits for the command's last record.
const LAST_RECORD: Duration = Duration::from_secs(2);

/// How tracing ended.
#[derive(Debug)]
pub struct Outcome {
    /// What was lost.
    pub lost: Ledger,
    /// How the command ended, if one was run.
    pub command: Option<ExitStatus>,
}

/// Why tracing could not be done.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// We may not; the text says what is missing and how to get it.
    #[error("{0}")]
    NotPermitted(String),
    /// The command could not be started.
    #[error("{}: {source}", command.to_string_lossy())]
    Spawn {
        /// It.
        command: std::ffi::OsString,
        /// Why not.
        source: std::io::Error,
    },
    /// Anything else.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

/// Everything that the loop works with.
struct Session {
    plan: TracePlan,
    facts: Facts,
    common: Common,
    controller: Option<MemoryController>,
    anchor: Anchor,
    probes: Probes,
    source: Source,
    finder: Finder,
    namer: Namer,
    news: UnboundedReceiver<News>,
    track: Track,
    fan: Fan,
    lost: Ledger,
    kernel_lost: [u64; lost::CLASSES as usize],
    skipped: Skipped,
    /// Lives that a census found to be over.
    unheard: u64,
    markers_found: Vec<u64>,
    /// A Python that is known was found in somebody.
    pythons: news::Pythons,
    diagnostics: Option<Diagnostics>,
    events: Vec<Event>,
    command: Option<Command>,
    starter: Option<Starter>,
    /// Ours before we asked to be spared.
    oom_score_adj: String,
}

/// Traces until there is nothing more to trace or somebody says stop.
pub fn trace(plan: TracePlan) -> Result<Outcome, RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the event loop")?;
    runtime.block_on(async {
        // First of all: whoever asks for the end while this begins gets an orderly one.
        let stop = Stop::new().context("listen for signals")?;
        let mut session = Session::start(plan)?;
        // A command is started by another thread, and does not inherit it.
        crate::kernel::memory::go_early();
        session.begin()?;
        let result = session.until_stopped(stop).await;
        let outcome = session.finish();
        result?;
        Ok(outcome)
    })
}

impl Session {
    /// Loads and attaches everything; nothing is traced yet.
    fn start(plan: TracePlan) -> Result<Self, RunError> {
        rights::check(plan.user.as_ref())?;
        crate::kernel::memory::keep_together();
        let oom_score_adj = protect::score();
        for shortfall in protect::protect() {
            // A command that is run is waited for, and ours ends with it.
            if plan.run.is_none() {
                let protect::Shortfall { what, needs, error } = shortfall;
                notice(&format!("not {what}: {error}; it needs {needs}"));
            }
        }
        cgroup::remove_left_behind();
        let loader = Loader::begin().context("start a thread")?;
        let without_btf = plan.sensor == Some(Sensor::Tracepoint);
        let mut facts = Facts::observe(plan.btf.as_deref(), without_btf);
        let ground = ground(&facts)?;
        let settings = Settings {
            // A stack goes with an RSS step.
            step_pages: (plan
                .stack_step
                .map_or(plan.step, |step| step.min(plan.step))
                .0
                / facts.page_bytes)
                .max(1),
            stack_pages: plan
                .stack_step
                .map_or(0, |step| (step.0 / facts.page_bytes).max(1)),
            follow: plan.follow,
            watch_exec: plan.run.is_some() || !plan.targets.only_pids(),
            ring_bytes: plan.ring_bytes,
            mark_ring_bytes: mark_ring_bytes(procfs::total_memory()),
            sensor: plan.sensor,
        };
        let object = plan.object.as_ref().map(std::fs::read).transpose();
        let object = object.context("read the eBPF object")?;
        let (mut probes, rings) = Probes::load(loader, &facts, ground, settings, object.as_deref())
            .map_err(|error| refused(&facts, error))?;
        facts.forget_types();
        if let Some(error) = probes.take_stack_trouble() {
            let error = anyhow::Error::new(error);
            notice(&format!("no stacks are taken: {error:#}; all else works"));
        }
        watch_lines(&mut probes, &facts, &plan)?;
        let diagnostics = object.and_then(|_| probes.diagnostics());
        // It keeps the rights that are lowered here; the threads that follow have only what is left.
        let starter = plan.run.as_ref().map(|_| Starter::begin()).transpose();
        let starter = starter.context("start a thread")?;
        let log_dir = rights::lower(&plan)?;
        let fixed = symbols::fixed(plan.prints.is_some());
        let (finder, news) =
            Finder::start(fixed, plan.markers.clone()).context("start a thread")?;
        let terminal = if plan.run.is_some() {
            Terminal::Err
        } else {
            Terminal::Out
        };
        let writer = Writer::start(terminal, log_dir).context("start a thread")?;
        let controller = MemoryController::find();
        let rules = rules(&plan, &facts, &probes, controller.as_ref());
        let wanted = Wanted {
            directory: plan.log_dir.clone(),
            live: plan.live,
            colour: plan.colour,
        };
        Ok(Self {
            common: Common::new(&facts, &probes),
            anchor: Anchor::now(plan.utc),
            source: Source::start(
                rings,
                Decoder {
                    page_bytes: facts.page_bytes,
                },
            )
            .context("start a thread")?,
            track: Track::new(rules),
            fan: Fan::new(wanted, writer),
            lost: Ledger::default(),
            kernel_lost: [0; lost::CLASSES as usize],
            skipped: Skipped::default(),
            unheard: 0,
            markers_found: Vec::new(),
            pythons: news::Pythons::default(),
            diagnostics,
            events: Vec::new(),
            command: None,
            starter,
            oom_score_adj,
            plan,
            facts,
            controller,
            probes,
            namer: Namer::new(finder.news()),
            finder,
            news,
        })
    }

    /// Picks up who already runs, or starts the command.
    fn begin(&mut self) -> Result<(), RunError> {
        crate::kernel::memory::give_back();
        self.meet_everybody()?;
        if let Some(run) = self.plan.run.take() {
            self.search_first(&run);
            let command = self.start_command(run)?;
            self.track.want(Tgid(command.pid()));
            self.command = Some(command);
            return Ok(());
        }
        match self.track.traced().count() {
            0 => notice("nothing matches yet; waiting (Ctrl-C ends)"),
            1 => notice("tracing 1 process (Ctrl-C ends)"),
            several => notice(&format!("tracing {several} processes (Ctrl-C ends)")),
        }
        Ok(())
    }

    fn start_command(&mut self, run: RunPlan) -> Result<Command, RunError> {
        let name = run.command.first().cloned().unwrap_or_default();
        let score = std::mem::take(&mut self.oom_score_adj);
        let start = move || Command::start(&run, &score);
        let started = self
            .starter
            .take()
            .and_then(|starter| starter.finish(start));
        started
            .context("the thread that starts the command is gone")?
            .map_err(|source| match source {
                StartError::Spawn(source) => RunError::Spawn {
                    command: name,
                    source,
                },
                other @ StartError::Group(_) => RunError::Other(anyhow::Error::new(other)),
            })
    }

    /// A census, and from /proc what the census does not say.
    fn meet_everybody(&mut self) -> Result<(), RunError> {
        let at = clock::now();
        let tasks = self.tasks().map_err(|error| refused(&self.facts, error))?;
        let mut out = Vec::new();
        for task in tasks {
            let pid = task.pid.0;
            let program = procfs::program(pid, &task.comm);
            self.track
                .found(at, task, Arc::new(program), self.cgroups(pid), &mut out);
            self.answer(at, &mut out);
        }
        Ok(())
    }

    /// Every process but ourselves.
    fn tasks(&mut self) -> Result<Vec<Task>, LoadError> {
        let mut tasks = match self.probes.census()? {
            Some(records) => self.source.tasks(&records),
            None => procfs::tasks(self.facts.page_bytes),
        };
        let own = Tgid(std::process::id());
        tasks.retain(|task| task.pid != own);
        Ok(tasks)
    }

    /// Paths of a process' cgroups, if the targets speak of them.
    fn cgroups(&self, pid: u32) -> Vec<String> {
        if self.plan.targets.cgroups.is_empty() {
            Vec::new()
        } else {
            procfs::cgroups(pid)
        }
    }

    async fn until_stopped(&mut self, mut stop: Stop) -> Result<(), RunError> {
        let (mut last_tick, mut last_census) = (Instant::now(), Instant::now());
        loop {
            let mut wait = self.next_wait();
            if last_tick.elapsed() >= TICK {
                last_tick = Instant::now();
                self.tick();
            }
            if last_census.elapsed() >= CENSUS {
                last_census = Instant::now();
                self.census();
            }
            if self.is_done(&mut wait) {
                return Ok(());
            }
            tokio::select! {
                () = self.source.arrived() => {}
                Some(news) = self.news.recv() => self.take_news(news),
                signal = stop.any() => if self.stop_at(signal) { return Ok(()) },
                () = tokio::time::sleep(wait) => {}
            }
            self.pump();
        }
    }

    fn next_wait(&self) -> Duration {
        if self.source.is_waiting() || self.track.deadline().is_some() {
            SOON
        } else if self.command.is_some() {
            PERIOD
        } else {
            TICK
        }
    }

    /// Nothing is left to do: the command or the last of the given pids has ended, or nobody reads
    /// our output any more.
    fn is_done(&mut self, wait: &mut Duration) -> bool {
        if self.fan.writer().is_broken_pipe() {
            return true;
        }
        match &mut self.command {
            Some(command) => {
                let Some(ended) = command.ended() else {
                    return false;
                };
                *wait = SOON;
                !self.track.is_traced(Tgid(command.pid())) && !self.track.awaits_kill()
                    || ended.elapsed() > LAST_RECORD
            }
            None => {
                self.plan.targets.only_pids()
                    && self.track.traced().next().is_none()
                    && !self.track.awaits_kill()
            }
        }
    }

    /// A signal came; true if that ends everything at once.
    fn stop_at(&mut self, signal: i32) -> bool {
        match &mut self.command {
            // A command that is asked to end gets the time to do so; we end when it has.
            Some(command) => !command.pass_on(signal),
            None => true,
        }
    }

    /// Reads the rings and takes all that is old enough through the stages.
    fn pump(&mut self) {
        if let Some(diagnostics) = &mut self.diagnostics {
            diagnostics.flush();
        }
        let mut events = std::mem::take(&mut self.events);
        self.source.read(&mut events);
        let mut out = Vec::new();
        for event in events.drain(..) {
            self.take(event, &mut out);
        }
        self.events = events;
        // What is still to come is younger than what the rings have settled to.
        let settled = self.source.settled();
        self.track.flush(settled, &mut out);
        self.answer(settled, &mut out);
    }

    /// Takes one event through the stages.
    fn take(&mut self, event: Event, out: &mut Vec<Output>) {
        let Some(event) = self.completed(event) else {
            return;
        };
        let at = event.at;
        let cgroups = match &event.kind {
            Kind::Fork(fork) => self.cgroups(fork.child.0),
            Kind::Exec(exec) => self.cgroups(exec.pid.0),
            Kind::Print(print) => {
                self.pythons.has_printed(print);
                Vec::new()
            }
            _ => Vec::new(),
        };
        self.track.apply(event, cgroups, out);
        self.answer(at, out);
    }

    /// The event with all that can be known of it.
    fn completed(&self, event: Event) -> Option<Event> {
        match self.probes.sensor() {
            Sensor::TpBtf | Sensor::RawTp => Some(event),
            Sensor::Tracepoint => {
                let known = |pid| self.track.last_known(pid);
                enrich::complete(event, self.facts.page_bytes, known)
            }
        }
    }

    /// Does what the track wants done, until it wants nothing more.
    fn answer(&mut self, at: BootNanos, out: &mut Vec<Output>) {
        let mut queue: VecDeque<Output> = out.drain(..).collect();
        while let Some(output) = queue.pop_front() {
            match output {
                Output::Adopt(pid) => self.adopt(at, pid, out),
                Output::Release(pid) => self.probes.untrace(pid.0, at.0),
                Output::Discover(pid) => self.discover(pid),
                Output::Name(ask) => self.namer.ask(ask),
                Output::Census => self.census_into(at, out),
                Output::Entry(life, entry) => self.fan.apply(life, &entry),
                Output::Ended(life, pid) => {
                    self.probes.untrace(pid.0, at.0);
                    self.fan.end(life);
                }
                Output::TooMany => self.lost.add(loss::Kind::LifeTable, 1),
                Output::Unheard => self.unheard += 1,
                Output::UntracedKill(kill) => notice(&format!(
                    "the OOM killer killed {} (pid {}), which is not traced",
                    crate::text::escape(&kill.victim.comm),
                    kill.victim.pid
                )),
            }
            // What an answer brings comes before what was already waiting behind it.
            for output in out.drain(..).rev() {
                queue.push_front(output);
            }
        }
    }

    /// Has what a process runs searched for markers.
    fn discover(&self, pid: Tgid) {
        let executable = self
            .track
            .person(pid)
            .and_then(|person| person.program.exe.clone())
            .filter(|path| path.starts_with('/'));
        self.finder.search(pid.0, executable.map(Into::into));
    }

    fn adopt(&mut self, at: BootNanos, pid: Tgid, out: &mut Vec<Output>) {
        if self.track.is_traced(pid) {
            return;
        }
        let traced = self
            .probes
            .trace(pid.0)
            .and_then(|()| self.probes.watch_rss(true));
        if let Err(error) = traced {
            self.lost.add(loss::Kind::TracedTable, 1);
            notice(&format!(
                "cannot trace process {pid}: {:#}",
                anyhow::Error::new(error)
            ));
            return;
        }
        if let Some(begin) = self.begin_of(pid) {
            self.track.begin(at, begin, out);
        }
    }

    /// Once a second while there is something to do.
    fn tick(&mut self) {
        if self.track.traced().next().is_some() {
            self.probes.tick();
        } else {
            // Nobody is traced: nobody is to pay for it.
            let _ = self.probes.watch_rss(false);
        }
        self.count_losses();
        let troubles = [self.finder.look_after(), self.namer.look_after()];
        for trouble in troubles.into_iter().flatten() {
            self.take_news(trouble);
        }
        for trouble in self.fan.writer().troubles() {
            notice(&trouble);
        }
    }

    fn census(&mut self) {
        // What many processes at once took: their logs opened, their files searched.
        crate::kernel::memory::give_back();
        self.count_skipped();
        let (at, mut out) = (clock::now(), Vec::new());
        self.census_into(at, &mut out);
        self.answer(at, &mut out);
    }

    fn census_into(&mut self, at: BootNanos, out: &mut Vec<Output>) {
        let taken = clock::now();
        if let Ok(tasks) = self.tasks() {
            self.track.census(at, taken, &tasks, out);
        }
    }

    /// Detaches, writes what is left, says what was lost.
    fn finish(mut self) -> Outcome {
        let _ = self.probes.watch_rss(false);
        let mut out = Vec::new();
        let mut events = Vec::new();
        self.source.read_all(&mut events);
        for event in events {
            self.take(event, &mut out);
        }
        self.count_losses();
        self.count_skipped();
        if self.skipped.ends > 0 {
            // Who is not found twice is over: all that was on its way has come.
            self.census_into(clock::now(), &mut out);
            self.track.flush(clock::now(), &mut out);
            self.census_into(clock::now(), &mut out);
            self.answer(clock::now(), &mut out);
        }
        self.count_unheard();
        self.lose_by_process(&mut out);
        self.track.detach(clock::now(), &mut out);
        self.answer(clock::now(), &mut out);
        self.lost.merge(&self.source.lost);
        self.tell_what_was_not_found();
        let (mut writer, verdicts) = self.fan.finish();
        if !verdicts.is_empty() {
            writer.show(&format!("\n{}", verdicts.join("\n")));
        }
        let (unwritten, troubles) = writer.finish();
        self.lost.merge(&unwritten);
        for trouble in troubles {
            notice(&trouble);
        }
        let command = self.command.take().and_then(Command::finish);
        Outcome {
            lost: self.lost,
            command,
        }
    }
}

/// What tracking goes by.
fn rules(
    plan: &TracePlan,
    facts: &Facts,
    probes: &Probes,
    controller: Option<&MemoryController>,
) -> Rules {
    Rules {
        targets: plan.targets.clone(),
        target_groups: plan.target_groups.clone(),
        follow: plan.follow,
        stacks: probes.takes_stacks(),
        functions: functions(&plan.marker_names, facts.cookies),
        prints: plan.prints.clone(),
        lines: plan.lines.clone(),
        cgroup_v1: controller.is_some_and(|controller| controller.v1),
        total_memory: procfs::total_memory().map(Bytes),
    }
}

fn notice(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "memtrace: {text}");
}

/// What the checkpoint of each marker function is called. Where the kernel cannot say which function
/// it was, all of them have one name.
fn functions(names: &HashMap<u64, String>, cookies: bool) -> HashMap<u64, String> {
    if cookies || names.is_empty() {
        return names.clone();
    }
    let in_order: BTreeMap<_, _> = names.iter().collect();
    let all: Vec<&str> = in_order.into_values().map(String::as_str).collect();
    let all = all.join(" | ");
    if names.len() > 1 {
        notice(&format!(
            "--marker: this kernel cannot tell functions apart (bpf_get_attach_cookie came with 5.15): \
             the checkpoints of all of them are called [{all}]"
        ));
    }
    HashMap::from([(0, all)])
}
