//! Which printed lines are checkpoints, and what those are called. Pure.

use regex::Regex;

/// Most bytes of a name; longer ones are cut.
pub const MOST_NAME: usize = 200;

/// The groups of a pattern that mean something.
const GROUPS: [&str; 2] = ["name", "details"];

/// Every line that is not empty, or those that match a pattern.
#[derive(Debug, Clone, Default)]
pub struct Naming(Option<Regex>);

/// What a line is called as a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The name, cut if it is long.
    pub name: String,
    /// It was cut.
    pub is_cut: bool,
    /// Details.
    pub details: Option<String>,
}

/// Why a pattern is none.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// It cannot be read; the text shows where.
    #[error("{0}")]
    Regex(#[from] regex::Error),
    /// It has a group that means nothing.
    #[error(
        "the group `{0}` means nothing: (?P<name>…) is the checkpoint's name, (?P<details>…) its details"
    )]
    Group(String),
}

impl Naming {
    /// By a pattern; without one, every line.
    pub fn new(pattern: Option<&str>) -> Result<Self, PatternError> {
        let regex = pattern.map(Regex::new).transpose()?;
        let mut names = regex.iter().flat_map(Regex::capture_names).flatten();
        match names.find(|name| !GROUPS.contains(name)) {
            Some(other) => Err(PatternError::Group(other.to_owned())),
            None => Ok(Self(regex)),
        }
    }

    /// What a line is called; nothing if it is no checkpoint. A name is the group of that name where it
    /// holds something, else the line. `is_cut`: the line goes on behind what is known of it.
    pub fn name(&self, line: &str, is_cut: bool) -> Option<Named> {
        let line = line.trim();
        if line.is_empty() {
            return None;
        }
        let Some(regex) = &self.0 else {
            return Some(named(line, is_cut, None));
        };
        let groups = regex.captures(line)?;
        let group = |name| {
            let text = groups.name(name)?.as_str().trim();
            (!text.is_empty()).then_some(text)
        };
        let details = group("details").map(|details| cut(details).to_owned());
        Some(match group("name") {
            Some(name) => named(name, false, details),
            None => named(line, is_cut, details),
        })
    }
}

fn named(name: &str, is_cut: bool, details: Option<String>) -> Named {
    let kept = cut(name);
    Named {
        name: kept.to_owned(),
        is_cut: is_cut || kept.len() < name.len(),
        details,
    }
}

/// At most [`MOST_NAME`] bytes, and no half character.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(MOST_NAME);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::{MOST_NAME, Naming};

    fn name(pattern: Option<&str>, line: &str) -> Option<(String, Option<String>)> {
        let named = Naming::new(pattern).unwrap().name(line, false)?;
        Some((named.name, named.details))
    }

    #[test]
    fn without_a_pattern_every_line_is_a_checkpoint_but_for_empty_ones() {
        assert_eq!(
            name(None, "  【Phase 1: 客观机会识别】\t"),
            Some(("【Phase 1: 客观机会识别】".to_owned(), None))
        );
        assert_eq!(name(None, " \t"), None);
    }

    #[test]
    fn a_pattern_chooses_lines_and_its_groups_the_name() {
        let phases = Some("^【");
        assert_eq!(
            name(phases, "【加载】 42 条"),
            Some(("【加载】 42 条".to_owned(), None))
        );
        assert_eq!(name(phases, "加载"), None);
        let groups = Some(r"^【(?P<name>[^】]*)】\s*(?P<details>.*)$");
        assert_eq!(
            name(groups, "【加载】 42 条"),
            Some(("加载".to_owned(), Some("42 条".to_owned())))
        );
        // A group that holds nothing chooses nothing.
        assert_eq!(name(groups, "【】"), Some(("【】".to_owned(), None)));
        assert_eq!(
            name(Some("(?:Phase (?P<name>\\d))|Done"), "Done"),
            Some(("Done".to_owned(), None))
        );
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let long = "客".repeat(MOST_NAME);
        let named = Naming::default().name(&long, false).unwrap();
        assert_eq!((named.name.len(), named.is_cut), (198, true));
        let named = Naming::default().name("客", true).unwrap();
        assert_eq!((named.name.as_str(), named.is_cut), ("客", true));
    }

    #[test]
    fn a_broken_pattern_is_told_with_its_place() {
        let error = |pattern| Naming::new(Some(pattern)).unwrap_err().to_string();
        let unclosed = error("【(");
        assert!(
            unclosed.contains("【(\n") && unclosed.contains("unclosed group"),
            "{unclosed}"
        );
        assert!(error("(?P<phase>x)").starts_with("the group `phase` means nothing"));
    }
}
