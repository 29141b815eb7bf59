//! Monitors: who is asked, in whose name, and what becomes of the answers.

use std::vec::Vec;

use super::super::frames::{Heard, link_local, parse};
use super::super::table::State;
use super::super::*;
use super::team::*;
use crate::settings::Station;
use core::net::{IpAddr, Ipv6Addr};
use ethernet::Vlan;
use smoltcp::wire::{
    EthernetAddress, HardwareAddress, Icmpv6Packet, Icmpv6Repr, NdiscNeighborFlags, NdiscRepr,
    RawHardwareAddress,
};

/// Who answers.
const TARGET: [u8; 6] = [2, 0, 0, 0, 0xEE, 1];

/// The frame in which `target` answers a question, not made by what is tested.
pub fn answer(target: IpAddr, question: &Heard) -> Vec<u8> {
    let mut frame = question.source.0.to_vec();
    frame.extend_from_slice(&TARGET);
    if !question.vlan.is_none() {
        frame.extend_from_slice(&[0x81, 0]);
        frame.extend_from_slice(&question.vlan.number().to_be_bytes());
    }
    match target {
        IpAddr::V4(target) => {
            frame.extend_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 2]);
            frame.extend_from_slice(&TARGET);
            frame.extend_from_slice(&target.octets());
            frame.extend_from_slice(&question.source.0);
            frame.extend_from_slice(&[0; 4]);
        }
        IpAddr::V6(target) => {
            let to = match question.said {
                Said::Question {
                    sender: Some(IpAddr::V6(sender)),
                    ..
                } => sender,
                _ => Ipv6Addr::new(0xFF02, 0, 0, 0, 0, 0, 0, 1),
            };
            let lladdr = HardwareAddress::Ethernet(EthernetAddress(TARGET));
            let repr = Icmpv6Repr::Ndisc(NdiscRepr::NeighborAdvert {
                flags: NdiscNeighborFlags::SOLICITED,
                target_addr: target,
                lladdr: Some(RawHardwareAddress::from(lladdr)),
            });
            let mut message = vec![0; repr.buffer_len()];
            let mut packet = Icmpv6Packet::new_unchecked(&mut message);
            let caps = smoltcp::phy::ChecksumCapabilities::default();
            repr.emit(&target, &to, &mut packet, &caps);
            frame.extend_from_slice(&[0x86, 0xDD, 0x60, 0, 0, 0]);
            frame.extend_from_slice(&(message.len() as u16).to_be_bytes());
            frame.extend_from_slice(&[58, 255]);
            frame.extend_from_slice(&target.octets());
            frame.extend_from_slice(&to.octets());
            frame.extend_from_slice(&message);
        }
    }
    frame.resize(frame.len().max(60), 0);
    frame
}

fn station(text: &str) -> Station {
    let units: Vec<u16> = text.encode_utf16().collect();
    Station::from_text(&units).expect("a station")
}

fn monitored(mode: Mode, monitor: Monitor, targets: &[&str]) -> TeamSettings {
    TeamSettings {
        monitor,
        targets: targets.iter().map(|text| station(text)).collect(),
        ..settings(mode)
    }
}

/// Questions that were sent from this moment on.
fn questions(team: &Team, from: Time) -> Vec<(Time, Slot, Heard)> {
    team.sent()
        .into_iter()
        .filter(|(at, ..)| *at >= from)
        .filter_map(|(at, slot, frame)| Some((at, slot, parse(frame)?)))
        .filter(|(.., heard)| matches!(heard.said, Said::Question { .. }))
        .collect()
}

fn target_of(heard: &Heard) -> IpAddr {
    match heard.said {
        Said::Question { target, .. } => target,
        other => panic!("{other:?}"),
    }
}

/// Time passes; questions on these members are answered by these targets at once.
fn run_answered(team: &mut Team, time: Time, good: impl Fn((Time, Slot, IpAddr)) -> bool) {
    let end = team.now + time;
    let mut seen = 0;
    loop {
        while seen < team.done.len() {
            let (at, done) = team.done[seen].clone();
            seen += 1;
            if let Done::Send(slot, frame) = done
                && at == team.now
                && let Some(heard) = parse(&frame)
                && let Said::Question { target, .. } = heard.said
                && good((at, slot, target))
            {
                team.event(Happened::Received(slot, &answer(target, &heard)));
            }
        }
        let Some(due) = team.brain.deadline().filter(|due| *due <= end) else {
            break;
        };
        team.now = team.now.max(due);
        team.event(Happened::Time);
    }
    team.now = end;
}

#[test]
fn a_monitor_that_is_off_has_no_deadline_and_wants_no_frame() {
    let off = settings(Mode::Hash);
    let team = Team::with(&off, 4);
    assert_eq!(team.brain.deadline(), None);
    let on = monitored(Mode::Hash, Monitor::Any, &["192.0.2.1"]);
    let question = frames::Question {
        source: mac(1),
        sender: None,
        target: "192.0.2.1".parse().expect("an address"),
        vlan: Vlan::NONE,
    };
    let frame = question.frame();
    assert!(!wants_frame(&off, frame.bytes()) && wants_frame(&on, frame.bytes()));
    assert!(!wants_frame(&on, &[0; 60]));
}

#[test]
fn with_lacp_there_is_no_monitor() {
    let mut team = Team::with(&monitored(Mode::Lacp, Monitor::Any, &["192.0.2.1"]), 1);
    team.run(10 * SECOND);
    assert!(questions(&team, 0).is_empty());
    assert_eq!(team.state(0), State::Ready);
}

#[test]
fn members_without_a_link_are_not_asked_and_then_there_is_no_deadline() {
    let settings = monitored(Mode::Hash, Monitor::Any, &["192.0.2.1"]);
    let mut team = Team::with(&settings, 1);
    assert!(team.brain.deadline().is_some());
    team.link(0, false);
    assert_eq!(team.brain.deadline(), None);
    let from = team.now + 1;
    team.run(10 * SECOND);
    assert!(questions(&team, from).is_empty());
    team.link(0, true);
    let [(at, slot, _)] = questions(&team, from)[..] else {
        panic!("asked at once");
    };
    assert_eq!((at, slot), (team.now, 0));
}

#[test]
fn probes_go_out_in_the_interval_and_in_the_members_own_name() {
    let settings = TeamSettings {
        monitor_interval: 250,
        ..monitored(Mode::Hash, Monitor::Any, &["192.0.2.1%20", "2001:db8::1"])
    };
    let mut team = Team::with(&settings, 2);
    run_answered(&mut team, SECOND, |_| true);
    assert_eq!(team.plan().distribute, 0b11);
    for slot in 0..2 {
        let times: Vec<Time> = questions(&team, 0)
            .into_iter()
            .filter(|(_, at, heard)| *at == slot && !heard.vlan.is_none())
            .map(|(at, ..)| at / MILLISECOND)
            .collect();
        assert_eq!(times, [0, 250, 500, 750, 1000]);
    }
    for (_, slot, heard) in questions(&team, 1) {
        assert_eq!(heard.source, mac(slot));
        let Said::Question { sender, target } = heard.said else {
            unreachable!()
        };
        if target.is_ipv4() {
            assert_eq!((sender, heard.vlan.number()), (None, 20));
        } else {
            assert_eq!(sender, Some(IpAddr::V6(link_local(mac(slot)))));
            assert!(heard.vlan.is_none());
        }
    }
}

#[test]
fn any_is_one_and_all_is_all() {
    let targets = ["192.0.2.1", "192.0.2.2", "2001:db8::1"];
    for (monitor, good) in [
        (Monitor::Any, [false, false, true]),
        (Monitor::All, [true, true, true]),
    ] {
        let settings = monitored(Mode::Hash, monitor, &targets);
        let number = |target: IpAddr| settings.targets.iter().position(|it| it.address == target);
        // Each set of targets that answer.
        for answers in 0..8_u8 {
            let mut team = Team::with(&settings, 1);
            run_answered(&mut team, 5 * SECOND, |(_, _, target)| {
                answers >> number(target).expect("a target") & 1 != 0
            });
            let expected = match monitor {
                Monitor::Any => answers != 0,
                _ => answers == 7,
            };
            assert_eq!(
                team.state(0) == State::Ready,
                expected,
                "{monitor:?} {answers:b}"
            );
            for target in 0..3_u8 {
                let missed = if answers >> target & 1 != 0 { 0 } else { 255 };
                assert_eq!(team.brain.missed(0, usize::from(target)), Some(missed));
            }
            assert_eq!(team.brain.missed(0, 3), None);
        }
        // The rest goes away while it is in use, and comes back.
        let mut team = Team::with(&settings, 1);
        run_answered(&mut team, 2 * SECOND, |_| true);
        let few = |(_, _, target)| good[number(target).expect("a target")];
        run_answered(&mut team, 10 * SECOND, few);
        assert_eq!(team.state(0), State::Ready, "{monitor:?}");
        run_answered(&mut team, 10 * SECOND, |(_, _, target)| {
            !good[number(target).expect("a target")]
                || (monitor == Monitor::All && target.is_ipv4())
        });
        assert_eq!(team.state(0) == State::Ready, monitor == Monitor::Any);
    }
}

#[test]
fn so_many_in_a_row_may_be_missed_and_no_more() {
    for most in [1, 3, 7_u8] {
        let settings = TeamSettings {
            monitor_missed: most,
            ..monitored(Mode::ActiveBackup, Monitor::Any, &["192.0.2.1"])
        };
        let mut team = Team::with(&settings, 1);
        run_answered(&mut team, 0, |_| true);
        // One is answered again just before it is too late.
        let last = Time::from(most) * SECOND;
        run_answered(&mut team, last, |(at, ..)| at == last);
        assert_eq!(team.state(0), State::Ready, "{most}");
        run_answered(&mut team, last, |_| false);
        assert_eq!(team.state(0), State::Ready, "{most}");
        run_answered(&mut team, SECOND, |_| false);
        assert_eq!(team.state(0), State::Probing, "{most}");
        assert_eq!(team.plan().distribute, 0);
        // The next answer brings it back.
        run_answered(&mut team, SECOND, |_| true);
        assert_eq!(team.state(0), State::Ready, "{most}");
    }
}

#[test]
fn a_quarter_of_the_probes_lost_takes_nobody_down() {
    // Four in a row are lost once in 256 rounds; the seed has none of these.
    let settings = TeamSettings {
        monitor_missed: 4,
        ..monitored(Mode::Hash, Monitor::Any, &["192.0.2.1", "192.0.2.2"])
    };
    let mut team = Team::with(&settings, 4);
    run_answered(&mut team, 0, |_| true);
    let random = std::cell::RefCell::new(fastrand::Rng::with_seed(4));
    run_answered(&mut team, 300 * SECOND, |_| {
        random.borrow_mut().u8(..) >= 64
    });
    assert_eq!(team.told(EventKind::MemberDown), []);
    assert_eq!(team.plan().distribute, 0b1111);
}

#[test]
fn failover_by_the_monitor_leaves_the_silent_member_at_once() {
    let settings = monitored(Mode::ActiveBackup, Monitor::Any, &["192.0.2.1"]);
    let mut team = Team::with(&settings, 2);
    run_answered(&mut team, 10 * SECOND, |_| true);
    assert_eq!((team.brain.active(), team.plan().alive), (Some(0), 0b11));
    run_answered(&mut team, 4 * SECOND, |(_, slot, _)| slot == 1);
    assert_eq!((team.brain.active(), team.plan().alive), (Some(1), 0b10));
    // Always is always: it comes back as soon as it is heard.
    run_answered(&mut team, SECOND, |_| true);
    assert_eq!(team.brain.active(), Some(0));
}

/// The active member speaks as the team does, the others as themselves: no probe of
/// theirs moves the team's address in a switch or a cache.
#[test]
fn the_active_member_asks_in_the_teams_name_from_an_address_that_is_set_or_learnt() {
    let mut settings = monitored(
        Mode::ActiveBackup,
        Monitor::Any,
        &["192.0.2.1", "192.0.2.1%20", "2001:db8::1"],
    );
    settings.sources.push(station("192.0.2.77%20"));
    let mut team = Team::with(&settings, 2);
    run_answered(&mut team, 2 * SECOND, |_| true);
    let sends = |address: &str| {
        let address = address.parse().expect("an address");
        frames::announcement(address, TEAM, Vlan::NONE, frames::Form::Request)
    };
    for address in ["192.0.2.9", "2001:db8::9"] {
        team.event(Happened::Sent(sends(address).bytes()));
    }
    let from = team.now + 1;
    run_answered(&mut team, SECOND, |_| true);
    let asked = questions(&team, from);
    assert_eq!(asked.len(), 6);
    for (_, slot, heard) in asked {
        let Said::Question { sender, target } = heard.said else {
            unreachable!()
        };
        let text = match (slot, heard.vlan.number(), target.is_ipv4()) {
            (0, 0, true) => Some("192.0.2.9"),
            (0, 20, true) => Some("192.0.2.77"),
            (0, 0, false) => Some("2001:db8::9"),
            (1, _, true) => None,
            (1, _, false) => Some("fe80::fe:1"),
            other => panic!("{other:?}"),
        };
        let own = link_local(mac(1)).to_string();
        let text = text.map(|text| if text == "fe80::fe:1" { &own } else { text });
        assert_eq!(sender, text.map(|text| text.parse().expect("an address")));
        assert_eq!(heard.source, if slot == 0 { TEAM } else { mac(1) });
    }
}

/// With the team's own address a backup cannot ask without moving it; it hears the
/// active member's questions come back instead.
#[test]
fn a_backup_with_the_teams_address_listens() {
    let settings = monitored(Mode::ActiveBackup, Monitor::Any, &["192.0.2.1"]);
    let mut team = Team::new(&settings);
    let first = MemberFacts {
        mac: TEAM,
        ..facts(0)
    };
    let last = MemberSettings {
        priority: u16::MAX,
        ..member()
    };
    team.join(1);
    run_answered(&mut team, SECOND, |_| true);
    team.join_as(0, first, last);
    assert_eq!(team.brain.active(), Some(1));
    let from = team.now;
    run_answered(&mut team, 5 * SECOND, |_| true);
    assert!(questions(&team, from).iter().all(|(_, slot, _)| *slot == 1));
    assert_eq!(team.state(0), State::Probing, "nothing heard");
    let question = questions(&team, from)[0].2;
    let copy = team
        .sent()
        .into_iter()
        .map(|(.., frame)| frame.to_vec())
        .find(|frame| parse(frame) == Some(question))
        .expect("the question's frame");
    team.event(Happened::Received(0, &copy));
    assert_eq!(team.state(0), State::Ready);
    // Its own question does not help whoever asked.
    let before = team.brain.missed(1, 0);
    team.event(Happened::Received(1, &copy));
    assert_eq!(team.brain.missed(1, 0), before);
    // Nobody is active any more: it asks by itself.
    run_answered(&mut team, 10 * SECOND, |_| false);
    assert_eq!((team.brain.active(), team.plan().link), (None, None));
    let from = team.now + 1;
    run_answered(&mut team, SECOND, |(_, slot, _)| slot == 0);
    assert_eq!(team.brain.active(), Some(0));
    assert!(questions(&team, from).iter().any(|(_, slot, _)| *slot == 0));
}

/// A static aggregation group: the switch sends the answer down any link, but it is
/// addressed to the one that asked.
#[test]
fn an_answer_counts_for_the_member_that_asked() {
    let settings = monitored(Mode::Hash, Monitor::Any, &["192.0.2.1"]);
    let mut team = Team::with(&settings, 2);
    let asked = questions(&team, 0);
    let (_, slot, heard) = asked[1];
    assert_eq!(slot, 1);
    team.event(Happened::Received(0, &answer(target_of(&heard), &heard)));
    assert_eq!(
        (team.state(0), team.state(1)),
        (State::Probing, State::Ready)
    );
}

#[test]
fn other_targets_other_vlans_and_broken_answers_count_for_nobody() {
    let settings = monitored(
        Mode::Hash,
        Monitor::Any,
        &["192.0.2.1%20", "2001:db8::1%20"],
    );
    let mut team = Team::with(&settings, 1);
    let asked = questions(&team, 0);
    for (.., heard) in asked {
        let other = |text: &str| text.parse().expect("an address");
        let elsewhere = Heard {
            vlan: Vlan::new(30).expect("a VLAN"),
            ..heard
        };
        let good = answer(target_of(&heard), &heard);
        let mut broken = good.clone();
        broken[34] ^= 1; // the sender's address
        for frame in [
            answer(other("192.0.2.2"), &heard),
            answer(other("2001:db8::2"), &heard),
            answer(target_of(&heard), &elsewhere),
            broken,
            good[..30].to_vec(),
        ] {
            team.event(Happened::Received(0, &frame));
            assert_eq!(team.state(0), State::Probing);
        }
    }
    // An adapter that took the tag away, and told nobody of it.
    let (.., heard) = questions(&team, 0)[0];
    let bare = Heard {
        vlan: Vlan::NONE,
        ..heard
    };
    team.event(Happened::Received(0, &answer(target_of(&heard), &bare)));
    assert_eq!(team.state(0), State::Ready);
}

#[test]
fn many_members_and_targets_are_asked_a_few_at_a_time() {
    let targets: Vec<String> = (1..=16).map(|last| format!("192.0.2.{last}")).collect();
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let mut team = Team::with(&monitored(Mode::Hash, Monitor::All, &targets), 32);
    let mut seen = team.sent().len();
    for _ in 0..200 {
        if let Some(due) = team.brain.deadline() {
            team.now = team.now.max(due);
            team.event(Happened::Time);
            let sent = team.sent().len();
            assert!(sent - seen <= 16, "{}", sent - seen);
            seen = sent;
        }
    }
    assert!(team.now >= 5 * SECOND);
    for slot in 0..32 {
        let of = questions(&team, SECOND)
            .into_iter()
            .filter(|(at, of, _)| *of == slot && *at < 5 * SECOND);
        assert_eq!(of.count(), 4 * 16, "{slot}: every second all of them");
    }
}
