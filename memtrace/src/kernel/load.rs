//! Loads and attaches the probes. With `stacks`, `prints` and `pythons` beside it nothing else names
//! programs and maps.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::fd::AsRawFd as _,
    thread::{self, JoinHandle},
};

use aya::{
    Btf, Ebpf, EbpfError, EbpfLoader, Endianness, VerifierLogLevel,
    maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, RingBuf},
    programs::{
        BtfTracePoint, Iter, Program, ProgramError, RawTracePoint, RawTracePointRunOptions,
        TestRun as _, TracePoint, UProbe,
        raw_trace_point::RawTracePointLink,
        tp_btf::BtfTracePointLink,
        trace_point::TracePointLink,
        uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeScope},
    },
};

use memtrace_ebpf::wire;

use super::{
    facts::{BTF, Facts},
    offsets::{Layout, RssLayout},
    pythons::Pythons,
    stacks::Stacks,
};

/// The programs, as `cargo xtask build-ebpf` built them.
#[cfg(target_arch = "x86_64")]
static OBJECT: &[u8] =
    aya::include_bytes_aligned!("../../../memtrace-ebpf/objects/memtrace-x86_64.o");
#[cfg(target_arch = "aarch64")]
static OBJECT: &[u8] =
    aya::include_bytes_aligned!("../../../memtrace-ebpf/objects/memtrace-aarch64.o");

/// Value of the map of traced processes; the mirror of `Traced` in memtrace-ebpf/src/maps.rs.
type Traced = [u64; wire::TRACED_WORDS];

/// Why the probes could not be put in place.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The object as a whole.
    #[error("load the eBPF object")]
    Object(#[from] Box<EbpfError>),
    /// One program.
    #[error("{action} {name}")]
    Program {
        /// `load` or `attach`.
        action: &'static str,
        /// Which one.
        name: String,
        /// Why, with the verifier's log if it was that.
        source: Box<ProgramError>,
    },
    /// A map.
    #[error("map {name}")]
    Map {
        /// Which one.
        name: &'static str,
        /// Why.
        source: Box<MapError>,
    },
    /// The object is not the one that this program was built with.
    #[error("the eBPF object has no {0}")]
    NoSuch(&'static str),
}

impl LoadError {
    /// The kernel said that we may not.
    pub fn is_not_permitted(&self) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if let Some(io) = error.downcast_ref::<io::Error>() {
                return matches!(io.raw_os_error(), Some(libc::EPERM | libc::EACCES));
            }
            cause = error.source();
        }
        false
    }
}

/// What the probes are to do.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// RSS is told when it has moved by this many pages.
    pub step_pages: u64,
    /// A stack is taken when RSS has moved by this many pages; 0: none are.
    pub stack_pages: u64,
    /// Children of traced processes are traced from their first instant.
    pub follow: bool,
    /// Every exec is held until it has been looked at.
    pub watch_exec: bool,
    /// Bytes of the ring for RSS steps; a power of two.
    pub ring_bytes: u32,
    /// Bytes of the ring for checkpoints; a power of two.
    pub mark_ring_bytes: u32,
    /// How RSS is to be sensed; [`None`] takes the cheapest that works.
    pub sensor: Option<Sensor>,
}

/// How RSS changes are sensed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Sensor {
    /// `kmem:rss_stat` with typed pointers (6.2 and later).
    TpBtf,
    /// `kmem:rss_stat` as a raw tracepoint.
    RawTp,
    /// `kmem:rss_stat` as a classic tracepoint: for kernels without BTF. Tells that RSS moved; how
    /// large it is comes from /proc, a moment later.
    Tracepoint,
}

impl Sensor {
    /// The name that the log's header gives it.
    pub fn name(self) -> &'static str {
        match self {
            Self::TpBtf => "tp_btf rss_stat, exact per-cpu sum",
            Self::RawTp => "raw_tp rss_stat, exact per-cpu sum",
            Self::Tracepoint => "tracepoint kmem:rss_stat, /proc/PID/status",
        }
    }

    fn program(self) -> &'static str {
        match self {
            Self::TpBtf => "rss_btf",
            Self::RawTp => "rss_raw",
            Self::Tracepoint => "plain_rss",
        }
    }
}

/// The rings, to be read.
pub struct Rings {
    /// RSS steps.
    pub rss: RingBuf<MapData>,
    /// Lives and kills.
    pub life: RingBuf<MapData>,
    /// Checkpoints.
    pub mark: RingBuf<MapData>,
    /// Stacks.
    pub stack: RingBuf<MapData>,
}

/// The log of an object built with diagnostics.
pub type Diagnostics = aya_log::EbpfLogger<Said>;

/// Prints what probes say on standard error.
#[derive(Debug, Clone, Copy)]
pub struct Said;

impl log::Log for Said {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        use io::Write as _;
        let _ = writeln!(io::stderr(), "probe: {}", record.args());
    }

    fn flush(&self) {}
}

enum RssLink {
    #[expect(dead_code, reason = "held: dropping it detaches the probe")]
    TpBtf(BtfTracePointLink),
    #[expect(dead_code, reason = "held: dropping it detaches the probe")]
    RawTp(RawTracePointLink),
    #[expect(dead_code, reason = "held: dropping it detaches the probe")]
    Tracepoint(TracePointLink),
}

/// The probes in the kernel. Dropping this detaches and unloads everything.
pub struct Probes {
    pub(super) ebpf: Ebpf,
    sensor: Sensor,
    rss_link: Option<RssLink>,
    pub(super) traced: HashMap<MapData, u32, Traced>,
    epoch: Array<MapData, u32>,
    pub(super) lost: PerCpuArray<MapData, u64>,
    pub(super) spared: PerCpuArray<MapData, u64>,
    epoch_now: u32,
    iterates: bool,
    generation: Array<MapData, u64>,
    generation_now: u64,
    pub(super) stacks: Option<Stacks>,
    pub(super) pythons: Option<Pythons>,
    pub(super) no_stacks: Option<LoadError>,
}

/// Which of the marker programs a file's symbol gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MarkerProgram {
    /// `memtrace_checkpoint(name, details)`
    Checkpoint,
    /// `PyOS_mystricmp(magic, name, details)`
    Python,
    /// Any function.
    Function,
    /// The dynamic loader's `_dl_debug_state()`.
    Loaded,
    /// `PyFile_WriteObject(object, file, flags)`
    Printed,
}

impl MarkerProgram {
    fn name(self) -> &'static str {
        match self {
            Self::Checkpoint => "checkpoint",
            Self::Python => "python",
            Self::Function => "function",
            Self::Loaded => "loaded",
            Self::Printed => "printed",
        }
    }
}

/// Raw tracepoints that are always attached: program, tracepoint. Programs on the same tracepoint
/// run in this order; what they do for each other is in memtrace-ebpf/src/probe/spare.rs.
const ALWAYS: &[(&str, &str)] = &[
    ("process_fork", "sched_wakeup_new"),
    ("process_exec", "sched_process_exec"),
    ("spare_exec", "sched_process_exec"),
    (WAKER, "sched_process_exec"),
    (EXIT, "sched_process_exit"),
    (WAKER, "sched_process_exit"),
    ("task_rename", "task_rename"),
    ("mark_victim", "mark_victim"),
    ("signal_generate", "signal_generate"),
    ("memcg_reclaim", "mm_vmscan_memcg_reclaim_begin"),
    ("direct_reclaim", "mm_vmscan_direct_reclaim_begin"),
];

pub(super) const EXIT: &str = "process_exit";
const WAKER: &str = "wake_reader";

/// Programs that lose nothing when the kernel skips them: others stand in for them, reclaim is tried
/// again and again before an OOM, the next event of RSS tells all that the one before would have, and
/// a census tells names.
pub(super) const HARMLESS: &[&str] = &[
    "spare_exec",
    WAKER,
    "memcg_reclaim",
    "direct_reclaim",
    "rss_btf",
    "rss_raw",
    "plain_rss",
    "task_rename",
    "plain_rename",
];

/// Those on classic tracepoints: program, category, event.
const PLAIN: &[(&str, &str, &str)] = &[
    ("plain_rss", "kmem", "rss_stat"),
    ("plain_fork", "sched", "sched_process_fork"),
    ("plain_exec", "sched", "sched_process_exec"),
    ("plain_exit", "sched", "sched_process_exit"),
    ("plain_signal", "signal", "signal_generate"),
    ("plain_mark", "oom", "mark_victim"),
];

/// What the probes stand on.
#[derive(Debug, Clone, Copy)]
pub enum Ground<'a> {
    /// The kernel's structs, by its BTF.
    Typed(&'a Layout),
    /// The records of classic tracepoints, by their formats: a kernel without BTF.
    Plain(&'a [(&'static str, u32)]),
}

/// A loader that is being made.
pub struct Loader(JoinHandle<EbpfLoader<'static>>);

impl Loader {
    /// Begins at once, beside whatever else there is to do: aya's loader begins by reading all of
    /// the kernel's BTF, for relocations that objects from Rust do not have.
    pub fn begin() -> io::Result<Self> {
        let thread = thread::Builder::new().name("loader".to_owned());
        Ok(Self(thread.spawn(EbpfLoader::new)?))
    }
}

impl Probes {
    /// Loads and attaches all but the RSS probe, which waits for a process to trace.
    pub fn load(
        loader: Loader,
        facts: &Facts,
        ground: Ground<'_>,
        settings: Settings,
        object: Option<&[u8]>,
    ) -> Result<(Self, Rings), LoadError> {
        let mut ebpf = load_object(loader, facts, ground, settings, object.unwrap_or(OBJECT))?;
        for name in ["checkpoint", "python", "function", "loaded"] {
            let probe: &mut UProbe = program(&mut ebpf, name)?;
            probe.load().map_err(failed("load", name))?;
        }
        let (sensor, btf) = match ground {
            Ground::Typed(layout) => load_typed(&mut ebpf, layout, settings.sensor)?,
            Ground::Plain(_) => (load_plain(&mut ebpf)?, None),
        };
        // All else works without them.
        let (stacks, no_stacks) = match ground {
            Ground::Typed(_) if settings.stack_pages > 0 => {
                let stacks = Stacks::load(&mut ebpf, sensor, btf.as_ref());
                stacks.map_or_else(|error| (None, Some(error)), |stacks| (Some(stacks), None))
            }
            Ground::Typed(_) | Ground::Plain(_) => (None, None),
        };
        let pythons = stacks.as_ref().map(|_| Pythons::take(&mut ebpf));
        let pythons = pythons.transpose()?;
        let rings = Rings {
            rss: take(&mut ebpf, "RSS_RING")?,
            life: take(&mut ebpf, "LIFE_RING")?,
            mark: take(&mut ebpf, "MARK_RING")?,
            stack: take(&mut ebpf, "STACK_RING")?,
        };
        let traced = take(&mut ebpf, "TGID_TO_TRACED")?;
        let epoch = take(&mut ebpf, "EPOCH")?;
        let generation = take(&mut ebpf, "GENERATION")?;
        let lost = take(&mut ebpf, "LOST")?;
        let spared = take(&mut ebpf, "SPARED")?;
        Ok((
            Self {
                ebpf,
                sensor,
                rss_link: None,
                traced,
                epoch,
                lost,
                spared,
                epoch_now: 0,
                iterates: btf.is_some(),
                generation,
                generation_now: 0,
                stacks,
                pythons,
                no_stacks,
            },
            rings,
        ))
    }

    /// How RSS is sensed.
    pub fn sensor(&self) -> Sensor {
        self.sensor
    }

    /// Attaches or detaches the RSS probe. Detached, nobody pays for memtrace.
    pub fn watch_rss(&mut self, on: bool) -> Result<(), LoadError> {
        if !on {
            self.rss_link = None;
        } else if self.rss_link.is_none() {
            self.rss_link = Some(attach_rss(&mut self.ebpf, self.sensor)?);
        }
        Ok(())
    }

    /// Traces a process from now on.
    pub fn trace(&mut self, pid: u32) -> Result<(), LoadError> {
        match self.traced.insert(pid, [0; wire::TRACED_WORDS], 1) {
            Ok(()) => {
                self.move_generation();
                Ok(())
            }
            // It is held already since its fork or exec: BPF_NOEXIST says so.
            Err(MapError::SyscallError(error))
                if error.io_error.raw_os_error() == Some(libc::EEXIST) =>
            {
                Ok(())
            }
            Err(source) => Err(LoadError::Map {
                name: "TGID_TO_TRACED",
                source: Box::new(source),
            }),
        }
    }

    /// Lets go of a process that was decided on or ended at `at`, in nanoseconds since boot; not of
    /// one that was put in the table since.
    pub fn untrace(&mut self, pid: u32, at: u64) {
        let Ok([_, _, held, ..]) = self.traced.get(&pid, 0) else {
            return; // it exited, which freed its entry
        };
        if held <= at {
            let _ = self.traced.remove(&pid);
        }
    }

    /// A second has passed: small changes are due.
    pub fn tick(&mut self) {
        self.epoch_now = self.epoch_now.wrapping_add(1);
        let _ = self.epoch.set(0, self.epoch_now, 0);
        // An mm may have passed from an owner that has exited to one that is traced.
        self.move_generation();
    }

    /// Somebody was added: no mm is known to be nobody's any more. The upper half is ours, so that
    /// no value comes twice whatever the probes have added to the lower half.
    fn move_generation(&mut self) {
        self.generation_now += 1;
        let _ = self.generation.set(0, self.generation_now << 32, 0);
    }

    /// Puts a marker probe at an offset of an open file, for every process that maps it.
    pub fn attach_marker(
        &mut self,
        which: MarkerProgram,
        file: &File,
        offset: u64,
        cookie: Option<u64>,
    ) -> Result<(), LoadError> {
        let name = which.name();
        let probe: &mut UProbe = program(&mut self.ebpf, name)?;
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let location = UProbeAttachLocation::AbsoluteOffset(offset);
        probe
            .attach(
                UProbeAttachPoint { location, cookie },
                path,
                UProbeScope::AllProcesses,
            )
            .map_err(failed("attach", name))?;
        Ok(())
    }

    /// Asks the kernel for every process and its memory: the records of a census, back to back.
    /// [`None`] where the kernel has no iterator to offer (no BTF of its own).
    pub fn census(&mut self) -> Result<Option<Vec<u8>>, LoadError> {
        if !self.iterates {
            return Ok(None);
        }
        let census: &mut Iter = program(&mut self.ebpf, "census")?;
        let link = census.attach().map_err(failed("attach", "census"))?;
        let link = census.take_link(link).map_err(failed("attach", "census"))?;
        let mut records = Vec::new();
        let read = link
            .into_file()
            .map_err(|error| io::Error::other(error.to_string()))
            .and_then(|mut file| file.read_to_end(&mut records));
        read.map_err(|error| LoadError::Program {
            action: "read",
            name: "census".to_owned(),
            source: Box::new(ProgramError::IOError(error)),
        })?;
        Ok(Some(records))
    }

    /// What an object built with diagnostics says, if this is one; to be drained with `flush`.
    pub fn diagnostics(&mut self) -> Option<Diagnostics> {
        aya_log::EbpfLogger::init_with_logger(&mut self.ebpf, Said).ok()
    }
}

/// The probes that know the kernel's structs. The second value: the kernel's own BTF, with which there
/// is an iterator for a census, too.
fn load_typed(
    ebpf: &mut Ebpf,
    layout: &Layout,
    wanted: Option<Sensor>,
) -> Result<(Sensor, Option<Btf>), LoadError> {
    let btf = has_own_btf()
        .then(|| Btf::parse(&layout.bound_types, Endianness::default()).ok())
        .flatten();
    if layout.rss == RssLayout::PerCpu {
        learn_cpu_offsets(ebpf)?;
    }
    if let Some(btf) = &btf {
        let census: &mut Iter = program(ebpf, "census")?;
        census.load("task", btf).map_err(failed("load", "census"))?;
    }
    let sensor = load_rss(ebpf, layout, wanted, btf.as_ref())?;
    for &(name, tracepoint) in ALWAYS {
        if layout.missing_tracepoints.contains(&tracepoint) {
            continue;
        }
        let probe: &mut RawTracePoint = program(ebpf, name)?;
        if probe.fd().is_err() {
            probe.load().map_err(failed("load", name))?;
        }
        probe.attach(tracepoint).map_err(failed("attach", name))?;
    }
    Ok((sensor, btf))
}

/// Only the kernel's own BTF, not one from a file, makes typed pointers and iterators.
fn has_own_btf() -> bool {
    fs::metadata(BTF).is_ok_and(|file| file.len() > 0)
}

fn is_typed(ground: Ground<'_>) -> bool {
    matches!(ground, Ground::Typed(_)) && has_own_btf()
}

/// The probes that make do with the records of classic tracepoints.
fn load_plain(ebpf: &mut Ebpf) -> Result<Sensor, LoadError> {
    for &(name, category, event) in PLAIN {
        let probe: &mut TracePoint = program(ebpf, name)?;
        probe.load().map_err(failed("load", name))?;
        if name != Sensor::Tracepoint.program() {
            probe
                .attach(category, event)
                .map_err(failed("attach", name))?;
        }
    }
    Ok(Sensor::Tracepoint)
}

fn load_object(
    loader: Loader,
    facts: &Facts,
    ground: Ground<'_>,
    settings: Settings,
    object: &[u8],
) -> Result<Ebpf, LoadError> {
    let own = [
        ("FOLLOW", u32::from(settings.follow)),
        ("WATCH_EXEC", u32::from(settings.watch_exec)),
        ("CPUS", facts.cpus.min(1024)),
        ("HAS_COOKIE", u32::from(facts.cookies)),
        // The helper came with 5.11; cookies with 5.15.
        ("TYPED", u32::from(facts.cookies && is_typed(ground))),
    ];
    let page_shift = facts.page_bytes.trailing_zeros();
    let mut loader: EbpfLoader<'_> = loader.0.join().expect("aya's loader does not panic");
    loader
        // No program of ours has relocations against it.
        .btf(None)
        .verifier_log_level(VerifierLogLevel::VERBOSE | VerifierLogLevel::STATS)
        .map_max_entries("RSS_RING", settings.ring_bytes)
        .map_max_entries("MARK_RING", settings.mark_ring_bytes)
        .override_global("STEP_PAGES", &settings.step_pages, true)
        .override_global("STACK_PAGES", &settings.stack_pages, true)
        .override_global("PLAIN_PAGE_SHIFT", &page_shift, true);
    let found = match ground {
        Ground::Typed(layout) => &layout.globals[..],
        Ground::Plain(offsets) => offsets,
    };
    for (name, value) in own.iter().chain(found) {
        loader.override_global(name, value, true);
    }
    Ok(loader.load(object).map_err(Box::new)?)
}

fn learn_cpu_offsets(ebpf: &mut Ebpf) -> Result<(), LoadError> {
    const NAME: &str = "learn_cpu_offsets";
    let probe: &mut RawTracePoint = program(ebpf, NAME)?;
    probe.load().map_err(failed("load", NAME))?;
    probe
        .test_run(RawTracePointRunOptions::default())
        .map_err(failed("run", NAME))?;
    Ok(())
}

/// Loads the cheapest RSS program that this kernel takes.
fn load_rss(
    ebpf: &mut Ebpf,
    layout: &Layout,
    wanted: Option<Sensor>,
    btf: Option<&Btf>,
) -> Result<Sensor, LoadError> {
    let typed = wanted.unwrap_or(match layout.rss {
        RssLayout::PerCpu => Sensor::TpBtf,
        // The verifier refuses typed loads from an array of atomic_long_t.
        RssLayout::Atomic => Sensor::RawTp,
    });
    if typed == Sensor::TpBtf
        && let Some(btf) = btf
    {
        let name = typed.program();
        let probe: &mut BtfTracePoint = program(ebpf, name)?;
        match probe.load("rss_stat", btf) {
            Ok(()) => return Ok(typed),
            Err(error) if wanted.is_some() => return Err(failed("load", name)(error)),
            Err(_) => {}
        }
    }
    let name = Sensor::RawTp.program();
    let probe: &mut RawTracePoint = program(ebpf, name)?;
    probe.load().map_err(failed("load", name))?;
    Ok(Sensor::RawTp)
}

fn attach_rss(ebpf: &mut Ebpf, sensor: Sensor) -> Result<RssLink, LoadError> {
    let name = sensor.program();
    match sensor {
        Sensor::TpBtf => {
            let probe: &mut BtfTracePoint = program(ebpf, name)?;
            let link = probe.attach().map_err(failed("attach", name))?;
            Ok(RssLink::TpBtf(
                probe.take_link(link).map_err(failed("attach", name))?,
            ))
        }
        Sensor::RawTp => {
            let probe: &mut RawTracePoint = program(ebpf, name)?;
            let link = probe.attach("rss_stat").map_err(failed("attach", name))?;
            Ok(RssLink::RawTp(
                probe.take_link(link).map_err(failed("attach", name))?,
            ))
        }
        Sensor::Tracepoint => {
            let probe: &mut TracePoint = program(ebpf, name)?;
            let link = probe
                .attach("kmem", "rss_stat")
                .map_err(failed("attach", name))?;
            Ok(RssLink::Tracepoint(
                probe.take_link(link).map_err(failed("attach", name))?,
            ))
        }
    }
}

pub(super) fn failed(action: &'static str, name: &str) -> impl FnOnce(ProgramError) -> LoadError {
    let name = name.to_owned();
    move |source| LoadError::Program {
        action,
        name,
        source: Box::new(source),
    }
}

pub(super) fn program<'a, P>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut P, LoadError>
where
    &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
{
    let found = ebpf.program_mut(name).ok_or(LoadError::NoSuch(name))?;
    found.try_into().map_err(failed("use", name))
}

pub(super) fn take<M>(ebpf: &mut Ebpf, name: &'static str) -> Result<M, LoadError>
where
    M: TryFrom<Map, Error = MapError>,
{
    let map = ebpf.take_map(name).ok_or(LoadError::NoSuch(name))?;
    map.try_into().map_err(|source| LoadError::Map {
        name,
        source: Box::new(source),
    })
}
