//! Finds marker functions in ELF files, and the offset at which a probe on them is cheapest.
//!
//! The files belong to the traced programs and are not trusted: a parse that fails is an error to
//! be counted, and no file is read as a whole.

#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
};

use object::{
    Object as _, ObjectSection as _, ObjectSymbol as _, ReadCache, SectionFlags, SymbolKind, elf,
};

use super::load::MarkerProgram;

/// Symbol of the C interface.
pub const CHECKPOINT: &str = "memtrace_checkpoint";
/// Symbol that the Python drop-in calls: exported by every CPython, called by nobody else.
pub const PYTHON: &str = "PyOS_mystricmp";
/// What the dynamic loaders of glibc and musl call when they have mapped libraries.
pub const LOADED: &str = "_dl_debug_state";
/// Larger files are not searched.
const LARGEST: u64 = 4 << 30;

/// A function that a probe can be put on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Name of the symbol.
    pub symbol: String,
    /// Offset in the file.
    pub offset: u64,
}

/// Why a file could not be searched.
#[derive(Debug, thiserror::Error)]
pub enum SymbolError {
    /// Reading failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It is not a sound ELF file.
    #[error("not a sound ELF file: {0}")]
    Elf(#[from] object::Error),
    /// It is larger than anything that a program runs from.
    #[error("larger than 4 GiB")]
    TooLarge,
}

/// Which program a symbol is probed with.
pub fn program_for(symbol: &str) -> MarkerProgram {
    match symbol {
        CHECKPOINT => MarkerProgram::Checkpoint,
        PYTHON => MarkerProgram::Python,
        LOADED => MarkerProgram::Loaded,
        _ => MarkerProgram::Function,
    }
}

/// Looks for functions of these names.
pub fn find(file: &File, wanted: &[&str]) -> Result<Vec<Found>, SymbolError> {
    let length = file.metadata()?.len();
    if length > LARGEST {
        return Err(SymbolError::TooLarge);
    }
    let cache = ReadCache::new(file);
    if object::FileKind::parse(&cache).is_err() {
        return Ok(Vec::new()); // mapped and executable, but no ELF: nothing to find
    }
    let elf = object::File::parse(&cache)?;
    let mut found: Vec<Found> = Vec::new();
    for symbol in elf.dynamic_symbols().chain(elf.symbols()) {
        let Ok(name) = symbol.name() else { continue };
        if symbol.is_undefined()
            || !matches!(symbol.kind(), SymbolKind::Text)
            || !wanted.contains(&name)
            || found.iter().any(|found| found.symbol == name)
        {
            continue;
        }
        if let Some(offset) = file_offset(&elf, symbol.address()) {
            let offset = offset + landing(file, offset);
            found.push(Found {
                symbol: name.to_owned(),
                offset,
            });
        }
    }
    Ok(found)
}

/// The names of functions that look most like `wanted`, for an error message.
pub fn nearest(file: &File, wanted: &str) -> Vec<String> {
    let cache = ReadCache::new(file);
    let Ok(elf) = object::File::parse(&cache) else {
        return Vec::new();
    };
    let most = wanted.len() / 2 + 1;
    let mut names: Vec<(usize, String)> = elf
        .dynamic_symbols()
        .chain(elf.symbols())
        .filter(|symbol| symbol.kind() == SymbolKind::Text && !symbol.is_undefined())
        .filter_map(|symbol| symbol.name().ok())
        // The distance is at least the difference of the lengths; most names fall out here.
        .filter(|name| name.chars().count().abs_diff(wanted.chars().count()) <= most)
        .map(|name| (distance(name, wanted), name.to_owned()))
        .filter(|(distance, _)| *distance <= most)
        .collect();
    names.sort();
    names.dedup();
    names.into_iter().take(5).map(|(_, name)| name).collect()
}

/// Levenshtein distance.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(256).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().take(256).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let next = (diagonal + usize::from(a != *b))
                .min(row[j] + 1)
                .min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[right.len()]
}

/// The kernel places probes by offset in the file, symbols speak of addresses.
fn file_offset<'a>(elf: &object::File<'a, &'a ReadCache<&'a File>>, address: u64) -> Option<u64> {
    let section = elf.sections().find(|section| {
        let executable = matches!(
            section.flags(),
            SectionFlags::Elf { sh_flags } if sh_flags & u64::from(elf::SHF_EXECINSTR) != 0
        );
        executable
            && address
                .checked_sub(section.address())
                .is_some_and(|off| off < section.size())
    })?;
    let (start, _) = section.file_range()?;
    start.checked_add(address - section.address())
}

/// Bytes to skip so that the probe sits on a `nop`: the kernel emulates that and single-steps
/// `endbr64`, which costs a second trap (arch/x86/kernel/uprobes.c).
fn landing(mut file: &File, offset: u64) -> u64 {
    let mut bytes = [0; 5];
    let read = file
        .seek(SeekFrom::Start(offset))
        .and_then(|_| file.read_exact(&mut bytes));
    if read.is_ok() && bytes == [0xf3, 0x0f, 0x1e, 0xfa, 0x90] {
        4
    } else {
        0
    }
}
