//! Monitors of members: ARP requests and neighbour solicitations to targets, and who
//! answers.
//!
//! Each member is asked for by itself: its probes have its own MAC address as their
//! source, and no IP address (ARP) or the link-local one of that MAC address (ND). So
//! an answer says by its destination which member was asked, and no probe moves the
//! team's address in a switch or a neighbour's cache. Exceptions:
//!
//! | Member | How it is asked |
//! |---|---|
//! | The only one that carries anything, and an address to ask from is set or learnt | From the team's MAC address and that address, as the stack does |
//! | Its own address is the team's, and another one carries everything | Not at all, as that would move the team's address; it is enough to hear the others' ARP requests come back from the switch |
//!
//! | Setting | A member is good while |
//! |---|---|
//! | any | one target has left less than `MonitorMissed` probes in a row unanswered |
//! | all | every target has |
//!
//! A member that comes up is good as soon as enough targets have answered once. A
//! monitor that is off, or has no member with a link, has no deadline.

use super::frames::{Heard, Question, Said};
use super::milliseconds;
use crate::settings::{MOST_STATIONS, Monitor, Station, TeamSettings};
use core::net::IpAddr;
use ethernet::{Mac, Vlan};
use im_core::data::teamed::Time;

/// Probes that are not answered, and when the next ones go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hearing {
    /// Of each target, in a row.
    missed: [u8; MOST_STATIONS],
    /// Was asked, and has not answered yet.
    waiting: u16,
    /// When to ask next; none: the link is down, or there is no monitor.
    pub(super) next: Option<Time>,
}

const _: () = assert!(MOST_STATIONS <= u16::BITS as usize);

impl Hearing {
    /// Nobody answers and nobody is asked.
    pub(super) const NOTHING: Self = Self {
        missed: [u8::MAX; MOST_STATIONS],
        waiting: 0,
        next: None,
    };

    /// Nothing was heard yet; the first probes go out at once.
    pub(super) const fn anew(now: Time) -> Self {
        Self {
            next: Some(now),
            ..Self::NOTHING
        }
    }

    /// Whether as many targets answer as have to.
    pub(super) fn is_enough(&self, settings: &TeamSettings) -> bool {
        let mut targets = self.missed.iter().take(settings.targets.len());
        let answers = |missed: &u8| *missed < settings.monitor_missed;
        match settings.monitor {
            Monitor::Off => true,
            Monitor::Any => targets.any(answers),
            Monitor::All => targets.all(answers),
        }
    }

    /// A target answers.
    pub(super) fn hear(&mut self, target: usize) {
        if let Some(missed) = self.missed.get_mut(target) {
            *missed = 0;
            self.waiting &= !mask(target);
        }
    }

    /// It is time to ask all targets again.
    pub(super) fn begin(&mut self, settings: &TeamSettings, now: Time) {
        for (target, missed) in self.missed.iter_mut().enumerate() {
            if self.waiting & mask(target) != 0 {
                *missed = missed.saturating_add(1);
            }
        }
        self.waiting = (0..settings.targets.len()).fold(0, |all, target| all | mask(target));
        self.next = Some(now.saturating_add(milliseconds(settings.monitor_interval)));
    }

    /// Probes in a row that a target has left unanswered.
    pub(super) fn missed(&self, target: usize) -> u8 {
        self.missed.get(target).copied().unwrap_or(u8::MAX)
    }
}

const fn mask(target: usize) -> u16 {
    1 << (target as u32 & 15)
}

/// Who asks, on one member.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asker {
    /// The team itself.
    Team(Mac),
    /// The member by itself.
    Member(Mac),
}

/// The question for a target.
pub(super) fn question(
    asker: Asker,
    target: &Station,
    settings: &TeamSettings,
    learnt: impl Fn(Vlan, bool) -> Option<IpAddr>,
) -> Question {
    let is_v4 = target.address.is_ipv4();
    let (source, sender) = match asker {
        Asker::Member(mac) => (mac, None),
        Asker::Team(mac) => {
            let set = settings
                .sources
                .iter()
                .find(|from| from.vlan == target.vlan && from.address.is_ipv4() == is_v4);
            let set = set.map(|from| from.address);
            (mac, set.or_else(|| learnt(target.vlan, is_v4)))
        }
    };
    Question {
        source,
        sender,
        target: target.address,
        vlan: target.vlan,
    }
}

/// The number of a target that a frame is about. A frame without a tag may have lost
/// it to the adapter.
pub(super) fn target(settings: &TeamSettings, heard: &Heard) -> Option<usize> {
    let (Said::Question { target, .. } | Said::Answer { target }) = heard.said else {
        return None;
    };
    settings.targets.iter().position(|station| {
        station.address == target && (heard.vlan == station.vlan || heard.vlan.is_none())
    })
}
