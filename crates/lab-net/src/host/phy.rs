//! The stack's device: frames in from a queue, frames out through the caller's
//! closure. Exists for the time of one poll.

use std::collections::VecDeque;

use smoltcp::phy::{
    Checksum, ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken,
};
use smoltcp::time::Instant;

use crate::{ETHERNET_HEADER, Frame, MIN_FRAME};

/// Frames that arrived since the last poll.
#[derive(Default)]
pub(super) struct Inbox {
    frames: VecDeque<Frame>,
}

impl Inbox {
    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    pub(super) fn push(&mut self, frame: &[u8]) {
        self.frames.push_back(frame.to_vec());
    }
}

pub(super) struct Phy<'a> {
    inbox: &'a mut Inbox,
    out: &'a mut dyn FnMut(Frame) -> bool,
    room: bool,
    mtu: u16,
    pad: bool,
}

impl<'a> Phy<'a> {
    pub(super) fn new(
        inbox: &'a mut Inbox,
        out: &'a mut dyn FnMut(Frame) -> bool,
        mtu: u16,
        pad: bool,
    ) -> Self {
        Self {
            inbox,
            out,
            room: true,
            mtu,
            pad,
        }
    }

    /// Whether the adapter takes another frame.
    pub(super) fn has_room(&self) -> bool {
        self.room
    }
}

pub(super) struct Received(Frame);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

pub(super) struct Transmit<'t> {
    out: &'t mut dyn FnMut(Frame) -> bool,
    room: &'t mut bool,
    pad: bool,
}

impl TxToken for Transmit<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut frame = vec![
            0;
            if self.pad {
                length.max(MIN_FRAME)
            } else {
                length
            }
        ];
        let result = f(&mut frame[..length]);
        *self.room = (self.out)(frame);
        result
    }
}

impl Device for Phy<'_> {
    type RxToken<'t>
        = Received
    where
        Self: 't;
    type TxToken<'t>
        = Transmit<'t>
    where
        Self: 't;

    fn receive(&mut self, _now: Instant) -> Option<(Received, Transmit<'_>)> {
        // A frame may need an answer: without room for it, it waits.
        if !self.room {
            return None;
        }
        let frame = self.inbox.frames.pop_front()?;
        Some((
            Received(frame),
            Transmit {
                out: self.out,
                room: &mut self.room,
                pad: self.pad,
            },
        ))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Transmit<'_>> {
        self.room.then_some(Transmit {
            out: self.out,
            room: &mut self.room,
            pad: self.pad,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = usize::from(self.mtu) + ETHERNET_HEADER;
        // The stack makes and checks every checksum itself: what a driver does
        // to a frame must not be hidden by an assumed offload.
        let mut checksum = ChecksumCapabilities::default();
        checksum.ipv4 = Checksum::Both;
        capabilities.checksum = checksum;
        capabilities
    }
}
