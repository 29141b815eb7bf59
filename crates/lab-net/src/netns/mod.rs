//! Linux itself as the peer: a network namespace with one TAP device in it, or several.
//!
//! # Use
//!
//! ```no_run
//! use lab_net::netns::{Port, pair};
//! use lab_net::Mac;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (upper, peer) = pair(
//!     &Port::new("lab0", Mac::local(4, 1)).ipv4([10, 9, 0, 1].into(), 24),
//!     &Port::new("lab1", Mac::local(4, 2)).ipv4([10, 9, 0, 2].into(), 24),
//! )?;
//! // The descriptors go to whoever moves the frames, e.g. the confined child:
//! let (upper, upper_tap) = upper.split();
//! let (peer, peer_tap) = peer.split();
//! # drop((upper_tap, peer_tap));
//! let ping = upper.command("ping").args(["-c", "3", "10.9.0.2"]).output()?;
//! println!("{}{}", String::from_utf8_lossy(&ping.stdout), peer.counters("lab1")?);
//! # Ok(())
//! # }
//! ```
//!
//! # Nothing is left behind
//!
//! A namespace here has no name. A forked helper makes it, creates and sets up
//! the TAP device within it, sends the descriptors of both to this process and
//! ends. From then on the namespace lives as long as the descriptors (and the
//! commands run in it), the device as long as its own: when this process ends,
//! even by SIGKILL, the kernel removes them. Commands get SIGKILL when the thread
//! that started them ends.
//!
//! # Rights
//!
//! With CAP_SYS_ADMIN a network namespace is enough. Without it the helper makes
//! a user namespace as well, where the machine allows it; `/dev/net/tun` has to
//! be open to the user in either case. [`NetnsError::is_missing_right`] tells a
//! machine that does not allow it from a fault.
//!
//! # Concurrency
//!
//! May be called from any thread of a threaded process: the helper makes only
//! async-signal-safe calls between fork and exit (see `setup`).

mod setup;

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, socketpair,
};
use nix::sys::wait::{WaitStatus, waitpid};

use crate::Mac;
use crate::tap::Tap;
use setup::{Outcome, Plan};

pub use setup::Step;

/// A TAP device to be made: one port of a host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Port {
    /// The interface's name, at most 15 octets.
    pub name: String,
    /// Its address.
    pub mac: Mac,
    /// The largest packet.
    pub mtu: u16,
    /// IPv4 address and prefix length.
    pub ipv4: Option<(Ipv4Addr, u8)>,
    /// IPv6 address and prefix length. Without one the interface has no IPv6 at
    /// all, so that it sends nothing unasked.
    pub ipv6: Option<(Ipv6Addr, u8)>,
}

impl Port {
    /// A port with MTU 1500 and no IP address.
    pub fn new(name: impl Into<String>, mac: Mac) -> Self {
        Self {
            name: name.into(),
            mac,
            mtu: 1500,
            ipv4: None,
            ipv6: None,
        }
    }

    /// Sets the IPv4 address.
    #[must_use]
    pub fn ipv4(mut self, address: Ipv4Addr, prefix: u8) -> Self {
        self.ipv4 = Some((address, prefix));
        self
    }

    /// Sets the IPv6 address.
    #[must_use]
    pub fn ipv6(mut self, address: Ipv6Addr, prefix: u8) -> Self {
        self.ipv6 = Some((address, prefix));
        self
    }

    /// Sets the MTU.
    #[must_use]
    pub fn mtu(mut self, mtu: u16) -> Self {
        self.mtu = mtu;
        self
    }
}

/// Why there is no namespace: which step failed, on which interface, how.
#[derive(Debug)]
pub struct NetnsError {
    /// The step.
    pub step: Step,
    /// The interface.
    pub port: String,
    /// What the system said.
    pub error: io::Error,
}

impl NetnsError {
    /// Whether this user on this machine may not do this at all: a reason to
    /// skip, not a fault.
    pub fn is_missing_right(&self) -> bool {
        let steps = matches!(
            self.step,
            Step::Unshare | Step::MapUser | Step::OpenTun | Step::CreateTap
        );
        let error = self.error.raw_os_error().unwrap_or(0);
        let refused = [libc::EPERM, libc::EACCES].contains(&error);
        // No such device, no such system call, a limit of zero, a kernel built
        // without namespaces.
        let absent = [
            libc::ENOENT,
            libc::ENODEV,
            libc::ENXIO,
            libc::ENOSYS,
            libc::ENOSPC,
        ]
        .contains(&error)
            || (self.step == Step::Unshare && error == libc::EINVAL);
        steps && (refused || absent)
    }
}

impl fmt::Display for NetnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "network namespace for {}: {}: {}",
            self.port, self.step, self.error
        )
    }
}

impl std::error::Error for NetnsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// What an interface has carried, as Linux counts it: Ethernet frames without
/// their check sequence.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct InterfaceCounters {
    /// Octets that the namespace received.
    pub octets_in: u64,
    /// Frames that the namespace received.
    pub frames_in: u64,
    /// Received frames that it dropped.
    pub dropped_in: u64,
    /// Octets that it sent.
    pub octets_out: u64,
    /// Frames that it sent.
    pub frames_out: u64,
    /// Frames that it dropped instead of sending.
    pub dropped_out: u64,
}

impl fmt::Display for InterfaceCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "in {} frames, {} octets, {} dropped; out {} frames, {} octets, {} dropped",
            self.frames_in,
            self.octets_in,
            self.dropped_in,
            self.frames_out,
            self.octets_out,
            self.dropped_out
        )
    }
}

/// An anonymous network namespace.
#[derive(Debug)]
pub struct Namespace {
    /// The user namespace that owns it, if one had to be made.
    user: Option<Arc<OwnedFd>>,
    net: Arc<OwnedFd>,
    /// Its /proc/net/dev: an open one belongs to the namespace it was opened in.
    dev: File,
}

impl Namespace {
    /// Whether it hangs on a user namespace: made without privilege.
    pub fn is_unprivileged(&self) -> bool {
        self.user.is_some()
    }

    /// A command that runs within the namespace. It is killed when the thread
    /// that starts it ends.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let (user, net) = (self.user.clone(), Arc::clone(&self.net));
        let mut command = Command::new(program);
        let parent = nix::unistd::Pid::this();
        let enter = move || {
            // The user namespace first: it gives the right to enter the other.
            if let Some(user) = &user {
                setns(user, CloneFlags::CLONE_NEWUSER)?;
            }
            setns(&net, CloneFlags::CLONE_NEWNET)?;
            // SAFETY: PR_SET_PDEATHSIG takes a signal number and touches no memory.
            if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } != 0 {
                return Err(io::Error::last_os_error());
            }
            // A parent that died before the signal was ordered sends none.
            if nix::unistd::getppid() != parent {
                return Err(io::Error::from_raw_os_error(libc::ECHILD));
            }
            Ok(())
        };
        // SAFETY: between fork and exec the closure makes system calls on
        // descriptors it owns and allocates nothing: async-signal-safe.
        unsafe { command.pre_exec(enter) };
        command
    }

    /// Makes one more TAP device in the namespace, set up and up.
    pub fn open_tap(&self, port: &Port) -> Result<Tap, NetnsError> {
        let user = self.user.as_deref().map(AsRawFd::as_raw_fd);
        let inside = |plan: Plan| plan.inside(user, self.net.as_raw_fd());
        Ok(Helped::run(port, inside)?.tap)
    }

    /// What an interface of the namespace has carried so far.
    pub fn counters(&self, interface: &str) -> io::Result<InterfaceCounters> {
        let mut text = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            let length = self.dev.read_at(&mut chunk, text.len() as u64)?;
            if length == 0 {
                break;
            }
            text.extend_from_slice(&chunk[..length]);
        }
        let text = String::from_utf8_lossy(&text);
        parse_dev(&text, interface).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!("no interface {interface} in the namespace"),
            )
        })
    }
}

/// One line of /proc/net/dev: eight numbers received, eight sent.
fn parse_dev(text: &str, interface: &str) -> Option<InterfaceCounters> {
    let (_, numbers) = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim() == interface)?;
    let numbers: Vec<u64> = numbers
        .split_whitespace()
        .map_while(|number| number.parse().ok())
        .collect();
    let at = |index: usize| numbers.get(index).copied();
    Some(InterfaceCounters {
        octets_in: at(0)?,
        frames_in: at(1)?,
        dropped_in: at(3)?,
        octets_out: at(8)?,
        frames_out: at(9)?,
        dropped_out: at(11)?,
    })
}

/// A namespace and the TAP device in it.
#[derive(Debug)]
pub struct Lan {
    namespace: Namespace,
    tap: Tap,
}

/// What a helper brought about.
struct Helped {
    net: OwnedFd,
    dev: OwnedFd,
    tap: Tap,
    user: Option<OwnedFd>,
}

impl Helped {
    /// Forks a helper for a port and waits for its end.
    fn run(port: &Port, change: impl FnOnce(Plan) -> Plan) -> Result<Self, NetnsError> {
        let fail = |step, error| NetnsError {
            step,
            port: port.name.clone(),
            error,
        };
        let plan = change(Plan::new(port).map_err(|error| fail(Step::Plan, error))?);
        let (here, there) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )
        .map_err(|error| fail(Step::Fork, error.into()))?;
        // SAFETY: the child of a threaded process may make async-signal-safe calls
        // only; `Plan::carry_out` is written so and never returns.
        let child = unsafe { libc::fork() };
        if child == 0 {
            plan.carry_out(there.as_raw_fd());
        }
        if child < 0 {
            return Err(fail(Step::Fork, io::Error::last_os_error()));
        }
        drop(there);
        let (outcome, descriptors) = receive(&here).map_err(|error| fail(Step::Receive, error))?;
        let status = waitpid(nix::unistd::Pid::from_raw(child), None);
        if let Outcome::Failed(step, error) = outcome {
            return Err(fail(step, error));
        }
        let ended = |why: String| fail(Step::Receive, io::Error::other(why));
        // ECHILD: the process ignores SIGCHLD, so there is nothing to be asked.
        if !matches!(
            status,
            Ok(WaitStatus::Exited(_, 0)) | Err(nix::Error::ECHILD)
        ) {
            return Err(ended(format!("the helper ended with {status:?}")));
        }
        let mut descriptors = descriptors.into_iter();
        let mut next = || {
            descriptors
                .next()
                .ok_or_else(|| ended("a descriptor is missing".to_owned()))
        };
        let (net, dev, tap) = (next()?, next()?, next()?);
        Ok(Self {
            net,
            dev,
            tap: Tap::from(tap),
            user: next().ok(),
        })
    }
}

impl Lan {
    /// Makes a namespace with one TAP device, set up and up.
    pub fn open(port: &Port) -> Result<Self, NetnsError> {
        let helped = Helped::run(port, |plan| plan)?;
        Ok(Self {
            namespace: Namespace {
                user: helped.user.map(Arc::new),
                net: Arc::new(helped.net),
                dev: File::from(helped.dev),
            },
            tap: helped.tap,
        })
    }

    /// The device.
    pub fn tap(&self) -> &Tap {
        &self.tap
    }

    /// The namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Both, for different owners. The device vanishes with its [`Tap`].
    pub fn split(self) -> (Namespace, Tap) {
        (self.namespace, self.tap)
    }
}

/// Two namespaces, for the two ends of a driver.
pub fn pair(a: &Port, b: &Port) -> Result<(Lan, Lan), NetnsError> {
    Ok((Lan::open(a)?, Lan::open(b)?))
}

/// What the helper sent: its outcome, and descriptors if it went well.
fn receive(socket: &OwnedFd) -> io::Result<(Outcome, Vec<OwnedFd>)> {
    let mut message = [0; Outcome::SIZE];
    let mut slices = [IoSliceMut::new(&mut message)];
    let mut space = nix::cmsg_space!([RawFd; setup::DESCRIPTORS]);
    let received = recvmsg::<()>(
        socket.as_raw_fd(),
        &mut slices,
        Some(&mut space),
        MsgFlags::MSG_CMSG_CLOEXEC,
    )?;
    let mut descriptors = Vec::new();
    for message in received.cmsgs()? {
        if let ControlMessageOwned::ScmRights(list) = message {
            for fd in list {
                // SAFETY: the kernel has just installed this descriptor in this process;
                // nobody else knows it, so this is its only owner.
                descriptors.push(unsafe { OwnedFd::from_raw_fd(fd) });
            }
        }
    }
    let length = received.bytes;
    Outcome::decode(&message[..length])
        .map(|outcome| (outcome, descriptors))
        .ok_or_else(|| io::Error::other("the helper ended without a word"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_from_the_kernels_table() {
        let text = "Inter-|   Receive                                                |  Transmit\n \
                    face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets \
                    errs drop fifo colls carrier compressed\n    \
                    lo:       0       0    0    0    0     0          0         0        0       0    \
                    0    0    0     0       0          0\n  \
                    lab0:    1234      12    1    2    0     0          0         0     5678      34    \
                    3    4    0     0       0          0\n";
        let expected = InterfaceCounters {
            octets_in: 1234,
            frames_in: 12,
            dropped_in: 2,
            octets_out: 5678,
            frames_out: 34,
            dropped_out: 4,
        };
        assert_eq!(parse_dev(text, "lab0"), Some(expected));
        assert_eq!(parse_dev(text, "lab1"), None);
        assert_eq!(parse_dev("lab0: 1 2 3\n", "lab0"), None);
    }

    #[test]
    fn a_bad_port_is_refused_before_anything_happens() {
        for name in ["", "sixteen-letters-", "a/b", "a\0b", "."] {
            let error = Lan::open(&Port::new(name, Mac::local(4, 1))).expect_err("a bad name");
            assert_eq!(error.step, Step::Plan);
            assert!(!error.is_missing_right());
        }
        let port = Port::new("lab0", Mac::local(4, 1)).ipv4([10, 0, 0, 1].into(), 33);
        assert_eq!(Lan::open(&port).expect_err("a bad prefix").step, Step::Plan);
    }
}
