//! One virtual miniport on many adapters.

pub mod bond;

pub use bond::{
    Action, BUCKETS, Bond, Happened, MAX_MEMBERS, MemberFacts, Members, NOBODY, Plan, Ranking,
    Slot, Spread, Time,
};

mod flowlet;
mod look;
mod table;
