//! Ports as an administrator handles them: added and removed by the binding's
//! `UpperBindings` and a Reconfigure event, changed by their values and a restart of
//! their device. There is no other way in.

use std::collections::BTreeMap;

use lab_host::Host;
use lab_host::ndis::{EdgeState, Value};
use ndis_sys::NetEventReconfigure;

use super::super::stage::{Stage, device, upper_values, values};
use crate::topology::{Action, ConfigValue};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// Where the driver's list of the ports of an adapter goes on.
const MORE_BINDINGS: &str = "UpperBindings2";

/// What is listed where.
pub struct Ports<'a> {
    host: &'a Host,
    stage: &'a Stage,
    /// Handle of each binding of the topology, in its order, and what it lists.
    bindings: Vec<(u64, Vec<String>)>,
    /// Ports in low power.
    asleep: Vec<String>,
    /// Values that were changed, by port.
    changed: BTreeMap<String, BTreeMap<String, ConfigValue>>,
}

impl<'a> Ports<'a> {
    /// As the topology begins.
    pub fn new(host: &'a Host, stage: &'a Stage, bindings: &[u64]) -> Self {
        let listed = stage.topology.bindings.iter().map(|b| b.upper.clone());
        Self {
            host,
            stage,
            bindings: bindings.iter().copied().zip(listed).collect(),
            asleep: Vec::new(),
            changed: BTreeMap::new(),
        }
    }

    /// Names that are listed.
    pub fn listed(&self) -> impl Iterator<Item = &str> {
        self.bindings
            .iter()
            .flat_map(|(_, listed)| listed.iter().map(String::as_str))
    }

    /// Whether a port is listed.
    pub fn is_listed(&self, port: &str) -> bool {
        self.listed().any(|name| name == port)
    }

    /// Whether a port carries frames.
    pub fn is_up(&self, port: &str) -> bool {
        let state = self
            .host
            .miniport(&device(port))
            .and_then(|miniport| self.host.miniport_state(miniport));
        state == Some(EdgeState::Running) && !self.asleep.iter().any(|name| name == port)
    }

    /// Writes a binding's list and tells the driver; its answer.
    fn reconfigure(&self, at: usize) -> i32 {
        let Some((binding, listed)) = self.bindings.get(at) else {
            return -1;
        };
        let names = listed.iter().map(|name| device(name)).collect();
        let mut values = upper_values(names);
        if values.len() == 1 {
            // What an older, longer list went on in.
            values.push((MORE_BINDINGS.to_owned(), Value::Strings(Vec::new())));
        }
        self.host.set_binding_values(*binding, values);
        self.host.pnp_event(*binding, NetEventReconfigure, &[])
    }

    fn binding_of(&self, adapter: &str) -> Option<usize> {
        let all = &self.stage.topology.bindings;
        all.iter().position(|binding| binding.adapter == adapter)
    }

    /// Lists a port above an adapter.
    pub fn add(&mut self, port: &str, adapter: &str) -> i32 {
        let Some(at) = self.binding_of(adapter) else {
            return -1;
        };
        let listed = &mut self.bindings[at].1;
        if !listed.iter().any(|name| name == port) {
            listed.push(port.to_owned());
        }
        self.reconfigure(at)
    }

    /// Lists a port no more.
    pub fn remove(&mut self, port: &str) -> i32 {
        let here = |(_, listed): &(u64, Vec<String>)| listed.iter().any(|name| name == port);
        let Some(at) = self.bindings.iter().position(here) else {
            return -1;
        };
        self.bindings[at].1.retain(|name| name != port);
        self.asleep.retain(|name| name != port);
        self.reconfigure(at)
    }

    /// Whether a port's values are those of the topology.
    pub fn is_as_written(&self, port: &str) -> bool {
        let written = self
            .stage
            .topology
            .miniports
            .iter()
            .find(|m| m.name == port);
        let changed = self.changed.get(port).into_iter().flatten();
        written.is_some_and(|written| {
            let mut changed = changed;
            changed.all(|(name, value)| written.properties.get(name) == Some(value))
        })
    }

    /// Writes values into a port's key; it takes effect when its device starts again.
    pub fn set(&mut self, port: &str, properties: &BTreeMap<String, ConfigValue>) {
        let known = self.changed.entry(port.to_owned()).or_default();
        known.extend(properties.clone());
        self.host
            .set_device_values(&device(port), values(properties));
    }

    /// Stops a port's device and starts it again; what the driver says to that.
    pub fn restart(&mut self, port: &str) -> i32 {
        let name = device(port);
        if let Some(miniport) = self.host.miniport(&name) {
            self.host.disable_device(miniport);
        }
        self.asleep.retain(|name| name != port);
        self.host.re_enable_event(&name)
    }

    /// Pauses a port and restarts it at once.
    pub fn pause(&self, port: &str) -> i32 {
        match self.host.miniport(&device(port)) {
            // What is on its way up is not paused: it is not there yet.
            Some(miniport) if self.host.miniport_state(miniport) == Some(EdgeState::Running) => {
                self.host.pause_miniport(miniport);
                self.host.sleep(self.host.engine().random(MS / 10));
                // One that sleeps is restarted when it wakes.
                let asleep = self.asleep.iter().any(|name| name == port);
                if asleep || self.host.restart_miniport(miniport) {
                    0
                } else {
                    -1
                }
            }
            _ => 0,
        }
    }

    /// A port to low power or back.
    pub fn power(&mut self, port: &str, up: bool) -> i32 {
        let Some(miniport) = self.host.miniport(&device(port)) else {
            return 0;
        };
        self.asleep.retain(|name| name != port);
        if !up {
            self.asleep.push(port.to_owned());
        }
        self.host.set_miniport_power(miniport, up)
    }

    /// Does what an event says. Returns why it failed, if it did.
    pub fn act(&mut self, action: &Action) -> Result<(), String> {
        let nic = |name: &str| {
            let all = &self.stage.topology.adapters;
            all.iter().position(|adapter| adapter.name == name)
        };
        let status = match action {
            Action::Add { port, adapter } => self.add(port, adapter),
            Action::Remove { port } => self.remove(port),
            Action::Change { port, properties } => {
                self.set(port, properties);
                self.restart(port)
            }
            Action::Restart { port } => self.restart(port),
            Action::Pause { port } => self.pause(port),
            Action::Power { name, up } => match self.binding_of(name) {
                Some(at) => self.host.set_binding_power(self.bindings[at].0, *up),
                None => self.power(name, *up),
            },
            Action::Link { adapter, up } => {
                if let Some(nic) = nic(adapter) {
                    self.host.set_link(nic, *up);
                }
                0
            }
            Action::Mac { adapter, mac } => {
                if let Some(nic) = nic(adapter) {
                    self.host.set_nic_mac(nic, mac.0);
                }
                0
            }
        };
        if status < 0 {
            return Err(format!("status {status:#x}"));
        }
        Ok(())
    }

    /// Waits until an event has taken effect.
    pub fn settled(&self, action: &Action) -> bool {
        let Some(port) = action.port() else {
            self.host.sleep(MS);
            return true;
        };
        let should = match action {
            Action::Remove { .. } | Action::Power { up: false, .. } => false,
            _ => self.is_listed(port) && !self.asleep.iter().any(|name| name == port),
        };
        let known = self.stage.topology.miniports.iter().any(|m| m.name == port);
        !known
            || self.host.wait_until("for a port", MS / 20, SECOND, |_| {
                self.is_up(port) == should
            })
    }
}
