//! Time: a number that only grows, given by the caller with every event.
//!
//! The unit is 100 ns, that of `KeQueryInterruptTime` and of the due time of a
//! kernel timer, so that a driver converts nothing. Nothing here reads a clock.

/// A moment, or a distance between two, in units of 100 ns.
pub type Time = u64;

/// One millisecond.
pub const MILLISECOND: Time = 10_000;

/// One second.
pub const SECOND: Time = 1_000 * MILLISECOND;

/// `Fast_Periodic_Time` (6.4.4): between transmissions that a partner with the
/// short timeout needs.
pub const FAST_PERIODIC_TIME: Time = SECOND;

/// `Slow_Periodic_Time` (6.4.4): the same with the long timeout.
pub const SLOW_PERIODIC_TIME: Time = 30 * SECOND;

/// `Short_Timeout_Time` (6.4.4): until received information is invalid.
pub const SHORT_TIMEOUT_TIME: Time = 3 * SECOND;

/// `Long_Timeout_Time` (6.4.4): the same with the long timeout.
pub const LONG_TIMEOUT_TIME: Time = 90 * SECOND;

/// `Churn_Detection_Time` (6.4.4): until a port out of synchronization churns.
pub const CHURN_DETECTION_TIME: Time = 60 * SECOND;

/// `Aggregate_Wait_Time` (6.4.4): a port waits so long for others to join.
pub const AGGREGATE_WAIT_TIME: Time = 2 * SECOND;

/// How long an active aggregator may stay without a port that distributes while
/// another could be tried. Not the standard's: there, a system has as many
/// aggregator clients as aggregators, and a team has one.
pub const TRIAL_TIME: Time = 10 * SECOND;

/// LACPDUs in any [`FAST_PERIODIC_TIME`] (6.4.16).
pub const LACPDU_LIMIT: usize = 3;

/// LACPDUs that are listened to in any second: as many as IEEE 802.3 57A.2 allows a
/// slow protocol. Others are counted; so nobody keeps a team busy at a rate of his
/// choice.
pub const LISTEN_LIMIT: usize = 10;

/// Markers of the generator in any second. With [`RESPONSE_LIMIT`] the ten frames
/// a second that IEEE 802.3 57A.2 allows a slow protocol.
pub const MARKER_LIMIT: usize = 3;

/// Marker responses in any second; see [`MARKER_LIMIT`].
pub const RESPONSE_LIMIT: usize = 7;

/// A timer of a state machine (6.4.10). It counts nothing: it is a deadline.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Timer {
    /// Not running; it will not expire.
    #[default]
    Stopped,
    /// Expires at this moment.
    Running(Time),
    /// Expired, and nobody has started it again.
    Expired,
}

impl Timer {
    /// Starts it, whatever it did before.
    pub(crate) fn start(&mut self, now: Time, period: Time) {
        *self = Self::Running(now.saturating_add(period));
    }

    /// Turns a deadline that has come into the expired state.
    pub(crate) fn advance(&mut self, now: Time) {
        if matches!(*self, Self::Running(deadline) if deadline <= now) {
            *self = Self::Expired;
        }
    }

    /// When it will expire.
    pub fn deadline(self) -> Option<Time> {
        match self {
            Self::Running(deadline) => Some(deadline),
            Self::Stopped | Self::Expired => None,
        }
    }
}

/// The moments of the last `N` transmissions: no more than `N` in any `period`.
#[derive(Clone, Debug)]
pub(crate) struct Window<const N: usize> {
    sent: [Option<Time>; N],
    /// The oldest of them, which the next one replaces.
    oldest: usize,
    period: Time,
}

impl<const N: usize> Window<N> {
    pub(crate) const fn new(period: Time) -> Self {
        Self {
            sent: [None; N],
            oldest: 0,
            period,
        }
    }

    /// As if all had been sent at this moment.
    pub(crate) const fn fill(&mut self, at: Time) {
        self.sent = [Some(at); N];
    }

    /// When one more may be sent: a moment in the past is now.
    pub(crate) fn free_at(&self) -> Time {
        let oldest = self.sent.get(self.oldest).copied().flatten();
        oldest.map_or(0, |at| at.saturating_add(self.period))
    }

    pub(crate) fn is_free(&self, now: Time) -> bool {
        self.free_at() <= now
    }

    pub(crate) fn count(&mut self, now: Time) {
        if let Some(slot) = self.sent.get_mut(self.oldest) {
            *slot = Some(now);
            self.oldest = (self.oldest + 1) % N;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_expires_at_its_deadline_and_stays_so() {
        let mut timer = Timer::default();
        timer.advance(Time::MAX);
        assert_eq!((timer, timer.deadline()), (Timer::Stopped, None));
        timer.start(5, 10);
        timer.advance(14);
        assert_eq!(timer.deadline(), Some(15));
        timer.advance(15);
        assert_eq!((timer, timer.deadline()), (Timer::Expired, None));
        timer.advance(16);
        assert_eq!(timer, Timer::Expired);
        timer.start(Time::MAX - 1, 10);
        assert_eq!(timer.deadline(), Some(Time::MAX));
    }

    #[test]
    fn a_window_lets_n_through_in_any_period() {
        let mut window = Window::<3>::new(100);
        for now in [0, 10, 20] {
            assert!(window.is_free(now));
            window.count(now);
        }
        assert!(!window.is_free(99));
        assert!(window.is_free(100));
        window.count(100);
        assert_eq!(window.free_at(), 110);
    }
}
