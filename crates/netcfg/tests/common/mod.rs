//! A model of a machine's network configuration, as obedient as Windows is said to be.
#![allow(dead_code, missing_docs, reason = "each test program takes its part")]

use std::collections::BTreeMap;

use netcfg::{
    Adapter, Binding, Class, Component, Driver, Guid, Key, Kind, Location, Mac, NetCfg, Record,
    State, Topology, Value,
};

pub const DRIVERS: [Driver<'static>; 3] = [
    driver(
        "passthrough",
        Topology::OneToOne,
        "RustIM_Passthrough",
        "rustim_passthroughmp",
    ),
    driver("mux", Topology::OneToMany, "RustIM_Mux", "rustim_muxmp"),
    driver("lbfo", Topology::ManyToOne, "RustIM_Lbfo", "rustim_lbfomp"),
];

const fn driver(
    name: &'static str,
    topology: Topology,
    protocol: &'static str,
    miniport: &'static str,
) -> Driver<'static> {
    Driver {
        name,
        topology,
        protocol,
        miniport,
    }
}

/// State, and the values of each of the plan's miniports.
pub type Picture = (State, Vec<(String, BTreeMap<String, Value>)>);

/// The machine, and which call to it is to fail.
pub struct Machine {
    pub state: State,
    pub own: Driver<'static>,
    pub miniport_values: BTreeMap<Guid, BTreeMap<String, Value>>,
    next: u128,
    pub calls: usize,
    pub fails_at: Option<usize>,
}

pub fn adapter(number: u8, kind: Kind) -> Adapter {
    Adapter {
        guid: Guid(0xA000 + u128::from(number)),
        id: format!("pci\\ven_8086&dev_{number:04x}"),
        name: format!("Adapter {number}"),
        mac: Some(Mac([2, 0, 0, 0, 0, number])),
        location: Some(Location {
            bus: 0,
            device: u16::from(number),
            function: 0,
        }),
        kind,
        problem: 0,
        own: false,
        below: BTreeMap::new(),
    }
}

impl Machine {
    /// `count` Ethernet adapters; TCP/IP, IPv6 and a filter on each, the second adapter
    /// without IPv6; the protocol installed, its bindings disabled.
    pub fn new(own: Driver<'static>, count: u8) -> Self {
        let mut state = State::default();
        for (id, class, filter) in [
            ("ms_tcpip", Class::Protocol, false),
            ("ms_tcpip6", Class::Protocol, false),
            ("ms_pacer", Class::Service, true),
            (&own.protocol.to_lowercase(), Class::Protocol, false),
        ] {
            state.components.push(Component {
                id: id.to_owned(),
                class,
                filter,
            });
        }
        for number in 1..=count {
            let adapter = adapter(number, Kind::Ethernet);
            for component in &state.components {
                let enabled = !component.id.eq_ignore_ascii_case(own.protocol)
                    && (component.id != "ms_tcpip6" || number != 2);
                state.bindings.push(Binding {
                    component: component.id.clone(),
                    adapter: adapter.guid,
                    enabled,
                });
            }
            state.adapters.push(adapter);
        }
        state.sort();
        Self {
            state,
            own,
            miniport_values: BTreeMap::new(),
            next: 0xF000,
            calls: 0,
            fails_at: None,
        }
    }

    fn call(&mut self) -> Result<(), String> {
        self.calls += 1;
        if self.fails_at == Some(self.calls) {
            Err(format!("call {} fails", self.calls))
        } else {
            Ok(())
        }
    }

    /// State and miniports' values without GUIDs that the machine made up.
    pub fn picture(&self) -> Picture {
        let mut state = self.state.clone();
        let made: Vec<_> = state
            .record
            .iter()
            .flat_map(|r| r.miniports.clone())
            .collect();
        let values = made.iter().map(|m| {
            (
                m.name.clone(),
                self.miniport_values
                    .get(&m.guid)
                    .cloned()
                    .unwrap_or_default(),
            )
        });
        let values = values.collect();
        let canonical = |guid: Guid| {
            made.iter()
                .position(|m| m.guid == guid)
                .map(|i| Guid(0xC000 + i as u128))
        };
        for a in &mut state.adapters {
            a.guid = canonical(a.guid).unwrap_or(a.guid);
            for value in a.below.values_mut() {
                let fix = |text: &mut String| {
                    for (i, m) in made.iter().enumerate() {
                        if *text == netcfg::device_name(m.guid) {
                            *text = netcfg::device_name(Guid(0xC000 + i as u128));
                        }
                    }
                };
                match value {
                    Value::List(list) => list.iter_mut().for_each(fix),
                    Value::Text(text) => fix(text),
                    Value::Number(_) => {}
                }
            }
        }
        for b in &mut state.bindings {
            b.adapter = canonical(b.adapter).unwrap_or(b.adapter);
        }
        for (i, m) in state
            .record
            .iter_mut()
            .flat_map(|r| r.miniports.iter_mut())
            .enumerate()
        {
            m.guid = Guid(0xC000 + i as u128);
        }
        state.sort();
        (state, values)
    }
}

impl NetCfg for Machine {
    type Error = String;

    fn create_miniport(&mut self) -> Result<Guid, String> {
        self.call()?;
        self.next += 1;
        let guid = Guid(self.next);
        let mut made = adapter(0, Kind::Virtual);
        (made.guid, made.id, made.own) = (guid, self.own.miniport.to_owned(), true);
        (made.mac, made.location, made.name) = (None, None, "Miniport".to_owned());
        self.state.adapters.push(made);
        for component in &self.state.components {
            // Windows enables every binding that is possible.
            let binding = Binding {
                component: component.id.clone(),
                adapter: guid,
                enabled: true,
            };
            self.state.bindings.push(binding);
        }
        self.state.sort();
        Ok(guid)
    }

    fn remove_miniport(&mut self, guid: Guid) -> Result<(), String> {
        self.call()?;
        let at = self
            .state
            .adapters
            .iter()
            .position(|a| a.guid == guid && a.own)
            .ok_or("no such miniport")?;
        self.state.adapters.remove(at);
        self.state.bindings.retain(|b| b.adapter != guid);
        self.miniport_values.remove(&guid);
        Ok(())
    }

    fn binding(&mut self, component: &str, adapter: Guid) -> Result<Option<bool>, String> {
        self.call()?;
        Ok(self.state.binding(component, adapter))
    }

    fn set_binding(&mut self, component: &str, adapter: Guid, enabled: bool) -> Result<(), String> {
        self.call()?;
        let mut all = self.state.bindings.iter_mut();
        let found =
            all.find(|b| b.component.eq_ignore_ascii_case(component) && b.adapter == adapter);
        found.ok_or("no such binding")?.enabled = enabled;
        Ok(())
    }

    fn value(&mut self, key: Key, name: &str) -> Result<Option<Value>, String> {
        self.call()?;
        Ok(match key {
            Key::Below(guid) => self
                .state
                .adapter(guid)
                .and_then(|a| a.below.get(name).cloned()),
            Key::Miniport(guid) => self
                .miniport_values
                .get(&guid)
                .and_then(|v| v.get(name).cloned()),
        })
    }

    fn set_value(&mut self, key: Key, name: &str, value: Option<&Value>) -> Result<(), String> {
        self.call()?;
        let values = match key {
            Key::Below(guid) => {
                let found = self.state.adapters.iter_mut().find(|a| a.guid == guid);
                &mut found.ok_or("no such adapter")?.below
            }
            Key::Miniport(guid) => self.miniport_values.entry(guid).or_default(),
        };
        match value {
            Some(value) => values.insert(name.to_owned(), value.clone()),
            None => values.remove(name),
        };
        Ok(())
    }

    fn record(&mut self) -> Result<Option<Record>, String> {
        self.call()?;
        Ok(self.state.record.clone())
    }

    fn set_record(&mut self, record: Option<&Record>) -> Result<(), String> {
        self.call()?;
        self.state.record = record.cloned();
        Ok(())
    }
}
