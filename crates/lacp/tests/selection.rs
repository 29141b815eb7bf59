//! The rules of the selection, one test for each, and bad surroundings: loops, two
//! partners, partners that change their mind.

mod common;

use std::collections::BTreeSet;

use common::{Net, config, mac, port};
use lacp::table::{MarkerEnd, Mux, RULES, Selected};
use lacp::time::{MILLISECOND, SECOND};
use lacp::{Counter, Fallback, Output, PortConfig, PortId, SystemConfig, SystemId};

#[test]
fn every_rule_has_a_test() {
    let tested: BTreeSet<&str> = RULE_TESTS.iter().map(|(name, _)| *name).collect();
    let rules: BTreeSet<&str> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(tested, rules);
    for (_, test) in RULE_TESTS {
        test();
    }
}

const RULE_TESTS: &[(&str, fn())] = &[
    ("AGGREGATORS", aggregators),
    ("KEYS", keys),
    ("ONE_LAG_ONE_AGGREGATOR", one_lag_one_aggregator),
    ("NO_LOOP", no_loop),
    ("WITHDRAWN", withdrawn),
    ("INDIVIDUAL_ALONE", individual_alone),
    ("NOT_ATTACHED", not_attached),
    ("KNOWN_PARTNER", known_partner),
    ("READY", ready),
    ("STANDBY_ORDER", standby_order),
    ("STABLE", stable),
];

/// One aggregator for each port is enough for any 32 groups.
fn aggregators() {
    let mut net = Net::new(&[config(0)], 0);
    for slot in 0..32 {
        net.add(0, slot, port(0, slot));
        net.link((0, slot), true);
    }
    net.run(10 * SECOND);
    let taken: BTreeSet<_> = (0..32)
        .map(|slot| {
            net.at((0, slot))
                .selected_aggregator()
                .expect("one for each")
        })
        .collect();
    assert_eq!(taken.len(), 32);
}

/// Ports with different keys are in different groups, though the partner is one.
fn keys() {
    let mut net = Net::new(&[config(0), config(1)], 0);
    for slot in 0..4 {
        let key = if slot < 3 { 7 } else { 8 };
        net.add(
            0,
            slot,
            PortConfig {
                key,
                ..port(0, slot)
            },
        );
        net.add(1, slot, port(1, slot));
        net.plug((0, slot), (1, slot));
    }
    net.run(5 * SECOND);
    assert_eq!((net.distributing(0), net.distributing(1)), (0b0111, 0b0111));
    let odd = net.at((0, 3));
    assert_eq!(odd.selected_aggregator(), Some(3));
    assert_eq!(odd.selected(), Selected::Standby);
    // With the others' key it joins them.
    net.act(0, |it, now, out| it.configure_port(now, 3, port(0, 3), out))
        .expect("a port");
    net.run(5 * SECOND);
    assert_eq!((net.distributing(0), net.distributing(1)), (0b1111, 0b1111));
}

/// Whoever comes later comes to the aggregator that the group has.
fn one_lag_one_aggregator() {
    let mut net = Net::new(&[config(0), config(1)], 0);
    for slot in [2, 0, 1] {
        net.add(0, slot, port(0, slot));
        net.add(1, slot, port(1, slot));
        net.plug((0, slot), (1, slot));
        net.run(5 * SECOND);
    }
    for slot in 0..3 {
        assert_eq!(net.at((0, slot)).selected_aggregator(), Some(2));
    }
    // Even when the port whose own it is has gone.
    net.act(0, |it, now, out| it.remove_port(now, 2, out))
        .expect("a port");
    net.run(5 * SECOND);
    assert_eq!(
        (net.distributing(0), net.systems[0].active()),
        (0b011, Some(2))
    );
    // And it comes back to the same.
    net.add(0, 2, port(0, 2));
    net.link((0, 2), true);
    net.run(5 * SECOND);
    assert_eq!(net.distributing(0), 0b111);
    assert_eq!(net.at((0, 2)).selected_aggregator(), Some(2));
}

/// A cable between two members of one team, and a plug that reflects.
fn no_loop() {
    let mut net = Net::new(&[config(0), config(1)], 0);
    for slot in 0..5 {
        net.add(0, slot, port(0, slot));
    }
    for slot in 0..2 {
        net.add(1, slot, port(1, slot));
        net.plug((0, slot), (1, slot));
    }
    net.plug((0, 2), (0, 3));
    net.plug((0, 4), (0, 4));
    net.run(10 * SECOND);
    assert_eq!(net.distributing(0), 0b00011);
    let loops: Vec<_> = net
        .outputs
        .iter()
        .filter_map(|(_, _, output)| match output {
            Output::Loop {
                port,
                other,
                looped,
            } => Some((*port, *other, *looped)),
            _ => None,
        })
        .collect();
    for expected in [(2, Some(3)), (3, Some(2)), (4, Some(4))] {
        assert!(loops.contains(&(expected.0, expected.1, true)), "{loops:?}");
        assert!(net.at((0, expected.0)).counters().get(Counter::OwnSystemRx) > 0);
        assert_eq!(net.at((0, expected.0)).mux_state(), Mux::Detached);
    }
    assert_eq!(loops.len(), 3, "told once");
    // Put right.
    net.pull((0, 2));
    net.add(1, 2, port(1, 2));
    net.plug((0, 2), (1, 2));
    net.run(5 * SECOND);
    assert_eq!(net.distributing(0), 0b00111);
    assert!(!net.at((0, 2)).is_looped());
}

/// A port that is about to go leaves the group, its partner with it; it still speaks
/// and answers, so that its last frames can be waited for; and it may stay after all.
fn withdrawn() {
    let mut net = Net::pair([config(0), config(1)], 2, 0);
    net.run(10 * SECOND);
    assert_eq!((net.distributing(0), net.distributing(1)), (0b11, 0b11));
    net.act(0, |it, now, out| it.set_withdrawn(now, 0, true, out))
        .expect("a port");
    assert_eq!(net.distributing(0), 0b10, "at once");
    assert!(net.at((0, 0)).is_withdrawn() && !net.at((0, 1)).is_withdrawn());
    net.run(SECOND);
    assert_eq!(net.distributing(1), 0b10, "the partner was told");
    let marker = net
        .act(0, |it, now, out| it.request_marker(now, 0, out))
        .expect("the link is up");
    net.run(SECOND);
    assert!(net.outputs.iter().any(|(_, _, output)| matches!(
        output,
        Output::Marker { port: 0, transaction, end: MarkerEnd::Answered } if *transaction == marker
    )));
    net.run(200 * SECOND);
    assert_eq!((net.distributing(0), net.distributing(1)), (0b10, 0b10));
    net.act(0, |it, now, out| it.set_withdrawn(now, 0, false, out))
        .expect("a port");
    net.run(10 * SECOND);
    assert_eq!((net.distributing(0), net.distributing(1)), (0b11, 0b11));
    assert!(
        net.act(0, |it, now, out| it.set_withdrawn(now, 9, true, out))
            .is_err()
    );
}

/// A port that is not to be aggregated is in nobody's aggregator.
fn individual_alone() {
    let mut net = Net::new(&[config(0), config(1)], 0);
    for slot in 0..3 {
        let aggregation = slot != 0;
        net.add(
            0,
            slot,
            PortConfig {
                aggregation,
                ..port(0, slot)
            },
        );
        net.add(1, slot, port(1, slot));
        net.plug((0, slot), (1, slot));
    }
    net.run(5 * SECOND);
    assert_eq!((net.distributing(0), net.distributing(1)), (0b110, 0b110));
    assert_ne!(
        net.at((0, 0)).selected_aggregator(),
        net.at((0, 1)).selected_aggregator()
    );
    // It is a reserve, and serves alone when nobody else is there.
    net.pull((0, 1));
    net.pull((0, 2));
    net.run(5 * SECOND);
    assert_eq!((net.distributing(0), net.distributing(1)), (0b001, 0b001));
}

/// What can select nothing carries nothing: strict, without a partner.
fn not_attached() {
    let strict = SystemConfig {
        fallback: Fallback::Strict,
        ..config(0)
    };
    let mut net = Net::new(&[strict], 0);
    for slot in 0..2 {
        net.add(0, slot, port(0, slot));
        net.link((0, slot), true);
    }
    net.run(100 * SECOND);
    assert_eq!(net.systems[0].collecting(), 0);
    for slot in 0..2 {
        let port = net.at((0, slot));
        assert_eq!(port.selected_aggregator(), None);
        assert_eq!(port.mux_state(), Mux::Detached);
    }
    assert!(!net.systems[0].is_up());
}

/// Nothing is selected before it is known whether there is a partner; without one a
/// port at a time serves.
fn known_partner() {
    let mut net = Net::new(&[config(0)], 0);
    for slot in 0..3 {
        net.add(0, slot, port(0, slot));
        net.link((0, slot), true);
    }
    net.run(2_900 * MILLISECOND);
    for slot in 0..3 {
        assert_eq!(net.at((0, slot)).selected(), Selected::Unselected);
    }
    net.run(5 * SECOND);
    assert_eq!(net.distributing(0), 0b001);
    // Active-backup: the next takes over in the same moment.
    net.link((0, 0), false);
    assert_eq!(net.distributing(0), 0b010);
    // And keeps it.
    net.link((0, 0), true);
    net.run(10 * SECOND);
    assert_eq!(net.distributing(0), 0b010);
}

/// A port waits for those that are about to join the same aggregator.
fn ready() {
    let mut net = Net::new(&[config(0), config(1)], 0);
    for slot in 0..2 {
        net.add(0, slot, port(0, slot));
        net.add(1, slot, port(1, slot));
    }
    net.plug((0, 0), (1, 0));
    net.run(1_500 * MILLISECOND);
    net.plug((0, 1), (1, 1));
    net.run(1_900 * MILLISECOND);
    assert_eq!(net.at((0, 0)).mux_state(), Mux::Waiting, "for the other");
    net.run(2 * SECOND);
    assert_eq!(net.distributing(0), 0b11);
}

/// Four links, two places: the system with the lower identifier decides which.
fn standby_order() {
    for decides in 0..2 {
        let two = |system: u8| SystemConfig {
            max_links: 2,
            system: SystemId {
                priority: if system == decides { 1 } else { 2 },
                address: mac(system, 0),
            },
            ..config(system)
        };
        let mut net = Net::new(&[two(0), two(1)], 0);
        for slot in 0..4 {
            // The one likes the first links best, the other the last.
            for system in 0..2 {
                let priority = if system == 0 {
                    10 + u16::from(slot)
                } else {
                    20 - u16::from(slot)
                };
                let number = 100 + u16::from(slot);
                let id = PortId { priority, number };
                net.add(
                    usize::from(system),
                    slot,
                    PortConfig {
                        port: id,
                        ..port(system, slot)
                    },
                );
            }
            net.plug((0, slot), (1, slot));
        }
        // Between two periodic LACPDUs, so that of three in a second two are left.
        net.run(10_500 * MILLISECOND);
        let (expected, next) = if decides == 0 {
            (0b0011, 0b0110)
        } else {
            (0b1100, 0b0110)
        };
        assert_eq!(
            (net.distributing(0), net.distributing(1)),
            (expected, expected)
        );
        // Whose link goes is replaced at once.
        net.pull((0, if decides == 0 { 0 } else { 3 }));
        net.run(10 * MILLISECOND);
        assert_eq!((net.distributing(0), net.distributing(1)), (next, next));
    }
}

/// A second partner, with more links, changes nothing while the first is there.
fn stable() {
    let mut net = Net::new(&[config(0), config(1), config(2)], 0);
    for slot in 0..3 {
        net.add(0, slot, port(0, slot));
    }
    net.add(1, 0, port(1, 0));
    net.add(2, 0, port(2, 0));
    net.add(2, 1, port(2, 1));
    net.plug((0, 0), (1, 0));
    net.run(5 * SECOND);
    net.plug((0, 1), (2, 0));
    net.plug((0, 2), (2, 1));
    net.run(60 * SECOND);
    assert_eq!(net.distributing(0), 0b001);
    net.pull((0, 0));
    net.run(SECOND);
    assert_eq!(net.distributing(0), 0b110);
    net.plug((0, 0), (1, 0));
    net.run(60 * SECOND);
    assert_eq!(net.distributing(0), 0b110, "no way back without need");
    assert_eq!(net.distributing(1), 0, "and its partner knows");
}

#[test]
fn of_two_partners_that_come_together_the_one_with_more_links_is_taken() {
    let mut net = Net::new(&[config(0), config(1), config(2)], 0);
    for slot in 0..3 {
        net.add(0, slot, port(0, slot));
    }
    net.add(1, 0, port(1, 0));
    net.add(2, 0, port(2, 0));
    net.add(2, 1, port(2, 1));
    net.plug((0, 0), (1, 0));
    net.plug((0, 1), (2, 0));
    net.plug((0, 2), (2, 1));
    net.run(10 * SECOND);
    assert_eq!(net.distributing(0), 0b110);
}

#[test]
fn a_group_below_min_links_gives_way_to_one_that_is_not() {
    let two = SystemConfig {
        min_links: 2,
        ..config(0)
    };
    let mut net = Net::new(&[two, config(1), config(2)], 0);
    for slot in 0..4 {
        net.add(0, slot, port(0, slot));
        let system = 1 + usize::from(slot) / 2;
        net.add(system, slot, port(system as u8, slot));
        net.plug((0, slot), (system, slot));
        if slot == 1 {
            net.run(5 * SECOND);
        }
    }
    net.run(5 * SECOND);
    assert_eq!(net.distributing(0), 0b0011);
    net.pull((0, 0));
    net.run(5 * SECOND);
    assert_eq!(net.distributing(0), 0b1100);
    assert!(net.systems[0].is_up());
    net.pull((0, 3));
    net.run(5 * SECOND);
    assert!(!net.systems[0].is_up(), "nobody has two");
}

#[test]
fn a_partner_that_never_comes_into_sync_gives_way_after_a_trial() {
    // System 1 hears, answers and keeps all in STANDBY: its one place is elsewhere.
    let one = SystemConfig {
        max_links: 1,
        system: SystemId {
            priority: 1,
            ..config(1).system
        },
        ..config(1)
    };
    let mut net = Net::new(&[config(0), one, config(2), config(3)], 0);
    net.add(1, 9, port(1, 9));
    net.add(3, 0, port(3, 0));
    net.plug((1, 9), (3, 0));
    net.run(5 * SECOND);
    net.add(0, 0, port(0, 0));
    net.add(1, 0, port(1, 0));
    net.plug((0, 0), (1, 0));
    net.run(5 * SECOND);
    assert_eq!((net.distributing(0), net.systems[0].active()), (0, Some(0)));
    net.add(0, 1, port(0, 1));
    net.add(2, 0, port(2, 0));
    net.plug((0, 1), (2, 0));
    net.run(20 * SECOND);
    assert_eq!(net.distributing(0), 0b10);
    let changes = net.outputs.len();
    net.run(100 * SECOND);
    let active = |it: &&(u64, usize, Output)| it.1 == 0 && matches!(it.2, Output::Active { .. });
    assert_eq!(
        net.outputs[changes..].iter().filter(active).count(),
        0,
        "and that is it"
    );
}

#[test]
fn a_port_with_a_partner_goes_before_ports_without() {
    let mut net = Net::new(&[config(0), config(1)], 0);
    for slot in 0..3 {
        net.add(0, slot, port(0, slot));
    }
    net.link((0, 0), true);
    net.run(10 * SECOND);
    assert_eq!(net.distributing(0), 0b001);
    for slot in 1..3 {
        net.add(1, slot, port(1, slot));
        net.plug((0, slot), (1, slot));
    }
    net.run(5 * SECOND);
    assert_eq!(net.distributing(0), 0b110);
    // The partner's LACP goes: the links alone remain, one of them serves.
    for slot in 1..3 {
        net.mute((1, slot));
    }
    net.run(20 * SECOND);
    assert_eq!(net.distributing(0).count_ones(), 1);
    assert!(net.systems[0].is_up());
}

#[test]
fn a_partner_that_flips_its_key_disturbs_nobody_else() {
    let mut net = Net::pair([config(0), config(1)], 3, 0);
    net.run(5 * SECOND);
    for round in 0..100_u16 {
        let key = 7 + round % 2;
        let other = PortConfig { key, ..port(1, 2) };
        net.act(1, |it, now, out| it.configure_port(now, 2, other, out))
            .expect("a port");
        net.run(700 * MILLISECOND);
        assert_eq!(net.distributing(0) & 0b011, 0b011);
    }
    let counters = net.at((0, 2)).counters();
    assert!(counters.get(Counter::ActorChangeCount) >= 90);
    assert!(counters.get(Counter::LacpdusTx) <= 3 * 76);
    // It churns, and that is said.
    let churns = Output::Churn {
        port: 2,
        partner: false,
        churn: true,
    };
    assert!(net.outputs.iter().any(|it| it.1 == 0 && it.2 == churns));
    net.act(1, |it, now, out| it.configure_port(now, 2, port(1, 2), out))
        .expect("a port");
    net.run(5 * SECOND);
    assert_eq!(net.distributing(0), 0b111);
}

#[test]
fn settings_that_cannot_be_are_refused() {
    use lacp::{Error, MacAddress, System};
    let check = |change: fn(&mut SystemConfig)| {
        let mut settings = config(0);
        change(&mut settings);
        System::new(settings).map(|_| ()).expect_err("bad")
    };
    assert_eq!(
        check(|it| it.system.address = MacAddress([0; 6])),
        Error::SystemAddress
    );
    assert_eq!(
        check(|it| it.system.address = MacAddress([1; 6])),
        Error::SystemAddress
    );
    assert_eq!(check(|it| it.max_links = 0), Error::MaxLinks);
    assert_eq!(check(|it| it.max_links = 33), Error::MaxLinks);
    assert_eq!(
        check(|it| (it.min_links, it.max_links) = (3, 2)),
        Error::MinLinks
    );
    assert_eq!(check(|it| it.marker_tries = 0), Error::Marker);
    assert_eq!(
        check(|it| it.protocol_da = mac(0, 1)),
        Error::ProtocolAddress
    );
    let slots = vec![None; 33];
    assert_eq!(
        System::with_slots(config(0), slots).map(|_| ()).err(),
        Some(Error::NoSuchSlot)
    );

    let mut team = System::new(config(0)).expect("sound");
    let mut add = |slot, config: PortConfig| team.add_port(0, slot, config, &mut |_| {});
    assert_eq!(add(0, port(0, 0)), Ok(()));
    assert_eq!(add(32, port(0, 1)), Err(Error::NoSuchSlot), "a 33rd");
    assert_eq!(add(0, port(0, 1)), Err(Error::SlotTaken));
    assert_eq!(
        add(1, port(0, 0)),
        Err(Error::PortNumberTaken),
        "the same twice"
    );
    let mut zero = port(0, 1);
    zero.port.number = 0;
    assert_eq!(add(1, zero), Err(Error::PortNumber));
    let source = MacAddress::SLOW_PROTOCOLS;
    assert_eq!(
        add(
            1,
            PortConfig {
                source,
                ..port(0, 1)
            }
        ),
        Err(Error::PortAddress)
    );
    let out = &mut |_| {};
    assert_eq!(team.remove_port(0, 5, out), Err(Error::NoPort));
    assert_eq!(team.set_link(0, 40, true, out), Err(Error::NoSuchSlot));
    assert_eq!(team.request_marker(0, 0, out), Err(Error::LinkDown));
    team.set_link(0, 0, true, out).expect("a port");
    team.request_marker(0, 0, out).expect("the first");
    assert_eq!(team.request_marker(0, 0, out), Err(Error::MarkerPending));
    assert_eq!(team.receive(0, 9, &[], out), lacp::Received::NotOurs);
}

#[test]
fn limits_and_fallback_change_while_it_runs() {
    let mut net = Net::pair([config(0), config(1)], 4, 0);
    net.run(5 * SECOND);
    net.act(0, |it, now, out| it.set_links(now, 2, 2, out))
        .expect("sound");
    net.run(SECOND);
    assert_eq!((net.distributing(0), net.distributing(1)), (0b0011, 0b0011));
    let refused = net.act(0, |it, now, out| it.set_links(now, 3, 2, out));
    assert_eq!(refused, Err(lacp::Error::MinLinks));
    net.act(0, |it, now, out| it.set_links(now, 4, 4, out))
        .expect("sound");
    assert!(!net.systems[0].is_up(), "two are there");
    net.run(2 * SECOND);
    assert!(net.systems[0].is_up());

    net.link((0, 0), false);
    for slot in 0..4 {
        net.pull((0, slot));
        net.link((0, slot), true);
    }
    net.run(20 * SECOND);
    assert_eq!(net.distributing(0).count_ones(), 1);
    net.act(0, |it, now, out| {
        it.set_fallback(now, Fallback::Strict, out);
    });
    assert_eq!(net.distributing(0), 0);
    net.act(0, |it, now, out| {
        it.set_fallback(now, Fallback::Individual, out);
    });
    net.run(3 * SECOND);
    assert_eq!(net.distributing(0).count_ones(), 1);
}

#[test]
fn an_aggregator_says_who_is_in_it() {
    let mut net = Net::pair([config(0), config(1)], 3, 0);
    net.pull((0, 2));
    net.link((0, 2), true);
    net.run(8 * SECOND);
    let team = &net.systems[0];
    let active = team.active().expect("one");
    let expected = lacp::AggregatorInformation {
        actor_oper_key: 7,
        partner_system: common::id(1),
        partner_oper_key: 7,
        individual: false,
        selected: 0b011,
        attached: 0b011,
        active: true,
    };
    assert_eq!(team.aggregator(active), Some(expected));
    // The third has no partner and stands by.
    let third = net.at((0, 2)).selected_aggregator().expect("its own");
    let expected = lacp::AggregatorInformation {
        partner_system: SystemId::default(),
        partner_oper_key: 0,
        individual: true,
        selected: 0b100,
        attached: 0,
        active: false,
        ..expected
    };
    assert_eq!(team.aggregator(third), Some(expected));
    assert_eq!(team.aggregator(9), None);
}
