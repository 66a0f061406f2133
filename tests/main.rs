//! All tests that need more than one module: goldens, the command line, and live runs on a real
//! kernel. One binary, so that they link once.

mod cli;
mod golden;
mod line_tables;
mod live;
mod tidy;
