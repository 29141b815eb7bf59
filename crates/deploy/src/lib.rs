//! Takes a package to a Windows machine over ssh, and removes it again.
//!
//! The far side needs nothing but Windows with its OpenSSH server. What happens there is one
//! table of steps ([`table`]), of which the scripts of a package are made ([`script`]); a
//! task of SYSTEM carries them out, and takes everything back unless it is told in time
//! that the machine can still be reached. This side copies, asks ([`preflight`]), starts,
//! watches and confirms ([`run`]).

pub mod package;
pub mod plan;
pub mod preflight;
pub mod run;
pub mod script;
pub mod ssh;
pub mod table;

pub use script::{Driver, scripts};
