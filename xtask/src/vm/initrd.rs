//! The archive that a kernel unpacks as its first file system: "newc" cpio
//! (Documentation/driver-api/early-userspace/buffer-format.rst).

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// What stands at a path.
#[derive(Debug)]
enum Node {
    Dir,
    File { mode: u32, bytes: Vec<u8> },
    Link(PathBuf),
}

/// A file system in the making. Paths have no leading `/`.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: BTreeMap<PathBuf, Node>,
}

impl Tree {
    /// A directory, with those above it.
    pub(super) fn dir(&mut self, path: impl AsRef<Path>) {
        for above in path.as_ref().ancestors() {
            if !above.as_os_str().is_empty() {
                self.nodes.entry(above.to_owned()).or_insert(Node::Dir);
            }
        }
    }

    fn put(&mut self, path: &Path, node: Node) {
        if let Some(parent) = path.parent() {
            self.dir(parent);
        }
        self.nodes.insert(path.to_owned(), node);
    }

    /// A symbolic link.
    pub(super) fn link(&mut self, path: impl AsRef<Path>, target: impl Into<PathBuf>) {
        self.put(path.as_ref(), Node::Link(target.into()));
    }

    /// A file that may be run if `mode` says so.
    pub(super) fn text(&mut self, path: impl AsRef<Path>, mode: u32, text: &str) {
        let bytes = text.as_bytes().to_vec();
        self.put(path.as_ref(), Node::File { mode, bytes });
    }

    /// A copy of a file.
    pub(super) fn file(&mut self, path: impl AsRef<Path>, from: &Path) -> Result<()> {
        let context = || format!("read {}", from.display());
        let mode = fs::metadata(from)
            .with_context(context)?
            .permissions()
            .mode()
            & 0o777;
        let bytes = fs::read(from).with_context(context)?;
        self.put(path.as_ref(), Node::File { mode, bytes });
        Ok(())
    }

    /// Copies of all files below a directory, each where `place` says, if anywhere.
    pub(super) fn files(
        &mut self,
        from: &Path,
        place: &impl Fn(&Path) -> Option<PathBuf>,
    ) -> Result<()> {
        self.files_below(from, Path::new(""), place)
    }

    fn files_below(
        &mut self,
        top: &Path,
        below: &Path,
        place: &impl Fn(&Path) -> Option<PathBuf>,
    ) -> Result<()> {
        let dir = top.join(below);
        let context = || format!("list {}", dir.display());
        for entry in fs::read_dir(&dir).with_context(context)? {
            let entry = entry.with_context(context)?;
            let path = below.join(entry.file_name());
            let kind = entry.file_type().with_context(context)?;
            if kind.is_dir() {
                self.files_below(top, &path, place)?;
            } else if let Some(placed) = place(&path) {
                if kind.is_symlink() {
                    let target = fs::read_link(entry.path()).with_context(context)?;
                    self.link(placed, target);
                } else {
                    self.file(placed, &entry.path())?;
                }
            }
        }
        Ok(())
    }

    /// The archive.
    pub(super) fn archive(&self) -> Vec<u8> {
        let mut archive = Vec::new();
        for (number, (path, node)) in (1_u32..).zip(&self.nodes) {
            let path = path.as_os_str().as_bytes();
            match node {
                Node::Dir => put(&mut archive, number, path, 0o040_755, b""),
                Node::File { mode, bytes } => {
                    put(&mut archive, number, path, 0o100_000 | mode, bytes);
                }
                Node::Link(target) => {
                    let target = target.as_os_str().as_bytes();
                    put(&mut archive, number, path, 0o120_777, target);
                }
            }
        }
        put(&mut archive, 0, b"TRAILER!!!", 0, b"");
        archive
    }
}

/// One member: thirteen numbers of eight hexadecimal digits, the name, the contents; name and
/// contents end on a multiple of four.
fn put(archive: &mut Vec<u8>, number: u32, path: &[u8], mode: u32, bytes: &[u8]) {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("no file has 4 GB");
    let fields = [
        number,
        mode,
        0, // uid
        0, // gid
        1, // links
        0, // time
        length(bytes),
        0, // device of the archive
        0,
        0, // device, if it is one
        0,
        length(path) + 1,
        0, // checksum, of which this format has none
    ];
    archive.extend_from_slice(b"070701");
    for field in fields {
        archive.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    archive.extend_from_slice(path);
    archive.push(0);
    pad(archive);
    archive.extend_from_slice(bytes);
    pad(archive);
}

fn pad(archive: &mut Vec<u8>) {
    archive.resize(archive.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::Tree;

    #[test]
    fn directories_come_before_what_is_in_them() {
        let mut tree = Tree::default();
        tree.text("a/b/c", 0o755, "hello");
        tree.link("a/d", "b/c");
        let archive = tree.archive();
        let text = String::from_utf8_lossy(&archive);
        let places: Vec<_> = ["\0a\0", "\0a/b\0", "\0a/b/c\0", "\0a/d\0", "TRAILER!!!\0"]
            .map(|name| {
                text.find(name.trim_start_matches('\0'))
                    .expect("it is there")
            })
            .to_vec();
        assert!(places.is_sorted(), "{places:?}");
        assert_eq!(archive.len() % 4, 0);
        assert_eq!(&archive[..14], b"07070100000001");
        assert!(text.contains(concat!("hello", "\0\0\0", "070701")));
    }
}
