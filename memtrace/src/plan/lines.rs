//! Printed lines that are to be checkpoints.

use super::UsageError;
use crate::naming::Naming;

/// Which lines are checkpoints, if the option was given at all.
#[expect(
    clippy::option_option,
    reason = "an option whose value may be left out"
)]
pub(super) fn naming(
    option: &str,
    given: Option<Option<String>>,
) -> Result<Option<Naming>, UsageError> {
    given
        .map(|pattern| Naming::new(pattern.as_deref()))
        .transpose()
        .map_err(|error| UsageError(format!("{option}: {error}")))
}
