//! Line → entry, from a recording of any size and in any state.

use std::io::{self, BufRead};

use serde::Deserialize;

use crate::{
    entry::{Entry, RECORDING_VERSION},
    lines::{self, Next},
    loss::{Kind, Ledger},
};

/// Why a recording cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A newer memtrace wrote it.
    #[error(
        "recording of version {found}, this memtrace reads up to {RECORDING_VERSION}; use a newer memtrace"
    )]
    Version {
        /// The version in the recording.
        found: u64,
    },
    /// The file could not be read.
    #[error("read recording")]
    Io(#[from] io::Error),
}

/// Reads entries one by one. A line that cannot be understood (also a last line that was cut off)
/// is skipped and counted.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    line: Vec<u8>,
    lost: Ledger,
}

/// What of a line tells its version, whatever else may have changed.
#[derive(Debug, Deserialize)]
struct Version {
    event: String,
    version: u64,
}

impl<R: BufRead> Reader<R> {
    /// Reads from `input`.
    pub fn new(input: R) -> Self {
        Self {
            input,
            line: Vec::new(),
            lost: Ledger::default(),
        }
    }

    /// The next entry, or nothing at the end.
    pub fn entry(&mut self) -> Result<Option<Entry>, Error> {
        loop {
            match lines::next(&mut self.input, &mut self.line)? {
                Next::End => return Ok(None),
                Next::TooLong => self.lost.add(Kind::UnreadableLine, 1),
                Next::Line if self.line.trim_ascii().is_empty() => {}
                Next::Line => {
                    check_version(&self.line)?;
                    match serde_json::from_slice(&self.line) {
                        Ok(entry) => return Ok(Some(entry)),
                        Err(_) => self.lost.add(Kind::UnreadableLine, 1),
                    }
                }
            }
        }
    }

    /// What was skipped so far.
    pub fn lost(&self) -> &Ledger {
        &self.lost
    }
}

fn check_version(line: &[u8]) -> Result<(), Error> {
    match serde_json::from_slice::<Version>(line) {
        Ok(Version {
            event,
            version: found,
        }) if event == "begin" && found > u64::from(RECORDING_VERSION) => {
            Err(Error::Version { found })
        }
        _ => Ok(()),
    }
}
