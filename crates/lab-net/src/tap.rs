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
}

/// A TAP device as an [`Endpoint`]: what Linux sends comes in at polls.
///
/// A device wakes nobody here; the endpoint asks to be polled again soon, the
/// later the longer it has been quiet. For the real-time engine only.
#[derive(Debug)]
pub struct TapEndpoint {
    tap: Tap,
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
            tap,
            buffer: vec![0; LARGEST],
            pause: Self::SOON,
            due: 0,
            counters: TapCounters::default(),
        }
    }

    /// What it moved so far.
    pub fn counters(&self) -> TapCounters {
        self.counters
    }
}

impl Endpoint for TapEndpoint {
    fn on_frame(&mut self, now: u64, frame: &[u8]) {
        match self.tap.write_frame(frame) {
            Ok(true) => {
                self.counters.to_linux.0 += 1;
                self.counters.to_linux.1 += frame.len() as u64;
                // An answer is likely.
                self.pause = Self::SOON;
                self.due = self.due.min(now + Self::SOON);
            }
            Ok(false) | Err(_) => self.counters.dropped += 1,
        }
    }

    fn poll(&mut self, now: u64, out: &mut dyn FnMut(Frame) -> bool) {
        loop {
            match self.tap.read_frame(&mut self.buffer) {
                Ok(Some(length)) => {
                    self.counters.from_linux.0 += 1;
                    self.counters.from_linux.1 += length as u64;
                    self.pause = Self::SOON;
                    if !out(self.buffer[..length].to_vec()) {
                        self.due = now;
                        return;
                    }
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
        Some(self.due.max(now))
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
