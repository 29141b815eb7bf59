//! What the machines want done.

use crate::config::{AggregatorIndex, PortIndex};
use crate::id::MacAddress;
use crate::pdu::{FRAME_LEN, Pdu};
use crate::table::{MachineId, MarkerEnd};

/// Something to do or to know, in the order in which it is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Output {
    /// Send this PDU on the port.
    Send {
        /// Where.
        port: PortIndex,
        /// What.
        pdu: Pdu,
        /// Destination of the frame.
        destination: MacAddress,
        /// Its source.
        source: MacAddress,
    },
    /// `Attach_Mux_To_Aggregator` or `Detach_Mux_From_Aggregator`.
    Attached {
        /// The port.
        port: PortIndex,
        /// The aggregator, or none any more.
        aggregator: Option<AggregatorIndex>,
    },
    /// `Enable_Collecting` or `Disable_Collecting`: frames from the port are (not) to
    /// be indicated.
    Collecting {
        /// The port.
        port: PortIndex,
        /// Whether they are.
        enabled: bool,
    },
    /// `Enable_Distributing` or `Disable_Distributing`: frames may (not) be sent on
    /// the port.
    Distributing {
        /// The port.
        port: PortIndex,
        /// Whether they may.
        enabled: bool,
    },
    /// Another aggregator is the team's now.
    Active {
        /// Which, if any.
        aggregator: Option<AggregatorIndex>,
    },
    /// Enough ports distribute for the team to be up, or no longer.
    Up {
        /// Whether they do.
        up: bool,
    },
    /// `actor_churn` or `partner_churn` has changed.
    Churn {
        /// The port.
        port: PortIndex,
        /// The partner's, or else the actor's.
        partner: bool,
        /// Its value.
        churn: bool,
    },
    /// The port's partner is the team itself: a cable between two members, or a link
    /// that reflects; or it is so no longer.
    Loop {
        /// The port.
        port: PortIndex,
        /// The port at the other end if it is one of these, or none any more.
        other: Option<PortIndex>,
        /// Whether there is one.
        looped: bool,
    },
    /// What became of a marker.
    Marker {
        /// The port.
        port: PortIndex,
        /// The number that `request_marker` gave.
        transaction: u32,
        /// What became of it.
        end: MarkerEnd,
    },
    /// A machine took a transition: for traces, and for the tests.
    Transition {
        /// The port.
        port: PortIndex,
        /// The machine.
        machine: MachineId,
        /// The number of the transition in its table.
        transition: u8,
    },
}

impl Output {
    /// The octets of a frame that is to be sent.
    pub fn frame(&self) -> Option<[u8; FRAME_LEN]> {
        match self {
            Self::Send {
                pdu,
                destination,
                source,
                ..
            } => Some(pdu.frame(*destination, *source)),
            _ => None,
        }
    }
}

/// Takes what is to be done. It must not call back into the system; a driver puts
/// it on a list and works it off after its lock is released.
pub type Sink<'a> = &'a mut dyn FnMut(Output);
