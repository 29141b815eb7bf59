//! What the intermediate drivers of this workspace have in common: the
//! contract with NDIS, and everything that does not depend on how virtual
//! miniports map to adapters. A driver adds a [`Topology`]: constants and pure
//! decisions.
//!
//! | Concern | File |
//! |---|---|
//! | DriverEntry, unload, the driver's one static | `driver` |
//! | bind, unbind, open, close | `bind` |
//! | which bindings and miniports belong together | `team` |
//! | virtual miniports: request, initialise, halt | `instance`, `attributes` |
//! | which there are: lists, names, what changes | `roster`, `names`, `bind` |
//! | pause and restart of both edges | `pause`, tables in `state` |
//! | data | `data`, `path`, `gate`, `flow`, `published` |
//! | settings | `settings` |
//! | what only a kernel image has | `image` |
//! | OID requests | `oid`, `oid_answer`, tables in `oid_table` and `oid_many`, own ones in `own_request` |
//! | what miniports want together | `sync`, `merge`, `offload` |
//! | counters | `statistics` |
//! | status indications | `status`, table in `status_table` |
//! | PnP and power | `pnp`, table in `pnp_table` |
//! | events, control device | `events`, `control` |
//!
//! # Concurrency
//!
//! Handlers of both edges run at the same time on any processor, up to
//! DISPATCH_LEVEL (VMI-9). What orders them:
//!
//! * The data path takes no lock. It counts itself in on its processor's slot
//!   and then reads one word, the gate (`flow`, `gate`); whoever closes the
//!   gate waits for the counts.
//! * `Lower::core` (a spin lock) holds a binding's state, `Team::core` the lists of
//!   bindings and virtual miniports that belong together, `Upper::core` a
//!   miniport's state. Order: lower, team, upper. Gate bits change under the lock
//!   of the edge they speak for.
//! * `Driver::bindings` holds the table of bindings; it is taken alone.
//! * Every other lock is a leaf. No lock is held across a call into NDIS
//!   (LCK-6), and no handler returns with one held (IRQ-24).
//!
//! A `Lower` lives from bind to the end of unbind, its `Team` as long as one of its
//! bindings, and `Upper`s no longer than their team. NDIS unbinds only after it paused, and halts a miniport before unbind
//! goes on; threads that come from elsewhere (the control device, a sweep after
//! Reconfigure) hold the run-down `Lower::users`.
// C constants are matched under their C names.
#![allow(non_upper_case_globals)]
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod attributes;
mod bind;
mod control;
pub mod data;
mod driver;
mod edges;
pub mod events;
pub mod facts;
pub mod flow;
pub mod gate;
mod image;
mod instance;
pub mod list;
mod log;
pub mod merge;
mod names;
mod offload;
mod oid;
mod oid_answer;
pub mod oid_direct;
pub mod oid_many;
pub mod oid_slot;
pub mod oid_table;
mod own_request;
mod path;
mod pause;
mod pnp;
pub mod pnp_table;
pub mod published;
pub mod roster;
pub mod settings;
pub mod state;
mod statistics;
mod status;
pub mod status_table;
mod sync;
mod team;
mod topology;
pub mod undo;

pub use attributes::Shown;
pub use driver::Driver;
pub use edges::{Lower, Upper};
pub use facts::Facts;
pub use team::Team;
pub use topology::{Identity, Notice, Topology};
