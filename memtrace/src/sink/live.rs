//! The lines of the usual log for a terminal: the same text, coloured by level, with the process
//! in front where there are several.

use super::usual_log;
use crate::align::{
    Story,
    row::{Level, Row},
};

/// How lines look on the terminal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    /// ANSI colours by level.
    pub colour: bool,
    /// The pid in front of each line.
    pub pid: bool,
}

/// One line for the terminal, without its line end.
pub fn line(story: &Story, row: &Row, look: Look) -> String {
    let Look { colour, pid } = look;
    let text = usual_log::line(story, row);
    let text = if pid {
        format!("{:>7} {text}", story.begin.pid.0)
    } else {
        text
    };
    match (colour, row.level) {
        (true, Level::Warning) => format!("\x1b[33m{text}\x1b[0m"),
        (true, Level::Critical) => format!("\x1b[31m{text}\x1b[0m"),
        (true, Level::Info) | (false, _) => text,
    }
}
