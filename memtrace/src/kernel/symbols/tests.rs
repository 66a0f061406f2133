use std::{
    fs,
    io::{Cursor, SeekFrom, Write as _},
};

use object::{
    Architecture, BinaryFormat, Endianness, SymbolFlags, SymbolScope,
    write::{Object, StandardSection, Symbol, SymbolSection},
};

use super::*;

const ENDBR64: &[u8] = &[0xf3, 0x0f, 0x1e, 0xfa];
const NOP: u8 = 0x90;
const RET: u8 = 0xc3;

/// A file without a name that holds these bytes.
fn file(bytes: &[u8]) -> File {
    let name = format!(
        "memtrace-symbols-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    );
    let path = std::env::temp_dir().join(name);
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)
        .unwrap();
    fs::remove_file(path).unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// An ELF file with these functions in its code, and `data` that is none.
fn elf(functions: &[(&str, &[u8])]) -> Vec<u8> {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let text = object.section_id(StandardSection::Text);
    let data = object.section_id(StandardSection::Data);
    let symbol = |name: &str, kind, section| Symbol {
        name: name.as_bytes().to_vec(),
        value: 0,
        size: 0,
        kind,
        scope: SymbolScope::Dynamic,
        weak: false,
        section,
        flags: SymbolFlags::None,
    };
    for (name, code) in functions {
        let id = object.add_symbol(symbol(name, SymbolKind::Text, SymbolSection::Undefined));
        object.add_symbol_data(id, text, code, 16);
    }
    let id = object.add_symbol(symbol("data", SymbolKind::Data, SymbolSection::Undefined));
    object.add_symbol_data(id, data, &[1; 64], 16);
    object.add_symbol(symbol(
        "elsewhere",
        SymbolKind::Text,
        SymbolSection::Undefined,
    ));
    object.write().unwrap()
}

fn sample() -> Vec<u8> {
    let cheap = [ENDBR64, &[NOP, RET]].concat();
    let dear = [ENDBR64, &[RET, RET]].concat();
    elf(&[
        ("plain", &[NOP, RET, RET, RET, RET]),
        ("cheap", &cheap),
        ("dear", &dear),
        ("last", &[RET]),
    ])
}

/// The bytes at which a probe on this function would sit.
fn landing_on(bytes: &[u8], symbol: &str) -> Option<Vec<u8>> {
    let found = find(&file(bytes), &[symbol]).unwrap();
    assert!(found.len() <= 1);
    let found = found.first()?;
    assert_eq!(found.symbol, symbol);
    let at = usize::try_from(found.offset).unwrap();
    Some(bytes[at..=at].to_vec())
}

#[test]
fn a_probe_sits_on_the_nop_behind_endbr64_where_there_is_one() {
    let sample = sample();
    assert_eq!(landing_on(&sample, "plain"), Some(vec![NOP]));
    assert_eq!(landing_on(&sample, "cheap"), Some(vec![NOP]));
    assert_eq!(landing_on(&sample, "dear"), Some(vec![0xf3]));
    assert_eq!(landing_on(&sample, "last"), Some(vec![RET]));
}

#[test]
fn only_functions_that_are_in_the_file_are_found() {
    let sample = sample();
    for symbol in ["data", "elsewhere", "absent", ""] {
        assert_eq!(landing_on(&sample, symbol), None, "{symbol}");
    }
    let both = find(&file(&sample), &["cheap", "plain", "absent"]).unwrap();
    assert_eq!(both.len(), 2);
}

#[test]
fn what_is_no_elf_file_has_nothing_to_find() {
    let shebang = b"#!/bin/sh\nexit 0\n".repeat(10);
    for bytes in [&b""[..], b"x", &shebang, &[0; 4096]] {
        assert_eq!(find(&file(bytes), &["plain"]).unwrap(), []);
        assert_eq!(nearest(&file(bytes), "plain"), [""; 0]);
    }
}

#[test]
fn a_file_that_is_cut_anywhere_is_an_error_or_has_less_and_never_a_panic() {
    let sample = sample();
    for length in 0..sample.len() {
        let cut = file(&sample[..length]);
        if let Ok(found) = find(&cut, &["plain", "cheap"]) {
            assert!(found.len() <= 2);
        }
        let _ = nearest(&cut, "plain");
    }
}

#[test]
fn a_file_with_any_damaged_byte_is_survived() {
    let sample = sample();
    for at in 0..sample.len() {
        let mut damaged = sample.clone();
        damaged[at] ^= 0xff;
        let _ = find(&file(&damaged), &["plain", "cheap"]);
    }
}

/// A file of these bytes and then of zeros, that costs nothing to make.
struct Sparse {
    bytes: Vec<u8>,
    length: u64,
    at: u64,
    /// The longest read: what is kept of the file in one piece.
    longest: usize,
}

impl Read for &mut Sparse {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.longest = self.longest.max(out.len());
        let held = usize::try_from(self.at)
            .ok()
            .and_then(|at| self.bytes.get(at..));
        let left = usize::try_from(self.length.saturating_sub(self.at)).unwrap();
        let count = out.len().min(left);
        for (at, byte) in out[..count].iter_mut().enumerate() {
            *byte = held.and_then(|held| held.get(at)).copied().unwrap_or(0);
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for &mut Sparse {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::End(_) => self.length,
            SeekFrom::Current(by) => self.at.saturating_add_signed(by),
        };
        Ok(self.at)
    }
}

#[test]
fn a_sparse_file_that_claims_gigabytes_of_sections_is_refused_and_not_read() {
    let mut bytes = sample();
    // e_shnum is zero: the size of the first section says how many there are.
    let sections = u64::from_le_bytes(bytes[40..48].try_into().unwrap());
    let first = usize::try_from(sections).unwrap();
    bytes[60..62].fill(0);
    bytes[first + 32..first + 40].copy_from_slice(&(60_u64 << 20).to_le_bytes());
    let mut sparse = Sparse {
        bytes,
        length: 4 << 30,
        at: 0,
        longest: 0,
    };
    let error = find_in(&mut sparse, &["plain"]).unwrap_err();
    assert!(matches!(error, SymbolError::Elf(_)), "{error}");
    assert!(sparse.longest < 1 << 20, "{} bytes at once", sparse.longest);
    assert_eq!(nearest_in(&mut sparse, "plain"), [""; 0]);
}

#[test]
fn symbols_without_end_are_given_up_and_what_was_found_before_counts() {
    let few = elf(&[("plain", &[RET])]);
    for count in [MOST_SYMBOLS, 8 * MOST_SYMBOLS] {
        // The file has the wanted name once, and then again and again outside all code.
        let found = find_in(Cursor::new(&with_strays(&few, count)), &["plain"]).unwrap();
        assert_eq!(found.len(), 1, "{count}");
    }
}

/// The file with its last symbol table copied to the end, and so many symbols more in it that have
/// the last one's name and are nowhere.
fn with_strays(elf: &[u8], count: usize) -> Vec<u8> {
    let word = |at: usize| u64::from_le_bytes(elf[at..at + 8].try_into().unwrap());
    let place = |at: usize| usize::try_from(word(at)).unwrap();
    let (sections, mut out) = (place(40), elf.to_vec());
    let number = usize::from(u16::from_le_bytes([elf[60], elf[61]]));
    let table = (0..number)
        .map(|n| sections + 64 * n)
        .find(|header| elf[header + 4] == 2)
        .expect("a file with symbols");
    let (start, size) = (place(table + 24), place(table + 32));
    let symbols = &elf[start..start + size];
    let named = symbols
        .chunks(24)
        .find(|symbol| symbol[4] & 15 == 2 && symbol[6] != 0)
        .expect("a function");
    let mut stray = named.to_vec();
    stray[8..16].fill(0x7f);
    let moved = out.len();
    out.extend(symbols);
    out.extend(stray.repeat(count));
    out[table + 24..table + 32].copy_from_slice(&(moved as u64).to_le_bytes());
    let size = (size + 24 * count) as u64;
    out[table + 32..table + 40].copy_from_slice(&size.to_le_bytes());
    out
}

#[test]
fn what_looks_like_another_systems_program_has_nothing_to_find() {
    // The first bytes of a COFF file, a Mach-O file and a Windows program.
    for magic in [&[0x4c, 0x01, 1, 0][..], &[0xcf, 0xfa, 0xed, 0xfe], b"MZ"] {
        let mut bytes = magic.to_vec();
        bytes.resize(512, 1);
        assert_eq!(find(&file(&bytes), &["plain"]).unwrap(), []);
    }
}

#[test]
fn the_nearest_names_come_first_and_far_ones_not_at_all() {
    let sample = elf(&[
        ("memory_checkpoint", &[RET]),
        ("memtrace_checkpoint", &[RET]),
        ("main", &[RET]),
    ]);
    assert_eq!(
        nearest(&file(&sample), "memtrace_chekpoint"),
        ["memtrace_checkpoint", "memory_checkpoint"]
    );
    assert_eq!(nearest(&file(&sample), "q"), [""; 0]);
}

#[test]
fn distance_counts_what_must_be_changed() {
    for (left, right, expected) in [
        ("", "", 0),
        ("", "abc", 3),
        ("abc", "", 3),
        ("kitten", "sitting", 3),
        ("中文", "中", 1),
    ] {
        assert_eq!(distance(left, right), expected, "{left} {right}");
    }
}

#[test]
fn each_fixed_symbol_has_its_program() {
    for (symbol, program) in [
        (CHECKPOINT, MarkerProgram::Checkpoint),
        (PYTHON, MarkerProgram::Python),
        (LOADED, MarkerProgram::Loaded),
        ("main", MarkerProgram::Function),
    ] {
        assert_eq!(program_for(symbol), program);
    }
}
