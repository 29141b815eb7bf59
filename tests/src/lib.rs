//! Tests that look at the workspace as a whole live in this crate's `tests/`; here is what
//! several of them need to run the lab on a packaged driver and to read its report.
//!
//! `cargo xtask test` builds the lab and the packages and names them in `IM_LAB` and
//! `IM_PACKAGES_DIR`. Without them, without a partner or without a right a test prints
//! `SKIP <name>: <reason>`, which `cargo xtask test` counts.

#![expect(
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "these are the assertions of tests"
)]

pub mod bench;
pub mod misdeeds;
pub mod tap;

pub use bench::{Bench, Run};
