//! The brain in virtual time.

mod active_backup;
mod lacp;
mod members;
mod monitor;
mod notice;
mod team;
