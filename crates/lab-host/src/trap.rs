//! The trap table: the one way to stop inside driver code.
//!
//! A trap is an `int3` written over the first byte of an instruction, through the host's view
//! of the image. When the driver gets there the signal handler asks [`Traps::hit`], which runs
//! the trap's action, puts the instruction back and lets it execute. A trap that stays is set
//! again after that one instruction, by a single step.
//!
//! Runs in a signal handler, on the thread that executed the trap. That thread was in driver
//! code, so it holds no lock of the host.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::arena::Arena;

const INT3: u8 = 0xCC;
/// Trap flag of `EFLAGS`.
const TF: i64 = 0x100;

/// What a trap does when it is hit.
pub type Action = Box<dyn FnMut(&mut libc::mcontext_t) + Send>;

struct Trap {
    original: u8,
    stays: bool,
    action: Action,
    hits: u64,
}

#[derive(Default)]
struct Table {
    set: BTreeMap<u64, Trap>,
    /// Per thread, the trap that is to be set again after a single step.
    stepping: BTreeMap<u64, u64>,
}

/// Traps of one image.
#[derive(Default)]
pub struct Traps(Mutex<Table>);

fn thread() -> u64 {
    // SAFETY: a system call without arguments.
    unsafe { libc::gettid() as u64 }
}

fn patch(arena: &Arena, at: u64, byte: u8) {
    // SAFETY: the address was checked to be code of the image when the trap was set; the host's
    // view is always writable.
    unsafe { arena.trusted(at).write(byte) };
}

impl Traps {
    /// Sets a trap; `at` must be the first byte of an instruction. A trap that does not stay is
    /// gone after its first hit.
    pub(crate) fn set(&self, arena: &Arena, at: u64, original: u8, stays: bool, action: Action) {
        let mut table = self.0.lock().expect("traps");
        if let Some(trap) = table.set.get_mut(&at) {
            trap.stays = stays;
            trap.action = action;
            return;
        }
        table.set.insert(
            at,
            Trap {
                original,
                stays,
                action,
                hits: 0,
            },
        );
        patch(arena, at, INT3);
    }

    /// Takes a trap away; how often it was hit.
    pub(crate) fn clear(&self, arena: &Arena, at: u64) -> u64 {
        let mut table = self.0.lock().expect("traps");
        table.stepping.retain(|_, &mut t| t != at);
        table.set.remove(&at).map_or(0, |trap| {
            patch(arena, at, trap.original);
            trap.hits
        })
    }

    /// Takes every trap away.
    pub(crate) fn forget(&self, arena: &Arena) {
        let table = std::mem::take(&mut *self.0.lock().expect("traps"));
        for (at, trap) in table.set {
            patch(arena, at, trap.original);
        }
    }

    /// The thread is at an instruction that has a breakpoint for another reason: runs the
    /// action of the trap that is there as well, if any. Who calls carries the instruction out.
    pub(crate) fn pass(&self, at: u64, context: &mut libc::mcontext_t) {
        let mut table = self.0.lock().expect("traps");
        let Some(trap) = table.set.get_mut(&at) else {
            return;
        };
        trap.hits += 1;
        (trap.action)(context);
        if !trap.stays {
            table.set.remove(&at);
        }
    }

    /// A `SIGTRAP` came: true when it was ours and the thread goes on.
    pub(crate) fn hit(&self, arena: &Arena, context: &mut libc::mcontext_t) -> bool {
        let me = thread();
        let mut table = self.0.lock().expect("traps");
        if let Some(at) = table.stepping.remove(&me) {
            context.gregs[libc::REG_EFL as usize] &= !TF;
            if table.set.contains_key(&at) {
                patch(arena, at, INT3);
            }
            return true;
        }
        let at = (context.gregs[libc::REG_RIP as usize] as u64).wrapping_sub(1);
        let Some(trap) = table.set.get_mut(&at) else {
            return false;
        };
        trap.hits += 1;
        patch(arena, at, trap.original);
        context.gregs[libc::REG_RIP as usize] = at as i64;
        (trap.action)(context);
        if trap.stays {
            // An action that went elsewhere leaves nothing to step over.
            if context.gregs[libc::REG_RIP as usize] as u64 == at {
                context.gregs[libc::REG_EFL as usize] |= TF;
                table.stepping.insert(me, at);
            } else {
                patch(arena, at, INT3);
            }
        } else {
            table.set.remove(&at);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, OnceLock};

    use super::*;
    use crate::arena::{PAGE, Protection};

    static TABLE: OnceLock<(Arena, Traps)> = OnceLock::new();

    fn hit(context: &mut libc::mcontext_t) -> bool {
        TABLE
            .get()
            .is_some_and(|(arena, traps)| traps.hit(arena, context))
    }

    #[test]
    fn code_runs_on_after_a_trap_and_stops_there_again() {
        let (arena, traps) = TABLE.get_or_init(|| (Arena::new().expect("arena"), Traps::default()));
        // mov eax, 7; add eax, 1; ret
        let code = [0xB8, 7, 0, 0, 0, 0x83, 0xC0, 1, 0xC3];
        let at = arena.image();
        arena.write_bytes(at, &code).expect("image area");
        arena
            .protect(at, PAGE, Protection::ReadExecute)
            .expect("protect");
        // One handler for all tests: there is one process for them.
        crate::signals::TESTED.set(hit).expect("set once");
        crate::signals::install().expect("a handler");
        // SAFETY: the nine bytes above are a function without arguments.
        let f: extern "win64" fn() -> u32 = unsafe { std::mem::transmute(at as usize) };
        let seen = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&seen);
        traps.set(
            arena,
            at + 5,
            code[5],
            true,
            Box::new(move |context| {
                count.fetch_add(
                    context.gregs[libc::REG_RAX as usize] as u64,
                    Ordering::Relaxed,
                );
            }),
        );
        traps.set(arena, at, code[0], false, Box::new(|_| {}));
        assert_eq!((f(), f(), f()), (8, 8, 8));
        assert_eq!(
            seen.load(Ordering::Relaxed),
            21,
            "eax was 7 at each of three hits"
        );
        assert_eq!(traps.clear(arena, at + 5), 3);
        assert_eq!(
            traps.clear(arena, at),
            0,
            "a trap that does not stay is gone"
        );
        assert_eq!(f(), 8);
        assert_eq!(seen.load(Ordering::Relaxed), 21);
    }
}
