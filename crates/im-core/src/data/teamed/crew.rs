//! What lists need of those who own a team. Tests have a team of their own.

use super::bond::{Slot, Spread};
use super::member::Member;
use super::route::Route;
use crate::flow::Waiters;
use crate::path::Path;
use ndis::memory::Tag;

/// A team with its miniport. Every method at IRQL <= DISPATCH_LEVEL, any number at
/// once.
pub(super) trait Crew {
    /// Of context space that has to be allocated.
    const TAG: Tag;

    /// What the topology keeps about the miniport.
    type Port;

    /// The miniport's path.
    fn path(&self) -> &Path;

    /// The team's ways.
    fn route(&self) -> &Route;

    /// The miniport's settings, while it is initialised.
    fn port(&self) -> Option<&Self::Port>;

    /// See [`super::Bond::spread`].
    fn spread(port: &Self::Port) -> Spread;

    /// See [`super::Bond::bucket`].
    fn bucket(port: &Self::Port, head: &[u8], beside: usize, hash: Option<u32>) -> u8;

    /// See [`super::Bond::uses_hash_info`].
    fn uses_hash_info(port: &Self::Port) -> bool;

    /// See [`super::Bond::wants_frame`].
    fn wants_frame(port: &Self::Port, head: &[u8]) -> bool;

    /// See [`super::Bond::keeps_duplicates`].
    fn keeps_duplicates(port: &Self::Port) -> bool;

    /// Tells who waited for the team's path; the last access to it.
    fn tell(&self, told: Waiters);

    /// Tells who waited for a member's path; the last access to it.
    fn tell_member(member: &Member, told: Waiters);

    /// A frame for the brain.
    fn received(&self, slot: Slot, frame: &[u8]);

    /// A neighbour's frame from the stack above.
    fn stack_sent(&self, frame: &[u8]);

    /// Asks the brain for a marker on a member. [`Route::marker_back`] answers.
    fn marker(&self, slot: Slot);

    /// A member could not be used though it should: another move is due.
    fn look_again(&self);
}
