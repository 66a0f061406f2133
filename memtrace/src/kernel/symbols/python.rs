//! A CPython in an ELF file: where its runtime is, stripped or not.

use std::io::{Read, Seek};

use object::{Object as _, ObjectSection as _, ObjectSegment as _, ObjectSymbol, ReadCache};

use super::{SymbolError, budget::Budget};
use crate::python::layout::Layout;

/// The smallest pages of any Linux: segments begin on one.
const PAGE: u64 = 4096;

/// Addresses as the file has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interpreter {
    /// `_PyRuntime`
    pub runtime: u64,
    /// `PyCode_Type`
    pub code_type: u64,
    /// `Py_Version`, from 3.11 on.
    pub version: Option<u64>,
    /// Where the beginning of the file belongs.
    pub begin: u64,
}

/// Addresses of symbols.
#[derive(Debug, Default)]
struct Symbols {
    runtime: Option<u64>,
    code_type: Option<u64>,
    version: Option<u64>,
}

impl Symbols {
    fn look_in<'d>(
        &mut self,
        symbols: impl Iterator<Item = impl ObjectSymbol<'d>>,
        budget: &Budget,
    ) {
        for symbol in symbols.take_while(|_| !budget.is_spent()) {
            let place = match symbol.name_bytes() {
                Ok(b"_PyRuntime") => &mut self.runtime,
                Ok(b"PyCode_Type") => &mut self.code_type,
                Ok(b"Py_Version") => &mut self.version,
                _ => continue,
            };
            if !symbol.is_undefined() {
                place.get_or_insert(symbol.address());
            }
        }
    }
}

/// The table of its own structs that an interpreter has from 3.13 on, as the file has it.
pub fn published_in(
    input: impl Read + Seek,
    runtime: u64,
) -> Option<[u64; Layout::PUBLISHED_WORDS]> {
    let (cache, budget) = (ReadCache::new(input), Budget::default());
    let file = object::File::parse(budget.on(&cache)).ok()?;
    let size = 8 * Layout::PUBLISHED_WORDS as u64;
    let bytes = file
        .sections()
        .take_while(|_| !budget.is_spent())
        .find_map(|section| section.data_range(runtime, size).ok()?)?;
    let bytes = bytes.first_chunk()?;
    Some(words(bytes))
}

/// What the table is made of.
pub fn words(bytes: &[u8; 8 * Layout::PUBLISHED_WORDS]) -> [u64; Layout::PUBLISHED_WORDS] {
    let mut words = [0; Layout::PUBLISHED_WORDS];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

/// The interpreter that a file brings: one that merely uses it has these symbols undefined.
pub fn interpreter_in(input: impl Read + Seek) -> Result<Option<Interpreter>, SymbolError> {
    let (cache, budget) = (ReadCache::new(input), Budget::default());
    let Ok(file) = object::File::parse(budget.on(&cache)) else {
        return Ok(None);
    };
    let mut symbols = Symbols::default();
    symbols.look_in(file.dynamic_symbols(), &budget);
    // Every CPython exports them. One that has them elsewhere only is looked at for longer.
    if symbols.runtime.and(symbols.code_type).is_none() {
        symbols.look_in(file.symbols(), &budget);
    }
    let Symbols {
        runtime,
        code_type,
        version,
    } = symbols;
    // It survives strip (3.10 and later).
    let section = || {
        file.section_by_name(".PyRuntime")
            .map(|section| section.address())
    };
    let begin = file
        .segments()
        .filter(|segment| segment.file_range().0 < PAGE)
        .map(|segment| segment.address() & !(PAGE - 1))
        .min();
    if budget.is_spent() {
        return Err(SymbolError::TooMuch);
    }
    Ok(runtime
        .or_else(section)
        .zip(code_type)
        .zip(begin)
        .map(|((runtime, code_type), begin)| Interpreter {
            runtime,
            code_type,
            version,
            begin,
        }))
}
