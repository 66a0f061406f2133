//! What of an ELF file names its code, in a file of ours: symbols and debug lines, and nothing else.
//!
//! The library that reads names maps what it reads: a file that somebody else cuts short meanwhile
//! would end us. And headers that lie would be believed by it. So it gets a file that only we have,
//! with headers that we wrote, of a size that we allow.

use std::{
    fs::File,
    io::{self, Write as _},
    os::unix::fs::FileExt as _,
};

use object::{
    FileKind, Object as _, ObjectSegment as _, ReadCache, SectionFlags, SegmentFlags, elf,
};
use rustix::fs::{MemfdFlags, memfd_create};

use super::chain::Machine;
use crate::kernel::symbols::{SymbolError, budget::Budget};

/// Bytes of symbols that are copied of one file.
const MOST_SYMBOLS: u64 = 64 << 20;
/// Likewise with its debug lines. What does not fit goes without lines.
const MOST_DEBUG: u64 = 64 << 20;
/// Segments with code that are looked at; a linked file has one.
const MOST_SEGMENTS: usize = 64;

const SYMBOLS: [&str; 4] = [".symtab", ".strtab", ".dynsym", ".dynstr"];
const DEBUG: [&str; 11] = [
    ".debug_abbrev",
    ".debug_addr",
    ".debug_aranges",
    ".debug_info",
    ".debug_line",
    ".debug_line_str",
    ".debug_ranges",
    ".debug_rnglists",
    ".debug_str",
    ".debug_str_offsets",
    ".debug_types",
];

/// A part of a file with code.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    /// Where in the file it begins.
    pub(super) offset: u64,
    /// Its bytes there.
    pub(super) size: u64,
    /// The address that the file's symbols give its beginning.
    pub(super) address: u64,
}

/// What was taken of a file.
pub(super) struct Image {
    /// The file of ours; absent if there is nothing that names anything.
    pub(super) copy: Option<File>,
    /// It has debug lines.
    pub(super) has_lines: bool,
    /// Bytes of it.
    pub(super) size: u64,
    pub(super) segments: Vec<Segment>,
    /// Absent: calls are not known on it.
    pub(super) machine: Option<Machine>,
}

/// A section that is to be copied.
struct Wanted {
    name: &'static str,
    kind: u32,
    offset: u64,
    size: u64,
}

impl Image {
    /// Of a file that may be anything.
    pub(super) fn of(file: &File) -> Result<Self, SymbolError> {
        let (cache, budget) = (ReadCache::new(file), Budget::default());
        let read = budget.on(&cache);
        let Ok(FileKind::Elf64) = FileKind::parse(read) else {
            return Ok(Self::empty());
        };
        let parsed = object::File::parse(read)?;
        if !parsed.is_little_endian() {
            return Ok(Self::empty());
        }
        let wanted = |names: &[&'static str]| -> Vec<Wanted> {
            let sections = parsed.sections().take_while(|_| !budget.is_spent());
            let wanted = sections.filter_map(|section| wanted(&section, names));
            wanted.take(names.len()).collect()
        };
        let mut sections = wanted(&SYMBOLS);
        if total(&sections) > MOST_SYMBOLS {
            return Err(SymbolError::TooMuch);
        }
        let debug = wanted(&DEBUG);
        let has_lines = !debug.is_empty() && total(&debug) <= MOST_DEBUG;
        if has_lines {
            sections.extend(debug);
        }
        let is_code =
            |flags| matches!(flags, SegmentFlags::Elf { p_flags } if p_flags & elf::PF_X != 0);
        let segments = parsed
            .segments()
            .filter(|segment| is_code(segment.flags()))
            .take(MOST_SEGMENTS)
            .map(|segment| {
                let (offset, size) = segment.file_range();
                let address = segment.address();
                Segment {
                    offset,
                    size,
                    address,
                }
            })
            .collect();
        Ok(Self {
            has_lines,
            size: total(&sections),
            copy: match sections.as_slice() {
                [] => None,
                sections => Some(copy(file, sections)?),
            },
            segments,
            machine: match parsed.architecture() {
                object::Architecture::X86_64 => Some(Machine::X86),
                object::Architecture::Aarch64 => Some(Machine::Arm),
                _ => None,
            },
        })
    }

    fn empty() -> Self {
        Self {
            copy: None,
            has_lines: false,
            size: 0,
            segments: Vec::new(),
            machine: None,
        }
    }
}

fn wanted<'data>(
    section: &impl object::ObjectSection<'data>,
    names: &[&'static str],
) -> Option<Wanted> {
    let name = section.name().ok()?;
    let name = *names.iter().find(|wanted| **wanted == name)?;
    let (offset, size) = section.file_range()?;
    let flags = section.flags();
    let is_packed = matches!(
        flags,
        SectionFlags::Elf { sh_flags } if sh_flags & u64::from(elf::SHF_COMPRESSED) != 0
    );
    let kind = match name {
        ".symtab" => elf::SHT_SYMTAB,
        ".dynsym" => elf::SHT_DYNSYM,
        ".strtab" | ".dynstr" => elf::SHT_STRTAB,
        _ => elf::SHT_PROGBITS,
    };
    (!is_packed).then_some(Wanted {
        name,
        kind,
        offset,
        size,
    })
}

fn total(sections: &[Wanted]) -> u64 {
    let sizes = sections.iter().map(|section| section.size);
    sizes.fold(0, u64::saturating_add)
}

const HEADER: usize = 64;
const SECTION_HEADER: usize = 64;
/// `Elf64_Sym`
const SYMBOL: usize = 24;

/// An ELF file in memory of these sections alone.
fn copy(file: &File, sections: &[Wanted]) -> io::Result<File> {
    let mut copy = File::from(memfd_create("memtrace-names", MemfdFlags::CLOEXEC)?);
    let mut names = vec![0];
    let mut headers = section_header(0, 0, 0, 0, 0).to_vec();
    let mut at = HEADER as u64;
    copy.write_all(&[0; HEADER])?;
    for Wanted {
        name,
        kind,
        offset,
        size,
    } in sections
    {
        let keep: fn(&mut Vec<u8>) = match *kind {
            elf::SHT_SYMTAB | elf::SHT_DYNSYM => keep_functions,
            _ => |_| {},
        };
        let size = copy_bytes(file, (*offset, *size), &mut copy, keep)?;
        let entry = SYMBOL as u64;
        headers.extend(section_header(name_at(&names), *kind, at, size, entry));
        names.extend(name.bytes().chain([0]));
        at += size;
        let padding = at.next_multiple_of(8) - at;
        copy.write_all(&[0; 8][..usize::try_from(padding).unwrap_or(0)])?;
        at += padding;
    }
    let last = name_at(&names);
    names.extend(b".shstrtab\0");
    let size = names.len() as u64;
    headers.extend(section_header(last, elf::SHT_STRTAB, at, size, 0));
    names.resize(names.len().next_multiple_of(8), 0);
    copy.write_all(&names)?;
    copy.write_all(&headers)?;
    let count = u16::try_from(sections.len() + 2).unwrap_or(0);
    copy.write_all_at(&header(at + names.len() as u64, count), 0)?;
    Ok(copy)
}

fn name_at(names: &[u8]) -> u32 {
    u32::try_from(names.len()).unwrap_or(0)
}

/// Copies so much from there, less what is not kept of each piece, and says how much that was.
fn copy_bytes(
    from: &File,
    (offset, size): (u64, u64),
    to: &mut File,
    keep: fn(&mut Vec<u8>),
) -> io::Result<u64> {
    const PIECE: u64 = 4096 * SYMBOL as u64;
    let (mut done, mut kept) = (0, 0);
    while done < size {
        let length = (size - done).min(PIECE);
        let mut piece = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        let at = offset.checked_add(done).ok_or(io::ErrorKind::InvalidData)?;
        from.read_exact_at(&mut piece, at)?;
        keep(&mut piece);
        to.write_all(&piece)?;
        done += length;
        kept += piece.len() as u64;
    }
    Ok(kept)
}

/// Of symbols those of functions that say how long they are. How far others reach would be a guess.
fn keep_functions(symbols: &mut Vec<u8>) {
    let mut kept = Vec::new();
    for symbol in symbols.as_chunks::<SYMBOL>().0 {
        let half = |at: usize| u16::from_le_bytes([symbol[at], symbol[at + 1]]);
        let word = |at: usize| {
            let bytes = symbol[at..].first_chunk().copied();
            u64::from_le_bytes(bytes.unwrap_or_default())
        };
        let (address, size) = (word(8), word(16));
        let is_function = symbol[4] & 0xf == elf::STT_FUNC && half(6) != elf::SHN_UNDEF;
        if is_function && size > 0 && address.checked_add(size).is_some() {
            kept.extend_from_slice(symbol);
        }
    }
    *symbols = kept;
}

/// `Elf64_Ehdr`. For which machine it is nobody asks.
fn header(sections_at: u64, sections: u16) -> Vec<u8> {
    let mut header = vec![0x7f, b'E', b'L', b'F', 2, 1, 1];
    header.resize(16, 0);
    header.extend(elf::ET_DYN.to_le_bytes());
    header.extend(elf::EM_X86_64.to_le_bytes());
    header.extend(1_u32.to_le_bytes());
    header.extend([0; 16]); // entry, program headers
    header.extend(sections_at.to_le_bytes());
    header.extend(0_u32.to_le_bytes());
    for half in [64, 56, 0, 64, sections, sections - 1] {
        header.extend(half.to_le_bytes());
    }
    header
}

/// `Elf64_Shdr`
fn section_header(
    name: u32,
    kind: u32,
    offset: u64,
    size: u64,
    entry: u64,
) -> [u8; SECTION_HEADER] {
    let mut header = [0; SECTION_HEADER];
    header[0..4].copy_from_slice(&name.to_le_bytes());
    header[4..8].copy_from_slice(&kind.to_le_bytes());
    header[24..32].copy_from_slice(&offset.to_le_bytes());
    header[32..40].copy_from_slice(&size.to_le_bytes());
    header[48..56].copy_from_slice(&8_u64.to_le_bytes());
    header[56..64].copy_from_slice(&entry.to_le_bytes());
    header
}
