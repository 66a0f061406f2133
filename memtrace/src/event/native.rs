//! Native code: what a process maps it from, and addresses in it.

use std::sync::Arc;

use crate::{entry::Native, units::Tgid};

/// A file that some process runs code from, kept once for all of them.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct MappedFile {
    /// Its path as the process sees it.
    pub path: Arc<str>,
    /// Which file that is; absent if it could not be looked at.
    pub identity: Option<Identity>,
}

/// A file in one state: written anew it is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Its device.
    pub device: u64,
    /// Its inode.
    pub inode: u64,
    /// Bytes that it has.
    pub bytes: u64,
    /// When it was last written: seconds and nanoseconds.
    pub modified: (i64, i64),
}

/// A part of a file with code, where a process has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// From this address.
    pub start: u64,
    /// Up to this one.
    pub end: u64,
    /// What of the file is at the first.
    pub offset: u64,
    /// The file.
    pub file: Arc<MappedFile>,
}

/// All code that a process maps from files.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mappings(Box<[Mapping]>);

/// An address in a mapped file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// The file.
    pub file: Arc<MappedFile>,
    /// Where in it.
    pub offset: u64,
    /// The mapping: from and up to which address.
    pub range: (u64, u64),
}

/// An address that a thread was at, or is to return to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Itself.
    pub address: u64,
    /// What is mapped there, if that is known.
    pub spot: Option<Spot>,
}

/// A stack whose native frames are to be named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The answer goes by it.
    pub number: u64,
    /// The process. It may be gone by now.
    pub pid: Tgid,
    /// Its addresses, the innermost first.
    pub addresses: Vec<Address>,
}

impl Mappings {
    /// Most of one process that are remembered.
    const MOST: usize = 8192;

    /// These, in any order.
    pub fn new(mut mappings: Vec<Mapping>) -> Self {
        mappings.truncate(Self::MOST);
        mappings.sort_by_key(|mapping| mapping.start);
        Self(mappings.into())
    }

    /// What is mapped at an address.
    pub fn find(&self, address: u64) -> Address {
        let after = self.0.partition_point(|mapping| mapping.start <= address);
        let mapping = self.0[..after].last();
        let mapping = mapping.filter(|mapping| address < mapping.end);
        let spot = mapping.and_then(|mapping| {
            Some(Spot {
                file: Arc::clone(&mapping.file),
                offset: mapping.offset.checked_add(address - mapping.start)?,
                range: (mapping.start, mapping.end),
            })
        });
        Address { address, spot }
    }
}

impl Address {
    /// Its frame, without a name.
    pub fn nameless(&self) -> Native {
        Native {
            file: self.spot.as_ref().map(|spot| Arc::clone(&spot.file.path)),
            at: self.spot.as_ref().map_or(self.address, |spot| spot.offset),
            ..Native::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_its_mapping_and_nowhere_else() {
        let file = |path: &str| {
            let (path, identity) = (path.into(), None);
            Arc::new(MappedFile { path, identity })
        };
        let mapping = |start, end, offset, path| Mapping {
            start,
            end,
            offset,
            file: file(path),
        };
        let mappings = Mappings::new(vec![
            mapping(0x5000, 0x6000, 0x1000, "/b"),
            mapping(0x1000, 0x3000, 0x2000, "/a"),
        ]);
        let found = |address| {
            let spot = mappings.find(address).spot?;
            Some((spot.file.path.to_string(), spot.offset))
        };
        assert_eq!(found(0x1000), Some(("/a".to_owned(), 0x2000)));
        assert_eq!(found(0x2fff), Some(("/a".to_owned(), 0x3fff)));
        assert_eq!(found(0x5004), Some(("/b".to_owned(), 0x1004)));
        for nowhere in [0, 0xfff, 0x3000, 0x4fff, 0x6000, u64::MAX] {
            assert_eq!(found(nowhere), None, "{nowhere:#x}");
        }
        let frame = mappings.find(0x5004).nameless();
        assert_eq!((frame.file.as_deref(), frame.at), (Some("/b"), 0x1004));
        assert_eq!(mappings.find(0x9000).nameless().at, 0x9000);
    }
}
