//! What the control device shows of teams, as data for the summary.

use std::collections::BTreeMap;

use im_control::{
    BucketRecord, Kind, LacpChurnCode, LacpCounter, LacpCounterRecord, LacpMuxCode,
    LacpPeriodicCode, LacpReceiveCode, LacpRecord, LacpSelectedCode, MemberFlag, MemberRecord,
    NO_SLOT, TeamModeCode, TeamRecord,
};
use lab_host::Host;

use super::control::records;
use crate::summary::{LacpEnd, LacpShown, MemberShown, TeamShown};

/// The driver's records of its teams.
pub fn teams(host: &Host) -> Result<Vec<TeamRecord>, String> {
    records(host, Kind::Teams, 0)
}

/// Those of a team's members.
pub fn members(host: &Host, team: u32) -> Result<Vec<MemberRecord>, String> {
    records(host, Kind::Members, team)
}

/// Those of LACP on a team's members.
pub fn lacp(host: &Host, team: u32) -> Result<Vec<LacpRecord>, String> {
    records(host, Kind::Lacp, team)
}

/// The slot of each bucket's member.
pub fn buckets(host: &Host, team: u32) -> Result<Vec<Option<u32>>, String> {
    let records: Vec<BucketRecord> = records(host, Kind::Buckets, team)?;
    let mut slots = vec![None; records.len()];
    for record in records {
        let place = slots
            .get_mut(record.bucket as usize)
            .ok_or("a bucket beyond the last")?;
        *place = (record.slot != NO_SLOT).then_some(record.slot);
    }
    Ok(slots)
}

/// An address as it is written, out of a number.
pub fn address(number: u64) -> String {
    let [_, _, octets @ ..] = number.to_be_bytes();
    lab_net::Mac(octets).to_string()
}

fn word<T>(code: u32, known: Option<T>, name: impl FnOnce(T) -> &'static str) -> String {
    known.map_or_else(|| code.to_string(), |known| name(known).to_owned())
}

fn lacp_shown(record: &LacpRecord, counters: &[LacpCounterRecord]) -> LacpShown {
    let churn = |code| word(code, LacpChurnCode::from_code(code), LacpChurnCode::name);
    let states = [
        (
            "receive",
            word(
                record.receive,
                LacpReceiveCode::from_code(record.receive),
                LacpReceiveCode::name,
            ),
        ),
        (
            "periodic",
            word(
                record.periodic,
                LacpPeriodicCode::from_code(record.periodic),
                LacpPeriodicCode::name,
            ),
        ),
        (
            "selected",
            word(
                record.selected,
                LacpSelectedCode::from_code(record.selected),
                LacpSelectedCode::name,
            ),
        ),
        (
            "mux",
            word(
                record.mux,
                LacpMuxCode::from_code(record.mux),
                LacpMuxCode::name,
            ),
        ),
        ("actor churn", churn(record.actor_churn)),
        ("partner churn", churn(record.partner_churn)),
    ];
    let mine = counters
        .iter()
        .filter(|counter| counter.slot == record.slot && counter.value > 0);
    LacpShown {
        states: states
            .into_iter()
            .map(|(name, state)| (name.to_owned(), state))
            .collect(),
        actor: LacpEnd {
            system_priority: record.actor_system_priority,
            system: address(record.actor_system),
            key: record.actor_key,
            port_priority: record.actor_port_priority,
            port: record.actor_port,
            state: record.actor_state,
        },
        partner: LacpEnd {
            system_priority: record.partner_system_priority,
            system: address(record.partner_system),
            key: record.partner_key,
            port_priority: record.partner_port_priority,
            port: record.partner_port,
            state: record.partner_state,
        },
        counters: mine
            .map(|counter| {
                let name = word(
                    counter.id,
                    LacpCounter::from_code(counter.id),
                    LacpCounter::name,
                );
                (name, counter.value)
            })
            .collect(),
    }
}

/// Everything that the driver shows of its teams.
pub fn shown(host: &Host, when: &str) -> Result<Vec<TeamShown>, String> {
    teams(host)?
        .iter()
        .map(|team| one(host, team, when))
        .collect()
}

fn one(host: &Host, team: &TeamRecord, when: &str) -> Result<TeamShown, String> {
    let buckets = buckets(host, team.index)?;
    let mut carried: BTreeMap<u32, u32> = BTreeMap::new();
    for slot in buckets.iter().flatten() {
        *carried.entry(*slot).or_default() += 1;
    }
    let lacp = lacp(host, team.index)?;
    let counters: Vec<LacpCounterRecord> = records(host, Kind::LacpCounters, team.index)?;
    let members = members(host, team.index)?;
    let name = String::from_utf16_lossy(&team.name);
    Ok(TeamShown {
        when: when.to_owned(),
        name: name.trim_end_matches('\0').to_owned(),
        mode: word(
            team.mode,
            TeamModeCode::from_code(team.mode),
            TeamModeCode::name,
        ),
        speed: team.speed,
        mac: address(team.mac),
        held: team.held,
        aggregator: team.aggregator.checked_sub(1),
        members: members
            .iter()
            .map(|member| MemberShown {
                slot: member.slot,
                number: member.number,
                if_index: member.if_index,
                flags: MemberFlag::ALL
                    .iter()
                    .filter(|flag| flag.is_in(member.flags))
                    .map(|flag| flag.name().to_owned())
                    .collect(),
                speed: member.speed,
                mac: address(member.mac),
                sent: member.sent_frames,
                received: member.received_frames,
                dropped: member.dropped,
                outstanding: member.outstanding,
                buckets: carried.get(&member.slot).copied().unwrap_or(0),
                lacp: lacp
                    .iter()
                    .find(|record| record.slot == member.slot)
                    .map(|record| lacp_shown(record, &counters)),
            })
            .collect(),
        buckets,
    })
}
