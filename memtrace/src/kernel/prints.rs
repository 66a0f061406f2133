//! The probes for what programs print and write: loaded only when somebody asks for them.

use aya::programs::{TracePoint, UProbe};

use super::{
    load::Probes,
    programs::{LoadError, failed, program},
    pythons::Pythons,
};

/// Classic tracepoints: program, event.
pub(super) const WRITES: &[(&str, &str)] = &[
    ("wrote", "sys_enter_write"),
    ("wrote_several", "sys_enter_writev"),
];

impl Probes {
    /// From now on a probe can be put on what CPython's `print` calls, whether stacks are taken or not.
    pub fn watch_prints(&mut self) -> Result<(), LoadError> {
        let name = "printed";
        let probe: &mut UProbe = program(&mut self.ebpf, name)?;
        probe.load().map_err(failed("load", name))?;
        if self.pythons.is_none() {
            self.pythons = Some(Pythons::take(&mut self.ebpf)?);
        }
        Ok(())
    }

    /// From now on what traced processes write to their standard output and error is told.
    pub fn watch_writes(&mut self) -> Result<(), LoadError> {
        for &(name, event) in WRITES {
            let probe: &mut TracePoint = program(&mut self.ebpf, name)?;
            probe.load().map_err(failed("load", name))?;
            probe
                .attach("syscalls", event)
                .map_err(failed("attach", name))?;
        }
        Ok(())
    }
}
