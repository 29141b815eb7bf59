//! Two embedded hosts over a wire in memory, sound and faulty, in virtual time.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use lab_net::Mac;
use lab_net::host::{
    HostConfig, HostError, IpHost, JobReport, JobState, MS, Ping, SECOND, Tcp, UdpEcho, UdpProbe,
};
use lab_net::wire::{Impairment, Wire};

fn host(n: u16, mtu: u16) -> IpHost {
    let v4 = IpAddr::from([10, 0, 0, n as u8]);
    let v6 = IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, n]);
    let config = HostConfig::new(format!("h{n}"), Mac::local(1, n), u64::from(n))
        .address(v4, 24)
        .address(v6, 64)
        .mtu(mtu);
    IpHost::new(config).expect("a good configuration")
}

fn pair() -> (IpHost, IpHost) {
    (host(1, 1500), host(2, 1500))
}

fn to(version: u8) -> IpAddr {
    if version == 4 {
        IpAddr::from([10, 0, 0, 2])
    } else {
        IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 2])
    }
}

fn ping_of(report: JobReport) -> lab_net::host::PingReport {
    match report {
        JobReport::Ping(report) => report,
        other => panic!("{other:?}"),
    }
}

fn tcp_of(report: JobReport) -> lab_net::host::TcpReport {
    match report {
        JobReport::Tcp(report) => report,
        other => panic!("{other:?}"),
    }
}

#[test]
fn ping_over_a_sound_wire_is_answered_by_both_versions() {
    for version in [4, 6] {
        let (mut a, mut b) = pair();
        let job = a.ping(Ping::to(to(version))).expect("reachable");
        let mut wire = Wire::new(Impairment::default(), 1);
        assert!(wire.run(&mut a, &mut b, 10 * SECOND, |a, _| a.is_done(job)));
        let report = ping_of(a.report(job));
        assert_eq!(report.state, JobState::Done);
        assert_eq!((report.sent, report.received), (100, 100));
        assert_eq!((report.duplicated, report.corrupted), (0, 0));
        // Two crossings of 10 us each; the first waits for address resolution.
        assert!(report.rtt_min >= 20_000 && report.rtt_max < MS, "{report}");
    }
}

#[test]
fn ping_reports_what_a_bad_wire_does() {
    let (mut a, mut b) = pair();
    let job = a
        .ping(Ping {
            count: 1_000,
            timeout: 2 * SECOND,
            ..Ping::to(to(4))
        })
        .expect("reachable");
    let mut wire = Wire::new(
        Impairment {
            loss: 50_000,
            ..Impairment::default()
        },
        2,
    );
    assert!(wire.run(&mut a, &mut b, 20 * SECOND, |a, _| a.is_done(job)));
    let report = ping_of(a.report(job));
    let lost = wire.counters().lost;
    // ARP frames may be among the lost ones.
    let missing = u64::from(report.count - report.received);
    assert!(
        missing > 50 && missing <= lost && missing + 4 >= lost,
        "{report}, wire lost {lost}"
    );
    let JobState::Failed(why) = &report.state else {
        panic!("{report}");
    };
    let start = format!("{missing} of 1000 requests unanswered, the first is #");
    assert!(why.starts_with(&start), "{why}");
}

#[test]
fn ping_counts_copies() {
    let (mut a, mut b) = pair();
    let job = a.ping(Ping::to(to(4))).expect("reachable");
    let mut wire = Wire::new(
        Impairment {
            duplicate: 1_000_000,
            ..Impairment::default()
        },
        2,
    );
    assert!(wire.run(&mut a, &mut b, 20 * SECOND, |a, _| a.is_done(job)));
    let report = ping_of(a.report(job));
    assert_eq!(report.received, 100);
    assert!(report.duplicated >= 290, "{report}");
    assert!(matches!(report.state, JobState::Failed(_)));
}

#[test]
fn nobody_answers() {
    let (mut a, mut b) = pair();
    let lone = IpAddr::from([10, 0, 0, 9]);
    let job = a
        .ping(Ping {
            count: 3,
            timeout: SECOND,
            ..Ping::to(lone)
        })
        .expect("on link");
    let mut wire = Wire::new(Impairment::default(), 1);
    assert!(wire.run(&mut a, &mut b, 10 * SECOND, |a, _| a.is_done(job)));
    assert_eq!(
        a.report(job).to_string(),
        "ping 10.0.0.9 0/3: 3 of 3 requests unanswered, the first is #0"
    );
}

/// Moves `octets` in the directions given and returns the wall time.
fn transfer(version: u8, there: u64, back: u64, impairment: Impairment, mtu: u16) -> f64 {
    transfer_seeded(version, there, back, impairment, mtu, 3)
}

fn transfer_seeded(
    version: u8,
    there: u64,
    back: u64,
    impairment: Impairment,
    mtu: u16,
    seed: u64,
) -> f64 {
    let (mut a, mut b) = (host(1, mtu), host(2, mtu));
    let order = Tcp {
        send: back,
        ..Tcp::sink(5001, there, 99)
    };
    let server = b.tcp(order).expect("free port");
    let client = a
        .tcp(order.peer(SocketAddr::new(to(version), 5001)))
        .expect("reachable");
    let mut wire = Wire::new(impairment, seed);
    let begin = Instant::now();
    let finished = wire.run(&mut a, &mut b, 600 * SECOND, |a, b| {
        a.is_done(client) && b.is_done(server)
    });
    let wall = begin.elapsed().as_secs_f64();
    let (up, down) = (tcp_of(a.report(client)), tcp_of(b.report(server)));
    println!("{up}\n{down}\n{:?}, {wall:.3} s", wire.counters());
    assert!(finished, "{up} / {down}");
    // Nobody asks to be polled over and over without a reason.
    let counters = wire.counters();
    assert!(counters.rounds < 2 * counters.sent + 1_000, "{counters:?}");
    assert_eq!((up.state, down.state), (JobState::Done, JobState::Done));
    assert_eq!((up.sent, down.received), (there, there));
    assert_eq!((down.sent, up.received), (back, back));
    wall
}

#[test]
fn tcp_moves_64_mib_over_a_sound_wire() {
    let wall = transfer(4, 64 << 20, 0, Impairment::default(), 1500);
    // Far above what it takes, to find a quadratic loop and not a busy machine.
    let most = if cfg!(debug_assertions) { 120.0 } else { 10.0 };
    assert!(wall < most, "{wall} s");
}

#[test]
fn tcp_moves_data_both_ways_at_once_over_ipv6_and_jumbo_frames() {
    transfer(6, 4 << 20, 3 << 20, Impairment::default(), 1500);
    transfer(4, 4 << 20, 4 << 20, Impairment::default(), 9000);
}

#[test]
fn tcp_survives_a_bad_wire() {
    let bad = Impairment {
        loss: 2_000,
        duplicate: 2_000,
        reorder: 10_000,
        corrupt: 1_000,
        ..Impairment::default()
    };
    transfer(4, 4 << 20, 1 << 20, bad, 1500);
}

#[test]
fn tcp_survives_bad_wires_of_many_kinds() {
    for seed in 0..24 {
        let ratio = |shift: u32| {
            20_000_u32
                .checked_shr((seed as u32 + shift) % 12)
                .unwrap_or(0)
        };
        let bad = Impairment {
            loss: ratio(0),
            duplicate: ratio(3),
            reorder: ratio(5),
            corrupt: ratio(7),
            depth: 4 << (seed % 6),
            ..Impairment::default()
        };
        transfer_seeded([4, 6][seed as usize % 2], 300_000, 100_000, bad, 1500, seed);
    }
}

#[test]
fn one_port_serves_one_job_after_the_other() {
    let (mut a, mut b) = pair();
    let mut wire = Wire::new(Impairment::default(), 1);
    for round in 0..5 {
        let order = Tcp::server(5001, 100_000, round);
        let server = b.tcp(order).expect("free port");
        let client = a
            .tcp(order.peer(SocketAddr::new(to(4), 5001)))
            .expect("reachable");
        assert!(
            wire.run(&mut a, &mut b, 60 * SECOND, |a, b| a.is_done(client)
                && b.is_done(server))
        );
        assert_eq!(
            *a.report(client).state(),
            JobState::Done,
            "{}",
            a.report(client)
        );
        assert_eq!(
            *b.report(server).state(),
            JobState::Done,
            "{}",
            b.report(server)
        );
    }
    assert_eq!((a.reports().count(), b.reports().count()), (5, 5));
}

#[test]
fn tcp_without_a_listener_fails_with_a_reason() {
    let (mut a, mut b) = pair();
    let job = a
        .tcp(Tcp::sink(5001, 10, 1).peer(SocketAddr::new(to(4), 5001)))
        .expect("reachable");
    let mut wire = Wire::new(Impairment::default(), 1);
    assert!(wire.run(&mut a, &mut b, 100 * SECOND, |a, _| a.is_done(job)));
    assert_eq!(
        a.report(job).to_string(),
        "tcp 10.0.0.2:5001 sent 0/10: no connection was made"
    );
}

#[test]
fn tcp_notices_wrong_content_and_a_short_stream() {
    for (seed, octets, why) in [
        (2, 1000, "octet 0 of the stream differs"),
        (1, 999, "the peer closed after 999 octets"),
    ] {
        let (mut a, mut b) = pair();
        let server = b.tcp(Tcp::sink(5001, 1000, 1)).expect("free port");
        let order = Tcp::sink(5001, octets, seed).peer(SocketAddr::new(to(4), 5001));
        a.tcp(order).expect("reachable");
        let mut wire = Wire::new(Impairment::default(), 1);
        assert!(wire.run(&mut a, &mut b, 100 * SECOND, |_, b| b.is_done(server)));
        assert_eq!(*b.report(server).state(), JobState::Failed(why.to_owned()));
    }
}

#[test]
fn udp_is_echoed_and_compared() {
    for version in [4, 6] {
        let (mut a, mut b) = pair();
        let echo = b.udp_echo(UdpEcho { port: 7 }).expect("free port");
        let probe = a
            .udp_probe(UdpProbe::to(SocketAddr::new(to(version), 7)))
            .expect("reachable");
        let mut wire = Wire::new(Impairment::default(), 1);
        assert!(wire.run(&mut a, &mut b, 100 * SECOND, |a, _| a.is_done(probe)));
        assert_eq!(
            *a.report(probe).state(),
            JobState::Done,
            "{}",
            a.report(probe)
        );
        assert_eq!(b.report(echo).to_string(), "udp echo :7 returned 1000/1000");
        b.stop(echo);
        assert!(b.is_done(echo));
    }
}

#[test]
fn equal_seeds_give_equal_runs() {
    let run = |seed| {
        let (mut a, mut b) = pair();
        let server = b.tcp(Tcp::sink(5001, 1 << 20, 1)).expect("free port");
        a.tcp(Tcp::sink(5001, 1 << 20, 1).peer(SocketAddr::new(to(4), 5001)))
            .expect("reachable");
        let mut wire = Wire::new(
            Impairment {
                loss: 5_000,
                ..Impairment::default()
            },
            seed,
        );
        assert!(wire.run(&mut a, &mut b, 600 * SECOND, |_, b| b.is_done(server)));
        (wire.now(), wire.counters(), a.counters(), b.counters())
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn a_host_says_what_it_cannot_do() {
    let bad = |config: HostConfig| IpHost::new(config).map(|_| ()).unwrap_err();
    let base = || HostConfig::new("h", Mac::local(1, 1), 1);
    assert_eq!(
        bad(HostConfig {
            mac: Mac::BROADCAST,
            ..base()
        }),
        HostError::NotUnicast(Mac::BROADCAST)
    );
    assert_eq!(bad(base().mtu(1279)), HostError::MtuTooSmall(1279));
    assert_eq!(
        bad(base().address(to(4), 33)),
        HostError::BadPrefix(to(4), 33)
    );
    let mut v4_only = IpHost::new(base().address(IpAddr::from([10, 0, 0, 1]), 24)).expect("good");
    assert!(matches!(
        v4_only.ping(Ping::to(to(6))),
        Err(HostError::Unreachable { .. })
    ));
    let order = Ping {
        size: 1473,
        ..Ping::to(to(4))
    };
    assert!(matches!(
        v4_only.ping(order),
        Err(HostError::OutOfRange { value: 1473, .. })
    ));
    assert!(matches!(
        v4_only.tcp(Tcp::sink(0, 1, 1)),
        Err(HostError::OutOfRange { .. })
    ));
    assert!(matches!(
        v4_only.udp_echo(UdpEcho { port: 0 }),
        Err(HostError::OutOfRange { .. })
    ));
}
