//! Stacks, with names.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::units::{Delta, Tid};

/// The stack of a thread, taken by the kernel side while the thread was at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack {
    /// Why it was taken.
    pub why: StackWhy,
    /// The thread.
    pub tid: Tid,
    /// Its command name.
    pub comm: String,
    /// Of [`StackWhy::Growth`]: what RSS has moved by since the last such stack, or since tracing
    /// began; negative: it shrank. All of it is charged to this stack.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub moved: Option<Delta>,
    /// Python frames, the innermost first; none of a thread that runs no Python.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub frames: Vec<Frame>,
    /// So many frames are left out behind the 48th.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub omitted: u32,
    /// Whether these are all Python frames of the thread.
    pub python: PythonState,
    /// Native frames, the innermost first, as far out as their frame pointers lead; of a thread that
    /// runs Python only those under its innermost Python frame.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub natives: Vec<Native>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives it so")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Why a stack was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StackWhy {
    /// RSS has moved by `--stack-step`, and this thread was running.
    Growth,
    /// The OOM killer chose the process when this thread of it asked for memory.
    Mark,
    /// SIGKILL was delivered to this thread.
    Kill,
}

/// What is known of a thread's Python frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PythonState {
    /// They are all there, but for those that are told as left out.
    Whole,
    /// There are still more, outwards.
    Cut,
    /// What lies further out could not be read: it is not resident, or the chain was changing.
    Torn,
    /// This thread runs no Python.
    OtherThread,
    /// The process is not known to run a CPython.
    Unknown,
}

/// A Python frame. What could not be read is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Frame {
    /// `co_filename`, as the program has it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file: Option<Arc<str>>,
    /// The line that it is at.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub line: Option<u32>,
    /// `co_qualname`; before 3.11 `co_name`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub function: Option<Arc<str>>,
}

impl Frame {
    /// It is code that came with the interpreter or was installed.
    pub fn is_library(&self) -> bool {
        const FOLDERS: [&str; 4] = [
            "/site-packages/",
            "/dist-packages/",
            "/lib/python",
            "<frozen ",
        ];
        let Some(file) = &self.file else {
            return true;
        };
        FOLDERS.iter().any(|folder| file.contains(folder))
    }
}

/// A native frame. What is not known is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Native {
    /// The file that its code is mapped from, as the process saw it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file: Option<Arc<str>>,
    /// Where in that file; without one, its address. Of a function that is only known to have been
    /// called from further out, its beginning.
    pub at: u64,
    /// The function.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub function: Option<Arc<str>>,
    /// Its source file, where the file has debug lines.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<Arc<str>>,
    /// The line that it is at, likewise.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub line: Option<u32>,
    /// Whom it called may have called further frames before the one that is told, which keeps no
    /// frame pointer.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub behind_gap: bool,
}

impl Native {
    /// It is what runs Python frames: those further out are the interpreter's own.
    pub fn runs_python(&self) -> bool {
        const LOOPS: [&str; 3] = ["_PyEval_EvalFrame", "PyEval_EvalFrame", "_TAIL_CALL_"];
        let is_loop = |name: &str| LOOPS.iter().any(|known| name.starts_with(known));
        match (&self.function, &self.file) {
            (Some(name), _) => is_loop(name),
            // Stripped: which of its functions it is cannot be told.
            (None, Some(file)) => {
                let name = file.rsplit('/').next().unwrap_or_default();
                name.starts_with("python") || name.starts_with("libpython")
            }
            (None, None) => false,
        }
    }
}
