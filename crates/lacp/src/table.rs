//! State machines as data: what the code runs, the tests cover and the docs print.
//!
//! A machine is a list of states with the actions done on entry and a list of
//! named transitions, as the diagrams of the standard have them. A condition with
//! an *or* in the standard is several transitions here, one for each alternative,
//! so that each has a name and a test. Clause numbers are of IEEE 802.1AX-2014.
//!
//! The rules of such diagrams: transitions from any state come first; an
//! unconditional transition (UCT) is taken once the actions of the state are done.
//! While the condition of a transition from any state holds, its state is entered
//! again and again in the standard; here it is entered once, and its timer does not
//! run until the condition has ceased, which nobody can tell apart.

mod churn;
mod marker;
mod mux;
mod periodic;
mod receive;
mod render;
mod selection;
mod transmit;
mod words;

pub use churn::{ACTOR_CHURN, ActorChurn, PARTNER_CHURN, PartnerChurn};
pub use marker::{GENERATOR, Generator, RESPONDER, Responder};
pub use mux::{MUX, Mux};
pub use periodic::{PERIODIC, Periodic};
pub use receive::{RECEIVE, Receive};
pub use render::{MACHINES, markdown};
pub use selection::{RULES, Rule, SELECTION, Selected};
pub use transmit::{TRANSMIT, Transmit};
pub use words::{Action, Condition, MarkerEnd, Period, TimerId};

/// A state machine.
#[derive(Debug)]
pub struct Machine<S: 'static> {
    /// Which one.
    pub id: MachineId,
    /// Its clause.
    pub clause: &'static str,
    /// What it is for, and what the standard leaves open and is decided here.
    pub about: &'static str,
    /// Its timer; each has one at most.
    pub timer: Option<TimerId>,
    /// Its states; the first is that of a port that has just been made.
    pub states: &'static [State<S>],
    /// Its transitions, those from any state first.
    pub transitions: &'static [Transition<S>],
}

/// A state.
#[derive(Debug)]
pub struct State<S> {
    /// Itself.
    pub state: S,
    /// The standard's name.
    pub name: &'static str,
    /// Done on entry, in this order.
    pub entry: &'static [Action],
}

/// Where a transition begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum From<S> {
    /// In whatever state the machine is.
    Any,
    /// In this one.
    State(S),
}

/// A transition.
#[derive(Debug)]
pub struct Transition<S> {
    /// Its name: the standard has none, and tests and traces need one.
    pub name: &'static str,
    /// The clause that asks for it.
    pub clause: &'static str,
    /// Where it begins.
    pub from: From<S>,
    /// All of them hold; none is UCT.
    pub when: &'static [Condition],
    /// Where it ends.
    pub to: S,
}

/// The machines of a port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum MachineId {
    /// Receive machine.
    Receive,
    /// Periodic Transmission machine.
    Periodic,
    /// Selection Logic, the part that sets `Selected`.
    Selection,
    /// Mux machine.
    Mux,
    /// Transmit machine.
    Transmit,
    /// Actor Churn Detection machine.
    ActorChurn,
    /// Partner Churn Detection machine.
    PartnerChurn,
    /// Marker Responder.
    Responder,
    /// Marker Generator.
    Generator,
}

impl MachineId {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Receive => "Receive machine",
            Self::Periodic => "Periodic Transmission machine",
            Self::Selection => "Selection Logic",
            Self::Mux => "Mux machine",
            Self::Transmit => "Transmit machine",
            Self::ActorChurn => "Actor Churn Detection machine",
            Self::PartnerChurn => "Partner Churn Detection machine",
            Self::Responder => "Marker Responder",
            Self::Generator => "Marker Generator",
        }
    }
}

impl<S: Copy + Eq> Machine<S> {
    /// The transition that is taken from a state, with its number.
    pub(crate) fn next(
        &self,
        state: S,
        mut holds: impl FnMut(Condition) -> bool,
    ) -> Option<(usize, &'static Transition<S>)> {
        self.transitions.iter().enumerate().find(|(_, transition)| {
            (transition.from == From::Any || transition.from == From::State(state))
                && transition.when.iter().all(|condition| holds(*condition))
        })
    }

    /// What is done on entry to a state.
    pub(crate) fn entry(&self, state: S) -> &'static [Action] {
        self.row(state).map_or(&[], |row| row.entry)
    }

    /// The standard's name of a state.
    pub fn name(&self, state: S) -> &'static str {
        self.row(state).map_or("", |row| row.name)
    }

    fn row(&self, state: S) -> Option<&'static State<S>> {
        self.states.iter().find(|row| row.state == state)
    }
}

/// Where a machine is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<S> {
    pub(crate) state: S,
    /// It came here from any state, and that condition still holds.
    pub(crate) held: bool,
}

/// Short forms, so that a table reads as one.
const fn state<S>(state: S, name: &'static str, entry: &'static [Action]) -> State<S> {
    State { state, name, entry }
}

const fn from<S: Copy>(
    from: S,
    name: &'static str,
    clause: &'static str,
    when: &'static [Condition],
    to: S,
) -> Transition<S> {
    Transition {
        name,
        clause,
        from: From::State(from),
        when,
        to,
    }
}

const fn any<S>(
    name: &'static str,
    clause: &'static str,
    when: &'static [Condition],
    to: S,
) -> Transition<S> {
    Transition {
        name,
        clause,
        from: From::Any,
        when,
        to,
    }
}
