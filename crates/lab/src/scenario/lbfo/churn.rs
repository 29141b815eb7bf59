//! `lbfo-churn`: short lives of a team, each with a schedule of its own that joins, removes,
//! unplugs, silences, pauses, powers and pulls out members, loses PDUs and at last unbinds,
//! all under traffic each way.
//!
//! Every schedule starts from a pristine image and an empty arena. Its seed is the run's
//! seed plus its number, so that one schedule can be run again alone. Frames may be lost
//! while a cable is out or nobody is left; none ever comes twice or, where the mode keeps
//! the order, late.

use std::collections::BTreeMap;

use lab_host::ndis::BindRequest;
use lab_host::report::Severity;
use lab_host::{Host, RunEnd};
use lab_net::lock;
use lab_net::mix::Chance;
use lab_net::oracle::SwarmPace;
use lab_net::team::{Mute, Weather};

use super::plan::{Mode, Plan};
use super::rig::Rig;
use crate::process::RunJob;
use crate::scenario::stage::Files;
use crate::scenario::{progress, step, tour};
use crate::summary::{Counter, Summary, Udp};
use crate::topology::Bond;
use crate::trouble::Trouble;

const US: u64 = 1_000;
const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// Flows down.
const FLOWS: u16 = 24;
/// Between two bursts of frames each way: a schedule takes some hundred milliseconds, most
/// of which LACP needs to agree again.
const INTERVAL: u64 = 500 * US;
/// Frames that an adapter holds.
const QUEUE: u32 = 64;
/// What was sent so long before a disturbance may still be under way.
const GRACE: u64 = 20 * MS;
/// Broken schedules after which the run ends.
const ENOUGH: u64 = 8;
/// The window of what may be lost.
const DISTURBED: &str = "a disturbance";

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Join,
    Leave,
    Flap,
    Unplug,
    Plug,
    Silence,
    Weather,
    SleepBelow,
    PauseBelow,
    PauseAbove,
    PowerAbove,
    Surprise,
}

impl Deed {
    const ALL: [Self; 12] = [
        Self::Join,
        Self::Leave,
        Self::Flap,
        Self::Unplug,
        Self::Plug,
        Self::Silence,
        Self::Weather,
        Self::SleepBelow,
        Self::PauseBelow,
        Self::PauseAbove,
        Self::PowerAbove,
        Self::Surprise,
    ];

    const fn word(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Leave => "leave",
            Self::Flap => "flap",
            Self::Unplug => "unplug",
            Self::Plug => "plug",
            Self::Silence => "silence",
            Self::Weather => "PDU loss",
            Self::SleepBelow => "sleep below",
            Self::PauseBelow => "pause below",
            Self::PauseAbove => "pause above",
            Self::PowerAbove => "power above",
            Self::Surprise => "surprise",
        }
    }
}

/// A member in a schedule.
#[derive(Clone, Copy, Debug, Default)]
struct Member {
    binding: Option<u64>,
    plugged: bool,
    gone: bool,
}

/// Runs the job's schedules.
pub fn run(host: &Host, job: &RunJob, summary: &mut Summary) -> Result<(), Trouble> {
    let mut total = Udp {
        path: "all schedules".into(),
        reordering_allowed: true,
        ..Udp::default()
    };
    let mut done: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut broken = 0_u64;
    let mut first_bad = None;
    let mut ran = 0;
    for schedule in 0..job.cycles {
        let seed = job.seed.wrapping_add(schedule);
        host.set_quiet(schedule > 0);
        if schedule > 0 {
            summary.virtual_ns += host.now();
            host.reset(seed)
                .map_err(|error| Trouble::host(error.to_string()))?;
        }
        let mut chance = Chance::new(seed);
        let mode = Mode::ALL[chance.below(Mode::ALL.len() as u64) as usize];
        let plan = plan(mode, &mut chance);
        let mut topology = plan.topology(&job.topology)?;
        for adapter in &mut topology.adapters {
            // Lists by the hundred would be most of what a short life costs.
            adapter.queue_depth = QUEUE;
        }
        let rig = Rig::on(host, job, &topology, &plan, FLOWS, seed, Files::new())?;
        let mut one = Summary::default();
        let mut story = Vec::new();
        let end = host.run("schedule", |host| {
            Life {
                host,
                rig: &rig,
                chance: &mut chance,
                done: &mut done,
                story: &mut story,
                members: Vec::new(),
            }
            .run(&mut one);
        });
        ran += 1;
        let name = format!("schedule {schedule} (--seed {seed:#x} --schedules 1)");
        let title = format!("{} with {} members", mode.name(), plan.speeds.len());
        if end != RunEnd::Done {
            let text = format!("{name}, {title}: {}", story.join(", "));
            host.log(0, "lab", text);
            return Ok(());
        }
        let mut wrong = judge(&rig, &mut total);
        wrong.extend(one.failures());
        let findings = host.findings();
        wrong.extend(
            findings
                .iter()
                .filter(|f| f.severity != Severity::Warning)
                .map(|f| format!("{}: {}", f.rule, f.message)),
        );
        if !wrong.is_empty() {
            broken += 1;
            let text = format!(
                "{name}, {title}: {}; did: {}",
                wrong.join("; "),
                story.join(", ")
            );
            host.log(0, "lab", text.clone());
            first_bad.get_or_insert(text);
        }
        summary.leaks.extend(super::super::leaks(host));
        if schedule % 8 == 7 || schedule + 1 == job.cycles {
            progress(host, "schedules", schedule + 1, job.cycles);
        }
        if broken >= ENOUGH {
            break;
        }
    }
    summary.udp.push(total);
    for (name, value) in done {
        summary.counters.push(Counter {
            owner: "schedules".into(),
            name: name.into(),
            value,
        });
    }
    step(
        summary,
        "schedules",
        broken == 0 && ran == job.cycles,
        first_bad.unwrap_or_else(|| format!("{ran} of {} clean", job.cycles)),
    );
    Ok(())
}

/// A team by chance.
fn plan(mode: Mode, chance: &mut Chance) -> Plan {
    let members = 2 + chance.below(3) as usize;
    let speeds = (0..members)
        .map(|_| [1_000, 1_000, 2_500, 10_000][chance.below(4) as usize])
        .collect();
    let mut plan = Plan::of(mode, speeds)
        .with("Failback", chance.below(3) as u32)
        .with("HashPolicy", chance.below(4) as u32)
        .with("HashSymmetric", chance.below(2) as u32)
        .with("KeepDuplicates", 0);
    if chance.below(3) == 0 {
        plan = plan
            .with("UpDelay", chance.below(3) as u32)
            .with("DownDelay", chance.below(3) as u32);
    }
    if mode == Mode::Lacp {
        plan = plan
            .with("LacpFast", chance.below(2) as u32)
            .with("Strict", chance.below(2) as u32);
    }
    plan.window = 64;
    plan
}

/// What is wrong with what arrived.
fn judge(rig: &Rig, total: &mut Udp) -> Vec<String> {
    let mut wrong = Vec::new();
    let mode = rig.plan.mode;
    for name in ["down", "up"] {
        let verdicts = rig.stage.endpoints.ledger.flow_verdicts();
        let mut one = Udp::default();
        for (_, v) in verdicts.iter().filter(|(known, _)| known == name) {
            one.sent += v.sent;
            one.received += v.received;
            one.lost += v.lost;
            one.duplicated += v.duplicated;
            one.reordered += v.misordered;
            one.damaged += v.corrupted + v.alien;
            one.allowed_drops += v.excused_total();
        }
        // That is what broadcast is for; and a plain bridge that has forgotten where the
        // team is sends a frame for it by every port.
        let floods = name == "up" && mode.bond() == Bond::Bridge;
        if mode == Mode::Broadcast || floods {
            one.duplicated = 0;
        }
        if one.lost + one.duplicated + one.reordered + one.damaged > 0 {
            wrong.push(format!(
                "{name}: {} lost, {} doubled, {} damaged, {} overtaken",
                one.lost, one.duplicated, one.damaged, one.reordered
            ));
        }
        total.add(&one);
    }
    wrong
}

/// One schedule.
struct Life<'a> {
    host: &'a Host,
    rig: &'a Rig,
    chance: &'a mut Chance,
    /// How often each thing was done, all schedules together.
    done: &'a mut BTreeMap<&'static str, u64>,
    /// What was done in this one.
    story: &'a mut Vec<String>,
    members: Vec<Member>,
}

impl Life<'_> {
    fn run(mut self, summary: &mut Summary) {
        let (host, rig) = (self.host, self.rig);
        let Some(bindings) = rig.bring_up(host, summary) else {
            return;
        };
        self.members = bindings
            .iter()
            .map(|&binding| Member {
                binding: Some(binding),
                plugged: true,
                gone: false,
            })
            .collect();
        let pace = SwarmPace {
            frames: u64::MAX / 2,
            length: 200,
            burst: 4,
            interval: INTERVAL,
            run: 1 + self.chance.below(4) as u32,
        };
        lock(&rig.down).set_pace(pace);
        lock(&rig.up).set_pace(pace);
        // A bridge with a team that speaks on all its ports follows whichever it heard
        // last; what it sends back is no measure of the team.
        let both = rig.plan.mode != Mode::Broadcast;
        lock(&rig.down).begin(host.now());
        if both {
            lock(&rig.up).begin(host.now());
        }
        rig.kick(host);
        for _ in 0..2 + self.chance.below(5) {
            host.sleep(self.chance.below(MS / 2));
            let at = self.chance.below(self.members.len() as u64) as usize;
            let deed = Deed::ALL[self.chance.below(Deed::ALL.len() as u64) as usize];
            self.act(deed, at, summary);
        }
        self.mend(summary);
        host.sleep(self.chance.below(MS / 2));
        if self.chance.below(2) == 0 {
            lock(&rig.down).stop();
            lock(&rig.up).stop();
            if !rig.settle(host, 5 * SECOND) {
                step(summary, "the end", false, "lists are missing");
            }
        }
        self.story.push("unbind".into());
        self.window(true);
        let bindings: Vec<u64> = self.members.iter().filter_map(|m| m.binding).collect();
        tour::bring_down(host, &bindings, summary);
        lock(&rig.down).stop();
        lock(&rig.up).stop();
    }

    fn window(&self, open: bool) {
        let ledger = &self.rig.stage.endpoints.ledger;
        if open {
            ledger.open_window(DISTURBED, self.host.now(), GRACE);
        } else {
            while ledger.close_window(DISTURBED, self.host.now()) {}
        }
    }

    fn set_link(&mut self, at: usize, up: bool) {
        let (host, rig) = (self.host, self.rig);
        lock(&rig.switch).set_link(host.now(), at, up);
        host.set_link(at, up);
        self.members[at].plugged = up;
        rig.kick(host);
    }

    fn act(&mut self, deed: Deed, at: usize, summary: &mut Summary) {
        let (host, rig) = (self.host, self.rig);
        let member = self.members[at];
        let fits = match deed {
            Deed::Join => member.binding.is_none() && !member.gone,
            Deed::Plug => !member.plugged && !member.gone,
            Deed::PauseAbove | Deed::PowerAbove => true,
            Deed::Flap | Deed::Unplug => member.plugged && member.binding.is_some(),
            _ => member.binding.is_some(),
        };
        if !fits {
            return;
        }
        *self.done.entry(deed.word()).or_default() += 1;
        self.story.push(format!("{} {at}", deed.word()));
        let pause = self.chance.below(MS / 10);
        // What comes up by a link that goes away is lost with it, whoever leaves.
        self.window(true);
        match (deed, member.binding) {
            (Deed::Join, _) => {
                let request = self.request(at);
                match host.bind(request) {
                    Ok(binding) => {
                        host.restart_binding(binding);
                        self.members[at].binding = Some(binding);
                    }
                    Err(status) => {
                        step(summary, "join", false, format!("status {status:#x}"));
                    }
                }
            }
            (Deed::Leave, Some(binding)) => {
                host.unbind(binding);
                self.members[at].binding = None;
            }
            (Deed::Flap, _) => {
                self.set_link(at, false);
                host.sleep(pause);
                self.set_link(at, true);
            }
            (Deed::Unplug, _) => self.set_link(at, false),
            (Deed::Plug, _) => self.set_link(at, true),
            (Deed::Silence, _) => {
                let inward = self.chance.below(2) == 0;
                let mute = Mute {
                    inward,
                    outward: !inward || self.chance.below(2) == 0,
                };
                lock(&rig.switch).set_mute(at, mute);
                host.sleep(pause);
                lock(&rig.switch).set_mute(at, Mute::default());
            }
            (Deed::Weather, _) => lock(&rig.switch).set_weather(
                at,
                Weather {
                    loss: 300_000,
                    duplicate: 200_000,
                    delay: 50 * MS,
                },
            ),
            (Deed::SleepBelow, Some(binding)) => {
                host.set_binding_power(binding, false);
                host.sleep(pause);
                host.set_binding_power(binding, true);
            }
            (Deed::PauseBelow, Some(binding)) => {
                host.pause_binding(binding);
                host.sleep(pause);
                host.restart_binding(binding);
            }
            (Deed::PauseAbove, _) => {
                if let Some(miniport) = rig.miniport(host) {
                    host.pause_miniport(miniport);
                    host.sleep(pause);
                    host.restart_miniport(miniport);
                }
            }
            (Deed::PowerAbove, _) => {
                if let Some(miniport) = rig.miniport(host) {
                    host.set_miniport_power(miniport, false);
                    host.sleep(pause);
                    host.set_miniport_power(miniport, true);
                }
            }
            // The last one takes the miniport with it; others have to be left.
            (Deed::Surprise, Some(binding))
                if self.members.iter().filter(|m| m.binding.is_some()).count() > 1 =>
            {
                lock(&rig.switch).set_link(host.now(), at, false);
                host.surprise_remove(at, binding, None);
                let member = &mut self.members[at];
                (member.binding, member.gone, member.plugged) = (None, true, false);
            }
            _ => {}
        }
        rig.kick(host);
    }

    fn request(&self, at: usize) -> BindRequest {
        let adapter = &self.rig.stage.topology.adapters[at].name;
        let bindings = &self.rig.stage.topology.bindings;
        let place = bindings.iter().position(|b| b.adapter == *adapter);
        let mut requests = self.rig.stage.bind_requests();
        requests.swap_remove(place.unwrap_or(at))
    }

    /// What can be put right is; then nothing may be lost any more.
    fn mend(&mut self, summary: &mut Summary) {
        let (host, rig) = (self.host, self.rig);
        for at in 0..self.members.len() {
            lock(&rig.switch).set_weather(at, Weather::default());
            if !self.members[at].plugged && !self.members[at].gone {
                self.set_link(at, true);
            }
        }
        if self.members.iter().all(|member| member.binding.is_none()) {
            // Somebody has to be there.
            if let Some(at) = self.members.iter().position(|member| !member.gone) {
                self.act(Deed::Join, at, summary);
            }
        }
        let wanted = self.members.iter().enumerate();
        let wanted = wanted.filter(|(_, member)| member.binding.is_some() && member.plugged);
        let wanted = wanted.fold(0, |mask, (at, _)| mask | 1_u32 << at);
        if wanted == 0 {
            return;
        }
        let limit = match rig.plan.mode {
            Mode::Lacp => 120 * SECOND,
            _ => 5 * SECOND,
        };
        // Floods for minutes would be all that the schedule consists of.
        let pause = rig.plan.mode == Mode::Lacp;
        if pause {
            lock(&rig.down).stop();
            lock(&rig.up).stop();
        }
        let up = host.wait_until("for the team", MS, limit, |host| {
            rig.has_link(host) && lock(&rig.switch).usable() & wanted == wanted
        });
        if pause {
            lock(&rig.down).begin(host.now());
            lock(&rig.up).begin(host.now());
            rig.kick(host);
        }
        if !up {
            let usable = lock(&rig.switch).usable();
            step(
                summary,
                "the team at the end",
                false,
                format!(
                    "links that carry frames: {usable:#b} of {wanted:#b}, link shown {}",
                    rig.has_link(host)
                ),
            );
        }
        host.sleep(5 * MS);
        self.window(false);
    }
}
