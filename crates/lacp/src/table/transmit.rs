//! Transmit machine (6.4.16).

use super::words::{Action, Condition, Period, TimerId};
use super::{Machine, MachineId, any, from, state};

/// States of the transmit machine.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Transmit {
    /// LACP is off.
    Off,
    /// Nothing to send, or nobody to send to.
    Idle,
    /// An LACPDU is sent.
    Send,
    /// One is to be sent, and three were in the last second.
    Hold,
}

use Transmit::{Hold, Idle, Off, Send};

const CLAUSE: &str = "6.4.16";

/// Transmit machine (6.4.16).
pub const TRANSMIT: Machine<Transmit> = Machine {
    id: MachineId::Transmit,
    clause: CLAUSE,
    about: "The standard gives this machine in words: NTT leads to an LACPDU, at most three in \
            any Fast_Periodic_Time, with the values of the moment in which it is sent; with \
            LACP off NTT is FALSE. Decided here: while the link is down or both sides are \
            passive an LACPDU stays due, so that the first goes out with the link and not a \
            second later.",
    timer: Some(TimerId::Hold),
    states: &[
        state(Off, "TRANSMIT_OFF", &[Action::SetNtt(false)]),
        state(Idle, "TRANSMIT_IDLE", &[]),
        state(
            Send,
            "TRANSMIT_LACPDU",
            &[Action::TransmitLacpdu, Action::SetNtt(false)],
        ),
        state(
            Hold,
            "TRANSMIT_HOLD",
            &[Action::Start(TimerId::Hold, Period::Window)],
        ),
    ],
    transitions: &[
        any("TX_LACP_OFF", CLAUSE, &[Condition::LacpEnabled(false)], Off),
        from(Off, "TX_LACP_ON", CLAUSE, &[], Idle),
        from(
            Idle,
            "TX_DUE",
            CLAUSE,
            &[
                Condition::Ntt,
                Condition::MaySend(true),
                Condition::LimitReached(false),
            ],
            Send,
        ),
        from(
            Idle,
            "TX_TOO_SOON",
            CLAUSE,
            &[
                Condition::Ntt,
                Condition::MaySend(true),
                Condition::LimitReached(true),
            ],
            Hold,
        ),
        from(Send, "TX_SENT", CLAUSE, &[], Idle),
        from(
            Hold,
            "TX_NOBODY_THERE",
            CLAUSE,
            &[Condition::MaySend(false)],
            Idle,
        ),
        from(
            Hold,
            "TX_HELD_LONG_ENOUGH",
            CLAUSE,
            &[Condition::Expired(TimerId::Hold)],
            Send,
        ),
    ],
};
