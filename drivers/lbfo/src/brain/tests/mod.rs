//! The brain in virtual time.

mod active_backup;
mod team;
