//! How a life begins: what is read of its process, and what it has in common with others.

use std::sync::Arc;

use super::Session;
use crate::{
    entry::{Begin, Limit, RECORDING_VERSION},
    kernel::{facts::Facts, load::Probes, procfs},
    share::Last,
    units::Tgid,
};

/// What most lives have in common.
pub(super) struct Common {
    kernel: Arc<str>,
    sensor: Arc<str>,
    cgroup: Last<str>,
    limit: Last<Limit>,
}

impl Common {
    pub(super) fn new(facts: &Facts, probes: &Probes) -> Self {
        Self {
            kernel: facts.release.as_str().into(),
            sensor: probes.sensor().name().into(),
            cgroup: Last::default(),
            limit: Last::default(),
        }
    }
}

impl Session {
    /// The first entry of a life; absent if its process is not known.
    pub(super) fn begin_of(&mut self, pid: Tgid) -> Option<Begin> {
        let person = self.track.person(pid)?;
        let cgroup = procfs::memory_cgroup(pid.0);
        let limit = self
            .controller
            .as_ref()
            .zip(cgroup.as_deref())
            .and_then(|(controller, cgroup)| controller.limit(cgroup));
        let parent = person.parent.filter(|parent| self.track.is_traced(*parent));
        Some(Begin {
            version: RECORDING_VERSION,
            pid,
            started: person.started,
            program: Arc::clone(&person.program),
            parent,
            uid: person.uid,
            style: self.plan.style.of(limit.as_ref()),
            cgroup: cgroup.map(|cgroup| self.common.cgroup.share(cgroup.into())),
            limit: limit.map(|limit| self.common.limit.share(limit.into())),
            memory: person.memory,
            wall_at_boot_ns: self.anchor.wall_at_boot_ns,
            time_zone: self.anchor.time_zone.clone(),
            utc_offset_seconds: self.anchor.utc_offset_seconds,
            kernel: Arc::clone(&self.common.kernel),
            sensor: Arc::clone(&self.common.sensor),
            step: self.plan.step,
        })
    }
}
