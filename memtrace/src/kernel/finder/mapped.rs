//! What processes run code from, remembered: who dies has nothing left in /proc to look it up in.

use std::sync::Arc;

use super::{MOST_KNOWN, News, Search, place_of};
use crate::{
    event::{MappedFile, Mapping, Mappings},
    kernel::procfs::{Mapped, MappedCode},
};

impl Search {
    /// What is needed to find the file of an address when the process is no more.
    pub(super) fn mappings(&self, pid: u32, code: &MappedCode) -> News {
        let files: Vec<Arc<MappedFile>> = code.files.iter().map(|file| self.known(file)).collect();
        let mappings = code.parts.iter().map(|part| Mapping {
            start: part.range.0,
            end: part.range.1,
            offset: part.offset,
            file: Arc::clone(&files[part.file]),
        });
        News::Mapped {
            pid,
            mappings: Mappings::new(mappings.collect()),
        }
    }

    fn known(&self, file: &Mapped) -> Arc<MappedFile> {
        let mut identity = None;
        // What cannot be looked at is told by the search for markers.
        let _ = self.at(&place_of(file), || {
            identity = file.identity().ok();
            Ok(None)
        });
        let path = file.path.to_string_lossy().into();
        let file = MappedFile { path, identity };
        let mut files = self.files.borrow_mut();
        if let Some(known) = files.get(&file) {
            return Arc::clone(known);
        }
        if files.len() >= MOST_KNOWN {
            files.retain(|known| Arc::strong_count(known) > 1);
        }
        let file = Arc::new(file);
        files.insert(Arc::clone(&file));
        file
    }
}
