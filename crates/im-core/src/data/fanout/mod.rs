//! Many virtual miniports on one adapter.
//!
//! | Concern | File |
//! |---|---|
//! | what the topology decides | `decide` |

mod decide;

pub use decide::{Delivery, Egress, Frame, Look, PortRef, PortView, Route, Strip, Switch};

/// Addresses that a miniport's multicast list can hold.
pub const MAX_MULTICAST: usize = 32;

/// Bytes of context space that a list takes while it is on the other side
/// (ATR-9).
pub const CONTEXT_BYTES: u16 = 32;

/// Many virtual miniports on one adapter: each frame goes where its VLAN and
/// its addresses say.
#[derive(Debug)]
pub enum Fanout {}
