//! The lab's network: everything that sends or takes Ethernet frames and knows
//! nothing of NDIS.
//!
//! # Use
//!
//! * [`Endpoint`] is what stands at the end of a wire or above a protocol edge:
//!   an embedded TCP/IP host ([`host::IpHost`]), the oracle's generator and sink
//!   ([`oracle`]), a replayed capture ([`pcap::Replay`]).
//! * [`gate`] makes one wait, and remembers what another heard.
//! * [`hub`] puts several endpoints at one place, [`vlan`] some of them behind a tag.
//! * [`wire`] joins two endpoints in virtual time, without a driver: the path
//!   that every measurement through a driver is compared with.
//! * [`team`] is a switch at the far end of several wires: link aggregation, LACP or a
//!   plain bridge.
//! * [`pcap`] records and replays pcapng.
//! * [`netns`] and [`tap`] put Linux itself at the end of a wire.
//!
//! # Concurrency and determinism
//!
//! Endpoints are sans-IO: time and chance are arguments (nanoseconds, a seed).
//! Nothing here reads a clock or iterates in hash order, so that equal seeds and
//! equal inputs give equal frames. An endpoint is `Send` and is driven by one
//! caller at a time; whoever shares one wraps it in `Arc<Mutex<_>>`, which is an
//! endpoint again.
//!
//! Only [`netns`] and [`tap`] touch the operating system; they are for Linux.

pub mod gate;
pub mod host;
pub mod hub;
pub mod mix;
pub mod oracle;
pub mod pcap;
pub mod team;
pub mod vlan;
pub mod wire;

#[cfg(target_os = "linux")]
pub mod netns;
#[cfg(target_os = "linux")]
pub mod tap;

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An Ethernet frame without its frame check sequence.
pub type Frame = Vec<u8>;

/// Octets of an Ethernet header: destination, source, type.
pub const ETHERNET_HEADER: usize = 14;

/// The shortest frame on a wire, without the frame check sequence.
pub const MIN_FRAME: usize = 60;

/// One end of a wire, or a protocol above an adapter.
///
/// # Contract
///
/// * `now` never decreases from call to call.
/// * After [`Endpoint::on_frame`] the caller polls: answers are produced there.
/// * The caller polls when [`Endpoint::next_poll`] says so, and again after the
///   adapter took frames out of a queue that was full.
pub trait Endpoint: Send {
    /// A frame arrives from the adapter.
    fn on_frame(&mut self, now: u64, frame: &[u8]);

    /// Produces frames to send. Every frame handed to `out` is taken; `false`
    /// says that the adapter's queue is now full and this poll is over. A caller
    /// whose queue is full already does not poll.
    fn poll(&mut self, now: u64, out: &mut dyn FnMut(Frame) -> bool);

    /// When it wants to be polled next if nothing arrives; `None` means never.
    /// A time that is not after `now` means at once (or, when the last poll was
    /// ended by a full queue, as soon as there is room).
    fn next_poll(&mut self, now: u64) -> Option<u64>;
}

impl<T: Endpoint + ?Sized> Endpoint for Box<T> {
    fn on_frame(&mut self, now: u64, frame: &[u8]) {
        (**self).on_frame(now, frame);
    }

    fn poll(&mut self, now: u64, out: &mut dyn FnMut(Frame) -> bool) {
        (**self).poll(now, out);
    }

    fn next_poll(&mut self, now: u64) -> Option<u64> {
        (**self).next_poll(now)
    }
}

impl<T: Endpoint + ?Sized> Endpoint for Arc<Mutex<T>> {
    fn on_frame(&mut self, now: u64, frame: &[u8]) {
        lock(self).on_frame(now, frame);
    }

    fn poll(&mut self, now: u64, out: &mut dyn FnMut(Frame) -> bool) {
        lock(self).poll(now, out);
    }

    fn next_poll(&mut self, now: u64) -> Option<u64> {
        lock(self).next_poll(now)
    }
}

/// Locks a mutex whose contents stay meaningful after a panic elsewhere: the
/// counters and queues here are valid between any two statements.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A MAC address. Serialised as text.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// All ones: every station.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// A locally administered unicast address for station `n` of kind `kind`.
    pub const fn local(kind: u8, n: u16) -> Self {
        let [high, low] = n.to_be_bytes();
        Self([0x02, 0x4c, 0x41, kind, high, low])
    }

    /// Whether the group bit is clear and the address is not all zeroes.
    pub fn is_unicast(self) -> bool {
        self.0[0] & 1 == 0 && self.0 != [0; 6]
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, octet) in self.0.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{octet:02x}")?;
        }
        Ok(())
    }
}

/// Text that is no MAC address.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is not a MAC address (six hexadecimal octets, as in 02:00:00:00:00:01)")]
pub struct BadMac(pub String);

impl FromStr for Mac {
    type Err = BadMac;

    fn from_str(text: &str) -> Result<Self, BadMac> {
        let bad = || BadMac(text.to_owned());
        let mut octets = [0; 6];
        let mut parts = text.split([':', '-']);
        for octet in &mut octets {
            let part = parts
                .next()
                .filter(|part| part.len() == 2)
                .ok_or_else(bad)?;
            // `from_str_radix` alone would let a sign through.
            if !part.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(bad());
            }
            *octet = u8::from_str_radix(part, 16).map_err(|_| bad())?;
        }
        if parts.next().is_some() {
            return Err(bad());
        }
        Ok(Self(octets))
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> Self {
        mac.to_string()
    }
}

impl TryFrom<String> for Mac {
    type Error = BadMac;

    fn try_from(text: String) -> Result<Self, BadMac> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_text_round_trips_and_rejects_nonsense() {
        let mac = Mac::local(3, 0x0102);
        assert_eq!(mac.to_string(), "02:4c:41:03:01:02");
        assert_eq!(mac.to_string().parse(), Ok(mac));
        assert_eq!("02-4C-41-03-01-02".parse(), Ok(mac));
        for bad in [
            "",
            "02:4c:41:03:01",
            "02:4c:41:03:01:02:03",
            "+2:4c:41:03:01:02",
            "é:4c:41:03:01:02",
        ] {
            assert_eq!(bad.parse::<Mac>(), Err(BadMac(bad.to_owned())));
        }
        assert!(mac.is_unicast());
        assert!(!Mac::BROADCAST.is_unicast());
    }
}
