//! How the child confines itself. A `.sys` is native code of somebody else that
//! runs as the user: what it can reach is what this process can reach.
//!
//! Runs once, in a process with one thread, before the image is parsed. Order
//! matters: root goes first (a filter could forbid it), the death signal comes
//! after the change of user (which clears it), the filter comes last.

use std::collections::BTreeMap;

use nix::{
    sys::{
        prctl,
        resource::{Resource, setrlimit},
        signal::Signal,
    },
    unistd::{Gid, Pid, Uid, getppid, setgroups, setresgid, setresuid},
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op,
    SeccompCondition as Condition, SeccompFilter, SeccompRule,
};
use thiserror::Error;

use super::Limits;

/// `nobody` and `nogroup` by number: the account file is not read, the numbers
/// are the kernel's own overflow ids.
const NOBODY: u32 = 65534;
/// Arenas of the C library's allocator.
const ARENAS: i32 = 8;
/// Descriptors the child may have at most.
const MAX_FILES: u64 = 64;

/// What could not be done; the driver is not run then.
#[derive(Debug, Error)]
#[error("cannot confine the child process: {step}: {reason}")]
pub struct SandboxError {
    step: &'static str,
    reason: String,
}

fn failed<E: std::fmt::Display>(step: &'static str) -> impl Fn(E) -> SandboxError {
    move |reason| SandboxError {
        step,
        reason: reason.to_string(),
    }
}

/// Gives up everything that running a driver does not need. Says what was done.
pub fn confine(limits: &Limits, parent: i32) -> Result<Vec<String>, SandboxError> {
    let mut done = Vec::new();
    // Without a number of its own, the allocator looks into /sys for that of the
    // processors when a second thread allocates, and before it gives memory of
    // such a thread back, into /proc for whether it may.
    // SAFETY: mallopt changes the allocator's settings; the process has one thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, ARENAS);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
    if limits.threads {
        // Threads inherit it: a wait ends when it is due, not up to 50 microseconds late.
        prctl::set_timerslack(1).map_err(failed("timer slack"))?;
    }
    set_limits(limits)?;
    done.push(format!(
        "limits: {} MiB of address space, {} s of CPU, no core file",
        limits.memory >> 20,
        limits.cpu_seconds
    ));
    if Uid::effective().is_root() {
        drop_root()?;
        done.push(format!("user {NOBODY} instead of root"));
    }
    prctl::set_no_new_privs().map_err(failed("no_new_privs"))?;
    done.push("no_new_privs".into());
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(failed("parent death signal"))?;
    // The parent may have died before the line above.
    if getppid() != Pid::from_raw(parent) {
        return Err(SandboxError {
            step: "parent death signal",
            reason: "the parent is gone".into(),
        });
    }
    done.push("dies with its parent".into());
    for filter in filters(limits.threads)? {
        seccompiler::apply_filter(&filter).map_err(failed("seccomp"))?;
    }
    done.push(format!(
        "seccomp: {} system calls allowed{}",
        allowed(limits.threads).map_err(failed("seccomp"))?.len(),
        if limits.threads { ", threads" } else { "" }
    ));
    Ok(done)
}

fn set_limits(limits: &Limits) -> Result<(), SandboxError> {
    let all = [
        ("core file limit", Resource::RLIMIT_CORE, 0),
        ("memory limit", Resource::RLIMIT_AS, limits.memory),
        ("CPU limit", Resource::RLIMIT_CPU, limits.cpu_seconds),
        ("file size limit", Resource::RLIMIT_FSIZE, limits.file),
        ("descriptor limit", Resource::RLIMIT_NOFILE, MAX_FILES),
        ("locked memory limit", Resource::RLIMIT_MEMLOCK, 0),
    ];
    for (step, resource, value) in all {
        // An inherited hard limit below ours is kept: a user cannot raise it.
        let (_, hard) = nix::sys::resource::getrlimit(resource).map_err(failed(step))?;
        let value = value.min(hard);
        // At the soft CPU limit SIGXCPU asks for a report, at the hard one it ends.
        let hard = if resource == Resource::RLIMIT_CPU {
            value.saturating_add(5).min(hard)
        } else {
            value
        };
        setrlimit(resource, value, hard).map_err(failed(step))?;
    }
    Ok(())
}

fn drop_root() -> Result<(), SandboxError> {
    let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    // Groups first: afterwards the right to do so is gone.
    setgroups(&[]).map_err(failed("supplementary groups"))?;
    setresgid(gid, gid, gid).map_err(failed("group"))?;
    setresuid(uid, uid, uid).map_err(failed("user"))?;
    if Uid::effective().is_root() || nix::unistd::setuid(Uid::from_raw(0)).is_ok() {
        return Err(SandboxError {
            step: "user",
            reason: "root came back".into(),
        });
    }
    Ok(())
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// The allow list. A call outside it raises SIGSYS, which ends the process with
/// a record of what was tried; the forbidden call itself is never executed.
fn allowed(threads: bool) -> Result<Rules, seccompiler::BackendError> {
    let plain = [
        // Descriptors it was given.
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_readv,
        libc::SYS_writev,
        libc::SYS_pread64,
        libc::SYS_pwrite64,
        libc::SYS_lseek,
        libc::SYS_close,
        // Refused with EPERM by an earlier filter, see `filters`.
        libc::SYS_statx,
        libc::SYS_newfstatat,
        libc::SYS_poll,
        libc::SYS_ppoll,
        // Memory: the arena is a memory file mapped twice.
        libc::SYS_memfd_create,
        libc::SYS_ftruncate,
        libc::SYS_fallocate,
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_mprotect,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_brk,
        // Time, waiting, chance.
        libc::SYS_futex,
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
        libc::SYS_restart_syscall,
        libc::SYS_getrandom,
        libc::SYS_sched_yield,
        // The gs base of a virtual processor.
        libc::SYS_arch_prctl,
        // Signals: handlers return, masks change; new handlers cannot be installed.
        libc::SYS_sigaltstack,
        libc::SYS_rt_sigreturn,
        libc::SYS_rt_sigprocmask,
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_geteuid,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];
    let mut rules: Rules = plain.into_iter().map(|number| (number, vec![])).collect();
    let own = u64::from(std::process::id());
    let equals = |argument, value| Condition::new(argument, Len::Dword, Op::Eq, value);
    // abort() and the threads of this process only.
    rules.insert(
        libc::SYS_tgkill,
        vec![SeccompRule::new(vec![equals(0, own)?])?],
    );
    // The library of a debug build looks whether a descriptor is open before it closes it.
    rules.insert(
        libc::SYS_fcntl,
        vec![SeccompRule::new(vec![equals(1, libc::F_GETFD as u64)?])?],
    );
    if threads {
        let thread = libc::CLONE_THREAD as u64;
        let same_process = Condition::new(0, Len::Qword, Op::MaskedEq(thread), thread)?;
        rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![same_process])?]);
        // Its flags lie in memory, where a filter cannot look: an earlier filter
        // answers ENOSYS, after which the C library takes clone.
        rules.insert(libc::SYS_clone3, vec![]);
        let name = libc::PR_SET_NAME as u64;
        rules.insert(
            libc::SYS_prctl,
            vec![SeccompRule::new(vec![equals(0, name)?])?],
        );
        // The C library's own two, which it installs with the first thread.
        let library = |signal| SeccompRule::new(vec![equals(0, signal)?]);
        rules.insert(libc::SYS_rt_sigaction, vec![library(32)?, library(33)?]);
        for number in [
            libc::SYS_set_robust_list,
            libc::SYS_rseq,
            libc::SYS_sched_getaffinity,
        ] {
            rules.insert(number, vec![]);
        }
    }
    Ok(rules)
}

/// Of several filters the strictest answer counts: the first two turn calls that
/// the last one allows into errors that the library knows how to live with.
fn filters(threads: bool) -> Result<[BpfProgram; 3], SandboxError> {
    let arch = std::env::consts::ARCH
        .try_into()
        .map_err(failed("seccomp"))?;
    let filter = |rules, mismatch, matching| -> Result<BpfProgram, SandboxError> {
        SeccompFilter::new(rules, mismatch, matching, arch)
            .and_then(TryInto::try_into)
            .map_err(failed("seccomp"))
    };
    let refuse = |numbers: &[i64], error: i32| {
        let rules = numbers.iter().map(|number| (*number, vec![])).collect();
        let error = u32::try_from(error).map_err(failed("seccomp"))?;
        filter(rules, SeccompAction::Allow, SeccompAction::Errno(error))
    };
    Ok([
        refuse(&[libc::SYS_clone3], libc::ENOSYS)?,
        // Reading a file to its end, the library asks for its size first.
        refuse(&[libc::SYS_statx, libc::SYS_newfstatat], libc::EPERM)?,
        filter(
            allowed(threads).map_err(failed("seccomp"))?,
            SeccompAction::Trap,
            SeccompAction::Allow,
        )?,
    ])
}

/// Name of a system call that must not be made, for reports.
pub fn syscall_name(number: i64) -> String {
    let known = [
        (libc::SYS_open, "open"),
        (libc::SYS_openat, "openat"),
        (libc::SYS_socket, "socket"),
        (libc::SYS_connect, "connect"),
        (libc::SYS_execve, "execve"),
        (libc::SYS_execveat, "execveat"),
        (libc::SYS_fork, "fork"),
        (libc::SYS_vfork, "vfork"),
        (libc::SYS_clone, "clone"),
        (libc::SYS_kill, "kill"),
        (libc::SYS_tgkill, "tgkill"),
        (libc::SYS_ptrace, "ptrace"),
        (libc::SYS_rt_sigaction, "rt_sigaction"),
        (libc::SYS_prctl, "prctl"),
        (libc::SYS_ioctl, "ioctl"),
        (libc::SYS_stat, "stat"),
        (libc::SYS_fstat, "fstat"),
        (libc::SYS_newfstatat, "newfstatat"),
        (libc::SYS_statx, "statx"),
        (libc::SYS_readlink, "readlink"),
        (libc::SYS_unlink, "unlink"),
        (libc::SYS_fcntl, "fcntl"),
        (libc::SYS_dup, "dup"),
        (libc::SYS_getcwd, "getcwd"),
        (libc::SYS_sched_getaffinity, "sched_getaffinity"),
        (libc::SYS_sched_setaffinity, "sched_setaffinity"),
    ];
    known
        .iter()
        .find(|(value, _)| *value == number)
        .map_or_else(
            || format!("number {number}"),
            |(_, name)| (*name).to_owned(),
        )
}
