//! The files that are being written: many more than may be open at once, for each process has two
//! and descriptors are few (1,024, where nobody raised the limit). To close a file and open it again
//! costs several writes, so as many are open as may be.

use std::{
    collections::{HashMap, VecDeque},
    fs::File,
    io,
};

use super::{
    Key,
    directory::{Directory, Identity},
};
use crate::kernel::rights;

/// Files that are open at once, however many may be.
const MOST_OPEN: usize = 4096;

/// One file.
struct Sheet {
    name: Box<str>,
    /// Who it is among files; absent if it could not be made.
    identity: Option<Identity>,
    /// Absent while others are open instead.
    file: Option<File>,
    /// It was written since it was last considered for closing.
    recent: bool,
}

/// All of them.
pub(super) struct Shelf {
    directory: Directory,
    sheets: HashMap<Key, Sheet>,
    /// Those that are open, the longest first.
    open: VecDeque<Key>,
    most: usize,
}

impl Shelf {
    /// Nothing is written yet.
    pub(super) fn new(directory: Directory) -> Self {
        Self {
            directory,
            sheets: HashMap::new(),
            open: VecDeque::new(),
            // The other half is for probes, rings and files that are searched.
            most: rights::most_descriptors().div_ceil(2).min(MOST_OPEN),
        }
    }

    /// Makes a file of this name, or of one like it. Where that fails nothing can be written to it.
    pub(super) fn make(&mut self, key: Key, name: &str) -> io::Result<()> {
        self.make_room();
        let made = self.directory.create(name).and_then(|(name, file)| {
            let identity = Identity::of(&file)?;
            Ok((name, file, identity))
        });
        let mut sheet = Sheet {
            name: name.into(),
            identity: None,
            file: None,
            recent: true,
        };
        let result = made.map(|(name, file, identity)| {
            sheet.name = name.into();
            sheet.identity = Some(identity);
            sheet.file = Some(file);
            self.open.push_back(key);
        });
        self.sheets.insert(key, sheet);
        result
    }

    /// There is one of this key.
    pub(super) fn has(&self, key: Key) -> bool {
        self.sheets.contains_key(&key)
    }

    /// How troubles call it.
    pub(super) fn path(&self, key: Key) -> String {
        let name = self.sheets.get(&key).map_or("", |sheet| &sheet.name);
        self.directory.path().join(name).display().to_string()
    }

    /// The file itself; absent if it could not be made, which was told then.
    pub(super) fn file(&mut self, key: Key) -> io::Result<Option<&mut File>> {
        let closed = self
            .sheets
            .get(&key)
            .is_some_and(|sheet| sheet.file.is_none());
        if closed {
            self.open_again(key)?;
        }
        Ok(self.sheets.get_mut(&key).and_then(|sheet| {
            sheet.recent = true;
            sheet.file.as_mut()
        }))
    }

    fn open_again(&mut self, key: Key) -> io::Result<()> {
        let Some(identity) = self.sheets.get(&key).and_then(|sheet| sheet.identity) else {
            return Ok(());
        };
        self.make_room();
        if let Some(sheet) = self.sheets.get_mut(&key) {
            sheet.file = Some(self.directory.append(&sheet.name, identity)?);
            self.open.push_back(key);
        }
        Ok(())
    }

    /// Nothing more comes for it.
    pub(super) fn put_away(&mut self, key: Key) {
        if self
            .sheets
            .remove(&key)
            .is_some_and(|sheet| sheet.file.is_some())
        {
            self.open.retain(|open| *open != key);
        }
    }

    /// Closes what was not written for the longest, until one more may be opened.
    fn make_room(&mut self) {
        while self.open.len() >= self.most {
            let Some(key) = self.open.pop_front() else {
                return;
            };
            match self.sheets.get_mut(&key) {
                Some(sheet) if sheet.recent => {
                    sheet.recent = false;
                    self.open.push_back(key);
                }
                Some(sheet) => sheet.file = None,
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::{super::Key, Directory, Shelf};

    #[test]
    fn more_files_are_written_than_may_be_open_and_one_that_was_exchanged_is_left_alone() {
        let place = std::env::temp_dir().join(format!("memtrace-shelf-{}", std::process::id()));
        let mut shelf = Shelf::new(Directory::at(place.clone(), None));
        shelf.most = 3;
        let keys = || (0..10).map(Key);
        for key in keys() {
            shelf.make(key, &format!("{}.log", key.0)).unwrap();
        }
        for line in ["one\n", "two\n"] {
            for key in keys() {
                let file = shelf.file(key).unwrap().expect("it was made");
                file.write_all(line.as_bytes()).unwrap();
                assert!(shelf.open.len() <= 3);
            }
        }
        for key in keys() {
            let text = fs::read_to_string(place.join(format!("{}.log", key.0))).unwrap();
            assert_eq!(text, "one\ntwo\n");
        }
        // The first ones are closed by now.
        fs::remove_file(place.join("0.log")).unwrap();
        fs::write(place.join("0.log"), "theirs").unwrap();
        assert!(shelf.file(Key(0)).is_err());
        fs::remove_file(place.join("1.log")).unwrap();
        assert!(shelf.file(Key(1)).is_err());
        shelf.put_away(Key(9));
        assert!(shelf.open.iter().all(|key| *key != Key(9)));
        fs::remove_dir_all(place).unwrap();
    }
}
