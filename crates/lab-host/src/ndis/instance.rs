//! Virtual miniports: requested by the driver, initialised by NDIS. How they end: `halt`.

use std::collections::{BTreeMap, BTreeSet};

use ndis_sys::{
    NDIS_MINIPORT_INIT_PARAMETERS, NDIS_MINIPORT_INIT_PARAMETERS_REVISION_1,
    NDIS_OBJECT_TYPE_MINIPORT_INIT_PARAMETERS, NDIS_STATUS, NDIS_STATUS_FAILURE,
    NDIS_STATUS_INVALID_PARAMETER, NDIS_STATUS_NOT_ACCEPTED, NDIS_STATUS_RESOURCES,
    NDIS_STATUS_SUCCESS,
};

use super::EdgeState;
use super::attributes::MiniportFacts;
use super::binding::header;
use super::judge::Common;
use super::serving::names_above;
use crate::api::api;
use crate::engine::Job;
use crate::handle::Kind;
use crate::host::Host;

/// When `MiniportInitializeEx` runs after an instance was requested (VMI-3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InstanceStart {
    /// Inside `NdisIMInitializeDeviceInstanceEx` or later on another thread, by the seed.
    #[default]
    Either,
    /// Inside.
    Inside,
    /// Later.
    Later,
    /// So many nanoseconds later.
    After(u64),
    /// Never, until [`Host::start_device`]: the device is not enumerated.
    Never,
}

/// A request that is cancelled so long after its miniport came is not a race any more.
const SETTLED: u64 = 10_000_000;

/// A request for a virtual miniport that is not initialised yet.
#[derive(Clone, Copy)]
struct Request {
    driver: u64,
    context: u64,
    /// Tells this request from an earlier one that was cancelled.
    ticket: u64,
}

/// A virtual device the machine knows, by its name, or that was asked for.
#[derive(Default)]
pub(crate) struct Instance {
    start: InstanceStart,
    /// The machine has it.
    known: bool,
    /// It is meant to lie on several adapters, however many there are now.
    pub(crate) team: bool,
    request: Option<Request>,
    /// `MiniportInitializeEx` began; a cancel comes too late (CAN-3).
    pub(super) starting: bool,
    /// It was asked for.
    asked: bool,
    /// A cancel came too late for this context.
    refused: u64,
    pub(super) miniport: Option<u64>,
    pub(crate) values: Vec<(String, super::Value)>,
    pub(crate) if_index: u32,
}

impl Instance {
    /// The driver has asked for it, or it is there.
    pub(crate) fn is_wanted(&self) -> bool {
        self.request.is_some() || self.starting || self.miniport.is_some()
    }
}

/// A virtual miniport.
pub(crate) struct Miniport {
    pub(crate) name: String,
    pub(crate) driver: u64,
    /// MiniportAdapterContext, from the registration attributes.
    pub(crate) context: u64,
    /// DeviceContext of the request.
    pub(crate) device_context: u64,
    pub(crate) state: EdgeState,
    pub(crate) facts: MiniportFacts,
    /// Lists the protocols above sent that are not complete.
    pub(crate) sends: u64,
    /// Lists indicated upward that are not back.
    pub(crate) receives: u64,
    /// Indicate calls under way.
    pub(crate) indicating: u64,
    pub(crate) pausing: Option<i32>,
    pub(crate) restarting: Option<i32>,
    pub(crate) initialized: bool,
    /// When MiniportInitializeEx succeeded.
    pub(crate) since: u64,
    /// Not in D0.
    pub(crate) asleep: bool,
    pub(crate) statuses: Vec<(i32, Vec<u8>)>,
    pub(crate) oid_busy: bool,
    /// Protocols bound to it.
    pub(crate) uppers: Vec<usize>,
    /// The protocols above have bound: from then on it is paused and restarted.
    pub(crate) bound: bool,
    /// It is being taken down: it is not restarted any more.
    pub(crate) halting: bool,
    /// It was removed by surprise (DPE-1).
    pub(crate) removed: bool,
    /// `OID_PNP_SET_POWER` to D0 is under way.
    pub(crate) waking: bool,
    /// Packet filter that was set, once one was.
    pub(crate) packet_filter: Option<u32>,
    /// Requests under way that set one.
    pub(crate) filter_asked: u32,
    /// Multicast addresses that were set.
    pub(crate) groups: Vec<[u8; 6]>,
    /// Requests to add something that succeeded (OID-10).
    pub(crate) granted: BTreeSet<u32>,
    /// What the adapters below had in common when the driver last showed it (LBF-1 to LBF-3).
    pub(crate) shown: Common,
    /// Status codes by how often they were indicated.
    pub(crate) told: BTreeMap<i32, u64>,
    /// The link state that was indicated last.
    pub(crate) link: Option<(Vec<u8>, u64)>,
    /// Several adapters were below it.
    pub(crate) team: bool,
    /// A reset of it that is under way.
    pub(crate) resetting: Option<super::reset::Resetting>,
}

impl Host {
    /// A device that [`Host::add_device`] has added is meant to lie on several adapters: its
    /// driver is a team's, even while it has one member.
    pub fn set_team(&self, name: &str) {
        let key = name.to_uppercase();
        self.ndis(|n| {
            if let Some(i) = n.instances.get_mut(&key) {
                i.team = true;
            }
        });
    }

    /// Makes a virtual device known to the machine. If the driver has asked for it already, it
    /// starts as `start` says.
    pub fn add_device(
        &self,
        name: &str,
        start: InstanceStart,
        values: Vec<(String, super::Value)>,
    ) {
        let key = name.to_uppercase();
        let asked = self.ndis(|n| {
            let count = n.instances.len() as u32;
            let i = n.instances.entry(key.clone()).or_default();
            i.start = start;
            i.values = values;
            i.known = true;
            if i.if_index == 0 {
                i.if_index = 100 + count;
            }
            i.request.filter(|_| !i.starting)
        });
        if let Some(request) = asked {
            let start = match start {
                InstanceStart::Either | InstanceStart::Inside => InstanceStart::Later,
                other => other,
            };
            self.schedule_start(&key, request, start);
        }
    }

    /// When a device starts after it is asked for from now on.
    pub fn set_device_start(&self, name: &str, start: InstanceStart) {
        self.ndis(|n| {
            if let Some(i) = n.instances.get_mut(&name.to_uppercase()) {
                i.start = start;
            }
        });
    }

    /// Starts a device that was asked for and has not started; whether there was one. Returns
    /// when `MiniportInitializeEx` has.
    pub fn start_device(&self, name: &str) -> bool {
        let key = name.to_uppercase();
        let asked = self.ndis(|n| {
            let i = n.instances.get(&key)?;
            i.request.filter(|_| !i.starting)
        });
        match asked {
            Some(request) => self.initialize_instance(&key, request.ticket) == 0,
            None => false,
        }
    }

    /// Starts an adapter of a miniport driver, as PnP does: `MiniportInitializeEx`, then whoever
    /// is above; returns the miniport.
    ///
    /// # Errors
    /// The driver's status when it refused.
    pub fn start_adapter(
        &self,
        name: &str,
        service: &str,
        mut values: Vec<(String, super::Value)>,
    ) -> Result<u64, i32> {
        let key = name.to_uppercase();
        let id = key.rsplit('\\').next().unwrap_or_default().to_owned();
        values.push(("NetCfgInstanceId".to_owned(), super::Value::String(id)));
        self.add_device(&key, InstanceStart::Never, values);
        let ticket = self.ndis(|n| {
            let mut loaded = n.loaded.iter();
            let (_, object) = loaded.find(|(s, _)| s.eq_ignore_ascii_case(service))?;
            let mut drivers = n.drivers.iter();
            let (&driver, _) = drivers.find(|(_, d)| d.driver_object == *object)?;
            n.tickets += 1;
            let ticket = n.tickets;
            let i = n.instances.get_mut(&key)?;
            i.request = Some(Request {
                driver,
                context: 0,
                ticket,
            });
            Some(ticket)
        });
        let Some(ticket) = ticket else {
            return Err(NDIS_STATUS_FAILURE.0);
        };
        match self.initialize_instance(&key, ticket) {
            0 => self.miniport(&key).ok_or(NDIS_STATUS_FAILURE.0),
            status => Err(status),
        }
    }

    /// Stops such an adapter: those above are unbound, then `MiniportHaltEx`.
    pub fn stop_adapter(&self, name: &str) {
        if let Some(miniport) = self.miniport(name) {
            self.halt_miniport(miniport);
        }
    }

    /// Stops a device and starts it again, as Windows does when one of its properties was
    /// changed: its miniport is halted, then NetEventIMReEnableDevice asks for it again. Whether
    /// it came back initialised within 10 s.
    pub fn restart_device(&self, name: &str) -> bool {
        if let Some(miniport) = self.miniport(name) {
            self.halt_miniport(miniport);
        }
        if self.re_enable_event(name) != 0 {
            return false;
        }
        self.wait_until("for the device to start", 100_000, 10_000_000_000, |h| {
            h.ndis(|n| {
                let i = n.instances.get(&name.to_uppercase());
                i.is_none_or(|i| i.request.is_none() && !i.starting)
            })
        });
        self.miniport(name).is_some()
    }

    /// Whether the driver asked for a device that has not started.
    pub fn device_is_requested(&self, name: &str) -> bool {
        self.ndis(|n| {
            let i = n.instances.get(&name.to_uppercase());
            i.is_some_and(|i| i.request.is_some() && !i.starting)
        })
    }

    /// The initialised virtual miniports that a binding's `UpperBindings` lists, in that order.
    pub fn miniports_of(&self, binding: u64) -> Vec<u64> {
        let names = self.upper_bindings(binding);
        names
            .iter()
            .filter_map(|name| self.miniport(name))
            .collect()
    }

    /// The virtual miniport of a device, when it is initialised.
    pub fn miniport(&self, name: &str) -> Option<u64> {
        self.ndis(|n| {
            let h = n.instances.get(&name.to_uppercase())?.miniport?;
            n.miniports.get(&h).filter(|m| m.initialized).map(|_| h)
        })
    }

    /// State of a virtual miniport.
    pub fn miniport_state(&self, miniport: u64) -> Option<EdgeState> {
        self.ndis(|n| n.miniports.get(&miniport).map(|m| m.state))
    }

    /// What a virtual miniport said of itself.
    pub fn miniport_facts(&self, miniport: u64) -> Option<MiniportFacts> {
        self.ndis(|n| n.miniports.get(&miniport).map(|m| m.facts.clone()))
    }

    /// Status codes and buffers a virtual miniport indicated since the last call.
    pub fn take_statuses(&self, miniport: u64) -> Vec<(i32, Vec<u8>)> {
        self.ndis(|n| {
            n.miniports
                .get_mut(&miniport)
                .map(|m| std::mem::take(&mut m.statuses))
                .unwrap_or_default()
        })
    }

    /// Starts a requested instance by one of NDIS's threads.
    fn schedule_start(&self, key: &str, request: Request, start: InstanceStart) {
        let delay = match start {
            InstanceStart::Never => return,
            InstanceStart::After(delay) => delay,
            InstanceStart::Either | InstanceStart::Inside | InstanceStart::Later => {
                self.engine().random(50_000)
            }
        };
        let key = key.to_owned();
        let ticket = request.ticket;
        let start = move |host: &Self| {
            host.initialize_instance(&key, ticket);
        };
        self.spawn_after(
            delay,
            Job::thread("device start", move |host| {
                host.enqueue(Job::thread("device start", start));
            }),
        );
    }

    fn initialize_instance(&self, key: &str, ticket: u64) -> i32 {
        let begun = self.ndis(|n| {
            let i = n.instances.get_mut(key)?;
            let request = i.request.filter(|r| r.ticket == ticket && !i.starting)?;
            let (driver, device_context) = (request.driver, request.context);
            i.starting = true;
            let if_index = i.if_index;
            let h = n.handles.open(Kind::Miniport);
            let d = &n.drivers[&driver];
            let handler = d.chars.InitializeHandlerEx? as usize as u64;
            let context = d.context;
            n.miniports.insert(
                h,
                Miniport {
                    name: key.to_owned(),
                    driver,
                    context: 0,
                    device_context,
                    state: EdgeState::Initializing,
                    facts: MiniportFacts::default(),
                    sends: 0,
                    receives: 0,
                    indicating: 0,
                    pausing: None,
                    restarting: None,
                    initialized: false,
                    since: 0,
                    asleep: false,
                    statuses: Vec::new(),
                    oid_busy: false,
                    uppers: Vec::new(),
                    bound: false,
                    halting: false,
                    removed: false,
                    waking: false,
                    packet_filter: None,
                    filter_asked: 0,
                    groups: Vec::new(),
                    granted: BTreeSet::new(),
                    shown: Common::default(),
                    told: BTreeMap::new(),
                    link: None,
                    team: false,
                    resetting: None,
                },
            );
            Some((h, handler, context, device_context, if_index))
        });
        let Some((miniport, handler, context, device_context, if_index)) = begun else {
            return NDIS_STATUS_FAILURE.0;
        };
        let at = self.allocate(
            size_of::<NDIS_MINIPORT_INIT_PARAMETERS>() as u64,
            u32::from_le_bytes(*b"Init"),
            "NDIS_MINIPORT_INIT_PARAMETERS",
        );
        // SAFETY: plain data of the ABI; all zero is a value of it.
        let mut p: NDIS_MINIPORT_INIT_PARAMETERS = unsafe { std::mem::zeroed() };
        p.Header = header(
            NDIS_OBJECT_TYPE_MINIPORT_INIT_PARAMETERS,
            NDIS_MINIPORT_INIT_PARAMETERS_REVISION_1,
            size_of::<NDIS_MINIPORT_INIT_PARAMETERS>(),
        );
        p.IMDeviceInstanceContext = device_context as *mut _;
        p.IfIndex = if_index;
        self.put(at, p, "NDIS_MINIPORT_INIT_PARAMETERS");
        let status = self.call(
            "MiniportInitializeEx",
            miniport,
            handler,
            &[miniport, context, at],
        ) as u32 as i32;
        self.release(at);
        if ![
            NDIS_STATUS_SUCCESS,
            NDIS_STATUS_NOT_ACCEPTED,
            NDIS_STATUS_RESOURCES,
            NDIS_STATUS_FAILURE,
        ]
        .contains(&NDIS_STATUS(status))
        {
            self.violate(
                "VMI-6",
                format!("MiniportInitializeEx returned {status:#x}"),
            );
        }
        if status == 0 {
            let facts = self.ndis(|n| n.miniports[&miniport].facts.clone());
            if !facts.registered {
                self.violate(
                    "ATR-1",
                    "MiniportInitializeEx set no registration attributes".into(),
                );
            }
            if !facts.general {
                self.violate(
                    "ATR-2",
                    "MiniportInitializeEx set no general attributes".into(),
                );
            }
            let now = self.now();
            self.ndis(|n| {
                let m = n.miniports.get_mut(&miniport).expect("miniport");
                m.state = EdgeState::Paused;
                m.initialized = true;
                m.since = now;
                let i = n.instances.get_mut(key).expect("instance");
                i.request = None;
                i.starting = false;
                i.miniport = Some(miniport);
            });
            self.disturb();
            self.judge_initialized(miniport);
            self.tell_profile(miniport);
            self.attach_uppers(miniport);
        } else {
            self.adapter_left(miniport, "a failed MiniportInitializeEx");
            self.judge_failed(miniport, status);
            self.ndis(|n| {
                n.miniports.remove(&miniport);
                n.handles.close(miniport);
                let i = n.instances.get_mut(key).expect("instance");
                i.request = None;
                i.starting = false;
            });
        }
        status
    }

    /// PowerProfileChanged comes after the initialisation, with a ULONG, or with less: a driver
    /// looks at the length (DPE-2).
    fn tell_profile(&self, miniport: u64) {
        let profile = self.engine().random(2) as u32;
        let code = ndis_sys::NdisDevicePnPEventPowerProfileChanged.0;
        for buffer in [&profile.to_ne_bytes()[..], &[]] {
            self.device_event(miniport, code, buffer);
        }
    }

    /// VMI-4: memory that is freed is the device context of a miniport.
    pub(crate) fn judge_device_context(&self, address: u64, len: u64) {
        let within = |at: u64| at >= address && at < address + len.max(1);
        let owner = self.ndis(|n| {
            let live = n
                .miniports
                .values()
                .find(|m| within(m.device_context))
                .map(|m| m.name.clone());
            let asked = n
                .instances
                .iter()
                .find(|(_, i)| i.request.is_some_and(|r| within(r.context)));
            let owner = live.or_else(|| asked.map(|(name, _)| name.clone()));
            // CAN-3 is the rule where a cancel came too late.
            owner.filter(|name| n.instances.get(name).is_none_or(|i| i.refused == 0))
        });
        if let Some(name) = owner {
            self.violate(
                "VMI-4",
                format!("the device context of {name} is freed while NDIS has it"),
            );
        }
    }

    /// The interface stack as the driver described it: which interface lies on which.
    pub fn stack_entries(&self) -> Vec<(u32, u32)> {
        self.ndis(|n| n.stack_entries.iter().copied().collect())
    }

    /// Interface index of a virtual device, 0 if the machine does not know it.
    pub fn device_if_index(&self, name: &str) -> u32 {
        let key = name.to_uppercase();
        self.ndis(|n| n.instances.get(&key).map_or(0, |i| i.if_index))
    }
}

api! { exports:
    /// Requests a virtual miniport.
    "ndis.sys" 0..=0 "IRQ-1"
    fn NdisIMInitializeDeviceInstanceEx(host, driver: u64, name: u64, context: u64) -> NDIS_STATUS {
        if !host.check("DriverHandle", driver, Kind::MiniportDriver) {
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        if host.ndis(|n| n.drivers[&driver].protocol.is_none()) {
            host.violate("ASC-1", "a virtual miniport is requested before the edges are associated".into());
        }
        let key = host.get_string(name, "DriverInstance").to_uppercase();
        host.ndis(|n| {
            for bind in n.binds.values_mut() {
                bind.asked.insert(key.clone());
            }
            if n.asked.len() < 10_000 {
                n.asked.push(key.clone());
            }
        });
        // A driver whose MiniportInitializeEx fails cannot see that handler return: its last
        // instructions are waited for, as by NDIS's own lock.
        host.wait_until("for a start that is failing", 1_000, 10_000, |h| {
            h.ndis(|n| n.instances.get(&key).is_none_or(|i| !i.starting))
        });
        let (unlisted, there) = host.ndis(|n| {
            let listed = n.bindings.values().any(|b| b.opened && !names_above(&b.values).is_empty());
            let i = n.instances.get(&key);
            let there = i.is_some_and(|i| i.miniport.is_some() || i.request.is_some());
            let associated = n.drivers[&driver].protocol.is_some();
            (associated && listed && n.serving(&key).next().is_none(), there)
        });
        if unlisted {
            host.violate("VMI-1", format!("{key} is requested, and no open binding lists it in UpperBindings"));
        } else if there {
            host.violate("VMI-2", format!("{key} is requested, and it is there or was requested already"));
        }
        if host.fails("NdisIMInitializeDeviceInstanceEx") {
            return NDIS_STATUS_RESOURCES;
        }
        host.judge_request(&key);
        let (request, start) = host.ndis(|n| {
            n.tickets += 1;
            let request = Request { driver, context, ticket: n.tickets };
            let i = n.instances.entry(key.clone()).or_default();
            if i.miniport.is_some() || i.request.is_some() {
                return (None, InstanceStart::Never);
            }
            i.request = Some(request);
            i.asked = true;
            i.refused = 0;
            n.cancelled.remove(&context);
            // Not enumerated yet: the request stays until it is, or is cancelled.
            (Some(request), if i.known { i.start } else { InstanceStart::Never })
        });
        let Some(request) = request else {
            return NDIS_STATUS_NOT_ACCEPTED;
        };
        let inside = match start {
            InstanceStart::Inside => true,
            InstanceStart::Either => {
                let later = host.engine().random(2) != 0;
                !host.later(later)
            }
            InstanceStart::Later | InstanceStart::After(_) | InstanceStart::Never => false,
        };
        if inside {
            // The request is accepted whatever initialisation says (VMI-3).
            host.initialize_instance(&key, request.ticket);
        } else {
            host.schedule_start(&key, request, start);
        }
        NDIS_STATUS_SUCCESS
    }

    /// Withdraws a request.
    "ndis.sys" 0..=0 "IRQ-1"
    fn NdisIMCancelInitializeDeviceInstance(host, driver: u64, name: u64) -> NDIS_STATUS {
        let kind = host.ndis(|n| n.handles.kind(driver));
        if kind != Ok(Kind::MiniportDriver) {
            host.violate("CAN-2", format!("NdisIMCancelInitializeDeviceInstance with {driver:#x}, which is no miniport driver handle ({kind:?})"));
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        let key = host.get_string(name, "DriverInstance").to_uppercase();
        if !host.ndis(|n| n.instances.get(&key).is_some_and(|i| i.asked)) {
            host.violate("CAN-2", format!("NdisIMCancelInitializeDeviceInstance of {key}, which was never asked for"));
            return NDIS_STATUS_FAILURE;
        }
        let cancelled = host.ndis(|n| match n.instances.get_mut(&key) {
            Some(i) if i.request.is_some_and(|r| r.driver == driver) && !i.starting => {
                if let Some(r) = i.request.take() {
                    n.cancelled.insert(r.context);
                }
                true
            }
            Some(i) => {
                if let Some(r) = i.request.filter(|_| i.starting) {
                    i.refused = r.context;
                }
                false
            }
            None => false,
        });
        let now = host.now();
        let settled = host.ndis(|n| {
            let miniport = n.instances.get(&key).and_then(|i| i.miniport);
            let m = miniport.and_then(|h| n.miniports.get(&h));
            m.is_some_and(|m| m.initialized && now > m.since + SETTLED)
        });
        if settled {
            host.violate("VMI-8", format!("the request of {key} is cancelled long after it was initialised"));
        }
        if cancelled { NDIS_STATUS_SUCCESS } else { NDIS_STATUS_FAILURE }
    }

    /// Takes a virtual miniport down.
    "ndis.sys" 0..=0 "IRQ-1"
    fn NdisIMDeInitializeDeviceInstance(host, miniport: u64) -> NDIS_STATUS {
        if !host.check("NdisMiniportHandle", miniport, Kind::Miniport) {
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        if !host.local().locks.borrow().is_empty() {
            host.violate("HLT-1", "NdisIMDeInitializeDeviceInstance is called with a lock held".into());
        }
        let ready = |host: &Host| {
            host.ndis(|n| n.miniports.get(&miniport).is_some_and(|m| m.initialized && m.state != EdgeState::Closing))
        };
        // A driver cannot see its handler return: what is on its last instructions is waited
        // for, as by NDIS's own lock.
        if !ready(host) && !host.wait_until("for the initialisation to end", 1_000, 10_000, ready) {
            host.violate("VMI-8", "NdisIMDeInitializeDeviceInstance before the initialisation is over, or twice".into());
            return NDIS_STATUS_FAILURE;
        }
        host.needed_by_others(miniport);
        host.halt_miniport(miniport);
        NDIS_STATUS_SUCCESS
    }

    /// The DeviceContext of a virtual miniport that a binding of an upper driver leads to.
    "ndis.sys" 0..=1 "IRQ-1"
    fn NdisIMGetBindingContext(host, miniport: u64) -> u64 {
        let direct = host.ndis(|n| n.miniports.get(&miniport).map(|m| m.device_context));
        direct.or_else(|| host.context_below(miniport)).unwrap_or(0)
    }
}

impl Host {
    /// CAN-3: memory is freed that is the context of a device whose start could not be stopped.
    pub(crate) fn check_context(&self, from: u64, len: u64, by: &str) {
        let used = self.ndis(|n| {
            let mut all = n.instances.values();
            let in_use = |i: &&Instance| {
                i.refused != 0
                    && (from..from + len.max(1)).contains(&i.refused)
                    && (i.starting || i.miniport.is_some())
            };
            all.find(in_use).map(|i| i.refused)
        });
        if let Some(context) = used {
            self.violate(
                "CAN-3",
                format!("{by} frees {context:#x}, the context of a device whose initialisation could not be cancelled and goes on"),
            );
        }
    }
}
