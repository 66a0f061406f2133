//! The logs and recordings that memtrace writes: looked at and removed once their lives have ended,
//! for a disk that fills is another test.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::Soak;

/// Who asks for the report of a kill has had it by then.
const OLD: Duration = Duration::from_secs(90);

/// Removes what is old, and counts it.
#[derive(Default)]
pub(super) struct Janitor {
    /// Lives whose files were removed.
    pub(super) lives: u64,
    /// Bytes of these files.
    pub(super) bytes: u64,
}

impl Janitor {
    /// Removes the files of lives that ended a while ago. Each has its report.
    pub(super) fn sweep(&mut self, soak: &Soak) -> Result<()> {
        self.remove(soak, OLD)
    }

    /// Removes everything: memtrace has ended.
    pub(super) fn finish(&mut self, soak: &Soak) -> Result<()> {
        self.remove(soak, Duration::ZERO)
    }

    fn remove(&mut self, soak: &Soak, older: Duration) -> Result<()> {
        for entry in fs::read_dir(soak.dir.join("logs"))? {
            let log = entry?.path();
            if log.extension().is_none_or(|extension| extension != "log") {
                continue;
            }
            let age = fs::metadata(&log)?
                .modified()?
                .elapsed()
                .unwrap_or_default();
            if age < older || (older > Duration::ZERO && is_alive(&log)) {
                continue;
            }
            let recording = log.with_extension("jsonl");
            let text = fs::read_to_string(&log)?;
            if !is_whole(&text) {
                soak.fault(&format!(
                    "a log without its report, {}:\n{text}",
                    log.display()
                ));
            }
            self.lives += 1;
            self.bytes +=
                text.len() as u64 + fs::metadata(&recording).map_or(0, |found| found.len());
            fs::remove_file(&log)?;
            fs::remove_file(&recording)?;
        }
        Ok(())
    }
}

/// A report begins with its title, and its last line is a rule.
fn is_whole(log: &str) -> bool {
    let is_rule = |line: &str| !line.is_empty() && line.bytes().all(|byte| byte == b'=');
    log.contains("\n内存监控报告 - ") && log.lines().next_back().is_some_and(is_rule)
}

/// Does the process of `memory_monitor_COMM_PID_DATE_TIME.log` still run?
fn is_alive(log: &Path) -> bool {
    let name = log.file_stem().unwrap_or_default().to_string_lossy();
    let pid = name.rsplit('_').nth(2).unwrap_or_default();
    Path::new("/proc").join(pid).exists()
}

#[cfg(test)]
mod tests {
    use super::is_whole;

    #[test]
    fn a_log_is_whole_with_its_report() {
        assert!(is_whole(
            "====\n内存监控日志\n\n====\n内存监控报告 - x\n\n====\n"
        ));
        assert!(!is_whole("====\n内存监控日志 - x\n====\n"));
        assert!(!is_whole("====\n内存监控报告 - x\n====\n🏔️ 峰值"));
    }
}
