//! The signal handler of the child.
//!
//! Runs on an alternate stack, in whatever state the thread was in. It first
//! writes the raw record with nothing but `pwrite`. Then, if the interrupted
//! instruction is not the host's, the host's own code was not interrupted in the
//! middle of anything (it holds no lock across a call into the driver), and may
//! be asked for a full report in ordinary Rust: the thread is sent to a function
//! that does so on a stack of its own and ends the process. The interrupted code
//! goes on only if the host says that the fault was one of its traps or emulations.
//!
//! State is static here, and only here: a signal handler has no other.

use std::{
    ffi::c_void,
    io, mem,
    ops::Range,
    os::fd::{IntoRawFd, OwnedFd, RawFd},
    ptr,
    sync::{
        OnceLock,
        atomic::{AtomicI32, AtomicPtr, AtomicU64, Ordering},
    },
};

use super::record::{CODE_AT, CODE_LEN, MAGIC, STACK_AT, STACK_MAX, Where, word};

/// Exit code of a child that left a record.
pub const EXIT_CRASHED: i32 = 70;
/// Signal by which the parent asks a silent child where it is.
pub const ASK: i32 = libc::SIGUSR1;
/// Flags with which Rust code would run backwards, or step by step.
const DIRECTION_AND_TRAP: i64 = 0x400 | 0x100;
/// Size of the alternate stack and of the one that reports are made on.
const STACK_SIZE: usize = 256 << 10;

const SIGNALS: [i32; 9] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGTRAP,
    libc::SIGABRT,
    libc::SIGSYS,
    libc::SIGXCPU,
    ASK,
];

/// A death, for the report.
struct Case {
    signal: i32,
    address: u64,
    context: libc::ucontext_t,
}

/// What the handler asks the host.
pub trait Faults: Send + Sync {
    /// The signal may be a trap or an instruction to emulate: true if it was
    /// handled and the thread goes on where `context` says.
    ///
    /// Called in a signal handler, on the thread that faulted, with little stack.
    fn resume(&self, signal: i32, info: &libc::siginfo_t, context: &mut libc::ucontext_t) -> bool;

    /// The driver is dead, or hangs if the signal is [`ASK`] or SIGXCPU; tell
    /// whoever should know. Called on that thread but no longer in the handler, once unless
    /// the process goes on. Only a hang may have interrupted the host's own code.
    fn died(&self, signal: i32, address: u64, context: &libc::ucontext_t);

    /// Whether the process goes on without the task whose driver code died.
    fn lasts(&self) -> bool {
        false
    }

    /// Goes on without it.
    fn go_on(&self) {}
}

static RECORD: AtomicI32 = AtomicI32::new(-1);
static IMAGE_BASE: AtomicU64 = AtomicU64::new(0);
static IMAGE_SIZE: AtomicU64 = AtomicU64::new(0);
/// Thread that is in the handler for good; 0 = none.
static DYING: AtomicI32 = AtomicI32::new(0);
/// What the dying thread has to say.
static CASE: AtomicPtr<Case> = AtomicPtr::new(ptr::null_mut());
/// Top of the stack on which it says so.
static REPORT_STACK: AtomicU64 = AtomicU64::new(0);
static HOST_CODE: OnceLock<Vec<Range<u64>>> = OnceLock::new();
static FAULTS: OnceLock<Box<dyn Faults>> = OnceLock::new();

/// Installs the handler, to write its record to `file`. Before the sandbox:
/// it reads `/proc/self/maps`, and handlers cannot be installed afterwards.
pub fn install(file: OwnedFd) -> io::Result<()> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    // A second installation keeps the first list: the same process, the same code.
    let _ = HOST_CODE.set(executable_ranges(&maps));
    RECORD.store(file.into_raw_fd(), Ordering::Release);
    alternate_stack()?;
    REPORT_STACK.store(stack()? as u64 + STACK_SIZE as u64, Ordering::Release);
    // SAFETY: zeroed is a valid Case: two integers and a context of integers.
    let case: Case = unsafe { mem::zeroed() };
    CASE.store(Box::into_raw(Box::new(case)), Ordering::Release);
    // SAFETY: zeroed is a valid sigaction (no flags, empty mask, no handler).
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handle as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    for signal in SIGNALS {
        // SAFETY: `action` is initialised and `handle` has the SA_SIGINFO signature.
        if unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // A file that grows past its limit is an error of its write, not a death.
    // SAFETY: SIG_IGN is a valid disposition for SIGXFSZ.
    if unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) } == libc::SIG_ERR {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// A stack of [`STACK_SIZE`] bytes that stays for good; its lowest address.
fn stack() -> io::Result<*mut c_void> {
    // SAFETY: an anonymous mapping at an address the kernel chooses touches nothing that exists.
    let base = unsafe {
        libc::mmap(
            ptr::null_mut(),
            STACK_SIZE,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if base == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(base)
}

/// Gives the calling thread an alternate stack: a driver that overflows its own
/// leaves none for the handler. The library gives its threads small ones itself.
pub fn alternate_stack() -> io::Result<()> {
    let stack = libc::stack_t {
        ss_sp: stack()?,
        ss_flags: 0,
        ss_size: STACK_SIZE,
    };
    // SAFETY: the mapping above is never unmapped, so it outlives the thread.
    if unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Tells the handler where the driver image is mapped.
pub fn set_image(base: u64, size: u64) {
    IMAGE_BASE.store(base, Ordering::Release);
    IMAGE_SIZE.store(size, Ordering::Release);
}

/// Whom to ask about traps and for a full report. Once per process.
pub fn set_faults(faults: Box<dyn Faults>) -> Result<(), Box<dyn Faults>> {
    FAULTS.set(faults)
}

/// Whose code an address is in.
pub fn whose(address: u64) -> Where {
    let base = IMAGE_BASE.load(Ordering::Acquire);
    let size = IMAGE_SIZE.load(Ordering::Acquire);
    if address.wrapping_sub(base) < size {
        return Where::Driver;
    }
    let host = HOST_CODE
        .get()
        .is_none_or(|ranges| ranges.iter().any(|range| range.contains(&address)));
    if host { Where::Host } else { Where::Nowhere }
}

/// Executable ranges of a maps file that belong to this process from its start.
fn executable_ranges(maps: &str) -> Vec<Range<u64>> {
    maps.lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let (start, end) = fields.next()?.split_once('-')?;
            fields.next()?.contains('x').then_some(())?;
            Some(u64::from_str_radix(start, 16).ok()?..u64::from_str_radix(end, 16).ok()?)
        })
        .collect()
}

extern "C" fn handle(signal: i32, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes valid pointers to an SA_SIGINFO handler, ours alone until it returns.
    let (info, context) = unsafe { (&*info, &mut *context.cast::<libc::ucontext_t>()) };
    if let Some(faults) = FAULTS.get()
        && signal != libc::SIGSYS
        && signal != ASK
        && faults.resume(signal, info, context)
    {
        return;
    }
    // SAFETY: gettid has no preconditions.
    let thread = unsafe { libc::gettid() };
    if let Err(dying) = DYING.compare_exchange(0, thread, Ordering::AcqRel, Ordering::Acquire) {
        if dying == thread {
            // The report itself faulted: what is written is what there is.
            leave();
        }
        // Another thread reports and ends the process.
        loop {
            // SAFETY: sched_yield has no preconditions.
            unsafe { libc::sched_yield() };
        }
    }
    let rip = context.uc_mcontext.gregs[libc::REG_RIP as usize] as u64;
    // SAFETY: for these signals the kernel has filled in the address (0 for others).
    let address = unsafe { info.si_addr() } as u64;
    let place = whose(rip);
    write_record(signal, info, context, address, place);
    let case = CASE.load(Ordering::Acquire);
    // A host that hangs is asked as well: if it was interrupted where it cannot
    // answer, the parent's patience ends that, and the record is written already.
    let asked = matches!(signal, ASK | libc::SIGXCPU);
    if (place == Where::Host && !asked) || FAULTS.get().is_none() || case.is_null() {
        leave();
    }
    // SAFETY: `case` was leaked by `install`; only the one dying thread touches it.
    unsafe {
        case.write(Case {
            signal,
            address,
            context: *context,
        });
    }
    // The report is made outside the handler, on a stack large enough for it: the
    // one this runs on may be the few KiB that the library gives to a thread.
    let gregs = &mut context.uc_mcontext.gregs;
    gregs[libc::REG_RIP as usize] = testify as *const () as i64;
    // As after a call: the stack pointer is 8 below a multiple of 16.
    gregs[libc::REG_RSP as usize] = REPORT_STACK.load(Ordering::Acquire) as i64 - 8;
    gregs[libc::REG_EFL as usize] &= !DIRECTION_AND_TRAP;
}

/// Where a thread goes on whose driver code died.
extern "C" fn testify() -> ! {
    let case = CASE.load(Ordering::Acquire);
    // SAFETY: the handler wrote it on this very thread before it sent it here.
    let case = unsafe { &*case };
    if let Some(faults) = FAULTS.get() {
        faults.died(case.signal, case.address, &case.context);
        if faults.lasts() && !matches!(case.signal, ASK | libc::SIGXCPU | libc::SIGSYS) {
            DYING.store(0, Ordering::Release);
            faults.go_on();
        }
    }
    leave();
}

fn leave() -> ! {
    // SAFETY: _exit is async-signal-safe and ends every thread.
    unsafe { libc::_exit(EXIT_CRASHED) }
}

fn write_record(
    signal: i32,
    info: &libc::siginfo_t,
    context: &libc::ucontext_t,
    address: u64,
    place: Where,
) {
    let file = RECORD.load(Ordering::Acquire);
    let gregs = &context.uc_mcontext.gregs;
    let mut words = [0u64; word::COUNT];
    words[word::MAGIC] = MAGIC;
    words[word::SIGNAL] = signal as u64;
    words[word::CODE] = info.si_code as u64;
    words[word::ADDRESS] = address;
    if signal == libc::SIGSYS {
        words[word::SYSCALL] = gregs[libc::REG_RAX as usize] as u64;
    }
    words[word::IMAGE_BASE] = IMAGE_BASE.load(Ordering::Acquire);
    words[word::IMAGE_SIZE] = IMAGE_SIZE.load(Ordering::Acquire);
    words[word::WHERE] = place as u64;
    for (word, register) in words[word::REGISTERS..].iter_mut().zip(gregs) {
        *word = *register as u64;
    }
    put(file, words.as_ptr() as u64, mem::size_of_val(&words), 0);
    put(
        file,
        gregs[libc::REG_RIP as usize] as u64,
        CODE_LEN,
        CODE_AT,
    );
    // Page by page upward, until the stack or the limit ends.
    let start = gregs[libc::REG_RSP as usize] as u64;
    let mut done = 0usize;
    while done < STACK_MAX {
        let Some(from) = start.checked_add(done as u64) else {
            break;
        };
        let in_page = (4096 - (from & 4095)) as usize;
        let want = in_page.min(STACK_MAX - done);
        let got = put(file, from, want, STACK_AT + done);
        done += got;
        if got < want {
            break;
        }
    }
}

/// Copies memory at an address into the record; what cannot be read is left out.
fn put(file: RawFd, from: u64, length: usize, at: usize) -> usize {
    // SAFETY: pwrite is async-signal-safe; the kernel checks the address and answers EFAULT.
    let wrote = unsafe {
        libc::pwrite(
            file,
            from as *const c_void,
            length,
            libc::off_t::try_from(at).unwrap_or(libc::off_t::MAX),
        )
    };
    usize::try_from(wrote).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executable_ranges_are_the_x_lines() {
        let maps = "55d0-55d8 r-xp 00000000 00:00 0 /bin/lab\n\
                    7f00-7f10 rw-p 00000000 00:00 0\n\
                    ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n";
        assert_eq!(
            executable_ranges(maps),
            [0x55d0..0x55d8, 0xffff_ffff_ff60_0000..0xffff_ffff_ff60_1000]
        );
    }
}
