//! What one file may hold up: a mount whose server is dead answers never, and whoever reads from
//! it stands still for as long. The thread is left to itself then, and another goes on without
//! that mount.

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How long one file may take. The largest on a slow disk take seconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// The same in looks, one a second: a memtrace that was stopped itself has not waited.
const LOOKS: u32 = 15;
/// Threads that are left standing. Each is a mount; who has more of them hides what is in them.
const MOST_STUCK: u32 = 16;

/// Files that could not be looked at and are told, one by one.
const MOST_TOLD: usize = 10_000;

/// A file as `/proc/PID/maps` names it: device, inode and path, none of which asks the file itself.
/// Where only a path is known the rest is zero.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) device: (i32, i32),
    pub(super) inode: u64,
    pub(super) path: PathBuf,
}

impl Place {
    pub(super) fn of_path(path: &Path) -> Self {
        Self {
            device: (0, 0),
            inode: 0,
            path: path.to_owned(),
        }
    }

    /// Is this one on the mount of that one?
    fn hangs_with(&self, stuck: &Self) -> bool {
        match stuck.device {
            (0, 0) => self.path == stuck.path,
            device => self.device == device,
        }
    }
}

/// Whether a file may be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entrance {
    /// It may.
    Free,
    /// It would hang, as something beside it does.
    Hangs,
    /// Another thread has taken over.
    TakenOver,
}

/// Which of the threads that there have been.
pub(super) type Turn = u32;

#[derive(Debug, Default)]
struct State {
    /// The thread that is at work; those before it are stuck, or were.
    turn: Turn,
    /// What it looks at, and how often it has been seen at it.
    at: Option<(Place, u32)>,
    /// Processes to be searched, and what each executed.
    pids: BTreeMap<u32, Option<PathBuf>>,
    /// The process that is being searched.
    current: Option<(u32, Option<PathBuf>)>,
    stuck: BTreeMap<Turn, Place>,
    /// Files by device and inode that have been searched.
    known: HashSet<(u64, u64)>,
    told: HashSet<Place>,
}

/// What the thread at work, those that are stuck, and whoever looks after them share.
#[derive(Debug, Default)]
pub(super) struct Shared(Mutex<State>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing is half done where it may panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a process to be searched; false if it is waiting already.
    pub(super) fn add(&self, pid: u32, executable: Option<PathBuf>) -> bool {
        self.lock().pids.insert(pid, executable).is_none()
    }

    /// The next process to be searched; none is left, or another thread has taken over.
    pub(super) fn next(&self, turn: Turn) -> Option<(u32, Option<PathBuf>)> {
        let mut state = self.lock();
        if state.turn != turn {
            return None;
        }
        state.current = state.pids.pop_first();
        state.current.clone()
    }

    /// Notes what is about to be looked at, if it may be.
    pub(super) fn enter(&self, turn: Turn, place: &Place) -> Entrance {
        let mut state = self.lock();
        if state.turn != turn {
            return Entrance::TakenOver;
        }
        if state.stuck.values().any(|stuck| place.hangs_with(stuck)) {
            return Entrance::Hangs;
        }
        state.at = Some((place.clone(), 0));
        Entrance::Free
    }

    /// It has been looked at. A mount that answers again may be asked again.
    pub(super) fn leave(&self, turn: Turn) {
        let mut state = self.lock();
        state.stuck.remove(&turn);
        if state.turn == turn {
            state.at = None;
        }
    }

    /// True if this file was not known before.
    pub(super) fn learn(&self, id: (u64, u64)) -> bool {
        self.lock().known.insert(id)
    }

    /// True if this was not told before: what cannot be looked at is met again and again.
    pub(super) fn tell(&self, place: &Place) -> bool {
        let mut state = self.lock();
        state.told.len() < MOST_TOLD && state.told.insert(place.clone())
    }

    /// Once a second: gives up on a thread that has looked at one file for too long. That file, and
    /// the turn of the thread that is to go on, if there may be one more.
    pub(super) fn give_up(&self) -> Option<(PathBuf, Option<Turn>)> {
        let mut state = self.lock();
        let (_, looks) = state.at.as_mut()?;
        *looks += 1;
        if *looks < LOOKS {
            return None;
        }
        let (place, _) = state.at.take()?;
        let path = place.path.clone();
        let turn = state.turn;
        state.stuck.insert(turn, place);
        state.turn += 1;
        // What else the process maps is still to be searched.
        let current = state.current.take();
        state.pids.extend(current);
        let next = state.turn;
        let may = u32::try_from(state.stuck.len()).is_ok_and(|stuck| stuck <= MOST_STUCK);
        Some((path, may.then_some(next)))
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{Entrance, LOOKS, MOST_STUCK, Place, Shared, Turn};

    fn place(device: i32, path: &str) -> Place {
        Place {
            device: (0, device),
            inode: 1,
            path: path.into(),
        }
    }

    fn lose_patience(shared: &Shared) -> (PathBuf, Option<Turn>) {
        let given_up = (0..LOOKS).find_map(|_| shared.give_up());
        given_up.expect("it has been looked at for long")
    }

    #[test]
    fn a_file_that_never_answers_costs_its_mount_and_nobody_else() {
        let shared = Shared::default();
        assert!(shared.add(7, None) && shared.add(8, Some("/a".into())));
        assert!(!shared.add(7, None));
        assert_eq!(shared.next(0), Some((7, None)));
        assert_eq!(shared.enter(0, &place(40, "/dead/x")), Entrance::Free);
        assert_eq!(shared.give_up(), None);
        assert_eq!(lose_patience(&shared), ("/dead/x".into(), Some(1)));
        assert_eq!(shared.give_up(), None);
        // The next one does both processes, but not that mount.
        assert_eq!(shared.next(0), None);
        assert_eq!(shared.next(1), Some((7, None)));
        assert_eq!(shared.enter(1, &place(40, "/dead/y")), Entrance::Hangs);
        assert_eq!(shared.enter(1, &place(41, "/alive")), Entrance::Free);
        shared.leave(1);
        assert_eq!(shared.next(1), Some((8, Some(PathBuf::from("/a")))));
        // Once it answers it may be asked again.
        shared.leave(0);
        assert_eq!(shared.enter(1, &place(40, "/dead/y")), Entrance::Free);
    }

    #[test]
    fn where_only_the_path_is_known_only_that_is_avoided() {
        let shared = Shared::default();
        assert_eq!(
            shared.enter(0, &Place::of_path(Path::new("/dead"))),
            Entrance::Free
        );
        lose_patience(&shared);
        assert_eq!(
            shared.enter(1, &Place::of_path(Path::new("/dead"))),
            Entrance::Hangs
        );
        assert_eq!(
            shared.enter(1, &Place::of_path(Path::new("/alive"))),
            Entrance::Free
        );
    }

    #[test]
    fn the_number_of_threads_that_stand_has_a_bound() {
        let shared = Shared::default();
        let mut turn = 0;
        for device in 1.. {
            assert_eq!(shared.enter(turn, &place(device, "/dead")), Entrance::Free);
            match lose_patience(&shared) {
                (_, Some(next)) => turn = next,
                (_, None) => break,
            }
        }
        assert_eq!(turn, MOST_STUCK);
    }
}
