//! A program of `tests/battery` and what it says of itself: where it dies, and what it needs.
//!
//! Its first lines are comments. Those that begin with `#!` are the declaration; the line that
//! allocates ends in `#! here`, and a line that ends in `#! times N` stands N times in what is run,
//! `{n}` in it being its number.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::live::rig;

/// A minor version of Python 3.
pub(super) type Minor = u32;

/// Functions have qualified names since then.
const QUALIFIED: Minor = 11;

const HERE: &str = "#! here";
const TIMES: &str = "#! times ";

/// One program, staged.
#[derive(Debug, Default)]
pub(super) struct Program {
    /// Its path below `tests/battery`.
    pub(super) name: String,
    /// What follows the interpreter on its command line.
    pub(super) args: Vec<String>,
    /// `co_filename` of the line that allocates.
    pub(super) file: String,
    pub(super) line: u32,
    /// Qualified names, each from a version on.
    functions: Vec<(Minor, String)>,
    /// Functions that must be further out on the stack.
    callers: Vec<String>,
    /// The pages are touched in a library: it is the innermost frame in `file` that counts.
    pub(super) own_file: bool,
    /// Its stack may be too deep to be had to its end.
    pub(super) deep: bool,
    /// Modules that not every interpreter has.
    pub(super) needs: Vec<String>,
    /// The first version that can run it.
    pub(super) since: Minor,
    pub(super) limit_mib: u64,
}

impl Program {
    /// What this version calls the function that allocates.
    pub(super) fn function(&self, minor: Minor) -> &str {
        let known = self.functions.iter();
        let named = known
            .filter(|(since, _)| *since <= minor.max(QUALIFIED))
            .max_by_key(|(since, _)| *since);
        let (_, name) = named.expect("checked when it was read");
        as_called(name, minor)
    }

    /// What this version calls those further out.
    pub(super) fn callers(&self, minor: Minor) -> impl Iterator<Item = &str> {
        self.callers.iter().map(move |name| as_called(name, minor))
    }
}

/// Before 3.11 a code object knows the last part of its name alone.
fn as_called(name: &str, minor: Minor) -> &str {
    match name.rsplit_once('.') {
        Some((_, last)) if minor < QUALIFIED => last,
        _ => name,
    }
}

/// Copies all programs to a directory, so that no interpreter writes its caches beside the sources,
/// and reads what they declare.
pub(super) fn stage(to: &Path) -> Vec<Program> {
    let from = rig::root().join("tests/battery");
    let mut files = Vec::new();
    collect(&from, &mut files);
    files.sort();
    for file in &files {
        let copy = to.join(file.strip_prefix(&from).expect("it was found there"));
        let dir = copy.parent().expect("it lies in a directory");
        fs::create_dir_all(dir).expect("a directory can be made");
        fs::write(&copy, expanded(&text_of(file))).expect("a program can be written");
    }
    let names = files.iter().map(|file| file.strip_prefix(&from));
    names
        .filter_map(|name| read(to, name.expect("it was found there")))
        .collect()
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("the battery is there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "py") {
            files.push(path);
        }
    }
}

fn text_of(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("read {}: {error}", file.display()))
}

fn expanded(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let (line, times) = match line.split_once(TIMES) {
            Some((line, times)) => (line.trim_end(), times.parse().expect("a number")),
            None => (line, 1),
        };
        for number in 0..times {
            out.push_str(&line.replace("{n}", &number.to_string()));
            out.push('\n');
        }
    }
    out
}

/// What a staged file declares; nothing if it is a part of another program.
fn read(stage: &Path, name: &Path) -> Option<Program> {
    let path = stage.join(name);
    let text = text_of(&path);
    let body = text.lines().skip_while(|line| line.starts_with('#'));
    let mut program = Program {
        name: name.to_string_lossy().into_owned(),
        args: vec![path.to_string_lossy().into_owned()],
        file: path.to_string_lossy().into_owned(),
        limit_mib: 80,
        ..Program::default()
    };
    for line in text.lines().take_while(|line| line.starts_with('#')) {
        let Some(said) = line.strip_prefix("#! ") else {
            continue;
        };
        match said.split_once(": ").unwrap_or((said, "")) {
            ("run", "-c") => {
                let body: Vec<&str> = body.clone().collect();
                program.args = vec!["-c".to_owned(), body.join("\n")];
            }
            ("run", args) => program.args = args.split(' ').map(str::to_owned).collect(),
            ("file", file) if file.starts_with('<') => file.clone_into(&mut program.file),
            ("file", file) => program.file = stage.join(file).to_string_lossy().into_owned(),
            ("line", line) => program.line = line.parse().expect("a line"),
            ("caller", caller) => program.callers.push(caller.to_owned()),
            ("own-file", "") => program.own_file = true,
            ("deep", "") => program.deep = true,
            ("needs", module) => program.needs.push(module.to_owned()),
            ("min", version) => program.since = minor(version),
            ("limit", mib) => program.limit_mib = mib.parse().expect("a number of MiB"),
            (key, value) => match key.split_once(' ').unwrap_or((key, "3.0")) {
                ("function", since) => program.functions.push((minor(since), value.to_owned())),
                _ => panic!("{}: {line}: no such declaration", program.name),
            },
        }
    }
    if program.functions.is_empty() {
        return None;
    }
    if program.line == 0 {
        program.line = marked(&program.file);
    }
    Some(program)
}

/// `3.8` → 8
fn minor(version: &str) -> Minor {
    let minor = version.strip_prefix("3.");
    let minor = minor.and_then(|minor| minor.parse().ok());
    minor.unwrap_or_else(|| panic!("{version}: no version of Python 3"))
}

/// The one line of a file that is marked.
fn marked(file: &str) -> u32 {
    let text = text_of(Path::new(file));
    let lines = (1..).zip(text.lines());
    let marked: Vec<u32> = lines
        .filter(|(_, line)| line.ends_with(HERE))
        .map(|(number, _)| number)
        .collect();
    assert_eq!(marked.len(), 1, "{file}: the lines that end in `{HERE}`");
    marked[0]
}
