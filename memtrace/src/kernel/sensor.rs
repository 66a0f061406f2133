//! How RSS is sensed: the probe on `kmem:rss_stat`, in the cheapest form that a kernel takes.

use aya::{
    Btf, Ebpf,
    programs::{
        BtfTracePoint, RawTracePoint, TracePoint, raw_trace_point::RawTracePointLink,
        tp_btf::BtfTracePointLink, trace_point::TracePointLink,
    },
};

use super::{
    offsets::{Layout, RssLayout},
    programs::{LoadError, Programs, failed, program},
};

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

    /// What is tried first where the kernel's structs are known; `btf` is the kernel's own.
    pub(super) fn choice(wanted: Option<Self>, layout: &Layout, btf: Option<&Btf>) -> Self {
        let typed = wanted.unwrap_or(match layout.rss {
            RssLayout::PerCpu => Self::TpBtf,
            // The verifier refuses typed loads from an array of atomic_long_t.
            RssLayout::Atomic => Self::RawTp,
        });
        match (typed, btf) {
            (Self::TpBtf, Some(_)) => Self::TpBtf,
            _ => Self::RawTp,
        }
    }

    /// The program that senses.
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::TpBtf => "rss_btf",
            Self::RawTp => "rss_raw",
            Self::Tracepoint => "plain_rss",
        }
    }
}

/// Holds the probe where it is.
pub(super) enum RssLink {
    #[expect(dead_code, reason = "held: dropping it detaches the probe")]
    TpBtf(BtfTracePointLink),
    #[expect(dead_code, reason = "held: dropping it detaches the probe")]
    RawTp(RawTracePointLink),
    #[expect(dead_code, reason = "held: dropping it detaches the probe")]
    Tracepoint(TracePointLink),
}

/// Loads the cheapest program that this kernel takes.
pub(super) fn load_rss(
    programs: &mut Programs<'_>,
    layout: &Layout,
    wanted: Option<Sensor>,
    btf: Option<&Btf>,
) -> Result<Sensor, LoadError> {
    let typed = Sensor::choice(wanted, layout, btf);
    if typed == Sensor::TpBtf
        && let Some(btf) = btf
    {
        let name = typed.program();
        let probe: &mut BtfTracePoint = program(programs, name)?;
        match probe.load("rss_stat", btf) {
            Ok(()) => return Ok(typed),
            Err(error) if wanted.is_some() => return Err(failed("load", name)(error)),
            Err(_) => {}
        }
    }
    let name = Sensor::RawTp.program();
    let probe: &mut RawTracePoint = program(programs, name)?;
    probe.load().map_err(failed("load", name))?;
    Ok(Sensor::RawTp)
}

/// Attaches the probe that was loaded.
pub(super) fn attach_rss(ebpf: &mut Ebpf, sensor: Sensor) -> Result<RssLink, LoadError> {
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
