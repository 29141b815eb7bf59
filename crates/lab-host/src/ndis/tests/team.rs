//! Several adapters under one virtual miniport.

use std::sync::{Arc, Mutex};

use lab_net::{Endpoint, Frame};
use ndis_sys::NDIS_OBJECT_HEADER;

use super::many::{ALL, Talker, clean, frame};
use super::team_driver::{self, FAULT, Fault, HANDED, Handed, TEAM, VERSION, team};
use crate::host::Host;
use crate::ndis::{Assist, BindRequest, EdgeState, InstanceStart, NicConfig, UpperConfig, Value};

const SECOND: u64 = 1_000_000_000;

/// Sends a frame at a time, evenly, for a while; counts what it hears.
#[derive(Clone, Default)]
struct Ticker {
    /// When the next frame is due, and how many are left.
    next: Arc<Mutex<(u64, u64)>>,
    heard: Arc<Mutex<u64>>,
}

const EVERY: u64 = 10_000;

impl Ticker {
    fn frames(count: u64) -> Self {
        let ticker = Self::default();
        ticker.next.lock().expect("next").1 = count;
        ticker
    }

    fn heard(&self) -> u64 {
        *self.heard.lock().expect("heard")
    }

    fn left(&self) -> u64 {
        self.next.lock().expect("next").1
    }
}

impl Endpoint for Ticker {
    fn on_frame(&mut self, _: u64, _: &[u8]) {
        *self.heard.lock().expect("heard") += 1;
    }

    fn poll(&mut self, now: u64, out: &mut dyn FnMut(Frame) -> bool) {
        let mut next = self.next.lock().expect("next");
        while next.1 > 0 && next.0 <= now {
            let mark = next.1 as u8;
            *next = (next.0.max(now.saturating_sub(EVERY)) + EVERY, next.1 - 1);
            if !out(frame(ALL, mark)) {
                break;
            }
        }
    }

    fn next_poll(&mut self, now: u64) -> Option<u64> {
        let next = self.next.lock().expect("next");
        (next.1 > 0).then(|| next.0.max(now))
    }
}

/// A host with `fars.len()` adapters below the team's driver and one protocol above the team.
fn set_up(seed: u64, fars: Vec<Box<dyn Endpoint>>, above: Box<dyn Endpoint>) -> Box<Host> {
    let adapter = |(i, far)| {
        let config = NicConfig {
            name: format!("nic{i}"),
            if_index: 1 + i as u32,
            ..NicConfig::default()
        };
        (config, far)
    };
    let upper = UpperConfig {
        device: TEAM.into(),
        hold: 0.5,
        ..UpperConfig::default()
    };
    let nics = fars.into_iter().enumerate().map(adapter).collect();
    team_driver::set_up(seed, nics, (upper, above))
}

/// Binds the team's driver to an adapter and starts the binding.
pub(super) fn join(host: &Host, nic: usize) -> u64 {
    let names = vec![TEAM.to_owned()];
    let request = BindRequest {
        nic,
        values: vec![("UpperBindings".into(), Value::Strings(names))],
        ..BindRequest::default()
    };
    let binding = host.bind(request).expect("a binding");
    host.restart_binding(binding);
    host.nic_kick(nic);
    binding
}

fn wait(host: &Host, what: &str, done: impl Fn(&Host) -> bool) {
    let there = host.wait_until(what, 10_000, 10 * SECOND, done);
    assert!(there, "{what}: {}", host.who_has_it());
}

fn settle(host: &Host, nics: usize) {
    wait(host, "for silence", |h| {
        (0..nics).all(|nic| h.nic_is_idle(nic)) && h.upper_is_idle(0)
    });
}

pub(super) fn up(host: &Host) {
    wait(host, "for the team", |h| h.upper_running(0));
}

#[test]
fn sends_are_dealt_out_and_every_adapter_is_heard() {
    for seed in 1..=8 {
        let frames: Vec<_> = (0..40).map(|i| frame([2, 8, 8, 8, 8, 8], i)).collect();
        let above = Talker::default();
        let fars = [Talker::default(), Talker::default()];
        let ends = fars.iter().map(|f| Box::new(f.clone()) as Box<_>).collect();
        let host = set_up(seed, ends, Box::new(above.clone()));
        clean(&host, |host| {
            host.add_device(TEAM, InstanceStart::Either, Vec::new());
            let bindings = [0, 1].map(|nic| join(host, nic));
            up(host);
            let miniport = host.miniport(TEAM).expect("the team");
            let above_all = host.device_if_index(TEAM);
            assert_eq!(host.stack_entries(), [(above_all, 1), (above_all, 2)]);
            assert_eq!(host.bindings_of(TEAM), bindings);
            assert_eq!(
                bindings.map(|b| host.miniports_of(b)),
                [[miniport], [miniport]]
            );
            above.say(&frames);
            host.upper_kick(0);
            for (nic, far) in fars.iter().enumerate() {
                far.say(&(0..20).map(|i| frame(ALL, i)).collect::<Vec<_>>());
                host.nic_kick(nic);
            }
            settle(host, 2);
            host.unbind(bindings[0]);
            assert_eq!(host.miniport(TEAM), Some(miniport), "the other is bound");
            assert_eq!(host.stack_entries(), [(above_all, 2)]);
            host.unbind(bindings[1]);
            assert_eq!(host.miniport(TEAM), None);
            assert_eq!(host.stack_entries(), []);
        });
        let heard = fars.each_ref().map(|far| far.heard().len());
        assert_eq!(heard, [20, 20], "seed {seed}");
        assert_eq!(above.heard().len(), 40, "seed {seed}");
    }
}

#[test]
fn a_member_leaves_and_comes_back_under_traffic() {
    for seed in 1..=4 {
        let above = Ticker::frames(400);
        let fars = [Ticker::frames(400), Ticker::frames(400)];
        let ends = fars.iter().map(|f| Box::new(f.clone()) as Box<_>).collect();
        let host = set_up(seed, ends, Box::new(above.clone()));
        clean(&host, |host| {
            host.add_device(TEAM, InstanceStart::Either, Vec::new());
            let first = join(host, 0);
            let second = join(host, 1);
            up(host);
            let miniport = host.miniport(TEAM);
            host.sleep(500_000);
            assert!(above.left() > 0, "under traffic");
            host.unbind(first);
            assert_eq!(host.miniport(TEAM), miniport);
            assert_eq!(
                host.miniport_state(miniport.expect("team")),
                Some(EdgeState::Running)
            );
            let before = fars.each_ref().map(Ticker::heard);
            host.sleep(500_000);
            let after = fars.each_ref().map(Ticker::heard);
            assert_eq!(after[0], before[0], "nobody sends by it");
            assert!(after[1] > before[1] + 10, "{before:?} {after:?}");
            let back = join(host, 0);
            host.sleep(500_000);
            assert!(fars[0].heard() > after[0], "it carries again");
            // The one that asked for the miniport is gone; so is its request.
            host.unbind(second);
            assert_eq!(host.miniport(TEAM), miniport);
            wait(host, "for the sender", |_| above.left() == 0);
            settle(host, 1);
            host.unbind(back);
            assert_eq!(host.miniport(TEAM), None);
        });
        let heard: u64 = fars.iter().map(Ticker::heard).sum();
        let (sent, completed, _, _) = host.upper_counts(0);
        assert_eq!((sent, completed, heard), (400, 400, 400), "seed {seed}");
    }
}

#[test]
fn a_paused_member_rests_and_the_others_carry() {
    for seed in 1..=4 {
        let above = Ticker::frames(300);
        let fars = [(); 3].map(|()| Ticker::default());
        let ends = fars.iter().map(|f| Box::new(f.clone()) as Box<_>).collect();
        let host = set_up(seed, ends, Box::new(above.clone()));
        clean(&host, |host| {
            host.add_device(TEAM, InstanceStart::Either, Vec::new());
            let bindings = [0, 1, 2].map(|nic| join(host, nic));
            up(host);
            host.sleep(400_000);
            host.pause_binding(bindings[1]);
            assert_eq!(host.binding_outstanding(bindings[1]).sends, 0);
            host.sleep(100_000);
            let before = fars.each_ref().map(Ticker::heard);
            host.sleep(400_000);
            let after = fars.each_ref().map(Ticker::heard);
            assert_eq!(after[1], before[1]);
            assert!(after[0] > before[0] && after[2] > before[2]);
            host.restart_binding(bindings[1]);
            wait(host, "for the sender", |_| above.left() == 0);
            settle(host, 3);
            assert!(fars[1].heard() > after[1]);
            for binding in bindings {
                host.unbind(binding);
            }
        });
        assert_eq!(fars.iter().map(Ticker::heard).sum::<u64>(), 300);
    }
}

#[test]
fn the_request_stays_while_another_adapter_waits_for_it() {
    let ends = [(); 2].map(|()| Box::new(Talker::default()) as Box<_>);
    let host = set_up(1, ends.into(), Box::new(Talker::default()));
    clean(&host, |host| {
        host.add_device(TEAM, InstanceStart::Never, Vec::new());
        let bindings = [0, 1].map(|nic| join(host, nic));
        assert!(host.device_is_requested(TEAM));
        host.unbind(bindings[0]);
        assert!(host.device_is_requested(TEAM), "the other wants it");
        host.unbind(bindings[1]);
        assert!(!host.device_is_requested(TEAM));
    });
}

#[test]
fn the_team_is_told_when_its_last_adapter_vanishes() {
    let ends = [(); 2].map(|()| Box::new(Ticker::frames(200)) as Box<_>);
    let host = set_up(5, ends.into(), Box::new(Ticker::frames(200)));
    clean(&host, |host| {
        host.add_device(TEAM, InstanceStart::Either, Vec::new());
        let bindings = [0, 1].map(|nic| join(host, nic));
        up(host);
        host.sleep(500_000);
        host.surprise_remove_adapter(0, bindings[0]);
        assert_eq!(team(|t| t.told), 0);
        assert!(host.upper_running(0));
        host.surprise_remove_adapter(1, bindings[1]);
        assert_eq!(team(|t| t.told), 1);
        assert_eq!(host.miniport(TEAM), None);
    });
}

/// The rules that a driver with a fault breaks when its members go one after the other, the
/// first one in the midst of traffic.
fn broken(fault: Fault) -> Vec<String> {
    let above = Ticker::frames(500);
    let fars = [(); 2].map(|()| Box::new(Ticker::frames(500)) as Box<_>);
    let host = set_up(3, fars.into(), Box::new(above));
    host.run("test", |host| {
        FAULT.set(fault);
        host.add_device(TEAM, InstanceStart::Inside, Vec::new());
        let bindings = [0, 1].map(|nic| join(host, nic));
        up(host);
        host.sleep(1_000_000);
        for binding in bindings {
            host.unbind(binding);
        }
    });
    let mut rules: Vec<String> = host.findings().into_iter().map(|f| f.rule).collect();
    rules.sort();
    rules.dedup();
    rules
}

/// BND-10: receive filters and the NIC switch come with 6.20, by the registered version; what an
/// adapter has not is null.
#[test]
fn a_bind_hands_over_filters_and_switch() {
    for (minor, vports, filters, switch) in [
        (1, 8, (0, 0), (0, 0)),
        (20, 8, (1, 56), (1, 32)),
        (30, 8, (2, 84), (2, 116)),
        (60, 8, (2, 84), (3, 132)),
        (87, 0, (2, 84), (0, 0)),
    ] {
        let assist = Assist {
            queues: 8,
            vports,
            ..Assist::default()
        };
        let handed = handed(minor, assist);
        let form = |h: NDIS_OBJECT_HEADER| (h.Revision, h.Size);
        assert_eq!(form(handed.filters), filters, "6.{minor}");
        assert_eq!(form(handed.switch), switch, "6.{minor}");
    }
    let none = handed(87, Assist::default());
    assert_eq!((none.filters.Size, none.switch.Size), (0, 0));
}

/// What a driver of NDIS 6.`minor` is handed when it binds.
fn handed(minor: u8, assist: Assist) -> Handed {
    VERSION.set(minor);
    HANDED.set(None);
    let nic = NicConfig {
        assist,
        ..NicConfig::default()
    };
    let nics = vec![(nic, Box::new(Ticker::frames(1)) as Box<_>)];
    let upper = (
        UpperConfig::default(),
        Box::new(Ticker::frames(1)) as Box<_>,
    );
    let host = team_driver::set_up(5, nics, upper);
    host.run("test", |host| {
        host.add_device(TEAM, InstanceStart::Inside, Vec::new());
        let binding = join(host, 0);
        host.unbind(binding);
    });
    HANDED.get().expect("a bind")
}

/// VER-1, BND-10: revisions follow the version that the driver registered, and nothing lies
/// behind what a revision has; below 6.20 power is shown in the old form alone.
#[test]
fn a_bind_hands_over_what_the_registered_version_knows() {
    for (minor, [bind, offload, rss], size) in [
        (0, [1, 1, 1], 248),
        (1, [2, 2, 1], 256),
        (20, [3, 2, 1], 280),
        (30, [4, 3, 2], 312),
        (50, [4, 4, 2], 312),
        (60, [4, 4, 3], 312),
        (87, [4, 6, 3], 312),
    ] {
        VERSION.set(minor);
        HANDED.set(None);
        let nic = NicConfig {
            pm: true,
            rss: true,
            offload: true,
            ..NicConfig::default()
        };
        let nics = vec![(nic, Box::new(Ticker::frames(1)) as Box<_>)];
        let upper = (
            UpperConfig::default(),
            Box::new(Ticker::frames(1)) as Box<_>,
        );
        let host = team_driver::set_up(5, nics, upper);
        host.run("test", |host| {
            host.add_device(TEAM, InstanceStart::Inside, Vec::new());
            let binding = join(host, 0);
            host.unbind(binding);
        });
        let handed = HANDED.get().expect("a bind");
        assert_eq!(handed.header.Revision, bind, "6.{minor}");
        assert_eq!(handed.header.Size, size, "6.{minor}");
        assert_eq!(handed.room, u64::from(size), "6.{minor}");
        assert_eq!(handed.offload.Revision, offload, "6.{minor}");
        assert_eq!(handed.rss.Revision, rss, "6.{minor}");
        assert_eq!(handed.old_power != 0, minor < 20, "6.{minor}");
        assert_eq!(handed.power != 0, minor >= 20, "6.{minor}");
        let wild: Vec<_> = host
            .findings()
            .into_iter()
            .filter(|f| f.rule == "HOST-WILD")
            .collect();
        assert!(wild.is_empty(), "6.{minor}: {wild:?}");
    }
}

#[test]
fn what_a_team_may_not_do_is_found() {
    assert_eq!(broken(Fault::None), Vec::<String>::new());
    assert_eq!(broken(Fault::HaltsEarly), ["UNB-7"]);
    assert_eq!(broken(Fault::NeverHalts), ["UNB-7"]);
    assert_eq!(broken(Fault::KeepsEntry), ["IFS-2"]);
    assert!(broken(Fault::ReturnsElsewhere).contains(&"RCV-9".to_owned()));
    assert!(broken(Fault::PausesEarly).contains(&"PBS-2".to_owned()));
}
