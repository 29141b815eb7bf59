//! What becomes of the tag on the way down and on the way up.
//!
//! Pure; constant time, any IRQL. That a tag goes beside the frame where the
//! adapter takes it there, and into the header otherwise, is im-core's affair;
//! here it is decided which tag that is.

use crate::mac_table::MacTable;
use crate::settings::{Mode, Port};
use ethernet::{Header, Mac, Nested, OutOfBand, Outer, Priority, PriorityMap, Tag, Vlan};
use im_core::data::fanout::{Egress, Strip};

/// Why a send is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The frame has a tag of another VLAN than the port's, a tag behind its tag,
    /// or a service tag: it would come out where the port has no business.
    ForeignTag,
    /// The source address is none that the port may use.
    Spoofed,
}

/// What a port does with what it sends and receives.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'a> {
    /// How the ports of the adapter stand to each other.
    pub mode: Mode,
    /// The port's VLAN.
    pub vlan: Vlan,
    /// The port's address.
    pub mac: Mac,
    /// Further addresses that the port may send from; `None`: any.
    pub allowed: Option<&'a MacTable<()>>,
    /// Priorities on the way up.
    pub priority_in: PriorityMap,
    /// Priorities on the way down.
    pub priority_out: PriorityMap,
    /// Priority of what is sent without one.
    pub default_priority: Priority,
}

impl<'a> Policy<'a> {
    /// The policy of a port with these settings.
    pub fn new(mode: Mode, mac: Mac, port: &'a Port) -> Self {
        Self {
            mode,
            vlan: port.vlan,
            mac,
            allowed: port.anti_spoof.then_some(&port.allowed),
            priority_in: port.priority_in,
            priority_out: port.priority_out,
            default_priority: port.default_priority,
        }
    }

    /// Whether frames may leave with a tag that the port put on them, so that
    /// there has to be room for it.
    pub fn tags(&self) -> bool {
        self.mode != Mode::Passthru
            && (!self.vlan.is_none()
                || self.default_priority != Priority::BEST_EFFORT
                || !self.priority_out.is_identity())
    }

    /// What goes beside a received frame whose tag was this one: the priority as
    /// the port sees it, and no VLAN.
    pub const fn above(&self, tag: Tag) -> Tag {
        Tag {
            priority: self.priority_in.apply(tag.priority),
            // CanonicalFormatId is to be zero (NDIS_NET_BUFFER_LIST_8021Q_INFO).
            dei: false,
            vlan: Vlan::NONE,
        }
    }

    /// Whether the port may send from an address.
    pub fn may_send_from(&self, source: Mac) -> bool {
        match self.allowed {
            None => true,
            Some(allowed) => source == self.mac || allowed.get(source).is_some(),
        }
    }

    /// How a frame leaves for the adapter, and how another port of the VLAN would
    /// have to see it.
    pub fn leave(&self, header: &Header, beside: OutOfBand) -> Result<(Egress, Strip), Refusal> {
        if !self.may_send_from(header.source) {
            return Err(Refusal::Spoofed);
        }
        if self.mode == Mode::Passthru {
            return Ok((Egress::AsIs, Strip::Keep));
        }
        let word = beside.tag();
        let mine = |vlan: Vlan| vlan.is_none() || vlan == self.vlan;
        let (given, in_frame) = match (header.outer, header.nested) {
            (Outer::None, _) => (None, false),
            (Outer::Customer(tag), Nested::None) if mine(tag.vlan) => (Some(tag), true),
            // Whoever takes one tag off would find another one.
            (Outer::Customer(_) | Outer::Service(_), _) => return Err(Refusal::ForeignTag),
        };
        if !mine(word.vlan) {
            return Err(Refusal::ForeignTag);
        }
        let (priority, dei) = match given {
            Some(tag) => (tag.priority, tag.dei),
            // Beside a frame, priority 0 is the same as none.
            None if word.priority == Priority::BEST_EFFORT => (self.default_priority, false),
            None => (word.priority, false),
        };
        let tag = Tag {
            priority: self.priority_out.apply(priority),
            dei,
            vlan: self.vlan,
        };
        let strip = match (in_frame, word.tci() | tag.priority.number() as u16) {
            (true, _) => Strip::InFrame(tag),
            (false, 0) => Strip::Keep,
            (false, _) => Strip::Beside(tag),
        };
        let as_is = match given {
            Some(given) => given == tag && word.tci() == 0,
            // A VLAN that is beside the frame already may have to go into it: the
            // adapter may take none there.
            None => word == tag && tag.vlan.is_none(),
        };
        let egress = if as_is {
            Egress::AsIs
        } else {
            Egress::Tagged(tag)
        };
        Ok((egress, strip))
    }
}

#[cfg(test)]
#[path = "tag_tests.rs"]
mod tests;
