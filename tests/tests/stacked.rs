//! One driver on another: mux on a team, and a team whose members are ports of mux, both
//! packaged images in one host.
//!
//! `cargo xtask test` builds the lab and the packages; without them each test skips itself.

use std::path::Path;

use workspace_tests::Bench;

fn stacked(test: &str, above: &str, below: &str) {
    let Some(bench) = Bench::of(test, below) else {
        return;
    };
    let topologies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/lab/topologies");
    let topology = topologies.join(format!("{above}-on-{below}.toml"));
    let package = bench.packages.join(above);
    let (topology, package) = (topology.to_string_lossy(), package.to_string_lossy());
    for seed in ["0x5eed", "4"] {
        let args = ["--above", &package, "--topology", &topology, "--seed", seed];
        let run = bench.clean(&args);
        for name in [
            "DriverEntry of both",
            "bind and start",
            "traffic through both",
            "pause and restart a miniport",
            "pause and restart the bindings",
            "link through both",
            "unbind",
            "unload both",
        ] {
            assert_eq!(run.step(name)["ok"], true, "{name}");
        }
        for ping in run.pings() {
            assert_eq!(ping.1, ping.2, "{ping:?}");
        }
        for udp in run.list("udp") {
            for what in ["lost", "duplicated", "damaged", "reordered"] {
                assert_eq!(udp[what], 0, "{what}: {udp}");
            }
        }
    }
}

/// VLAN ports on a team.
#[test]
fn ports_stand_on_a_team() {
    stacked("ports_stand_on_a_team", "mux", "lbfo");
}

/// A team over ports.
#[test]
fn a_team_stands_on_ports() {
    stacked("a_team_stands_on_ports", "lbfo", "mux");
}
