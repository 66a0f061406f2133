//! What the search of what processes map has found.

use std::collections::HashSet;

use super::{Session, notice};
use crate::{
    clock,
    event::{Print, Stream},
    kernel::{finder::News, load::MarkerProgram, python, symbols::program_for},
    loss,
    plan::RunPlan,
    python::layout::Layout,
    units::Tgid,
};

/// What is known of the interpreters of all targets.
#[derive(Debug, Default)]
pub(super) struct Pythons {
    /// One of them can be read.
    found: bool,
    /// One of them was seen to print.
    printed: bool,
    /// Why some cannot be read: what was said already.
    unknown: HashSet<String>,
}

impl Pythons {
    pub(super) fn has_printed(&mut self, print: &Print) {
        self.printed |= matches!(print.stream, Stream::File(_));
    }
}

impl Session {
    /// Searches what a command will run from: it may be quick to set a checkpoint.
    pub(super) fn search_first(&mut self, run: &RunPlan) {
        let Some(executable) = crate::command::executable(run) else {
            return;
        };
        let libraries = match self.plan.prints {
            Some(_) => python::libraries_of(&executable),
            None => Vec::new(),
        };
        for path in std::iter::once(executable).chain(libraries) {
            if let Some(news) = self.finder.search_file(path) {
                self.take_news(news);
            }
        }
    }

    pub(super) fn take_news(&mut self, news: News) {
        match news {
            News::Found {
                file,
                path,
                found,
                python,
            } => {
                let mut checkpoints = false;
                for (found, cookie) in found {
                    let which = match program_for(&found.symbol) {
                        // The user's own marker.
                        MarkerProgram::Printed if self.plan.prints.is_none() => {
                            MarkerProgram::Function
                        }
                        which => which,
                    };
                    let own = match which {
                        MarkerProgram::Printed => self.cookie_of_prints(python.as_deref()),
                        _ => cookie,
                    };
                    let told = own.filter(|_| self.facts.cookies);
                    let attached = self.probes.attach_marker(which, &file, found.offset, told);
                    match attached {
                        Ok(()) => {
                            self.markers_found.extend(cookie);
                            checkpoints |= which != MarkerProgram::Loaded;
                        }
                        Err(error) => {
                            self.marker_trouble(&path, &format!("{:#}", anyhow::Error::new(error)));
                        }
                    }
                    if which == MarkerProgram::Loaded {
                        // What was mapped between the search and now has not been seen.
                        for pid in self.track.traced() {
                            self.finder.search(pid.0, None);
                        }
                    }
                }
                if checkpoints && self.plan.live {
                    let path = crate::text::escape(&path.to_string_lossy());
                    notice(&format!("checkpoints are seen in {path}"));
                }
            }
            News::Python { pid, found } => self.take_python(pid, found),
            News::Mapped { pid, mappings } => {
                if self.probes.takes_stacks() {
                    self.track.mapped(Tgid(pid), mappings);
                }
            }
            News::Named { number, frames } => {
                let mut out = Vec::new();
                self.track.named(number, frames, &mut out);
                self.answer(clock::now(), &mut out);
            }
            News::Nameless { path, error } => {
                let path = crate::text::escape(&path.to_string_lossy());
                notice(&format!(
                    "native functions in {path} have no names: {error}"
                ));
            }
            News::Failed { path, error } => self.marker_trouble(&path, &error),
        }
    }

    /// From now on the Python of this process is read, or none is.
    fn take_python(&mut self, pid: u32, found: Option<Result<Box<python::Found>, python::Error>>) {
        let runtime = match found {
            Some(Ok(found)) => Some(found.runtime),
            // The process is gone, most often; else the notice would be of every one of them.
            None | Some(Err(python::Error::None | python::Error::Memory(_))) => None,
            Some(Err(error)) => {
                self.tell_unknown_python(Tgid(pid), error.to_string());
                None
            }
        };
        // First who has to read what the kernel side then sends.
        let layout = runtime.as_ref().map(|runtime| runtime.layout);
        let anew = self.track.python(Tgid(pid), layout);
        match runtime {
            Some(runtime) => {
                if self.probes.watch_python(pid, &runtime, anew) {
                    self.pythons.found = true;
                } else {
                    self.track.python(Tgid(pid), None);
                }
            }
            None => self.probes.forget_python(pid),
        }
    }

    /// In its log, and the first of its kind on the terminal.
    fn tell_unknown_python(&mut self, pid: Tgid, why: String) {
        const MOST: usize = 100;
        let is_new = self.pythons.unknown.len() < MOST && self.pythons.unknown.insert(why.clone());
        if is_new {
            let prints = match self.plan.prints {
                Some(_) => " and no prints",
                None => "",
            };
            let why = crate::text::escape(&why);
            notice(&format!(
                "no Python stacks{prints} of pid {pid}, nor of others like it: {why}"
            ));
        }
        let (at, mut out) = (clock::now(), Vec::new());
        self.track.unknown_python(at, pid, why, &mut out);
        self.answer(at, &mut out);
    }

    /// By which a probe on what prints knows the Python that it is in; without it each process has to be
    /// looked at first, and prints of its first instant are missed.
    fn cookie_of_prints(&mut self, python: Option<&Layout>) -> Option<u64> {
        let cookie = self.probes.cookie_of_prints(python?);
        self.pythons.found |= cookie.is_some();
        cookie
    }

    fn marker_trouble(&mut self, path: &std::path::Path, error: &str) {
        self.lost.add(loss::Kind::MarkerFile, 1);
        let path = crate::text::escape(&path.to_string_lossy());
        notice(&format!("cannot look for checkpoints in {path}: {error}"));
    }

    /// What was asked for and found in nobody.
    pub(super) fn tell_what_was_not_found(&self) {
        for (cookie, name) in &self.plan.marker_names {
            if !self.markers_found.contains(cookie) {
                notice(&format!("--marker: no target had a function for `{name}`"));
            }
        }
        match self.pythons {
            _ if self.plan.prints.is_none() => {}
            Pythons { found: false, .. } => {
                notice("--prints: no target ran a CPython that is known (3.7 to 3.15)");
            }
            Pythons { printed: false, .. } => notice(
                "--prints: no print was seen; in some builds of CPython (Debian's 3.14 and 3.15) print \
                 does not call PyFile_WriteObject, which is what is watched: use --lines there",
            ),
            Pythons { .. } => {}
        }
    }
}
