//! `churn`: short lives of a driver with many ports, each with a schedule of its own that
//! adds, removes, retags, pauses, powers and restarts ports and at last unbinds, all under
//! traffic.
//!
//! Every schedule starts from a pristine image and an empty arena. Its seed is the run's
//! seed plus its number, so that one schedule can be run again alone. Frames of the port
//! concerned may be lost while something is done to it; of no other port, ever.

use std::collections::BTreeMap;

use lab_host::{Host, RunEnd};
use lab_net::mix::Chance;

use super::mux::model::Mode;
use super::mux::net::with_mode;
use super::mux::ports::Ports;
use super::stage::Stage;
use super::{progress, step, tour};
use crate::process::RunJob;
use crate::summary::{Counter, Summary, Udp};
use crate::topology::ports::VLAN_ID;
use crate::topology::{Action, ConfigValue, Topology};
use crate::trouble::Trouble;

const MS: u64 = 1_000_000;
/// Frames each generator sends in a schedule, spread over its life.
const FRAMES: u64 = 16;
/// What was sent so long before a disturbance may still be under way.
const GRACE: u64 = 20 * MS;
/// Broken schedules after which the run ends.
const ENOUGH: u64 = 8;
/// The window of everybody: what concerns the adapter concerns all its ports.
const ALL: &str = "the adapter";

/// Runs the job's schedules.
pub fn run(host: &Host, job: &RunJob, summary: &mut Summary) -> Result<(), Trouble> {
    let mut topology = job.topology.clone();
    // Lives are short: no TCP/IP, which would only make them longer.
    topology.hosts.clear();
    topology.timeline.clear();
    for generator in &mut topology.generators {
        generator.frames = FRAMES;
        generator.burst = 2;
        generator.interval_us = 100;
    }
    let mut total = Udp {
        path: "all schedules".into(),
        ..Udp::default()
    };
    let mut done: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut broken = 0_u64;
    let mut first_bad = None;
    let mut ran = 0;
    for schedule in 0..job.cycles {
        let seed = job.seed.wrapping_add(schedule);
        // The driver's lines would be the same each time.
        host.set_quiet(schedule > 0);
        if schedule > 0 {
            host.reset(seed)
                .map_err(|error| Trouble::host(error.to_string()))?;
        }
        let mut chance = Chance::new(seed);
        // Bridges have paths of their own; with a passthru there is nothing to change.
        let mode = Mode::ALL[chance.below(3) as usize];
        let topology = with_mode(&topology, mode);
        let stage = Stage::new(host, job, &topology, seed, Vec::new())?;
        let mut one = Summary::default();
        let mut story = Vec::new();
        let end = host.run("schedule", |host| {
            let life = Life {
                host,
                stage: &stage,
                chance: &mut chance,
                done: &mut done,
                story: &mut story,
            };
            life.run(&mut one);
        });
        ran += 1;
        if end != RunEnd::Done {
            host.log(
                0,
                "lab",
                format!("schedule {schedule}, seed {seed:#x}: {}", story.join(", ")),
            );
            return Ok(());
        }
        stage.finish(host, &mut one);
        let udp = std::mem::take(&mut one.udp);
        let wrong: Vec<_> = udp
            .iter()
            .filter(|u| u.lost + u.duplicated + u.damaged + u.reordered > 0)
            .map(|u| {
                format!(
                    "{}: {} lost, {} doubled, {} damaged, {} overtaken",
                    u.path, u.lost, u.duplicated, u.damaged, u.reordered
                )
            })
            .collect();
        if !wrong.is_empty() || !one.failures().is_empty() || !host.findings().is_empty() {
            broken += 1;
            let findings = host.findings();
            let rules = findings
                .iter()
                .map(|f| format!("{}: {}", f.rule, f.message));
            let what: Vec<_> = one
                .failures()
                .into_iter()
                .chain(wrong)
                .chain(rules)
                .collect();
            let text = format!(
                "schedule {schedule} (--seed {seed:#x} --schedules 1), {}: {}; did: {}",
                mode.name(),
                what.join("; "),
                story.join(", ")
            );
            host.log(0, "lab", text.clone());
            first_bad.get_or_insert(text);
        }
        for u in &udp {
            total.add(u);
        }
        summary.leaks.extend(one.leaks);
        summary.virtual_ns += host.now();
        if schedule % 8 == 7 || schedule + 1 == job.cycles {
            progress(host, "schedules", schedule + 1, job.cycles);
        }
        if broken >= ENOUGH {
            break;
        }
    }
    summary.virtual_ns = summary.virtual_ns.saturating_sub(host.now());
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

/// One schedule.
struct Life<'a> {
    host: &'a Host,
    stage: &'a Stage,
    chance: &'a mut Chance,
    /// How often each thing was done, all schedules together.
    done: &'a mut BTreeMap<&'static str, u64>,
    /// What was done in this one.
    story: &'a mut Vec<String>,
}

impl Life<'_> {
    fn run(mut self, summary: &mut Summary) {
        let (host, stage) = (self.host, self.stage);
        let Some(bindings) = tour::bring_up(host, stage, summary) else {
            return;
        };
        let ledger = &stage.endpoints.ledger;
        let mut ports = Ports::new(host, stage, &bindings);
        stage.endpoints.start_generators(host.now());
        stage.kick(host);
        for _ in 0..2 + self.chance.below(5) {
            host.sleep(self.chance.below(MS / 5));
            if self.chance.below(8) == 0 {
                self.disturb_all(&bindings);
                continue;
            }
            let (word, action) = self.choose(&ports);
            *self.done.entry(word).or_default() += 1;
            self.story.push(action.to_string());
            if let Some(port) = action.port() {
                let flows = stage.endpoints.flows_of(&stage.topology, port);
                ledger.open_window_of(&flows, port, host.now(), GRACE);
            }
            // Not every change is waited for before the next one: that is the point.
            let outcome = ports.act(&action);
            if let Err(why) = outcome {
                step(summary, word, false, format!("{action}: {why}"));
            }
            let waits = self.chance.below(3) > 0;
            if waits && !ports.settled(&action) {
                step(
                    summary,
                    word,
                    false,
                    format!("{action}: it never became so"),
                );
            }
            if waits {
                self.close_windows(&ports);
            }
        }
        // Everything that was begun comes to its end; then no port loses any more.
        let names: Vec<String> = stage
            .topology
            .miniports
            .iter()
            .map(|m| m.name.clone())
            .collect();
        for name in &names {
            if ports.is_listed(name) {
                ports.power(name, true);
            }
        }
        let up = host.wait_until("for the ports", MS / 20, 200 * MS, |_| {
            ports.listed().all(|name| ports.is_up(name))
        });
        if !up {
            let down: Vec<_> = ports.listed().filter(|name| !ports.is_up(name)).collect();
            step(
                summary,
                "ports at the end",
                false,
                format!("down: {down:?}"),
            );
        }
        self.close_windows(&ports);
        host.sleep(self.chance.below(MS / 2));
        if self.chance.below(2) == 0 {
            // Half of the schedules end quietly: what is sent until then has to arrive.
            stage.endpoints.stop_generators();
            host.wait_until("for the last frames", MS / 20, 50 * MS, |_| {
                ledger.verdict().lost == 0
            });
        }
        self.story.push("unbind".into());
        ledger.open_window(ALL, host.now(), 2 * MS);
        tour::bring_down(host, &bindings, summary);
        stage.endpoints.stop_generators();
    }

    /// What concerns every port: the adapter's edge pauses, sleeps, loses its link.
    fn disturb_all(&mut self, bindings: &[u64]) {
        let (host, stage) = (self.host, self.stage);
        let ledger = &stage.endpoints.ledger;
        ledger.open_window(ALL, host.now(), GRACE);
        let pause = self.chance.below(MS / 20);
        let word = match self.chance.below(3) {
            0 => {
                for &binding in bindings {
                    host.pause_binding(binding);
                    host.sleep(pause);
                    host.restart_binding(binding);
                }
                "pause below"
            }
            1 => {
                for &binding in bindings {
                    host.set_binding_power(binding, false);
                    host.sleep(pause);
                    host.set_binding_power(binding, true);
                }
                "sleep below"
            }
            _ => {
                for nic in 0..stage.topology.adapters.len() {
                    host.set_link(nic, false);
                    host.sleep(pause);
                    host.set_link(nic, true);
                }
                "link flap"
            }
        };
        stage.kick(host);
        host.sleep(MS / 2);
        *self.done.entry(word).or_default() += 1;
        self.story.push(word.into());
        ledger.close_window(ALL, host.now());
    }

    /// Frames of ports that are as the topology has them must arrive again.
    fn close_windows(&self, ports: &Ports<'_>) {
        let (host, stage) = (self.host, self.stage);
        host.sleep(MS / 10);
        for miniport in &stage.topology.miniports {
            let name = &miniport.name;
            if ports.is_up(name) && ports.is_as_written(name) {
                while stage.endpoints.ledger.close_window(name, host.now()) {}
            }
        }
    }

    /// What is done next, and to which port.
    fn choose(&mut self, ports: &Ports<'_>) -> (&'static str, Action) {
        let topology: &Topology = &self.stage.topology;
        let at = self.chance.below(topology.miniports.len() as u64) as usize;
        let miniport = &topology.miniports[at];
        let port = miniport.name.clone();
        let adapter = topology.bindings.first().map(|b| b.adapter.clone());
        if !ports.is_listed(&port) {
            let adapter = adapter.unwrap_or_default();
            return ("add", Action::Add { port, adapter });
        }
        match self.chance.below(8) {
            0 | 1 => ("remove", Action::Remove { port }),
            2 => ("restart", Action::Restart { port }),
            3 => ("pause", Action::Pause { port }),
            4 => (
                "sleep",
                Action::Power {
                    name: port,
                    up: false,
                },
            ),
            5 => (
                "wake",
                Action::Power {
                    name: port,
                    up: true,
                },
            ),
            _ => {
                // Away, or back to what is written.
                let vlan = if self.chance.below(2) == 0 {
                    u32::from(miniport.vlan())
                } else {
                    1_000 + self.chance.below(3_000) as u32
                };
                let vlan = ConfigValue::Number(vlan);
                let properties = BTreeMap::from([(VLAN_ID.to_owned(), vlan)]);
                ("retag", Action::Change { port, properties })
            }
        }
    }
}
