//! Each trap that the order of the kernel's events holds has a test here.

mod constraint;
mod host;
mod kills;
mod lives;
mod look_back;
mod natives;
mod order;
mod stacks;
