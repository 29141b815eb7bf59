//! The gate of a path: one word that says why lists may not pass.
//!
//! Both edges of a path set and clear bits as their state changes; the data
//! path reads the word once per batch. No bit set means open. The verdicts are
//! pure functions of the word.
//!
//! A batch is counted in ([`crate::flow`]) before it reads the word, and bits are
//! set before a pause waits for the count: a batch that passed is waited for.

use core::sync::atomic::{AtomicU32, Ordering};
use im_control::DropReason;
use ndis::sys::{
    NDIS_STATUS, NDIS_STATUS_FAILURE, NDIS_STATUS_LOW_POWER_STATE, NDIS_STATUS_NOT_ACCEPTED,
    NDIS_STATUS_PAUSED,
};

/// Bits of the gate.
pub mod bit {
    /// The virtual miniport does not accept sends (MPS-4).
    pub const UPPER_NO_SENDS: u32 = 1 << 0;
    /// The virtual miniport does not indicate receives (RCV-4).
    pub const UPPER_NO_RECEIVES: u32 = 1 << 1;
    /// The virtual miniport is not in D0 (PWR-2, PWR-4).
    pub const UPPER_LOW_POWER: u32 = 1 << 2;
    /// The virtual miniport was removed by surprise (DPE-1).
    pub const UPPER_REMOVED: u32 = 1 << 3;
    /// The binding does not take sends (PBS-1, PBS-6, SND-16).
    pub const LOWER_NO_SENDS: u32 = 1 << 4;
    /// Receives from the binding go back at once (PBS-3).
    pub const LOWER_NO_RECEIVES: u32 = 1 << 5;
    /// The adapter below is not in D0 (PWR-3, PWR-4).
    pub const LOWER_LOW_POWER: u32 = 1 << 6;
    /// The adapter below is resetting (RST-2).
    pub const LOWER_RESETTING: u32 = RESETTING_SENDS | RESETTING_RECEIVES;
    /// ... and sends are held; cleared once those held before are gone.
    pub const RESETTING_SENDS: u32 = 1 << 7;
    /// ... and receives are held; cleared once those held before are gone.
    pub const RESETTING_RECEIVES: u32 = 1 << 9;
    /// No packet filter is set above (RCV-14).
    pub const NO_FILTER: u32 = 1 << 8;

    /// All that the lower edge says.
    pub const LOWER: u32 = LOWER_NO_SENDS | LOWER_NO_RECEIVES | LOWER_LOW_POWER | LOWER_RESETTING;

    /// Closed on both edges, as a path starts out.
    pub const INITIAL: u32 =
        UPPER_NO_SENDS | UPPER_NO_RECEIVES | LOWER_NO_SENDS | LOWER_NO_RECEIVES | NO_FILTER;
    /// Whatever stops a send.
    pub const STOPS_SENDS: u32 = UPPER_NO_SENDS
        | UPPER_LOW_POWER
        | UPPER_REMOVED
        | LOWER_NO_SENDS
        | LOWER_LOW_POWER
        | RESETTING_SENDS;
    /// Whatever stops a receive.
    pub const STOPS_RECEIVES: u32 = UPPER_NO_RECEIVES
        | UPPER_LOW_POWER
        | UPPER_REMOVED
        | LOWER_NO_RECEIVES
        | RESETTING_RECEIVES
        | NO_FILTER;
}

/// What to do with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Let it pass.
    Pass,
    /// Keep it until the reset is over (RST-2).
    Hold,
    /// Complete it with the status, or give it back, and count the reason.
    Refuse(NDIS_STATUS, DropReason),
}

/// What becomes of a send. The strongest reason wins: an adapter that is gone
/// answers NOT_ACCEPTED whatever else is the case, and so on.
pub const fn send_verdict(word: u32) -> Verdict {
    if word & bit::STOPS_SENDS == 0 {
        Verdict::Pass
    } else if word & bit::UPPER_REMOVED != 0 {
        Verdict::Refuse(NDIS_STATUS_NOT_ACCEPTED, DropReason::SendRemoved) // DPE-1
    } else if word & bit::UPPER_NO_SENDS != 0 {
        Verdict::Refuse(NDIS_STATUS_PAUSED, DropReason::SendPaused) // MPS-4
    } else if word & (bit::UPPER_LOW_POWER | bit::LOWER_LOW_POWER) != 0 {
        Verdict::Refuse(NDIS_STATUS_LOW_POWER_STATE, DropReason::SendLowPower) // PWR-4
    } else if word & bit::LOWER_NO_SENDS != 0 {
        Verdict::Refuse(NDIS_STATUS_PAUSED, DropReason::SendBindingPaused) // PBS-6
    } else {
        Verdict::Hold // RST-2
    }
}

/// What becomes of a receive.
pub const fn receive_verdict(word: u32) -> Verdict {
    let reason = if word & bit::STOPS_RECEIVES == 0 {
        return Verdict::Pass;
    } else if word & bit::LOWER_NO_RECEIVES != 0 {
        DropReason::ReceiveBindingPaused // PBS-3
    } else if word & (bit::UPPER_NO_RECEIVES | bit::UPPER_REMOVED) != 0 {
        DropReason::ReceivePaused // RCV-4
    } else if word & bit::UPPER_LOW_POWER != 0 {
        DropReason::ReceiveLowPower // PWR-2
    } else if word & bit::NO_FILTER != 0 {
        DropReason::ReceiveNoFilter // RCV-14
    } else {
        return Verdict::Hold; // RST-2
    };
    Verdict::Refuse(NDIS_STATUS_FAILURE, reason)
}

/// The word itself.
#[derive(Debug)]
pub struct Gate(AtomicU32);

impl Gate {
    /// Closed, as a path starts out.
    pub const fn new() -> Self {
        Self(AtomicU32::new(bit::INITIAL))
    }

    /// The word.
    pub fn word(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }

    /// Sets bits; returns the word before.
    pub fn set(&self, bits: u32) -> u32 {
        self.0.fetch_or(bits, Ordering::SeqCst)
    }

    /// Clears bits; returns the word before.
    pub fn clear(&self, bits: u32) -> u32 {
        self.0.fetch_and(!bits, Ordering::SeqCst)
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// SND-4: only statuses that a send completion may carry.
    const LEGAL: [NDIS_STATUS; 3] = [
        NDIS_STATUS_PAUSED,
        NDIS_STATUS_LOW_POWER_STATE,
        NDIS_STATUS_NOT_ACCEPTED,
    ];

    #[test]
    fn a_new_gate_is_closed_both_ways() {
        let word = Gate::new().word();
        assert_eq!(
            send_verdict(word),
            Verdict::Refuse(NDIS_STATUS_PAUSED, DropReason::SendPaused)
        );
        assert!(matches!(receive_verdict(word), Verdict::Refuse(..)));
    }

    #[test]
    fn one_reason_at_a_time() {
        use DropReason as R;
        let sends = [
            (bit::UPPER_NO_SENDS, R::SendPaused),
            (bit::UPPER_LOW_POWER, R::SendLowPower),
            (bit::LOWER_LOW_POWER, R::SendLowPower),
            (bit::UPPER_REMOVED, R::SendRemoved),
            (bit::LOWER_NO_SENDS, R::SendBindingPaused),
        ];
        for (bits, reason) in sends {
            let Verdict::Refuse(status, found) = send_verdict(bits) else {
                panic!("{reason:?}")
            };
            assert_eq!(found, reason);
            assert!(LEGAL.contains(&status));
        }
        let receives = [
            (bit::UPPER_NO_RECEIVES, R::ReceivePaused),
            (bit::UPPER_LOW_POWER, R::ReceiveLowPower),
            (bit::LOWER_NO_RECEIVES, R::ReceiveBindingPaused),
            (bit::NO_FILTER, R::ReceiveNoFilter),
        ];
        for (bits, reason) in receives {
            let Verdict::Refuse(_, found) = receive_verdict(bits) else {
                panic!("{reason:?}")
            };
            assert_eq!(found, reason);
        }
        assert_eq!(send_verdict(bit::LOWER_RESETTING), Verdict::Hold);
        assert_eq!(receive_verdict(bit::LOWER_RESETTING), Verdict::Hold);
    }

    proptest! {
        /// Nothing passes a closed gate; the other direction's
        /// bits do not stop anything; PENDING and SUCCESS are never given.
        #[test]
        fn verdicts(word in 0_u32..1 << 10) {
            prop_assert_eq!(
                send_verdict(word) == Verdict::Pass,
                word & bit::STOPS_SENDS == 0
            );
            prop_assert_eq!(
                receive_verdict(word) == Verdict::Pass,
                word & bit::STOPS_RECEIVES == 0
            );
            if let Verdict::Refuse(status, _) = send_verdict(word) {
                prop_assert!(LEGAL.contains(&status));
            }
        }
    }
}
