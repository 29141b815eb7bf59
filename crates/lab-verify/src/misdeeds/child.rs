//! The inside of the process that one misdeed gets: it says line by line what was found, so
//! that what was said before an end by a fault is not lost.
//!
//! | Line | Meaning |
//! |---|---|
//! | `FOUND id message` | a broken rule |
//! | `END done`, `END refused`, `END crashed`, `END hung` | the play is over |

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

use lab_host::Host;
use lab_host::report::{Event, Sink};

use super::{Unfit, find, plan, prepare, run};
use crate::play::{CRASH, End, HANG};

/// Seconds of the machine's time after which a driver loops.
const LIMIT: u32 = 20;
/// Bytes of the signal handlers' own stack.
const STACK: usize = 256 << 10;

/// Says what is found when it is found.
struct Lines;

impl Sink for Lines {
    fn event(&self, event: Event) {
        if let Event::Finding(finding) = event {
            say(&format!(
                "FOUND {} {}",
                finding.rule,
                finding.message.replace('\n', "; ")
            ));
        }
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Whoever does not read any more does not want to know.
    let _gone = writeln!(out, "{line}").and_then(|()| out.flush());
}

static HOST: AtomicPtr<Host> = AtomicPtr::new(std::ptr::null_mut());

/// A signal of the driver: a trap is the host's, anything else ends the process.
extern "C" fn signalled(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: null, or the host, which is leaked before; the kernel's own arguments.
    let (host, address, context) = unsafe {
        (
            HOST.load(Ordering::Acquire).as_ref(),
            (*info).si_addr() as u64,
            &mut *context.cast::<libc::ucontext_t>(),
        )
    };
    if signal == libc::SIGTRAP && host.is_some_and(|host| host.trapped(&mut context.uc_mcontext)) {
        return;
    }
    match signal {
        libc::SIGSEGV | libc::SIGBUS => {
            if let Some(host) = host {
                host.blame_fault(address, None);
            }
            say("END crashed");
        }
        libc::SIGALRM => say("END hung"),
        _ => say("END crashed"),
    }
    // SAFETY: the process ends here; nothing of it is used any more.
    unsafe { libc::_exit(0) };
}

fn catch_signals() {
    let stack = Box::leak(vec![0_u8; STACK].into_boxed_slice());
    // SAFETY: a stack that is never freed and handlers that live as long as the process.
    unsafe {
        let mut own: libc::stack_t = std::mem::zeroed();
        own.ss_sp = stack.as_mut_ptr().cast();
        own.ss_size = STACK;
        libc::sigaltstack(&raw const own, std::ptr::null_mut());
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = signalled as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        for signal in [
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGILL,
            libc::SIGFPE,
            libc::SIGTRAP,
            libc::SIGALRM,
        ] {
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
        libc::alarm(LIMIT);
    }
    lab_host::signals::announce();
}

/// Runs the misdeed with this key, or with 0 the plan of this name without one. `confine` gives
/// up what the process does not need, before anything of the image is looked at.
///
/// # Errors
/// [`Unfit`].
pub fn child(
    image: &[u8],
    key: u32,
    name: &str,
    confine: impl FnOnce() -> Result<(), String>,
) -> Result<(), Unfit> {
    catch_signals();
    confine().map_err(Unfit::Confine)?;
    let host = Box::leak(prepare(image, key, Arc::new(Lines))?);
    HOST.store(std::ptr::from_mut(host), Ordering::Release);
    let name = find(key).map_or(name, |misdeed| misdeed.plan);
    let plan = plan(name).ok_or_else(|| Unfit::NoPlan(name.to_owned()))?;
    let outcome = run(host, &plan).map_err(crate::play::Trouble::from)?;
    say(match outcome.end {
        End::Done => "END done",
        End::Refused(_) => "END refused",
        End::Crashed(_) => "END crashed",
        End::Hung(_) => "END hung",
    });
    Ok(())
}

/// What a child said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Ids that were found; as [`crate::Outcome::ids`].
    pub ids: BTreeSet<String>,
    /// The findings, for people.
    pub text: String,
    /// How it ended; empty if it did not say so.
    pub end: String,
}

/// Reads what a child said.
pub fn read(output: &str) -> Said {
    let mut said = Said::default();
    for line in output.lines() {
        if let Some(found) = line.strip_prefix("FOUND ") {
            said.ids.extend(found.split(' ').next().map(str::to_owned));
            let _infallible = writeln!(said.text, "  {found}");
        } else if let Some(end) = line.strip_prefix("END ") {
            end.clone_into(&mut said.end);
        }
    }
    if said.ids.is_empty() {
        match said.end.as_str() {
            "done" | "refused" => {}
            "hung" => drop(said.ids.insert(HANG.to_owned())),
            _ => drop(said.ids.insert(CRASH.to_owned())),
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_child_says_is_read() {
        let said = read("FOUND SND-2 twice\nnoise\nFOUND SND-2 again\nEND crashed\n");
        assert_eq!(said.ids, BTreeSet::from(["SND-2".to_owned()]));
        assert_eq!(said.end, "crashed");
        assert_eq!(read("").ids, BTreeSet::from([CRASH.to_owned()]));
        assert_eq!(read("END hung\n").ids, BTreeSet::from([HANG.to_owned()]));
        assert!(read("END done\n").ids.is_empty());
    }
}
