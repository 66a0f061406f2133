//! Finds marker functions in ELF files, and the offset at which a probe on them is cheapest.
//!
//! The files belong to the traced programs and are not trusted: a parse that fails is an error to
//! be counted, no file is read as a whole, and what one may cost in memory and time has a bound.

pub(super) mod budget;
pub mod python;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{Read, Seek},
};

use object::{
    FileKind, Object as _, ObjectSection as _, ObjectSymbol as _, ReadCache, ReadRef, SectionFlags,
    SymbolKind, elf,
};

use self::budget::Budget;
use super::load::MarkerProgram;

/// Symbol of the C interface.
pub const CHECKPOINT: &str = "memtrace_checkpoint";
/// Symbol that the Python drop-in calls: exported by every CPython, called by nobody else.
pub const PYTHON: &str = "PyOS_mystricmp";
/// What the dynamic loaders of glibc and musl call when they have mapped libraries.
pub const LOADED: &str = "_dl_debug_state";
/// What CPython's `print` hands each object to.
pub const PRINTED: &str = "PyFile_WriteObject";
/// Larger files are not searched.
const LARGEST: u64 = 4 << 30;
/// Sections with code that are looked at; a linked file has a handful.
const MOST_SECTIONS: usize = 1 << 16;
/// Symbols of wanted names that are looked at; each name is found once, where all is well.
const MOST_SYMBOLS: usize = 1 << 10;

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
    /// It says of itself that it has more sections or symbols than can be looked through.
    #[error("more sections or symbols than any program has")]
    TooMuch,
}

/// Which program a symbol is probed with.
pub fn program_for(symbol: &str) -> MarkerProgram {
    match symbol {
        CHECKPOINT => MarkerProgram::Checkpoint,
        PYTHON => MarkerProgram::Python,
        LOADED => MarkerProgram::Loaded,
        PRINTED => MarkerProgram::Printed,
        _ => MarkerProgram::Function,
    }
}

/// What is looked for in every file.
pub fn fixed(prints: bool) -> &'static [&'static str] {
    const ALL: [&str; 4] = [CHECKPOINT, PYTHON, LOADED, PRINTED];
    if prints { &ALL } else { &ALL[..3] }
}

/// Looks for functions of these names.
pub fn find(file: &File, wanted: &[&str]) -> Result<Vec<Found>, SymbolError> {
    if file.metadata()?.len() > LARGEST {
        return Err(SymbolError::TooLarge);
    }
    find_in(file, wanted)
}

/// Looks for functions of these names in whatever holds the bytes of a file.
pub fn find_in(input: impl Read + Seek, wanted: &[&str]) -> Result<Vec<Found>, SymbolError> {
    let (cache, budget) = (ReadCache::new(input), Budget::default());
    let file = budget.on(&cache);
    let Ok(FileKind::Elf32 | FileKind::Elf64) = FileKind::parse(file) else {
        return Ok(Vec::new()); // mapped and executable, but no ELF: nothing to find
    };
    let elf = object::File::parse(file)?;
    let code = code(&elf);
    let candidates = elf
        .dynamic_symbols()
        .chain(elf.symbols())
        .take_while(|_| !budget.is_spent())
        .filter(|symbol| !symbol.is_undefined() && matches!(symbol.kind(), SymbolKind::Text))
        .filter_map(|symbol| Some((symbol.name().ok()?, symbol.address())))
        .filter(|(name, _)| wanted.contains(name))
        .take(MOST_SYMBOLS);
    let mut found: Vec<Found> = Vec::new();
    for (name, address) in candidates {
        if found.iter().any(|found| found.symbol == name) {
            continue;
        }
        if let Some(offset) = code.iter().find_map(|code| code.offset(address)) {
            found.push(Found {
                symbol: name.to_owned(),
                offset: offset + landing(file, offset),
            });
        }
    }
    if found.is_empty() && budget.is_spent() {
        return Err(SymbolError::TooMuch);
    }
    Ok(found)
}

/// The names of functions that look most like `wanted`, for an error message.
pub fn nearest(file: &File, wanted: &str) -> Vec<String> {
    nearest_in(file, wanted)
}

/// Likewise, in whatever holds the bytes of a file.
pub fn nearest_in(input: impl Read + Seek, wanted: &str) -> Vec<String> {
    let (cache, budget) = (ReadCache::new(input), Budget::default());
    let Ok(elf) = object::File::parse(budget.on(&cache)) else {
        return Vec::new();
    };
    let most = wanted.len() / 2 + 1;
    let mut names: Vec<(usize, String)> = elf
        .dynamic_symbols()
        .chain(elf.symbols())
        .take_while(|_| !budget.is_spent())
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

/// A section with code: where it is in memory and in the file.
struct Code {
    address: u64,
    size: u64,
    start: u64,
}

impl Code {
    /// The kernel places probes by offset in the file, symbols speak of addresses.
    fn offset(&self, address: u64) -> Option<u64> {
        let within = address.checked_sub(self.address)?;
        (within < self.size).then(|| self.start.checked_add(within))?
    }
}

fn code<'a, R: ReadRef<'a>>(elf: &object::File<'a, R>) -> Vec<Code> {
    elf.sections()
        .filter(|section| {
            matches!(
                section.flags(),
                SectionFlags::Elf { sh_flags } if sh_flags & u64::from(elf::SHF_EXECINSTR) != 0
            )
        })
        .filter_map(|section| {
            let (start, size) = section.file_range()?;
            let address = section.address();
            Some(Code {
                address,
                size,
                start,
            })
        })
        .take(MOST_SECTIONS)
        .collect()
}

/// Bytes to skip so that the probe sits on a `nop`: the kernel emulates that and single-steps
/// `endbr64`, which costs a second trap (arch/x86/kernel/uprobes.c).
fn landing<'a>(file: impl ReadRef<'a>, offset: u64) -> u64 {
    match file.read_bytes_at(offset, 5) {
        Ok([0xf3, 0x0f, 0x1e, 0xfa, 0x90]) => 4,
        _ => 0,
    }
}
