//! The one-to-many intermediate driver: any number of virtual miniports
//! ("ports") on one adapter, told apart by VLAN and MAC address and isolated
//! from each other.
//!
//! All of NDIS's contract is kept by [`im_core`]. This crate decides: who gets a
//! frame, what a frame looks like on its way, what the adapter below is asked
//! for, what a port shows. Every decision is pure, tested on any host against a
//! plain model, and free of locks, atomics and memory where it is taken per
//! frame.
//!
//! | Question | File |
//! |---|---|
//! | What may the registry say? | [`settings`] |
//! | Which MAC address has a port? | [`address`] |
//! | Whose is a received frame? | [`classify`], [`mac_table`] |
//! | Where does a sent frame go? | [`switch`] |
//! | What becomes of the tag? | [`tag`] |
//! | What is asked of the adapter, what is shown above? | [`merge`] |
//! | How does im-core ask all that? | [`topology`] |
//!
//! What is meant to come later has its place: a service tag (Q-in-Q) is
//! [`ethernet::Outer::Service`], classification by source address would be a
//! further [`settings::Mode`], wake-up patterns would be merged in [`merge`].
#![cfg_attr(windows, no_std)]
// Decisions need none; the image's entry point does.
#![deny(unsafe_code)]

pub mod address;
pub mod classify;
pub mod mac_table;
pub mod merge;
pub mod settings;
pub mod switch;
pub mod tag;
pub mod topology;

#[cfg(windows)]
#[allow(unsafe_code)]
mod kernel;
