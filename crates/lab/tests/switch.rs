//! Open vSwitch alone, as `--tap` starts it: what it carries between access ports and the
//! trunk, and what is left of it.
//!
//! Needs Debian's openvswitch-switch, /dev/net/tun, and the right to make namespaces.

use std::{
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use lab::partners::switch::{Access, PROGRAMS, Switch, SwitchError, program};
use lab_net::{
    Mac,
    netns::{Lan, Namespace, Port},
    tap::{LARGEST, Tap},
    vlan::{Tag, insert, strip, tag_of},
};

/// A switch with hosts in VLANs 10, 20 (priority 5), 10 and none, each with the address
/// 10.9.0.n; or nothing and a word why.
fn set_up(test: &str) -> Option<(Switch, Tap, Vec<Namespace>)> {
    for (name, question) in PROGRAMS.into_iter().chain([("ping", "-V")]) {
        let mut command = Command::new(program(name));
        command.arg(question).stdin(Stdio::null());
        if command.stdout(Stdio::null()).status().is_err() {
            println!("SKIP {test}: {name} is not installed");
            return None;
        }
    }
    let mut namespaces = Vec::new();
    let mut accesses = Vec::new();
    for (index, (vlan, priority)) in [(10, 0), (20, 5), (10, 0), (0, 0)].into_iter().enumerate() {
        let host = u8::try_from(index).expect("few") + 1;
        let port = Port::new("lab0", Mac::local(4, host.into())).ipv4([10, 9, 0, host].into(), 24);
        match Lan::open(&port) {
            Ok(lan) => {
                let (namespace, far) = lan.split();
                namespaces.push(namespace);
                accesses.push(Access {
                    vlan,
                    priority,
                    mtu: 1500,
                    far,
                });
            }
            Err(error) if error.is_missing_right() => {
                println!("SKIP {test}: {error}");
                return None;
            }
            Err(error) => panic!("{error}"),
        }
    }
    match Switch::start(1500, accesses) {
        Ok((switch, trunk)) => Some((switch, trunk, namespaces)),
        Err(SwitchError::Namespace(error)) if error.is_missing_right() => {
            println!("SKIP {test}: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn ping(from: &Namespace, to: u8) -> Command {
    let mut command = from.command("ping");
    command.args(["-n", "-q", "-c", "2", "-i", "0.2", "-W", "1"]);
    command.arg(format!("10.9.0.{to}"));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// The first frame on the trunk that `wanted` wants.
fn from_trunk(trunk: &Tap, wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut buffer = vec![0; LARGEST];
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        assert!(Instant::now() < deadline, "no such frame on the trunk");
        if trunk.wait(100).expect("waits")
            && let Some(length) = trunk.read_frame(&mut buffer).expect("reads")
            && wanted(&buffer[..length])
        {
            return buffer[..length].to_vec();
        }
    }
}

/// The type behind a tag, if there is one.
fn kind(frame: &[u8]) -> u16 {
    let inner = strip(frame).map_or_else(|| frame.to_vec(), |(_, inner)| inner);
    u16::from_be_bytes([inner[12], inner[13]])
}

const ARP: u16 = 0x0806;

#[test]
fn the_switch_tags_and_keeps_vlans_apart() {
    let Some((mut switch, trunk, hosts)) = set_up("the_switch_tags_and_keeps_vlans_apart") else {
        return;
    };
    println!("{}", switch.describe());
    // Within a VLAN there is an answer, across none.
    assert!(ping(&hosts[0], 3).status().expect("ping runs").success());
    assert!(!ping(&hosts[0], 2).status().expect("ping runs").success());
    assert!(!ping(&hosts[1], 1).status().expect("ping runs").success());

    // What the hosts say comes out of the trunk with the tag and priority of their ports,
    // and what goes in with a tag reaches that VLAN only.
    let mut buffer = vec![0; LARGEST];
    while trunk.read_frame(&mut buffer).expect("reads").is_some() {}
    for (index, tag) in [
        (0, Some(Tag::vlan(10))),
        (
            1,
            Some(Tag {
                vlan: 20,
                priority: 5,
            }),
        ),
        (3, None),
    ] {
        let source = Mac::local(4, index + 1).0;
        let mut asking = ping(&hosts[usize::from(index)], 99)
            .spawn()
            .expect("ping starts");
        let request = from_trunk(&trunk, |f| f[6..12] == source && kind(f) == ARP);
        asking.wait().expect("waited");
        assert_eq!(tag_of(&request), tag, "host {}", index + 1);

        // A frame of a protocol that Linux ignores, to everybody.
        let mut frame = [0; 60];
        frame[..6].fill(0xff);
        frame[6..12].copy_from_slice(&Mac::local(4, 99).0);
        frame[12..14].copy_from_slice(&0x88b5_u16.to_be_bytes());
        let frame = tag.map_or_else(|| frame.to_vec(), |tag| insert(&frame, tag).expect("long"));
        let received = || -> Vec<u64> {
            let count = |host: &Namespace| host.counters("lab0").expect("counted").frames_in;
            hosts.iter().map(count).collect()
        };
        // What is under way comes first.
        std::thread::sleep(Duration::from_millis(200));
        let before = received();
        for _ in 0..100 {
            while !trunk.write_frame(&frame).expect("written") {}
        }
        let vlan = tag.map_or(0, |tag| tag.vlan);
        let deadline = Instant::now() + Duration::from_secs(5);
        let expected: Vec<u64> = [10, 20, 10, 0]
            .iter()
            .zip(&before)
            .map(|(of_host, before)| before + if *of_host == vlan { 100 } else { 0 })
            .collect();
        while received() != expected && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(received(), expected, "VLAN {vlan}");
    }
    assert_eq!(switch.ended(), Vec::<String>::new());
    assert!(switch.trunk().expect("counted").frames_out > 0);
}

#[test]
fn nothing_of_the_switch_is_left() {
    let directories = || -> Vec<_> {
        let all = fs::read_dir(std::env::temp_dir())
            .expect("readable")
            .flatten();
        let of_switch = |name: &std::ffi::OsString| name.to_string_lossy().starts_with("lab-ovs-");
        all.map(|entry| entry.file_name())
            .filter(of_switch)
            .collect()
    };
    let Some((switch, trunk, hosts)) = set_up("nothing_of_the_switch_is_left") else {
        return;
    };
    let daemons: Vec<u32> = switch.processes();
    assert_eq!(daemons.len(), 2);
    let is_there = |id: &u32| fs::exists(format!("/proc/{id}")).expect("readable");
    assert!(daemons.iter().all(is_there));
    drop((switch, trunk, hosts));
    assert!(!daemons.iter().any(is_there), "{daemons:?}");
    // Another test may be setting its own up at this moment.
    let deadline = Instant::now() + Duration::from_secs(20);
    while !directories().is_empty() {
        assert!(Instant::now() < deadline, "left: {:?}", directories());
        std::thread::sleep(Duration::from_millis(50));
    }
}
