//! The boundary: what crosses from the kernel to user space, and nothing else.
#![no_std]

pub mod wire;
