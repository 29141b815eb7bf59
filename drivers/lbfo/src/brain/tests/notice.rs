//! Notices after a failover: what is learnt, what is sent, when and where.

use std::vec::Vec;

use super::super::frames::{Form, Heard, announcement, parse};
use super::super::*;
use super::team::*;
use core::net::IpAddr;
use ethernet::Vlan;

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn vlan(number: u16) -> Vlan {
    Vlan::new(number).expect("a VLAN")
}

/// The stack above sends something from this address.
fn learn(team: &mut Team, text: &str, mac: Mac, number: u16) {
    let frame = announcement(address(text), mac, vlan(number), Form::Request);
    team.event(Happened::Sent(frame.bytes()));
}

fn noticed(count: u8, interval: u32) -> TeamSettings {
    TeamSettings {
        notice_count: count,
        notice_interval: interval,
        ..settings(Mode::ActiveBackup)
    }
}

/// When and where which address was announced.
fn announced(team: &Team) -> Vec<(Time, Slot, IpAddr, u16)> {
    let said = |heard: &Heard| match heard.said {
        Said::Question {
            sender: Some(sender),
            target,
        } if sender == target => Some(target),
        Said::Answer { target } => Some(target),
        _ => None,
    };
    team.sent()
        .into_iter()
        .filter_map(|(at, slot, frame)| {
            let heard = parse(frame)?;
            Some((at, slot, said(&heard)?, heard.vlan.number()))
        })
        .collect()
}

#[test]
fn every_address_is_announced_on_its_vlan_so_often_and_so_far_apart() {
    let mut team = Team::with(&noticed(3, 500), 2);
    learn(&mut team, "192.0.2.9", TEAM, 0);
    learn(&mut team, "192.0.2.9", TEAM, 20);
    learn(&mut team, "2001:db8::9", TEAM, 20);
    learn(&mut team, "192.0.2.50", Mac([2, 5, 5, 5, 5, 5]), 30);
    assert_eq!(team.brain.deadline(), None);
    team.run(SECOND);
    team.link(0, false);
    team.run(10 * SECOND);
    let mut expected = Vec::new();
    for at in [1000, 1500, 2000] {
        for (text, number) in [
            ("192.0.2.9", 0),
            ("192.0.2.9", 20),
            ("2001:db8::9", 20),
            ("192.0.2.50", 30),
        ] {
            expected.push((at * MILLISECOND, 1, address(text), number));
        }
    }
    assert_eq!(announced(&team), expected);
    assert_eq!(team.brain.deadline(), None);
    // Each in the name of who uses it, and ARP in both forms in turn.
    let first: Vec<_> = team
        .sent()
        .into_iter()
        .filter_map(|(_, _, frame)| parse(frame))
        .filter(|heard| heard.vlan == vlan(30))
        .collect();
    for heard in &first {
        assert_eq!(heard.source, Mac([2, 5, 5, 5, 5, 5]));
    }
    let replies = first
        .iter()
        .map(|heard| matches!(heard.said, Said::Answer { .. }));
    assert_eq!(replies.collect::<Vec<_>>(), [false, true, false]);
}

#[test]
fn nothing_is_sent_at_the_start_or_when_the_same_member_comes_back() {
    let mut team = Team::new(&noticed(2, 200));
    learn(&mut team, "192.0.2.9", TEAM, 0);
    team.join(0);
    team.link(0, false);
    team.run(SECOND);
    team.link(0, true);
    team.run(SECOND);
    assert!(announced(&team).is_empty());
    // Another one does.
    team.link(0, false);
    team.run(SECOND);
    team.join(1);
    team.run(SECOND);
    assert_eq!(announced(&team).len(), 2);
}

#[test]
fn a_failover_during_the_rounds_begins_them_anew_and_an_outage_ends_them() {
    let mut team = Team::with(&noticed(4, 100), 3);
    learn(&mut team, "192.0.2.9", TEAM, 0);
    team.link(0, false);
    team.run(150 * MILLISECOND);
    team.link(1, false);
    team.run(10 * SECOND);
    let slots: Vec<Slot> = announced(&team).iter().map(|(_, slot, ..)| *slot).collect();
    assert_eq!(slots, [1, 1, 2, 2, 2, 2]);
    team.link(1, true); // failback
    team.run(50 * MILLISECOND);
    team.link(1, false);
    team.link(2, false);
    assert_eq!(team.brain.deadline(), None);
}

#[test]
fn a_count_of_zero_and_other_modes_send_none() {
    for settings in [
        noticed(0, 200),
        TeamSettings {
            notice_count: 5,
            ..settings(Mode::Hash)
        },
    ] {
        let mut team = Team::with(&settings, 2);
        learn(&mut team, "192.0.2.9", TEAM, 0);
        team.link(0, false);
        assert_eq!(team.brain.deadline(), None);
        assert!(announced(&team).is_empty());
    }
}

#[test]
fn probes_and_duplicate_address_detection_are_not_learnt() {
    let mut team = Team::with(&noticed(1, 200), 2);
    let question = |target: &str, sender: Option<&str>| frames::Question {
        source: TEAM,
        sender: sender.map(address),
        target: address(target),
        vlan: Vlan::NONE,
    };
    let probe = question("192.0.2.9", None).frame();
    team.event(Happened::Sent(probe.bytes()));
    team.event(Happened::Sent(&[0xFF; 80]));
    team.event(Happened::Sent(&[]));
    assert_eq!(team.brain.learnt().count(), 0);
    // A question for somebody else says who asks.
    let asks = question("192.0.2.1", Some("192.0.2.9")).frame();
    team.event(Happened::Sent(asks.bytes()));
    let learnt: Vec<_> = team.brain.learnt().collect();
    assert_eq!(learnt.len(), 1);
    assert_eq!(
        (learnt[0].address, learnt[0].mac),
        (address("192.0.2.9"), TEAM)
    );
}

#[test]
fn the_table_is_bounded_and_the_oldest_goes_first() {
    let mut team = Team::with(&noticed(1, 200), 2);
    for number in 0..ENTRIES as u32 {
        let text = format!("10.0.{}.{}", number / 200, 1 + number % 200);
        learn(&mut team, &text, TEAM, 0);
        team.run(MILLISECOND);
    }
    learn(&mut team, "10.0.0.1", Mac([2, 7, 7, 7, 7, 7]), 0); // seen again, elsewhere
    team.run(MILLISECOND);
    learn(&mut team, "192.0.2.9", TEAM, 0);
    assert_eq!(team.brain.learnt().count(), ENTRIES);
    let has = |text: &str| {
        let found = team.brain.learnt().find(|it| it.address == address(text));
        found.map(|it| it.mac)
    };
    assert_eq!(has("10.0.0.1"), Some(Mac([2, 7, 7, 7, 7, 7])));
    assert_eq!(has("10.0.0.2"), None, "the oldest");
    assert_eq!(
        (has("10.0.0.3"), has("192.0.2.9")),
        (Some(TEAM), Some(TEAM))
    );
    // A few at a time, all in the end.
    let from = team.now;
    team.link(0, false);
    assert_eq!(announced(&team).len(), AT_ONCE);
    team.run(SECOND);
    let all = announced(&team);
    assert_eq!(all.len(), ENTRIES);
    for (number, (at, ..)) in all.iter().enumerate() {
        assert_eq!(*at, from + (number / AT_ONCE) as Time * PAUSE);
    }
}
