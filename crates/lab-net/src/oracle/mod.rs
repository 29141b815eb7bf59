//! The oracle: traffic of which every frame is known, and a judge that says
//! what happened to it.
//!
//! # Use
//!
//! ```
//! use lab_net::oracle::{Flow, Generator, Ledger, Pace, Sink};
//! use lab_net::wire::{Impairment, Wire};
//! use lab_net::Mac;
//!
//! let ledger = Ledger::new(42);
//! let flow = ledger.add_flow(Flow::private("down", Mac::local(2, 1), Mac::local(2, 2)));
//! let mut from = Generator::new(&ledger, flow, Pace { frames: 10_000, ..Pace::default() });
//! let mut to = Sink::new(&ledger, Mac::local(2, 2), &[flow]);
//! Wire::new(Impairment::default(), 1).run(&mut from, &mut to, 1_000_000_000, |_, _| false);
//! let verdict = ledger.verdict();
//! assert!(verdict.is_clean(), "{verdict}");
//! assert_eq!(verdict.received, 10_000);
//! ```
//!
//! Counting is not enough: every frame carries its flow, its number, its length
//! and a hash of all of its octets, keyed by the run's seed; its content comes
//! from the seed too. The [`Ledger`] is shared by all generators and sinks of a
//! run. What a link flap or a pause may lose is excused by a named window
//! ([`Ledger::open_window`]); a window never excuses a copy or a changed octet.
//!
//! A [`Generator`] sends one flow, a [`Swarm`] thousands.
//!
//! [`malformed`] and [`tagged`] make the frames that no sound sender makes.
//!
//! # Concurrency
//!
//! A ledger is shared by clones and locks itself for the time of one frame.

mod frame;
mod generator;
mod ledger;
pub mod malformed;
mod sink;
mod swarm;
pub mod tagged;

pub use frame::{ETHERTYPE, peek, smallest};
pub use generator::{Generator, Pace};
pub use ledger::{Carrier, Flow, FlowId, Ledger, Verdict};
pub use sink::Sink;
pub use swarm::{SentFrame, Swarm, SwarmPace};
