//! `tidy`: the house rules that no compiler knows.

mod layers;
mod rules;
mod source;

use std::process::ExitCode;

use anyhow::Result;

use crate::workspace::root;

/// Prints every fault.
pub fn run() -> Result<ExitCode> {
    let faults = faults()?;
    for fault in &faults {
        eprintln!("{fault}");
    }
    println!("tidy: {} faults", faults.len());
    Ok(if faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Every place that breaks a rule, one line each: where, what, and what to do.
pub fn faults() -> Result<Vec<String>> {
    let files = source::files(&root())?;
    let mut faults = layers::check(&files);
    faults.extend(rules::modules(&files));
    faults.extend(rules::unsafe_code(&files));
    faults.extend(rules::lengths(&files));
    faults.extend(rules::machine_paths(&files));
    faults.extend(rules::registries(&files));
    faults.extend(rules::documented_verbs(&files, &crate::cli::verbs()));
    Ok(faults)
}
