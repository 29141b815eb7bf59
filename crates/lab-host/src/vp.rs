//! Virtual processors and what runs on them.
//!
//! IRQL, the current task and the KPCR page belong to the processor; held locks
//! and the stack of calls between host and driver belong to the task. While a
//! task runs driver code it holds a processor exclusively; `gs` then points to that
//! processor's KPCR page, as on Windows, and the word just below that page (on a
//! page of its own, outside the memory file) leads back to the [`Vp`].

use std::arch::asm;
use std::cell::{Cell, RefCell};
use std::io;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, Ordering};

use corosensei::Yielder;

use crate::arena::{Arena, PAGE, Protection};
use crate::host::Host;

/// `PASSIVE_LEVEL`.
pub const PASSIVE: u8 = 0;
/// `APC_LEVEL`.
pub const APC: u8 = 1;
/// `DISPATCH_LEVEL`.
pub const DISPATCH: u8 = 2;
/// `HIGH_LEVEL`.
pub const HIGH: u8 = 15;

/// Where in the KPCR page a stub leaves the return address of the driver's call. On Windows
/// something of the KPRCB lies there that drivers do not read.
pub(crate) const CALLER: u32 = 0xFE8;

/// Names a task; never reused within a host.
pub type TaskId = u64;

/// One virtual processor.
pub struct Vp {
    /// Its number, from 0.
    pub index: u32,
    host: AtomicPtr<Host>,
    irql: AtomicU8,
    local: AtomicPtr<Local>,
    gs: u64,
    /// `KTHREAD` of the task on the first stack; the others follow, a page each.
    threads: u64,
}

/// What belongs to a task wherever it runs. Touched only by the task itself while it
/// runs, and by the engine while it does not.
pub struct Local {
    /// The task.
    pub id: TaskId,
    /// For reports.
    pub name: String,
    /// Index of its stack in the arena.
    pub stack: u64,
    /// Calls between host and driver that are open, outermost first.
    pub frames: RefCell<Vec<Frame>>,
    /// Locks held, oldest first.
    pub locks: RefCell<Vec<HeldLock>>,
    /// IRQLs that raises under way will go back to, oldest first (IRQ-12).
    pub raised: RefCell<Vec<u8>>,
    /// IRQL while it does not run.
    pub irql: Cell<u8>,
    /// Its `KTHREAD`, if that is not the one of its stack.
    pub thread: Cell<u64>,
    /// Instruction whose exception nothing handled: it faults once more, for the report.
    pub(crate) unhandled: Cell<u64>,
    /// What it waits for, if it does.
    pub waiting: RefCell<Option<String>>,
    /// Rounds of loops that wait for memory, since its last call of the host.
    pub rounds: Cell<u64>,
    /// How many frames are open where the callback runs that is executed step by step.
    pub stepped: Cell<usize>,
    pub(crate) yielder: Cell<*const Yielder<(), ()>>,
}

// SAFETY: a `Local` is used by one thread at a time: the one that runs its task, or the
// engine that holds the task while it is suspended.
unsafe impl Send for Local {}
// SAFETY: as above.
unsafe impl Sync for Local {}

/// An open call.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The function.
    pub name: &'static str,
    /// Stack pointer just before the call.
    pub rsp: u64,
    /// Whether the host called the driver (else the driver called the host).
    pub callback: bool,
    /// Handle the callback is about (adapter or binding), 0 if none.
    pub subject: u64,
    /// Locks that were held when the callback began.
    pub locks: usize,
    /// Crossings before it began.
    pub began: u64,
    /// Where the driver goes on after an import; 0 of a callback.
    pub site: u64,
}

/// A spin lock this task holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldLock {
    /// Address of the `KSPIN_LOCK`.
    pub address: u64,
    /// Acquired by the at-DISPATCH variant.
    pub dpr: bool,
    /// When.
    pub since: u64,
    /// IRQL before.
    pub old: u8,
    /// It is a read-write lock, and this its handle.
    pub shared: bool,
}

impl Local {
    /// A task that has not run yet.
    pub fn new(id: TaskId, name: String, stack: u64, irql: u8) -> Self {
        Self {
            id,
            name,
            stack,
            frames: RefCell::default(),
            locks: RefCell::default(),
            raised: RefCell::default(),
            irql: Cell::new(irql),
            thread: Cell::new(0),
            unhandled: Cell::new(0),
            waiting: RefCell::default(),
            rounds: Cell::new(0),
            stepped: Cell::new(0),
            yielder: Cell::new(std::ptr::null()),
        }
    }
}

impl Vp {
    /// Makes processor `index` and its pages in the arena.
    pub(crate) fn new(arena: &Arena, index: u32) -> io::Result<Box<Self>> {
        let pages = arena.processor_pages(u64::from(index));
        let gs = pages + PAGE;
        let vp = Box::new(Self {
            index,
            host: AtomicPtr::new(std::ptr::null_mut()),
            irql: AtomicU8::new(PASSIVE),
            local: AtomicPtr::new(std::ptr::null_mut()),
            gs,
            threads: arena.thread(0),
        });
        // SAFETY: replaces one page of the arena's own range by a private one, so that the
        // host pointer is neither in the memory file nor writable by the driver.
        let page = unsafe {
            libc::mmap(
                pages as *mut libc::c_void,
                PAGE as usize,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
                -1,
                0,
            )
        };
        if page as u64 != pages {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the word lies at the end of the page mapped just now.
        unsafe { ((gs - 8) as *mut *const Self).write(&raw const *vp) };
        // SAFETY: same page; read-only from here on.
        unsafe { libc::mprotect(page, PAGE as usize, libc::PROT_READ) };
        arena.protect(gs, PAGE, Protection::ReadWrite)?;
        vp.write_kpcr(arena);
        Ok(vp)
    }

    /// Fills the fields of the KPCR that kernel code reads through `gs`: the page's own
    /// address (`Self`), the KPRCB's, and the processor number.
    fn write_kpcr(&self, arena: &Arena) {
        const SELF: u64 = 0x18;
        const CURRENT_PRCB: u64 = 0x20;
        const PRCB: u64 = 0x180;
        const PRCB_NUMBER: u64 = 0x184;
        let at = |offset: u64| arena.trusted(self.gs + offset);
        // SAFETY: all offsets lie in the KPCR page, which the host may always write.
        unsafe {
            at(SELF).cast::<u64>().write_unaligned(self.gs);
            at(CURRENT_PRCB)
                .cast::<u64>()
                .write_unaligned(self.gs + PRCB);
            at(PRCB_NUMBER).cast::<u32>().write_unaligned(self.index);
        }
    }

    /// Restores the KPCR page.
    pub(crate) fn reset(&self, arena: &Arena) {
        arena.fill(self.gs, PAGE, 0);
        self.write_kpcr(arena);
        self.set_irql(PASSIVE);
    }

    pub(crate) fn set_host(&self, host: *const Host) {
        self.host.store(host.cast_mut(), Ordering::Release);
    }

    /// The host this processor belongs to.
    pub(crate) fn host<'a>(&self) -> &'a Host {
        // SAFETY: set once, before anything runs on the processor; the host outlives its engine.
        unsafe { &*self.host.load(Ordering::Acquire) }
    }

    /// Current IRQL.
    pub fn irql(&self) -> u8 {
        self.irql.load(Ordering::Relaxed)
    }

    /// Sets the IRQL.
    pub fn set_irql(&self, irql: u8) {
        self.irql.store(irql, Ordering::Relaxed);
    }

    /// The task that holds this processor.
    pub fn local(&self) -> Option<&Local> {
        // SAFETY: set by the engine while the task holds the processor, cleared after.
        unsafe { self.local.load(Ordering::Acquire).as_ref() }
    }

    /// The calling thread takes the processor for `local`.
    pub(crate) fn enter(&self, local: &Local) {
        self.local
            .store(std::ptr::from_ref(local).cast_mut(), Ordering::Release);
        self.set_irql(local.irql.get());
        set_gs(self.gs);
        self.set_thread(self.thread_of(local));
    }

    /// The `KTHREAD` of a task.
    pub(crate) fn thread_of(&self, local: &Local) -> u64 {
        match local.thread.get() {
            0 => self.threads + local.stack * PAGE,
            thread => thread,
        }
    }

    /// What drivers read as the current thread (`gs:[188h]`).
    pub(crate) fn set_thread(&self, thread: u64) {
        const CURRENT_THREAD: u64 = 0x188;
        // SAFETY: the processor's KPCR page is mapped writable as long as the arena lives, and
        // the caller holds the processor.
        unsafe { ((self.gs + CURRENT_THREAD) as *mut u64).write(thread) };
    }

    /// The calling thread lets go of it.
    pub(crate) fn leave(&self) {
        if let Some(local) = self.local() {
            local.irql.set(self.irql());
        }
        self.local.store(std::ptr::null_mut(), Ordering::Release);
        self.set_irql(PASSIVE);
    }

    /// Return address of the import call that the calling thread is in the first instructions
    /// of.
    pub(crate) fn caller() -> u64 {
        let site: u64;
        // SAFETY: as in `current`; the word lies in the KPCR page.
        unsafe {
            asm!("mov {}, gs:[{}]", out(reg) site, const CALLER, options(nostack, readonly, preserves_flags));
        }
        site
    }

    /// The processor the calling thread holds. Only legal while it holds one.
    pub(crate) fn current<'a>() -> &'a Self {
        let vp: *const Self;
        // SAFETY: while a task holds a processor, `gs` is that processor's KPCR and the word
        // below it holds the pointer written in `new`.
        unsafe {
            asm!("mov {}, gs:[-8]", out(reg) vp, options(nostack, pure, readonly, preserves_flags));
        }
        // SAFETY: processors are boxed and live as long as the host.
        unsafe { &*vp }
    }
}

/// 0 unknown, 1 by instruction, 2 by system call.
static GS_WAY: AtomicU32 = AtomicU32::new(0);

fn set_gs(base: u64) {
    const HWCAP2_FSGSBASE: u64 = 1 << 1;
    const ARCH_SET_GS: i32 = 0x1001;
    let mut way = GS_WAY.load(Ordering::Relaxed);
    if way == 0 {
        // SAFETY: reads the auxiliary vector.
        let cap = unsafe { libc::getauxval(libc::AT_HWCAP2) };
        way = if cap & HWCAP2_FSGSBASE != 0 { 1 } else { 2 };
        GS_WAY.store(way, Ordering::Relaxed);
    }
    if way == 1 {
        // SAFETY: the kernel says the instruction is enabled; Rust and libc do not use `gs`.
        unsafe { asm!("wrgsbase {}", in(reg) base, options(nostack, nomem, preserves_flags)) };
    } else {
        // SAFETY: sets the base of a segment that nothing in this process uses but us.
        unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_SET_GS, base) };
    }
}
