//! Our own memory and our place among others.

/// Gives back what reading the kernel's BTF took: several times what running takes.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    super::protect::while_unlocked(|| {
        // SAFETY: malloc_trim takes no pointers and may be called at any time.
        unsafe {
            libc::malloc_trim(0);
        }
    });
}

/// Has the calling thread run before others where that is allowed: at the lowest real-time
/// priority, for even the best nice value leaves it half a cpu beside a hundred others; else at that.
/// True if it is the former. The right to do so ends here.
pub fn go_first() -> bool {
    // SAFETY: a struct of integers; some C libraries have more of them than the one that counts.
    let mut lowest: libc::sched_param = unsafe { std::mem::zeroed() };
    lowest.sched_priority = 1;
    let policy = libc::SCHED_RR | libc::SCHED_RESET_ON_FORK;
    // SAFETY: the parameter is read during the call only; zero is the calling thread (Linux keeps
    // policy and nice value for each).
    unsafe {
        let is_first = libc::sched_setscheduler(0, policy, &raw const lowest) == 0;
        if !is_first {
            libc::setpriority(libc::PRIO_PROCESS, 0, -20);
        }
        super::rights::settle();
        is_first
    }
}

/// Gives the calling thread the best share of a cpu that is not real-time, where that is allowed:
/// what it does is little, and two hundred others must not make it late. The right to do so ends here.
pub fn go_early() {
    // SAFETY: takes no pointers; zero is the calling thread.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, -20);
    }
    super::rights::settle();
}

/// Keeps the memory of all threads in one heap: each thread's own would keep what it once took. What
/// is large stays out of it, and is given back when it is freed: it would leave holes between what
/// lives as long as a process.
pub fn keep_together() {
    // SAFETY: mallopt takes no pointers; an option that is refused changes nothing.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 10);
    }
}
