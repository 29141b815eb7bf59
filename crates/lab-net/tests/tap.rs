//! Linux at both ends of a wire: namespaces, TAP devices, and what is left of
//! them afterwards. Needs root or user namespaces, and `/dev/net/tun`; without
//! them, or without a tool, a test prints `SKIP` with its name and the reason.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lab_net::host::{HostConfig, IpHost, JobState, Ping, SECOND, Tcp};
use lab_net::netns::{Lan, Namespace, Port, pair};
use lab_net::tap::{Forwarded, LARGEST, Tap, TapEndpoint, forward};
use lab_net::{Endpoint, Mac};

const V6_A: [u16; 8] = [0xfd00, 0, 0, 0, 0, 0, 0, 1];
const V6_B: [u16; 8] = [0xfd00, 0, 0, 0, 0, 0, 0, 2];

fn port(n: u8) -> Port {
    let v6 = if n == 1 { V6_A } else { V6_B };
    Port::new(format!("lab{n}"), Mac::local(4, n.into()))
        .ipv4([10, 9, 0, n].into(), 24)
        .ipv6(v6.into(), 64)
}

/// Two namespaces, or nothing and a word why.
fn lans(test: &str) -> Option<(Lan, Lan)> {
    match pair(&port(1), &port(2)) {
        Ok(lans) => Some(lans),
        Err(error) if error.is_missing_right() => {
            println!("SKIP {test}: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn has(test: &str, tool: &str) -> bool {
    let found = Command::new(tool)
        .arg("-V")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    if !found {
        println!("SKIP {test}: {tool} is not installed");
    }
    found
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Joins two namespaces for as long as `work` takes.
fn joined<R>(a: &Tap, b: &Tap, work: impl FnOnce() -> R) -> (R, Forwarded) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let wire = scope.spawn(|| forward(a, b, &stop));
        let result = work();
        stop.store(true, Ordering::Relaxed);
        (result, wire.join().expect("no panic").expect("no error"))
    })
}

/// Drives an endpoint at a TAP in real time until `done`.
fn drive<E: Endpoint>(
    tap: &Tap,
    endpoint: &mut E,
    seconds: u64,
    mut done: impl FnMut(&mut E) -> bool,
) -> bool {
    let begin = Instant::now();
    let mut buffer = vec![0; LARGEST];
    while !done(endpoint) {
        let now = begin.elapsed().as_nanos() as u64;
        if now > seconds * SECOND {
            return false;
        }
        while let Some(length) = tap.read_frame(&mut buffer).expect("readable") {
            endpoint.on_frame(now, &buffer[..length]);
        }
        endpoint.poll(now, &mut |frame| tap.write_frame(&frame).expect("writable"));
        if endpoint.next_poll(now).is_none_or(|next| next > now) {
            tap.wait(1).expect("pollable");
        }
    }
    true
}

#[test]
fn ping_between_two_namespaces_and_counters_agree() {
    let test = "ping_between_two_namespaces_and_counters_agree";
    let Some((a, b)) = lans(test).filter(|_| has(test, "ping")) else {
        return;
    };
    let ((), moved) = joined(a.tap(), b.tap(), || {
        for to in ["10.9.0.2", "fd00::2"] {
            let ping = a
                .namespace()
                .command("ping")
                .args(["-c", "20", "-i", "0.01", "-W", "2", to])
                .output();
            let ping = ping.expect("ping runs");
            assert!(ping.status.success(), "{}", text(&ping));
            assert!(text(&ping).contains("20 received"), "{}", text(&ping));
        }
        // What is on its way arrives.
        std::thread::sleep(Duration::from_millis(100));
    });
    let counters = |namespace: &Namespace, name: &str| namespace.counters(name).expect("counters");
    let (at_a, at_b) = (
        counters(a.namespace(), "lab1"),
        counters(b.namespace(), "lab2"),
    );
    println!("{moved:?}\n{at_a}\n{at_b}");
    assert_eq!(moved.dropped, 0);
    assert_eq!(
        (at_a.frames_out, at_a.octets_out),
        (at_b.frames_in, at_b.octets_in)
    );
    assert_eq!(
        (at_b.frames_out, at_b.octets_out),
        (at_a.frames_in, at_a.octets_in)
    );
    assert_eq!(
        (moved.there, moved.back),
        (at_a.frames_out, at_b.frames_out)
    );
    assert!(moved.there >= 41 && moved.back >= 41, "{moved:?}");
}

#[test]
fn iperf3_between_two_namespaces() {
    let test = "iperf3_between_two_namespaces";
    let Some((a, b)) = lans(test).filter(|_| has(test, "iperf3")) else {
        return;
    };
    joined(a.tap(), b.tap(), || {
        let mut server = b
            .namespace()
            .command("iperf3")
            .args(["-s", "-1", "--forceflush"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("iperf3 runs");
        let mut lines = BufReader::new(server.stdout.take().expect("piped")).lines();
        assert!(
            lines
                .by_ref()
                .any(|line| line.expect("text").contains("listening"))
        );
        let client = a
            .namespace()
            .command("iperf3")
            .args(["-c", "10.9.0.2", "-n", "16M"])
            .output();
        let client = client.expect("iperf3 runs");
        println!("{}", text(&client));
        assert!(client.status.success(), "{}", text(&client));
        assert!(server.wait().expect("waited").success());
    });
}

#[test]
fn the_embedded_host_and_linux_understand_each_other() {
    let test = "the_embedded_host_and_linux_understand_each_other";
    let Some((lan, _)) = lans(test).filter(|_| has(test, "ping")) else {
        return;
    };
    let config = HostConfig::new("embedded", Mac::local(4, 2), 7)
        .address(IpAddr::from([10, 9, 0, 2]), 24)
        .address(IpAddr::from(V6_B), 64);
    let mut host = IpHost::new(config).expect("a good configuration");
    for to in [IpAddr::from([10, 9, 0, 1]), IpAddr::from(V6_A)] {
        let job = host
            .ping(Ping {
                count: 20,
                ..Ping::to(to)
            })
            .expect("reachable");
        assert!(
            drive(lan.tap(), &mut host, 20, |host| host.is_done(job)),
            "{}",
            host.report(job)
        );
        assert_eq!(
            *host.report(job).state(),
            JobState::Done,
            "{}",
            host.report(job)
        );
    }
    for to in ["10.9.0.2", "fd00::2"] {
        let mut command = lan.namespace().command("ping");
        command.args(["-c", "20", "-i", "0.01", "-W", "2", "-s", "1400", to]);
        let mut ping = command.stdout(Stdio::piped()).spawn().expect("ping runs");
        let ended = |ping: &mut std::process::Child| ping.try_wait().expect("waited").is_some();
        assert!(drive(lan.tap(), &mut host, 20, |_| ended(&mut ping)));
        let output = ping.wait_with_output().expect("waited");
        assert!(text(&output).contains("20 received"), "{}", text(&output));
    }
    // Nobody listens in the namespace: Linux answers with a reset.
    let order = Tcp::sink(5001, 10, 1).peer(SocketAddr::from(([10, 9, 0, 1], 5001)));
    let job = host.tcp(order).expect("reachable");
    assert!(drive(lan.tap(), &mut host, 20, |host| host.is_done(job)));
    assert!(
        host.report(job)
            .to_string()
            .ends_with("no connection was made")
    );
}

/// Linux below and above, with the endpoints that a real-time run uses.
#[test]
fn a_tap_is_an_endpoint() {
    let test = "a_tap_is_an_endpoint";
    let Some((a, b)) = lans(test).filter(|_| has(test, "ping")) else {
        return;
    };
    let ((a, a_tap), (b, b_tap)) = (a.split(), b.split());
    let (mut near, mut far) = (TapEndpoint::new(a_tap), TapEndpoint::new(b_tap));
    let mut command = a.command("ping");
    command.args(["-c", "20", "-i", "0.01", "-W", "2", "fd00::2"]);
    let mut ping = command.stdout(Stdio::piped()).spawn().expect("ping runs");
    let begin = Instant::now();
    while ping.try_wait().expect("waited").is_none() {
        let now = begin.elapsed().as_nanos() as u64;
        assert!(now < 20 * SECOND, "ping does not end");
        let mut there = Vec::new();
        let mut back = Vec::new();
        near.poll(now, &mut |frame| {
            there.push(frame);
            there.len() < 4
        });
        far.poll(now, &mut |frame| {
            back.push(frame);
            back.len() < 4
        });
        for frame in &there {
            far.on_frame(now, frame);
        }
        for frame in &back {
            near.on_frame(now, frame);
        }
        let next = near
            .next_poll(now)
            .into_iter()
            .chain(far.next_poll(now))
            .min()
            .expect("always");
        std::thread::sleep(Duration::from_nanos(next.saturating_sub(now)));
    }
    let output = ping.wait_with_output().expect("waited");
    assert!(text(&output).contains("20 received"), "{}", text(&output));
    let (near, far) = (near.counters(), far.counters());
    assert_eq!(
        (near.from_linux, near.to_linux),
        (far.to_linux, far.from_linux)
    );
    assert_eq!((near.dropped, near.failed), (0, 0));
    let linux = b.counters("lab2").expect("counters");
    assert_eq!((linux.frames_in, linux.octets_in), far.to_linux);
}

#[test]
fn a_tap_says_what_it_does_not_take() {
    let Some((lan, _)) = lans("a_tap_says_what_it_does_not_take") else {
        return;
    };
    let mut buffer = vec![0; LARGEST];
    while lan
        .tap()
        .read_frame(&mut buffer)
        .expect("readable")
        .is_some()
    {}
    assert!(!lan.tap().wait(0).expect("pollable"));
    let error = lan
        .tap()
        .write_frame(&[0; 13])
        .expect_err("shorter than a header");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(lan.tap().write_frame(&[0xff; 14]).expect("a bare header"));
    assert_eq!(
        lan.namespace()
            .counters("lab1")
            .expect("counters")
            .frames_in,
        1
    );
    assert!(lan.namespace().counters("lab9").is_err());
}

#[test]
fn namespaces_do_not_see_each_other_or_the_machine() {
    let Some((a, b)) = lans("namespaces_do_not_see_each_other_or_the_machine") else {
        return;
    };
    assert!(a.namespace().counters("lab2").is_err());
    assert!(b.namespace().counters("lab1").is_err());
    let here = std::fs::read_to_string("/proc/self/net/dev").expect("readable");
    assert!(!here.contains("lab1:") && !here.contains("lab2:"), "{here}");
    // The device goes with its descriptor.
    let (namespace, tap) = a.split();
    assert!(namespace.counters("lab1").is_ok());
    drop(tap);
    assert!(namespace.counters("lab1").is_err());
}

/// Set for the process that [`nothing_is_left_after_sigkill`] starts and kills.
const HOLD: &str = "LAB_NET_TEST_HOLD";

/// Holds two namespaces and a command in one of them until it is killed.
fn hold() -> ! {
    let lans = pair(&port(1), &port(2)).expect("rights were checked");
    let mut child = lans
        .0
        .namespace()
        .command("sleep")
        .arg("1000")
        .spawn()
        .expect("sleep runs");
    let id = std::fs::read_link(format!("/proc/{}/ns/net", child.id())).expect("readable");
    println!("held {} {}", child.id(), id.display());
    let ended = child.wait();
    panic!("nobody killed this process: {ended:?}");
}

/// Processes that are in a namespace or hold a descriptor of it.
fn users(namespace: &str) -> Vec<String> {
    let mut found = Vec::new();
    for process in std::fs::read_dir("/proc").expect("readable").flatten() {
        let path = process.path();
        let mut links = vec![path.join("ns/net")];
        links.extend(
            std::fs::read_dir(path.join("fd"))
                .into_iter()
                .flatten()
                .flatten()
                .map(|fd| fd.path()),
        );
        let uses = |link| std::fs::read_link(link).is_ok_and(|to| to.as_os_str() == namespace);
        if links.iter().any(uses) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn nothing_is_left_after_sigkill() {
    if std::env::var_os(HOLD).is_some() {
        hold();
    }
    if lans("nothing_is_left_after_sigkill").is_none() {
        return;
    }
    let mut holder = Command::new(std::env::current_exe().expect("known"))
        .args(["--exact", "nothing_is_left_after_sigkill", "--nocapture"])
        .env(HOLD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("runs");
    let lines = BufReader::new(holder.stdout.take().expect("piped")).lines();
    let held = lines.map_while(Result::ok).find_map(|line| {
        let (_, rest) = line.split_once("held ")?;
        let (pid, namespace) = rest.split_once(' ')?;
        Some((pid.to_owned(), namespace.to_owned()))
    });
    let (pid, namespace) = held.expect("the holder says what it holds");
    assert_eq!(users(&namespace).len(), 2, "the holder and its command");
    holder.kill().expect("killed");
    holder.wait().expect("waited");
    let deadline = Instant::now() + Duration::from_secs(10);
    while !users(&namespace).is_empty() {
        assert!(
            Instant::now() < deadline,
            "process {pid} or a descriptor is left: {:?}",
            users(&namespace)
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Two devices in one namespace: what a program does with one is seen on the other's
/// descriptor, and each has counters of its own.
#[test]
fn a_namespace_takes_more_devices() {
    let Some((lan, _other)) = lans("a_namespace_takes_more_devices") else {
        return;
    };
    let port = Port::new("more0", Mac::local(4, 9)).ipv4([10, 9, 7, 1].into(), 24);
    let more = lan.namespace().open_tap(&port).expect("one more device");
    if !has("a_namespace_takes_more_devices", "ping") {
        return;
    }
    // Its own address does not answer from outside: an ARP request comes out of the device.
    let mut ping = lan
        .namespace()
        .command("ping")
        .args(["-n", "-c", "1", "-W", "1", "10.9.7.2"])
        .stdout(Stdio::null())
        .spawn()
        .expect("ping starts");
    let mut buffer = vec![0; LARGEST];
    let deadline = Instant::now() + Duration::from_secs(5);
    let request = loop {
        assert!(Instant::now() < deadline, "no ARP request");
        if more.wait(100).expect("waits")
            && let Some(length) = more.read_frame(&mut buffer).expect("reads")
            && buffer.get(12..14) == Some(&[8, 6])
        {
            break buffer[..length].to_vec();
        }
    };
    ping.wait().expect("waited");
    assert_eq!(request[6..12], Mac::local(4, 9).0);
    assert_eq!(request[38..42], [10, 9, 7, 2]);
    let namespace = lan.namespace();
    assert!(namespace.counters("more0").expect("counted").frames_out >= 1);
    assert!(namespace.counters("lab1").is_ok());
    // The name is taken now.
    let error = namespace.open_tap(&port).expect_err("twice");
    assert!(!error.is_missing_right(), "{error}");
}
