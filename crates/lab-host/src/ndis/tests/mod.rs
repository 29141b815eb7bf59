//! The NDIS part as a whole, with small drivers of host code between its two ends.

mod assist;
mod digest;
mod driver;
mod many;
mod rules;
mod team;
mod team_assist;
mod team_driver;
mod timers;
mod traces;

pub(in crate::ndis) use many::Talker;
