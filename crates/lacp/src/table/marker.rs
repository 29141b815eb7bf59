//! Marker protocol: responder (6.5.4.2) and generator (6.5.4.1).

use super::words::{Action, Condition, MarkerEnd, Period, TimerId};
use super::{Machine, MachineId, any, from, state};

/// States of the marker responder.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Responder {
    /// Nothing to answer.
    WaitForMarker,
    /// A marker is answered.
    RespondToMarker,
}

/// States of the marker generator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Generator {
    /// No marker is on its way.
    Idle,
    /// One is sent.
    Send,
    /// Its response is awaited.
    Await,
    /// It has come.
    Answered,
    /// It has not come.
    Lost,
    /// It cannot come any more.
    Abandoned,
}

const RESPONDER_CLAUSE: &str = "6.5.4.2";
const GENERATOR_CLAUSE: &str = "6.5.4.1";

/// Marker Responder (6.5.4.2).
pub const RESPONDER: Machine<Responder> = Machine {
    id: MachineId::Responder,
    clause: RESPONDER_CLAUSE,
    about: "Sends a marker back as its response, LACP enabled or not. Beyond the rate that a \
            slow protocol may have (IEEE 802.3 57A.2) markers are counted and not answered, so \
            that nobody makes a team send at a rate of his choice.",
    timer: None,
    states: &[
        state(Responder::WaitForMarker, "WAIT_FOR_MARKER", &[]),
        state(
            Responder::RespondToMarker,
            "RESPOND_TO_MARKER",
            &[Action::TransmitResponse],
        ),
    ],
    transitions: &[
        any(
            "MR_BEGIN",
            RESPONDER_CLAUSE,
            &[Condition::Begin],
            Responder::WaitForMarker,
        ),
        from(
            Responder::WaitForMarker,
            "MR_MARKER",
            RESPONDER_CLAUSE,
            &[Condition::MarkerReceived],
            Responder::RespondToMarker,
        ),
        from(
            Responder::RespondToMarker,
            "MR_ANSWERED",
            RESPONDER_CLAUSE,
            &[],
            Responder::WaitForMarker,
        ),
    ],
};

/// Marker Generator (6.5.4.1).
pub const GENERATOR: Machine<Generator> = Machine {
    id: MachineId::Generator,
    clause: GENERATOR_CLAUSE,
    about: "The standard describes what a distributor does with markers and draws no machine. \
            Here: one marker at a time on a link, sent again with the same transaction after a \
            timeout (the response to either proves the same as long as the frames in question \
            are held back), at most three a second, and given up with the link.",
    timer: Some(TimerId::Marker),
    states: &[
        state(Generator::Idle, "GENERATOR_IDLE", &[]),
        state(Generator::Send, "SEND_MARKER", &[Action::TransmitMarker]),
        state(
            Generator::Await,
            "AWAIT_RESPONSE",
            &[Action::Start(TimerId::Marker, Period::MarkerTimeout)],
        ),
        state(
            Generator::Answered,
            "MARKER_ANSWERED",
            &[Action::Report(MarkerEnd::Answered)],
        ),
        state(
            Generator::Lost,
            "MARKER_LOST",
            &[Action::Report(MarkerEnd::Lost)],
        ),
        state(
            Generator::Abandoned,
            "MARKER_ABANDONED",
            &[Action::Report(MarkerEnd::Abandoned)],
        ),
    ],
    transitions: &[
        from(
            Generator::Idle,
            "MG_REQUESTED",
            GENERATOR_CLAUSE,
            &[Condition::MarkerRequested],
            Generator::Send,
        ),
        from(
            Generator::Send,
            "MG_SENT",
            GENERATOR_CLAUSE,
            &[],
            Generator::Await,
        ),
        from(
            Generator::Await,
            "MG_ANSWERED",
            GENERATOR_CLAUSE,
            &[Condition::MarkerAnswered],
            Generator::Answered,
        ),
        from(
            Generator::Await,
            "MG_LINK_DOWN",
            GENERATOR_CLAUSE,
            &[Condition::PortEnabled(false)],
            Generator::Abandoned,
        ),
        from(
            Generator::Await,
            "MG_AGAIN",
            GENERATOR_CLAUSE,
            &[
                Condition::Expired(TimerId::Marker),
                Condition::MarkerTriesLeft,
            ],
            Generator::Send,
        ),
        from(
            Generator::Await,
            "MG_TOO_LATE",
            GENERATOR_CLAUSE,
            &[Condition::Expired(TimerId::Marker)],
            Generator::Lost,
        ),
        from(
            Generator::Answered,
            "MG_DONE",
            GENERATOR_CLAUSE,
            &[],
            Generator::Idle,
        ),
        from(
            Generator::Lost,
            "MG_LOST",
            GENERATOR_CLAUSE,
            &[],
            Generator::Idle,
        ),
        from(
            Generator::Abandoned,
            "MG_ABANDONED",
            GENERATOR_CLAUSE,
            &[],
            Generator::Idle,
        ),
    ],
};
