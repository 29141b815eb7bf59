//! The far end of a team of adapters: a switch whose ports are the far ends of the
//! adapters' wires.
//!
//! # Use
//!
//! ```
//! use lab_net::Endpoint as _;
//! use lab_net::team::{Bond, Switch, SwitchConfig};
//!
//! let switch = Switch::new(SwitchConfig::new(2, Bond::Static)).shared();
//! let mut ports: Vec<_> = (0..2).map(|port| Switch::port(&switch, port)).collect();
//! // What comes in on one wire may have to go out on another: after each frame all
//! // ports of the switch are polled.
//! ports[0].on_frame(0, &[0xff; 60]);
//! for port in &mut ports {
//!     port.poll(0, &mut |_| true);
//! }
//! assert_eq!(lab_net::lock(&switch).uplink(0).frames_in, 1);
//! ```
//!
//! # What it is
//!
//! [`Bond`] says what the ports are to the switch: ports of their own (a plain bridge
//! that learns), one static link aggregation, or links of which LACP decides, with the
//! machines of the `lacp` crate. Behind it is a [`Hub`](crate::hub::Hub) with the
//! endpoints. What goes back to the team is spread by a hash of the switch's own.
//!
//! Cables are pulled ([`Switch::set_link`]) or go dead without a word
//! ([`Switch::set_mute`]), and PDUs are lost, doubled and delayed ([`Weather`]).
//!
//! Sans-IO like everything here; one lock for all ports.

mod pdus;
mod switch;

pub use pdus::{BadPdu, bad_pdu};
pub use switch::{Bond, Lacp, Mute, Shared, Switch, SwitchConfig, SwitchPort, Uplink, Weather};
