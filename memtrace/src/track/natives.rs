//! Stacks that wait for the names of their native frames. Files are read for these, elsewhere: a stack
//! waits for a moment, and goes without them after that. What its process does meanwhile waits behind
//! it: growth belongs to the checkpoint before which it came.

use std::{collections::VecDeque, sync::Arc};

use super::{Life, Output, Track};
use crate::{
    entry::{Entry, Native, Stack as StackEntry, StackWhy, What},
    event::{Address, Ask, Mappings},
    units::{BootNanos, Tgid},
};

/// How long a stack of growth waits.
const GROWTH_NS: u64 = 1_000_000_000;
/// How long one of a kill does, as its report then does.
const KILL_NS: u64 = super::kills::LONGEST_HOLD_NS;
/// Stacks that wait at once. What comes beyond them goes without names.
const MOST: usize = 1024;

/// Those that wait, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Unnamed {
    waiting: VecDeque<Waiting>,
    next: u64,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    until: BootNanos,
    at: BootNanos,
    who: (Tgid, BootNanos),
    /// What is sure without any file: where the thread was.
    innermost: Native,
    stack: Box<StackEntry>,
}

impl Unnamed {
    /// A stack that belongs to the kill of this process is still to be told.
    pub(super) fn concerns(&self, who: (Tgid, BootNanos)) -> bool {
        let mut of_kill = self
            .waiting
            .iter()
            .filter(|waiting| is_of_kill(&waiting.stack));
        of_kill.any(|waiting| waiting.who == who)
    }

    /// When the first stack of this process was taken that is still to be told.
    fn oldest_of(&self, who: (Tgid, BootNanos)) -> Option<BootNanos> {
        let of_it = self.waiting.iter().filter(|waiting| waiting.who == who);
        of_it.map(|waiting| waiting.at).min()
    }

    /// When the first one has waited for long enough.
    pub(super) fn deadline(&self) -> Option<BootNanos> {
        self.waiting.iter().map(|waiting| waiting.until).min()
    }

    fn take(&mut self, is_it: impl Fn(&Waiting) -> bool) -> Option<Waiting> {
        let index = self.waiting.iter().position(is_it)?;
        self.waiting.remove(index)
    }
}

impl Track {
    /// A process runs code from there.
    pub fn mapped(&mut self, pid: Tgid, mappings: Mappings) {
        if let Some(life) = self.lives.get_mut(&pid) {
            // A child's are its parent's until it maps more.
            let is_same = life.mappings.as_deref() == Some(&mappings);
            if !is_same {
                life.mappings = Some(Arc::new(mappings));
            }
        }
    }

    /// The native frames of a stack that [`Output::Name`] asked for.
    pub fn named(&mut self, number: u64, frames: Vec<Native>, out: &mut Vec<Output>) {
        let waiting = self.kills.unnamed.take(|waiting| waiting.number == number);
        if let Some(waiting) = waiting {
            let who = waiting.who;
            self.tell_named(waiting, frames, out);
            self.let_go_on([who], out);
        }
    }

    /// Tells a stack, once its native frames have names.
    pub(super) fn tell_stack(
        &mut self,
        at: BootNanos,
        who: (Tgid, BootNanos),
        (stack, addresses): (StackEntry, Vec<Address>),
        out: &mut Vec<Output>,
    ) {
        let Some(innermost) = addresses.first().map(Address::nameless) else {
            if let Some(life) = self.living_or_held(who) {
                life.tell(at, What::Stack(Box::new(stack)), out);
            }
            return;
        };
        let is_of_kill = is_of_kill(&stack);
        let unnamed = &mut self.kills.unnamed;
        let number = unnamed.next;
        unnamed.next += 1;
        let patience = if is_of_kill { KILL_NS } else { GROWTH_NS };
        let waiting = Waiting {
            number,
            until: BootNanos(at.0.saturating_add(patience)),
            at,
            who,
            innermost,
            stack: Box::new(stack),
        };
        unnamed.waiting.push_back(waiting);
        if unnamed.waiting.len() > MOST {
            self.tell_nameless(|waiting| waiting.number == number, out);
            return;
        }
        if let Some(life) = self.living_or_held(who) {
            life.wait(out);
        }
        out.push(Output::Name(Ask {
            number,
            pid: who.0,
            addresses,
        }));
    }

    /// These have waited for long enough.
    pub(super) fn give_up_naming(&mut self, now: BootNanos, out: &mut Vec<Output>) {
        let told = self.tell_nameless(|waiting| waiting.until <= now, out);
        self.let_go_on(told, out);
    }

    /// This process runs another program: its files are no longer those of its stacks.
    pub(super) fn give_up_naming_of(&mut self, who: (Tgid, BootNanos), out: &mut Vec<Output>) {
        let told = self.tell_nameless(|waiting| waiting.who == who, out);
        self.let_go_on(told, out);
    }

    /// What follows is told behind all stacks of this process. Whoever says what follows lets go of it.
    pub(super) fn tell_unnamed(&mut self, who: (Tgid, BootNanos), out: &mut Vec<Output>) {
        self.tell_nameless(|waiting| waiting.who == who, out);
    }

    /// Likewise, behind those of its growth.
    pub(super) fn tell_unnamed_growth(&mut self, who: (Tgid, BootNanos), out: &mut Vec<Output>) {
        let is_growth = |waiting: &Waiting| waiting.who == who && !is_of_kill(&waiting.stack);
        self.tell_nameless(is_growth, out);
    }

    /// Gives those whose they were.
    fn tell_nameless(
        &mut self,
        which: impl Fn(&Waiting) -> bool,
        out: &mut Vec<Output>,
    ) -> Vec<(Tgid, BootNanos)> {
        let mut told = Vec::new();
        while let Some(waiting) = self.kills.unnamed.take(&which) {
            told.push(waiting.who);
            let frames = vec![waiting.innermost.clone()];
            self.tell_named(waiting, frames, out);
        }
        told
    }

    /// A stack that was told may be all that its life waited for, or the first part of that.
    pub(super) fn let_go_on(
        &mut self,
        told: impl IntoIterator<Item = (Tgid, BootNanos)>,
        out: &mut Vec<Output>,
    ) {
        for who in told {
            if self.kills.concerns(who.0, who.1) {
                continue;
            }
            match self.kills.unnamed.oldest_of(who) {
                None => self.release(who, out),
                Some(oldest) => {
                    if let Some(life) = self.living_or_held(who) {
                        life.resume_until(oldest, out);
                    }
                }
            }
        }
    }

    fn tell_named(&mut self, waiting: Waiting, mut frames: Vec<Native>, out: &mut Vec<Output>) {
        let Waiting {
            at, who, mut stack, ..
        } = waiting;
        if !stack.frames.is_empty() {
            let inner = frames
                .iter()
                .take_while(|frame| !frame.runs_python())
                .count();
            frames.truncate(inner);
        }
        stack.natives = frames;
        if let Some(life) = self.living_or_held(who) {
            let what = What::Stack(stack);
            life.tell_late(Entry { at, what }, out);
        }
    }
}

fn is_of_kill(stack: &StackEntry) -> bool {
    stack.why != StackWhy::Growth
}

impl Life {
    /// What is mapped at the addresses of a stack, if anything is known of the process.
    pub(super) fn addresses(&self, natives: &[u64]) -> Vec<Address> {
        let Some(mappings) = &self.mappings else {
            return Vec::new();
        };
        let natives = natives.iter().take_while(|address| **address != 0);
        natives.map(|address| mappings.find(*address)).collect()
    }
}
