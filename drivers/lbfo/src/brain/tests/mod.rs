//! The brain in virtual time.

mod active_backup;
mod members;
mod monitor;
mod notice;
mod team;
