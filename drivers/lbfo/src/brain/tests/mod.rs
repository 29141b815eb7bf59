//! The brain in virtual time.

mod active_backup;
mod aggregate;
mod lacp;
mod members;
mod monitor;
mod notice;
mod team;
