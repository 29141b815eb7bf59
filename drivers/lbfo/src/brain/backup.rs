//! Which member carries everything: the choice of active-backup.
//!
//! Members have an order: primary before others, then the smaller priority, then the
//! smaller number. With [`Failback::OnlyIfBetter`] the faster link comes before all of
//! that.
//!
//! | What happens | What becomes of the choice |
//! |---|---|
//! | The active member is not in use any more | The first one that is ready, at once |
//! | A member that comes first is ready, [`Failback::Sticky`] | Nothing |
//! | The same with the other two | It takes over when it has been ready for the failback delay |
//!
//! A function of the members' states and of nothing else; no memory.

use crate::settings::Failback;
use core::cmp::Reverse;
use im_core::data::teamed::{Slot, Time};

/// Where a member is in the order; the least comes first.
pub type Place = (Reverse<u64>, bool, u16, u16);

/// A member, as far as the choice goes.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Its slot.
    pub slot: Slot,
    /// It carries what it carried, if it did.
    pub in_use: bool,
    /// It can take over, and has been able to since then.
    pub ready_since: Option<Time>,
    /// Bits per second.
    pub speed: u64,
    /// It is primary.
    pub primary: bool,
    /// The smaller the better.
    pub priority: u16,
    /// Its number in the team.
    pub number: u16,
}

impl Candidate {
    /// Its place in the order.
    pub const fn place(&self, failback: Failback) -> Place {
        let speed = match failback {
            Failback::OnlyIfBetter => self.speed,
            Failback::Always | Failback::Sticky => 0,
        };
        (Reverse(speed), !self.primary, self.priority, self.number)
    }
}

/// The choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// The active member.
    pub active: Option<Slot>,
    /// When another one takes over, if nothing else happens.
    pub deadline: Option<Time>,
}

/// Chooses the active member. `active` was it before, `delay` is that of the failback.
pub fn choose(
    active: Option<Slot>,
    candidates: &(impl Iterator<Item = Candidate> + Clone),
    failback: Failback,
    delay: Time,
    now: Time,
) -> Choice {
    let ready = || {
        let since = |candidate: Candidate| Some((candidate, candidate.ready_since?));
        candidates.clone().filter_map(since)
    };
    let first = |(candidate, _): &(Candidate, Time)| candidate.place(failback);
    let current = candidates
        .clone()
        .find(|candidate| candidate.in_use && Some(candidate.slot) == active);
    let Some(current) = current else {
        return Choice {
            active: ready().min_by_key(first).map(|(chosen, _)| chosen.slot),
            deadline: None,
        };
    };
    let stays = Choice {
        active,
        deadline: None,
    };
    if failback == Failback::Sticky {
        return stays;
    }
    let place = current.place(failback);
    let better = || ready().filter(|(candidate, _)| candidate.place(failback) < place);
    let due = |since: Time| since.saturating_add(delay);
    let taker = better()
        .filter(|(_, since)| due(*since) <= now)
        .min_by_key(first)
        .map_or(current, |(taker, _)| taker);
    let place = taker.place(failback);
    Choice {
        active: Some(taker.slot),
        deadline: better()
            .filter(|(candidate, _)| candidate.place(failback) < place)
            .map(|(_, since)| due(since))
            .min(),
    }
}
