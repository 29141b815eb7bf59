//! The many-to-one intermediate driver: up to 32 adapters ("members") under one
//! virtual miniport ("team"), which balances flows over them, fails over from one to
//! another and speaks LACP with the switch at the other end.
//!
//! All of NDIS's contract is kept by [`im_core`]. This crate decides: what the team
//! shows of its members, who carries which flow, who is up. Every decision is pure
//! and tested on any host; time comes in with the events.
//!
//! | Question | File |
//! |---|---|
//! | What may the registry say? | [`settings`], [`station`] |
//! | Which MAC address has a team? | [`address`] |
//! | What does the team show of its members? Who may be one? | [`merge`] |
//! | Who is up, who carries frames, who is told? | [`brain`] |
//! | Which member carries which flow? | [`ranking`] |
//! | What does the control device show? | `show` |
//! | How does im-core ask all that? | [`topology`] |
//!
//! What is meant to come later has its place: hashing of inner headers would be a
//! further [`settings::Id::HashPolicy`], balancing of what is received (a member's
//! own address in ARP and ND) and selection of an aggregator by bandwidth or count
//! further values of [`settings::Mode`] and a setting beside it.
#![cfg_attr(windows, no_std)]
// Decisions need none; the image's entry point does.
#![deny(unsafe_code)]

pub mod address;
pub mod brain;
pub mod merge;
pub mod ranking;
pub mod settings;
mod show;
pub mod station;
pub mod topology;

#[cfg(windows)]
#[allow(unsafe_code)]
mod kernel;
