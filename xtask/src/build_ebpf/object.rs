//! The built object: without debug sections, described, compared.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use object::build::elf::{Builder, SectionData};
use object::elf::SHT_STRTAB;
use object::read::elf::ElfFile64;
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SectionKind, SymbolKind};

/// Bytes of one eBPF instruction. A load of a 64-bit constant takes two of them.
const INSTRUCTION_BYTES: u64 = 8;

/// Drops the DWARF sections, which hold most of the bytes and which no loader reads. Everything
/// else stays: programs, maps, licence, globals, BTF, symbols and relocations.
pub(super) fn strip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut builder = Builder::read(bytes).context("read the linked object")?;
    for section in &mut builder.sections {
        let name = section.name.to_string();
        section.delete = name.starts_with(".debug_") || name.starts_with(".rel.debug_");
    }
    builder.delete_orphans();
    // LLVM keeps the names of sections and of symbols in one table, the builder in two.
    let names = builder.sections.add();
    names.name = ".shstrtab".into();
    names.sh_type = SHT_STRTAB;
    names.sh_addralign = 1;
    names.data = SectionData::SectionString;
    let mut stripped = Vec::new();
    builder
        .write(&mut stripped)
        .context("write the stripped object")?;
    Ok(stripped)
}

/// Programs with their sections and sizes, maps, and the size of the whole.
pub(super) fn describe(bytes: &[u8]) -> Result<String> {
    let elf = parse(bytes)?;
    let mut programs = Vec::new();
    let mut maps = Vec::new();
    for symbol in elf.symbols() {
        let Some(section) = symbol.section_index() else {
            continue;
        };
        let section = elf.section_by_index(section)?;
        let (section_name, name) = (section.name()?, symbol.name()?);
        match (section.kind(), symbol.kind()) {
            (SectionKind::Text, SymbolKind::Text) if section_name != ".text" => {
                programs.push((section_name, name, symbol.size() / INSTRUCTION_BYTES));
            }
            (_, SymbolKind::Data) if matches!(section_name, "maps" | ".maps") => maps.push(name),
            _ => {}
        }
    }
    programs.sort_unstable();
    maps.sort_unstable();
    let functions = elf.section_by_name(".text").map_or(0, |text| text.size());

    let mut out = String::new();
    for (section, name, instructions) in &programs {
        writeln!(
            out,
            "  {section:<36} {name:<28} {instructions:>6} instructions"
        )?;
    }
    writeln!(
        out,
        "  {} programs, {} maps: {}",
        programs.len(),
        maps.len(),
        maps.join(", ")
    )?;
    writeln!(
        out,
        "  shared functions: {} instructions",
        functions / INSTRUCTION_BYTES
    )?;
    write!(out, "  {} bytes", bytes.len())?;
    Ok(out)
}

/// One line for each section that is not the same in both objects.
pub(super) fn differences(checked_in: &[u8], built: &[u8]) -> Result<Vec<String>> {
    let (old, new) = (sections(checked_in)?, sections(built)?);
    let mut lines: Vec<_> = old
        .iter()
        .filter_map(|(name, data)| match new.get(name) {
            None => Some(format!("{name}: only in the checked-in copy")),
            Some(other) if other != data => Some(format!(
                "{name}: {} bytes checked in, {} built, first difference at byte {}",
                data.len(),
                other.len(),
                data.iter()
                    .zip(other.iter())
                    .take_while(|(a, b)| a == b)
                    .count(),
            )),
            Some(_) => None,
        })
        .collect();
    let added = new.keys().filter(|name| !old.contains_key(*name));
    lines.extend(added.map(|name| format!("{name}: only in what the sources build")));
    if lines.is_empty() && checked_in != built {
        lines.push("symbols, section headers or their order".to_owned());
    }
    Ok(lines)
}

fn sections(bytes: &[u8]) -> Result<BTreeMap<String, &[u8]>> {
    let elf = parse(bytes)?;
    elf.sections()
        .map(|section| Ok((section.name()?.to_owned(), section.data()?)))
        .collect()
}

fn parse(bytes: &[u8]) -> Result<ElfFile64<'_>> {
    ElfFile64::parse(bytes).context("read the object")
}
