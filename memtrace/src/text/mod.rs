//! Text that came from somebody else: shown so that it cannot forge a line, read back exactly,
//! and measured in terminal columns. Knows nothing about logs.
//!
//! # Escapes
//!
//! `\` is written `\\`, always, so that an escape can never be mistaken for what a program gave.
//! Line feed, carriage return and tab are `\n`, `\r`, `\t`; other control characters below U+0100
//! are `\x1b` (two hex digits); line and paragraph separators and the characters that change the
//! direction of text are `\u{202e}`. Everything else, Chinese included, stays as it is.
#![forbid(unsafe_code)]

use std::{borrow::Cow, fmt::Write as _};

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

#[cfg(test)]
mod tests;

/// `text` with everything escaped that could break a line or fool a terminal.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        push_escaped(&mut out, c);
    }
    out
}

/// A line of somebody else's file, so that it cannot fool a terminal: [`escape`]d but for `\\` and
/// tabs, which are escapes and indentation already.
pub fn tame(line: &str) -> Cow<'_, str> {
    let is_wild = |c: char| c != '\t' && (c.is_control() || changes_layout(c));
    if !line.contains(is_wild) {
        return Cow::Borrowed(line);
    }
    let mut out = String::with_capacity(line.len());
    for c in line.chars() {
        if is_wild(c) {
            push_escaped(&mut out, c);
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// A checkpoint's name as it stands between its brackets: [`escape`]d, and a `]` that would read
/// as the end of the name (`] RSS=`) is `\x5d`. Any other `]` stays.
pub fn escape_name(name: &str) -> String {
    escape(name).replace("] RSS=", "\\x5d RSS=")
}

/// What [`escape`] and [`escape_name`] were given. A sequence that neither of them writes stays as
/// it is, so that the text of an older log, which has no escapes, survives as far as it can.
pub fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('\\') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        if let Some((c, length)) = escaped_char(rest) {
            out.push(c);
            rest = &rest[length..];
        } else {
            out.push('\\');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    out
}

/// Terminal columns that `text` takes: two for a Chinese character.
pub fn width(text: &str) -> usize {
    text.width()
}

/// `text` and as many spaces as fill `columns`.
pub fn pad(text: &str, columns: usize) -> String {
    let spaces = columns.saturating_sub(width(text));
    format!("{text}{:spaces$}", "")
}

/// `text`, or its beginning and `…` where it takes more than `columns`.
pub fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > columns {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

fn push_escaped(out: &mut String, c: char) {
    match c {
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        _ if c.is_control() => push_code(out, format_args!("\\x{:02x}", u32::from(c))),
        _ if changes_layout(c) => push_code(out, format_args!("\\u{{{:x}}}", u32::from(c))),
        _ => out.push(c),
    }
}

fn push_code(out: &mut String, code: std::fmt::Arguments<'_>) {
    out.write_fmt(code)
        .expect("a string takes all that is written to it");
}

/// Line and paragraph separator, and every character that changes the direction of text.
fn changes_layout(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// The character that the escape at the start of `text` stands for, and the length of the escape.
fn escaped_char(text: &str) -> Option<(char, usize)> {
    let after = text.strip_prefix('\\')?;
    let (c, length) = match after.chars().next()? {
        '\\' => ('\\', 2),
        'n' => ('\n', 2),
        'r' => ('\r', 2),
        't' => ('\t', 2),
        'x' => (hex_char(after.get(1..3)?)?, 4),
        'u' => {
            let digits = after.strip_prefix("u{")?.split_once('}')?.0;
            (hex_char(digits)?, digits.len() + 4)
        }
        _ => return None,
    };
    // Only what the escaper writes counts as an escape.
    let mut written = String::new();
    push_escaped(&mut written, c);
    let ours = text.starts_with(&written) || text.starts_with("\\x5d");
    ours.then_some((c, length))
}

fn hex_char(digits: &str) -> Option<char> {
    let plain = digits.len() <= 6 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    char::from_u32(u32::from_str_radix(digits, 16).ok().filter(|_| plain)?)
}
