//! The exercises: three for each topology. What each asks is in its folder,
//! `docs/exercises/NAME/task.md`; what it demands is in [`super::goals`].

use crate::compare::topologies::Kind;

/// What the student is given and edits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// A topology file.
    Topology,
    /// Calls that have to be put in order.
    Order,
    /// A driver that forgets a call now and then.
    Omission {
        /// Which.
        call: &'static str,
        /// Every how many.
        every: u64,
    },
}

impl Given {
    /// The file to edit.
    pub const fn file(self) -> &'static str {
        match self {
            Self::Topology => super::TOPOLOGY,
            Self::Order | Self::Omission { .. } => super::ANSWER,
        }
    }
}

/// An exercise.
#[derive(Clone, Copy, Debug)]
pub struct Exercise {
    /// Its name, and its folder's.
    pub name: &'static str,
    /// Package of the driver.
    pub driver: &'static str,
    /// The topology where the student gives none.
    pub kind: Kind,
    /// What is given.
    pub given: Given,
    /// In a line.
    pub title: &'static str,
}

/// All of them.
pub const EXERCISES: [Exercise; 9] = [
    Exercise {
        name: "passthrough-1",
        driver: "passthrough",
        kind: Kind::Straight,
        given: Given::Topology,
        title: "a second adapter, a second miniport",
    },
    Exercise {
        name: "passthrough-2",
        driver: "passthrough",
        kind: Kind::Straight,
        given: Given::Order,
        title: "the order of an unbind",
    },
    Exercise {
        name: "passthrough-3",
        driver: "passthrough",
        kind: Kind::Straight,
        given: Given::Omission {
            call: "NdisMSendNetBufferListsComplete",
            every: 40,
        },
        title: "a driver that forgets something",
    },
    Exercise {
        name: "mux-1",
        driver: "mux",
        kind: Kind::Fanout,
        given: Given::Topology,
        title: "who hears whom is a table",
    },
    Exercise {
        name: "mux-2",
        driver: "mux",
        kind: Kind::Fanout,
        given: Given::Topology,
        title: "four ports without promiscuous mode",
    },
    Exercise {
        name: "mux-3",
        driver: "mux",
        kind: Kind::Fanout,
        given: Given::Omission {
            call: "NdisReturnNetBufferLists",
            every: 40,
        },
        title: "a driver that keeps something",
    },
    Exercise {
        name: "lbfo-1",
        driver: "lbfo",
        kind: Kind::Backup,
        given: Given::Topology,
        title: "a cable pulled, and nobody notices",
    },
    Exercise {
        name: "lbfo-2",
        driver: "lbfo",
        kind: Kind::Spread,
        given: Given::Topology,
        title: "both members, every flow in order",
    },
    Exercise {
        name: "lbfo-3",
        driver: "lbfo",
        kind: Kind::Backup,
        given: Given::Omission {
            call: "NdisIMDeInitializeDeviceInstance",
            every: 1,
        },
        title: "a driver that leaves something behind",
    },
];
