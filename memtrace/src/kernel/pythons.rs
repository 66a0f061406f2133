//! The Pythons that the probes know: for the frames of stacks, and for strings that are printed.

use aya::{
    Ebpf,
    maps::{Array, HashMap, MapData},
};
use memtrace_ebpf::wire::layout as word;

use super::{
    load::Probes,
    programs::{LoadError, take},
};
use crate::python::{
    layout::{Current, Instruction, Layout},
    walk::Runtime,
};

/// Value of the map of Pythons; the mirror of `Python` in memtrace-ebpf/src/maps.rs.
type Python = [u64; 3];

/// Layouts that the kernel side holds; as many as `PYTHON_LAYOUTS` in memtrace-ebpf/src/maps.rs.
const MOST_LAYOUTS: usize = 64;

/// The maps that the probes read.
pub(super) struct Pythons {
    by_process: HashMap<MapData, u32, Python>,
    layouts: Array<MapData, [u32; word::WORDS]>,
    /// Those that the kernel side has, in its order.
    known: Vec<Layout>,
    epoch: u32,
}

impl Pythons {
    /// None yet.
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, LoadError> {
        Ok(Self {
            by_process: take(ebpf, "TGID_TO_PYTHON")?,
            layouts: take(ebpf, "PYTHON_LAYOUTS")?,
            known: Vec::new(),
            epoch: 0,
        })
    }

    /// The number of a layout; absent if there are too many, or if it is larger than any that is known.
    fn number(&mut self, layout: &Layout) -> Option<u64> {
        let words = words(layout);
        let fits = words[word::FRAME_SIZE] as usize <= word::MOST_FRAME
            && words[word::CODE_SIZE] as usize <= word::MOST_CODE;
        if !fits {
            return None;
        }
        let known = self.known.iter().position(|known| known == layout);
        let number = match known {
            Some(number) => number,
            None if self.known.len() < MOST_LAYOUTS => {
                let number = self.known.len();
                let index = u32::try_from(number).ok()?;
                self.layouts.set(index, words, 0).ok()?;
                self.known.push(*layout);
                number
            }
            None => return None,
        };
        u64::try_from(number).ok()
    }
}

impl Probes {
    /// From now on this process' Python is read; false if it will not be. `anew`: nothing is known of its
    /// code objects, so that the kernel side has to tell of them again.
    pub fn watch_python(&mut self, pid: u32, runtime: &Runtime, anew: bool) -> bool {
        let Some(pythons) = &mut self.pythons else {
            return false;
        };
        let Some(number) = pythons.number(&runtime.layout) else {
            return false;
        };
        let interpreters = runtime.address.saturating_add(runtime.layout.interpreters);
        pythons.epoch += u32::from(anew);
        let layout_and_epoch = number | u64::from(pythons.epoch) << 32;
        let python = [interpreters, runtime.code_type, layout_and_epoch];
        pythons.by_process.insert(pid, python, 0).is_ok()
    }

    /// The cookie of a probe on what prints, by which it knows the strings of a file's Python.
    pub fn cookie_of_prints(&mut self, layout: &Layout) -> Option<u64> {
        let number = self.pythons.as_mut()?.number(layout)?;
        Some(number + 1)
    }

    /// This process runs no Python that is known.
    pub fn forget_python(&mut self, pid: u32) {
        if let Some(pythons) = &mut self.pythons {
            // Most have none.
            let _ = pythons.by_process.remove(&pid);
        }
    }
}

/// A layout as the kernel side reads it.
fn words(layout: &Layout) -> [u32; word::WORDS] {
    let of = |offset: u64| u32::try_from(offset).unwrap_or(word::NONE);
    let maybe = |offset: Option<u64>| offset.map_or(word::NONE, of);
    let (current, through) = match layout.current {
        Current::Direct(current) => (current, None),
        Current::Through(current, through) => (current, Some(through)),
    };
    let (unit, begin, copies, instruction_size) = match layout.instruction {
        Instruction::Index(unit) => (unit, 0, None, 4),
        Instruction::Pointer { code, copies } => (0, code, copies, 8),
    };
    let frame_size = [
        layout.frame_back + 8,
        layout.frame_code + 8,
        layout.frame_instruction + instruction_size,
        layout.frame_owner.map_or(0, |owner| owner + 1),
        copies.map_or(0, |(index, _)| index + 4),
    ];
    let code_size = [
        layout.first_line + 4,
        layout.file + 8,
        layout.name + 8,
        layout.lines + 8,
        layout.kind + 8,
        copies.map_or(0, |(_, array)| array + 8),
    ];
    let largest = |ends: &[u64]| of(ends.iter().copied().max().unwrap_or(0));
    let mut words = [word::NONE; word::WORDS];
    for (place, value) in [
        (word::INTERPRETER_NEXT, of(layout.interpreter_next)),
        (word::THREADS, of(layout.threads)),
        (word::THREAD_NEXT, of(layout.thread_next)),
        (word::THREAD_ID, of(layout.thread_id)),
        (word::CURRENT, of(current)),
        (word::THROUGH, maybe(through)),
        (word::FRAME_BACK, of(layout.frame_back)),
        (word::FRAME_CODE, of(layout.frame_code)),
        (word::FRAME_OWNER, maybe(layout.frame_owner)),
        (word::FRAME_INSTRUCTION, of(layout.frame_instruction)),
        (word::INDEX_UNIT, of(unit)),
        (word::CODE_BEGIN, of(begin)),
        (word::COPY_INDEX, maybe(copies.map(|(index, _)| index))),
        (word::COPIES, maybe(copies.map(|(_, array)| array))),
        (word::FIRST_LINE, of(layout.first_line)),
        (word::FILE, of(layout.file)),
        (word::NAME, of(layout.name)),
        (word::LINES, of(layout.lines)),
        (word::KIND, of(layout.kind)),
        (word::TEXT_LENGTH, of(layout.text_length)),
        (word::TEXT_STATE, of(layout.text_state)),
        (word::KIND_SHIFT, layout.text_bits.kind.into()),
        (word::ASCII_SHIFT, layout.text_bits.ascii.into()),
        (word::ASCII_HEADER, of(layout.ascii_header)),
        (word::TEXT_HEADER, of(layout.text_header)),
        (word::BYTES_LENGTH, of(layout.bytes_length)),
        (word::BYTES, of(layout.bytes)),
        (word::FRAME_SIZE, largest(&frame_size)),
        (word::CODE_SIZE, largest(&code_size)),
    ] {
        words[place] = value;
    }
    words
}

#[cfg(test)]
mod tests {
    use memtrace_ebpf::wire::layout as word;

    use super::words;
    use crate::python::layout::{Layout, Version};

    #[test]
    fn all_that_is_read_of_a_frame_and_a_code_object_fits_in_their_heads() {
        for minor in 7..=12 {
            let version = Version { major: 3, minor };
            let words = words(&Layout::of(version).unwrap());
            assert!(words[word::FRAME_SIZE] as usize <= word::MOST_FRAME);
            assert!(words[word::CODE_SIZE] as usize <= word::MOST_CODE);
        }
    }
}
