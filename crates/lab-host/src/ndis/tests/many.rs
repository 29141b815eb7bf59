//! Several virtual miniports on one adapter.

use std::sync::{Arc, Mutex};

use lab_net::{Endpoint, Frame};

use super::driver::{self, BINDING, PORTS};
use crate::engine::RunEnd;
use crate::host::Host;
use crate::ndis::tag::{self, Tag};
use crate::ndis::{InstanceStart, NicConfig, UpperConfig, Value};

const SECOND: u64 = 1_000_000_000;

/// Sends what it is given, keeps what it hears.
#[derive(Clone, Default)]
pub(in crate::ndis) struct Talker {
    pub(super) out: Arc<Mutex<Vec<Frame>>>,
    pub(super) heard: Arc<Mutex<Vec<Frame>>>,
}

impl Endpoint for Talker {
    fn on_frame(&mut self, _: u64, frame: &[u8]) {
        self.heard.lock().expect("frames").push(frame.to_vec());
    }

    fn poll(&mut self, _: u64, out: &mut dyn FnMut(Frame) -> bool) {
        let mut waiting = self.out.lock().expect("frames");
        while !waiting.is_empty() {
            if !out(waiting.remove(0)) {
                break;
            }
        }
    }

    fn next_poll(&mut self, now: u64) -> Option<u64> {
        (!self.out.lock().expect("frames").is_empty()).then_some(now)
    }
}

impl Talker {
    pub(super) fn with(frames: &[Frame]) -> Self {
        let talker = Self::default();
        talker.say(frames);
        talker
    }

    pub(super) fn say(&self, frames: &[Frame]) {
        self.out.lock().expect("frames").extend_from_slice(frames);
    }

    pub(super) fn heard(&self) -> Vec<Frame> {
        self.heard.lock().expect("frames").clone()
    }
}

/// A frame to `to`, its last byte a mark.
pub(super) fn frame(to: [u8; 6], mark: u8) -> Frame {
    let mut frame = vec![0; 100];
    frame[..6].copy_from_slice(&to);
    frame[6..12].copy_from_slice(&[2, 9, 9, 9, 9, mark]);
    frame[12..14].copy_from_slice(&[0x88, 0xB5]);
    frame[99] = mark;
    frame
}

pub(super) const ALL: [u8; 6] = [0xFF; 6];

pub(super) fn device(i: usize) -> String {
    format!("P{i:04}")
}

/// Ports 0 to `count` with a talker above each.
pub(super) fn uppers(count: usize, talkers: &[Talker]) -> Vec<(UpperConfig, Box<dyn Endpoint>)> {
    (0..count)
        .map(|i| {
            let config = UpperConfig {
                device: device(i),
                window: 8,
                ..UpperConfig::default()
            };
            let talker = talkers.get(i).cloned().unwrap_or_default();
            (config, Box::new(talker) as Box<dyn Endpoint>)
        })
        .collect()
}

/// Starts every port and waits until all run.
pub(super) fn start(host: &Host, count: usize) {
    for i in 0..count {
        host.add_device(&device(i), InstanceStart::Either, Vec::new());
        assert_eq!(driver::ask_for(host, &device(i)).0, 0);
    }
    let all = host.wait_until("for the ports", 100_000, 10 * SECOND, |h| {
        (0..count).all(|i| h.upper_running(i))
    });
    assert!(all, "{count} ports run");
}

pub(super) fn settle(host: &Host) {
    let idle = host.wait_until("for silence", 10_000, 10 * SECOND, |h| {
        h.nic_is_idle(0) && (0..h.uppers()).all(|u| h.upper_is_idle(u))
    });
    assert!(idle, "{}", host.who_has_it());
}

/// Runs a test in a task; no finding may be left.
pub(super) fn clean(host: &Host, body: impl FnOnce(&Host) + Send) {
    let end = host.run("test", body);
    assert_eq!(end, RunEnd::Done);
    let findings: Vec<String> = host
        .findings()
        .iter()
        .map(|f| format!("{}: {}", f.rule, f.message))
        .collect();
    assert_eq!(findings, Vec::<String>::new());
}

#[test]
fn every_port_hears_a_broadcast_and_every_port_is_heard() {
    for seed in 1..=4 {
        let ports = 5;
        let talkers: Vec<Talker> = (0..ports)
            .map(|i| Talker::with(&[frame([2, 8, 8, 8, 8, 8], i as u8)]))
            .collect();
        let far = Talker::default();
        let uppers = uppers(ports, &talkers);
        let host = driver::set_up(seed, NicConfig::default(), Box::new(far.clone()), uppers);
        clean(&host, |host| {
            start(host, ports);
            far.say(&(0..20).map(|i| frame(ALL, i)).collect::<Vec<_>>());
            host.nic_kick(0);
            settle(host);
            for miniport in PORTS.with_borrow(Clone::clone) {
                host.disable_device(miniport);
            }
        });
        let mut heard: Vec<u8> = far.heard().iter().map(|f| f[99]).collect();
        heard.sort_unstable();
        assert_eq!(heard, [0, 1, 2, 3, 4], "seed {seed}");
        for (i, talker) in talkers.iter().enumerate() {
            let marks: Vec<u8> = talker.heard().iter().map(|f| f[99]).collect();
            assert_eq!(marks, (0..20).collect::<Vec<u8>>(), "port {i}, seed {seed}");
        }
    }
}

#[test]
fn a_port_for_every_vlan_starts_talks_and_stops() {
    let ports = 4094;
    let far = Talker::default();
    let talkers: Vec<Talker> = (0..ports)
        .map(|i| Talker::with(&[frame([2, 8, 8, 8, 8, 8], i as u8)]))
        .collect();
    let host = driver::set_up(
        1,
        NicConfig::default(),
        Box::new(far.clone()),
        uppers(ports, &talkers),
    );
    let begun = std::time::Instant::now();
    clean(&host, |host| {
        start(host, ports);
        settle(host);
        for miniport in PORTS.with_borrow(Clone::clone) {
            host.disable_device(miniport);
        }
    });
    println!("{ports} ports: {:.1} s", begun.elapsed().as_secs_f32());
    assert_eq!(far.heard().len(), ports);
}

#[test]
fn a_port_can_be_asked_for_late_cancelled_and_restarted() {
    let host = driver::set_up(
        3,
        NicConfig::default(),
        Box::new(Talker::default()),
        uppers(3, &[]),
    );
    clean(&host, |host| {
        host.add_device(&device(0), InstanceStart::Never, Vec::new());
        assert_eq!(driver::ask_for(host, &device(0)).0, 0);
        host.sleep(SECOND);
        assert!(host.device_is_requested(&device(0)));
        assert_eq!(host.miniport(&device(0)), None);
        assert_eq!(driver::cancel_request(host, &device(0)).0, 0);
        assert!(!host.start_device(&device(0)), "the request is gone");
        assert_ne!(driver::cancel_request(host, &device(0)).0, 0);
        assert_eq!(driver::ask_for(host, &device(0)).0, 0);
        assert!(host.start_device(&device(0)));
        assert!(host.miniport(&device(0)).is_some());

        // Asked for before the machine knows it; starts when it does.
        assert_eq!(driver::ask_for(host, &device(1)).0, 0);
        host.add_device(&device(1), InstanceStart::Either, Vec::new());
        let there = host.wait_until("", 10_000, SECOND, |h| h.upper_running(1));
        assert!(there);

        host.add_device(&device(2), InstanceStart::After(5_000_000), Vec::new());
        let before = host.now();
        assert_eq!(driver::ask_for(host, &device(2)).0, 0);
        host.wait_until("", 10_000, SECOND, |h| h.upper_running(2));
        assert!(host.now() - before >= 5_000_000);
    });
}

#[test]
fn names_above_a_binding_change_while_it_runs() {
    let host = driver::set_up(
        3,
        NicConfig::default(),
        Box::new(Talker::default()),
        uppers(2, &[]),
    );
    clean(&host, |host| {
        start(host, 2);
        let names = vec![device(1), device(0), device(7)];
        let binding = BINDING.get();
        assert_eq!(host.set_upper_bindings(binding, names.clone()), 0);
        assert_eq!(host.upper_bindings(binding), names);
        let there: Vec<Option<u64>> = vec![host.miniport(&device(1)), host.miniport(&device(0))];
        let listed: Vec<Option<u64>> = host.miniports_of(binding).into_iter().map(Some).collect();
        assert_eq!(listed, there);
        host.set_device_values(
            &device(0),
            vec![("NetworkAddress".into(), Value::String("02-00".into()))],
        );
        host.remove_device_value(&device(0), "networkaddress");
    });
}

#[test]
fn tags_travel_beside_frames_where_the_adapter_can() {
    let tagged = |vlan, priority| {
        let mut f = frame(ALL, priority);
        tag::insert(
            &mut f,
            Tag {
                vlan,
                priority,
                cfi: false,
            },
        );
        f
    };
    for vlan_offload in [true, false] {
        let far = Talker::with(&[tagged(7, 3), tagged(0, 4), frame(ALL, 5)]);
        let above = Talker::with(&[frame([2, 8, 8, 8, 8, 8], 1)]);
        let mut uppers = uppers(1, std::slice::from_ref(&above));
        let sends = Tag {
            vlan: if vlan_offload { 9 } else { 0 },
            priority: 6,
            cfi: false,
        };
        uppers[0].0.tag = sends;
        let nic = NicConfig {
            vlan_offload,
            ..NicConfig::default()
        };
        let host = driver::set_up(5, nic, Box::new(far.clone()), uppers);
        let mut seen = Vec::new();
        clean(&host, |host| {
            start(host, 1);
            host.nic_kick(0);
            settle(host);
            seen = host.upper_tags(0);
        });
        let wire: Vec<Option<Tag>> = far.heard().iter().map(|f| tag::in_band(f)).collect();
        assert_eq!(wire, [Some(sends)]);
        let priority_only = Tag {
            vlan: 0,
            priority: 4,
            cfi: false,
        };
        let with_vlan = Tag {
            vlan: 7,
            priority: 3,
            cfi: false,
        };
        let lengths: Vec<usize> = above.heard().iter().map(Vec::len).collect();
        if vlan_offload {
            assert_eq!(seen, [(priority_only, 1), (with_vlan, 1)]);
            assert_eq!(lengths, [100, 100, 100]);
        } else {
            assert_eq!(seen, [(priority_only, 1)]);
            assert_eq!(lengths, [104, 100, 100]);
        }
    }
}

#[test]
fn what_a_protocol_did_not_ask_for_does_not_reach_it() {
    let group = [1, 0, 0x5E, 0, 0, 9];
    let far = Talker::with(&[
        frame(group, 1),
        frame([1, 0, 0x5E, 0, 0, 8], 2),
        frame([2, 7, 7, 7, 7, 7], 3),
        frame(NicConfig::default().mac, 4),
    ]);
    let above = Talker::default();
    let mut uppers = uppers(1, std::slice::from_ref(&above));
    uppers[0].0.packet_filter =
        ndis_sys::NDIS_PACKET_TYPE_DIRECTED | ndis_sys::NDIS_PACKET_TYPE_MULTICAST;
    uppers[0].0.multicast = vec![group];
    let host = driver::set_up(2, NicConfig::default(), Box::new(far), uppers);
    let mut unasked = 0;
    clean(&host, |host| {
        start(host, 1);
        host.nic_kick(0);
        settle(host);
        unasked = host.upper_unasked(0);
    });
    let marks: Vec<u8> = above.heard().iter().map(|f| f[99]).collect();
    assert_eq!((marks, unasked), (vec![1, 4], 2));
}

#[test]
fn lists_can_be_kept_long_and_lent_ones_are_counted() {
    let far = Talker::with(&(0..30).map(|i| frame(ALL, i)).collect::<Vec<_>>());
    let mut uppers = uppers(2, &[]);
    for (config, _) in &mut uppers {
        config.hold = 1.0;
        config.hold_for = 5_000_000;
    }
    let nic = NicConfig {
        resources: 0.0,
        ..NicConfig::default()
    };
    let host = driver::set_up(4, nic, Box::new(far), uppers);
    let mut lent = [0; 2];
    let mut took = 0;
    clean(&host, |host| {
        start(host, 2);
        let before = host.now();
        host.nic_kick(0);
        settle(host);
        took = host.now() - before;
        lent = [0, 1].map(|u| host.upper_lent(u));
    });
    // The last port keeps what every other is lent.
    lent.sort_unstable();
    assert_eq!(lent, [0, 30]);
    assert!(took > 500_000, "{took} ns");
}

#[test]
fn ndis_shows_sends_to_who_wants_to_see_everything() {
    let sender = Talker::with(&[frame([2, 8, 8, 8, 8, 8], 1)]);
    let (nosy, other) = (Talker::default(), Talker::default());
    let talkers = [sender.clone(), nosy.clone(), other.clone()];
    let mut uppers = uppers(3, &talkers);
    for (config, _) in &mut uppers {
        config.device = device(0);
    }
    uppers[1].0.packet_filter |= ndis_sys::NDIS_PACKET_TYPE_PROMISCUOUS;
    let host = driver::set_up(2, NicConfig::default(), Box::new(Talker::default()), uppers);
    clean(&host, |host| {
        host.add_device(&device(0), InstanceStart::Inside, Vec::new());
        assert_eq!(driver::ask_for(host, &device(0)).0, 0);
        host.wait_until("", 10_000, SECOND, |h| h.upper_running(0));
        settle(host);
    });
    let heard = [&sender, &nosy, &other].map(|t| t.heard().len());
    assert_eq!(heard, [0, 1, 0]);
}

#[test]
fn a_wifi_adapter_sends_for_its_own_address_only() {
    let mut own = frame([2, 8, 8, 8, 8, 8], 1);
    own[6..12].copy_from_slice(&NicConfig::default().mac);
    let above = Talker::with(&[own.clone(), frame([2, 8, 8, 8, 8, 8], 2)]);
    let far = Talker::default();
    let nic = NicConfig {
        medium: crate::ndis::Medium::Wifi,
        ..NicConfig::default()
    };
    let uppers = uppers(1, std::slice::from_ref(&above));
    let host = driver::set_up(2, nic, Box::new(far.clone()), uppers);
    let mut foreign = 0;
    clean(&host, |host| {
        start(host, 1);
        settle(host);
        foreign = host.nic_mix(0).foreign;
    });
    assert_eq!((far.heard(), foreign), (vec![own], 1));
}

#[test]
fn two_adapters_on_one_wire_hear_each_other() {
    let above = Talker::with(&[frame(ALL, 1)]);
    let far = Talker::default();
    let other = Talker::default();
    let uppers = uppers(1, std::slice::from_ref(&above));
    let host = driver::set_up(2, NicConfig::default(), Box::new(far.clone()), uppers);
    let second = host.add_nic(NicConfig::default(), Box::new(other.clone()));
    host.share_wire(0, second);
    clean(&host, |host| {
        start(host, 1);
        settle(host);
        host.sleep(SECOND);
    });
    assert_eq!(far.heard().len(), 1);
    // Nobody is bound to the other adapter: it dropped what it heard.
    assert_eq!(host.nic_mix(second).dropped, 1);
}
