//! Where the fields of kernel structs are, from the kernel's own BTF. Pure: bytes in, offsets out.
//!
//! The format is that of Documentation/bpf/btf.rst. Nothing in the blob is trusted: every length
//! and index is checked, and what does not fit is an error.

#[cfg(test)]
pub(super) mod blob;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

/// Why a BTF blob could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BtfError {
    /// It does not begin like BTF of this byte order.
    #[error("this is not BTF of this machine's byte order")]
    Magic,
    /// It ends too early or points outside itself.
    #[error("BTF is cut off or points outside itself, at byte {0}")]
    Bounds(usize),
    /// A kind that this reader does not know the length of.
    #[error("BTF has a type of the unknown kind {0}")]
    Kind(u8),
}

/// Kinds of types (include/uapi/linux/btf.h).
pub mod kind {
    /// An integer.
    pub const INT: u8 = 1;
    /// A pointer.
    pub const PTR: u8 = 2;
    /// A struct.
    pub const STRUCT: u8 = 4;
    /// A union.
    pub const UNION: u8 = 5;
    /// An enum.
    pub const ENUM: u8 = 6;
    /// A typedef.
    pub const TYPEDEF: u8 = 8;
    /// A function.
    pub const FUNC: u8 = 12;
    /// A function's prototype.
    pub const FUNC_PROTO: u8 = 13;
}

/// Members that are looked at for one field; the largest struct of a kernel has a few hundred.
const MOST_MEMBERS: u32 = 1 << 18;

/// A parsed blob: where each type begins, and the ids of named structs, enums, typedefs and
/// functions.
pub struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    starts: Vec<u32>,
    names: HashMap<(u8, &'a [u8]), u32>,
}

#[derive(Clone, Copy)]
struct Type {
    at: usize,
    kind: u8,
    vlen: usize,
    kind_flag: bool,
    size_or_id: u32,
}

impl<'a> Btf<'a> {
    /// Reads a blob, remembering the ids of the `wanted` names only.
    pub fn parse(blob: &'a [u8], wanted: &[&str]) -> Result<Self, BtfError> {
        if blob.get(..2) != Some(&0xeb9f_u16.to_ne_bytes()) {
            return Err(BtfError::Magic);
        }
        let header = word(blob, 4)? as usize;
        let section = |at: usize| -> Result<&'a [u8], BtfError> {
            let (start, length) = (word(blob, at)? as usize, word(blob, at + 4)? as usize);
            let start = header.checked_add(start).ok_or(BtfError::Bounds(at))?;
            let end = start.checked_add(length).ok_or(BtfError::Bounds(at))?;
            blob.get(start..end).ok_or(BtfError::Bounds(at))
        };
        let mut btf = Self {
            types: section(8)?,
            strings: section(16)?,
            starts: vec![0],
            names: HashMap::new(),
        };
        btf.index(wanted)?;
        Ok(btf)
    }

    fn index(&mut self, wanted: &[&str]) -> Result<(), BtfError> {
        let wanted: std::collections::HashSet<&[u8]> =
            wanted.iter().map(|name| name.as_bytes()).collect();
        let mut at = 0;
        while at < self.types.len() {
            let found = self.read(at)?;
            let id = u32::try_from(self.starts.len()).map_err(|_| BtfError::Bounds(at))?;
            self.starts
                .push(u32::try_from(at).map_err(|_| BtfError::Bounds(at))?);
            if matches!(
                found.kind,
                kind::STRUCT | kind::ENUM | kind::TYPEDEF | kind::FUNC
            ) {
                let name = self.string(word(self.types, at)?)?;
                if wanted.contains(name) {
                    self.names.entry((found.kind, name)).or_insert(id);
                }
            }
            at += 12 + extra(found.kind, found.vlen)?;
        }
        Ok(())
    }

    fn read(&self, at: usize) -> Result<Type, BtfError> {
        let info = word(self.types, at + 4)?;
        Ok(Type {
            at,
            kind: ((info >> 24) & 31) as u8,
            vlen: (info & 0xffff) as usize,
            kind_flag: info >> 31 == 1,
            size_or_id: word(self.types, at + 8)?,
        })
    }

    fn by_id(&self, id: u32) -> Result<Type, BtfError> {
        let at = self
            .starts
            .get(id as usize)
            .ok_or(BtfError::Bounds(id as usize))?;
        self.read(*at as usize)
    }

    fn string(&self, at: u32) -> Result<&'a [u8], BtfError> {
        let rest = self
            .strings
            .get(at as usize..)
            .ok_or(BtfError::Bounds(at as usize))?;
        let end = rest
            .iter()
            .position(|byte| *byte == 0)
            .ok_or(BtfError::Bounds(at as usize))?;
        Ok(&rest[..end])
    }

    /// The id of a named type.
    pub fn id(&self, kind: u8, name: &str) -> Option<u32> {
        self.names.get(&(kind, name.as_bytes())).copied()
    }

    /// Follows typedefs and qualifiers to what a type really is.
    fn plain(&self, mut id: u32) -> Result<Type, BtfError> {
        for _ in 0..64 {
            let found = self.by_id(id)?;
            // TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG
            if !matches!(found.kind, 8..=11 | 18) {
                return Ok(found);
            }
            id = found.size_or_id;
        }
        Err(BtfError::Bounds(id as usize))
    }

    /// Size of a named struct in bytes.
    pub fn size(&self, name: &str) -> Option<u32> {
        Some(self.by_id(self.id(kind::STRUCT, name)?).ok()?.size_or_id)
    }

    /// Byte offset of a field, given as a path (`memory.usage`), in a named struct. Members of
    /// unnamed structs and unions count as members of the struct around them.
    pub fn offset(&self, name: &str, path: &str) -> Option<u32> {
        let mut id = self.id(kind::STRUCT, name)?;
        let mut offset = 0;
        for field in path.split('.') {
            let (more, next) = self.field(id, field)?;
            offset = more.checked_add(offset)?;
            id = next;
        }
        Some(offset)
    }

    /// The kind of a field's type, qualifiers and typedefs followed.
    pub fn field_kind(&self, name: &str, field: &str) -> Option<u8> {
        let (_, id) = self.field(self.id(kind::STRUCT, name)?, field)?;
        Some(self.plain(id).ok()?.kind)
    }

    /// Where a field is, and its type.
    fn field(&self, id: u32, wanted: &str) -> Option<(u32, u32)> {
        self.member(id, wanted.as_bytes(), 0, &mut { MOST_MEMBERS })
    }

    /// `left` bounds the members that are looked at in all: nameless structs within one another
    /// multiply.
    fn member(&self, id: u32, wanted: &[u8], depth: u32, left: &mut u32) -> Option<(u32, u32)> {
        let outer = self.plain(id).ok()?;
        if depth > 16 || !matches!(outer.kind, kind::STRUCT | kind::UNION) {
            return None;
        }
        for index in 0..outer.vlen {
            *left = left.checked_sub(1)?;
            let at = outer.at + 12 + 12 * index;
            let name = self.string(word(self.types, at).ok()?).ok()?;
            let inner = word(self.types, at + 4).ok()?;
            let bits = word(self.types, at + 8).ok()?;
            let offset = if outer.kind_flag {
                bits & 0x00ff_ffff
            } else {
                bits
            } / 8;
            if name.is_empty() {
                if let Some((more, found)) = self.member(inner, wanted, depth + 1, left) {
                    return Some((offset.checked_add(more)?, found));
                }
            } else if name == wanted {
                return Some((offset, inner));
            }
        }
        None
    }

    /// Value of an enumerator of a named enum.
    pub fn enumerator(&self, name: &str, wanted: &str) -> Option<u32> {
        let found = self.by_id(self.id(kind::ENUM, name)?).ok()?;
        (0..found.vlen).find_map(|index| {
            let at = found.at + 12 + 8 * index;
            let name = self.string(word(self.types, at).ok()?).ok()?;
            (name == wanted.as_bytes()).then(|| word(self.types, at + 4).ok())?
        })
    }

    /// The arguments of a tracepoint, each as what it really is and the name of its typedef if it
    /// has one. Absent: the kernel has no such tracepoint.
    pub fn tracepoint(&self, name: &str) -> Option<Vec<Argument>> {
        let id = self.id(kind::TYPEDEF, &format!("btf_trace_{name}"))?;
        let pointer = self.plain(id).ok()?;
        let proto = self.plain(pointer.size_or_id).ok()?;
        if pointer.kind != kind::PTR || proto.kind != kind::FUNC_PROTO {
            return None;
        }
        // The first parameter is the `void *__data` of every tracepoint.
        (1..proto.vlen)
            .map(|index| {
                let id = word(self.types, proto.at + 12 + 8 * index + 4).ok()?;
                let named = self.by_id(id).ok()?;
                let typedef = (named.kind == kind::TYPEDEF)
                    .then(|| {
                        word(self.types, named.at)
                            .and_then(|at| self.string(at))
                            .ok()
                    })
                    .flatten()
                    .map(|name| String::from_utf8_lossy(name).into_owned());
                Some(Argument {
                    kind: self.plain(id).ok()?.kind,
                    typedef,
                })
            })
            .collect()
    }
}

/// A blob in which these types, of a kind and a name, have these ids, and every other is an unnamed
/// forward declaration: for those who look for an id by its name in a whole kernel's BTF.
pub fn stand_in(named: &[(u8, &str, u32)]) -> Vec<u8> {
    const FWD: u8 = 7;
    let last = named.iter().map(|(.., id)| *id).max().unwrap_or(0);
    let (mut types, mut strings) = (Vec::with_capacity(12 * last as usize), vec![0]);
    for id in 1..=last {
        let (kind, name) = match named.iter().find(|(.., other)| *other == id) {
            Some((kind, name, _)) => {
                let at = strings.len();
                strings.extend(name.bytes().chain([0]));
                (*kind, at)
            }
            None => (FWD, 0),
        };
        let name = u32::try_from(name).expect("a few names are short");
        for word in [name, u32::from(kind) << 24, 0] {
            types.extend(word.to_ne_bytes());
        }
    }
    let length = |section: &Vec<u8>| u32::try_from(section.len()).expect("ids have 20 bits");
    let mut blob = 0xeb9f_u16.to_ne_bytes().to_vec();
    blob.extend([1, 0]);
    for word in [24, 0, length(&types), length(&types), length(&strings)] {
        blob.extend(word.to_ne_bytes());
    }
    blob.extend(types);
    blob.extend(strings);
    blob
}

/// One argument of a tracepoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// One of [`kind`].
    pub kind: u8,
    /// Name of its typedef, such as `gfp_t`.
    pub typedef: Option<String>,
}

fn word(bytes: &[u8], at: usize) -> Result<u32, BtfError> {
    let end = at.checked_add(4).ok_or(BtfError::Bounds(at))?;
    let four = bytes.get(at..end).ok_or(BtfError::Bounds(at))?;
    Ok(u32::from_ne_bytes(
        four.try_into().map_err(|_| BtfError::Bounds(at))?,
    ))
}

/// Bytes behind the twelve that every type has.
fn extra(kind: u8, vlen: usize) -> Result<usize, BtfError> {
    Ok(match kind {
        // PTR, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FLOAT, TYPE_TAG
        2 | 7 | 8 | 9 | 10 | 11 | 12 | 16 | 18 => 0,
        // INT, VAR, DECL_TAG
        1 | 14 | 17 => 4,
        // ARRAY
        3 => 12,
        // ENUM, FUNC_PROTO
        6 | 13 => 8 * vlen,
        // STRUCT, UNION, DATASEC, ENUM64
        4 | 5 | 15 | 19 => 12 * vlen,
        other => return Err(BtfError::Kind(other)),
    })
}
