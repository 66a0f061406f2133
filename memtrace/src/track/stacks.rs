//! Stacks of traced lives: frames get names, growth is counted from stack to stack.

use super::{Life, Output, Track, codes::Codes};
use crate::{
    entry::{PythonState, Stack as StackEntry, StackWhy, What},
    event::{Code, Lines, Stack},
    python::layout::Layout,
    units::{BootNanos, Tgid},
};

impl Track {
    /// A process runs a Python that is like this, or none that is known. True if that is news: then
    /// nothing is known of its code objects.
    pub fn python(&mut self, pid: Tgid, layout: Option<Layout>) -> bool {
        let Some(life) = self.lives.get_mut(&pid) else {
            return true;
        };
        let is_known = life.codes.as_ref().map(|codes| codes.layout()) == layout;
        if !is_known {
            life.codes = layout.map(|layout| Box::new(Codes::new(layout)));
        }
        !is_known
    }

    /// A process runs a Python whose stacks cannot be read. It is looked at again and again, and told
    /// once.
    pub fn unknown_python(&mut self, at: BootNanos, pid: Tgid, why: String, out: &mut Vec<Output>) {
        if let Some(life) = self.lives.get_mut(&pid)
            && !std::mem::replace(&mut life.python_unknown, true)
        {
            life.tell(at, What::UnknownPython { why }, out);
        }
    }

    /// The child's memory is a copy of its parent's, with the same Python and the same code at the same
    /// addresses.
    pub(super) fn inherit_code(&mut self, parent: Tgid, child: Tgid) {
        let parent = self.lives.get(&parent);
        let layout = parent.and_then(|life| life.codes.as_ref().map(|codes| codes.layout()));
        let mappings = parent.and_then(|life| life.mappings.clone());
        self.python(child, layout);
        if let Some(life) = self.lives.get_mut(&child) {
            life.mappings = mappings;
        }
    }

    pub(super) fn code(&mut self, code: Code) {
        if let Some(codes) = self.codes((code.pid, code.started)) {
            codes.add(code);
        }
    }

    pub(super) fn lines(&mut self, lines: &Lines) {
        if let Some(codes) = self.codes((lines.pid, lines.started)) {
            codes.add_lines(lines);
        }
    }

    fn codes(&mut self, who: (Tgid, BootNanos)) -> Option<&mut Codes> {
        let life = self.living_or_held(who)?;
        life.codes.as_deref_mut()
    }

    pub(super) fn stack(&mut self, at: BootNanos, stack: Stack, out: &mut Vec<Output>) {
        if stack.why != StackWhy::Growth {
            self.kills.stack_came(at, (stack.pid, stack.started));
        }
        let Some(life) = self.living_or_held((stack.pid, stack.started)) else {
            return;
        };
        let moved = stack.rss.map(|rss| life.moved_to(rss));
        // A child that was forked before its parent's Python was found, or a program that brings its
        // Python late.
        if stack.python == PythonState::Unknown && !life.asked_again {
            life.asked_again = true;
            out.push(Output::Discover(stack.pid));
        }
        let frames = life.codes.as_ref().map_or_else(Vec::new, |codes| {
            stack
                .frames
                .iter()
                .map(|frame| codes.frame(*frame))
                .collect()
        });
        // What grew under a Python line is that line's.
        let is_shown = stack.why != StackWhy::Growth || stack.python == PythonState::Unknown;
        let natives: &[u64] = if is_shown { &stack.natives } else { &[] };
        let addresses = life.addresses(natives);
        let entry = StackEntry {
            why: stack.why,
            tid: stack.tid,
            comm: stack.comm,
            moved,
            frames,
            omitted: stack.omitted,
            python: stack.python,
            natives: Vec::new(),
        };
        let who = (stack.pid, stack.started);
        self.tell_stack(at, who, (entry, addresses), out);
    }

    /// The life of this very process, also one that has ended and waits for its kill.
    pub(super) fn living_or_held(&mut self, who: (Tgid, BootNanos)) -> Option<&mut Life> {
        let is_it = |life: &Life| (life.pid, life.started) == who;
        match self.lives.get_mut(&who.0) {
            Some(life) if is_it(life) => Some(life),
            _ => self.kills.held_life(who),
        }
    }
}
