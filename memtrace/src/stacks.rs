//! `stack`: the Python stacks of a process as they stand.

use std::{fmt::Write as _, path::Path};

use crate::{
    kernel::python::{self, Remote},
    python::{
        lines::Line,
        walk::{self, End, Frame, Strange, Thread},
    },
    text::escape,
};

/// Why there are none.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such process.
    #[error("no process has PID {0}")]
    NoProcess(u32),
    /// Its interpreter could not be found or is not known.
    #[error("PID {pid}: {why}")]
    Interpreter {
        /// The process.
        pid: u32,
        /// Why.
        why: python::Error,
    },
    /// What is in memory is not what it should be.
    #[error("PID {pid}: CPython {version} in {path}: {why}")]
    Strange {
        /// The process.
        pid: u32,
        /// As its file or its version says.
        version: String,
        /// The interpreter.
        path: String,
        /// Why.
        why: Strange,
    },
}

impl Error {
    /// More rights would help.
    pub fn is_for_want_of_rights(&self) -> bool {
        matches!(
            self,
            Self::Interpreter {
                why: python::Error::Memory(_),
                ..
            }
        )
    }
}

/// The stacks of all threads that run Python, the innermost frame first. The process runs on while it
/// is read: a thread that was found in two ways is marked.
pub fn text(pid: u32) -> Result<String, Error> {
    if !Path::new(&format!("/proc/{pid}")).exists() {
        return Err(Error::NoProcess(pid));
    }
    let found = python::find(pid).map_err(|why| Error::Interpreter { pid, why })?;
    let path = escape(&found.path.to_string_lossy());
    let layout = found.runtime.layout;
    let mut version = format!("{}.{}", layout.version.major, layout.version.minor);
    if layout.free_threaded {
        version.push('t');
    }
    let memory = Remote::of(pid).ok_or(Error::NoProcess(pid))?;
    let read = || walk::threads(&memory, found.runtime);
    let (before, threads) = match (read(), read()) {
        (Ok(before), Ok(threads)) => (before, threads),
        (Err(why), _) | (_, Err(why)) => {
            return Err(Error::Strange {
                pid,
                version,
                path,
                why,
            });
        }
    };
    let plural = if threads.len() == 1 { "" } else { "s" };
    let mut text = format!(
        "PID {pid}: CPython {version} ({path}), {} thread{plural}\n",
        threads.len()
    );
    for thread in &threads {
        let steady = before.contains(thread);
        // A string takes all that is written to it.
        let _ = show(&mut text, thread, steady);
    }
    Ok(text)
}

fn show(text: &mut String, thread: &Thread, steady: bool) -> std::fmt::Result {
    match thread.native_id.filter(|id| *id != 0) {
        Some(id) => write!(text, "  thread {id}")?,
        None => write!(text, "  thread {:#x}", thread.id)?,
    }
    writeln!(
        text,
        "{}",
        if steady {
            ":"
        } else {
            ", it moves while it is read:"
        }
    )?;
    for frame in &thread.frames {
        writeln!(text, "    {}", phrase(frame))?;
    }
    match thread.end {
        End::Whole if thread.frames.is_empty() => writeln!(text, "    (runs no Python)"),
        End::Whole => Ok(()),
        End::Cut => writeln!(text, "    … (there are more)"),
        End::Torn => writeln!(text, "    ? (the rest cannot be read)"),
    }
}

/// `/srv/app/config.py:118 load_learning_config`
fn phrase(frame: &Frame) -> String {
    let Frame {
        file,
        function,
        line,
    } = frame;
    let shown = |text: &Option<String>| text.as_deref().map_or_else(|| "?".to_owned(), escape);
    let line = match line {
        Line::At(line) => line.to_string(),
        Line::None => "-".to_owned(),
        Line::Unknown => "?".to_owned(),
    };
    format!("{}:{line} {}", shown(file), shown(function))
}

#[cfg(test)]
mod tests {
    use super::phrase;
    use crate::python::{lines::Line, walk::Frame};

    #[test]
    fn a_frame_is_one_line_whatever_it_is_called() {
        let frame = |file: Option<&str>, line| Frame {
            file: file.map(str::to_owned),
            function: Some("加载\n".to_owned()),
            line,
        };
        assert_eq!(phrase(&frame(Some("a.py"), Line::At(7))), "a.py:7 加载\\n");
        assert_eq!(phrase(&frame(None, Line::None)), "?:- 加载\\n");
    }
}
