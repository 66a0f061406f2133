//! Entry → line.

use crate::entry::Entry;

/// The entry as one line of a recording, without its line end.
pub fn line(entry: &Entry) -> String {
    serde_json::to_string(entry).expect("an entry holds only what JSON can say")
}
