//! The transparent intermediate driver: one virtual miniport on each adapter.
//!
//! Whatever comes goes through as it is: the same chain of lists in one call,
//! no byte touched, no lock, no allocation. All of NDIS's contract is kept by
//! [`im_core`]; this crate says what makes the 1:1 topology what it is
//! ([`topology`]) and holds the parts that only a kernel image has (`kernel`):
//! entry point, global allocator, panic handler, debug output.
//!
//! | Question | Answer |
//! |---|---|
//! | Which adapter does a send go to? | the only one |
//! | Which miniport does a receive go to? | the only one |
//! | What does the miniport show? | the adapter's own values, see `docs/attributes.md` |
//! | Who answers an OID? | the adapter, except for the tables' few |
//! | What becomes of status and PnP events? | passed on, except for the tables' few |
#![cfg_attr(windows, no_std)]

pub mod topology;

#[cfg(windows)]
mod kernel;
