//! Where the fields of classic tracepoint records are, from tracefs: for kernels without BTF.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Where tracefs is found.
const MOUNTS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// A field: the event, its name there, and the global that takes its offset.
const FIELDS: &[(&str, &str, &str)] = &[
    ("kmem/rss_stat", "mm_id", "PLAIN_RSS_ID"),
    ("kmem/rss_stat", "curr", "PLAIN_RSS_CURR"),
    ("kmem/rss_stat", "member", "PLAIN_RSS_MEMBER"),
    ("kmem/rss_stat", "size", "PLAIN_RSS_SIZE"),
    ("sched/sched_process_fork", "child_pid", "PLAIN_FORK_CHILD"),
    ("signal/signal_generate", "sig", "PLAIN_SIGNAL_SIG"),
    ("signal/signal_generate", "code", "PLAIN_SIGNAL_CODE"),
    ("signal/signal_generate", "pid", "PLAIN_SIGNAL_PID"),
    ("signal/signal_generate", "group", "PLAIN_SIGNAL_GROUP"),
    ("signal/signal_generate", "result", "PLAIN_SIGNAL_RESULT"),
    ("oom/mark_victim", "pid", "PLAIN_MARK_PID"),
];

/// Why the layout of a record is not known.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// tracefs is not mounted.
    #[error("tracefs is not mounted: mount -t tracefs tracefs /sys/kernel/tracing")]
    NotMounted,
    /// The kernel has no such event.
    #[error("this kernel has no tracepoint {event}{since}")]
    NoEvent {
        /// It.
        event: &'static str,
        /// Since when kernels have it, if that is known.
        since: &'static str,
    },
    /// Reading failed.
    #[error("read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The event has no such field.
    #[error("the tracepoint {event} has no field {field}")]
    NoField {
        /// The event.
        event: &'static str,
        /// The field.
        field: &'static str,
    },
}

/// The offset for each global of `memtrace-ebpf/src/config.rs` that tracefs decides.
pub fn offsets() -> Result<Vec<(&'static str, u32)>, FormatError> {
    let root = MOUNTS
        .iter()
        .map(Path::new)
        .find(|mount| mount.join("events").is_dir())
        .ok_or(FormatError::NotMounted)?;
    FIELDS
        .iter()
        .map(|&(event, field, global)| {
            let path = root.join("events").join(event).join("format");
            let text = fs::read_to_string(&path).map_err(|source| match source.kind() {
                io::ErrorKind::NotFound => FormatError::NoEvent {
                    event,
                    since: since(event),
                },
                _ => FormatError::Read { path, source },
            })?;
            let offset = offset(&text, field).ok_or(FormatError::NoField { event, field })?;
            Ok((global, offset))
        })
        .collect()
}

fn since(event: &str) -> &'static str {
    if event == "kmem/rss_stat" {
        " (kernels have it since 5.5)"
    } else {
        ""
    }
}

/// Offset of a field in a `format` file: `field:long size; offset:24; size:8; signed:1;`
pub fn offset(format: &str, field: &str) -> Option<u32> {
    format.lines().find_map(|line| {
        let mut parts = line
            .trim()
            .strip_prefix("field:")?
            .split(';')
            .map(str::trim);
        let name = parts.next()?.split_whitespace().next_back()?;
        // An array's name carries its length.
        let name = name.split('[').next()?;
        let offset = parts.find_map(|part| part.strip_prefix("offset:"))?;
        (name == field).then(|| offset.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::offset;

    const FORMAT: &str = "name: sched_process_exit\nID: 321\nformat:\n\
        \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\n\
        \tfield:char comm[16];\toffset:8;\tsize:16;\tsigned:0;\n\
        \tfield:pid_t pid;\toffset:24;\tsize:4;\tsigned:1;\n\n\
        print fmt: \"comm=%s pid=%d\", REC->comm, REC->pid\n";

    #[test]
    fn a_field_is_found_by_its_name() {
        assert_eq!(offset(FORMAT, "pid"), Some(24));
        assert_eq!(offset(FORMAT, "comm"), Some(8));
        assert_eq!(offset(FORMAT, "prio"), None);
    }

    #[test]
    fn no_damage_makes_the_reader_panic() {
        for end in 0..FORMAT.len() {
            let _ = offset(&FORMAT[..end], "pid");
        }
        assert_eq!(
            offset("field:;offset:;\nfield:int x;offset:abc;", "x"),
            None
        );
    }
}
