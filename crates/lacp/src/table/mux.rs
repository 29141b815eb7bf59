//! Mux machine (6.4.15), independent control.

use super::words::{Action, Condition, Period, TimerId};
use super::{Machine, MachineId, Selected, any, from, state};

/// States of the mux machine with independent control.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mux {
    /// Of no aggregator.
    Detached,
    /// An aggregator is selected; others may want to join in the same moment.
    Waiting,
    /// In synchronization.
    Attached,
    /// Frames are taken from the link.
    Collecting,
    /// And sent on it.
    Distributing,
}

use Mux::{Attached, Collecting, Detached, Distributing, Waiting};

const CLAUSE: &str = "6.4.15";

const UNSELECTED: Condition = Condition::Selected(Selected::Unselected);
const STANDBY: Condition = Condition::Selected(Selected::Standby);
const SELECTED: Condition = Condition::Selected(Selected::Selected);

/// Mux machine (6.4.15).
pub const MUX: Machine<Mux> = Machine {
    id: MachineId::Mux,
    clause: CLAUSE,
    about: "Independent control. A driver decides for each frame received and for each frame \
            sent, so nothing couples the two; and with a partner of either kind no frame is \
            lost when a link joins: nobody sends before the other side collects. With coupled \
            control the frames that a partner sends between its own step and ours are lost.",
    timer: Some(TimerId::WaitWhile),
    states: &[
        state(
            Detached,
            "DETACHED",
            &[
                Action::DetachMux,
                Action::ActorSync(false),
                Action::Distributing(false),
                Action::ActorDistributing(false),
                Action::ActorCollecting(false),
                Action::Collecting(false),
                Action::SetNtt(true),
            ],
        ),
        state(
            Waiting,
            "WAITING",
            &[Action::Start(TimerId::WaitWhile, Period::AggregateWait)],
        ),
        state(
            Attached,
            "ATTACHED",
            &[
                Action::AttachMux,
                Action::ActorSync(true),
                Action::ActorCollecting(false),
                Action::Collecting(false),
                Action::SetNtt(true),
            ],
        ),
        state(
            Collecting,
            "COLLECTING",
            &[
                Action::Collecting(true),
                Action::ActorCollecting(true),
                Action::Distributing(false),
                Action::ActorDistributing(false),
                Action::SetNtt(true),
            ],
        ),
        state(
            Distributing,
            "DISTRIBUTING",
            &[Action::ActorDistributing(true), Action::Distributing(true)],
        ),
    ],
    transitions: &[
        any("MUX_BEGIN", CLAUSE, &[Condition::Begin], Detached),
        from(Detached, "MUX_SELECTED", CLAUSE, &[SELECTED], Waiting),
        from(Detached, "MUX_PUT_BY", CLAUSE, &[STANDBY], Waiting),
        from(Waiting, "MUX_GIVEN_UP", CLAUSE, &[UNSELECTED], Detached),
        from(
            Waiting,
            "MUX_READY",
            CLAUSE,
            &[SELECTED, Condition::Ready],
            Attached,
        ),
        from(Attached, "MUX_UNSELECTED", CLAUSE, &[UNSELECTED], Detached),
        from(Attached, "MUX_TO_STANDBY", CLAUSE, &[STANDBY], Detached),
        from(
            Attached,
            "MUX_PARTNER_IN_SYNC",
            CLAUSE,
            &[SELECTED, Condition::PartnerSync(true)],
            Collecting,
        ),
        from(
            Collecting,
            "MUX_COLLECTING_UNSELECTED",
            CLAUSE,
            &[UNSELECTED],
            Attached,
        ),
        from(
            Collecting,
            "MUX_COLLECTING_STANDBY",
            CLAUSE,
            &[STANDBY],
            Attached,
        ),
        from(
            Collecting,
            "MUX_COLLECTING_OUT_OF_SYNC",
            CLAUSE,
            &[Condition::PartnerSync(false)],
            Attached,
        ),
        from(
            Collecting,
            "MUX_PARTNER_COLLECTS",
            CLAUSE,
            &[
                SELECTED,
                Condition::PartnerSync(true),
                Condition::PartnerCollecting(true),
            ],
            Distributing,
        ),
        from(
            Distributing,
            "MUX_DISTRIBUTING_UNSELECTED",
            CLAUSE,
            &[UNSELECTED],
            Collecting,
        ),
        from(
            Distributing,
            "MUX_DISTRIBUTING_STANDBY",
            CLAUSE,
            &[STANDBY],
            Collecting,
        ),
        from(
            Distributing,
            "MUX_DISTRIBUTING_OUT_OF_SYNC",
            CLAUSE,
            &[Condition::PartnerSync(false)],
            Collecting,
        ),
        from(
            Distributing,
            "MUX_PARTNER_STOPPED_COLLECTING",
            CLAUSE,
            &[Condition::PartnerCollecting(false)],
            Collecting,
        ),
    ],
};
