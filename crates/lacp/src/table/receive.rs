//! Receive machine (6.4.12).

use super::words::{Action, Condition, Period, TimerId};
use super::{Machine, MachineId, State, Transition, any, from, state};

/// States of the receive machine.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Receive {
    /// What is known of the partner is set to the administrative values.
    Initialize,
    /// The link is down; the selection stays as it was.
    PortDisabled,
    /// Nothing (any more) from the partner, for a last `Short_Timeout_Time`.
    Expired,
    /// LACP is switched off for the port.
    LacpDisabled,
    /// There is no partner: the administrative values count.
    Defaulted,
    /// The partner is heard.
    Current,
}

use Receive::{Current, Defaulted, Expired, Initialize, LacpDisabled, PortDisabled};

const STATES: &[State<Receive>] = &[
    state(
        Initialize,
        "INITIALIZE",
        &[
            Action::Unselect,
            Action::RecordDefault,
            Action::ActorExpired(false),
            Action::PortNotMoved,
        ],
    ),
    state(PortDisabled, "PORT_DISABLED", &[Action::PartnerOutOfSync]),
    state(
        Expired,
        "EXPIRED",
        &[
            Action::PartnerOutOfSync,
            Action::PartnerTimeoutShort,
            Action::Start(TimerId::CurrentWhile, Period::Short),
            Action::ActorExpired(true),
        ],
    ),
    state(
        LacpDisabled,
        "LACP_DISABLED",
        &[
            Action::Unselect,
            Action::RecordDefault,
            Action::PartnerIndividual,
            Action::ActorExpired(false),
        ],
    ),
    state(
        Defaulted,
        "DEFAULTED",
        &[
            Action::UpdateDefaultSelected,
            Action::RecordDefault,
            Action::ActorExpired(false),
        ],
    ),
    state(
        Current,
        "CURRENT",
        &[
            Action::UpdateSelected,
            Action::UpdateNtt,
            Action::RecordVersionNumber,
            Action::RecordPdu,
            Action::Start(TimerId::CurrentWhile, Period::ActorTimeout),
            Action::ActorExpired(false),
        ],
    ),
];

const CLAUSE: &str = "6.4.12";

const TRANSITIONS: &[Transition<Receive>] = &[
    any("RX_BEGIN", CLAUSE, &[Condition::Begin], Initialize),
    any(
        "RX_LINK_DOWN",
        CLAUSE,
        &[Condition::PortEnabled(false), Condition::PortMoved(false)],
        PortDisabled,
    ),
    from(Initialize, "RX_INITIALIZED", CLAUSE, &[], PortDisabled),
    from(
        PortDisabled,
        "RX_PARTNER_MOVED",
        CLAUSE,
        &[Condition::PortMoved(true)],
        Initialize,
    ),
    from(
        PortDisabled,
        "RX_LINK_UP",
        CLAUSE,
        &[Condition::PortEnabled(true), Condition::LacpEnabled(true)],
        Expired,
    ),
    from(
        PortDisabled,
        "RX_LINK_UP_WITHOUT_LACP",
        CLAUSE,
        &[Condition::PortEnabled(true), Condition::LacpEnabled(false)],
        LacpDisabled,
    ),
    from(
        Expired,
        "RX_HEARD_AGAIN",
        CLAUSE,
        &[Condition::LacpduReceived],
        Current,
    ),
    from(
        Expired,
        "RX_NO_PARTNER",
        CLAUSE,
        &[Condition::Expired(TimerId::CurrentWhile)],
        Defaulted,
    ),
    from(
        LacpDisabled,
        "RX_LACP_SWITCHED_ON",
        CLAUSE,
        &[Condition::LacpEnabled(true)],
        PortDisabled,
    ),
    from(
        Defaulted,
        "RX_PARTNER_FOUND",
        CLAUSE,
        &[Condition::LacpduReceived],
        Current,
    ),
    from(
        Current,
        "RX_HEARD",
        CLAUSE,
        &[Condition::LacpduReceived],
        Current,
    ),
    from(
        Current,
        "RX_SILENCE",
        CLAUSE,
        &[Condition::Expired(TimerId::CurrentWhile)],
        Expired,
    ),
];

/// Receive machine (6.4.12).
pub const RECEIVE: Machine<Receive> = Machine {
    id: MachineId::Receive,
    clause: CLAUSE,
    about: "Records what the partner says and lets it age. A link that goes down keeps its \
            selection, so that one that comes back to the same partner disturbs nobody. \
            The standard reaches LACP_DISABLED only over PORT_DISABLED; switching LACP off on \
            a link that is up is done by raising BEGIN for the port.",
    timer: Some(TimerId::CurrentWhile),
    states: STATES,
    transitions: TRANSITIONS,
};
