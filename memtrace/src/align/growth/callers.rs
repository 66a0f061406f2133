//! For whom a line grew. A helper that allocates for the whole program, and a library's line, say little
//! of who needed the memory: the program's own lines further out do.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{Moved, Place};
use crate::{entry::Frame, units::Delta};

/// A line that called what grew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Where.
    pub frame: Frame,
    /// How much of the growth came from here.
    pub net: Delta,
}

/// A place, and the way to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Path {
    pub(super) place: Place,
    /// The program's own frames further out, the nearest first, each once where it calls itself.
    callers: Arc<[Frame]>,
}

/// The ways to one place, with what grew on each.
#[derive(Debug, Default)]
pub(super) struct Paths<'a>(Vec<(&'a Path, Delta)>);

impl Path {
    /// Callers that are kept: what branches further out is not told apart.
    const KEPT: usize = 12;

    pub(super) fn of(place: Place, frames: &[Frame]) -> Self {
        let mut callers: Vec<Frame> = Vec::new();
        if matches!(place, Place::Code(_)) {
            let own = frames.iter().skip(1).filter(|frame| !frame.is_library());
            for frame in own {
                if callers.len() == Self::KEPT {
                    break;
                }
                if callers.last() != Some(frame) {
                    callers.push(frame.clone());
                }
            }
        }
        Self {
            place,
            callers: callers.into(),
        }
    }
}

/// Sorts ways by the place that they lead to.
pub(super) fn by_place<'a>(
    paths: impl Iterator<Item = (&'a Path, Moved)>,
) -> HashMap<&'a Place, Paths<'a>> {
    let mut places: HashMap<_, Paths<'_>> = HashMap::new();
    for (path, moved) in paths {
        places
            .entry(&path.place)
            .or_default()
            .0
            .push((path, moved.net));
    }
    places
}

impl Paths<'_> {
    /// Callers that are told.
    const TOLD: usize = 3;

    /// Percent of the growth without which a way is not worth telling.
    const SOME: i64 = 10;

    /// The lines behind the last parting of the ways, the heaviest first: further in, helpers serve
    /// many. Of a way that never parts again it is the outermost line before the functions that all ways
    /// come by. Where no ways part there is nothing to tell, unless the place is a library's: then it is
    /// the nearest line of the program itself.
    pub(super) fn callers(&self) -> Vec<Caller> {
        let total = self.0.iter().map(|(_, net)| net.0.max(0)).sum();
        let trunk = self.trunk();
        let mut callers = parted(&self.0, 0, total, &trunk);
        let is_library = self.0.first().is_some_and(|(path, _)| match &path.place {
            Place::Code(frame) => frame.is_library(),
            _ => false,
        });
        if callers.is_empty() && is_library {
            callers = branches(&self.0, 0, total)
                .into_iter()
                .map(|branch| branch.caller)
                .collect();
        }
        callers.sort_by_key(|caller| std::cmp::Reverse(caller.net.0));
        callers.truncate(Self::TOLD);
        callers
    }

    /// The functions that all ways come by.
    fn trunk(&self) -> HashSet<Function<'_>> {
        let mut all = self
            .0
            .iter()
            .map(|(path, _)| path.callers.iter().map(function));
        let first: HashSet<_> = all.next().into_iter().flatten().collect();
        all.fold(first, |common, way| {
            let way: HashSet<_> = way.collect();
            common.intersection(&way).copied().collect()
        })
    }
}

type Function<'a> = (Option<&'a str>, Option<&'a str>);

fn function(frame: &Frame) -> Function<'_> {
    (frame.file.as_deref(), frame.function.as_deref())
}

type Way<'a> = (&'a Path, Delta);

/// The ways that come by one line.
struct Branch<'a> {
    caller: Caller,
    ways: Vec<Way<'a>>,
}

impl Branch<'_> {
    /// Its line before the trunk.
    fn outermost(self, level: usize, trunk: &HashSet<Function<'_>>) -> Caller {
        let further = self
            .ways
            .first()
            .map_or(&[][..], |(path, _)| &path.callers[level..]);
        let own = further.iter().enumerate().take_while(|(at, frame)| {
            let is_theirs = |(path, _): &Way<'_>| path.callers.get(level + at) == Some(*frame);
            !trunk.contains(&function(frame)) && self.ways.iter().all(is_theirs)
        });
        Caller {
            frame: own
                .last()
                .map_or(self.caller.frame, |(_, frame)| frame.clone()),
            net: self.caller.net,
        }
    }
}

/// Where ways part from this level outwards.
fn parted(
    ways: &[Way<'_>],
    level: usize,
    total: i64,
    trunk: &HashSet<Function<'_>>,
) -> Vec<Caller> {
    let branches = branches(ways, level, total);
    // The others part here, though they are not worth telling.
    let parts = branches.iter().any(|branch| branch.ways.len() < ways.len());
    let mut callers: Vec<Caller> = Vec::new();
    for branch in branches {
        let further = parted(&branch.ways, level + 1, total, trunk);
        let further = if further.is_empty() && parts {
            vec![branch.outermost(level, trunk)]
        } else {
            further
        };
        for caller in further {
            // Two helpers may serve the same line.
            match callers.iter_mut().find(|told| told.frame == caller.frame) {
                Some(told) => told.net.0 += caller.net.0,
                None => callers.push(caller),
            }
        }
    }
    callers
}

/// The ways by their line at a level, as far as a line is worth telling.
fn branches<'a>(ways: &[Way<'a>], level: usize, total: i64) -> Vec<Branch<'a>> {
    let mut branches: Vec<Branch<'a>> = Vec::new();
    let mut places: HashMap<&Frame, usize> = HashMap::new();
    for &(path, net) in ways {
        let Some(frame) = path.callers.get(level) else {
            continue;
        };
        let place = *places.entry(frame).or_insert(branches.len());
        if place == branches.len() {
            branches.push(Branch {
                caller: Caller {
                    frame: frame.clone(),
                    net: Delta(0),
                },
                ways: Vec::new(),
            });
        }
        branches[place].caller.net.0 += net.0;
        branches[place].ways.push((path, net));
    }
    branches.retain(|Branch { caller, .. }| {
        caller.net.0 > 0
            && i128::from(caller.net.0) * 100 >= i128::from(total) * i128::from(Paths::SOME)
    });
    branches
}
