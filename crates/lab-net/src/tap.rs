//! A TAP device's descriptor: Ethernet frames in and out of Linux.
//!
//! [`crate::netns`] makes one together with the namespace it is in. The process
//! that opened it may hand the descriptor to another one, which only reads and
//! writes: [`Tap`] is made from any [`OwnedFd`].
//!
//! ```no_run
//! # fn child(descriptor: std::os::fd::OwnedFd) -> std::io::Result<()> {
//! let tap = lab_net::tap::Tap::from(descriptor);
//! let mut buffer = vec![0; lab_net::tap::LARGEST];
//! while let Some(length) = tap.read_frame(&mut buffer)? {
//!     println!("{length} octets");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`TapEndpoint`] makes it the far end of a wire.
//!
//! Reads and writes never block; wait with `poll` on [`AsFd`]. Each call moves one
//! whole frame, so that threads may share a `Tap`. Real time only: a TAP has no
//! place in a deterministic run.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::{ETHERNET_HEADER, Endpoint, Frame};

/// Octets that hold any frame Linux sends: the largest MTU and a header with a
/// VLAN tag.
pub const LARGEST: usize = 65_535 + ETHERNET_HEADER + 4;

/// A TAP device.
#[derive(Debug)]
pub struct Tap {
    fd: OwnedFd,
}

impl From<OwnedFd> for Tap {
    fn from(fd: OwnedFd) -> Self {
        Self { fd }
    }
}

impl From<Tap> for OwnedFd {
    fn from(tap: Tap) -> Self {
        tap.fd
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Tap {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl Tap {
    /// Reads one frame that Linux sent. `None`: there is none at the moment.
    pub fn read_frame(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match nix::unistd::read(&self.fd, buffer) {
                Ok(length) => return Ok(Some(length)),
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Hands one frame to Linux. `false`: it has no room at the moment.
    ///
    /// A frame shorter than an Ethernet header is refused with EINVAL, one for an
    /// interface that is down with EIO.
    pub fn write_frame(&self, frame: &[u8]) -> io::Result<bool> {
        loop {
            match nix::unistd::write(&self.fd, frame) {
                Ok(length) if length == frame.len() => return Ok(true),
                Ok(length) => {
                    let why = format!("{length} of {} octets written", frame.len());
                    return Err(io::Error::other(why));
                }
                Err(Errno::EAGAIN | Errno::ENOBUFS) => return Ok(false),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits until there is a frame to read, at most `milliseconds`.
    pub fn wait(&self, milliseconds: u16) -> io::Result<bool> {
        wait(&[self], milliseconds)
    }

    /// Another descriptor of the same device.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            fd: self.fd.try_clone()?,
        })
    }

    /// Pulls the cable of Linux's interface, or plugs it in (`TUNSETCARRIER`).
    pub fn set_carrier(&self, up: bool) -> io::Result<()> {
        /// `_IOW('T', 226, int)`.
        const TUNSETCARRIER: libc::Ioctl = 0x4004_54e2;
        let value = libc::c_int::from(up);
        // SAFETY: the request takes a pointer to an int, which is valid during the call.
        let done = unsafe { libc::ioctl(self.fd.as_raw_fd(), TUNSETCARRIER, &raw const value) };
        if done < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

/// A TAP device as an [`Endpoint`]: what Linux sends comes in at polls.
///
/// A device wakes nobody by itself: the endpoint asks to be polled again soon, the
/// later the longer it has been quiet, unless a [`TapWatch`] tells its driver when
/// to poll. For the real-time engine only.
#[derive(Debug)]
pub struct TapEndpoint {
    shared: Arc<Watched>,
    /// Whether a [`TapWatch`] exists.
    watched: bool,
    buffer: Vec<u8>,
    /// Nanoseconds to the next look.
    pause: u64,
    due: u64,
    counters: TapCounters,
}

/// What a [`TapEndpoint`] moved.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct TapCounters {
    /// Frames and octets that Linux sent.
    pub from_linux: (u64, u64),
    /// Frames and octets that Linux took.
    pub to_linux: (u64, u64),
    /// Frames that Linux had no room for, or refused.
    pub dropped: u64,
    /// Reads that failed: the device is gone.
    pub failed: u64,
}

impl TapEndpoint {
    /// The shortest time to the next look, in nanoseconds.
    const SOON: u64 = 10_000;

    /// The longest.
    const LATE: u64 = 500_000;

    /// Puts an endpoint on a device.
    pub fn new(tap: Tap) -> Self {
        Self {
            shared: Arc::new(Watched {
                tap,
                dry: Mutex::new(false),
                changed: Condvar::new(),
                held: AtomicBool::new(false),
            }),
            watched: false,
            buffer: vec![0; LARGEST],
            pause: Self::SOON,
            due: 0,
            counters: TapCounters::default(),
        }
    }

    /// The same, with a watch: whoever drives the endpoint polls when that says so.
    pub fn watched(tap: Tap) -> (Self, TapWatch) {
        let mut endpoint = Self::new(tap);
        endpoint.watched = true;
        let watch = TapWatch {
            shared: Arc::clone(&endpoint.shared),
        };
        (endpoint, watch)
    }

    /// What it moved so far.
    pub fn counters(&self) -> TapCounters {
        self.counters
    }
}

/// What an endpoint and its watch share.
#[derive(Debug)]
struct Watched {
    tap: Tap,
    /// The endpoint has read all there was; the next frame is worth a word.
    dry: Mutex<bool>,
    changed: Condvar,
    /// What Linux sends is to be left where it is.
    held: AtomicBool,
}

impl Watched {
    fn dry(&self) -> std::sync::MutexGuard<'_, bool> {
        // A flag is valid whoever died while holding it.
        self.dry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells when Linux has sent something that a [`TapEndpoint`] has not read yet.
#[derive(Debug)]
pub struct TapWatch {
    shared: Arc<Watched>,
}

impl TapWatch {
    /// Waits, at most `milliseconds` twice, until the endpoint has read all there was
    /// and there is more: true once for each such moment, and then it is time to poll.
    pub fn wait(&self, milliseconds: u16) -> io::Result<bool> {
        let limit = Duration::from_millis(milliseconds.into());
        if self.shared.held.load(Ordering::Acquire) {
            std::thread::sleep(limit.min(Duration::from_millis(5)));
            return Ok(false);
        }
        let dry = self.shared.dry();
        let (dry, _) = self
            .shared
            .changed
            .wait_timeout_while(dry, limit, |dry| !*dry)
            .unwrap_or_else(PoisonError::into_inner);
        let run_dry = *dry;
        drop(dry);
        // A frame that came after the endpoint's last look is still there to be seen.
        if !run_dry || !self.shared.tap.wait(milliseconds)? {
            return Ok(false);
        }
        *self.shared.dry() = false;
        Ok(true)
    }

    /// Leaves what Linux sends from now on where it is, uncounted, or takes it again.
    pub fn hold(&self, hold: bool) {
        self.shared.held.store(hold, Ordering::Release);
    }
}

impl Endpoint for TapEndpoint {
    fn on_frame(&mut self, now: u64, frame: &[u8]) {
        match self.shared.tap.write_frame(frame) {
            Ok(true) => {
                self.counters.to_linux.0 += 1;
                self.counters.to_linux.1 += frame.len() as u64;
                // An answer is likely.
                self.pause = Self::SOON;
                if !self.watched {
                    self.due = self.due.min(now + Self::SOON);
                }
            }
            Ok(false) | Err(_) => self.counters.dropped += 1,
        }
    }

    fn poll(&mut self, now: u64, out: &mut dyn FnMut(Frame) -> bool) {
        if self.shared.held.load(Ordering::Acquire) {
            // The watch goes on from here when the hold ends.
            self.due = u64::MAX;
            *self.shared.dry() = true;
            return;
        }
        loop {
            match self.shared.tap.read_frame(&mut self.buffer) {
                Ok(Some(length)) => {
                    self.counters.from_linux.0 += 1;
                    self.counters.from_linux.1 += length as u64;
                    self.pause = Self::SOON;
                    if !out(self.buffer[..length].to_vec()) {
                        self.due = now;
                        return;
                    }
                }
                Ok(None) if self.watched => {
                    self.due = u64::MAX;
                    *self.shared.dry() = true;
                    self.shared.changed.notify_one();
                    return;
                }
                Ok(None) => break,
                Err(_) => {
                    self.counters.failed += 1;
                    break;
                }
            }
        }
        self.due = now + self.pause;
        self.pause = (self.pause * 2).min(Self::LATE);
    }

    fn next_poll(&mut self, now: u64) -> Option<u64> {
        (self.due != u64::MAX).then(|| self.due.max(now))
    }
}

fn wait(taps: &[&Tap], milliseconds: u16) -> io::Result<bool> {
    let mut list: Vec<_> = taps
        .iter()
        .map(|tap| PollFd::new(tap.as_fd(), PollFlags::POLLIN))
        .collect();
    match poll(&mut list, PollTimeout::from(milliseconds)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::EINTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What [`forward`] moved.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Forwarded {
    /// Frames from the first device to the second.
    pub there: u64,
    /// Frames from the second to the first.
    pub back: u64,
    /// Frames that the receiving side had no room for.
    pub dropped: u64,
}

/// Carries frames between two devices until `stop`: the path without a driver,
/// which a measurement through one is compared with.
pub fn forward(a: &Tap, b: &Tap, stop: &AtomicBool) -> io::Result<Forwarded> {
    let mut buffer = vec![0; LARGEST];
    let mut moved = Forwarded::default();
    while !stop.load(Ordering::Relaxed) {
        if !wait(&[a, b], 50)? {
            continue;
        }
        // A share for each side in turn.
        for _ in 0..64 {
            let mut idle = true;
            for (from, to, count) in [(a, b, &mut moved.there), (b, a, &mut moved.back)] {
                if let Some(length) = from.read_frame(&mut buffer)? {
                    idle = false;
                    if to.write_frame(&buffer[..length])? {
                        *count += 1;
                    } else {
                        moved.dropped += 1;
                    }
                }
            }
            if idle {
                break;
            }
        }
    }
    Ok(moved)
}
