//! Two systems of ours against each other: plain cables first.

mod common;

use common::{Net, config, port};
use lacp::time::{MILLISECOND, SECOND};
use lacp::{Activity, Fallback, Output, Timeout};

#[test]
fn two_active_systems_aggregate_all_their_links() {
    let mut net = Net::pair([config(0), config(1)], 4, 1);
    // Two seconds of Aggregate_Wait_Time, and one that the limit of three LACPDUs a
    // second may cost those who have just sent the periodic one.
    net.run(3 * SECOND + 100 * MILLISECOND);
    for system in 0..2 {
        assert_eq!(net.distributing(system), 0b1111, "system {system}");
        assert!(net.systems[system].is_up());
        for slot in 0..4 {
            let port = net.at((system, slot));
            assert_eq!(port.selected_aggregator(), net.systems[system].active());
            assert_eq!(port.actor().state.0, 0x3f, "{:?}", port.actor().state);
            // That the partner distributes is news that waits for its next LACPDU.
            let known = port.partner().state;
            assert!(known.has(lacp::PortState(0x1f)), "{known:?}");
            assert_eq!(port.partner().port.number, 100 + u16::from(slot));
        }
    }
}

#[test]
fn an_aggregate_that_rests_sends_once_a_second_or_twice_a_minute() {
    for (timeout, expected) in [(Timeout::Short, 60), (Timeout::Long, 2)] {
        let settings = |system| lacp::SystemConfig {
            timeout,
            ..config(system)
        };
        let mut net = Net::pair([settings(0), settings(1)], 1, 1);
        net.run(60 * SECOND);
        net.outputs.clear();
        net.run(60 * SECOND);
        let sent = |system| {
            let sent = |it: &&(_, usize, Output)| it.1 == system && it.2.frame().is_some();
            net.outputs.iter().filter(sent).count()
        };
        assert_eq!((sent(0), sent(1)), (expected, expected));
        assert_eq!(net.distributing(0), 1);
    }
}

#[test]
fn two_passive_systems_are_silent_and_cost_nothing() {
    let passive = |system| lacp::SystemConfig {
        activity: Activity::Passive,
        fallback: Fallback::Strict,
        ..config(system)
    };
    let mut net = Net::pair([passive(0), passive(1)], 2, 1);
    // Churn is found out, and then nothing is left to do.
    net.run(200 * SECOND);
    assert_eq!(net.next(), None);
    assert!(
        net.outputs
            .iter()
            .all(|(_, _, output)| output.frame().is_none())
    );
    assert_eq!((net.distributing(0), net.distributing(1)), (0, 0));
}

#[test]
fn a_passive_system_answers_an_active_one() {
    let passive = lacp::SystemConfig {
        activity: Activity::Passive,
        ..config(0)
    };
    let mut net = Net::pair([passive, config(1)], 2, 1);
    net.run(3 * SECOND);
    assert_eq!((net.distributing(0), net.distributing(1)), (3, 3));
}

#[test]
fn a_link_that_comes_back_is_used_at_once() {
    let mut net = Net::pair([config(0), config(1)], 2, 1);
    net.run(10 * SECOND);
    net.pull((0, 1));
    assert_eq!((net.distributing(0), net.distributing(1)), (1, 1));
    assert!(net.systems[0].is_up());
    net.run(SECOND);
    net.plug((0, 1), (1, 1));
    net.run(10 * MILLISECOND);
    assert_eq!((net.distributing(0), net.distributing(1)), (3, 3));
}

#[test]
fn silence_is_noticed_after_three_seconds_and_believed_after_six() {
    let mut net = Net::pair([config(0), config(1)], 2, 1);
    net.run(10 * SECOND);
    net.mute((1, 0));
    net.run(2_900 * MILLISECOND - SECOND);
    assert_eq!(net.distributing(0), 3);
    net.run(1_200 * MILLISECOND);
    assert_eq!(net.distributing(0), 2, "expired");
    // The partner hears that it is not heard.
    assert_eq!(net.distributing(1), 2);
    net.run(3 * SECOND);
    assert!(!net.at((0, 0)).has_partner(), "defaulted");
    net.unmute((1, 0), (0, 0));
    net.run(4 * SECOND);
    assert_eq!((net.distributing(0), net.distributing(1)), (3, 3));
}

#[test]
fn nobody_sends_before_the_other_side_collects() {
    let mut net = Net::pair([config(0), config(1)], 3, 1);
    let mut seen = 0;
    for _ in 0..5_000 {
        net.run(MILLISECOND);
        for (system, other) in [(0, 1), (1, 0)] {
            let sends = net.systems[system].distributing();
            let takes = net.systems[other].collecting();
            assert_eq!(sends & !takes, 0, "{}", net.now);
            seen |= sends;
        }
    }
    assert_eq!(seen, 7);
}

#[test]
fn a_removed_port_says_goodbye() {
    let mut net = Net::pair([config(0), config(1)], 2, 1);
    net.run(10 * SECOND);
    net.act(0, |it, now, out| it.remove_port(now, 0, out))
        .expect("a port");
    net.run(10 * MILLISECOND);
    assert_eq!((net.distributing(0), net.distributing(1)), (2, 2));
    net.act(0, |it, now, out| it.add_port(now, 0, port(0, 0), out))
        .expect("a free slot");
    net.link((0, 0), true);
    net.run(4 * SECOND);
    assert_eq!((net.distributing(0), net.distributing(1)), (3, 3));
}
