//! `--tap`: ping and iperf3 of Linux through the packaged driver.
//!
//! Needs `IM_PACKAGE_DIR`, /dev/net/tun, and the right to make namespaces.

mod common;

use std::path::Path;

use common::run;

#[test]
fn linux_talks_through_the_driver() {
    let name = "linux_talks_through_the_driver";
    let Some(dir) = std::env::var_os("IM_PACKAGE_DIR") else {
        eprintln!("SKIP {name}: IM_PACKAGE_DIR is not set");
        return;
    };
    for program in ["ping", "iperf3"] {
        let there = std::process::Command::new(program).arg("-V").output();
        if there.is_err() {
            eprintln!("SKIP {name}: {program} is not installed");
            return;
        }
    }
    let said = run(Path::new(&dir), &["--tap"]);
    if said.code == Some(2) && said.text.contains("allow user namespaces") {
        eprintln!("SKIP {name}: no right to make network namespaces and TAP devices");
        return;
    }
    assert_eq!(said.code, Some(0), "{}", said.text);
    let pings = said.json["summary"]["ping"].as_array().expect("pings");
    assert_eq!(pings.len(), 2);
    for ping in pings {
        assert_eq!(ping["answered"], 100, "{ping}");
    }
    let steps = said.json["summary"]["steps"].as_array().expect("steps");
    let named = |name: &str| steps.iter().filter(|step| step["name"] == name).count();
    assert_eq!(named("iperf3"), 2);
    assert_eq!(named("octets sent: driver and Linux agree"), 1);
    assert_eq!(named("octets received: driver and Linux agree"), 1);
}
