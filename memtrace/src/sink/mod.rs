//! One renderer per place where rows go. Each is a function from a row to text; writing the text
//! is the run loop's.
#![forbid(unsafe_code)]

pub mod fan;
pub mod files;
pub mod live;
pub mod usual_log;

#[cfg(test)]
mod tests;
