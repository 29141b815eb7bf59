//! Small jobs that try the confinement and the crash path from inside. A probe
//! of something forbidden never returns: the filter ends the process at the call.

use std::{
    ffi::c_void,
    fs::File,
    hint,
    net::UdpSocket,
    process::{self, Command},
    ptr, thread,
};

use lab_host::report::{Event, Sink};

use super::{Probe, Reporter};
use crate::trouble::Trouble;

/// Runs a probe.
pub fn run(which: Probe, reporter: &Reporter) -> Result<(), Trouble> {
    let said = |text: String| {
        reporter.event(Event::Log {
            level: 0,
            source: "probe".into(),
            text,
            time: 0,
        });
    };
    match which {
        Probe::Report => {
            for done in 1..=3 {
                reporter.event(Event::Progress {
                    what: "probing".into(),
                    done,
                    total: 3,
                });
            }
            said(format!("user {}", nix::unistd::Uid::effective()));
        }
        Probe::Open => said(escaped("open", File::open("/etc/hostname"))),
        Probe::Socket => said(escaped("socket", UdpSocket::bind("127.0.0.1:0"))),
        Probe::Exec => said(escaped("exec", Command::new("/bin/true").spawn())),
        Probe::Execve => {
            // SAFETY: a valid path and two null vectors, which Linux takes as empty.
            let result = unsafe { libc::execve(c"/bin/true".as_ptr(), ptr::null(), ptr::null()) };
            said(format!("execve returned {result}"));
        }
        Probe::Fork => {
            // SAFETY: the process has one thread here; a child that came to life would only exit.
            let pid = unsafe { libc::fork() };
            if pid == 0 {
                process::exit(0);
            }
            said(format!("fork returned {pid}"));
        }
        Probe::Sigaction => {
            // SAFETY: SIG_IGN is a valid disposition for any catchable signal.
            let before = unsafe { libc::signal(libc::SIGSYS, libc::SIG_IGN) };
            said(format!("sigaction returned {before}"));
        }
        Probe::Kill => said(escaped(
            "kill",
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(1), None),
        )),
        Probe::Thread => match thread::Builder::new().spawn(|| 6 * 7) {
            Ok(thread) => said(format!("a thread answered {:?}", thread.join().ok())),
            Err(error) => said(format!("no thread: {error}")),
        },
        Probe::Memory => said(format!("code of our own answered {}", run_code()?)),
        Probe::Segv => {
            // SAFETY: none: the point of this probe is the fault. Page zero is
            // never mapped, so the load cannot do anything but fault.
            let value = unsafe { ptr::read_volatile(ptr::null::<u8>().wrapping_add(0x18)) };
            said(format!("page zero holds {value}"));
        }
        Probe::Overflow => said(format!("depth {}", overflow(0))),
        Probe::Panic => panic!("a probe panics"),
        Probe::Spin => loop {
            hint::spin_loop();
        },
        Probe::Hog => {
            let mut hoard: Vec<Vec<u8>> = Vec::new();
            loop {
                let mut more = Vec::new();
                if more.try_reserve_exact(256 << 20).is_err() {
                    said(format!("refused after {} MiB", hoard.len() * 256));
                    break;
                }
                hoard.push(more);
            }
        }
    }
    Ok(())
}

fn escaped<T, E: std::fmt::Display>(what: &str, result: Result<T, E>) -> String {
    match result {
        Ok(_) => format!("{what} succeeded"),
        Err(error) => format!("{what} was tried by the kernel: {error}"),
    }
}

/// What loading a driver needs: writable memory that becomes executable.
fn run_code() -> Result<u32, Trouble> {
    // mov eax, 42; ret
    const CODE: [u8; 6] = [0xb8, 42, 0, 0, 0, 0xc3];
    let trouble =
        |what: &str| Trouble::host(format!("{what}: {}", std::io::Error::last_os_error()));
    // SAFETY: an anonymous mapping at an address the kernel chooses touches nothing that exists.
    let page = unsafe {
        libc::mmap(
            ptr::null_mut(),
            4096,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if page == libc::MAP_FAILED {
        return Err(trouble("mmap"));
    }
    // SAFETY: the page is mapped, writable, ours, and longer than CODE.
    unsafe { ptr::copy_nonoverlapping(CODE.as_ptr(), page.cast(), CODE.len()) };
    // SAFETY: the page is ours and no reference into it exists.
    if unsafe { libc::mprotect(page, 4096, libc::PROT_READ | libc::PROT_EXEC) } != 0 {
        return Err(trouble("mprotect"));
    }
    // SAFETY: the page holds a complete function of this signature and is executable.
    let function = unsafe { std::mem::transmute::<*mut c_void, extern "C" fn() -> u32>(page) };
    Ok(function())
}

#[expect(unconditional_recursion, reason = "the probe is to run out of stack")]
fn overflow(depth: u64) -> u64 {
    let page = hint::black_box([depth; 512]);
    overflow(depth + 1) + page[0]
}
