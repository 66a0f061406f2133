//! Which processes the user asked for. Pure.

use crate::units::Tgid;

/// What was asked for. A process is a target when any of these names it.
#[derive(Debug, Clone, Default)]
pub struct Targets {
    /// Globs on the command name, the executable's name and the interpreter's script.
    pub comms: Vec<Glob>,
    /// Process ids.
    pub pids: Vec<Tgid>,
    /// Globs on the executable: a pattern with `/` on its path, else on its name.
    pub exes: Vec<Glob>,
    /// Cgroup paths from a hierarchy's root; their whole subtrees count.
    pub cgroups: Vec<String>,
    /// User ids.
    pub uids: Vec<u32>,
    /// Everything.
    pub all: bool,
}

/// What is known of a process when it is held against the targets.
#[derive(Debug, Clone, Copy, Default)]
pub struct Candidate<'a> {
    /// Its id.
    pub pid: Tgid,
    /// Command name.
    pub comm: &'a str,
    /// Executable, if known.
    pub exe: Option<&'a str>,
    /// Arguments.
    pub args: &'a [String],
    /// User id, if known.
    pub uid: Option<u32>,
    /// Paths of its cgroups, one for each hierarchy, if they were read.
    pub cgroups: &'a [String],
}

impl Targets {
    /// Only pids were asked for: nothing new can ever match.
    pub fn only_pids(&self) -> bool {
        self.comms.is_empty()
            && self.exes.is_empty()
            && self.cgroups.is_empty()
            && self.uids.is_empty()
            && !self.all
    }

    /// Is this one of them?
    pub fn matches(&self, who: &Candidate<'_>) -> bool {
        let exe_name = who.exe.map(base);
        let script = script(who.args).map(base);
        let named = |glob: &Glob| {
            glob.matches(who.comm)
                || exe_name.is_some_and(|name| glob.matches(name))
                || script.is_some_and(|name| glob.matches(name))
        };
        let executed = |glob: &Glob| {
            who.exe
                .is_some_and(|exe| glob.matches(if glob.has_slash() { exe } else { base(exe) }))
        };
        let inside = |wanted: &String| {
            who.cgroups.iter().any(|path| {
                path.strip_prefix(wanted.trim_end_matches('/'))
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        self.all
            || self.pids.contains(&who.pid)
            || who.uid.is_some_and(|uid| self.uids.contains(&uid))
            || self.comms.iter().any(named)
            || self.exes.iter().any(executed)
            || self.cgroups.iter().any(inside)
    }
}

/// The last part of a path.
pub fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The script that an interpreter was given: the first argument that is not an option, when the
/// command is an interpreter. `-m module` counts as the module's name; `-c code` is no script.
pub fn script(args: &[String]) -> Option<&str> {
    const INTERPRETERS: [&str; 12] = [
        "python", "pypy", "perl", "ruby", "node", "bash", "sh", "dash", "zsh", "php", "lua", "java",
    ];
    /// Options of these interpreters that take the next argument with them.
    const WITH_VALUE: [&str; 3] = ["-W", "-X", "-r"];
    let (command, rest) = args.split_first()?;
    let command = base(command);
    if !INTERPRETERS.iter().any(|name| {
        command.strip_prefix(name).is_some_and(|version| {
            version
                .chars()
                .all(|c| c.is_ascii_digit() || c == '.' || c == 't')
        })
    }) {
        return None;
    }
    let mut rest = rest.iter().map(String::as_str);
    while let Some(argument) = rest.next() {
        match argument {
            "-c" | "-e" | "-" => return None,
            "-m" | "-jar" | "--" => return rest.next(),
            option if WITH_VALUE.contains(&option) => {
                rest.next();
            }
            option if option.starts_with('-') => {}
            script => return Some(script),
        }
    }
    None
}

/// A shell pattern: `*`, `?`, `[a-z]`, `[!a-z]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// Takes a pattern as it is; one without metacharacters matches only itself. A `comm` of 15
    /// bytes may be a cut name, so a longer pattern also matches its first 15 bytes.
    pub fn new(pattern: &str) -> Self {
        Self(pattern.to_owned())
    }

    /// The pattern speaks of paths.
    pub fn has_slash(&self) -> bool {
        self.0.contains('/')
    }

    /// The pattern as given.
    pub fn pattern(&self) -> &str {
        &self.0
    }

    /// Does it match all of `text`?
    pub fn matches(&self, text: &str) -> bool {
        let pattern: Vec<char> = self.0.chars().collect();
        let text: Vec<char> = text.chars().collect();
        glob(&pattern, &text) || self.is_cut_name(&text)
    }

    /// The kernel keeps 15 bytes of a command name (`TASK_COMM_LEN` 16 with its NUL).
    fn is_cut_name(&self, text: &[char]) -> bool {
        let text: String = text.iter().collect();
        text.len() == 15 && self.0.len() > 15 && self.0.as_bytes().starts_with(text.as_bytes())
    }
}

/// Iterative, so that a hostile pattern costs at most pattern × text.
fn glob(pattern: &[char], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p + 1, t));
                p += 1;
                continue;
            }
            Some(_) => {
                if let Some(next) = one(pattern, p, text[t]) {
                    p = next;
                    t += 1;
                    continue;
                }
            }
            None => {}
        }
        let Some((after, from)) = retry else {
            return false;
        };
        retry = Some((after, from + 1));
        p = after;
        t = from + 1;
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Matches one character at `pattern[at]`; where the pattern goes on, if it does match.
fn one(pattern: &[char], at: usize, c: char) -> Option<usize> {
    match pattern[at] {
        '?' => Some(at + 1),
        '[' => {
            let close = (at + 2..pattern.len()).find(|i| pattern[*i] == ']');
            let Some(close) = close else {
                return (c == '[').then_some(at + 1);
            };
            let negated = matches!(pattern[at + 1], '!' | '^');
            let set = &pattern[at + 1 + usize::from(negated)..close];
            (in_set(set, c) != negated).then_some(close + 1)
        }
        literal => (literal == c).then_some(at + 1),
    }
}

fn in_set(set: &[char], c: char) -> bool {
    let mut at = 0;
    while at < set.len() {
        if at + 2 < set.len() && set[at + 1] == '-' {
            if (set[at]..=set[at + 2]).contains(&c) {
                return true;
            }
            at += 3;
        } else {
            if set[at] == c {
                return true;
            }
            at += 1;
        }
    }
    false
}

#[cfg(test)]
mod tests;
