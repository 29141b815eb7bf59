//! The whole life of the driver in the topology's own mode.

use lab_host::Host;
use lab_net::lock;

use super::super::stage::Stage;
use super::super::{control, step, tour};
use super::matrix::Posts;
use super::{matrices, net, oids, timeline};
use crate::summary::Summary;

const MS: u64 = 1_000_000;
/// Bytes of each TCP transfer: there are two on each port.
const TRANSFER: u64 = 4 << 20;

/// From `DriverEntry` to unload.
pub fn whole(host: &Host, stage: &Stage, posts: &Posts, summary: &mut Summary) {
    let Some(bindings) = tour::bring_up(host, stage, summary) else {
        return;
    };
    let net = net::net(host, stage);
    net::check_addresses(host, stage, &net, summary);
    let pairs = tour::pairs(stage);
    tour::ping_all(host, stage, &pairs, summary, true);
    let mut talked: Vec<&(String, String)> = Vec::new();
    for pair in &pairs {
        // Once for each two hosts, whatever addresses they have.
        if !talked.contains(&&pair.names) {
            tour::tcp(host, stage, pair, TRANSFER, summary);
            talked.push(&pair.names);
        }
    }
    matrices(host, stage, posts, &net, summary);
    let foreign = posts
        .ports
        .iter()
        .all(|post| lock(&post.0).heard.is_empty());
    step(
        summary,
        "nothing heard between matrices",
        foreign,
        "no probe came late",
    );
    oids::run(host, stage, posts, &net, summary);
    timeline::run(host, stage, &bindings, summary);
    let again = tour::ping_all(host, stage, &pairs, summary, false);
    step(
        summary,
        "traffic after the timeline",
        again,
        "every echo answered",
    );
    tour::link_flap(host, stage, &pairs, summary);
    tour::power_cycle(host, stage, &pairs, &bindings, summary);
    control::ask(host, stage, summary);
    host.sleep(MS);
    tour::bring_down(host, &bindings, summary);
}
