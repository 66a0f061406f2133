use std::{fs, io::Write as _};

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
