//! What the probes could not send: counted by them, told here.

use memtrace_ebpf::wire::lost;

use super::Session;
use crate::{clock, loss, track::losses, units::Tgid};

impl Session {
    /// Takes over what the probes counted as lost since the last time.
    pub(super) fn count_losses(&mut self) {
        let now = self.probes.lost();
        let before = std::mem::replace(&mut self.kernel_lost, now);
        let mut out = Vec::new();
        for (class, (now, before)) in (0_u32..).zip(now.into_iter().zip(before)) {
            let count = now.saturating_sub(before);
            if count == 0 {
                continue;
            }
            let kind = class_kind(class);
            self.lost.add(kind, count);
            // Steps and checkpoints are counted for each process and told at its end.
            let by_process = matches!(
                kind,
                loss::Kind::RssRecord | loss::Kind::CheckpointRecord | loss::Kind::CheckpointRate
            );
            if !by_process {
                self.track.lost(clock::now(), kind, count, &mut out);
            }
            if kind == loss::Kind::LifeRecord {
                // Somebody may have come or gone unheard.
                self.census_into(clock::now(), &mut out);
            }
        }
        self.answer(clock::now(), &mut out);
    }

    /// Takes over what the kernel skipped our probes for. An end may have been among it, so everybody
    /// is looked at.
    pub(super) fn count_skipped(&mut self) {
        let now = self.probes.skipped();
        let before = std::mem::replace(&mut self.skipped, now);
        let mut out = Vec::new();
        for (kind, now, before) in [
            (loss::Kind::SkippedProbe, now.events, before.events),
            (loss::Kind::SkippedWrite, now.writes, before.writes),
        ] {
            let count = now.saturating_sub(before);
            if count > 0 {
                self.lost.add(kind, count);
                self.track.lost(clock::now(), kind, count, &mut out);
            }
        }
        if (now.events, now.ends) != (before.events, before.ends) {
            self.census_into(clock::now(), &mut out);
        }
        self.answer(clock::now(), &mut out);
    }

    /// Ends that were not heard of, as far as the probes have not counted them themselves.
    pub(super) fn count_unheard(&mut self) {
        let counted = lost::LIFE as usize;
        let counted = self.kernel_lost.get(counted).copied().unwrap_or(0);
        let count = self.unheard.saturating_sub(counted);
        self.lost.add(loss::Kind::LifeRecord, count);
    }

    /// Losses of processes that go on.
    pub(super) fn lose_by_process(&mut self, out: &mut Vec<super::Output>) {
        let traced: Vec<Tgid> = self.track.traced().collect();
        for pid in traced {
            for lost in losses(self.probes.unsent(pid.0)) {
                self.track.lost_by(clock::now(), pid, lost, out);
            }
        }
    }
}

fn class_kind(class: u32) -> loss::Kind {
    match class {
        lost::RSS => loss::Kind::RssRecord,
        lost::KILL => loss::Kind::KillRecord,
        lost::MARK => loss::Kind::CheckpointRecord,
        lost::MARK_RATE => loss::Kind::CheckpointRate,
        lost::STACK => loss::Kind::StackRecord,
        lost::TRACED => loss::Kind::TracedTable,
        _ => loss::Kind::LifeRecord,
    }
}
