//! What a team's topology decides: pure, without locks, memory or clocks of its own.
//!
//! Things that happen go in with the time, what is to be done comes out. The data
//! path asks per list only what [`Bond::spread`] and [`Bond::hash`] answer.

use crate::topology::Topology;
use ethernet::Mac;
use im_control::{EventKind, LacpCounter, LacpRecord, MemberStateCode, TeamModeCode};
use ndis::Result;
use ndis::memory::{Pool, PoolBox};

/// Members that a team may have.
pub const MAX_MEMBERS: usize = 32;

/// Buckets that flows are spread over.
pub const BUCKETS: usize = 256;

/// A member's place in its team, below [`MAX_MEMBERS`]; it has the same from its
/// bind to its unbind.
pub type Slot = u8;

/// A set of slots, a bit each.
pub type Members = u32;

/// Time: units of 100 nanoseconds since some moment (KeQueryInterruptTime).
pub type Time = u64;

/// For each bucket, slots in the order in which they are to be used; what is left
/// over is [`NOBODY`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranking(pub [[Slot; MAX_MEMBERS]; BUCKETS]);

/// No member.
pub const NOBODY: Slot = 0xFF;

impl Ranking {
    /// Nobody for any bucket.
    pub const EMPTY: Self = Self([[NOBODY; MAX_MEMBERS]; BUCKETS]);

    /// Makes it nobody for any bucket.
    pub fn clear(&mut self) {
        for order in &mut self.0 {
            order.fill(NOBODY);
        }
    }

    /// The member of a bucket when these can be used. IRQL <= DISPATCH_LEVEL.
    pub fn member(&self, bucket: u8, usable: Members) -> Option<Slot> {
        let order = self.0.get(usize::from(bucket))?;
        for slot in order {
            let bit = 1_u32.checked_shl(u32::from(*slot)).unwrap_or(0);
            if usable & bit != 0 {
                return Some(*slot);
            }
            if *slot == NOBODY {
                return None;
            }
        }
        None
    }
}

/// How lists are spread over the members that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// All to the first member of bucket 0's ranking.
    One,
    /// By the bucket of their flow.
    Buckets,
    /// By the bucket, which goes to the least loaded member after a gap of so many
    /// units of 100 nanoseconds.
    Flowlets(u32),
    /// To each in turn.
    Turns,
    /// To all of them.
    All,
}

/// What is known of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberFacts {
    /// Its own address.
    pub mac: Mac,
    /// Interface index, for events.
    pub if_index: u32,
    /// Bits per second, zero if not known.
    pub speed: u64,
    /// The cable is in, and the adapter awake, running and not resetting for good.
    pub up: bool,
    /// Full duplex, or not known.
    pub full_duplex: bool,
}

/// Something that happened.
#[derive(Debug)]
pub enum Happened<'a, A> {
    /// It is later: a deadline may have passed.
    Time,
    /// A member joined; with its settings.
    Joined(Slot, MemberFacts, &'a A),
    /// A member is about to leave alive: paused, unbound or put to sleep. It is
    /// still usable until the plan lacks it.
    Leaving(Slot),
    /// It is gone.
    Left(Slot),
    /// Link, speed, power or address of a member changed.
    Changed(Slot, MemberFacts),
    /// A frame for the brain came in on a member: slow protocols, or what
    /// [`Bond::wants_frame`] named. As much of it as was copied, at least the
    /// first 128 bytes if there are as many.
    Received(Slot, &'a [u8]),
    /// The stack above sent ARP or neighbour discovery: the team's addresses can be
    /// learnt from it.
    Sent(&'a [u8]),
    /// The core wants to know when all that was sent on a member has arrived.
    MarkerWanted(Slot),
    /// The team miniport's address is known: at its initialisation, before any
    /// member joins the brain.
    Started(Mac),
}

/// Something to do.
#[derive(Debug)]
pub enum Action<'a> {
    /// Send this frame on a member.
    Send(Slot, &'a [u8]),
    /// Note this event for the member or, without one, the team.
    Tell(Option<Slot>, EventKind, u64),
    /// The marker that was wanted came back, or never will.
    MarkerBack(Slot),
}

/// What the members are for at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Frames are to be sent on them.
    pub distribute: Members,
    /// Groups' frames from them go up.
    pub collect: Members,
    /// They live: one of them that does not distribute any more is left in order.
    /// All others are left at once.
    pub alive: Members,
    /// The team has a link, of so many bits per second.
    pub link: Option<u64>,
    /// Goes up by one whenever [`Bond::rank`] would answer otherwise than before for
    /// the same members.
    pub ranking: u32,
}

/// What a brain says of a member, for showing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its MemberIndex, or the number it was given, which is its LACP port number.
    pub number: u16,
    /// Where it is.
    pub state: MemberStateCode,
    /// Its priority.
    pub priority: u16,
    /// Its weight; zero: by link speed.
    pub weight: u16,
    /// It comes before all that are not.
    pub primary: bool,
    /// It carries everything.
    pub active: bool,
    /// Bits per second, as they were known last.
    pub speed: u64,
}

/// A topology of many members under one miniport.
pub trait Bond: Topology<Data = super::Teamed> {
    /// The state machines of one team.
    type Brain: Send;

    /// Makes them. Inside the team's MiniportInitializeEx, IRQL = PASSIVE_LEVEL; the
    /// only moment at which memory is taken.
    fn brain(port: &Self::Port, pool: Pool) -> Result<PoolBox<Self::Brain>>;

    /// Something happened: the state machines go on. `todo` takes what is to be done;
    /// it does not call back. IRQL <= DISPATCH_LEVEL, under the team's lock.
    fn happened(
        brain: &mut Self::Brain,
        port: &Self::Port,
        now: Time,
        what: Happened<'_, Self::Adapter>,
        todo: &mut dyn FnMut(Action<'_>),
    );

    /// What the members are for now. IRQL <= DISPATCH_LEVEL, under the team's lock.
    fn plan(brain: &Self::Brain) -> Plan;

    /// When [`Happened::Time`] is wanted, at the latest. None: never.
    fn deadline(brain: &Self::Brain) -> Option<Time>;

    /// Makes the ranking for the plan of this moment: every bucket's members, those
    /// that would be left out first last. All that joined are in it, not only those
    /// that distribute. IRQL <= DISPATCH_LEVEL, under the team's lock.
    fn rank(brain: &Self::Brain, ranking: &mut Ranking);

    /// How lists are spread. IRQL <= DISPATCH_LEVEL.
    fn spread(port: &Self::Port) -> Spread;

    /// The bucket of a frame: its first bytes, the 802.1Q word beside it (zero:
    /// none), and the hash that is beside it, if there is one.
    /// IRQL <= DISPATCH_LEVEL, no lock.
    fn bucket(port: &Self::Port, head: &[u8], beside: usize, hash: Option<u32>) -> u8;

    /// Whether the hash beside a list is to be used; else it is not looked for.
    fn uses_hash_info(port: &Self::Port) -> bool;

    /// Whether the brain wants a copy of this received frame (which still goes up):
    /// answers to its probes. `head` is at least 14 bytes. IRQL <= DISPATCH_LEVEL, no
    /// lock.
    fn wants_frame(port: &Self::Port, head: &[u8]) -> bool;

    /// Whether groups' frames of members that do not collect go up all the same.
    fn keeps_duplicates(port: &Self::Port) -> bool;

    // What follows is for the control device, which shows it.

    /// The mode of the team. IRQL <= DISPATCH_LEVEL.
    fn mode(port: &Self::Port) -> TeamModeCode;

    /// A member that joined. IRQL <= DISPATCH_LEVEL, under the team's lock.
    fn describe(brain: &Self::Brain, slot: Slot) -> Option<Described>;

    /// LACP's active aggregator. IRQL <= DISPATCH_LEVEL, under the team's lock.
    fn aggregator(brain: &Self::Brain) -> Option<u8>;

    /// LACP on a member. IRQL <= DISPATCH_LEVEL, under the team's lock.
    fn lacp(brain: &Self::Brain, slot: Slot) -> Option<LacpRecord>;

    /// A counter of LACP on a member. IRQL <= DISPATCH_LEVEL, under the team's lock.
    fn lacp_counter(brain: &Self::Brain, slot: Slot, counter: LacpCounter) -> Option<u64>;
}
