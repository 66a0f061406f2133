//! The memory of a process that says it is a CPython: whatever is in it, a walk ends, and what it gives
//! is bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use memtrace::python::{
    layout::{Layout, Version},
    walk::{self, Memory, Runtime},
};

/// Where the memory is; the rest of the address space is not mapped.
const BASE: u64 = 0x1_0000;
/// What a code object says it is.
const CODE: u64 = 0x1_0008;

struct Image<'a>(&'a [u8]);

impl Memory for Image<'_> {
    fn read(&self, at: u64, into: &mut [u8]) -> bool {
        let start = at.checked_sub(BASE).and_then(|at| usize::try_from(at).ok());
        let end = start.and_then(|start| start.checked_add(into.len()));
        let bytes = start
            .zip(end)
            .and_then(|(start, end)| self.0.get(start..end));
        bytes.is_some_and(|bytes| {
            into.copy_from_slice(bytes);
            true
        })
    }
}

fuzz_target!(|data: &[u8]| {
    let [minor, data @ ..] = data else { return };
    let layout = match 7 + minor % 8 {
        // As it is published, by the memory itself.
        13.. => {
            let mut words = [0; Layout::PUBLISHED_WORDS];
            for (word, bytes) in words.iter_mut().zip(data.as_chunks().0) {
                *word = u64::from_le_bytes(*bytes);
            }
            Layout::published(&words).ok()
        }
        minor => Layout::of(Version { major: 3, minor }).ok(),
    };
    let Some(layout) = layout else { return };
    let runtime = Runtime {
        address: BASE,
        code_type: CODE,
        layout,
    };
    for thread in walk::threads(&Image(data), runtime).unwrap_or_default() {
        assert!(thread.frames.len() <= walk::MOST_FRAMES);
        for frame in thread.frames {
            let length = |text: Option<String>| text.map_or(0, |text| text.chars().count());
            assert!(length(frame.file) <= 1025 && length(frame.function) <= 1025);
        }
    }
});
