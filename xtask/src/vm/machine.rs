//! What differs between the machines that are emulated.

use crate::cli::Arch;

/// Of all lines the newest.
pub(crate) const NEWEST: &str = "newest";

/// One kind of machine: what its programs, packages and emulator are called.
#[derive(Debug)]
pub(crate) struct Machine {
    /// Its processor.
    pub(crate) arch: Arch,
    /// The Rust target of programs that bring their own C library.
    pub(crate) target: &'static str,
    /// Debian's name of it.
    pub(crate) debian: &'static str,
    /// What Debian's compilers and libraries for it begin with.
    pub(crate) triplet: &'static str,
    /// Its emulator.
    pub(crate) qemu: &'static str,
    /// The package that holds the emulator.
    pub(crate) qemu_package: &'static str,
    /// The oldest emulator that can be trusted.
    pub(crate) oldest_qemu: (u32, u32),
    /// Options that make the machine, and let a guest end the emulator with a status.
    pub(crate) options: &'static [&'static str],
    /// What the kernel calls the first serial port.
    pub(crate) console: &'static str,
    /// How packages of its kernels end.
    pub(crate) flavour: &'static str,
    /// How packages end whose kernels have pages of 16 KiB; a line such as `6.12-16k` asks for one.
    pub(crate) large_pages: Option<&'static str>,
    /// The lines that are tested when nothing is asked for.
    pub(crate) matrix: &'static [&'static str],
}

/// An old kernel each from three Debian releases; one in which processes exit with their memory
/// still readable (6.16); and the newest. QEMU before 8.1 breaks guests that patch their own code,
/// which is what attaching a probe does.
const X86_64: Machine = Machine {
    arch: Arch::X86_64,
    target: "x86_64-unknown-linux-musl",
    debian: "amd64",
    triplet: "x86_64-linux-gnu",
    qemu: "qemu-system-x86_64",
    qemu_package: "qemu-system-x86",
    oldest_qemu: (8, 1),
    options: &[
        "-cpu",
        "max",
        "-device",
        "isa-debug-exit,iobase=0xf4,iosize=4",
    ],
    console: "ttyS0",
    flavour: "-cloud-amd64",
    large_pages: None,
    matrix: &["5.10", "6.1", "6.12", "6.16", NEWEST],
};

/// QEMU before 9.2 gives this machine one serial port only. The processor is one with pages of
/// 16 KiB, and with an access flag that hardware sets.
const AARCH64: Machine = Machine {
    arch: Arch::Aarch64,
    target: "aarch64-unknown-linux-musl",
    debian: "arm64",
    triplet: "aarch64-linux-gnu",
    qemu: "qemu-system-aarch64",
    qemu_package: "qemu-system-arm",
    oldest_qemu: (9, 2),
    options: &[
        "-machine",
        "virt",
        "-cpu",
        "neoverse-n1",
        "-semihosting-config",
        "enable=on,userspace=on",
    ],
    console: "ttyAMA0",
    flavour: "-cloud-arm64",
    large_pages: Some("-arm64-16k"),
    matrix: &["5.10", "6.1", "6.12", NEWEST],
};

impl Machine {
    /// The one with such a processor.
    pub(crate) fn of(arch: Arch) -> &'static Self {
        match arch {
            Arch::X86_64 => &X86_64,
            Arch::Aarch64 => &AARCH64,
        }
    }

    /// Of `gcc` or `strip`: the one that makes programs for it.
    pub(crate) fn tool(&self, name: &str) -> String {
        if Arch::host() == Some(self.arch) {
            name.to_owned()
        } else {
            format!("{}-{name}", self.triplet)
        }
    }

    /// The package that brings [`Self::tool`].
    pub(crate) fn tool_package(&self) -> String {
        if Arch::host() == Some(self.arch) {
            "gcc".to_owned()
        } else {
            format!("gcc-{}", self.triplet.replace('_', "-"))
        }
    }
}
