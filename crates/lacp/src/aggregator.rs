//! Aggregators (6.3.2, 6.4.6) and which of them is the team's.
//!
//! A team has one Aggregator Client. What this module decides is therefore not in
//! the standard, which gives each aggregator its own; see the text of the selection
//! table.

use core::cmp::Reverse;

use crate::config::{AggregatorIndex, MAX_PORTS, SystemConfig};
use crate::id::{PortId, PortState};
use crate::port::Port;
use crate::table::{Mux, Receive, Selected};
use crate::time::{TRIAL_TIME, Time, Timer};

/// What is known of an aggregator over and above its ports.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Aggregator {
    /// It was active for a trial and no port came to distribute.
    pub(crate) refused: bool,
}

/// All aggregators of a system.
#[derive(Clone, Debug)]
pub(crate) struct Aggregators {
    pub(crate) all: [Aggregator; MAX_PORTS],
    /// The one that is the team's.
    pub(crate) active: Option<AggregatorIndex>,
    /// Running while the active one does not work and another could be tried.
    pub(crate) trial: Timer,
}

/// An aggregator's ports in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Summary {
    /// Ports that have selected it, in STANDBY too.
    pub(crate) members: usize,
    /// Of these, the ones that could carry frames.
    pub(crate) usable: usize,
    /// Some are attached.
    attached: bool,
    /// Ports that distribute.
    pub(crate) distributing: usize,
    /// Some have an actual partner.
    has_partner: bool,
    /// The partner decides (6.7.1) and has attached its side of some.
    invited: bool,
    /// The lowest identifier of its usable ports.
    lowest: Option<PortId>,
}

impl Port {
    /// The link is up, and who is at its other end is known and may be used.
    pub(crate) fn is_usable(&self) -> bool {
        self.port_enabled
            && !self.looped
            && !self.withdrawn
            && matches!(
                self.states.receive.state,
                Receive::Current | Receive::Defaulted | Receive::LacpDisabled
            )
    }
}

impl Summary {
    fn add(&mut self, port: &Port) {
        self.members += 1;
        self.attached |= matches!(
            port.states.mux.state,
            Mux::Attached | Mux::Collecting | Mux::Distributing
        );
        self.distributing += usize::from(port.distributing);
        if port.is_usable() {
            self.usable += 1;
            self.has_partner |= port.has_partner();
            self.invited |= port.has_partner()
                && port.partner.system < port.actor.system
                && port.partner.state.has(PortState::SYNCHRONIZATION);
            let id = port.actor.port;
            self.lowest = Some(self.lowest.map_or(id, |lowest| lowest.min(id)));
        }
    }

    /// What makes an active aggregator give way to another, the most important first.
    ///
    /// Two systems with several groups between them would each wait in another one for
    /// ever; so, while the active one does not work, this side follows a partner that
    /// decides.
    fn class(&self, aggregator: Aggregator, works: bool, min_links: u8) -> [bool; 5] {
        [
            self.usable > 0,
            self.has_partner,
            self.invited && !works,
            !aggregator.refused,
            self.usable >= usize::from(min_links),
        ]
    }

    /// Whether it could be tried in place of one that does not work. A partner that is
    /// heard and refuses is still the partner: ports without one do not replace it.
    fn may_follow(&self, current: &Self) -> bool {
        self.usable > 0 && (self.has_partner || !current.has_partner)
    }

    /// What decides while nothing is attached yet.
    fn size(&self) -> (usize, Option<Reverse<PortId>>) {
        (self.usable, self.lowest.map(Reverse))
    }
}

impl Aggregators {
    pub(crate) const fn new() -> Self {
        Self {
            all: [Aggregator { refused: false }; MAX_PORTS],
            active: None,
            trial: Timer::Stopped,
        }
    }

    fn get(&self, index: AggregatorIndex) -> Aggregator {
        self.all
            .get(usize::from(index))
            .copied()
            .unwrap_or_default()
    }

    /// Decides which aggregator is active. Says whether another has become so.
    pub(crate) fn choose(
        &mut self,
        ports: &[Option<Port>],
        config: &SystemConfig,
        now: Time,
    ) -> bool {
        let mut summaries = [Summary::default(); MAX_PORTS];
        for port in ports.iter().flatten() {
            if port.states.selected.state == Selected::Unselected {
                continue;
            }
            let place = port.aggregator.map(usize::from);
            if let Some(summary) = place.and_then(|place| summaries.get_mut(place)) {
                summary.add(port);
            }
        }
        for (aggregator, summary) in self.all.iter_mut().zip(&summaries) {
            // A group that is gone, or works, has a clean slate.
            if summary.members == 0 || summary.distributing > 0 {
                aggregator.refused = false;
            }
        }
        let before = self.active;
        self.end_trial(&summaries);
        self.pick(&summaries, config);
        if self.active != before {
            self.trial = Timer::Stopped;
            // Left while it was tried: not to be taken again for its size alone.
            if let Some((aggregator, summary)) = before
                .map(usize::from)
                .and_then(|index| self.all.get_mut(index).zip(summaries.get(index)))
            {
                aggregator.refused |=
                    summary.attached && summary.usable > 0 && summary.distributing == 0;
            }
        }
        self.begin_trial(&summaries, now);
        self.active != before
    }

    fn pick(&mut self, summaries: &[Summary; MAX_PORTS], config: &SystemConfig) {
        let active = self.active.map(usize::from);
        let works = active
            .and_then(|index| summaries.get(index))
            .is_some_and(|summary| summary.distributing > 0);
        let order = |index: usize, summary: &Summary| {
            let aggregator = self.get(index as AggregatorIndex);
            let class = summary.class(aggregator, works, config.min_links);
            (class, summary.size())
        };
        let best = summaries
            .iter()
            .enumerate()
            .filter(|(_, summary)| summary.usable > 0)
            .max_by_key(|(index, summary)| order(*index, summary));
        let current = active
            .and_then(|index| Some((index, summaries.get(index)?)))
            .filter(|(_, summary)| summary.members > 0);
        let chosen = match (current, best) {
            (Some((index, summary)), Some((other, better))) => {
                let (class, size) = order(index, summary);
                let (better_class, better_size) = order(other, better);
                let gives_way = better_class > class
                    || (!summary.attached && better_class == class && better_size > size);
                Some(if gives_way { other } else { index })
            }
            (Some((index, _)), None) | (None, Some((index, _))) => Some(index),
            (None, None) => None,
        };
        self.active = chosen.map(|index| index as AggregatorIndex);
    }

    /// Whether the active aggregator has nothing to show while another is usable.
    fn is_on_trial(&self, summaries: &[Summary; MAX_PORTS]) -> bool {
        let active = self.active.map(usize::from);
        let Some((active, summary)) = active.zip(active.and_then(|it| summaries.get(it))) else {
            return false;
        };
        let others = summaries.iter().enumerate();
        summary.distributing == 0
            && others
                .filter(|(index, _)| *index != active)
                .any(|(_, other)| other.may_follow(summary))
    }

    fn begin_trial(&mut self, summaries: &[Summary; MAX_PORTS], now: Time) {
        if !self.is_on_trial(summaries) {
            self.trial = Timer::Stopped;
        } else if self.trial == Timer::Stopped {
            self.trial.start(now, TRIAL_TIME);
        }
    }

    fn end_trial(&mut self, summaries: &[Summary; MAX_PORTS]) {
        let Some(active) = self.active else { return };
        if self.trial != Timer::Expired || !self.is_on_trial(summaries) {
            return;
        }
        self.trial = Timer::Stopped;
        let untried = summaries.iter().enumerate().any(|(index, summary)| {
            index != usize::from(active)
                && summaries
                    .get(usize::from(active))
                    .is_some_and(|current| summary.may_follow(current))
                && !self.get(index as AggregatorIndex).refused
        });
        for (index, aggregator) in self.all.iter_mut().enumerate() {
            // When all have had their turn it begins anew.
            aggregator.refused = index == usize::from(active) || (untried && aggregator.refused);
        }
    }
}
