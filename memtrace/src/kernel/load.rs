//! Loads and attaches the probes. With `sensor`, `stacks`, `prints` and `pythons` beside it nothing
//! else names programs and maps.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::fd::AsRawFd as _,
    thread::{self, JoinHandle},
};

use aya::{
    Btf, Ebpf, EbpfLoader, Endianness, VerifierLogLevel,
    maps::{Array, HashMap, MapData, MapError, PerCpuArray, RingBuf},
    programs::{
        Iter, ProgramError, RawTracePoint, RawTracePointRunOptions, TestRun as _, TracePoint,
        UProbe,
        uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeScope},
    },
};

use memtrace_ebpf::wire;

use super::{
    facts::{BTF, Facts},
    offsets::{Layout, RssLayout},
    programs::{LoadError, Programs, failed, program, take},
    pythons::Pythons,
    sensor::{RssLink, Sensor, attach_rss, load_rss},
    stacks::{self, Stacks},
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
        let btf = match ground {
            Ground::Typed(layout) if has_own_btf() => {
                Btf::parse(&layout.bound_types, Endianness::default()).ok()
            }
            Ground::Typed(_) | Ground::Plain(_) => None,
        };
        let (mut walks, mut others): (Programs<'_>, Programs<'_>) = ebpf
            .programs_mut()
            .partition(|(name, _)| stacks::VERIFIED.contains(name));
        let walker = match ground {
            Ground::Typed(layout) if settings.stack_pages > 0 => {
                Some(Sensor::choice(settings.sensor, layout, btf.as_ref()))
            }
            Ground::Typed(_) | Ground::Plain(_) => None,
        };
        let own_btf = btf.as_ref();
        let (sensor, verified) = thread::scope(|scope| {
            let verified = walker
                .map(|sensor| scope.spawn(move || stacks::verify(&mut walks, sensor, own_btf)));
            let sensor = load_others(&mut others, ground, settings.sensor, own_btf);
            let verified = verified.map(|thread| thread.join().expect("its thread does not panic"));
            (sensor, verified)
        });
        let sensor = sensor?;
        // All else works without them.
        let stacks = verified
            .map(|verified| verified.and_then(|()| Stacks::attach(&mut ebpf, sensor, own_btf)));
        let (stacks, no_stacks) = match stacks.transpose() {
            Ok(stacks) => (stacks, None),
            Err(error) => (None, Some(error)),
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

/// All but those that walk.
fn load_others(
    programs: &mut Programs<'_>,
    ground: Ground<'_>,
    wanted: Option<Sensor>,
    btf: Option<&Btf>,
) -> Result<Sensor, LoadError> {
    for name in ["checkpoint", "python", "function", "loaded"] {
        let probe: &mut UProbe = program(programs, name)?;
        probe.load().map_err(failed("load", name))?;
    }
    match ground {
        Ground::Typed(layout) => load_typed(programs, layout, wanted, btf),
        Ground::Plain(_) => load_plain(programs),
    }
}

/// The probes that know the kernel's structs. With the kernel's own BTF there is an iterator for a
/// census, too.
fn load_typed(
    programs: &mut Programs<'_>,
    layout: &Layout,
    wanted: Option<Sensor>,
    btf: Option<&Btf>,
) -> Result<Sensor, LoadError> {
    if layout.rss == RssLayout::PerCpu {
        learn_cpu_offsets(programs)?;
    }
    if let Some(btf) = btf {
        let census: &mut Iter = program(programs, "census")?;
        census.load("task", btf).map_err(failed("load", "census"))?;
    }
    let sensor = load_rss(programs, layout, wanted, btf)?;
    for &(name, tracepoint) in ALWAYS {
        if layout.missing_tracepoints.contains(&tracepoint) {
            continue;
        }
        let probe: &mut RawTracePoint = program(programs, name)?;
        if probe.fd().is_err() {
            probe.load().map_err(failed("load", name))?;
        }
        probe.attach(tracepoint).map_err(failed("attach", name))?;
    }
    Ok(sensor)
}

/// Only the kernel's own BTF, not one from a file, makes typed pointers and iterators.
fn has_own_btf() -> bool {
    fs::metadata(BTF).is_ok_and(|file| file.len() > 0)
}

fn is_typed(ground: Ground<'_>) -> bool {
    matches!(ground, Ground::Typed(_)) && has_own_btf()
}

/// The probes that make do with the records of classic tracepoints.
fn load_plain(programs: &mut Programs<'_>) -> Result<Sensor, LoadError> {
    for &(name, category, event) in PLAIN {
        let probe: &mut TracePoint = program(programs, name)?;
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

fn learn_cpu_offsets(programs: &mut Programs<'_>) -> Result<(), LoadError> {
    const NAME: &str = "learn_cpu_offsets";
    let probe: &mut RawTracePoint = program(programs, NAME)?;
    probe.load().map_err(failed("load", NAME))?;
    probe
        .test_run(RawTracePointRunOptions::default())
        .map_err(failed("run", NAME))?;
    Ok(())
}
