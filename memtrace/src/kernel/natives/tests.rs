use std::{
    fs::{self, File},
    io::Write as _,
    sync::Arc,
};

use object::elf;

use super::{chain::Before, names::Names};
use crate::{
    event::{Identity, MappedFile, Spot},
    kernel::procfs,
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
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    file.extend([elf::ET_EXEC.to_le_bytes(), elf::EM_X86_64.to_le_bytes()].concat());
    file.extend(1_u32.to_le_bytes());
    file.extend([0_u64, 64, 0x300].map(u64::to_le_bytes).concat());
    file.extend(0_u32.to_le_bytes());
    file.extend([64_u16, 56, 1, 64, 4, 3].map(u16::to_le_bytes).concat());
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
    file.extend(b"\0.symtab\0.strtab\0.shstrtab\0");
    file.resize(0x300, 0);
    let symbols = u64::try_from(symbols).unwrap();
    for (name, kind, offset, size, entry) in [
        (0, elf::SHT_NULL, 0, 0, 0),
        (1, elf::SHT_SYMTAB, 0x200, symbols, 24),
        (9, elf::SHT_STRTAB, 0x2a0, 0x20, 0),
        (17, elf::SHT_STRTAB, 0x2c0, 0x40, 0),
    ] {
        file.extend([name, kind].map(u32::to_le_bytes).concat());
        file.extend([0, 0, offset, size].map(u64::to_le_bytes).concat());
        file.extend([2_u32, 0].map(u32::to_le_bytes).concat());
        file.extend([8, entry].map(u64::to_le_bytes).concat());
    }
    file
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
