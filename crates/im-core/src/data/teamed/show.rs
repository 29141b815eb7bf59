//! What the control device shows of a team: copies of state, taken piece by piece.
//!
//! IRQL = PASSIVE_LEVEL, beside everything else. The brain's lock is held for one
//! record at a time; a member that is looked at is kept by its run-down.

use super::bond::{BUCKETS, Bond, MAX_MEMBERS, Members, Plan, Slot};
use super::table::bit;
use crate::edges::{Lower, Upper};
use crate::flow;
use crate::status::link_of;
use core::sync::atomic::Ordering;
use ethernet::Mac;
use im_control::{
    BucketRecord, DropReason, Kind, LacpCounter, LacpCounterRecord, MemberDropRecord, MemberFlag,
    MemberRecord, NAME_UNITS, NO_SLOT, ReplyWriter, TeamRecord,
};
use ndis::sys::{
    MediaConnectStateConnected, NDIS_LINK_SPEED_UNKNOWN, NDIS_PACKET_TYPE_PROMISCUOUS,
    NdisDeviceStateD0,
};

/// Writes the records of a kind.
pub(super) fn show<T: Bond>(
    index: u32,
    upper: &Upper<T>,
    kind: Kind,
    writer: &mut ReplyWriter<'_>,
) {
    match kind {
        Kind::Teams => writer.push(&team(index, upper)),
        Kind::Members => {
            for lower in upper.team().members() {
                writer.push(&member(upper, &lower));
            }
        }
        Kind::Lacp => {
            let brain = &upper.team().data.control;
            for slot in 0..MAX_MEMBERS as Slot {
                if let Some(record) = brain.brain(|brain| T::lacp(brain, slot)).flatten() {
                    writer.push(&record);
                }
            }
        }
        Kind::LacpCounters => lacp_counters(upper, writer),
        Kind::Buckets => buckets(upper, writer),
        Kind::MemberDrops => {
            for lower in upper.team().members() {
                drops(&lower, writer);
            }
        }
        _ => {}
    }
}

/// What is planned, and LACP's active aggregator.
fn planned<T: Bond>(upper: &Upper<T>) -> (Plan, Option<u8>) {
    let control = &upper.team().data.control;
    let planned = control.brain(|brain| (T::plan(brain), T::aggregator(brain)));
    planned.unwrap_or_default()
}

/// Looks at the settings of a team, if its miniport is initialised.
fn settings<T: Bond, V>(upper: &Upper<T>, look: impl FnOnce(&T::Port) -> V) -> Option<V> {
    let _inside = upper.handlers.enter()?;
    upper.port().map(look)
}

/// The address that a team shows; zero while it is not there.
fn address<T: Bond>(upper: &Upper<T>) -> Mac {
    let shown = upper.shown(|shown| Mac::from_slice(&shown.mac));
    shown.flatten().unwrap_or(Mac::ZERO)
}

/// A speed, zero if it is not known.
fn known(speed: u64) -> u64 {
    if speed == NDIS_LINK_SPEED_UNKNOWN {
        0
    } else {
        speed
    }
}

fn team<T: Bond>(index: u32, upper: &Upper<T>) -> TeamRecord {
    let mut name = [0; NAME_UNITS];
    for (to, from) in name.iter_mut().zip(upper.name.iter()) {
        *to = *from;
    }
    let members = upper.team().members();
    let members = members.fold(0, |all: Members, member| {
        all | bit(member.slot.load(Ordering::Relaxed))
    });
    let (plan, aggregator) = planned(upper);
    let route = &upper.team().data.route;
    // What the topology knows is there while the handlers are.
    let link = settings(upper, |_| link_of(upper));
    let mode = settings(upper, T::mode);
    TeamRecord {
        index,
        mode: mode.map_or(u32::MAX, im_control::TeamModeCode::code),
        upper_state: upper.state().code(),
        upper_if_index: upper.if_index.load(Ordering::Relaxed),
        members,
        distribute: plan.distribute,
        collect: plan.collect,
        alive: plan.alive,
        usable: route.carrying(),
        ranking: plan.ranking,
        held: route.waiting_buckets().count(),
        aggregator: aggregator.map_or(0, |number| u32::from(number).saturating_add(1)),
        link: link.map_or(0, |link| link.connect as u32),
        speed: plan.link.unwrap_or(0),
        mac: address(upper).number(),
        name,
    }
}

/// Sums of a path over the processors.
fn sums(slots: impl Iterator<Item = [u64; 3]>) -> [u64; 3] {
    slots.fold([0; 3], |[a, b, c], [d, e, f]| {
        [a.wrapping_add(d), b.wrapping_add(e), c.wrapping_add(f)]
    })
}

fn member<T: Bond>(upper: &Upper<T>, lower: &Lower<T>) -> MemberRecord {
    let slot = lower.slot.load(Ordering::Relaxed);
    let team = upper.team();
    let described = team.data.control.brain(|brain| T::describe(brain, slot));
    let described = described.flatten();
    let (plan, _) = planned(upper);
    let (link, mac, filters, if_index) = {
        let facts = lower.facts.lock();
        let mac = Mac::from_slice(&facts.mac).unwrap_or(Mac::ZERO);
        (facts.link, mac, facts.filters, facts.if_index)
    };
    let power = lower.power.load(Ordering::Relaxed);
    let up = link.connect == MediaConnectStateConnected.0 && power == NdisDeviceStateD0.0;
    let team_mac = address(upper);
    let foreign = team_mac != Mac::ZERO && mac != team_mac;
    let among = |members: Members| members & bit(slot) != 0;
    let flags = [
        (MemberFlag::Up, up),
        (MemberFlag::Distributing, among(plan.distribute)),
        (MemberFlag::Collecting, among(plan.collect)),
        (MemberFlag::Alive, among(plan.alive)),
        (
            MemberFlag::Primary,
            described.is_some_and(|member| member.primary),
        ),
        (
            MemberFlag::Promiscuous,
            foreign && filters & NDIS_PACKET_TYPE_PROMISCUOUS != 0,
        ),
        (
            MemberFlag::Active,
            described.is_some_and(|member| member.active),
        ),
    ];
    let flags = flags.iter().filter(|(_, holds)| *holds);
    let path = &lower.data.path;
    let sent = sums(path.flow.iter().map(|slot: &flow::Slot| slot.sent.read()));
    let received = sums(
        path.flow
            .iter()
            .map(|slot: &flow::Slot| slot.received.read()),
    );
    let drops = DropReason::ALL.iter().map(|reason| path.drops(*reason));
    MemberRecord {
        slot: slot.into(),
        number: described.map_or(0, |member| member.number.into()),
        if_index,
        flags: flags.fold(0, |all, (flag, _)| all | flag.code()),
        state: described.map_or(0, |member| member.state.code()),
        lower_state: lower.state().code(),
        link: link.connect as u32,
        power: power as u32,
        priority: described.map_or(0, |member| member.priority.into()),
        weight: described.map_or(0, |member| member.weight.into()),
        speed: known(described.map_or(link.xmit, |member| member.speed)),
        mac: mac.number(),
        sent_lists: sent[0],
        sent_frames: sent[1],
        sent_bytes: sent[2],
        received_lists: received[0],
        received_frames: received[1],
        received_bytes: received[2],
        dropped: drops.fold(0, u64::wrapping_add),
        outstanding: path.outstanding(),
    }
}

fn drops<T: Bond>(lower: &Lower<T>, writer: &mut ReplyWriter<'_>) {
    let slot = lower.slot.load(Ordering::Relaxed).into();
    for reason in DropReason::ALL {
        let lists = lower.data.path.drops(*reason);
        if lists != 0 {
            let id = reason.code();
            writer.push(&MemberDropRecord { slot, id, lists });
        }
    }
}

fn lacp_counters<T: Bond>(upper: &Upper<T>, writer: &mut ReplyWriter<'_>) {
    let control = &upper.team().data.control;
    for slot in 0..MAX_MEMBERS as Slot {
        for counter in LacpCounter::ALL {
            let value = control.brain(|brain| T::lacp_counter(brain, slot, *counter));
            let Some(value) = value.flatten() else { break };
            writer.push(&LacpCounterRecord {
                slot: slot.into(),
                id: counter.code(),
                value,
            });
        }
    }
}

fn buckets<T: Bond>(upper: &Upper<T>, writer: &mut ReplyWriter<'_>) {
    let Some(spread) = settings(upper, T::spread) else {
        return;
    };
    let route = &upper.team().data.route;
    let held = route.waiting_buckets();
    for bucket in (0..BUCKETS).filter_map(|bucket| u8::try_from(bucket).ok()) {
        let carrier = route.carrier(spread, bucket);
        writer.push(&BucketRecord {
            bucket: bucket.into(),
            slot: carrier.map_or(NO_SLOT, u32::from),
            held: held.has(bucket).into(),
        });
    }
}
