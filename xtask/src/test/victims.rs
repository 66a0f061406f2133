//! The processes that live tests trace and kill: small C programs, compiled before each run.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::workspace::{self, command, root, target_dir};

/// Compiles `tests/victims/*.c`; `lib*.c` become shared libraries. Returns where they are.
pub(crate) fn compile() -> Result<PathBuf> {
    compile_with("gcc", &target_dir().join("victims"))
}

/// The same with another compiler, to another place.
pub(crate) fn compile_with(gcc: &str, out: &Path) -> Result<PathBuf> {
    let out = out.to_owned();
    fs::create_dir_all(&out).with_context(|| format!("create {}", out.display()))?;
    let sources = root().join("tests/victims");
    if !sources.is_dir() {
        return Ok(out);
    }
    for entry in fs::read_dir(&sources).with_context(|| format!("list {}", sources.display()))? {
        let source = entry?.path();
        if source.extension() == Some(OsStr::new("c")) {
            compile_one(gcc, &source, &out)?;
        }
    }
    Ok(out)
}

fn compile_one(gcc: &str, source: &Path, out: &Path) -> Result<()> {
    let name = source.file_stem().unwrap_or_default().to_string_lossy();
    let mut gcc = command(gcc);
    gcc.args(["-O2", "-pthread", "-I", "contrib"]);
    let product = if name.starts_with("lib") {
        gcc.args(["-shared", "-fPIC"]);
        out.join(format!("{name}.so"))
    } else {
        out.join(&*name)
    };
    workspace::run(gcc.arg("-o").arg(product).arg(source))
}
