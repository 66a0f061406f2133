//! What only a machine of our own can be put through: cgroups of version 2, a kill by the whole
//! machine's want of memory, swap, missing rights, a kernel without BTF. `cargo xtask vm` runs these
//! beside all the others; `cargo xtask test` names them as not run.

mod cgroups;
mod machine;
mod rights;
