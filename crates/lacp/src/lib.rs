//! Link Aggregation Control Protocol and Marker Protocol of IEEE 802.1AX for a team
//! driver: events and time in, actions out.
//!
//! # Shape
//!
//! | Module | What | Clauses of IEEE 802.1AX-2014 |
//! |---|---|---|
//! | [`table`] | the state machines as data, and their Markdown | 6.4.12 – 6.4.17, 6.5.4 |
//! | [`pdu`] | LACPDUs and marker PDUs as octets | 6.4.2, 6.5.3, IEEE 802.3 57A |
//! | [`System`] | a team: ports in, [`Output`]s out | 6.3, 6.4.3, 6.4.5 |
//! | [`Port`] | a member: variables, functions, what may be seen | 6.4.7 – 6.4.9, 7.3.2, 7.3.4 |
//! | [`Counter`] | counters with the standard's names | 7.3.3, 7.3.4 |
//! | [`time`] | units, constants, timers | 6.4.4, 6.4.10 |
//!
//! Time is a number of 100 ns that only grows; [`System::next_deadline`] says when
//! [`System::tick`] has to be called, so that one timer is enough and nothing polls.
//! A system whose links are down, or that is passive and alone, has no deadline.
//!
//! ```
//! use lacp::{MacAddress, Output, PortConfig, PortId, System, SystemConfig, SystemId};
//!
//! let address = MacAddress([2, 0, 0, 0, 0, 1]);
//! let id = SystemId { priority: 0x8000, address };
//! let mut team = System::new(SystemConfig::new(id))?;
//! let port = PortId { priority: 0x80, number: 1 };
//! team.add_port(0, 0, PortConfig::new(port, 1, address), &mut |_| {})?;
//! assert_eq!(team.next_deadline(), None);
//!
//! let mut sent = 0;
//! team.set_link(0, 0, true, &mut |output| sent += u32::from(output.frame().is_some()))?;
//! assert_eq!(sent, 1, "the first LACPDU goes out with the link");
//! assert_eq!(team.next_deadline(), Some(lacp::time::SECOND));
//! # Ok::<(), lacp::Error>(())
//! ```
//!
//! # What a driver does
//!
//! * It holds one lock around each call and works off the [`Output`]s after it.
//! * It gives every frame with the EtherType of the Slow Protocols, or to their group
//!   address, to [`System::receive`], after the frames that came before it on the port.
//! * It sends only on ports that distribute and indicates only from ports that
//!   collect: [`System::distributing`], [`System::collecting`].
//! * To move a flow from a port in order it holds its frames back, asks for a marker
//!   on the old port and goes on when it is answered.
//!
//! # Decisions where the standard leaves room
//!
//! * The mux machine is the one with independent control; its table says why.
//! * A team is one Aggregator Client. Ports of groups other than the active one are in
//!   STANDBY (6.7.1), so a second partner sees them out of synchronization.
//! * A port without a partner is Individual. Of several of these one is used at a
//!   time, which is active-backup; or none, as a setting.
//! * A port whose partner is the own system is never selected.
//! * Received lengths are validated, which 6.4.12 allows; versions, TLV types and
//!   reserved fields are not, as it demands.
//! * Of LACPDUs ten in a second are listened to on a port, of markers seven answered:
//!   IEEE 802.3 57A.2 allows ten frames a second to each slow protocol.
//! * Marker PDUs have the length 16 and are taken with 22 too, which Linux sends.
//! * Version 2 LACPDUs are understood and can be sent; conversation-sensitive
//!   collection and distribution (6.6), and with it long LACPDUs (6.4.18) and DRNI
//!   (clause 9), are not part of it.
//!
//! Pure: no kernel, no allocation, no unsafe code, no panic on any input.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod aggregator;
mod config;
mod counters;
mod id;
mod output;
pub mod pdu;
mod port;
mod run;
mod selection;
mod system;
pub mod table;
pub mod time;

pub use config::{
    Activity, AggregatorIndex, Error, Fallback, MAX_PORTS, Policy, PortConfig, PortIndex,
    SystemConfig, Timeout, Version,
};
pub use counters::{Counter, Counters};
pub use id::{LagEnd, LagId, MacAddress, PortId, PortInformation, PortState, SystemId};
pub use output::{Output, Sink};
pub use port::Port;
pub use system::{AggregatorInformation, Received, System};
