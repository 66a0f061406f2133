//! What memtrace takes while the soak goes on, and whether that grows.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use aya::maps::{HashMap, Map, MapData};
use memtrace_ebpf::wire::TRACED_WORDS;

/// How much memory may grow: pages that the allocator keeps come and go.
const GROWTH_KIB: u64 = 1024;
/// How many descriptors more there may be: those of lives that are just being written.
const GROWTH_DESCRIPTORS: u64 = 16;

/// What was there at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sample {
    /// Since the beginning.
    pub(super) seconds: u64,
    /// Anonymous memory of memtrace.
    pub(super) anon_kib: u64,
    /// Its open files, maps and probes.
    pub(super) descriptors: u64,
    /// Its threads.
    pub(super) threads: u64,
    /// Entries of the map of traced processes, if it could be read.
    pub(super) traced: Option<u64>,
    /// Lives that have ended, and bytes that were written of them.
    pub(super) lives: u64,
    /// Likewise.
    pub(super) bytes: u64,
    /// Kills with the right verdict.
    pub(super) kills: u64,
}

impl Sample {
    /// Looks at memtrace.
    pub(super) fn of(pid: u32) -> Result<Self> {
        let process = Path::new("/proc").join(pid.to_string());
        let status = fs::read_to_string(process.join("status"))?;
        let field = |name: &str| -> Result<u64> {
            let rest = status.lines().find_map(|line| line.strip_prefix(name));
            let number = rest.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
            number.with_context(|| format!("no {name} in the status"))
        };
        Ok(Self {
            anon_kib: field("RssAnon:")?,
            threads: field("Threads:")?,
            descriptors: fs::read_dir(process.join("fd"))?.count() as u64,
            traced: traced(&process),
            ..Self::default()
        })
    }

    fn line(&self) -> String {
        let per_life = self.bytes.checked_div(self.lives).unwrap_or(0);
        let traced = self
            .traced
            .map_or("?".to_owned(), |count| count.to_string());
        format!(
            "{:>3}:{:02}  {:>6} KiB, {} descriptors, {} threads, {traced} traced; {} kills told, {} lives over, {per_life} bytes a life",
            self.seconds / 60,
            self.seconds % 60,
            self.anon_kib,
            self.descriptors,
            self.threads,
            self.kills,
            self.lives,
        )
    }
}

/// Entries of the map of traced processes of this memtrace, found by its descriptors.
fn traced(process: &Path) -> Option<u64> {
    for entry in fs::read_dir(process.join("fdinfo")).ok()?.flatten() {
        let info = fs::read_to_string(entry.path()).unwrap_or_default();
        let Some(id) = info.lines().find_map(|line| line.strip_prefix("map_id:")) else {
            continue;
        };
        let Some(map) = id
            .trim()
            .parse()
            .ok()
            .and_then(|id| MapData::from_id(id).ok())
        else {
            continue;
        };
        // The kernel keeps fifteen characters of `TGID_TO_TRACED`, which has fourteen.
        if map.info().ok()?.name_as_str() != Some("TGID_TO_TRACED") {
            continue;
        }
        let map = Map::HashMap(map);
        let entries = HashMap::<_, u32, [u64; TRACED_WORDS]>::try_from(&map).ok()?;
        return Some(entries.keys().flatten().count() as u64);
    }
    None
}

/// All samples.
#[derive(Debug, Default)]
pub(super) struct Curve(Vec<Sample>);

impl Curve {
    /// Adds one, and prints one a minute.
    pub(super) fn add(&mut self, sample: Sample) {
        let minute = |sample: &Sample| sample.seconds / 60;
        if self
            .0
            .last()
            .is_none_or(|last| minute(last) != minute(&sample))
        {
            println!("{}", sample.line());
        }
        self.0.push(sample);
    }

    /// What it means: what grew since the first tenth.
    pub(super) fn judge(&self) -> Vec<String> {
        let (early, late) = self.ends();
        let grown = |what: fn(&Sample) -> u64, most: u64, name: &str| {
            let (before, after) = (median(early, what), median(late, what));
            (after > before + most)
                .then(|| format!("{name}: {after}, and {before} in the beginning"))
        };
        let mut faults = Vec::new();
        faults.extend(grown(|s| s.anon_kib, GROWTH_KIB, "KiB of memory"));
        faults.extend(grown(|s| s.descriptors, GROWTH_DESCRIPTORS, "descriptors"));
        faults.extend(grown(|s| s.threads, 0, "threads"));
        if self.0.last().is_none_or(|last| last.kills == 0) {
            faults.push("nobody was killed".to_owned());
        }
        faults
    }

    /// The samples of the second tenth, when all that is taken once has been taken, and of the last.
    fn ends(&self) -> (&[Sample], &[Sample]) {
        let tenth = self.0.len().div_ceil(10);
        let early = self.0.get(tenth..2 * tenth).unwrap_or(&self.0);
        (early, &self.0[self.0.len() - tenth..])
    }

    /// First and last figures.
    pub(super) fn summary(&self) -> String {
        let (early, late) = self.ends();
        let [first, last] = [early.first(), late.last()]
            .map(|sample| sample.map_or_else(String::new, Sample::line));
        format!("from {first}\nto   {last}")
    }
}

fn median(samples: &[Sample], what: fn(&Sample) -> u64) -> u64 {
    let mut figures: Vec<u64> = samples.iter().map(what).collect();
    figures.sort_unstable();
    figures.get(figures.len() / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Curve, Sample};

    fn curve(anon_kib: impl Fn(u64) -> u64) -> Curve {
        let sample = |n| Sample {
            seconds: 5 * n,
            anon_kib: anon_kib(n),
            descriptors: 40,
            threads: 5,
            kills: n,
            ..Sample::default()
        };
        Curve((0..100).map(sample).collect())
    }

    #[test]
    fn what_is_taken_once_is_no_growth() {
        assert_eq!(curve(|n| 3000 + 100 * n.min(9)).judge(), [""; 0]);
        // Now and then somebody looks at a bad moment.
        let spikes = curve(|n| if n % 7 == 0 { 9000 } else { 4000 });
        assert_eq!(spikes.judge(), [""; 0]);
    }

    #[test]
    fn what_grows_on_and_on_is_told() {
        let faults = curve(|n| 3000 + 20 * n).judge();
        assert_eq!(faults, ["KiB of memory: 4900, and 3300 in the beginning"]);
    }

    #[test]
    fn without_samples_nothing_can_be_said_in_favour() {
        assert_eq!(Curve::default().judge(), ["nobody was killed"]);
    }
}
