//! Setup information files: rendered from `inf/`, and checked.
//!
//! An NDIS 6 intermediate driver installs as two driver packages, a `NetTrans`
//! protocol and a `Net` virtual miniport (INF-1). [`stamp`] renders both INFs of
//! one driver from the shared templates; [`lint`] judges the INFs of a finished
//! package directory against the rules INF-1 to INF-10 and some of our own
//! (`INF-L…`), and needs nothing but the files. The rules are listed in
//! `docs/packaging.md`.

mod data;
mod date;
mod graph;
mod lint;
mod parameters;
mod parse;
mod read;
mod rules;
mod stamp;

#[cfg(test)]
mod tests;

pub use data::DriverData;
pub use date::DriverDate;
pub use lint::{Severity, lint};
pub use read::command;
pub use stamp::{DriverVersion, InfRole, StampContext, StampedInf, stamp};
