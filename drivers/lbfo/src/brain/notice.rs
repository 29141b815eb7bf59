//! Tells peers and switches where the team is after a failover: gratuitous ARP and
//! unsolicited neighbour advertisements, per VLAN, so often and so far apart as is
//! set.
//!
//! The addresses are learnt from ARP and neighbour discovery that the stack above
//! sends, with the MAC address and the VLAN they are used with; so miniports of
//! another driver on top of the team are announced too. As many are kept as
//! [`ENTRIES`]; the one that was not seen for the longest time goes first.
//!
//! Nothing is sent while nothing is learnt, and no deadline is set then.

use super::frames::{Form, Frame, Heard, Said, announcement};
use super::{Memory, milliseconds};
use core::net::IpAddr;
use ethernet::{Mac, Vlan};
use im_core::data::teamed::{Slot, Time};
use ndis::Result;

/// Addresses that are kept.
pub const ENTRIES: usize = 64;

/// Announcements at once; the next ones follow after [`PAUSE`].
pub const AT_ONCE: usize = 8;

/// Between groups of announcements of one round.
pub const PAUSE: Time = milliseconds(1);

/// An address that is used above the team.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learnt {
    /// The address.
    pub address: IpAddr,
    /// The VLAN it is used on.
    pub vlan: Vlan,
    /// The MAC address it is used with.
    pub mac: Mac,
    /// When it was seen last.
    seen: Time,
}

/// What is learnt, and where an announcement is.
pub(super) struct Notice<M: Memory> {
    entries: M::Array<Option<Learnt>>,
    /// Where they go.
    slot: Slot,
    /// Rounds that were begun.
    round: u8,
    /// Rounds that are left, the one under way included.
    left: u8,
    /// The next entry of the round.
    position: usize,
    /// When it goes on.
    next: Option<Time>,
}

impl<M: Memory> Notice<M> {
    pub(super) fn try_new(memory: &M) -> Result<Self> {
        Ok(Self {
            entries: memory.array(ENTRIES, |_| None)?,
            slot: 0,
            round: 0,
            left: 0,
            position: 0,
            next: None,
        })
    }

    /// What is learnt.
    pub(super) fn learnt(&self) -> impl Iterator<Item = &Learnt> {
        self.entries.as_ref().iter().flatten()
    }

    /// The stack above sent this.
    pub(super) fn learn(&mut self, heard: &Heard, now: Time) {
        let address = match heard.said {
            Said::Question { sender, .. } => sender,
            Said::Answer { target } => Some(target),
            Said::Use { sender } => Some(sender),
        };
        let Some(address) = address else { return };
        let new = Learnt {
            address,
            vlan: heard.vlan,
            mac: heard.source,
            seen: now,
        };
        // The same address on the same VLAN, else a free place, else the oldest.
        let place = self.entries.as_mut().iter_mut().min_by_key(|place| {
            place.map_or((1, 0), |old| {
                let same = old.address == address && old.vlan == heard.vlan;
                if same { (0, 0) } else { (2, old.seen) }
            })
        });
        if let Some(place) = place {
            *place = Some(new);
        }
    }

    /// Another member is active from now on: `count` rounds, the first one now.
    pub(super) const fn start(&mut self, now: Time, slot: Slot, count: u8) {
        self.slot = slot;
        self.round = 0;
        self.left = count;
        self.position = 0;
        self.next = if count > 0 { Some(now) } else { None };
    }

    /// Nobody is active, or nobody has to be told.
    pub(super) const fn stop(&mut self) {
        self.left = 0;
        self.next = None;
    }

    pub(super) const fn deadline(&self) -> Option<Time> {
        self.next
    }

    /// Goes on with the announcements that are due.
    pub(super) fn run(&mut self, now: Time, interval: Time, send: &mut dyn FnMut(Slot, &Frame)) {
        if self.next.is_none_or(|next| next > now) {
            return;
        }
        let form = if self.round.is_multiple_of(2) {
            Form::Request
        } else {
            Form::Reply
        };
        let mut sent = 0;
        while let Some(place) = self.entries.as_ref().get(self.position) {
            if sent == AT_ONCE {
                self.next = Some(now.saturating_add(PAUSE));
                return;
            }
            self.position = self.position.saturating_add(1);
            if let Some(entry) = place {
                let frame = announcement(entry.address, entry.mac, entry.vlan, form);
                send(self.slot, &frame);
                sent += 1;
            }
        }
        let any = self.learnt().next().is_some();
        self.position = 0;
        self.round = self.round.wrapping_add(1);
        self.left = self.left.saturating_sub(1);
        self.next = (any && self.left > 0).then(|| now.saturating_add(interval));
    }
}
