//! Selection Logic (6.4.14): how `Selected` changes, and the rules it follows.

use super::words::{Action, Condition};
use super::{Machine, MachineId, from, state};

/// `Selected` (6.4.8).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Selected {
    /// No aggregator.
    Unselected,
    /// An aggregator, and no place in it now.
    Standby,
    /// An aggregator, and a place.
    Selected,
}

impl Selected {
    /// The standard's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unselected => "UNSELECTED",
            Self::Standby => "STANDBY",
            Self::Selected => "SELECTED",
        }
    }
}

const CLAUSE: &str = "6.4.14.1";

/// Selection Logic (6.4.14). The receive machine sets UNSELECTED as well.
pub const SELECTION: Machine<Selected> = Machine {
    id: MachineId::Selection,
    clause: CLAUSE,
    about: "The standard lists what is required of the selection (the rules below) and \
            recommends a way; `Selected` is its state. Decided here: a team is one Aggregator \
            Client, so one aggregator is active and the ports of all others are in STANDBY \
            (6.7.1): their partners see them out of synchronization and send nothing there. \
            The active one stays until it has no usable port, falls below min_links while \
            another does not, or has no port that distributes for ten seconds while another \
            could be tried. While it does not work, this side goes to where a partner that \
            decides (6.7.1) has attached. Groups with a partner go before ports without.",
    timer: None,
    states: &[
        state(Selected::Unselected, "UNSELECTED", &[]),
        state(Selected::Standby, "STANDBY", &[Action::TakeAggregator]),
        state(Selected::Selected, "SELECTED", &[Action::TakeAggregator]),
    ],
    transitions: &[
        from(
            Selected::Unselected,
            "SEL_SELECT",
            "6.4.14.1 m, n",
            &[
                Condition::Detached,
                Condition::AggregatorFound(true),
                Condition::PlaceGranted(true),
            ],
            Selected::Selected,
        ),
        from(
            Selected::Unselected,
            "SEL_PUT_BY",
            "6.4.14.1 k, n; 6.7.1",
            &[
                Condition::Detached,
                Condition::AggregatorFound(true),
                Condition::PlaceGranted(false),
            ],
            Selected::Standby,
        ),
        from(
            Selected::Standby,
            "SEL_STANDBY_LOST",
            "6.4.14.1 j, p",
            &[Condition::AggregatorFound(false)],
            Selected::Unselected,
        ),
        from(
            Selected::Standby,
            "SEL_PROMOTE",
            "6.7.1",
            &[Condition::PlaceGranted(true)],
            Selected::Selected,
        ),
        from(
            Selected::Selected,
            "SEL_SELECTED_LOST",
            "6.4.14.1 j, p",
            &[Condition::AggregatorFound(false)],
            Selected::Unselected,
        ),
        from(
            Selected::Selected,
            "SEL_DEMOTE",
            "6.7.1",
            &[Condition::PlaceGranted(false)],
            Selected::Standby,
        ),
    ],
};

/// A requirement on the selection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Its name.
    pub name: &'static str,
    /// Its clause.
    pub clause: &'static str,
    /// What it asks for, and how it is met here.
    pub text: &'static str,
}

const fn rule(name: &'static str, clause: &'static str, text: &'static str) -> Rule {
    Rule { name, clause, text }
}

/// What 6.4.14.1 and 6.7.1 ask of the selection, and how it is met.
pub const RULES: &[Rule] = &[
    rule(
        "AGGREGATORS",
        "6.4.14.1 a, c, d",
        "There are aggregators, each with an identifier and a key: as many as ports, numbered \
         like them, so that one is always free; the key is that of the ports that use it.",
    ),
    rule(
        "KEYS",
        "6.4.14.1 b, e",
        "Each port has a key, and selects only an aggregator with that key.",
    ),
    rule(
        "ONE_LAG_ONE_AGGREGATOR",
        "6.4.14.1 f",
        "Ports of one LAG select one aggregator: the one that the LAG has already, else the \
         port's own, else the first that is free.",
    ),
    rule(
        "NO_LOOP",
        "6.4.14.1 g",
        "Both ends of one link do not select one aggregator: a port whose partner is its own \
         system selects none, for a team has no use for it.",
    ),
    rule(
        "WITHDRAWN",
        "6.4.14.1 q; a team's own",
        "A port that is about to go selects none: its partner hears that it is out of \
         synchronization and sends nothing there any more.",
    ),
    rule(
        "INDIVIDUAL_ALONE",
        "6.4.14.1 h, i",
        "An Individual port shares its aggregator with no other.",
    ),
    rule(
        "NOT_ATTACHED",
        "6.4.14.1 j, q",
        "A port that can select no aggregator is attached to none and carries no frame.",
    ),
    rule(
        "KNOWN_PARTNER",
        "6.4.14.1 l, m",
        "The selection waits until it is known whether there is a partner: not in EXPIRED. \
         Without one, a setting says whether the port serves alone or not at all (strict).",
    ),
    rule(
        "READY",
        "6.4.14.1 o; 6.4.8",
        "Ready is TRUE when the wait_while_timer of every port in WAITING that has selected the \
         aggregator has expired; those in STANDBY make nobody wait.",
    ),
    rule(
        "STANDBY_ORDER",
        "6.7.1",
        "Of more ports than max_links, those with the lowest port identifiers of the system \
         with the lower system identifier are used.",
    ),
    rule(
        "STABLE",
        "6.4.14.2; a team's own",
        "The active aggregator changes only when another is better in the ways that the text \
         above names.",
    ),
];
