//! CPython's strings (`PyUnicodeObject`, compact ones, which is what code objects have).

/// Bits of a string's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateBits {
    /// Where the three bits of its kind are.
    pub kind: u8,
    /// Where the bit that says it is ASCII is.
    pub ascii: u8,
}

/// How a string's characters are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Bytes of a character: 1 (Latin-1), 2 or 4.
    pub width: u8,
    /// All are ASCII, and lie behind the shorter header.
    pub ascii: bool,
}

impl StateBits {
    /// The kind that a state tells; nothing if it is none.
    pub fn kind(self, state: u32) -> Option<Kind> {
        let width = u8::try_from(state >> self.kind & 7).ok()?;
        let ascii = state >> self.ascii & 1 == 1;
        let sound = matches!((width, ascii), (1, _) | (2 | 4, false));
        sound.then_some(Kind { width, ascii })
    }
}

impl Kind {
    /// The text that these bytes are. What is no character is replaced.
    pub fn decode(self, bytes: &[u8]) -> String {
        let character = |value: u32| char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER);
        match self.width {
            1 => bytes.iter().map(|byte| char::from(*byte)).collect(),
            2 => bytes
                .chunks_exact(2)
                .map(|two| character(u32::from(u16::from_le_bytes([two[0], two[1]]))))
                .collect(),
            _ => bytes
                .chunks_exact(4)
                .map(|four| character(u32::from_le_bytes([four[0], four[1], four[2], four[3]])))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, StateBits};

    const USUAL: StateBits = StateBits { kind: 2, ascii: 6 };

    #[test]
    fn characters_of_each_width_are_read() {
        let kind = |width| Kind {
            width,
            ascii: false,
        };
        assert_eq!(kind(1).decode(b"caf\xe9"), "café");
        assert_eq!(kind(2).decode(&[0xa0, 0x52, 0x7d, 0x8f]), "加载");
        assert_eq!(
            kind(4).decode(&[0x80, 0xf4, 0x01, 0, 0, 0xd8, 0, 0]),
            "💀\u{fffd}"
        );
    }

    #[test]
    fn a_state_that_is_none_is_refused() {
        let state = |width: u32, ascii: u32| USUAL.kind(width << 2 | ascii << 6);
        assert!(state(1, 1).is_some_and(|kind| kind.ascii));
        assert!(state(4, 0).is_some());
        assert_eq!((state(0, 0), state(3, 0), state(2, 1)), (None, None, None));
    }
}
