//! The team's link speed.

use crate::settings::LinkSpeed;

/// That of a team whose members in use have these speeds, in bits per second.
pub fn speed(rule: LinkSpeed, speeds: impl Iterator<Item = u64>) -> u64 {
    match rule {
        LinkSpeed::Sum => speeds.fold(0, u64::saturating_add),
        LinkSpeed::Active => speeds.max().unwrap_or(0),
    }
}
