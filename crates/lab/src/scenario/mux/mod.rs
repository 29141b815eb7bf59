//! Scenario `mux`: one adapter, many ports.
//!
//! Several lives of the driver, each from `DriverEntry` to unload. The first has the
//! topology's own mode and everything in it: addresses, TCP/IP on every port, floods, the
//! isolation matrix, requests, malformed tags, the topology's timeline under traffic, link,
//! power. The others show the isolation matrix of the other modes.

mod life;
pub(super) mod matrix;
pub(super) mod model;
pub(super) mod net;
mod odd;
mod oids;
pub(super) mod ports;
pub(super) mod probe;
mod rough;
mod settings;
mod timeline;

use lab_host::{Host, RunEnd};

use super::stage::{Files, Stage};
use super::tour;
use crate::process::RunJob;
use crate::summary::Summary;
use crate::topology::endpoints::Endpoints;
use crate::topology::{Place, Topology};
use crate::trouble::Trouble;
pub(super) use matrix::Posts;
use model::{Hears, Mode, Net};
use probe::Shared;

/// Adds a post above each port of the topology's first binding and one at the far end.
fn posts(endpoints: &mut Endpoints, topology: &Topology) -> Posts {
    let first = topology.bindings.first();
    let names = first.map_or(&[][..], |binding| &binding.upper);
    let ports = names.iter().map(|name| {
        let post = Shared::default();
        endpoints.attach(&Place::Miniport(name.clone()), None, post.clone());
        post
    });
    let ports = ports.collect();
    let wire = Shared::default();
    if let Some(name) = topology.adapters.first().and_then(|a| a.wire.clone()) {
        endpoints.attach(&Place::Wire(name), None, wire.clone());
    }
    Posts { ports, wire }
}

/// Sets a stage with posts.
pub(super) fn stage(
    host: &Host,
    job: &RunJob,
    topology: &Topology,
    files: Files,
) -> Result<(Stage, Posts), Trouble> {
    let mut made = None;
    let stage = Stage::with(host, job, topology, job.seed, files, |endpoints| {
        made = Some(posts(endpoints, topology));
    })?;
    let posts = made.ok_or_else(|| Trouble::host("the posts were not set"))?;
    Ok((stage, posts))
}

/// The scenario.
pub fn run(host: &Host, job: &RunJob, files: Files, summary: &mut Summary) -> Result<(), Trouble> {
    let own = job.topology.bindings.first().map(net::mode);
    let (first, posts) = stage(host, job, &job.topology, files)?;
    let end = host.run("mux", |host| life::whole(host, &first, &posts, summary));
    first.finish(host, summary);
    first.captured()?;
    if end != RunEnd::Done {
        return Ok(());
    }
    for mode in Mode::ALL {
        if Some(mode) == own {
            continue;
        }
        summary.virtual_ns += host.now();
        host.reset(job.seed)
            .map_err(|error| Trouble::host(error.to_string()))?;
        host.set_quiet(true);
        let topology = net::with_mode(&job.topology, mode);
        let (stage, posts) = stage(host, job, &topology, Files::new())?;
        let end = host.run(mode.name(), |host| {
            mode_life(host, &stage, &posts, summary);
        });
        summary.leaks.extend(super::leaks(host));
        if end != RunEnd::Done {
            return Ok(());
        }
    }
    summary.virtual_ns += host.now();
    host.reset(job.seed)
        .map_err(|error| Trouble::host(error.to_string()))?;
    host.set_quiet(true);
    rough::run(host, job, &job.topology, summary)?;
    summary.leaks.extend(super::leaks(host));
    odd::run(host, job, summary)?;
    settings::run(host, job, summary)?;
    host.set_quiet(false);
    Ok(())
}

/// A life that shows who hears whom in one mode.
fn mode_life(host: &Host, stage: &Stage, posts: &Posts, summary: &mut Summary) {
    let Some(bindings) = tour::bring_up(host, stage, summary) else {
        return;
    };
    let net = net::net(host, stage);
    net::check_addresses(host, stage, &net, summary);
    matrices(host, stage, posts, &net, summary);
    tour::bring_down(host, &bindings, summary);
}

/// The matrices of one mode: with every kind of packet filter, and with a far end that
/// sends back what it hears.
fn matrices(host: &Host, stage: &Stage, posts: &Posts, net: &Net, summary: &mut Summary) {
    let mode = net.mode.name();
    matrix::run(host, stage, posts, net, mode, summary);
    let mut wide = net.clone();
    for (port, hears) in wide.ports.iter_mut().zip(
        [Hears::Everything, Hears::AllGroups, Hears::Everything]
            .into_iter()
            .cycle(),
    ) {
        port.hears = hears;
    }
    let title = format!("{mode}, promiscuous and all-multicast ports");
    matrix::run(host, stage, posts, &wide, &title, summary);
    if net.mode == Mode::Private {
        let mut deaf = net.clone();
        for port in deaf.ports.iter_mut().skip(1).step_by(2) {
            port.hears = Hears::Nothing;
        }
        let title = format!("{mode}, every second port with an empty filter");
        matrix::run(host, stage, posts, &deaf, &title, summary);
    }
    if matches!(net.mode, Mode::Private | Mode::Vepa) {
        let reflected = Net {
            reflecting: true,
            ..net.clone()
        };
        let title = format!("{mode}, the far end sends back what it hears");
        matrix::run(host, stage, posts, &reflected, &title, summary);
    }
    matrix::run(
        host,
        stage,
        posts,
        net,
        &format!("{mode}, once more"),
        summary,
    );
}
