//! The state machines of the two edges: pure, one table of legal moves each.
//!
//! Whoever handles a callback asks for a move first. A move that the table does
//! not have is refused, changes nothing and is reported as an event; it is a
//! mistake of ours or of the caller's, never made silently. The machines are
//! kept behind a spin lock by their owners.

use im_control::{LowerStateCode, UpperStateCode};

/// State of a virtual miniport (MPS-1). `Requested` is before NDIS knows the
/// adapter: NdisIMInitializeDeviceInstanceEx was called, MiniportInitializeEx
/// was not.
pub type Upper = UpperStateCode;

/// State of a binding (PBS-1).
pub type Lower = LowerStateCode;

/// What can happen to a virtual miniport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpperMove {
    /// We ask for the instance (BND-13).
    Request,
    /// NDIS said no, or a cancel succeeded (CAN-3, CAN-4).
    Withdraw,
    /// MiniportInitializeEx starts.
    Initialize,
    /// MiniportInitializeEx fails (VMI-7).
    InitializeFailed,
    /// MiniportInitializeEx succeeds.
    Initialized,
    /// MiniportRestart starts.
    Restart,
    /// The restart failed (MPS-7).
    RestartFailed,
    /// The restart is complete.
    Restarted,
    /// MiniportPause starts.
    Pause,
    /// Everything outstanding is back (MPS-3).
    Paused,
    /// MiniportHaltEx is done.
    Halt,
}

impl UpperMove {
    /// All moves, for tests and tables.
    pub const ALL: [Self; 11] = [
        Self::Request,
        Self::Withdraw,
        Self::Initialize,
        Self::InitializeFailed,
        Self::Initialized,
        Self::Restart,
        Self::RestartFailed,
        Self::Restarted,
        Self::Pause,
        Self::Paused,
        Self::Halt,
    ];
}

/// Where a move leads, if it is legal.
pub const fn upper_after(state: Upper, step: UpperMove) -> Option<Upper> {
    use UpperMove as M;
    match (state, step) {
        (Upper::Halted, M::Request) => Some(Upper::Requested),
        (Upper::Requested, M::Initialize) => Some(Upper::Initializing),
        (Upper::Initializing, M::Initialized)
        | (Upper::Restarting, M::RestartFailed)
        | (Upper::Pausing, M::Paused) => Some(Upper::Paused),
        (Upper::Paused, M::Restart) => Some(Upper::Restarting),
        (Upper::Restarting, M::Restarted) => Some(Upper::Running),
        (Upper::Running, M::Pause) => Some(Upper::Pausing),
        // Withdrawn before MiniportInitializeEx; or it failed; or the halt
        // (NDIS pauses before it halts).
        (Upper::Requested, M::Withdraw)
        | (Upper::Initializing, M::InitializeFailed)
        | (Upper::Paused, M::Halt) => Some(Upper::Halted),
        _ => None,
    }
}

/// What can happen to a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LowerMove {
    /// NdisOpenAdapterEx is called.
    Open,
    /// The open failed (BND-4).
    OpenFailed,
    /// The open is complete; the binding starts out paused (BND-7).
    Opened,
    /// NetEventRestart starts.
    Restart,
    /// NetEventRestart is done.
    Restarted,
    /// NetEventPause starts.
    Pause,
    /// Everything outstanding is back (PBS-2).
    Paused,
    /// NdisCloseAdapterEx is called (UNB-6).
    Close,
    /// The close is complete.
    Closed,
}

impl LowerMove {
    /// All moves, for tests and tables.
    pub const ALL: [Self; 9] = [
        Self::Open,
        Self::OpenFailed,
        Self::Opened,
        Self::Restart,
        Self::Restarted,
        Self::Pause,
        Self::Paused,
        Self::Close,
        Self::Closed,
    ];
}

/// Where a move leads, if it is legal.
pub const fn lower_after(state: Lower, step: LowerMove) -> Option<Lower> {
    use LowerMove as M;
    match (state, step) {
        (Lower::Unbound, M::Open) => Some(Lower::Opening),
        (Lower::Opening, M::Opened) | (Lower::Pausing, M::Paused) => Some(Lower::Paused),
        (Lower::Paused, M::Restart) => Some(Lower::Restarting),
        (Lower::Restarting, M::Restarted) => Some(Lower::Running),
        (Lower::Running, M::Pause) => Some(Lower::Pausing),
        // NDIS pauses a binding before it asks to unbind it.
        (Lower::Paused, M::Close) => Some(Lower::Closing),
        (Lower::Opening, M::OpenFailed) | (Lower::Closing, M::Closed) => Some(Lower::Unbound),
        _ => None,
    }
}

/// Whether OID requests may go down in this state (PBS-5). In `Closing` two
/// pages disagree; we send none.
pub const fn lower_takes_requests(state: Lower) -> bool {
    matches!(
        state,
        Lower::Paused | Lower::Restarting | Lower::Running | Lower::Pausing
    )
}

/// Whether the miniport may indicate receives in this state (RCV-4, MPS-9).
pub const fn upper_indicates(state: Upper) -> bool {
    matches!(state, Upper::Restarting | Upper::Running)
}

/// Whether the miniport accepts sends in this state (MPS-9).
pub const fn upper_sends(state: Upper) -> bool {
    matches!(state, Upper::Running)
}

/// Whether the miniport exists for NDIS: OIDs, status (OID-30, STS-2).
pub const fn upper_exists(state: Upper) -> bool {
    matches!(
        state,
        Upper::Paused | Upper::Restarting | Upper::Running | Upper::Pausing
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The whole table of the upper edge; whatever is not listed is refused.
    #[test]
    fn upper_table() {
        use UpperMove as M;
        let legal = [
            (Upper::Halted, M::Request, Upper::Requested),
            (Upper::Requested, M::Withdraw, Upper::Halted),
            (Upper::Requested, M::Initialize, Upper::Initializing),
            (Upper::Initializing, M::InitializeFailed, Upper::Halted),
            (Upper::Initializing, M::Initialized, Upper::Paused),
            (Upper::Paused, M::Restart, Upper::Restarting),
            (Upper::Paused, M::Halt, Upper::Halted),
            (Upper::Restarting, M::RestartFailed, Upper::Paused),
            (Upper::Restarting, M::Restarted, Upper::Running),
            (Upper::Running, M::Pause, Upper::Pausing),
            (Upper::Pausing, M::Paused, Upper::Paused),
        ];
        for state in Upper::ALL {
            for step in M::ALL {
                let expected = legal
                    .iter()
                    .find(|(from, by, _)| from == state && *by == step)
                    .map(|(_, _, to)| *to);
                assert_eq!(upper_after(*state, step), expected, "{state:?} {step:?}");
            }
        }
    }

    /// The whole table of the lower edge.
    #[test]
    fn lower_table() {
        use LowerMove as M;
        let legal = [
            (Lower::Unbound, M::Open, Lower::Opening),
            (Lower::Opening, M::OpenFailed, Lower::Unbound),
            (Lower::Opening, M::Opened, Lower::Paused),
            (Lower::Paused, M::Restart, Lower::Restarting),
            (Lower::Restarting, M::Restarted, Lower::Running),
            (Lower::Running, M::Pause, Lower::Pausing),
            (Lower::Pausing, M::Paused, Lower::Paused),
            (Lower::Paused, M::Close, Lower::Closing),
            (Lower::Closing, M::Closed, Lower::Unbound),
        ];
        for state in Lower::ALL {
            for step in M::ALL {
                let expected = legal
                    .iter()
                    .find(|(from, by, _)| from == state && *by == step)
                    .map(|(_, _, to)| *to);
                assert_eq!(lower_after(*state, step), expected, "{state:?} {step:?}");
            }
        }
    }

    proptest! {
        /// Random walks: data flows only between a restart and a pause, and a
        /// miniport that left `Running` passes `Pausing` before `Halted`.
        #[test]
        fn upper_walks(steps in prop::collection::vec(0_usize..11, 0..200)) {
            let mut state = Upper::Halted;
            let mut before = state;
            for step in steps {
                if let Some(next) = upper_after(state, UpperMove::ALL[step]) {
                    before = state;
                    state = next;
                }
                prop_assert!(!upper_sends(state) || upper_exists(state));
                prop_assert!(!upper_sends(state) || upper_indicates(state));
                if state == Upper::Halted {
                    prop_assert!(!upper_indicates(before) || before == state);
                }
            }
        }

        /// Random walks: sends only in Running, requests never while opening
        /// or closing (PBS-1, PBS-5).
        #[test]
        fn lower_walks(steps in prop::collection::vec(0_usize..9, 0..200)) {
            let mut state = Lower::Unbound;
            for step in steps {
                let next = lower_after(state, LowerMove::ALL[step]);
                if let Some(next) = next {
                    if next == Lower::Closing {
                        prop_assert_eq!(state, Lower::Paused);
                    }
                    state = next;
                }
                let quiet = matches!(state, Lower::Unbound | Lower::Opening | Lower::Closing);
                prop_assert_eq!(lower_takes_requests(state), !quiet);
            }
        }
    }
}
