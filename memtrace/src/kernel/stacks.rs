//! The probes that take stacks: loaded and attached behind the others, which work without them.

use aya::{
    Btf, Ebpf,
    maps::{MapData, ProgramArray},
    programs::{BtfTracePoint, RawTracePoint},
};

use super::{
    load::Probes,
    programs::{LoadError, Named, Programs, failed, program, take},
    sensor::Sensor,
};

/// Those that end on a program behind them: program, tracepoint.
const ENTRIES: &[(&str, &str)] = &[
    ("mark_stack", "mark_victim"),
    ("kill_stack", "signal_deliver"),
];
/// Behind `rss_btf`.
const GROWTH_BTF: &str = "growth_btf";
/// Behind `rss_raw`.
const GROWTH_RAW: &str = "growth_raw";
/// Behind [`ENTRIES`].
const END: &str = "end_stack";

/// What [`verify`] needs of an object.
pub(super) const VERIFIED: &[&str] = &[GROWTH_BTF, GROWTH_RAW, END];

/// What stacks are taken with.
pub(super) struct Stacks {
    #[expect(dead_code, reason = "held: without it the kernel empties them")]
    behind: [ProgramArray<MapData>; 2],
}

/// Loads the programs that walk, which takes the verifier as long as all the others: to be done on a
/// thread of its own. `btf` is the kernel's own, for a sensor that needs it.
pub(super) fn verify(
    programs: &mut Programs<'_>,
    sensor: Sensor,
    btf: Option<&Btf>,
) -> Result<(), LoadError> {
    let end: &mut RawTracePoint = program(programs, END)?;
    end.load().map_err(failed("load", END))?;
    load_growth(programs, sensor, btf)
}

/// The program behind a sensor.
fn load_growth(
    programs: &mut impl Named,
    sensor: Sensor,
    btf: Option<&Btf>,
) -> Result<(), LoadError> {
    if let (Sensor::TpBtf, Some(btf)) = (sensor, btf) {
        let growth: &mut BtfTracePoint = program(programs, GROWTH_BTF)?;
        if growth.fd().is_err() {
            let loaded = growth.load("rss_stat", btf);
            loaded.map_err(failed("load", GROWTH_BTF))?;
        }
    } else {
        let growth: &mut RawTracePoint = program(programs, GROWTH_RAW)?;
        if growth.fd().is_err() {
            growth.load().map_err(failed("load", GROWTH_RAW))?;
        }
    }
    Ok(())
}

impl Stacks {
    /// Puts what was verified in its place behind `sensor`, which may be another than was thought.
    pub(super) fn attach(
        ebpf: &mut Ebpf,
        sensor: Sensor,
        btf: Option<&Btf>,
    ) -> Result<Self, LoadError> {
        load_growth(ebpf, sensor, btf)?;
        let growth = match sensor {
            Sensor::TpBtf => GROWTH_BTF,
            Sensor::RawTp | Sensor::Tracepoint => GROWTH_RAW,
        };
        let behind = [
            put_behind(ebpf, "GROWTH", growth)?,
            put_behind(ebpf, "END", END)?,
        ];
        for &(name, tracepoint) in ENTRIES {
            let probe: &mut RawTracePoint = program(ebpf, name)?;
            probe.load().map_err(failed("load", name))?;
            probe.attach(tracepoint).map_err(failed("attach", name))?;
        }
        Ok(Self { behind })
    }
}

/// Fills the array that a probe finds the program behind it in.
fn put_behind(
    ebpf: &mut Ebpf,
    array: &'static str,
    name: &'static str,
) -> Result<ProgramArray<MapData>, LoadError> {
    let mut filled: ProgramArray<MapData> = take(ebpf, array)?;
    let program = ebpf.program(name).ok_or(LoadError::NoSuch(name))?;
    let fd = program.fd().map_err(failed("use", name))?;
    let set = filled.set(0, fd, 0);
    set.map_err(|source| LoadError::Map {
        name: array,
        source: Box::new(source),
    })?;
    Ok(filled)
}

impl Probes {
    /// Stacks are taken.
    pub fn takes_stacks(&self) -> bool {
        self.stacks.is_some()
    }

    /// Why none are, if they cannot be.
    pub fn take_stack_trouble(&mut self) -> Option<LoadError> {
        self.no_stacks.take()
    }
}
