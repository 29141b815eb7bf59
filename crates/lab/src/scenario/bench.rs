//! What the hop through a driver costs: nanoseconds for each list, against the same path
//! without the driver, in one run.

use lab_host::Host;

use super::stage::{Stage, device};
use super::{progress, step, tour};
use crate::summary::Summary;

/// Lists in a chain.
const BATCHES: [u64; 3] = [1, 32, 256];
const PASSES: usize = 41;

/// Measures both directions in every batch size.
pub fn run(host: &Host, stage: &Stage, summary: &mut Summary) {
    if stage.topology.miniports.len() > 1 {
        // Its frames would be for no port with a VLAN: the price of a drop is not asked.
        let why = "this topology has several ports: `lab bench-ports` measures those";
        return step(summary, "hop", false, why);
    }
    let Some(bindings) = tour::bring_up(host, stage, summary) else {
        return;
    };
    let miniport = stage
        .topology
        .miniports
        .first()
        .and_then(|m| host.miniport(&device(&m.name)));
    if let (Some(miniport), Some(&binding)) = (miniport, bindings.first()) {
        // What starting up has under way ends first.
        host.sleep(5_000_000);
        let total = 2 * BATCHES.len() as u64;
        for (done, (receive, batch)) in [false, true]
            .into_iter()
            .flat_map(|r| BATCHES.map(|b| (r, b)))
            .enumerate()
        {
            summary
                .hops
                .push(host.measure_hop(miniport, binding, batch, receive, PASSES));
            progress(host, "measurements", done as u64 + 1, total);
        }
    }
    step(
        summary,
        "hop",
        !summary.hops.is_empty(),
        format!("{PASSES} passes over 4,096 lists each, medians"),
    );
    tour::bring_down(host, &bindings, summary);
}
