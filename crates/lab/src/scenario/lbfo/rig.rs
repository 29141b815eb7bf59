//! A team with a flood of thousands of flows each way, and the book of what went by which
//! adapter.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex};

use lab_host::Host;
use lab_host::ndis::EdgeState;
use lab_net::oracle::{Flow, FlowId, Ledger, SentFrame, Sink, Swarm, SwarmPace, peek};
use lab_net::team::Shared;
use lab_net::{Endpoint, Frame, Mac, lock};

use super::plan::{Mode, Plan};
use crate::process::RunJob;
use crate::scenario::stage::{Files, Stage, device};
use crate::scenario::{step, teams, tour};
use crate::summary::Summary;
use crate::topology::endpoints::Endpoints;
use crate::topology::{Place, Topology};
use crate::trouble::Trouble;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// Octets of the flood's frames: every frame costs the same work, whatever its length.
pub const LENGTH: usize = 500;
/// What a frame costs on a wire beyond its octets: preamble, check sequence, gap.
pub const OVERHEAD: usize = 24;
/// What a member takes from joining to hearing everything.
const SETTLE: u64 = 20 * MS;
/// Flows from behind the switch.
const UP_FLOWS: u16 = 500;

/// The ends of the flood, in addresses of their own.
const ABOVE: Mac = Mac::local(4, 1);
const BEHIND: Mac = Mac::local(4, 2);

/// Bits that a frame takes on a wire.
pub const fn wire_bits(length: usize) -> u64 {
    8 * (length + OVERHEAD) as u64
}

/// The `number`th flow's ends: pairs of addresses and ports like those of a busy server.
pub fn ends(number: u16, up: bool) -> (SocketAddrV4, SocketAddrV4) {
    let client = Ipv4Addr::new(198, 51, 100, 10 + (number % 200) as u8);
    let server = Ipv4Addr::new(198, 51, 100, 1);
    let near = SocketAddrV4::new(server, 443);
    let far = SocketAddrV4::new(client, 1_024 + number);
    if up { (far, near) } else { (near, far) }
}

/// Takes what arrives, and notes when.
pub struct Arrivals {
    sink: Sink,
    /// Frames that arrived, copies too.
    pub frames: u64,
    /// When the last did.
    pub last: u64,
}

impl Endpoint for Arrivals {
    fn on_frame(&mut self, now: u64, frame: &[u8]) {
        if peek(frame).is_some() {
            self.frames += 1;
            self.last = now;
        }
        self.sink.on_frame(now, frame);
    }

    fn poll(&mut self, _now: u64, _out: &mut dyn FnMut(Frame) -> bool) {}

    fn next_poll(&mut self, _now: u64) -> Option<u64> {
        None
    }
}

/// A frame that an adapter took.
#[derive(Clone, Copy, Debug)]
pub struct Handed {
    /// When.
    pub at: u64,
    /// Which adapter.
    pub nic: usize,
    /// Its flow.
    pub flow: u32,
    /// Its number in the flow.
    pub number: u32,
}

/// What went by which adapter.
#[derive(Debug, Default)]
pub struct Book {
    /// Frames by adapter.
    pub frames: Vec<u64>,
    /// Adapters of each flow, a bit each.
    pub members: Vec<u32>,
    /// Each frame, while that is wanted.
    pub log: Option<Vec<Handed>>,
}

impl Book {
    /// Begins anew for so many flows.
    pub fn clear(&mut self, nics: usize, flows: usize) {
        self.frames = vec![0; nics];
        self.members = vec![0; flows];
    }

    fn note(&mut self, at: u64, nic: usize, flow: u32, number: u64) {
        if let Some(frames) = self.frames.get_mut(nic) {
            *frames += 1;
        }
        if let Some(members) = self.members.get_mut(flow as usize) {
            *members |= 1 << nic;
        }
        if let Some(log) = &mut self.log {
            log.push(Handed {
                at,
                nic,
                flow,
                number: number as u32,
            });
        }
    }
}

/// The team and its floods.
pub struct Rig {
    /// The stage.
    pub stage: Stage,
    /// What is run.
    pub plan: Plan,
    /// The flood from above the team.
    pub down: Arc<Mutex<Swarm>>,
    /// Where it arrives.
    pub far: Arc<Mutex<Arrivals>>,
    /// The flood from behind the switch.
    pub up: Arc<Mutex<Swarm>>,
    /// What went down by which adapter.
    pub book: Arc<Mutex<Book>>,
    /// The team's miniport, by name.
    pub team: String,
    /// What the wires lead to.
    pub switch: Shared,
}

struct Made {
    down: Arc<Mutex<Swarm>>,
    far: Arc<Mutex<Arrivals>>,
    up: Arc<Mutex<Swarm>>,
    flows: BTreeMap<FlowId, u32>,
}

fn flood(ledger: &Ledger, count: u16, up: bool, ordered: bool, team: Mac) -> (Swarm, Sink) {
    let (source, destination) = if up { (ABOVE, team) } else { (team, BEHIND) };
    let flows: Vec<FlowId> = (0..count)
        .map(|number| {
            let (from, to) = ends(number, up);
            let name = if up { "up" } else { "down" };
            let flow = Flow::udp(name, source, destination, from, to);
            ledger.add_flow(Flow { ordered, ..flow })
        })
        .collect();
    let sink = Sink::new(ledger, destination, &flows);
    let pace = SwarmPace {
        frames: 0,
        length: LENGTH,
        ..SwarmPace::default()
    };
    (Swarm::new(ledger, flows, pace).logged(), sink)
}

fn floods(
    endpoints: &mut Endpoints,
    topology: &Topology,
    flows: u16,
    mode: Mode,
) -> Result<Made, Trouble> {
    let team = topology.teams.first().map(|team| team.name.clone());
    let switch = topology.switches.first().map(|switch| switch.name.clone());
    let (Some(team), Some(switch)) = (team, switch) else {
        return Err(Trouble::input("the topology has no team or no switch"));
    };
    let (team, switch) = (Place::Miniport(team), Place::Switch(switch));
    let mac = topology.mac_above(&team);
    let share = |sink| {
        Arc::new(Mutex::new(Arrivals {
            sink,
            frames: 0,
            last: 0,
        }))
    };
    // What comes from the switch comes by one wire for each flow, whatever the team does;
    // but a plain bridge follows the last frame that it heard.
    let up_ordered = mode != Mode::Broadcast;
    let (down, far) = flood(&endpoints.ledger, flows, false, mode.keeps_order(), mac);
    let (up, near) = flood(&endpoints.ledger, UP_FLOWS, true, up_ordered, mac);
    let ids = down.flows().iter().zip(0..).map(|(id, at)| (*id, at));
    let made = Made {
        flows: ids.collect(),
        down: Arc::new(Mutex::new(down)),
        far: share(far),
        up: Arc::new(Mutex::new(up)),
    };
    endpoints.attach(&team, None, Arc::clone(&made.down));
    endpoints.attach(&team, None, near);
    endpoints.attach(&switch, Some(BEHIND), Arc::clone(&made.far));
    endpoints.attach(&switch, Some(ABOVE), Arc::clone(&made.up));
    Ok(made)
}

impl Rig {
    /// Sets the stage on a host that has the driver loaded and nothing else.
    pub fn new(
        host: &Host,
        job: &RunJob,
        plan: &Plan,
        flows: u16,
        seed: u64,
        files: Files,
    ) -> Result<Self, Trouble> {
        let topology = plan.topology(&job.topology)?;
        Self::on(host, job, &topology, plan, flows, seed, files)
    }

    /// The same on a topology that was made from the plan's.
    pub fn on(
        host: &Host,
        job: &RunJob,
        topology: &Topology,
        plan: &Plan,
        flows: u16,
        seed: u64,
        files: Files,
    ) -> Result<Self, Trouble> {
        let mut made = None;
        let stage = Stage::with(host, job, topology, seed, files, |endpoints| {
            made = Some(floods(endpoints, topology, flows, plan.mode));
        })?;
        let made = made.ok_or_else(|| Trouble::host("the floods were not made"))??;
        let switch = topology.switches.first();
        let switch = switch.and_then(|switch| stage.switch(&switch.name));
        let switch = switch.cloned().ok_or_else(|| Trouble::host("no switch"))?;
        let book: Arc<Mutex<Book>> = Arc::default();
        lock(&book).clear(topology.adapters.len(), usize::from(flows));
        let (shared, ids) = (Arc::clone(&book), made.flows);
        stage.watch(host, move |now, nic, up, frame| {
            if up {
                return;
            }
            if let Some((flow, number)) = peek(frame)
                && let Some(&flow) = ids.get(&flow)
            {
                lock(&shared).note(now, nic, flow, number);
            }
        });
        Ok(Self {
            team: topology.teams[0].name.clone(),
            stage,
            plan: plan.clone(),
            down: made.down,
            far: made.far,
            up: made.up,
            book,
            switch,
        })
    }

    /// How many members.
    pub fn members(&self) -> usize {
        self.plan.speeds.len()
    }

    /// The team's miniport.
    pub fn miniport(&self, host: &Host) -> Option<u64> {
        host.miniport(&device(&self.team))
    }

    /// Lets the protocol above the team and everybody behind the switch speak.
    pub fn kick(&self, host: &Host) {
        self.stage.kick(host);
    }

    /// Starts the driver, binds all members and waits until the team carries frames over
    /// each: with LACP that takes a while.
    pub fn bring_up(&self, host: &Host, summary: &mut Summary) -> Option<Vec<u64>> {
        let bindings = tour::bring_up(host, &self.stage, summary)?;
        let all = u32::MAX >> (32 - self.members().clamp(1, 32));
        let up = host.wait_until("for the team's links", MS, 30 * SECOND, |host| {
            lock(&self.switch).usable() == all && self.has_link(host) && self.is_whole(host)
        });
        let usable = lock(&self.switch).usable();
        step(
            summary,
            &format!(
                "{} with {} members is up",
                self.plan.mode.name(),
                self.members()
            ),
            up,
            format!(
                "links that carry frames at the far end: {usable:#b}, link shown above: {}",
                self.has_link(host)
            ),
        );
        // A static aggregation sends by every link that is up: the filter of the member that
        // joined last is set a moment later.
        host.sleep(SETTLE);
        up.then_some(bindings)
    }

    /// Whether every member has joined and lives, as the driver sees it.
    fn is_whole(&self, host: &Host) -> bool {
        let all = teams::teams(host).ok();
        let team = all.and_then(|teams| teams.into_iter().next());
        team.is_some_and(|team| {
            let members = self.members() as u32;
            team.members.count_ones() == members && team.alive.count_ones() == members
        })
    }

    /// Whether the team shows a link and runs.
    pub fn has_link(&self, host: &Host) -> bool {
        let Some(miniport) = self.miniport(host) else {
            return false;
        };
        host.miniport_state(miniport) == Some(EdgeState::Running)
            && host
                .miniport_facts(miniport)
                .is_some_and(|facts| facts.connect_state == 1)
    }

    /// Sends so many frames down at a pace, and waits until all are complete and have
    /// left the wires.
    pub fn send(&self, host: &Host, frames: u64, pace: SwarmPace) -> bool {
        self.start(host, frames, pace);
        self.settle(host, 60 * SECOND)
    }

    /// Begins to send down.
    pub fn start(&self, host: &Host, frames: u64, pace: SwarmPace) {
        {
            let mut down = lock(&self.down);
            down.set_pace(pace);
            down.go_on(host.now(), frames);
        }
        self.kick(host);
    }

    /// Waits until nothing is under way any more.
    pub fn settle(&self, host: &Host, limit: u64) -> bool {
        host.wait_until("for what is under way", MS / 20, limit, |host| {
            lock(&self.down).is_done()
                && lock(&self.up).is_done()
                && (0..host.uppers()).all(|upper| host.upper_in_flight(upper) == 0)
                && (0..self.stage.topology.adapters.len()).all(|nic| host.nic_is_idle(nic))
        })
    }

    /// What the flood has sent since the last call.
    pub fn take_sent(&self) -> Vec<SentFrame> {
        lock(&self.down).take_log()
    }
}
