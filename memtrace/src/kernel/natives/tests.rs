use std::{
    fs::{self, File},
    io::Write as _,
    sync::Arc,
};

use object::elf;

use super::{Namer, chain::Before, names::Names};
use crate::{
    event::{Address, Ask, Identity, MappedFile, Spot},
    kernel::{finder::News, procfs},
    units::Tgid,
};

/// Where the code lies in the file, and the symbols say that it is so much further on.
const CODE: u64 = 0x100;
const BIAS: u64 = 0x40_0000;

/// `grow` begins here, keeps its frame, calls `fill`, and `fill` here.
const GROW: u64 = 0x110;
const FILL: u64 = 0x140;
const RETURN: u64 = GROW + 9;

fn symbol(name: u32, kind: u8, address: u64, size: u64) -> Vec<u8> {
    let mut symbol = name.to_le_bytes().to_vec();
    symbol.extend([kind, 0, 1, 0]);
    symbol.extend(address.to_le_bytes());
    symbol.extend(size.to_le_bytes());
    symbol
}

/// A small program: two functions, and symbols that must name nothing.
fn program() -> Vec<u8> {
    program_with(&[])
}

/// The same with sections that tell its lines.
fn program_with(debug: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    file.extend([elf::ET_EXEC.to_le_bytes(), elf::EM_X86_64.to_le_bytes()].concat());
    file.extend(1_u32.to_le_bytes());
    file.extend([0_u64, 64, 0x340].map(u64::to_le_bytes).concat());
    file.extend(0_u32.to_le_bytes());
    let sections = 4 + u16::try_from(debug.len()).unwrap();
    file.extend([64, 56, 1, 64, sections, 3].map(u16::to_le_bytes).concat());
    // One segment with code.
    file.extend(
        [elf::PT_LOAD, elf::PF_R | elf::PF_X]
            .map(u32::to_le_bytes)
            .concat(),
    );
    let segment = [CODE, BIAS + CODE, BIAS + CODE, 0x80, 0x80, 0x1000];
    file.extend(segment.map(u64::to_le_bytes).concat());
    file.resize(usize::try_from(GROW).unwrap(), 0x90);
    file.extend([0x55, 0x48, 0x89, 0xe5, 0xe8]); // push %rbp; mov %rsp,%rbp; call
    file.extend(u32::try_from(FILL - RETURN).unwrap().to_le_bytes());
    file.resize(0x200, 0xc3);
    let function = elf::STT_FUNC;
    for symbol in [
        symbol(1, function, BIAS + GROW, 0x20),
        symbol(6, function, BIAS + FILL, 0x10),
        symbol(11, function, BIAS + 0x160, 0),
        symbol(11, elf::STT_OBJECT, BIAS + 0x170, 0x10),
        symbol(11, function, u64::MAX - 1, 8),
    ] {
        file.extend(symbol);
    }
    let symbols = file.len() - 0x200;
    file.resize(0x2a0, 0);
    file.extend(b"\0grow\0fill\0wrong\0");
    file.resize(0x2c0, 0);
    let mut names = b"\0.symtab\0.strtab\0.shstrtab\0".to_vec();
    let symbols = u64::try_from(symbols).unwrap();
    let mut sections = vec![
        (0, elf::SHT_NULL, 0, 0, 0),
        (1, elf::SHT_SYMTAB, 0x200, symbols, 24),
        (9, elf::SHT_STRTAB, 0x2a0, 0x20, 0),
        (17, elf::SHT_STRTAB, 0x2c0, 0x80, 0),
    ];
    let mut at = 0x340 + 64 * (4 + debug.len() as u64);
    for (name, bytes) in debug {
        let size = bytes.len() as u64;
        let name_at = u32::try_from(names.len()).unwrap();
        sections.push((name_at, elf::SHT_PROGBITS, at, size, 0));
        names.extend(name.bytes().chain([0]));
        at += size;
    }
    file.extend(names);
    file.resize(0x340, 0);
    for (name, kind, offset, size, entry) in sections {
        file.extend([name, kind].map(u32::to_le_bytes).concat());
        file.extend([0, 0, offset, size].map(u64::to_le_bytes).concat());
        file.extend([2_u32, 0].map(u32::to_le_bytes).concat());
        file.extend([8, entry].map(u64::to_le_bytes).concat());
    }
    file.extend(debug.iter().flat_map(|(_, bytes)| bytes));
    file
}

/// With debug lines of DWARF 4: `grow` is line 7 of the file of this number, and there is only one.
fn program_with_lines(file: u8) -> Vec<u8> {
    let with_length = |rest: Vec<u8>| {
        let length = u32::try_from(rest.len()).unwrap().to_le_bytes();
        [&length[..], &rest].concat()
    };
    let version = 4_u16.to_le_bytes();
    let (begin, size) = ((BIAS + GROW).to_le_bytes(), 0x20_u64.to_le_bytes());
    // A unit with DW_AT_stmt_list, low_pc, high_pc and a name.
    let abbreviations = vec![
        1, 0x11, 0, 0x10, 0x17, 0x11, 0x01, 0x12, 0x07, 0x03, 0x08, 0, 0, 0,
    ];
    let unit = [
        &version[..],
        &[0, 0, 0, 0, 8, 1, 0, 0, 0, 0],
        &begin,
        &size,
        b"grow.c\0",
    ];
    let shape = [1, 1, 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1];
    let tables = [&shape[..], b"\0grow.c\0\0\0\0\0"].concat();
    // set_address, set_file, advance_line, copy, advance_pc, end_sequence
    let rows = [
        &[0, 9, 2][..],
        &begin,
        &[4, file, 3, 6, 1, 2, 0x20, 0, 1, 1],
    ];
    let lines = [&version[..], &with_length(tables), &rows.concat()].concat();
    program_with(&[
        (".debug_abbrev", abbreviations),
        (".debug_info", with_length(unit.concat())),
        (".debug_line", with_length(lines)),
    ])
}

fn file(bytes: &[u8]) -> File {
    let name = rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    let mut file = File::from(name);
    file.write_all(bytes).unwrap();
    file
}

fn spot(offset: u64) -> Spot {
    let file = MappedFile {
        path: "/srv/prog".into(),
        identity: None,
    };
    Spot {
        file: Arc::new(file),
        offset,
        range: (0, 0),
    }
}

fn name(names: &Names, offset: u64) -> Option<String> {
    let known = names.look_up(&spot(offset), true);
    Some(known.frames.first()?.function.as_ref()?.to_string())
}

#[test]
fn a_function_is_named_as_far_as_its_symbol_says_and_no_further() {
    let names = Names::of(file(&program())).unwrap();
    assert_eq!(name(&names, GROW).as_deref(), Some("grow"));
    assert_eq!(name(&names, GROW + 0x1f).as_deref(), Some("grow"));
    assert_eq!(name(&names, FILL + 4).as_deref(), Some("fill"));
    for nowhere in [
        0,
        1,
        CODE,
        GROW - 1,
        GROW + 0x20,
        0x160,
        0x168,
        0x171,
        0x17f,
        0x180,
        u64::MAX,
    ] {
        assert_eq!(name(&names, nowhere), None, "{nowhere:#x}");
    }
}

#[test]
fn a_return_address_stands_behind_its_call() {
    let names = Names::of(file(&program())).unwrap();
    let known = names.look_up(&spot(RETURN), false);
    assert_eq!(known.frames[0].function.as_deref(), Some("grow"));
    let Before::CallOf(callee) = known.before else {
        panic!("{:?}", known.before)
    };
    assert_eq!(
        (callee.function.as_deref(), callee.at),
        (Some("fill"), FILL)
    );
    assert_eq!(
        names.look_up(&spot(RETURN + 1), false).before,
        Before::NoCall
    );
    assert!(known.keeps && !names.look_up(&spot(FILL + 4), true).keeps);
}

#[test]
fn no_byte_of_a_file_makes_it_more_than_nameless() {
    let sound = program();
    for at in 0..sound.len() {
        for byte in [0, 0x7f, 0xff] {
            let mut broken = sound.clone();
            broken[at] = byte;
            let Ok(names) = Names::of(file(&broken)) else {
                continue;
            };
            for offset in [GROW, RETURN, FILL, 0x17f] {
                names.look_up(&spot(offset), false);
            }
        }
    }
    for length in (0..sound.len()).step_by(7) {
        if let Ok(names) = Names::of(file(&sound[..length])) {
            names.look_up(&spot(RETURN), false);
        }
    }
}

#[test]
fn debug_lines_tell_the_source_and_the_line() {
    let names = Names::of(file(&program_with_lines(1))).unwrap();
    let known = names.look_up(&spot(GROW), true);
    let told = known.frames[0].source.as_deref().zip(known.frames[0].line);
    assert_eq!(told, Some(("grow.c", 7)));
}

/// The library takes each row's file to be there.
#[tokio::test]
async fn a_file_at_whose_lies_the_library_panics_costs_its_names_alone() {
    let path = std::env::temp_dir().join(format!("memtrace-lies-{}", std::process::id()));
    fs::write(&path, program_with_lines(9)).unwrap();
    let spot = Spot {
        file: Arc::new(MappedFile {
            path: path.to_string_lossy().into(),
            identity: procfs::identity(&path).ok(),
        }),
        ..spot(GROW)
    };
    let (news, mut told) = tokio::sync::mpsc::unbounded_channel();
    let mut namer = Namer::new(news);
    let mut answers = Vec::new();
    for number in [1, 2] {
        namer.ask(Ask {
            number,
            pid: Tgid(u32::MAX),
            addresses: vec![Address {
                address: 0x1000,
                spot: Some(spot.clone()),
            }],
        });
        while answers.last() != Some(&format!("named {number}")) {
            answers.push(match told.recv().await.unwrap() {
                News::Nameless { error, .. } => error,
                News::Named { number, frames } if frames[0].function.is_none() => {
                    format!("named {number}")
                }
                other => panic!("{other:?}"),
            });
        }
    }
    let damaged = "what it says of its code is damaged";
    assert_eq!(answers, [damaged, "named 1", "named 2"]);
    fs::remove_file(path).unwrap();
}

#[test]
fn our_own_code_is_named_from_our_own_file() {
    let (file, offset) = procfs::own_code().expect("it is there");
    let names = Names::of(file).unwrap();
    let found = name(&names, offset).unwrap_or_default();
    assert!(found.ends_with("own_code"), "{found}");
}

#[test]
fn a_file_that_was_written_anew_is_not_opened_for_the_old_one() {
    let path = std::env::temp_dir().join(format!("memtrace-again-{}", std::process::id()));
    fs::write(&path, "old").unwrap();
    let identity = |bytes| {
        let file = MappedFile {
            path: path.to_string_lossy().into(),
            identity: procfs::identity(&path)
                .map(|known| Identity { bytes, ..known })
                .ok(),
        };
        Spot {
            file: Arc::new(file),
            ..spot(0)
        }
    };
    // A process that has ended long ago: its file is looked for below our own root.
    assert!(procfs::open_again(u32::MAX, &identity(3)).is_ok());
    assert!(procfs::open_again(u32::MAX, &identity(4)).is_err());
    fs::remove_file(path).unwrap();
}
