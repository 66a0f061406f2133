//! What several targets ask of what they are given.

/// Asserts that a text can neither break a line nor fool a terminal.
pub fn assert_plain(text: &str) {
    let foul = text.chars().find(|c| {
        let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        *c != '\n' && (c.is_control() || turns)
    });
    assert_eq!(foul, None, "in {text:?}");
}

/// Parts of an input, each a text: 0xff is no byte of UTF-8 and stands between them.
pub fn texts(data: &[u8]) -> impl Iterator<Item = String> {
    data.split(|byte| *byte == 0xff)
        .map(|part| String::from_utf8_lossy(part).into_owned())
}
