//! Reading kernel structs. Every read is without branches: what cannot be read is zero. Branches
//! on each read multiply the paths that the verifier follows (1,000,001 instructions on 5.10).

use core::{ffi::c_void, mem::MaybeUninit, ptr::read_volatile};

use aya_ebpf::helpers::generated::{
    bpf_get_current_task_btf, bpf_probe_read_kernel, bpf_probe_read_kernel_str,
};
use memtrace_ebpf::wire::Pages;

use crate::{config::*, maps::CPU_OFFSETS};

/// Plain integers and arrays of them, for which zero bytes are a value.
pub(crate) trait Plain: Copy {}
impl Plain for u8 {}
impl Plain for i16 {}
impl Plain for u16 {}
impl Plain for i32 {}
impl Plain for u32 {}
impl Plain for i64 {}
impl Plain for u64 {}
impl Plain for [u8; 16] {}
impl Plain for [i32; 4] {}
impl Plain for [u64; 24] {}

/// Reads a `T` at a kernel address; zero where that fails (the helper zero-fills).
#[inline(always)]
pub(crate) fn at<T: Plain>(base: u64, offset: u32) -> T {
    let mut value = MaybeUninit::<T>::zeroed();
    unsafe {
        bpf_probe_read_kernel(
            value.as_mut_ptr().cast::<c_void>(),
            size_of::<T>() as u32,
            base.wrapping_add(u64::from(offset)) as *const c_void,
        );
        value.assume_init()
    }
}

/// Copies a NUL-ended kernel string into `room`; its length with NUL, or a negative error.
#[inline(always)]
pub(crate) fn text(from: u64, room: *mut u8, size: usize) -> i64 {
    unsafe { bpf_probe_read_kernel_str(room.cast::<c_void>(), size as u32, from as *const c_void) }
}

/// Turns a pointer into a number: copied through memory, the verifier forgets what it was.
#[inline(always)]
pub(crate) fn number(pointer: u64) -> u64 {
    let slot = core::hint::black_box([pointer]);
    at(slot.as_ptr() as u64, 0)
}

/// A task by address.
#[derive(Clone, Copy)]
pub(crate) struct Task(pub(crate) u64);

impl Task {
    #[inline(always)]
    pub(crate) fn current() -> Self {
        Self(unsafe { aya_ebpf::helpers::generated::bpf_get_current_task() })
    }
    #[inline(always)]
    pub(crate) fn mm(self) -> u64 {
        at(self.0, TASK_MM.load())
    }
    #[inline(always)]
    pub(crate) fn tgid(self) -> u32 {
        at(self.0, TASK_TGID.load())
    }
    #[inline(always)]
    pub(crate) fn pid(self) -> u32 {
        at(self.0, TASK_PID.load())
    }
    #[inline(always)]
    pub(crate) fn leader(self) -> Self {
        Self(at(self.0, TASK_LEADER.load()))
    }
    #[inline(always)]
    pub(crate) fn parent(self) -> Self {
        Self(at(self.0, TASK_PARENT.load()))
    }
    /// When the thread began; of a leader, when the process began.
    #[inline(always)]
    pub(crate) fn start(self) -> u64 {
        at(self.0, TASK_START.load())
    }
    #[inline(always)]
    pub(crate) fn comm(self) -> [u8; 16] {
        at(self.0, TASK_COMM.load())
    }
    #[inline(always)]
    pub(crate) fn uid(self) -> u32 {
        at(at(self.0, TASK_CRED.load()), CRED_UID.load())
    }
    #[inline(always)]
    pub(crate) fn signal(self) -> u64 {
        at(self.0, TASK_SIGNAL.load())
    }
    /// The task's memory cgroup (`struct mem_cgroup`, whose css comes first).
    #[inline(always)]
    pub(crate) fn memcg(self) -> u64 {
        at(at(self.0, TASK_CGROUPS.load()), CSET_MEMORY.load())
    }
}

/// The cgroup node of a memory cgroup.
#[inline(always)]
pub(crate) fn node(memcg: u64) -> u64 {
    at(at(memcg, CSS_CGROUP.load()), CGROUP_KN.load())
}

/// `mm_struct.rss_stat`: file, anon, swap, shmem.
struct Counters {
    counts: [i64; 4],
    /// What each cpu has not folded in yet, where RSS is kept per cpu.
    per_cpu: [u64; 4],
}

/// Bytes that the four counters take at most without lock debugging.
const SMALL: u32 = 192;

#[inline(always)]
fn counters(mm: u64) -> Counters {
    let (stride, count, per_cpu) = (RSS_STRIDE.load(), RSS_COUNT.load(), RSS_PERCPU.load());
    // Not zeroed: that would be a call of memset, and the helper writes all of it, if only zeroes.
    let mut block = MaybeUninit::<[u64; SMALL as usize / 8]>::uninit();
    let block = block.as_mut_ptr().cast::<u8>();
    let stats = mm.wrapping_add(u64::from(MM_RSS.load()));
    // Without BTF there is no stride, and nothing to read.
    if stride != 0 && 4 * stride <= SMALL {
        // One read, since each costs as much as all the rest.
        unsafe {
            bpf_probe_read_kernel(block.cast::<c_void>(), 4 * stride, stats as *const c_void)
        };
        let field = |index: u32, offset: u32| unsafe {
            block
                .add((index * stride + offset) as usize)
                .cast::<u64>()
                .read()
        };
        Counters {
            counts: [0, 1, 2, 3].map(|index| field(index, count).cast_signed()),
            per_cpu: [0, 1, 2, 3].map(|index| field(index, per_cpu)),
        }
    } else {
        Counters {
            counts: [0, 1, 2, 3].map(|index| at(stats, index * stride + count)),
            per_cpu: [0, 1, 2, 3].map(|index| at(stats, index * stride + per_cpu)),
        }
    }
}

/// Approximate memory of an mm: what the kernel itself prints before 7.x.
#[inline(always)]
pub(crate) fn approximate(mm: u64, pages: &mut Pages) {
    fill(&counters(mm), at(mm, MM_TOTAL_VM.load()), pages);
}

#[inline(always)]
fn fill(counters: &Counters, vms: i64, pages: &mut Pages) {
    let [file, anon, swap, shmem] = counters.counts;
    *pages = Pages {
        file,
        anon,
        swap,
        shmem,
        vms,
    };
}

/// Exact memory of an mm: the shared counts plus what each cpu has not folded in yet
/// (`lib/percpu_counter.c`, `__percpu_counter_sum`). Kernels before 6.2 have shared counts only.
#[inline(always)]
pub(crate) fn exact(mm: u64, pages: &mut Pages) {
    exact_with(mm, at(mm, MM_TOTAL_VM.load()), pages);
}

/// The exact memory of an mm by way of a thread that has it: with what that thread has not told
/// the mm yet. Before 6.2 each keeps its last 64 faults to itself (`SPLIT_RSS_COUNTING`); of other
/// threads they stay unknown.
#[inline(always)]
pub(crate) fn exact_of(task: Task, mm: u64, pages: &mut Pages) {
    exact(mm, pages);
    untold(task, pages);
}

#[inline(always)]
fn untold(task: Task, pages: &mut Pages) {
    if TASK_RSS.load() != 0 {
        let [file, anon, swap, shmem]: [i32; 4] = at(task.0, TASK_RSS.load());
        add(pages, file, anon, swap, shmem);
    }
}

/// The exact memory of the current process.
#[inline(always)]
pub(crate) fn own(pages: &mut Pages) {
    let (mm, vms) = if TYPED.load() == 0 {
        let mm = Task::current().mm();
        (mm, at(mm, MM_TOTAL_VM.load()))
    } else {
        // A typed pointer: the verifier lets fields be loaded without a helper for each.
        unsafe {
            let task = bpf_get_current_task_btf() as *const u8;
            let mm: *const u8 = field(task, TASK_MM.load());
            (mm as u64, field(mm, MM_TOTAL_VM.load()))
        }
    };
    exact_with(mm, vms, pages);
    untold(Task::current(), pages);
}

/// Loads a field through a pointer that the verifier knows the type of: no helper call.
///
/// # Safety
/// `offset` is that of a field of this type in the struct that `pointer` points to; the kernel
/// handles a fault as zero.
#[inline(always)]
pub(crate) unsafe fn field<T: Copy>(pointer: *const u8, offset: u32) -> T {
    unsafe { read_volatile(pointer.add(offset as usize).cast::<T>()) }
}

#[inline(always)]
fn exact_with(mm: u64, vms: i64, pages: &mut Pages) {
    let counters = counters(mm);
    fill(&counters, vms, pages);
    if PERCPU_RSS.load() == 0 || mm == 0 {
        return;
    }
    let [file, anon, swap, shmem] = counters.per_cpu;
    // The four counters of an mm are allocated together (percpu_counter_init_many, 6.6): then one
    // read a cpu brings all four.
    if shmem == file.wrapping_add(12) {
        for cpu in 0..CPUS.load() {
            let Some(offset) = CPU_OFFSETS.get(cpu) else {
                break;
            };
            let [file, anon, swap, shmem]: [i32; 4] = at(file.wrapping_add(*offset), 0);
            add(pages, file, anon, swap, shmem);
        }
    } else {
        for cpu in 0..CPUS.load() {
            let Some(offset) = CPU_OFFSETS.get(cpu) else {
                break;
            };
            add(
                pages,
                at(file.wrapping_add(*offset), 0),
                at(anon.wrapping_add(*offset), 0),
                at(swap.wrapping_add(*offset), 0),
                at(shmem.wrapping_add(*offset), 0),
            );
        }
    }
}

#[inline(always)]
fn add(pages: &mut Pages, file: i32, anon: i32, swap: i32, shmem: i32) {
    pages.file += i64::from(file);
    pages.anon += i64::from(anon);
    pages.swap += i64::from(swap);
    pages.shmem += i64::from(shmem);
}
