//! The PDUs as tshark reads them: no field malformed, the values that were meant.

mod common;

use std::process::Command;

use common::{Net, config, port};
use lab_net::pcap::{Direction, Interface, Recorder};
use lacp::pdu::{ConversationDigest, Lacpdu, Pdu, Version2};
use lacp::time::SECOND;
use lacp::{MacAddress, Output, Version};

/// Frames with their times in nanoseconds.
fn frames() -> Vec<(u64, Vec<u8>)> {
    let second = lacp::SystemConfig {
        version: Version::V2,
        collector_max_delay: 7,
        ..config(1)
    };
    let mut net = Net::pair([config(0), second], 2, 1);
    net.run(5 * SECOND);
    assert_eq!(net.distributing(0), 3);
    net.act(0, |it, now, out| it.request_marker(now, 1, out))
        .expect("a link");
    net.run(SECOND);
    let sent = |(at, _, output): &(u64, usize, Output)| Some((at * 100, output.frame()?.to_vec()));
    let mut frames: Vec<_> = net.outputs.iter().filter_map(sent).collect();
    // One with all TLVs of version 2.
    let lacpdu = Lacpdu {
        version_number: 2,
        actor: *net.at((0, 0)).actor(),
        partner: *net.at((0, 0)).partner(),
        collector_max_delay: 7,
        version_2: Version2 {
            port_algorithm: Some([0, 0x80, 0xc2, 1]),
            conversation_id_digest: Some(ConversationDigest {
                link_number_id: 1,
                digest: [7; 16],
            }),
            service_mapping_digest: Some([8; 16]),
            malformed: false,
        },
    };
    let frame = Pdu::Lacpdu(lacpdu).frame(MacAddress::SLOW_PROTOCOLS, port(0, 0).source);
    frames.push((net.now * 100, frame.to_vec()));
    frames
}

#[test]
fn tshark_dissects_what_is_sent() {
    let test = "tshark_dissects_what_is_sent";
    if Command::new("tshark").arg("--version").output().is_err() {
        println!("SKIP {test}: tshark is not installed");
        return;
    }
    let frames = frames();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("lacp.pcapng");
    let file = std::fs::File::create(&path).expect("a file");
    let mut recorder = Recorder::new(file, &[Interface::new("team")]).expect("a file");
    for (at, frame) in &frames {
        recorder
            .record(0, *at, Direction::Outbound, frame, None)
            .expect("a file");
    }
    recorder.finish().expect("a file");

    let fields = [
        "_ws.malformed",
        "_ws.expert.message",
        "slow.subtype",
        "lacp.version",
        "lacp.actor.sysid",
        "lacp.actor.port",
        "lacp.actor.key",
        "lacp.actor.state",
        "lacp.partner.state",
        "marker.requesterTransId",
    ];
    let mut tshark = Command::new("tshark");
    tshark
        .arg("-n")
        .arg("-r")
        .arg(&path)
        .args(["-T", "fields", "-E", "separator=|"]);
    for field in fields {
        tshark.args(["-e", field]);
    }
    let output = tshark.output().expect("tshark runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('|').collect()).collect();
    assert_eq!(lines.len(), frames.len());
    let number = |text: &str| {
        let digits = text.trim_start_matches("0x");
        let radix = if digits.len() == text.len() { 10 } else { 16 };
        u64::from_str_radix(digits, radix).unwrap_or_else(|_| panic!("{text} is no number"))
    };
    let mut markers = 0;
    for (line, (_, frame)) in lines.iter().zip(&frames) {
        let &[
            malformed,
            expert,
            subtype,
            version,
            system,
            port,
            key,
            actor,
            partner,
            transaction,
        ] = &line[..]
        else {
            panic!("{line:?}");
        };
        assert_eq!((malformed, expert), ("", ""), "{line:?}");
        assert_eq!(number(subtype), u64::from(frame[14]));
        if frame[14] == 2 {
            assert_eq!(number(transaction), 1);
            markers += 1;
            continue;
        }
        let Ok(Pdu::Lacpdu(lacpdu)) = lacp::pdu::parse(frame, MacAddress::SLOW_PROTOCOLS) else {
            panic!("own octets");
        };
        assert_eq!(number(version), u64::from(lacpdu.version_number));
        let address = lacpdu.actor.system.address.to_string().to_lowercase();
        assert_eq!(system, address.replace('-', ":"));
        assert_eq!(number(port), u64::from(lacpdu.actor.port.number));
        assert_eq!(number(key), u64::from(lacpdu.actor.key));
        assert_eq!(number(actor), u64::from(lacpdu.actor.state.0));
        assert_eq!(number(partner), u64::from(lacpdu.partner.state.0));
    }
    assert_eq!(markers, 2, "a marker and its response");
}
