//! CPython from outside: where its threads, frames, code objects, strings and line tables lie in
//! memory, and what they say. Pure: memory is whatever [`walk::Memory`] reads.
//!
//! Nothing is guessed. An interpreter from 3.13 on publishes its own layout (`_Py_DebugOffsets`,
//! `Include/internal/pycore_debug_offsets.h`); those before are in a table here, from the debug
//! information of builds of each version. Patch releases do not move these fields; a build with other
//! structs (`--with-trace-refs`) fails the check that every walk begins with, and gets no stack.
#![forbid(unsafe_code)]

pub mod layout;
pub mod lines;
pub mod text;
pub mod walk;
