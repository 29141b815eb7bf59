//! Churn Detection machines (6.4.17).

use super::words::{Action, Condition, Period, TimerId};
use super::{Machine, MachineId, any, from, state};

/// States of the actor's churn detection machine.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ActorChurn {
    /// Out of synchronization, not yet for long.
    Monitor,
    /// In synchronization.
    NoChurn,
    /// Out of synchronization for too long.
    Churn,
}

/// States of the partner's churn detection machine.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PartnerChurn {
    /// Out of synchronization, not yet for long.
    Monitor,
    /// In synchronization.
    NoChurn,
    /// Out of synchronization for too long.
    Churn,
}

const CLAUSE: &str = "6.4.17";

/// Actor Churn Detection machine (6.4.17).
pub const ACTOR_CHURN: Machine<ActorChurn> = Machine {
    id: MachineId::ActorChurn,
    clause: CLAUSE,
    about: "Says that this side has not come into synchronization within a minute on a link \
            that is up. A port in STANDBY is one that churns.",
    timer: Some(TimerId::ActorChurn),
    states: &[
        state(
            ActorChurn::Monitor,
            "ACTOR_CHURN_MONITOR",
            &[
                Action::ActorChurn(false),
                Action::Start(TimerId::ActorChurn, Period::ChurnDetection),
            ],
        ),
        state(
            ActorChurn::NoChurn,
            "NO_ACTOR_CHURN",
            &[Action::ActorChurn(false)],
        ),
        state(
            ActorChurn::Churn,
            "ACTOR_CHURN",
            &[Action::ActorChurn(true)],
        ),
    ],
    transitions: &[
        any("AC_BEGIN", CLAUSE, &[Condition::Begin], ActorChurn::Monitor),
        any(
            "AC_LINK_DOWN",
            CLAUSE,
            &[Condition::PortEnabled(false)],
            ActorChurn::Monitor,
        ),
        from(
            ActorChurn::Monitor,
            "AC_IN_TIME",
            CLAUSE,
            &[Condition::ActorSync(true)],
            ActorChurn::NoChurn,
        ),
        from(
            ActorChurn::Monitor,
            "AC_TOO_LONG",
            CLAUSE,
            &[Condition::Expired(TimerId::ActorChurn)],
            ActorChurn::Churn,
        ),
        from(
            ActorChurn::NoChurn,
            "AC_OUT_OF_SYNC",
            CLAUSE,
            &[Condition::ActorSync(false)],
            ActorChurn::Monitor,
        ),
        from(
            ActorChurn::Churn,
            "AC_SETTLED",
            CLAUSE,
            &[Condition::ActorSync(true)],
            ActorChurn::NoChurn,
        ),
    ],
};

/// Partner Churn Detection machine (6.4.17).
pub const PARTNER_CHURN: Machine<PartnerChurn> = Machine {
    id: MachineId::PartnerChurn,
    clause: CLAUSE,
    about: "Says the same of the partner.",
    timer: Some(TimerId::PartnerChurn),
    states: &[
        state(
            PartnerChurn::Monitor,
            "PARTNER_CHURN_MONITOR",
            &[
                Action::PartnerChurn(false),
                Action::Start(TimerId::PartnerChurn, Period::ChurnDetection),
            ],
        ),
        state(
            PartnerChurn::NoChurn,
            "NO_PARTNER_CHURN",
            &[Action::PartnerChurn(false)],
        ),
        state(
            PartnerChurn::Churn,
            "PARTNER_CHURN",
            &[Action::PartnerChurn(true)],
        ),
    ],
    transitions: &[
        any(
            "PC_BEGIN",
            CLAUSE,
            &[Condition::Begin],
            PartnerChurn::Monitor,
        ),
        any(
            "PC_LINK_DOWN",
            CLAUSE,
            &[Condition::PortEnabled(false)],
            PartnerChurn::Monitor,
        ),
        from(
            PartnerChurn::Monitor,
            "PC_IN_TIME",
            CLAUSE,
            &[Condition::PartnerSync(true)],
            PartnerChurn::NoChurn,
        ),
        from(
            PartnerChurn::Monitor,
            "PC_TOO_LONG",
            CLAUSE,
            &[Condition::Expired(TimerId::PartnerChurn)],
            PartnerChurn::Churn,
        ),
        from(
            PartnerChurn::NoChurn,
            "PC_OUT_OF_SYNC",
            CLAUSE,
            &[Condition::PartnerSync(false)],
            PartnerChurn::Monitor,
        ),
        from(
            PartnerChurn::Churn,
            "PC_SETTLED",
            CLAUSE,
            &[Condition::PartnerSync(true)],
            PartnerChurn::NoChurn,
        ),
    ],
};
