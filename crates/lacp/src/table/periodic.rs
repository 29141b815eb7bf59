//! Periodic Transmission machine (6.4.13).

use super::words::{Action, Condition, Period, TimerId};
use super::{Machine, MachineId, State, Transition, any, from, state};

/// States of the periodic transmission machine.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Periodic {
    /// Nobody wants periodic LACPDUs.
    NoPeriodic,
    /// One every `Fast_Periodic_Time`.
    Fast,
    /// One every `Slow_Periodic_Time`.
    Slow,
    /// One is due.
    Tx,
}

use Periodic::{Fast, NoPeriodic, Slow, Tx};

const CLAUSE: &str = "6.4.13";

/// Periodic Transmission machine (6.4.13).
pub const PERIODIC: Machine<Periodic> = Machine {
    id: MachineId::Periodic,
    clause: CLAUSE,
    about: "Sends as often as the partner's timeout needs, and not at all when both sides are \
            passive, the link is down or LACP is off: then no timer runs.",
    timer: Some(TimerId::Periodic),
    states: &[
        state(
            NoPeriodic,
            "NO_PERIODIC",
            &[Action::Stop(TimerId::Periodic)],
        ),
        state(
            Fast,
            "FAST_PERIODIC",
            &[Action::Start(TimerId::Periodic, Period::Fast)],
        ),
        state(
            Slow,
            "SLOW_PERIODIC",
            &[Action::Start(TimerId::Periodic, Period::Slow)],
        ),
        state(Tx, "PERIODIC_TX", &[Action::SetNtt(true)]),
    ] as &[State<Periodic>],
    transitions: &[
        any("PT_BEGIN", CLAUSE, &[Condition::Begin], NoPeriodic),
        any(
            "PT_LACP_OFF",
            CLAUSE,
            &[Condition::LacpEnabled(false)],
            NoPeriodic,
        ),
        any(
            "PT_LINK_DOWN",
            CLAUSE,
            &[Condition::PortEnabled(false)],
            NoPeriodic,
        ),
        any(
            "PT_BOTH_PASSIVE",
            CLAUSE,
            &[Condition::BothPassive],
            NoPeriodic,
        ),
        from(NoPeriodic, "PT_STARTED", CLAUSE, &[], Fast),
        from(
            Fast,
            "PT_SLOWER",
            CLAUSE,
            &[Condition::PartnerShortTimeout(false)],
            Slow,
        ),
        from(
            Fast,
            "PT_FAST_DUE",
            CLAUSE,
            &[Condition::Expired(TimerId::Periodic)],
            Tx,
        ),
        from(
            Slow,
            "PT_FASTER",
            CLAUSE,
            &[Condition::PartnerShortTimeout(true)],
            Tx,
        ),
        from(
            Slow,
            "PT_SLOW_DUE",
            CLAUSE,
            &[Condition::Expired(TimerId::Periodic)],
            Tx,
        ),
        from(
            Tx,
            "PT_FAST_AGAIN",
            CLAUSE,
            &[Condition::PartnerShortTimeout(true)],
            Fast,
        ),
        from(
            Tx,
            "PT_SLOW_AGAIN",
            CLAUSE,
            &[Condition::PartnerShortTimeout(false)],
            Slow,
        ),
    ] as &[Transition<Periodic>],
};
