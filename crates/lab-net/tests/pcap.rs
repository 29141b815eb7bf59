//! The captures that the lab writes, as tshark sees them.

use std::net::IpAddr;
use std::process::Command;

use lab_net::host::{HostConfig, IpHost, Ping, SECOND};
use lab_net::pcap::{Direction, Interface, Recorder};
use lab_net::wire::{Impairment, Wire};
use lab_net::{Endpoint, Frame, Mac};

/// An endpoint whose frames are recorded as those of one interface.
struct Tapped {
    host: IpHost,
    seen: Vec<(u64, Direction, Frame)>,
}

impl Endpoint for Tapped {
    fn on_frame(&mut self, now: u64, frame: &[u8]) {
        self.seen.push((now, Direction::Inbound, frame.to_vec()));
        self.host.on_frame(now, frame);
    }

    fn poll(&mut self, now: u64, out: &mut dyn FnMut(Frame) -> bool) {
        let seen = &mut self.seen;
        self.host.poll(now, &mut |frame| {
            seen.push((now, Direction::Outbound, frame.clone()));
            out(frame)
        });
    }

    fn next_poll(&mut self, now: u64) -> Option<u64> {
        self.host.next_poll(now)
    }
}

fn host(n: u8) -> Tapped {
    let config = HostConfig::new("h", Mac::local(1, n.into()), n.into())
        .address(IpAddr::from([10, 0, 0, n]), 24);
    Tapped {
        host: IpHost::new(config).expect("good"),
        seen: Vec::new(),
    }
}

#[test]
fn tshark_reads_a_capture_as_it_was_written() {
    let test = "tshark_reads_a_capture_as_it_was_written";
    if Command::new("tshark").arg("--version").output().is_err() {
        println!("SKIP {test}: tshark is not installed");
        return;
    }
    let (mut a, mut b) = (host(1), host(2));
    let job = a
        .host
        .ping(Ping {
            count: 3,
            ..Ping::to(IpAddr::from([10, 0, 0, 2]))
        })
        .expect("reachable");
    let mut wire = Wire::new(Impairment::default(), 1);
    assert!(wire.run(&mut a, &mut b, 10 * SECOND, |a, _| a.host.is_done(job)));

    let mut recorder = Recorder::new(Vec::new(), &[Interface::new("nic0"), Interface::new("vm0")])
        .expect("memory");
    let mut expected = Vec::new();
    for (number, (now, direction, frame)) in a.seen.iter().enumerate() {
        let interface = number % 2;
        let comment = format!("frame {number}");
        recorder
            .record(interface, *now, *direction, frame, Some(&comment))
            .expect("memory");
        let kind = match (frame[12..14] == [8, 6], frame[34]) {
            (true, _) => String::new(),
            (false, kind) => kind.to_string(),
        };
        expected.push(format!(
            "{}.{:09}\t{}\t{comment}\t{}\t{kind}",
            now / SECOND,
            now % SECOND,
            ["nic0", "vm0"][interface],
            frame.len()
        ));
    }
    // ARP both ways, three echo requests, three replies.
    assert_eq!(expected.len(), 8);
    let file = std::env::temp_dir().join(format!("lab-net-{}.pcapng", std::process::id()));
    std::fs::write(&file, recorder.finish().expect("memory")).expect("writable");
    let fields = [
        "frame.time_epoch",
        "frame.interface_name",
        "frame.comment",
        "frame.len",
        "icmp.type",
    ];
    let mut tshark = Command::new("tshark");
    tshark
        .args(["-n", "-T", "fields"])
        .args(fields.map(|field| ["-e", field]).concat())
        .arg("-r")
        .arg(&file);
    let output = tshark.output();
    std::fs::remove_file(&file).expect("removed");
    let output = output.expect("tshark runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}
