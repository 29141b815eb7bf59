//! Scenario `layers`: images below the driver, in place of the lab's adapters, and above it, in
//! place of the lab's protocols, all in one host.
//!
//! NDIS starts each adapter that is an image and binds the driver to it; the lab itself is the
//! far end of its wire and what stands above the protocols, through the devices of those
//! drivers. Every list crosses three drivers and is held to every rule at each edge.

use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;

use lab_host::Host;
use lab_host::image::Image;
use lab_host::ndis::{BindRequest, Role, Value};

use super::stacked::{answers, cables, pauses, running};
use super::stage::{Files, Stage, device};
use super::{step, tour};
use crate::crash::handler;
use crate::host::load_trouble;
use crate::process::{FileUse, RunJob};
use crate::summary::Summary;
use crate::trouble::Trouble;

/// Name of the scenario.
pub const NAME: &str = "layers";

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// Bytes of each TCP transfer.
const TRANSFER: u64 = 1 << 20;

/// An image of the topology.
struct Layer {
    name: String,
    role: Role,
    image: Arc<Image>,
}

/// The scenario.
pub fn run(
    host: &Host,
    job: &RunJob,
    mut files: Files,
    summary: &mut Summary,
) -> Result<(), Trouble> {
    let layers = load(host, job, &mut files)?;
    if layers.is_empty() {
        return Err(
            Trouble::input("no adapter and no miniport of the topology is an image")
                .hint("--topology takes one with [[image]]; docs/lab.md describes it"),
        );
    }
    let stage = Stage::new(host, job, &job.topology, job.seed, files)?;
    host.run(NAME, |host| life(host, &stage, &layers, summary));
    stage.finish(host, summary);
    stage.captured()
}

/// Loads every image beside the driver's.
fn load(host: &Host, job: &RunJob, files: &mut Files) -> Result<Vec<Layer>, Trouble> {
    let mut layers = Vec::new();
    for image in &job.topology.images {
        let wanted = FileUse::Layer(image.name.clone());
        let at = files.iter().position(|(usage, _)| *usage == wanted);
        let at = at.ok_or_else(|| Trouble::host("an image was not handed over"))?;
        let mut bytes = Vec::new();
        File::from(files.remove(at).1)
            .read_to_end(&mut bytes)
            .map_err(|error| {
                Trouble::host(format!("cannot read the image {}: {error}", image.name))
            })?;
        let loaded = host.load_beside(&bytes).map_err(|error| {
            let trouble = load_trouble(&error);
            trouble.at(&image.name)
        })?;
        let name = Some(&image.name);
        let below = job.topology.adapters.iter();
        let role = if below.map(|a| a.driver.as_ref()).any(|d| d == name) {
            Role::Miniport
        } else {
            Role::Protocol
        };
        layers.push(Layer {
            name: image.name.clone(),
            role,
            image: loaded,
        });
    }
    if let (Some(first), Some(last)) = (host.image(), layers.last()) {
        handler::set_image(first.base, last.image.base + last.image.size - first.base);
    }
    Ok(layers)
}

fn life(host: &Host, stage: &Stage, layers: &[Layer], summary: &mut Summary) {
    if !enter(host, stage, layers, summary) {
        return;
    }
    let Some(bindings) = start(host, stage, summary) else {
        return;
    };
    let pairs = tour::pairs(stage);
    let first = tour::ping_all(host, stage, &pairs, summary, true);
    step(
        summary,
        "traffic through all",
        first && !pairs.is_empty(),
        "",
    );
    if let Some(pair) = pairs.first() {
        tour::tcp(host, stage, pair, TRANSFER, summary);
    }
    tour::flood(host, stage, summary);
    let edges: Vec<usize> = (0..stage.topology.adapters.len())
        .filter(|&nic| stage.topology.adapters[nic].driver.is_some())
        .collect();
    pauses(host, stage, &bindings, &edges, summary);
    for &nic in &edges {
        let name = &stage.topology.adapters[nic].name;
        let Some(miniport) = host.miniport(&device(name)) else {
            continue;
        };
        host.pause_miniport(miniport);
        host.sleep(MS);
        let ok = host.restart_miniport(miniport);
        step(summary, "pause and restart an adapter", ok, name.clone());
    }
    host.sleep(SECOND);
    answers(host, stage, "traffic after the pauses", summary);
    cables(host, stage, summary);
    leave(host, stage, &bindings, layers.len() + 1, summary);
}

/// `DriverEntry` of each.
fn enter(host: &Host, stage: &Stage, layers: &[Layer], summary: &mut Summary) -> bool {
    let mut all = vec![(stage.service.as_str(), host.driver_entry(&stage.service))];
    for layer in layers {
        let status = host.driver_entry_as(&layer.image, &layer.name, layer.role);
        all.push((&layer.name, status));
    }
    let shown: Vec<String> = all
        .iter()
        .map(|(name, status)| format!("{name}: {status:#x}"))
        .collect();
    let ok = all.iter().all(|(_, status)| *status >= 0);
    step(summary, "DriverEntry of all", ok, shown.join(", "));
    ok
}

/// Starts the adapters that are images, binds the driver to the lab's own, and opens the
/// devices by which frames go. The bindings of the lab's own adapters.
fn start(host: &Host, stage: &Stage, summary: &mut Summary) -> Option<Vec<u64>> {
    for adapter in &stage.topology.adapters {
        let Some(driver) = &adapter.driver else {
            continue;
        };
        let address = adapter.mac.0.iter();
        let address = address.fold(String::new(), |text, b| text + &format!("{b:02X}"));
        let list = vec![("NetworkAddress".to_owned(), Value::String(address))];
        if let Err(status) = host.start_adapter(&device(&adapter.name), driver, list) {
            let detail = format!("{}: status {status:#x}", adapter.name);
            step(summary, "start an adapter", false, detail);
            return None;
        }
    }
    let mut bindings = Vec::new();
    for request in stage.bind_requests() {
        let adapter = &stage.topology.adapters[request.nic];
        if adapter.driver.is_some() {
            continue;
        }
        let service = Some(stage.service.clone());
        match host.bind(BindRequest { service, ..request }) {
            Ok(binding) => {
                host.restart_binding(binding);
                bindings.push(binding);
            }
            Err(status) => {
                let detail = format!("{}: status {status:#x}", adapter.name);
                step(summary, "bind", false, detail);
            }
        }
    }
    let up = host.wait_until("for all drivers' miniports", MS, 10 * SECOND, |host| {
        running(host, stage).1 == 0
    });
    let mut open = 0;
    for &port in &stage.ports {
        // A protocol makes its device when it is bound, which NDIS does on a thread of its own.
        let end = host.now() + SECOND;
        while !host.frames_are_open(port) && host.now() < end {
            match host.open_frames(port) {
                Ok(()) => open += 1,
                Err(_) => host.sleep(MS),
            }
        }
    }
    host.sleep(SECOND);
    let (on, off) = running(host, stage);
    step(
        summary,
        "bind and start",
        up && open == stage.ports.len(),
        format!(
            "{on} virtual miniports run, {off} do not; {open} of {} devices are open",
            stage.ports.len()
        ),
    );
    up.then_some(bindings)
}

/// Programs close the devices, adapters stop, the lab's own are unbound, and all drivers go.
fn leave(host: &Host, stage: &Stage, bindings: &[u64], drivers: usize, summary: &mut Summary) {
    for &port in &stage.ports {
        host.close_frames(port);
    }
    for adapter in stage
        .topology
        .adapters
        .iter()
        .filter(|a| a.driver.is_some())
    {
        host.stop_adapter(&device(&adapter.name));
    }
    for &binding in bindings {
        host.unbind(binding);
    }
    let (left, miniports) = (host.bindings().len(), running(host, stage).0);
    step(
        summary,
        "unbind",
        left == 0 && miniports == 0,
        format!("{left} bindings and {miniports} miniports left"),
    );
    for _ in 0..drivers {
        host.uninstall();
        host.unload();
    }
    let leaks = super::leaks(host);
    step(
        summary,
        "unload all",
        leaks.is_empty(),
        format!("{} leaks", leaks.len()),
    );
}
