//! Who handles the signals that traps and faults of drivers raise.
//!
//! Instructions of an image are only replaced by breakpoints when somebody in the process
//! catches them: the command's own handler, which says so by [`announce`], or the small one
//! of [`install`], for programs that have none.

use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::arena;
use crate::vp::Vp;

static HANDLED: AtomicBool = AtomicBool::new(false);
static OURS: AtomicBool = AtomicBool::new(false);
/// Whom a test without a host asks.
#[cfg(test)]
pub(crate) static TESTED: std::sync::OnceLock<fn(&mut libc::mcontext_t) -> bool> =
    std::sync::OnceLock::new();
const STACK_SIZE: usize = 64 << 10;

/// Says that a `SIGTRAP` in driver code is brought to [`crate::Host::trapped`]. Before images
/// are loaded.
pub fn announce() {
    HANDLED.store(true, Ordering::Release);
}

/// Whether traps are caught.
pub(crate) fn handled() -> bool {
    HANDLED.load(Ordering::Acquire)
}

/// Installs a handler for traps and for instructions that the host carries out or makes exceptions
/// of, unless one was announced. Once per process.
///
/// # Errors
/// What the system says.
pub fn install() -> io::Result<()> {
    if HANDLED.swap(true, Ordering::AcqRel) {
        return Ok(());
    }
    OURS.store(true, Ordering::Release);
    // SAFETY: zeroed is a valid sigaction: no flags, empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handle as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    for signal in [libc::SIGTRAP, libc::SIGSEGV, libc::SIGFPE, libc::SIGILL] {
        // SAFETY: `handle` has the signature of a SA_SIGINFO handler.
        if unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Gives the calling thread a stack for our handler, the first time.
pub(crate) fn prepare_thread() {
    thread_local! {
        static READY: Cell<bool> = const { Cell::new(false) };
    }
    if !OURS.load(Ordering::Acquire) || READY.replace(true) {
        return;
    }
    // SAFETY: an anonymous mapping at an address of the kernel's choice; it stays for good.
    let base = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            STACK_SIZE,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if base == libc::MAP_FAILED {
        return;
    }
    let stack = libc::stack_t {
        ss_sp: base,
        ss_flags: 0,
        ss_size: STACK_SIZE,
    };
    // SAFETY: the mapping above is as large as it says.
    unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) };
}

extern "C" fn handle(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes both to a SA_SIGINFO handler.
    let (info, context) = unsafe { (&*info, &mut *context.cast::<libc::ucontext_t>()) };
    #[cfg(test)]
    if signal == libc::SIGTRAP
        && TESTED
            .get()
            .is_some_and(|hit| hit(&mut context.uc_mcontext))
    {
        return;
    }
    let rsp = context.uc_mcontext.gregs[libc::REG_RSP as usize] as u64;
    // Whoever is on a stack of an arena holds a processor.
    if arena::is_any(rsp) {
        let host = Vp::current().host();
        if (signal == libc::SIGTRAP && host.trapped(&mut context.uc_mcontext))
            || host.faulted(signal, info, context)
        {
            return;
        }
    }
    // Not ours: let it end the process as if there were no handler.
    // SAFETY: restores the default disposition.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    // SAFETY: sends the signal to this very thread; it is taken when the handler returns.
    unsafe { libc::raise(signal) };
}
