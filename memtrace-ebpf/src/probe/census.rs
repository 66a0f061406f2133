//! The task iterator: every process with its exact memory, when user space asks.

use core::{ffi::c_void, ptr::read_volatile};

use aya_ebpf::helpers::generated::bpf_seq_write;
use memtrace_ebpf::wire::{LEVELS, Task as Record, tag};

use crate::{
    config::*,
    emit::header_of,
    maps::TASK_SCRATCH,
    read::{self, Task},
};

/// `struct bpf_iter__task` (`kernel/bpf/task_iter.c`): the meta pointer and the task, null at the
/// end. The first field of the meta is the `seq_file` to write to.
#[repr(C)]
struct IterTask {
    meta: *const *mut c_void,
    task: *const u8,
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
extern "C" fn census(ctx: *const IterTask) -> i32 {
    let task = unsafe { read_volatile(&raw const (*ctx).task) };
    if task.is_null() {
        return 0;
    }
    let task = Task(task as u64);
    let tgid = task.tgid();
    let mm = task.mm();
    if tgid != task.pid() || (mm == 0 && task.parent().tgid() == 2) {
        return 0; // a thread, or one of the kernel's
    }
    let Some(record) = TASK_SCRATCH.get_ptr_mut(0) else {
        return 0;
    };
    let record = unsafe { &mut *record };
    record.header = header_of::<Record>(tag::TASK);
    record.start = task.start();
    record.tgid = tgid;
    record.parent = task.parent().tgid();
    record.uid = task.uid();
    record.zero = 0;
    record.comm = task.comm();
    read::exact_of(task, mm, &mut record.pages);
    groups(task.memcg(), &mut record.groups);
    unsafe {
        let seq = read_volatile(read_volatile(&raw const (*ctx).meta));
        bpf_seq_write(
            seq.cast(),
            core::ptr::from_mut(record).cast::<c_void>(),
            size_of::<Record>() as u32,
        );
    }
    0
}

#[inline(always)]
fn groups(first: u64, groups: &mut [u64; LEVELS]) {
    let mut memcg = first;
    for group in groups.iter_mut() {
        *group = read::at(read::node(memcg), KN_ID.load());
        memcg = read::at(memcg, CSS_PARENT.load());
    }
}
