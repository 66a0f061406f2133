//! Empty programs, attached where memtrace's are.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use aya::programs::uprobe::{UProbeAttachLocation, UProbeScope};
use aya::programs::{BtfTracePoint, RawTracePoint, TracePoint, UProbe};
use aya::{Btf, Ebpf};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};

use crate::cli::Arch;
use crate::workspace::root;

/// An attached program; dropping it detaches.
pub(super) struct Floor(#[expect(dead_code, reason = "held: dropping it detaches")] Ebpf);

/// Nothing at all, on `kmem:rss_stat`, in the form that memtrace takes on this kernel.
pub(super) fn on_rss() -> Result<Floor> {
    let mut ebpf = load()?;
    if attach_typed(&mut ebpf).is_err() {
        let program: &mut RawTracePoint = program(&mut ebpf, "empty_raw")?.try_into()?;
        program.load()?;
        program.attach("rss_stat")?;
    }
    Ok(Floor(ebpf))
}

fn attach_typed(ebpf: &mut Ebpf) -> Result<()> {
    let program: &mut BtfTracePoint = program(ebpf, "empty_btf")?.try_into()?;
    program.load("rss_stat", &Btf::from_sys_fs()?)?;
    program.attach()?;
    Ok(())
}

/// A counter on the classic form of the same tracepoint, as bpftrace sets it.
pub(super) fn classic_counter() -> Result<Floor> {
    let mut ebpf = load()?;
    let program: &mut TracePoint = program(&mut ebpf, "count_classic")?.try_into()?;
    program.load()?;
    program.attach("kmem", "rss_stat")?;
    Ok(Floor(ebpf))
}

/// Nothing at all, on a function of a file.
pub(super) fn on_function(file: &Path, symbol: &str) -> Result<Floor> {
    let mut ebpf = load()?;
    let program: &mut UProbe = program(&mut ebpf, "empty_uprobe")?.try_into()?;
    program.load()?;
    let location = UProbeAttachLocation::AbsoluteOffset(place_of(file, symbol)?);
    program.attach(location, file, UProbeScope::AllProcesses)?;
    Ok(Floor(ebpf))
}

/// Where memtrace would put its probe: behind an `endbr64`, if the function begins with one.
fn place_of(file: &Path, symbol: &str) -> Result<u64> {
    const ENDBR64: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];
    let bytes = fs::read(file).with_context(|| format!("read {}", file.display()))?;
    let elf = object::File::parse(&*bytes)?;
    let found = elf
        .dynamic_symbols()
        .chain(elf.symbols())
        .find(|found| found.is_definition() && found.name() == Ok(symbol))
        .with_context(|| format!("{} has no {symbol}", file.display()))?;
    let section = elf.section_by_index(found.section_index().context("no section")?)?;
    let (start, _) = section.file_range().context("not in the file")?;
    let offset = found.address() - section.address() + start;
    let mut first = [0; 4];
    File::open(file)?.read_exact_at(&mut first, offset)?;
    Ok(if first == ENDBR64 { offset + 4 } else { offset })
}

fn load() -> Result<Ebpf> {
    let object = object_path()?;
    let bytes = fs::read(&object).with_context(|| format!("read {}", object.display()))?;
    Ebpf::load(&bytes).context("load the empty programs")
}

fn object_path() -> Result<PathBuf> {
    let arch = Arch::host().context("no empty programs for this architecture")?;
    Ok(root().join(format!("memtrace-ebpf/objects/bench-{}.o", arch.name())))
}

fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut aya::programs::Program> {
    ebpf.program_mut(name)
        .with_context(|| format!("the object has no {name}"))
}
