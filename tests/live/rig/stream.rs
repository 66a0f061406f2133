//! What another process prints, read as it comes.

use std::{
    io::Read,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Instant,
};

use super::patience;

#[derive(Debug, Default)]
struct State {
    text: Vec<u8>,
    closed: bool,
}

/// Everything that was printed so far, and a place up to which lines were taken.
#[derive(Debug)]
pub(in crate::live) struct Stream {
    name: &'static str,
    state: Arc<(Mutex<State>, Condvar)>,
    taken: usize,
    reader: Option<JoinHandle<()>>,
}

impl Stream {
    /// Reads to the end on a thread of its own.
    pub(super) fn read(name: &'static str, mut source: impl Read + Send + 'static) -> Self {
        let state = Arc::new((Mutex::new(State::default()), Condvar::new()));
        let shared = Arc::clone(&state);
        let reader = thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            loop {
                let count = source.read(&mut buffer).unwrap_or(0);
                let mut state = shared.0.lock().expect("no reader panics");
                state.text.extend_from_slice(&buffer[..count]);
                state.closed |= count == 0;
                shared.1.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        Self {
            name,
            state,
            taken: 0,
            reader: Some(reader),
        }
    }

    /// The first line that is as wanted, among those printed already or to come.
    #[track_caller]
    pub(in crate::live) fn wait_for(&self, wanted: impl Fn(&str) -> bool) -> String {
        self.wait(|text| {
            let lines = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
            lines.lines().find(|line| wanted(line)).map(str::to_owned)
        })
    }

    /// The next line that nobody has taken yet.
    #[track_caller]
    pub(in crate::live) fn next_line(&mut self) -> String {
        let taken = self.taken;
        let line = self.wait(|text| {
            let rest = &text[taken..];
            rest.find('\n').map(|end| rest[..end].to_owned())
        });
        self.taken += line.len() + 1;
        line
    }

    #[track_caller]
    fn wait(&self, find: impl Fn(&str) -> Option<String>) -> String {
        let end = Instant::now() + patience();
        let mut state = self.lock();
        loop {
            // Victims and memtrace print UTF-8; a character that is not whole yet is no line yet.
            let text = String::from_utf8_lossy(&state.text).into_owned();
            if let Some(found) = find(&text) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(
                !state.closed && !left.is_zero(),
                "waited in vain for a line on {}; it said:\n{text}",
                self.name
            );
            state = self
                .state
                .1
                .wait_timeout(state, left)
                .expect("no reader panics")
                .0;
        }
    }

    /// All of it, once the other end is closed.
    #[track_caller]
    pub(super) fn finish(mut self) -> String {
        if let Some(reader) = self.reader.take() {
            super::wait_until("the end of an output", || {
                reader.is_finished().then_some(())
            });
        }
        String::from_utf8_lossy(&self.lock().text).into_owned()
    }

    /// What came so far.
    pub(in crate::live) fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.lock().text).into_owned()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let locked = self.state.0.lock();
        // A wait in vain panics with it; what was printed is still to be shown.
        locked.unwrap_or_else(PoisonError::into_inner)
    }
}
