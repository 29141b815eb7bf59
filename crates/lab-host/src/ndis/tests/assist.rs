//! LBF-3: what a team tells of the receive filters and NIC switches of its members.

use super::many::Talker;
use super::team::{join, up};
use super::team_assist::{ADDS, CHANGES, KEEPS, TEAM_SHOWS, VERSIONED};
use super::team_driver::{self, TEAM, VERSION};
use crate::host::Host;
use crate::ndis::{Assist, InstanceStart, NicConfig, UpperConfig};

/// Longer than a team has to tell.
const REST: u64 = 1_200_000_000;

/// A driver, two adapters.
#[derive(Clone, Copy)]
struct Case {
    minor: u8,
    shows: bool,
    adds: bool,
    keeps: Option<i32>,
    vports: u32,
    changes: fn(&mut Vec<u8>),
    members: usize,
}

const HONEST: Case = Case {
    minor: 87,
    shows: true,
    adds: false,
    keeps: None,
    vports: 0,
    changes: |_| (),
    members: 2,
};

/// What is found when `middle` happens to a team: rules and messages.
fn broken(case: Case, middle: impl Fn(&Host) + Send + 'static) -> Vec<(String, String)> {
    VERSION.set(case.minor);
    TEAM_SHOWS.set(case.shows);
    ADDS.set(case.adds);
    KEEPS.set(case.keeps);
    CHANGES.set(case.changes);
    VERSIONED.set(true);
    let nic = |i: usize| NicConfig {
        name: format!("nic{i}"),
        if_index: 1 + i as u32,
        pm: false,
        assist: Assist {
            queues: 8,
            vports: case.vports,
            ..Assist::default()
        },
        ..NicConfig::default()
    };
    let upper = UpperConfig {
        device: TEAM.into(),
        ..UpperConfig::default()
    };
    let nics = (0..case.members).map(|i| (nic(i), Box::new(Talker::default()) as Box<_>));
    let host = team_driver::set_up(1, nics.collect(), (upper, Box::new(Talker::default())));
    host.run("test", move |host| {
        host.add_device(TEAM, InstanceStart::Inside, Vec::new());
        if case.members > 1 {
            host.set_team(TEAM);
        }
        for nic in 0..case.members {
            join(host, nic);
        }
        up(host);
        host.sleep(REST);
        middle(host);
        host.sleep(REST);
        for binding in host.bindings() {
            host.unbind(binding);
        }
    });
    TEAM_SHOWS.set(false);
    VERSIONED.set(false);
    VERSION.set(30);
    let findings = host.findings().into_iter();
    findings.map(|f| (f.rule, f.message)).collect()
}

fn change(host: &Host, nic: usize, change: impl FnOnce(&mut Assist)) {
    host.change_nic(nic, |config| change(&mut config.assist));
    host.sleep(REST);
}

/// All that can be told of.
fn everything(host: &Host) {
    change(host, 1, |a| a.queues = 2);
    change(host, 1, |a| a.enabled = false);
    change(host, 0, |a| a.queues = 4);
    change(host, 1, |a| a.enabled = true);
    change(host, 1, |a| a.vports = 3);
    change(host, 0, |a| a.vports = 5);
    change(host, 1, |a| *a = Assist::default());
    change(host, 1, |a| a.queues = 6);
    change(host, 0, |a| a.vports = 0);
    for (nic, domain) in [(0, 5), (1, 5), (1, 0)] {
        host.move_queue(nic, domain);
        host.sleep(REST);
    }
    let gone = host.bindings()[0];
    host.unbind(gone);
    host.sleep(REST);
    join(host, 0);
    host.sleep(REST);
}

#[test]
fn a_team_that_tells_is_clean() {
    for minor in [20, 30, 60, 87] {
        for adds in [false, true] {
            for vports in [0, 8] {
                let case = Case {
                    minor,
                    adds,
                    vports,
                    ..HONEST
                };
                let found = broken(case, everything);
                assert_eq!(found, [], "6.{minor}, {adds}, {vports}");
            }
        }
    }
}

/// The rules of findings, each once.
fn rules(found: &[(String, String)]) -> Vec<&str> {
    let mut rules: Vec<&str> = found.iter().map(|(rule, _)| rule.as_str()).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

#[test]
fn each_status_that_is_kept_is_missed() {
    for (code, vports) in [
        (0x4002_0020, 0),
        (0x4002_0010, 0),
        (0x4002_0030, 0),
        (0x4002_0050, 8),
        (0x4002_0040, 8),
    ] {
        let silent = |case: Case| Case {
            keeps: Some(code),
            vports,
            ..case
        };
        let found = broken(silent(HONEST), everything);
        assert_eq!(rules(&found), ["LBF-3"], "{code:#x}: {found:?}");
        let about = format!("{code:#x}");
        assert!(
            found.iter().all(|(_, text)| text.contains(&about)),
            "{found:?}"
        );
        // Who shows none owes nothing, and before 6.30 there were no such statuses.
        let none = Case {
            shows: false,
            ..HONEST
        };
        assert_eq!(broken(silent(none), everything), [], "{code:#x}");
        let old = Case {
            minor: 20,
            ..HONEST
        };
        assert_eq!(broken(silent(old), everything), [], "{code:#x}");
    }
}

/// What is switched off is not switched on, and is the hardware's still.
#[test]
fn the_hardware_of_what_is_switched_off_is_the_same() {
    let off = |host: &Host| change(host, 1, |a| a.enabled = false);
    let hardware = Case {
        keeps: Some(0x4002_0020),
        ..HONEST
    };
    assert_eq!(broken(hardware, off), []);
    let current = Case {
        keeps: Some(0x4002_0010),
        ..HONEST
    };
    assert_eq!(rules(&broken(current, off)), ["LBF-3"]);
}

/// The fewest queues of any member stay as many when another one gets less; their sum does not.
#[test]
fn queues_that_add_up_change_with_each_member() {
    let fewer = |host: &Host| {
        change(host, 0, |a| a.queues = 4);
        change(host, 1, |a| a.queues = 6);
    };
    // Where they add up, the second member that joins is news, too.
    for (adds, times) in [(false, 1), (true, 3)] {
        let case = Case {
            adds,
            keeps: Some(0x4002_0010),
            ..HONEST
        };
        let found = broken(case, fewer);
        assert_eq!(found.len(), times, "{adds}: {found:?}");
    }
}

fn fewer(host: &Host) {
    change(host, 1, |a| a.queues = 2);
}

/// What is indicated says how many there are now.
#[test]
fn old_numbers_tell_nothing() {
    let old = Case {
        changes: |bytes| bytes[16] = 8,
        ..HONEST
    };
    let found = broken(old, fewer);
    assert_eq!(rules(&found), ["LBF-3"]);
    assert_eq!(found.len(), 2, "in hardware and switched on: {found:?}");
}

/// STS-1: what has another structure than its status tells nothing.
#[test]
fn a_status_has_the_structure_of_its_page() {
    let forms: [fn(&mut Vec<u8>); 4] = [
        |bytes| bytes[0] = 0xA7,
        |bytes| bytes[1] = 1,
        |bytes| bytes[2] += 4,
        |bytes| bytes.truncate(83),
    ];
    for changes in forms {
        let odd = Case { changes, ..HONEST };
        let found = broken(odd, fewer);
        assert_eq!(rules(&found), ["LBF-3", "STS-1"], "{found:?}");
    }
    // Room behind the structure harms nobody.
    let long = Case {
        changes: |bytes| bytes.push(0),
        ..HONEST
    };
    assert_eq!(broken(long, fewer), []);
    // The status of a queue is about its domain.
    let affinity = Case {
        changes: |bytes| bytes[6] = 2,
        ..HONEST
    };
    let found = broken(affinity, |host| host.move_queue(1, 5));
    assert_eq!(rules(&found), ["LBF-3", "STS-1"], "{found:?}");
}

/// LBF-4: one adapter has no queues to add up.
#[test]
fn only_a_team_adds_queues_up() {
    for (members, found) in [(1, true), (2, false)] {
        let case = Case {
            adds: true,
            members,
            ..HONEST
        };
        let all = broken(case, |_| ());
        assert_eq!(rules(&all).contains(&"LBF-4"), found, "{all:?}");
    }
}
