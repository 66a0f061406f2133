//! The eBPF object: licence, panic handler, the list of probes. No logic.
#![no_std]
#![no_main]
#![feature(core_intrinsics)]
#![expect(
    internal_features,
    reason = "core has no atomic types for a target without compare and swap"
)]
#![expect(
    clippy::undocumented_unsafe_blocks,
    reason = "each calls a helper, or follows a pointer that a map, a ring or a context gave out: \
              the verifier proves every one of them before it runs"
)]
#![expect(
    clippy::needless_pass_by_value,
    reason = "the macros hand contexts over by value"
)]
#![expect(
    clippy::cast_ptr_alignment,
    reason = "stack blocks are of u64, seen as bytes in between"
)]
#![expect(clippy::similar_names, reason = "tgid and tid are the kernel's words")]
#![expect(clippy::single_match_else, reason = "both arms are of one weight")]
#![expect(
    clippy::inline_always,
    reason = "a call costs, and old verifiers take few of them"
)]
#![expect(
    clippy::cast_possible_truncation,
    reason = "helpers mix u32, u64 and i64"
)]
#![expect(
    clippy::wildcard_imports,
    reason = "the globals of config are one flat table"
)]

/// Says something to whoever develops the probes, in objects built with `--diagnostics`; in others
/// there is no trace of it.
#[cfg(feature = "diagnostics")]
macro_rules! diagnose {
    ($ctx:expr, $($said:tt)*) => { aya_log_ebpf::debug!($ctx, $($said)*) };
}
#[cfg(not(feature = "diagnostics"))]
macro_rules! diagnose {
    ($ctx:expr, $($said:tt)*) => {
        let _ = $ctx;
    };
}

mod config;
mod emit;
mod maps;
mod probe;
mod read;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";
