//! Lets setupapi install parts of an INF: a second opinion on what the linter reads.
//!
//! `inf-installer WHAT SECTION INF`, without blanks in any of them:
//! * `registry`: the section's AddReg lists, below `HKCU\Software\inf-installer\SECTION`;
//! * `services`: the services of `SECTION.Services`.
//!
//! Ends with 0, or with the error that Windows gave.
#![cfg_attr(all(windows, feature = "exe"), no_std, no_main)]

#[cfg(all(windows, feature = "exe"))]
mod program;

#[cfg(not(all(windows, feature = "exe")))]
fn main() {}
