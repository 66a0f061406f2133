//! The probes that take stacks: loaded and attached behind the others, which work without them.

use aya::{
    Btf, Ebpf,
    maps::{MapData, ProgramArray},
    programs::{BtfTracePoint, RawTracePoint},
};

use super::load::{LoadError, Probes, Sensor, failed, program, take};

/// Raw tracepoints: program, tracepoint.
const ALWAYS: &[(&str, &str)] = &[
    ("mark_stack", "mark_victim"),
    ("kill_stack", "signal_deliver"),
];

/// What stacks are taken with.
pub(super) struct Stacks {
    #[expect(dead_code, reason = "held: without it the kernel empties the array")]
    growth: ProgramArray<MapData>,
}

impl Stacks {
    /// Loads and attaches them; `btf` is the kernel's own, for a sensor that needs it.
    pub(super) fn load(
        ebpf: &mut Ebpf,
        sensor: Sensor,
        btf: Option<&Btf>,
    ) -> Result<Self, LoadError> {
        let mut growth: ProgramArray<MapData> = take(ebpf, "GROWTH")?;
        let fd = if let (Sensor::TpBtf, Some(btf)) = (sensor, btf) {
            let probe: &mut BtfTracePoint = program(ebpf, "growth_btf")?;
            let loaded = probe.load("rss_stat", btf);
            loaded.map_err(failed("load", "growth_btf"))?;
            probe.fd()
        } else {
            let probe: &mut RawTracePoint = program(ebpf, "growth_raw")?;
            probe.load().map_err(failed("load", "growth_raw"))?;
            probe.fd()
        };
        let fd = fd.map_err(failed("use", "growth"))?;
        growth.set(0, fd, 0).map_err(|source| LoadError::Map {
            name: "GROWTH",
            source: Box::new(source),
        })?;
        for &(name, tracepoint) in ALWAYS {
            let probe: &mut RawTracePoint = program(ebpf, name)?;
            probe.load().map_err(failed("load", name))?;
            probe.attach(tracepoint).map_err(failed("attach", name))?;
        }
        Ok(Self { growth })
    }
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
