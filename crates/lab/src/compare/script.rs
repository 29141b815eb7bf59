//! The script: one traffic mix, and what is done to the first adapter while it flows.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use lab_host::Host;
use lab_host::ndis::Outstanding;
use lab_host::report::CallKind;
use lab_net::lock;
use lab_net::oracle::{Flow, FlowId, Generator, Pace, Sink, Verdict};

use super::network::{FAR, Network, Station};
use super::report::{Act, AtRisk, Call, Chains, Effect, Life, Mix, Series, Total, ratio};
use super::switch::FLOW_PORT;
use crate::scenario::{Stage, device};
use crate::topology::Topology;

const US: u64 = 1_000;
const MS: u64 = 1_000 * US;

/// Flows each way: as many for each miniport, whether there are one, two or six.
const FLOWS: u16 = 12;
const BURST: u32 = 4;
const INTERVAL: u64 = 200 * US;
/// From the begin of one flow to that of the next: there is always a burst under way.
const APART: u64 = INTERVAL / FLOWS as u64;
/// The largest packet: behind a tag it still fits, if no miniport takes less.
const MTU: u32 = 1_500;
/// Length of a slice in the plots.
const SLICE: u64 = 2 * INTERVAL;
/// A frame that is sent so shortly before an act may be lost in it.
const GRACE: u64 = 300 * US;
/// A flow that was silent so long at the end of an act has ended.
const ENDED: u64 = 4 * MS;

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Deed {
    Nothing,
    Cable,
    PauseBelow,
    PauseAbove,
    Unbind,
}

/// An act: its name, what is done, how long until it is undone, how long it is in all.
struct Scene {
    name: &'static str,
    what: &'static str,
    deed: Deed,
    undone: Option<u64>,
    length: u64,
}

const SCENES: [Scene; 5] = [
    Scene {
        name: "steady",
        what: "nothing: traffic flows",
        deed: Deed::Nothing,
        undone: None,
        length: 8 * MS,
    },
    Scene {
        name: "cable pulled",
        what: "nic0's cable is pulled, and put back",
        deed: Deed::Cable,
        undone: Some(8 * MS),
        length: 16 * MS,
    },
    Scene {
        name: "pause below",
        what: "the binding to nic0 is paused (NetEventPause), and restarted",
        deed: Deed::PauseBelow,
        undone: Some(2 * MS),
        length: 8 * MS,
    },
    Scene {
        name: "pause above",
        what: "the first virtual miniport is paused (MiniportPause), and restarted",
        deed: Deed::PauseAbove,
        undone: Some(2 * MS),
        length: 8 * MS,
    },
    Scene {
        name: "unbind",
        what: "the driver is unbound from nic0, for good",
        deed: Deed::Unbind,
        undone: None,
        length: 8 * MS,
    },
];

/// Calls of the life cycle.
const LIFE_CYCLE: &[&str] = &[
    "MiniportPause",
    "NdisMPauseComplete",
    "MiniportRestart",
    "NdisMRestartComplete",
    "MiniportHaltEx",
    "ProtocolNetPnPEvent",
    "NdisCompleteNetPnPEvent",
    "ProtocolStatusEx",
    "NdisMIndicateStatusEx",
    "ProtocolUnbindAdapterEx",
    "NdisCompleteUnbindAdapterEx",
    "NdisCloseAdapterEx",
    "ProtocolCloseAdapterCompleteEx",
    "NdisIMDeInitializeDeviceInstance",
];
/// Calls of the data path, in and out, down and up.
const DATA_PATH: &[&str] = &[
    "MiniportSendNetBufferLists",
    "NdisSendNetBufferLists",
    "ProtocolReceiveNetBufferLists",
    "NdisMIndicateReceiveNetBufferLists",
];

/// The mix, for the document.
pub fn mix(topology: &Topology) -> Mix {
    Mix {
        flows: FLOWS.into(),
        burst: BURST.into(),
        interval_us: INTERVAL / US,
        adapters: topology.adapters.len() as u64,
        names: topology.adapters.iter().map(|a| a.name.clone()).collect(),
        link_speed_mbps: topology.adapters.first().map_or(0, |a| a.link_speed_mbps),
    }
}

/// The script, for the document.
pub fn acts() -> Vec<Act> {
    let mut at = 0;
    SCENES
        .iter()
        .map(|scene| {
            let began = at;
            at += scene.length;
            Act {
                name: scene.name.into(),
                what: scene.what.into(),
                at_us: began / US,
                undone_us: scene.undone.map(|undone| (began + undone) / US),
                until_us: at / US,
            }
        })
        .collect()
}

/// Runs the script and fills in what it did.
pub struct Script<'a> {
    host: &'a Host,
    stage: &'a Stage,
    network: &'a Network,
    bindings: &'a [u64],
    /// What a context or handle is called, and which edge it is.
    names: BTreeMap<u64, (String, &'static str)>,
    flows: Vec<FlowId>,
}

impl<'a> Script<'a> {
    /// Prepares flows between the stations and the far end.
    pub fn new(
        host: &'a Host,
        stage: &'a Stage,
        network: &'a Network,
        bindings: &'a [u64],
        stations: &[Station],
    ) -> Self {
        let mut names = BTreeMap::new();
        let adapters = stage.topology.bindings.iter().map(|b| b.adapter.clone());
        for (adapter, &binding) in adapters.zip(bindings) {
            let known = (adapter, "lower");
            names.extend(host.binding_context(binding).map(|c| (c, known.clone())));
            names.insert(binding, known);
        }
        for station in stations {
            let known = (station.name.clone(), "upper");
            let context = host.miniport_context(station.handle);
            names.extend(context.map(|c| (c, known.clone())));
            names.insert(station.handle, known);
        }
        let flows = flows(stage, network, stations);
        Self {
            host,
            stage,
            network,
            bindings,
            names,
            flows,
        }
    }

    /// Runs it.
    pub fn run(&self, life: &mut Life) {
        self.begin();
        for scene in &SCENES {
            let effect = self.act(scene, life);
            life.acts.push(effect);
        }
        self.stop();
        if !self.network.settle(self.host, self.stage) {
            life.failures
                .push("frames are still under way at the end".into());
        }
        self.settle_accounts(life);
        life.series = self.series();
    }

    /// Runs its first act, and then pauses both edges with nothing under way: for a driver that
    /// may never come to the end of a pause.
    pub fn run_first_act(&self, life: &mut Life) {
        self.begin();
        let effect = self.act(&SCENES[0], life);
        life.acts.push(effect);
        self.stop();
        self.host.sleep(4 * MS);
        lock(&self.network.switch).set_awake(false);
        self.host.sleep(MS);
        for deed in [Deed::PauseAbove, Deed::PauseBelow] {
            self.perform(deed, true);
            self.perform(deed, false);
        }
    }

    fn begin(&self) {
        let began = self.host.now();
        for post in self.posts() {
            lock(post).begin(began, APART, SLICE);
        }
        self.stage.kick(self.host);
    }

    fn stop(&self) {
        for post in self.posts() {
            lock(post).stop();
        }
    }

    fn posts(&self) -> impl Iterator<Item = &super::switch::Shared> {
        self.network.above.iter().chain([&self.network.far])
    }

    fn outstanding(&self) -> Outstanding {
        let each = self
            .bindings
            .iter()
            .map(|&b| self.host.binding_outstanding(b));
        each.fold(Outstanding::default(), |sum, one| Outstanding {
            sends: sum.sends + one.sends,
            receives: sum.receives + one.receives,
            requests: sum.requests + one.requests,
        })
    }

    fn act(&self, scene: &Scene, life: &mut Life) -> Effect {
        let host = self.host;
        let ledger = &self.stage.endpoints.ledger;
        let before = ledger.verdict();
        let began = host.now();
        ledger.open_window(scene.name, began, GRACE);
        for post in self.posts() {
            lock(post).start_gaps(began);
        }
        let miniports = self.running();
        let of_first = self
            .bindings
            .first()
            .map_or_else(Outstanding::default, |&b| host.binding_outstanding(b));
        let out = self.outstanding();
        let seen = lock(&self.network.switch).counts();
        host.follow(match scene.deed {
            Deed::Nothing => DATA_PATH,
            _ => LIFE_CYCLE,
        });
        self.perform(scene.deed, true);
        let took = host.now() - began;
        if let Some(undone) = scene.undone {
            self.sleep_until(began + undone);
            self.perform(scene.deed, false);
        }
        self.sleep_until(began + scene.length);
        let now = host.now();
        let silence = self
            .posts()
            .map(|post| lock(post).gaps(now).max().unwrap_or(0));
        let silence = silence.max().unwrap_or(0);
        // Whatever is on its way when the next act begins belongs to that.
        if scene.deed != Deed::Unbind {
            ledger.close_window(scene.name, now.saturating_sub(GRACE));
        }
        let after = ledger.verdict();
        let calls = host.followed();
        host.follow(&[]);
        let mut order = Vec::new();
        if scene.deed == Deed::Nothing {
            life.chains = chains(&calls);
        } else {
            order = self.order(began, &calls);
        }
        if scene.deed == Deed::Unbind {
            let ended = self
                .posts()
                .map(|post| lock(post).silent_since(now - ENDED));
            life.unbind = AtRisk {
                miniports_before: miniports,
                miniports_gone: miniports - self.running(),
                flows_ended: ended.sum(),
                flows_before: self.flows.len() as u64,
                sends_out: of_first.sends,
                receives_out: of_first.receives,
                requests_out: of_first.requests,
                // Known when nothing is on its way any more.
                lost: 0,
            };
        }
        Effect {
            name: scene.name.into(),
            sent: after.sent - before.sent,
            reordered: after.reordered - before.reordered,
            duplicated: after.duplicated - before.duplicated,
            silence_us: silence / US,
            took_us: took / US,
            sends_out: out.sends,
            receives_out: out.receives,
            ports: {
                let now = lock(&self.network.switch).counts();
                now.iter()
                    .zip(&seen)
                    .map(|(now, then)| now - then)
                    .collect()
            },
            order,
            ..Effect::default()
        }
    }

    fn running(&self) -> u64 {
        let each = self.stage.topology.miniports.iter();
        each.filter(|m| self.host.miniport(&device(&m.name)).is_some())
            .count() as u64
    }

    fn sleep_until(&self, time: u64) {
        let left = time.saturating_sub(self.host.now());
        if left > 0 {
            self.host.sleep(left);
        }
    }

    /// Does a deed, or undoes it.
    fn perform(&self, deed: Deed, done: bool) {
        let host = self.host;
        let first = self.stage.topology.miniports.first();
        let miniport = first.and_then(|m| host.miniport(&device(&m.name)));
        let binding = self.bindings.first().copied();
        match (deed, binding, miniport) {
            (Deed::Cable, ..) => {
                lock(&self.network.switch).set_link(0, !done);
                host.set_link(0, !done);
            }
            (Deed::PauseBelow, Some(binding), _) if done => host.pause_binding(binding),
            (Deed::PauseBelow, Some(binding), _) => host.restart_binding(binding),
            (Deed::PauseAbove, _, Some(miniport)) if done => host.pause_miniport(miniport),
            (Deed::PauseAbove, _, Some(miniport)) => {
                host.restart_miniport(miniport);
            }
            (Deed::Unbind, Some(binding), _) => host.unbind(binding),
            _ => {}
        }
    }

    /// What was followed, in the words of the document.
    fn order(&self, began: u64, calls: &[lab_host::host::Followed]) -> Vec<Call> {
        let mut order = Vec::new();
        for call in calls {
            let shown = match call.kind {
                CallKind::Return if call.name.starts_with("Ndis") => continue,
                CallKind::Return => match call.name {
                    "MiniportPause"
                    | "MiniportRestart"
                    | "ProtocolUnbindAdapterEx"
                    | "ProtocolNetPnPEvent"
                    | "MiniportHaltEx" => {
                        format!("{} returns", call.name)
                    }
                    _ => continue,
                },
                CallKind::Import | CallKind::Callback => match call.event.and_then(event) {
                    Some(event) => format!("{} {event}", call.name),
                    None => call.name.to_owned(),
                },
            };
            // An unbind's context is the second argument; a return has none.
            let known = call.args[..2].iter().find_map(|arg| self.names.get(arg));
            let before = |calls: &[Call]| {
                let same = calls.iter().rev().find(|c| c.name.starts_with(call.name));
                same.map(|c| (c.about.clone(), c.edge.clone()))
            };
            let (about, edge) = match (call.kind, known) {
                (CallKind::Return, _) => before(&order).unwrap_or_default(),
                (_, Some((name, edge))) => (name.clone(), (*edge).to_owned()),
                (_, None) => (String::new(), edge_of(call.name).to_owned()),
            };
            order.push(Call {
                after_us: (call.time - began) / US,
                name: shown,
                about,
                edge,
            });
        }
        order
    }

    /// Reads the books when nothing is on its way any more.
    fn settle_accounts(&self, life: &mut Life) {
        let ledger = &self.stage.endpoints.ledger;
        let verdicts: Vec<Verdict> = self.flows.iter().map(|&f| ledger.flow_verdict(f)).collect();
        for effect in &mut life.acts {
            let lost = verdicts.iter().map(|verdict| {
                let mine = verdict
                    .excused
                    .iter()
                    .filter(|(name, _)| *name == effect.name);
                mine.map(|(_, count)| count).sum::<u64>()
            });
            let lost: Vec<u64> = lost.collect();
            effect.lost = lost.iter().sum();
            effect.flows_hit = lost.iter().filter(|lost| **lost > 0).count() as u64;
        }
        life.unbind.lost = life.acts.last().map_or(0, |act| act.lost);
        let verdict = ledger.verdict();
        life.total = Total {
            sent: verdict.sent,
            received: verdict.received,
            lost: verdict.excused_total() + verdict.lost,
            reordered: verdict.reordered,
            duplicated: verdict.duplicated,
            wrong: verdict.corrupted + verdict.alien,
        };
        if verdict.corrupted + verdict.alien > 0 {
            life.failures
                .push(format!("frames changed or strayed: {verdict}"));
        }
        if verdict.lost > 0 {
            life.failures.push(format!(
                "{} frames were lost outside of the script",
                verdict.lost
            ));
        }
    }

    fn series(&self) -> Series {
        let mut up: Vec<u64> = Vec::new();
        for post in &self.network.above {
            let post = lock(post);
            up.resize(up.len().max(post.slices().len()), 0);
            for (sum, count) in up.iter_mut().zip(post.slices()) {
                *sum += count;
            }
        }
        let mut down = lock(&self.network.far).slices().to_vec();
        let slices = (SCENES.iter().map(|scene| scene.length).sum::<u64>() / SLICE) as usize;
        up.resize(slices, 0);
        down.resize(slices, 0);
        Series {
            slice_us: SLICE / US,
            down,
            up,
        }
    }
}

/// Makes the flows: application `n` sits on the miniport `n` modulo their number, and talks
/// to the far station both ways.
fn flows(stage: &Stage, network: &Network, stations: &[Station]) -> Vec<FlowId> {
    let ledger = &stage.endpoints.ledger;
    let smallest = stations.iter().map(|station| station.mtu).min();
    let pace = Pace {
        frames: u64::MAX,
        mtu: smallest.unwrap_or(MTU).min(MTU) as u16,
        interval: INTERVAL,
        burst: BURST,
    };
    let generator = |flow| Generator::starting_at(ledger, flow, pace, u64::MAX);
    let mut all = Vec::new();
    let mut down = Vec::new();
    let mut up = vec![Vec::new(); stations.len()];
    for n in 0..FLOWS {
        let at = usize::from(n) % stations.len().max(1);
        let Some((station, post)) = stations.get(at).zip(network.above.get(at)) else {
            continue;
        };
        // RFC 5737's second block for documentation.
        let end = |last, port| SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, last), port);
        let (here, there) = (1 + n as u8, 200);
        let flow = ledger.add_flow(Flow::udp(
            format!("{} down {n}", station.name),
            station.mac,
            FAR,
            end(here, 10_000 + n),
            end(there, FLOW_PORT + n),
        ));
        lock(post).add_source(generator(flow), None);
        down.push(flow);
        let flow = ledger.add_flow(Flow::udp(
            format!("{} up {n}", station.name),
            FAR,
            station.mac,
            end(there, 10_000 + n),
            end(here, FLOW_PORT + n),
        ));
        lock(&network.far).add_source(generator(flow), station.tag);
        up[at].push(flow);
    }
    for ((station, post), flows) in stations.iter().zip(&network.above).zip(&up) {
        lock(post).set_sink(Sink::new(ledger, station.mac, flows));
        all.extend(flows);
    }
    let far = Arc::clone(&network.far);
    lock(&far).set_sink(Sink::new(ledger, FAR, &down));
    all.extend(down);
    all
}

fn chains(calls: &[lab_host::host::Followed]) -> Vec<Chains> {
    let count = |name: &str| {
        let mine = calls
            .iter()
            .filter(|c| c.name == name && c.kind != CallKind::Return);
        mine.count() as u64
    };
    let [send, out, receive, indicate] = [0, 1, 2, 3].map(|at| count(DATA_PATH[at]));
    let one = |way: &str, calls_in, calls_out| Chains {
        way: way.into(),
        calls_in,
        calls_out,
        ratio: ratio(calls_out, calls_in),
    };
    vec![one("down", send, out), one("up", receive, indicate)]
}

fn event(code: i32) -> Option<&'static str> {
    use ndis_sys as sys;
    Some(match sys::NET_PNP_EVENT_CODE(code) {
        sys::NetEventPause => "NetEventPause",
        sys::NetEventRestart => "NetEventRestart",
        sys::NetEventSetPower => "NetEventSetPower",
        sys::NetEventReconfigure => "NetEventReconfigure",
        _ => return None,
    })
}

/// The edge that a function belongs to, where its argument is not known any more.
fn edge_of(name: &str) -> &'static str {
    if name.starts_with("Miniport") || name.starts_with("NdisM") || name.starts_with("NdisIM") {
        "upper"
    } else {
        "lower"
    }
}
