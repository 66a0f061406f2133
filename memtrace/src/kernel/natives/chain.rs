//! From addresses to frames: pure. A frame pointer is a register like any other where a function was
//! not built to keep it, so what it leads to is believed only where a call stands before it.

use std::sync::Arc;

use crate::entry::Native;

/// What is known of one address of a stack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// Its frames, the innermost first: more than one where functions were inlined.
    pub(super) frames: Vec<Native>,
    /// Where in the file its function begins.
    pub(super) begin: Option<u64>,
    /// Its function is known to keep a frame pointer, so that the next address is its caller's.
    pub(super) keeps: bool,
    /// The instruction before it.
    pub(super) before: Before,
}

/// What stands before a return address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Before {
    /// No call, or nothing that can be read: nobody returns there.
    #[default]
    NoCall,
    /// A call of what the program computes, or of another file's function.
    Call,
    /// A call of this function.
    CallOf(Native),
}

/// The frames of a stack: the first address is where the thread was, the others it returns to. A
/// function that keeps no frame pointer hides its caller, whom the call further out may name.
pub(super) fn frames(stack: impl IntoIterator<Item = Known>) -> Vec<Native> {
    let mut frames: Vec<Native> = Vec::new();
    let (mut begin, mut keeps) = (None, true);
    for (number, mut known) in stack.into_iter().enumerate() {
        match known.before {
            _ if number == 0 => {}
            Before::NoCall => break,
            Before::Call => {
                if let Some(caller) = known.frames.first_mut() {
                    caller.behind_gap = !keeps;
                }
            }
            Before::CallOf(callee) => {
                let inner = frames.last();
                if inner.is_none_or(|inner| !is_in(inner, begin, &callee)) {
                    frames.push(callee);
                }
            }
        }
        (begin, keeps) = (known.begin, known.keeps);
        frames.extend(known.frames);
    }
    frames
}

/// A frame whose function begins there is one of this function, or of a part of it that the compiler
/// set apart.
fn is_in(frame: &Native, begin: Option<u64>, function: &Native) -> bool {
    let base = |name: &Option<Arc<str>>| {
        let name = name.as_deref()?;
        name.split('.').next().map(str::to_owned)
    };
    let same_name = frame.function.is_some() && base(&frame.function) == base(&function.function);
    frame.file == function.file && (begin == Some(function.at) || same_name)
}

/// A machine whose calls are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Machine {
    /// `x86_64`
    X86,
    /// `aarch64`
    Arm,
}

/// A call as it stands in code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// Of this address.
    Of(u64),
    /// Of what a register or memory holds.
    Computed,
}

/// Bytes in which a function that keeps a frame pointer begins to.
pub(super) const BEGINNING: usize = 24;

/// A function that begins like this sets a frame pointer.
pub(super) fn keeps_frame(machine: Machine, code: &[u8]) -> bool {
    let sets: &[u8] = match machine {
        Machine::X86 => &[0x48, 0x89, 0xe5],       // mov %rsp,%rbp
        Machine::Arm => &[0xfd, 0x03, 0x00, 0x91], // mov x29, sp
    };
    code.windows(sets.len()).any(|window| window == sets)
}

/// Bytes that a call takes at most.
pub(super) const LONGEST_CALL: usize = 7;

/// The call that ends where `code` ends, which is at `address`.
pub(super) fn call(machine: Machine, code: &[u8], address: u64) -> Option<Call> {
    match machine {
        Machine::X86 => call_on_x86(code, address),
        Machine::Arm => call_on_arm(code, address),
    }
}

fn call_on_x86(code: &[u8], address: u64) -> Option<Call> {
    if let Some([0xe8, distance @ ..]) = code.last_chunk::<5>() {
        let distance = i64::from(i32::from_le_bytes(*distance));
        return Some(Call::Of(address.wrapping_add_signed(distance)));
    }
    let is_computed = (2..=LONGEST_CALL).any(|length| {
        let start = code.len().checked_sub(length);
        match start.map(|start| &code[start..]) {
            Some([0xff, operand, rest @ ..]) => {
                operand >> 3 & 7 == 2 && 1 + operand_bytes(*operand, rest.first()) == length
            }
            _ => false,
        }
    });
    is_computed.then_some(Call::Computed)
}

/// Bytes of an operand (`ModRM`, SIB, displacement).
fn operand_bytes(operand: u8, next: Option<&u8>) -> usize {
    let (mode, base) = (operand >> 6, operand & 7);
    let has_index = mode != 3 && base == 4;
    let base = match next {
        Some(index) if has_index => index & 7,
        _ => base,
    };
    let displacement = match mode {
        0 if base == 5 => 4,
        1 => 1,
        2 => 4,
        _ => 0,
    };
    1 + usize::from(has_index) + displacement
}

fn call_on_arm(code: &[u8], address: u64) -> Option<Call> {
    let word = u32::from_le_bytes(*code.last_chunk()?);
    if word & 0xfc00_0000 == 0x9400_0000 {
        let words = i64::from((word << 6).cast_signed() >> 6);
        let from = address.wrapping_sub(4);
        return Some(Call::Of(from.wrapping_add_signed(4 * words)));
    }
    (word & 0xffff_fc1f == 0xd63f_0000).then_some(Call::Computed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn native(function: &str, at: u64) -> Native {
        Native {
            file: Some("/srv/prog".into()),
            at,
            function: (!function.is_empty()).then(|| function.into()),
            ..Native::default()
        }
    }

    fn known(function: &str, begin: u64, before: Before) -> Known {
        Known {
            frames: vec![native(function, begin + 8)],
            begin: (!function.is_empty()).then_some(begin),
            keeps: !function.is_empty(),
            before,
        }
    }

    fn names(stack: Vec<Known>) -> Vec<String> {
        let name = |frame: &Native| frame.function.as_deref().unwrap_or("?").to_owned();
        frames(stack).iter().map(name).collect()
    }

    fn call_of(function: &str, begin: u64) -> Before {
        Before::CallOf(native(function, begin))
    }

    #[test]
    fn what_no_call_leads_to_ends_the_stack() {
        let stack = vec![
            known("grow", 0x100, Before::NoCall),
            known("main", 0x200, call_of("grow", 0x100)),
            known("innocent", 0x300, Before::NoCall),
            known("start", 0x400, Before::Call),
        ];
        assert_eq!(names(stack), ["grow", "main"]);
    }

    #[test]
    fn a_caller_that_is_hidden_is_named_by_the_call_of_it() {
        let stack = vec![
            known("", 0x9000, Before::NoCall),
            known("main", 0x200, call_of("grow", 0x100)),
            known("start", 0x300, Before::Call),
        ];
        assert_eq!(names(stack), ["?", "grow", "main", "start"]);
        // What was set apart of a function is no other.
        let stack = vec![
            known("grow.cold", 0x7000, Before::NoCall),
            known("main", 0x200, call_of("grow", 0x100)),
        ];
        assert_eq!(names(stack), ["grow.cold", "main"]);
        // A function that calls itself is there as often.
        let stack = vec![
            known("grow", 0x100, Before::NoCall),
            known("grow", 0x100, call_of("grow", 0x100)),
        ];
        assert_eq!(names(stack), ["grow", "grow"]);
    }

    #[test]
    fn a_hidden_caller_that_nothing_names_is_a_gap() {
        let mut leaf = known("leaf", 0x100, Before::NoCall);
        let stack = |leaf: &Known| {
            let stack = [leaf.clone(), known("callback", 0x900, Before::Call)];
            frames(stack)
        };
        assert!(!stack(&leaf)[1].behind_gap);
        leaf.keeps = false;
        assert!(stack(&leaf)[1].behind_gap);
        let endbr = [0xf3, 0x0f, 0x1e, 0xfa, 0x55, 0x48, 0x89, 0xe5, 0x53];
        assert!(keeps_frame(Machine::X86, &endbr));
        assert!(!keeps_frame(Machine::X86, &endbr[..7]));
    }

    #[test]
    fn calls_are_told_from_what_is_none() {
        let at = |code: &[u8]| call(Machine::X86, code, 0x1000);
        assert_eq!(at(&[0xe8, 0xfb, 0, 0, 0]), Some(Call::Of(0x10fb)));
        assert_eq!(
            at(&[0x90, 0x90, 0xe8, 0xf0, 0xff, 0xff, 0xff]),
            Some(Call::Of(0xff0))
        );
        let computed: &[&[u8]] = &[
            &[0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xd0], // call *%rax
            &[0x90, 0x90, 0x90, 0x90, 0x41, 0xff, 0xd4], // call *%r12
            &[0x90, 0xff, 0x15, 1, 2, 3, 4],             // call *0x4030201(%rip)
            &[0x90, 0x90, 0x90, 0x90, 0xff, 0x50, 0x18], // call *0x18(%rax)
            &[0xff, 0x94, 0x24, 1, 2, 0, 0],             // call *0x201(%rsp)
            &[0x90, 0x90, 0x90, 0x90, 0xff, 0x14, 0xc8], // call *(%rax,%rcx,8)
            &[0x90, 0xff, 0x93, 0, 1, 0, 0],             // call *0x100(%rbx)
        ];
        for code in computed {
            assert_eq!(at(code), Some(Call::Computed), "{code:x?}");
        }
        let others: &[&[u8]] = &[
            &[],
            &[0xd0],
            &[0x0f, 0x1f, 0x80, 0, 0, 0, 0],             // nop
            &[0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xe0], // jmp *%rax
            &[0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xc3], // ret
            &[0x90, 0x90, 0x90, 0x90, 0xff, 0xd0, 0x90], // a call before that
        ];
        for code in others {
            assert_eq!(at(code), None, "{code:x?}");
        }
        let arm = |word: u32| call(Machine::Arm, &word.to_le_bytes(), 0x1000);
        assert_eq!(arm(0x97ff_ffff), Some(Call::Of(0xff8)));
        assert_eq!(arm(0xd63f_0020), Some(Call::Computed));
        assert_eq!(arm(0xd503_201f), None);
    }
}
