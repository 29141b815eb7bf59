//! Judges a driver: plays short scenarios on a host that has its image loaded, and says what
//! was wrong.
//!
//! A [`Plan`] is a scenario as data: the machine around the driver, how it is run, and a list
//! of actions from `DriverEntry` to unload. It is what misdeeds, faults, schedules, fuzzing
//! and regression files have in common; [`play()`] runs one and returns an [`Outcome`].
//!
//! There are no processes, files or command line here: the `lab` command confines, this crate
//! judges. It knows no driver by name.

pub mod check;
mod convert;
pub mod faults;
pub mod fuzz;
pub mod generate;
pub mod ledger;
pub mod misdeeds;
pub mod number;
pub mod partner;
pub mod plan;
pub mod plans;
pub mod play;
pub mod rules;
pub mod search;
pub mod shape;
pub mod shrink;
pub mod stage;
pub mod suite;

pub use ledger::Tally;
pub use plan::{Action, Adapter, Ask, Fault, Knobs, Miniport, Plan, Request, Setting, Shape};
pub use play::{End, Outcome, Player, Quiet, host, play};
