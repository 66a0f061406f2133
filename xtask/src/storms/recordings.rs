//! What memtrace wrote of each life. As it stands in the files: the verbs build without memtrace, or
//! a broken one could not be mended.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::table::verdicts;

/// One life.
#[derive(Debug, Default)]
pub(super) struct Life {
    /// The process.
    pub(super) pid: u32,
    /// The recording, for faults.
    pub(super) file: String,
    /// Names of its checkpoints, in the order of the recording.
    pub(super) checkpoints: Vec<String>,
    /// RSS at the last of them, bytes.
    pub(super) last_rss: Option<u64>,
    /// The highest RSS of any entry, bytes.
    pub(super) highest_rss: u64,
    /// RSS steps.
    pub(super) steps: u64,
    /// When the OOM killer chose it: boot time in nanoseconds.
    pub(super) oom_kills: Vec<u64>,
    /// Its end, if that was seen.
    pub(super) exit: Option<Exit>,
    /// What is missing, by kind.
    pub(super) lost: BTreeMap<String, u64>,
    /// What of the files cannot be so in any storm.
    pub(super) fault: Option<String>,
    /// How often the log says that the OOM killer killed it.
    pub(super) verdicts: usize,
    /// When the last entry was.
    at: u64,
}

/// How a life ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Exit {
    /// Exit code, if it exited.
    pub(super) code: Option<i64>,
    /// Signal number, if one ended it.
    pub(super) signal: Option<i64>,
    /// Highest RSS by the kernel's own account, bytes.
    pub(super) peak: Option<u64>,
}

impl Life {
    /// Was killed for memory once, and everything says so.
    pub(super) fn is_killed(&self) -> bool {
        let ended = self.exit.is_some_and(|exit| exit.signal == Some(9));
        self.oom_kills.len() == 1 && ended && self.verdicts == 1
    }

    /// Has these checkpoints `c0000`, `c0001`, … and no others, in order.
    pub(super) fn has_counted(&self, count: usize) -> bool {
        let is = |(number, name): (usize, &String)| *name == format!("c{number:04}");
        self.checkpoints.len() == count && self.checkpoints.iter().enumerate().all(is)
    }

    fn read(recording: &Path) -> Result<Self> {
        let mut life = Self {
            file: recording.display().to_string(),
            ..Self::default()
        };
        let mut input = BufReader::new(File::open(recording)?);
        let mut text = String::new();
        while input.read_line(&mut text)? > 0 {
            match serde_json::from_str(&text) {
                Ok(entry) if text.ends_with('\n') => life.apply(&entry),
                _ => life.fault = Some(format!("half a line: {text}")),
            }
            text.clear();
        }
        let log = fs::read_to_string(recording.with_extension("log")).unwrap_or_default();
        if !log.is_empty() && !log.ends_with('\n') {
            life.fault = Some("its log ends in half a line".to_owned());
        }
        life.verdicts = verdicts(&log, life.pid);
        Ok(life)
    }

    fn apply(&mut self, entry: &Value) {
        let at = entry["at"].as_u64().unwrap_or(0);
        // The stacks of a kill are taken after it, and told before it.
        let is_of_kill = entry["event"] == "stack" && entry["why"] != "growth";
        if at < self.at && !is_of_kill {
            self.fault = Some(format!("{at} comes after {}", self.at));
        }
        if self.exit.is_some() {
            self.fault = Some(format!("after its end: {entry}"));
        }
        self.at = if is_of_kill { self.at } else { at };
        let size = |kind: &str| entry["memory"][kind].as_u64().unwrap_or(0);
        let rss = size("anon") + size("file") + size("shmem");
        self.highest_rss = self.highest_rss.max(rss);
        match entry["event"].as_str() {
            Some("begin") => self.pid = number(&entry["pid"]).unwrap_or(0),
            Some("checkpoint") => {
                let name = entry["name"].as_str().unwrap_or_default();
                self.checkpoints.push(name.to_owned());
                self.last_rss = Some(rss);
            }
            Some("rss") => self.steps += 1,
            Some("oom_kill") => self.oom_kills.push(at),
            Some("lost") => {
                let kind = entry["kind"].as_str().unwrap_or_default();
                let count = entry["count"].as_u64().unwrap_or(0);
                *self.lost.entry(kind.to_owned()).or_default() += count;
            }
            Some("exit") => {
                self.exit = Some(Exit {
                    code: entry["code"].as_i64(),
                    signal: entry["signal"].as_i64(),
                    peak: entry["peak"].as_u64(),
                });
            }
            _ => {}
        }
    }
}

fn number(value: &Value) -> Option<u32> {
    value.as_u64()?.try_into().ok()
}

/// All lives with a recording in a directory.
pub(super) fn read(logs: &Path) -> Result<Vec<Life>> {
    let mut lives = Vec::new();
    for entry in fs::read_dir(logs)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "jsonl") {
            let life = Life::read(&path);
            lives.push(life.with_context(|| format!("read {}", path.display()))?);
        }
    }
    lives.sort_by(|one, other| one.file.cmp(&other.file));
    Ok(lives)
}

/// The life of a process of which there is but one, as far as it is written.
pub(super) fn of(logs: &Path, pid: u32) -> Result<Option<Life>> {
    let middle = format!("_{pid}_");
    for entry in fs::read_dir(logs)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.contains(&middle) && name.ends_with(".jsonl") {
            return Ok(Some(Life::read(&path)?));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Exit, Life};

    fn life(entries: &[serde_json::Value]) -> Life {
        let mut life = Life::default();
        for entry in entries {
            life.apply(entry);
        }
        life
    }

    #[test]
    fn a_life_is_what_its_entries_say() {
        let memory = json!({"anon": 2, "file": 1, "shmem": 0});
        let life = life(&[
            json!({"at": 1, "event": "begin", "pid": 7}),
            json!({"at": 2, "event": "checkpoint", "name": "c0000", "memory": memory}),
            json!({"at": 2, "event": "lost", "kind": "rss_record", "count": 3}),
            json!({"at": 3, "event": "exit", "code": 5, "peak": 9}),
        ]);
        assert!(life.has_counted(1) && life.fault.is_none());
        assert_eq!((life.pid, life.last_rss), (7, Some(3)));
        assert_eq!(life.lost["rss_record"], 3);
        let exit = Exit {
            code: Some(5),
            signal: None,
            peak: Some(9),
        };
        assert_eq!(life.exit, Some(exit));
    }

    #[test]
    fn what_is_out_of_order_is_a_fault() {
        let later = json!({"at": 2, "event": "rss"});
        let earlier = json!({"at": 1, "event": "rss"});
        assert!(life(&[earlier.clone(), later.clone()]).fault.is_none());
        assert!(life(&[later, earlier]).fault.is_some());
        let end = json!({"at": 1, "event": "exit", "code": 0});
        assert!(life(&[end.clone(), end]).fault.is_some());
    }
}
