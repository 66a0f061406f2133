//! Writes small BTF blobs for tests.

use super::kind;

/// A blob under construction. Types get the ids 1, 2, 3, … in the order in which they are added.
#[derive(Debug, Clone)]
pub(crate) struct Blob {
    types: Vec<u8>,
    strings: Vec<u8>,
    last: u32,
}

impl Blob {
    pub(crate) fn new() -> Self {
        Self {
            types: Vec::new(),
            strings: vec![0],
            last: 0,
        }
    }

    fn words(&mut self, words: &[u32]) {
        for word in words {
            self.types.extend(word.to_ne_bytes());
        }
    }

    /// Where this text is among the strings.
    pub(crate) fn text(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let at = u32::try_from(self.strings.len()).unwrap();
        self.strings.extend(text.as_bytes());
        self.strings.push(0);
        at
    }

    /// A type of any kind: what stands in its twelve bytes, and the words behind them.
    pub(crate) fn raw(&mut self, name: u32, info: u32, size_or_id: u32, rest: &[u32]) -> u32 {
        self.words(&[name, info, size_or_id]);
        self.words(rest);
        self.last += 1;
        self.last
    }

    fn add(&mut self, name: &str, kind: u8, vlen: usize, size_or_id: u32, rest: &[u32]) -> u32 {
        let name = self.text(name);
        let info = (u32::from(kind) << 24) | u32::try_from(vlen).unwrap();
        self.raw(name, info, size_or_id, rest)
    }

    pub(crate) fn int(&mut self, name: &str) -> u32 {
        self.add(name, kind::INT, 0, 4, &[32])
    }

    /// A type that is another one in new clothes: pointer, typedef, const, ….
    pub(crate) fn of(&mut self, kind: u8, name: &str, id: u32) -> u32 {
        self.add(name, kind, 0, id, &[])
    }

    pub(crate) fn array(&mut self, of: u32, length: u32) -> u32 {
        self.add("", 3, 0, 0, &[of, of, length])
    }

    /// A struct or union; each member with the byte where it is.
    pub(crate) fn structure(
        &mut self,
        kind: u8,
        name: &str,
        size: u32,
        members: &[(&str, u32, u32)],
    ) -> u32 {
        let mut rest = Vec::new();
        for (name, id, byte) in members {
            rest.extend([self.text(name), *id, byte * 8]);
        }
        self.add(name, kind, members.len(), size, &rest)
    }

    pub(crate) fn enumeration(&mut self, name: &str, values: &[(&str, u32)]) -> u32 {
        let mut rest = Vec::new();
        for (name, value) in values {
            rest.extend([self.text(name), *value]);
        }
        self.add(name, kind::ENUM, values.len(), 4, &rest)
    }

    /// `btf_trace_NAME`: a typedef of a pointer to a function with `void *__data` and these.
    pub(crate) fn tracepoint(&mut self, name: &str, arguments: &[u32]) -> u32 {
        let data = self.of(kind::PTR, "", 0);
        let mut rest = vec![0, data];
        for id in arguments {
            rest.extend([0, *id]);
        }
        let proto = self.add("", kind::FUNC_PROTO, arguments.len() + 1, 0, &rest);
        let pointer = self.of(kind::PTR, "", proto);
        self.of(kind::TYPEDEF, &format!("btf_trace_{name}"), pointer)
    }

    pub(crate) fn finish(&self) -> Vec<u8> {
        let (types, strings) = (self.types.len(), self.strings.len());
        let mut blob = Vec::new();
        blob.extend(0xeb9f_u16.to_ne_bytes());
        blob.extend([1, 0]);
        for word in [24, 0, types, types, strings] {
            blob.extend(u32::try_from(word).unwrap().to_ne_bytes());
        }
        blob.extend(&self.types);
        blob.extend(&self.strings);
        blob
    }
}
