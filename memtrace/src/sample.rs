//! One process life for the unit tests to vary.
#![forbid(unsafe_code)]

use crate::{
    entry::{
        Begin, Checkpoint, Entry, Frame, Lang, Memory, NameState, Precision, Program, PythonState,
        RECORDING_VERSION, Stack, StackWhy, Style, What,
    },
    units::{BootNanos, Bytes, Delta, Tgid, Tid},
};

/// `python3 backtest.py`, PID 12345, begun at 10:30:45 in Shanghai with 60 MB.
pub(crate) fn begin() -> Begin {
    Begin {
        version: RECORDING_VERSION,
        pid: Tgid(12345),
        started: seconds(0),
        program: Program {
            comm: "python3".into(),
            exe: Some("/usr/bin/python3".into()),
            args: vec!["python3".into(), "backtest.py".into()],
        }
        .into(),
        parent: None,
        uid: Some(1000),
        cgroup: Some("/bot".into()),
        limit: None,
        memory: Some(memory_mb(60)),
        wall_at_boot_ns: 1_763_605_845_000_000_000,
        time_zone: Some("Asia/Shanghai".into()),
        utc_offset_seconds: 28_800,
        style: Style {
            warning: Bytes::from_mb(800),
            critical: Bytes::from_mb(950),
            warning_fixed: false,
            critical_fixed: false,
            interval_ms: 5000,
            lang: Lang::Zh,
            precision: Precision::Seconds,
        },
        kernel: "6.12.0".into(),
        sensor: "tp_btf rss_stat, exact per-cpu sum".into(),
        step: Bytes::from_mb(1),
    }
}

/// An instant so many seconds after tracing began.
pub(crate) const fn seconds(n: u64) -> BootNanos {
    BootNanos(n * 1_000_000_000)
}

/// Anonymous memory of so many MB.
pub(crate) fn memory_mb(n: u64) -> Memory {
    Memory {
        anon: Bytes::from_mb(n),
        ..Memory::default()
    }
}

/// An RSS entry.
pub(crate) fn rss(second: u64, mb: u64) -> Entry {
    Entry {
        at: seconds(second),
        what: What::Rss {
            memory: memory_mb(mb),
        },
    }
}

/// A checkpoint entry.
pub(crate) fn checkpoint(second: u64, name: &str, mb: u64) -> Entry {
    let checkpoint = Checkpoint {
        name: name.into(),
        details: None,
        name_state: NameState::Whole,
        tid: Tid(12345),
        memory: memory_mb(mb),
    };
    Entry {
        at: seconds(second),
        what: What::Checkpoint(checkpoint),
    }
}

/// A frame at a line.
pub(crate) fn frame(file: &str, line: u32, function: &str) -> Frame {
    Frame {
        file: Some(file.into()),
        line: Some(line),
        function: Some(function.into()),
    }
}

/// A stack of frames, taken for this.
pub(crate) fn stack(why: StackWhy, tid: u32, frames: &[(&str, u32, &str)]) -> Stack {
    Stack {
        why,
        tid: Tid(tid),
        comm: "python3".to_owned(),
        moved: None,
        frames: frames
            .iter()
            .map(|(file, line, function)| frame(file, *line, function))
            .collect(),
        omitted: 0,
        python: PythonState::Whole,
        natives: Vec::new(),
    }
}

/// The stack on which RSS was found to have moved by so many MB.
pub(crate) fn grew(tid: u32, mb: i64, frames: &[(&str, u32, &str)]) -> Stack {
    Stack {
        moved: Some(Delta(mb << 20)),
        ..stack(StackWhy::Growth, tid, frames)
    }
}
