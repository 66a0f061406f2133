//! Panics of a library that reads what a traced program wrote.
//!
//! A panic is a fault of ours, after which nothing that is said can be believed: it ends memtrace. One
//! is different: names of code are read by a library from what the program says of itself, and a
//! program that lies may well find a hole there. That costs the names, and nothing else.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
    process,
};

thread_local! {
    static IS_CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// From now on a panic ends the process at once, on whichever thread, unless it is contained.
pub fn abort_on_panic() {
    let tell = take_hook();
    set_hook(Box::new(move |panic| {
        if !IS_CONTAINED.get() {
            tell(panic);
            process::abort();
        }
    }));
}

/// What this comes to; nothing if it panics. What it had to do with must not be used again.
pub fn contained<T>(work: impl FnOnce() -> T) -> Option<T> {
    IS_CONTAINED.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    IS_CONTAINED.set(false);
    outcome.ok()
}

#[cfg(test)]
mod tests {
    use std::{env, os::unix::process::ExitStatusExt as _, process::Command, thread};

    use super::*;

    const AGAIN: &str = "MEMTRACE_TEST_PANICS";

    /// It runs again in a process of its own, which is to end in the midst.
    #[test]
    fn a_panic_that_is_not_contained_ends_the_process_on_whichever_thread() {
        if env::var_os(AGAIN).is_some() {
            abort_on_panic();
            assert_eq!(contained(|| panic!("of a library")), None::<()>);
            assert_eq!(contained(|| 7), Some(7));
            let _ = thread::spawn(|| panic!("of ours")).join();
            return;
        }
        let own =
            "contain::tests::a_panic_that_is_not_contained_ends_the_process_on_whichever_thread";
        let output = Command::new(env::current_exe().unwrap())
            .args(["--exact", "--nocapture", own])
            .env(AGAIN, "1")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{told}");
        assert!(told.contains("of ours") && !told.contains("of a library"));
    }
}
