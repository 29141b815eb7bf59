//! The tables against the structures, and what is carried out against the tables.

use super::*;
use im_core::facts::MAX_MAC;
use ndis::sys::{
    MediaConnectStateDisconnected, NDIS_ENCAPSULATION_IEEE_802_3, NDIS_OBJECT_TYPE_DEFAULT,
    NDIS_OBJECT_TYPE_OFFLOAD, NDIS_RECEIVE_SCALE_CAPABILITIES, NET_IF_ACCESS_TYPE,
    NET_IF_CONNECTION_TYPE, NET_IF_DIRECTION_TYPE, NdisMedium802_3, NdisMediumWirelessWan,
    NdisPhysicalMedium802_3, NdisPhysicalMediumNative802_11,
};
use proptest::collection::vec as vec_of;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::vec;
use std::vec::Vec;

const GIGABIT: u64 = 1_000_000_000;
const FLAGS: usize = core::mem::offset_of!(NDIS_OFFLOAD, Flags);

/// An adapter with the last byte of its address, and nothing in particular.
pub(crate) fn facts(last: u8) -> Facts {
    let mut mac = [0; MAX_MAC];
    mac[..6].copy_from_slice(&[0, 0x1A, 0x2B, 3, 4, last]);
    Facts {
        medium: NdisMedium802_3,
        physical: NdisPhysicalMedium802_3,
        mtu: 1500,
        max_xmit: GIGABIT,
        max_rcv: GIGABIT,
        link: Link {
            connect: MediaConnectStateConnected.0,
            duplex: 2,
            xmit: GIGABIT,
            rcv: GIGABIT,
            pause: 0,
            negotiated: 0,
        },
        lookahead: 1500,
        filters: 0x2F,
        multicast: 8,
        mac,
        mac_length: 6,
        mac_options: NDIS_MAC_OPTION_8021Q_VLAN,
        access: NET_IF_ACCESS_TYPE(2),
        direction: NET_IF_DIRECTION_TYPE(0),
        connection: NET_IF_CONNECTION_TYPE(1),
        if_type: 6,
        data_backfill: 16,
        context_backfill: 8,
        if_index: u32::from(last),
        pm: Some(NDIS_PM_CAPABILITIES::zeroed()),
        rss: Some(NDIS_RECEIVE_SCALE_CAPABILITIES::zeroed()),
        offload: None,
        offload_hardware: None,
    }
}

/// Structures as bytes.
#[allow(unsafe_code)]
mod raw {
    use super::{NDIS_OFFLOAD, NDIS_PM_CAPABILITIES};

    pub(super) const OFFLOAD: usize = size_of::<NDIS_OFFLOAD>();
    pub(super) const POWER: usize = size_of::<NDIS_PM_CAPABILITIES>();

    pub(super) fn offload(bytes: [u8; OFFLOAD]) -> NDIS_OFFLOAD {
        // SAFETY: (ABI) a C structure of integers: any bytes are a value.
        unsafe { core::mem::transmute(bytes) }
    }

    pub(super) fn of_offload(offload: &NDIS_OFFLOAD) -> [u8; OFFLOAD] {
        // SAFETY: (ABI) made of bytes or zeroes above, so its padding is there.
        unsafe { core::mem::transmute_copy(offload) }
    }

    pub(super) fn power(bytes: [u8; POWER]) -> NDIS_PM_CAPABILITIES {
        // SAFETY: (ABI) a C structure of integers: any bytes are a value.
        unsafe { core::mem::transmute(bytes) }
    }

    pub(super) fn of_power(power: &NDIS_PM_CAPABILITIES) -> [u8; POWER] {
        // SAFETY: (ABI) a C structure of integers without padding.
        unsafe { core::mem::transmute_copy(power) }
    }
}

fn fold_all(policy: LinkSpeed, members: &[Facts]) -> Option<Facts> {
    let mut members = members.iter().map(|facts| (1, *facts));
    fold(policy, &mut members)
}

fn sum(members: &[Facts]) -> Facts {
    fold_all(LinkSpeed::Sum, members).unwrap()
}

/// Every field of the structures has a row, and no row another field.
#[test]
fn the_tables_are_complete() {
    macro_rules! names {
        ($type:ident { $($field:ident)+ }) => {{
            // Lacks a field of the structure? Then it does not compile.
            let _ = |$type { $($field: _),+ }: $type| ();
            BTreeSet::from([$(stringify!($field)),+])
        }};
    }
    let rows = |table: &[Row]| -> BTreeSet<&str> { table.iter().map(|row| row.field).collect() };
    let fields = names!(Facts {
        medium physical mtu max_xmit max_rcv link lookahead filters multicast mac mac_length
        mac_options access direction connection if_type data_backfill context_backfill if_index
        pm rss offload offload_hardware
    });
    assert_eq!(rows(FACTS), fields);
    assert_eq!(places_facts().len(), fields.len());
    let fields = names!(Link { connect duplex xmit rcv pause negotiated });
    assert_eq!(rows(LINK), fields);
    assert_eq!(places_link().len(), fields.len());

    // Of the others every byte but for padding.
    for (places, size, padding) in [
        (places_power(), raw::POWER, &[][..]),
        (places_offload(), raw::OFFLOAD, &[146, 147, 177, 178, 179]),
    ] {
        let mut covered = vec![0; size];
        for (offset, length) in places {
            for byte in &mut covered[offset..offset + length] {
                *byte += 1;
            }
        }
        assert!(covered.iter().all(|times| *times <= 1));
        let left: Vec<usize> = (0..size).filter(|at| covered[*at] == 0).collect();
        assert_eq!(left, padding);
    }
}

#[test]
fn every_row_says_why() {
    let mut seen = BTreeSet::new();
    for row in TABLES.iter().copied().flatten() {
        assert!(seen.insert((row.structure, row.field)), "{}", row.field);
        assert!(!row.why.is_empty() && !row.rule.text().is_empty());
        assert!(!row.field.contains(' '), "{}", row.field);
    }
}

#[test]
fn nobody_is_no_team() {
    assert!(fold_all(LinkSpeed::Sum, &[]).is_none());
}

/// LBF-8: each member can do what the team shows.
#[test]
fn limits_are_everybody_s() {
    let mut other = facts(2);
    other.mtu = 9000;
    other.lookahead = 100;
    other.filters = 0x11;
    other.multicast = 32;
    other.mac_options = 0;
    other.data_backfill = 4;
    other.context_backfill = 99;
    other.pm = None;
    let team = sum(&[facts(1), other]);
    assert_eq!((team.mtu, team.lookahead), (1500, 100));
    assert_eq!((team.filters, team.multicast), (0x01, 8));
    assert_eq!((team.data_backfill, team.context_backfill), (16, 99));
    assert_eq!(team.mac_options, 0);
    assert!(team.pm.is_none(), "LBF-1: not all follow to sleep");
    assert!(team.rss.is_none() && team.if_index == 0);
    assert!(sum(&[facts(1)]).pm.is_some());
}

/// Sum or largest; only links that are up count, but for the largest possible speed.
#[test]
fn speeds() {
    let mut slow = facts(2);
    (slow.max_xmit, slow.link.xmit) = (GIGABIT / 10, GIGABIT / 10);
    let mut down = facts(3);
    down.link.connect = MediaConnectStateDisconnected.0;
    let mut mute = facts(4);
    (mute.link.xmit, mute.max_xmit) = (NDIS_LINK_SPEED_UNKNOWN, NDIS_LINK_SPEED_UNKNOWN);
    let members = [facts(1), slow, down, mute];
    let team = sum(&members);
    assert_eq!(team.link.xmit, GIGABIT + GIGABIT / 10);
    assert_eq!(team.link.rcv, 3 * GIGABIT);
    assert_eq!(team.max_xmit, 2 * GIGABIT + GIGABIT / 10);
    let team = fold_all(LinkSpeed::Active, &members).unwrap();
    assert_eq!((team.link.xmit, team.max_xmit), (GIGABIT, GIGABIT));
    let team = sum(&[down]);
    assert_eq!(team.link.xmit, NDIS_LINK_SPEED_UNKNOWN);
    assert_eq!(team.link.connect, MediaConnectStateDisconnected.0);
    mute.link.xmit = u64::MAX - 1;
    assert_eq!(
        sum(&[mute, facts(1)]).link.xmit,
        u64::MAX - 1,
        "no overflow"
    );
}

/// LBF-7: one link is a link.
#[test]
fn one_link_is_a_link() {
    let mut down = facts(2);
    down.link.connect = MediaConnectStateDisconnected.0;
    down.link.duplex = 1;
    for members in [[facts(1), down], [down, facts(1)]] {
        let link = sum(&members).link;
        assert_eq!(link.connect, MediaConnectStateConnected.0);
        assert_eq!(link.duplex, 1);
    }
    let mut unknown = facts(3);
    unknown.link.connect = 0;
    assert_eq!(sum(&[unknown, down]).link.connect, down.link.connect);
}

/// LBF-5: the address does not depend on who was bound first.
#[test]
fn the_first_member_is_the_one_with_the_smallest_number() {
    let members = [(3, facts(1)), (2, facts(9)), (2, facts(7)), (5, facts(0))];
    for turn in 0..members.len() {
        let mut order = members;
        order.rotate_left(turn);
        let team = fold(LinkSpeed::Sum, &mut order.into_iter()).unwrap();
        assert_eq!(team.mac[5], 7);
    }
}

/// OFF-1, LBF-2: what one member cannot do is not shown, and not half of it either.
#[test]
fn a_task_needs_all() {
    let mut able = NDIS_OFFLOAD::zeroed();
    able.Header.Type = NDIS_OBJECT_TYPE_OFFLOAD;
    able.Header.Revision = 7;
    able.LsoV2.IPv4.Encapsulation = NDIS_ENCAPSULATION_IEEE_802_3;
    able.LsoV2.IPv4.MaxOffLoadSize = 65536;
    able.LsoV2.IPv4.MinSegmentCount = 2;
    able.Checksum.IPv4Transmit.Encapsulation = NDIS_ENCAPSULATION_IEEE_802_3;
    able.Checksum.IPv4Transmit.Bits = 0x155;
    able.UdpSegmentation.IPv4.Encapsulation = NDIS_ENCAPSULATION_IEEE_802_3;
    able.UdpSegmentation.IPv4.Bits = 2 | 1 << 6;
    able.Rsc.IPv4.Enabled = 1;
    able.IPsecV2.Encapsulation = 2;
    able.EncapsulationTypes = 1;
    let (mut one, mut other) = (facts(1), facts(2));
    one.offload = Some(able);
    let alone = sum(&[one]);
    for shown in [alone.offload.unwrap(), alone.offload_hardware.unwrap()] {
        assert_eq!(shown.LsoV2.IPv4.MaxOffLoadSize, 65536);
        assert_eq!((shown.Rsc.IPv4.Enabled, shown.Header.Revision), (1, 7));
        assert_eq!(shown.IPsecV2.Encapsulation, 0);
        assert_eq!(shown.EncapsulationTypes, 0);
    }
    let mut less = able;
    less.Header.Revision = 5;
    less.LsoV2.IPv4.MaxOffLoadSize = 32768;
    less.LsoV2.IPv4.MinSegmentCount = 4;
    less.Checksum.IPv4Transmit.Bits = 0x100;
    less.UdpSegmentation.IPv4.Bits = 3;
    other.offload = Some(less);
    let both = sum(&[one, other]).offload.unwrap();
    assert_eq!(both.Header.Revision, 5);
    assert_eq!(both.LsoV2.IPv4.MaxOffLoadSize, 32768);
    assert_eq!(both.LsoV2.IPv4.MinSegmentCount, 4);
    assert_eq!(both.Checksum.IPv4Transmit.Bits, 0x100);
    assert_eq!(both.UdpSegmentation.IPv4.Bits, 3);
    less.LsoV2.IPv4.Encapsulation = 0;
    less.Checksum.IPv4Transmit.Bits = 0x2AA;
    other.offload = Some(less);
    let both = sum(&[one, other]).offload.unwrap();
    assert_eq!(both.LsoV2.IPv4.MinSegmentCount, 0, "not half of it");
    assert_eq!(both.Checksum.IPv4Transmit.Encapsulation, 0);
}

/// A team that has shown something can show that nothing is left.
#[test]
fn nothing_left_is_shown_as_such() {
    let mut able = NDIS_OFFLOAD::zeroed();
    able.Header.Revision = 6;
    able.Rsc.IPv4.Enabled = 1;
    let mut one = facts(1);
    one.offload = Some(able);
    for members in [
        vec![one, facts(2)],
        vec![facts(2), one, one],
        vec![one, one, facts(2)],
    ] {
        let team = sum(&members);
        let nothing = team.offload.unwrap();
        assert_eq!((nothing.Header.Revision, nothing.Rsc.IPv4.Enabled), (6, 0));
    }
    assert!(sum(&[facts(1), facts(2)]).offload.is_none());
}

#[test]
fn who_can_be_a_member() {
    let team = facts(1);
    let shown = Shown::one_to_one(&team);
    assert_eq!(accepts(&shown, &facts(2)), Ok(()));
    let refused = |change: fn(&mut Facts)| {
        let mut member = facts(2);
        change(&mut member);
        let refusal = accepts(&shown, &member).err();
        // Before the team shows anything, only the kind counts.
        let kind = refusal.filter(|refusal| *refusal == MemberRefusal::Medium);
        assert_eq!(is_alike(&team, &member).err(), kind);
        refusal
    };
    let medium = Some(MemberRefusal::Medium);
    assert_eq!(
        refused(|member| member.medium = NdisMediumWirelessWan),
        medium
    );
    assert_eq!(
        refused(|member| member.physical = NdisPhysicalMediumNative802_11),
        medium
    );
    assert_eq!(refused(|member| member.if_type = 71), medium);
    assert_eq!(refused(|member| member.mac_length = 8), medium);
    assert_eq!(
        refused(|member| member.access = NET_IF_ACCESS_TYPE(1)),
        medium
    );
    assert_eq!(
        refused(|member| member.direction = NET_IF_DIRECTION_TYPE(1)),
        medium
    );
    assert_eq!(
        refused(|member| member.connection = NET_IF_CONNECTION_TYPE(2)),
        medium
    );
    let same = FACTS.iter().filter(|row| row.rule == Rule::Same);
    assert_eq!(same.count(), 7, "each of them tried above");
    assert_eq!(
        refused(|member| member.mtu = 1499),
        Some(MemberRefusal::Mtu)
    );
    assert_eq!(refused(|member| member.mtu = 9000), None);
    assert_eq!(
        refused(|member| member.mac_options = 0),
        Some(MemberRefusal::VlanTags)
    );
    assert_eq!(
        refused(|member| {
            (member.multicast, member.lookahead, member.filters) = (0, 0, 1);
            (member.offload, member.pm, member.data_backfill) = (None, None, 512);
        }),
        None,
        "what can be done without, or said later"
    );
}

fn number(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    for (to, from) in word.iter_mut().zip(bytes) {
        *to = *from;
    }
    u64::from_le_bytes(word)
}

/// Whether what the team shows can be had of a member, field by field, by the table.
fn no_more(
    table: &[Row],
    places: &[(usize, usize)],
    team: &[u8],
    member: &[u8],
) -> Result<(), TestCaseError> {
    for (row, (offset, length)) in table.iter().zip(places) {
        let range = *offset..offset + length;
        let (team, member) = (&team[range.clone()], &member[range]);
        if *length > 8 || row.rule == Rule::NotShown {
            prop_assert_eq!(row.rule, Rule::NotShown, "{}", row.field);
            prop_assert!(team.iter().all(|byte| *byte == 0), "{}", row.field);
            continue;
        }
        let (team, member) = (number(team), number(member));
        let holds = match row.rule {
            Rule::Same => team == member,
            Rule::Smallest => team <= member,
            // A section of which nothing is left needs nothing.
            Rule::Largest => team >= member || team == 0,
            Rule::Common => team & !member == 0,
            Rule::Limits => member & !team == 0,
            Rule::Segments => {
                team == 0 || team & 0x3F >= member & 0x3F && team & !member & !0x3F == 0
            }
            _ => false,
        };
        prop_assert!(holds, "{}: {team:#x} of {member:#x}", row.field);
    }
    Ok(())
}

/// An adapter as it is drawn: of numbers and bytes, which can be shown.
#[derive(Clone, Debug)]
struct Drawn {
    last: u8,
    sizes: [u32; 5],
    bits: [u32; 3],
    speeds: [u64; 4],
    link: [i32; 3],
    power: Option<Vec<u8>>,
    offload: Option<Vec<u8>>,
    hardware: Option<Vec<u8>>,
}

impl Drawn {
    fn facts(&self) -> Facts {
        let offload = |bytes: &Vec<u8>| {
            let mut offload = raw::offload(*bytes.first_chunk().unwrap());
            offload.Header.Type = NDIS_OBJECT_TYPE_OFFLOAD;
            offload
        };
        let mut facts = facts(self.last);
        [
            facts.mtu,
            facts.lookahead,
            facts.multicast,
            facts.data_backfill,
            facts.context_backfill,
        ] = self.sizes;
        [facts.filters, facts.mac_options, facts.link.negotiated] = self.bits;
        [
            facts.max_xmit,
            facts.max_rcv,
            facts.link.xmit,
            facts.link.rcv,
        ] = self.speeds;
        [facts.link.connect, facts.link.duplex, facts.link.pause] = self.link;
        facts.pm = self.power.as_ref().map(|bytes| {
            let mut power = raw::power(*bytes.first_chunk().unwrap());
            power.Header.Type = NDIS_OBJECT_TYPE_DEFAULT;
            power
        });
        facts.offload = self.offload.as_ref().map(offload);
        facts.offload_hardware = self.hardware.as_ref().map(offload);
        facts
    }
}

prop_compose! {
    fn adapter()(
        last: u8,
        sizes in proptest::array::uniform5(0_u32..10_000),
        bits in proptest::array::uniform3(0_u32..0x100),
        speeds in proptest::array::uniform4(any::<u64>()),
        link in proptest::array::uniform3(0_i32..3),
        power in proptest::option::weighted(0.8, vec_of(any::<u8>(), raw::POWER)),
        offload in proptest::option::weighted(0.8, vec_of(any::<u8>(), raw::OFFLOAD)),
        hardware in proptest::option::weighted(0.5, vec_of(any::<u8>(), raw::OFFLOAD)),
    ) -> Drawn {
        Drawn { last, sizes, bits, speeds, link, power, offload, hardware }
    }
}

fn adapters(least: usize) -> impl Strategy<Value = Vec<Drawn>> {
    vec_of(adapter(), least..6)
}

fn drawn(drawn: &[Drawn]) -> Vec<Facts> {
    drawn.iter().map(Drawn::facts).collect()
}

/// Whether a team shows no more than one of its members, or a smaller team, has.
fn within(team: &Facts, member: &Facts) -> Result<(), TestCaseError> {
    prop_assert!(team.mtu <= member.mtu && team.lookahead <= member.lookahead);
    prop_assert!(team.multicast <= member.multicast);
    prop_assert_eq!(team.filters & !member.filters, 0);
    prop_assert_eq!(team.mac_options & !member.mac_options, 0);
    prop_assert!(team.data_backfill >= member.data_backfill);
    prop_assert!(team.context_backfill >= member.context_backfill);
    prop_assert!(team.rss.is_none());
    prop_assert!(member.pm.is_some() || team.pm.is_none());
    if let (Some(team), Some(member)) = (team.pm, member.pm) {
        let (team, member) = (raw::of_power(&team), raw::of_power(&member));
        no_more(POWER, &places_power(), &team, &member)?;
    }
    let hardware = member.offload_hardware.or(member.offload);
    for (team, member) in [
        (team.offload, member.offload),
        (team.offload_hardware, hardware),
    ] {
        let Some(team) = team else {
            prop_assert!(member.is_none());
            continue;
        };
        let mut team = raw::of_offload(&team);
        let Some(mut member) = member else {
            team[FLAGS..FLAGS + 4].fill(0); // a limit of nothing
            prop_assert!(team[4..].iter().all(|byte| *byte == 0));
            continue;
        };
        member.Flags &= NDIS_OFFLOAD_FLAGS_GROUP_CHECKSUM_CAPABILITIES;
        no_more(OFFLOAD, &places_offload(), &team, &raw::of_offload(&member))?;
    }
    Ok(())
}

fn same(one: &Facts, other: &Facts) -> Result<(), TestCaseError> {
    let plain = |facts: &Facts| {
        (
            (
                facts.mtu,
                facts.max_xmit,
                facts.max_rcv,
                facts.link,
                facts.lookahead,
            ),
            (facts.filters, facts.multicast, facts.mac, facts.mac_options),
            (facts.data_backfill, facts.context_backfill, facts.if_index),
        )
    };
    prop_assert_eq!(plain(one), plain(other));
    prop_assert_eq!(
        one.pm.map(|power| raw::of_power(&power)),
        other.pm.map(|power| raw::of_power(&power))
    );
    for (one, other) in [
        (one.offload, other.offload),
        (one.offload_hardware, other.offload_hardware),
    ] {
        let one = one.map(|offload| raw::of_offload(&offload));
        let other = other.map(|offload| raw::of_offload(&offload));
        prop_assert_eq!(one, other);
    }
    Ok(())
}

proptest! {
    /// The team never shows more than any of its members has.
    #[test]
    fn never_more_than_any_member(members in adapters(1)) {
        let members = drawn(&members);
        let team = sum(&members);
        for member in &members {
            within(&team, member)?;
        }
    }

    /// A further member never widens what is shown.
    #[test]
    fn a_member_more_never_widens(members in adapters(2)) {
        let members = drawn(&members);
        let (last, before) = members.split_last().unwrap();
        let (narrow, wide) = (sum(&members), sum(before));
        within(&narrow, &wide)?;
        within(&narrow, last)?;
    }

    /// Who came first makes no difference, nor who came twice but for speeds.
    #[test]
    fn order_does_not_matter(
        members in adapters(1),
        turn in 0_usize..6,
        reverse: bool,
        active: bool,
    ) {
        let members = drawn(&members);
        let policy = if active { LinkSpeed::Active } else { LinkSpeed::Sum };
        let mut order = members.clone();
        order.rotate_left(turn % members.len());
        if reverse {
            order.reverse();
        }
        let team = fold_all(policy, &members).unwrap();
        same(&team, &fold_all(policy, &order).unwrap())?;
        let twice = [members.clone(), members].concat();
        same(
            &fold_all(LinkSpeed::Active, &order).unwrap(),
            &fold_all(LinkSpeed::Active, &twice).unwrap(),
        )?;
    }
}
