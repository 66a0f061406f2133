//! What could not be sent, as entries.

use crate::{entry::Lost, event::Unsent, loss};

/// Of one process.
pub fn losses(unsent: Unsent) -> Vec<Lost> {
    let Unsent {
        marks,
        steps,
        too_fast,
    } = unsent;
    [
        (loss::Kind::CheckpointRecord, marks),
        (loss::Kind::CheckpointRate, too_fast),
        (loss::Kind::RssRecord, steps),
    ]
    .into_iter()
    .filter(|(_, count)| *count > 0)
    .map(|(kind, count)| Lost {
        kind,
        count: count.into(),
    })
    .collect()
}
