//! What a team shows of its members: one table, a rule for every field.
//!
//! NDIS asks a miniport once what it can do. What a team says has to be true of
//! every member that a frame may go to (LBF-8), so most fields are the least of all.
//! The tables below are the code: [`fold`] does what their rules say and nothing
//! else. A test compares them with the structures, and the documentation prints them.
//!
//! Pure; IRQL <= DISPATCH_LEVEL.

use crate::settings::LinkSpeed;
use im_control::MemberRefusal;
use im_core::facts::Link;
use im_core::{Facts, Shown};
use ndis::header::Zeroed;
use ndis::sys::{
    MediaConnectStateConnected, NDIS_LINK_SPEED_UNKNOWN, NDIS_MAC_OPTION_8021Q_VLAN, NDIS_MEDIUM,
    NDIS_OFFLOAD, NDIS_OFFLOAD_FLAGS_GROUP_CHECKSUM_CAPABILITIES, NDIS_PHYSICAL_MEDIUM,
    NDIS_PM_CAPABILITIES, NET_IF_ACCESS_TYPE, NET_IF_CONNECTION_TYPE, NET_IF_DIRECTION_TYPE,
};

/// What becomes of a field when two members meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// It is the same in all of them: one that differs cannot be a member.
    Same,
    /// The smallest.
    Smallest,
    /// The largest.
    Largest,
    /// What all of them have: the bits that are set in every one.
    Common,
    /// What limits one limits all: the bits that are set in any one.
    Limits,
    /// Of the bits 0 to 5, a number, the largest; of the others what all have.
    Segments,
    /// Connected while one is.
    AnyConnected,
    /// The sum of those known, or the largest of them, as LinkSpeed says; of the
    /// current speeds only those of members with a link count.
    Speed,
    /// The team's own.
    Own,
    /// The first member's.
    First,
    /// By the rules of the structure's own table; nothing if one member has nothing.
    Nested,
    /// The same, but once a member has any, the others' nothing is a structure with
    /// nothing in it: a team that has to take back what it showed can say so.
    NestedOrNothing,
    /// Not shown.
    NotShown,
}

impl Rule {
    /// The rule in words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Same => "must agree; a member that differs is refused",
            Self::Smallest => "the smallest",
            Self::Largest => "the largest",
            Self::Common => "what all have",
            Self::Limits => "what limits one limits all",
            Self::Segments => "the largest number, of the rest what all have",
            Self::AnyConnected => "connected while one is",
            Self::Speed => "sum or largest, as LinkSpeed says",
            Self::Own => "the team's own",
            Self::First => "of the member with the smallest MemberIndex",
            Self::Nested => "field by field; absent if it is in one",
            Self::NestedOrNothing => "field by field; empty if it is absent in one",
            Self::NotShown => "not shown",
        }
    }
}

/// A row of the tables.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The structure.
    pub structure: &'static str,
    /// The field in it, with its path.
    pub field: &'static str,
    /// What becomes of it.
    pub rule: Rule,
    /// Why: the rule of the contract, or the reason.
    pub why: &'static str,
}

/// How the rules are carried out. `begin` takes over the first member's field, `meet`
/// lets the team's meet that of a further member.
// What the macro calls is the same for every rule, whatever the field's type.
#[allow(clippy::trivially_copy_pass_by_ref)]
mod ways {
    use super::{LinkSpeed, Parts};
    use core::ops::{BitAnd, BitOr};
    use ndis::sys::{MediaConnectStateConnected, NDIS_LINK_SPEED_UNKNOWN};

    macro_rules! ways {
        ($($rule:ident)*) => {$(
            pub(super) struct $rule;

            impl $rule {
                pub(super) fn begin<V: Copy>(team: &mut V, member: &V) {
                    *team = *member;
                }
            }
        )*};
    }

    ways! { Same Smallest Largest Common Limits Segments AnyConnected Speed First }

    /// The team's own, and what it does not show, stay what they were: the one is
    /// filled in by who asks, the other is nothing.
    macro_rules! untouched {
        ($($rule:ident)*) => {$(
            pub(super) struct $rule;

            impl $rule {
                pub(super) fn begin<V>(_: &mut V, _: &V) {}
                pub(super) fn meet<V>(_: &mut V, _: &V, _: LinkSpeed) {}
            }
        )*};
    }

    untouched! { Own NotShown }

    impl Same {
        pub(super) fn meet<V>(_: &mut V, _: &V, _: LinkSpeed) {}
    }

    impl First {
        pub(super) fn meet<V>(_: &mut V, _: &V, _: LinkSpeed) {} // see `fold`
    }

    impl Smallest {
        pub(super) fn meet<V: Ord + Copy>(team: &mut V, member: &V, _: LinkSpeed) {
            *team = (*team).min(*member);
        }
    }

    impl Largest {
        pub(super) fn meet<V: Ord + Copy>(team: &mut V, member: &V, _: LinkSpeed) {
            *team = (*team).max(*member);
        }
    }

    impl Common {
        pub(super) fn meet<V: BitAnd<Output = V> + Copy>(team: &mut V, member: &V, _: LinkSpeed) {
            *team = *team & *member;
        }
    }

    impl Limits {
        pub(super) fn meet<V: BitOr<Output = V> + Copy>(team: &mut V, member: &V, _: LinkSpeed) {
            *team = *team | *member;
        }
    }

    impl Segments {
        pub(super) fn meet(team: &mut u32, member: &u32, _: LinkSpeed) {
            const NUMBER: u32 = 0x3F;
            let number = (*team & NUMBER).max(*member & NUMBER);
            *team = *team & *member & !NUMBER | number;
        }
    }

    impl AnyConnected {
        pub(super) fn meet(team: &mut i32, member: &i32, _: LinkSpeed) {
            let connected = MediaConnectStateConnected.0;
            *team = if *team == connected || *member == connected {
                connected
            } else {
                // Of the two others, "disconnected" says more than "unknown".
                (*team).max(*member)
            };
        }
    }

    impl Speed {
        pub(super) fn meet(team: &mut u64, member: &u64, policy: LinkSpeed) {
            const UNKNOWN: u64 = NDIS_LINK_SPEED_UNKNOWN;
            *team = match (*team, *member) {
                (UNKNOWN, speed) | (speed, UNKNOWN) => speed,
                (one, other) => match policy {
                    LinkSpeed::Sum => one.saturating_add(other).min(UNKNOWN - 1),
                    LinkSpeed::Active => one.max(other),
                },
            };
        }
    }

    pub(super) struct Nested;

    impl Nested {
        pub(super) fn begin<V: Parts>(team: &mut V, member: &V) {
            *team = member.begin();
        }

        pub(super) fn meet<V: Parts>(team: &mut V, member: &V, policy: LinkSpeed) {
            team.meet(member, policy);
        }
    }

    pub(super) use Nested as NestedOrNothing;
}

/// A field with a table of its own.
trait Parts {
    fn begin(&self) -> Self;
    fn meet(&mut self, member: &Self, policy: LinkSpeed);
}

impl Parts for Link {
    fn begin(&self) -> Self {
        begin_link(*self, self)
    }

    fn meet(&mut self, member: &Self, policy: LinkSpeed) {
        meet_link(self, member, policy);
    }
}

impl Parts for Option<NDIS_PM_CAPABILITIES> {
    fn begin(&self) -> Self {
        self.as_ref()
            .map(|power| begin_power(Zeroed::zeroed(), power))
    }

    fn meet(&mut self, member: &Self, policy: LinkSpeed) {
        match (&mut *self, member) {
            (Some(team), Some(member)) => meet_power(team, member, policy),
            _ => *self = None,
        }
    }
}

impl Parts for Option<NDIS_OFFLOAD> {
    fn begin(&self) -> Self {
        self.as_ref()
            .map(|offload| begin_offload(Zeroed::zeroed(), offload))
    }

    fn meet(&mut self, member: &Self, policy: LinkSpeed) {
        let nothing = |like: &NDIS_OFFLOAD| {
            let mut nothing = NDIS_OFFLOAD::zeroed();
            // What is said of what is offered, not offered itself.
            (nothing.Header, nothing.Flags) = (like.Header, like.Flags);
            nothing
        };
        *self = match (self.as_ref(), member) {
            (Some(team), Some(member)) => {
                let mut team = *team;
                meet_offload(&mut team, member, policy);
                Some(team)
            }
            (Some(alone), None) | (None, Some(alone)) => Some(nothing(alone)),
            (None, None) => None,
        };
    }
}

/// Makes a table, and the functions that carry it out.
macro_rules! rules {
    ($(#[$doc:meta])* $table:ident $begin:ident $meet:ident $places:ident $type:ident {
        $($($field:ident).+ : $rule:ident, $why:literal;)+
    }) => {
        $(#[$doc])*
        pub static $table: &[Row] = &[$(Row {
            structure: stringify!($type),
            field: stringify!($($field).+),
            rule: Rule::$rule,
            why: $why,
        }),+];

        fn $begin(mut team: $type, member: &$type) -> $type {
            $(ways::$rule::begin(&mut team.$($field).+, &member.$($field).+);)+
            team
        }

        fn $meet(team: &mut $type, member: &$type, policy: LinkSpeed) {
            $(ways::$rule::meet(&mut team.$($field).+, &member.$($field).+, policy);)+
        }

        /// Offset and size of each row's field, to see that none is missing.
        #[cfg(test)]
        fn $places() -> std::vec::Vec<(usize, usize)> {
            fn size<S, F>(_: fn(&S) -> &F) -> usize {
                size_of::<F>()
            }
            std::vec![$((
                core::mem::offset_of!($type, $($field).+),
                size(|whole: &$type| &whole.$($field).+),
            )),+]
        }
    };
}

rules! {
    /// What an adapter tells at its bind.
    FACTS begin_facts meet_facts places_facts Facts {
        medium: Same, "BND-9, table: must agree";
        physical: Same, "BND-9, table: must agree";
        mtu: Smallest, "LBF-8";
        max_xmit: Speed, "BND-9, table: sum or active member, by policy";
        max_rcv: Speed, "BND-9, table: sum or active member, by policy";
        link: Nested, "BND-9, table";
        lookahead: Smallest, "LBF-8";
        filters: Common, "LBF-8";
        multicast: Smallest, "LBF-8";
        mac: First, "LBF-5; where the team has no address of its own";
        mac_length: Same, "BND-9, table: must agree";
        mac_options: Common, "BND-9, table: common set; ATR-8";
        access: Same, "BND-9, table: must agree";
        direction: Same, "BND-9, table: must agree";
        connection: Same, "BND-9, table: must agree";
        if_type: Same, "BND-9, table: must agree";
        data_backfill: Largest, "LBF-8, ATR-9";
        context_backfill: Largest, "LBF-8, ATR-9";
        if_index: Own, "IFS-1: the team is stacked on each member";
        pm: Nested, "LBF-1, BND-11";
        rss: NotShown, "ATR-12, RSS-2: one indirection table cannot be several adapters'";
        offload: NestedOrNothing, "LBF-2, OFF-1";
        offload_hardware: NestedOrNothing, "LBF-2, OFF-1";
    }
}

rules! {
    /// The link of an adapter, as it is when the team is initialised; later the team
    /// says what its plan says.
    LINK begin_link meet_link places_link Link {
        connect: AnyConnected, "BND-9, table: connected while one usable member is; LBF-7";
        duplex: Smallest, "STS-4; unknown, half, full";
        xmit: Speed, "BND-9, table: sum or active member, by policy";
        rcv: Speed, "BND-9, table: sum or active member, by policy";
        pause: Common, "STS-4; sending is one bit, receiving another";
        negotiated: Common, "STS-4";
    }
}

rules! {
    /// Power management. The team follows its members' systems to sleep and wakes
    /// nothing.
    POWER begin_power meet_power places_power NDIS_PM_CAPABILITIES {
        Header.Type: Same, "VER-5";
        Header.Revision: Smallest, "VER-5";
        Header.Size: Smallest, "VER-5";
        Flags: Common, "LBF-1";
        SupportedWoLPacketPatterns: NotShown, "ATR-6: a pattern would have to be in every member; requests for them are refused";
        NumTotalWoLPatterns: NotShown, "as the patterns";
        MaxWoLPatternSize: NotShown, "as the patterns";
        MaxWoLPatternOffset: NotShown, "as the patterns";
        MaxWoLPacketSaveBuffer: NotShown, "as the patterns";
        SupportedProtocolOffloads: NotShown, "one member would answer for the team and not be heard on another";
        NumArpOffloadIPv4Addresses: NotShown, "as the protocol offloads";
        NumNSOffloadIPv6Addresses: NotShown, "as the protocol offloads";
        MinMagicPacketWakeUp: NotShown, "ATR-6";
        MinPatternWakeUp: NotShown, "ATR-6";
        MinLinkChangeWakeUp: NotShown, "ATR-6";
        SupportedWakeUpEvents: NotShown, "ATR-6";
        MediaSpecificWakeUpEvents: NotShown, "ATR-6";
    }
}

rules! {
    /// Task offload, as it is configured and as the hardware has it. A frame may go
    /// to any member, with what it asks for.
    OFFLOAD begin_offload meet_offload places_offload NDIS_OFFLOAD {
        Header.Type: Same, "VER-5";
        Header.Revision: Smallest, "VER-5";
        Header.Size: Smallest, "VER-5";
        Checksum.IPv4Transmit.Encapsulation: Common, "OFF-1";
        Checksum.IPv4Transmit.Bits: Common, "OFF-1";
        Checksum.IPv4Receive.Encapsulation: Common, "OFF-1";
        Checksum.IPv4Receive.Bits: Common, "OFF-1";
        Checksum.IPv6Transmit.Encapsulation: Common, "OFF-1";
        Checksum.IPv6Transmit.Bits: Common, "OFF-1";
        Checksum.IPv6Receive.Encapsulation: Common, "OFF-1";
        Checksum.IPv6Receive.Bits: Common, "OFF-1";
        LsoV1.IPv4.Encapsulation: Common, "OFF-1";
        LsoV1.IPv4.MaxOffLoadSize: Smallest, "OFF-1, LBF-8";
        LsoV1.IPv4.MinSegmentCount: Largest, "OFF-1, LBF-8";
        LsoV1.IPv4.Bits: Common, "OFF-1";
        IPsecV1: NotShown, "OFF-1: a security association would have to be in every member; requests for them are refused";
        LsoV2.IPv4.Encapsulation: Common, "OFF-1";
        LsoV2.IPv4.MaxOffLoadSize: Smallest, "OFF-1, LBF-8";
        LsoV2.IPv4.MinSegmentCount: Largest, "OFF-1, LBF-8";
        LsoV2.IPv6.Encapsulation: Common, "OFF-1";
        LsoV2.IPv6.MaxOffLoadSize: Smallest, "OFF-1, LBF-8";
        LsoV2.IPv6.MinSegmentCount: Largest, "OFF-1, LBF-8";
        LsoV2.IPv6.Bits: Common, "OFF-1";
        Flags: Limits, "OFF-1: checksums that one member has only as a group; the others are IPsec's and not shown";
        IPsecV2: NotShown, "as version 1";
        Rsc.IPv4.Enabled: Common, "OFF-1";
        Rsc.IPv6.Enabled: Common, "OFF-1";
        EncapsulatedPacketTaskOffloadGre: NotShown, "OFF-1: every member would have to be set to it; requests for it are refused";
        EncapsulatedPacketTaskOffloadVxlan: NotShown, "as GRE, and the port number";
        EncapsulationTypes: NotShown, "as GRE";
        Rfc6877Xlat: NotShown, "as GRE";
        UdpSegmentation.IPv4.Encapsulation: Common, "OFF-1";
        UdpSegmentation.IPv4.MaxOffLoadSize: Smallest, "OFF-1, LBF-8";
        UdpSegmentation.IPv4.Bits: Segments, "OFF-1, LBF-8";
        UdpSegmentation.IPv6.Encapsulation: Common, "OFF-1";
        UdpSegmentation.IPv6.MaxOffLoadSize: Smallest, "OFF-1, LBF-8";
        UdpSegmentation.IPv6.Bits2: Segments, "OFF-1, LBF-8";
        UdpSegmentation.IPv6.Bits1: Common, "OFF-1";
    }
}

/// All tables, in the order in which they are read.
pub static TABLES: [&[Row]; 4] = [FACTS, LINK, POWER, OFFLOAD];

/// What the fold sees of a member: only a link that is up has a speed that counts, and
/// hardware that does not say more has what is configured.
fn seen(member: &Facts) -> Facts {
    let mut seen = *member;
    if seen.link.connect != MediaConnectStateConnected.0 {
        seen.link.xmit = NDIS_LINK_SPEED_UNKNOWN;
        seen.link.rcv = NDIS_LINK_SPEED_UNKNOWN;
    }
    seen.offload_hardware = seen.offload_hardware.or(seen.offload);
    seen
}

/// Clears sections that no task or no encapsulation is left in, and flags of tasks
/// that are not shown.
fn tidy(offload: &mut NDIS_OFFLOAD) {
    offload.Flags &= NDIS_OFFLOAD_FLAGS_GROUP_CHECKSUM_CAPABILITIES;
    macro_rules! checksums {
        ($($section:ident)+) => {$({
            let section = &mut offload.Checksum.$section;
            if section.Encapsulation == 0 || section.Bits == 0 {
                (section.Encapsulation, section.Bits) = (0, 0);
            }
        })+};
    }
    checksums! { IPv4Transmit IPv4Receive IPv6Transmit IPv6Receive }
    if offload.LsoV1.IPv4.Encapsulation == 0 {
        offload.LsoV1 = Zeroed::zeroed();
    }
    macro_rules! large_sends {
        ($($section:ident.$version:ident)+) => {$(
            if offload.$section.$version.Encapsulation == 0 {
                offload.$section.$version = Zeroed::zeroed();
            }
        )+};
    }
    large_sends! { LsoV2.IPv4 LsoV2.IPv6 UdpSegmentation.IPv4 UdpSegmentation.IPv6 }
}

/// What all members together are, as one adapter: each with its MemberIndex, in any
/// order. `None` without members.
pub fn fold(policy: LinkSpeed, members: &mut dyn Iterator<Item = (u8, Facts)>) -> Option<Facts> {
    let mut folded: Option<(u8, Facts)> = None;
    for (number, member) in members {
        let member = seen(&member);
        folded = Some(match folded {
            None => {
                let mut blank = member;
                (blank.if_index, blank.rss) = (0, None);
                (number, begin_facts(blank, &member))
            }
            Some((first, mut team)) => {
                meet_facts(&mut team, &member, policy);
                let comes_first = (number, member.mac) < (first, team.mac);
                if comes_first {
                    team.mac = member.mac;
                }
                (first.min(number), team)
            }
        });
    }
    let (_, mut team) = folded?;
    for offload in [&mut team.offload, &mut team.offload_hardware]
        .into_iter()
        .flatten()
    {
        tidy(offload);
    }
    Some(team)
}

/// What has to be the same in all members: the rows that say [`Rule::Same`].
type Kind = (
    (NDIS_MEDIUM, NDIS_PHYSICAL_MEDIUM, u16),
    (
        NET_IF_ACCESS_TYPE,
        NET_IF_DIRECTION_TYPE,
        NET_IF_CONNECTION_TYPE,
    ),
    u16,
);

const fn kind(facts: &Facts) -> Kind {
    (
        (facts.medium, facts.physical, facts.if_type),
        (facts.access, facts.direction, facts.connection),
        facts.mac_length,
    )
}

/// Whether an adapter is of the kind that a team's members are.
pub fn is_alike(team: &Facts, member: &Facts) -> Result<(), MemberRefusal> {
    if kind(team) == kind(member) {
        Ok(())
    } else {
        Err(MemberRefusal::Medium)
    }
}

/// Whether an adapter can be a member of a team that shows this already: whatever
/// cannot be changed while the team's miniport is initialised must be true of the new
/// member, too.
pub fn accepts(shown: &Shown, member: &Facts) -> Result<(), MemberRefusal> {
    let of_team = (
        (shown.medium, shown.physical, shown.if_type),
        (shown.access, shown.direction, shown.connection),
        shown.mac_length,
    );
    if kind(member) != of_team {
        return Err(MemberRefusal::Medium);
    }
    if member.mtu < shown.mtu {
        return Err(MemberRefusal::Mtu);
    }
    if shown.mac_options & !member.mac_options & NDIS_MAC_OPTION_8021Q_VLAN != 0 {
        return Err(MemberRefusal::VlanTags);
    }
    Ok(())
}

#[cfg(test)]
#[path = "merge_tests.rs"]
pub(crate) mod tests;
