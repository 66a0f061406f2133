//! ELF files of traced programs: what is found lies in the file, and a sparse file that claims to
//! be huge is not believed.
#![no_main]

use std::io::{self, Read, Seek, SeekFrom};

use libfuzzer_sys::fuzz_target;
use memtrace::kernel::symbols::{self, CHECKPOINT, LOADED, PYTHON};

const WANTED: [&str; 4] = [CHECKPOINT, PYTHON, LOADED, "main"];

fuzz_target!(|data: &[u8]| {
    // As it is, and as the beginning of a file of 4 GiB with a hole behind it. The sanitizer ends
    // a run that takes more memory at once than any real file may cost.
    for length in [data.len() as u64, 4 << 30] {
        let file = Sparse {
            bytes: data,
            length,
            at: 0,
        };
        let Ok(found) = symbols::find_in(file.clone(), &WANTED) else {
            continue;
        };
        assert!(found.len() <= WANTED.len());
        for (n, one) in found.iter().enumerate() {
            assert!(WANTED.contains(&one.symbol.as_str()));
            assert!(found[..n].iter().all(|other| other.symbol != one.symbol));
        }
        let _ = symbols::python::interpreter_in(file.clone());
        let near = symbols::nearest_in(file, "memtrace_chekpoint");
        assert!(near.len() <= 5);
    }
});

/// Some bytes, and zeros up to a length.
#[derive(Clone)]
struct Sparse<'a> {
    bytes: &'a [u8],
    length: u64,
    at: u64,
}

impl Read for Sparse<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(self.at);
        let count = out.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let at = usize::try_from(self.at).unwrap_or(usize::MAX);
        let held = self.bytes.get(at..).unwrap_or_default();
        let held = &held[..held.len().min(count)];
        out[..held.len()].copy_from_slice(held);
        out[held.len()..count].fill(0);
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Sparse<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::End(by) => self.length.saturating_add_signed(by),
            SeekFrom::Current(by) => self.at.saturating_add_signed(by),
        };
        Ok(self.at)
    }
}
