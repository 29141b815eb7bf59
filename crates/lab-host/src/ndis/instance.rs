//! Virtual miniports: requested by the driver, initialised and halted by NDIS.

use ndis_sys::{
    NDIS_MINIPORT_INIT_PARAMETERS, NDIS_MINIPORT_INIT_PARAMETERS_REVISION_1,
    NDIS_OBJECT_TYPE_MINIPORT_INIT_PARAMETERS, NDIS_STATUS, NDIS_STATUS_FAILURE,
    NDIS_STATUS_INVALID_PARAMETER, NDIS_STATUS_NOT_ACCEPTED, NDIS_STATUS_RESOURCES,
    NDIS_STATUS_SUCCESS, NdisHaltDeviceInstanceDeInitialized,
};

use super::EdgeState;
use super::attributes::MiniportFacts;
use super::binding::header;
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
    /// Never: the device is not enumerated.
    Never,
}

/// A virtual device the machine knows, by its name.
#[derive(Default)]
pub(crate) struct Instance {
    pub(crate) start: InstanceStart,
    /// Requested and not initialised, cancelled or gone.
    pub(crate) requested: bool,
    /// `MiniportInitializeEx` began; a cancel comes too late (CAN-3).
    pub(crate) starting: bool,
    pub(crate) miniport: Option<u64>,
    pub(crate) task: Option<u64>,
    pub(crate) values: Vec<(String, super::Value)>,
    pub(crate) if_index: u32,
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
    /// Not in D0.
    pub(crate) asleep: bool,
    pub(crate) statuses: Vec<(i32, Vec<u8>)>,
    pub(crate) oid_busy: bool,
    /// Protocols bound to it.
    pub(crate) uppers: Vec<usize>,
    /// Packet filter that was set, once one was.
    pub(crate) packet_filter: Option<u32>,
}

impl Host {
    /// Makes a virtual device known to the machine.
    pub fn add_device(
        &self,
        name: &str,
        start: InstanceStart,
        values: Vec<(String, super::Value)>,
    ) {
        self.ndis(|n| {
            let if_index = 100 + n.instances.len() as u32;
            n.instances.insert(
                name.to_uppercase(),
                Instance {
                    start,
                    values,
                    if_index,
                    ..Instance::default()
                },
            );
        });
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

    fn initialize_instance(&self, key: &str, driver: u64, device_context: u64) -> i32 {
        let begun = self.ndis(|n| {
            let i = n.instances.get_mut(key)?;
            if !i.requested {
                return None;
            }
            i.starting = true;
            i.task = None;
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
                    asleep: false,
                    statuses: Vec::new(),
                    oid_busy: false,
                    uppers: Vec::new(),
                    packet_filter: None,
                },
            );
            Some((h, handler, context, if_index))
        });
        let Some((miniport, handler, context, if_index)) = begun else {
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
            self.ndis(|n| {
                let m = n.miniports.get_mut(&miniport).expect("miniport");
                m.state = EdgeState::Paused;
                m.initialized = true;
                let i = n.instances.get_mut(key).expect("instance");
                i.requested = false;
                i.starting = false;
                i.miniport = Some(miniport);
            });
            self.attach_uppers(miniport);
        } else {
            self.ndis(|n| {
                n.miniports.remove(&miniport);
                n.handles.close(miniport);
                let i = n.instances.get_mut(key).expect("instance");
                i.requested = false;
                i.starting = false;
            });
        }
        status
    }

    /// The device of a virtual miniport is disabled: NDIS halts it though nobody asked the
    /// driver, which keeps its bindings.
    pub fn disable_device(&self, miniport: u64) {
        self.halt_miniport(miniport);
    }

    /// Halts a virtual miniport: protocols above let go, it is paused, then halted.
    pub(crate) fn halt_miniport(&self, miniport: u64) {
        self.detach_uppers(miniport);
        self.pause_miniport(miniport);
        let found = self.ndis(|n| {
            let m = n.miniports.get_mut(&miniport)?;
            m.state = EdgeState::Closing;
            let context = m.context;
            let driver = m.driver;
            let handler = n.drivers.get(&driver)?.chars.HaltHandlerEx? as usize as u64;
            Some((context, handler))
        });
        let Some((context, handler)) = found else {
            return;
        };
        self.call(
            "MiniportHaltEx",
            miniport,
            handler,
            &[context, NdisHaltDeviceInstanceDeInitialized.0 as u64],
        );
        let (out, timers) = self.ndis(|n| {
            let m = n.miniports.remove(&miniport).expect("miniport");
            n.handles.close(miniport);
            if let Some(i) = n.instances.get_mut(&m.name) {
                i.miniport = None;
                i.starting = false;
            }
            let timers = n.timers.values().filter(|t| t.owner == miniport).count();
            (m.receives, timers)
        });
        if out > 0 {
            self.violate(
                "HLT-3",
                format!("{out} indicated lists are out after MiniportHaltEx"),
            );
        }
        let pools = self.ndis(|n| {
            let lists = n.pools.values().filter(|p| p.owner == miniport).count();
            let buffers = n.buffer_pools.values();
            lists + buffers.filter(|p| p.owner == miniport).count()
        });
        if pools > 0 {
            self.violate(
                "HLT-2",
                format!("{pools} pools of the adapter are left after MiniportHaltEx"),
            );
        }
        if timers > 0 {
            self.violate(
                "TMR-1",
                format!("{timers} timers of the adapter are left after MiniportHaltEx"),
            );
        }
        if self.ndis(|n| n.configurations.values().any(|c| c.owner == miniport)) {
            self.violate(
                "CFG-1",
                "a configuration handle is open after MiniportHaltEx".into(),
            );
        }
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
        if host.fails("NdisIMInitializeDeviceInstanceEx") {
            return NDIS_STATUS_RESOURCES;
        }
        let start = host.ndis(|n| {
            let i = n.instances.get_mut(&key)?;
            if i.miniport.is_some() || i.requested {
                return Some(None);
            }
            i.requested = true;
            Some(Some(i.start))
        });
        let inside = match start {
            // Not enumerated yet: the request stays until it is cancelled.
            None => {
                host.ndis(|n| {
                    n.instances.insert(key, Instance { requested: true, ..Instance::default() });
                });
                return NDIS_STATUS_SUCCESS;
            }
            Some(None) => return NDIS_STATUS_NOT_ACCEPTED,
            Some(Some(InstanceStart::Never)) => return NDIS_STATUS_SUCCESS,
            Some(Some(InstanceStart::Inside)) => true,
            Some(Some(InstanceStart::Later)) => false,
            Some(Some(InstanceStart::Either)) => host.engine().random(2) == 0,
        };
        if inside {
            // The request is accepted whatever initialisation says (VMI-3).
            host.initialize_instance(&key, driver, context);
        } else {
            let delay = host.engine().random(50_000);
            let for_task = key.clone();
            let task = host.spawn_after(delay, Job::thread("device start", move |host| {
                host.initialize_instance(&for_task, driver, context);
            }));
            host.ndis(|n| {
                if let Some(i) = n.instances.get_mut(&key) {
                    i.task = Some(task);
                }
            });
        }
        NDIS_STATUS_SUCCESS
    }

    /// Withdraws a request.
    "ndis.sys" 0..=0 "IRQ-1"
    fn NdisIMCancelInitializeDeviceInstance(host, driver: u64, name: u64) -> NDIS_STATUS {
        if !host.check("DriverHandle", driver, Kind::MiniportDriver) {
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        let key = host.get_string(name, "DriverInstance").to_uppercase();
        let (cancelled, task) = host.ndis(|n| match n.instances.get_mut(&key) {
            Some(i) if i.requested && !i.starting => {
                i.requested = false;
                (true, i.task.take())
            }
            _ => (false, None),
        });
        if let Some(task) = task {
            host.engine().cancel(task);
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
        let ready = host.ndis(|n| n.miniports.get(&miniport).is_some_and(|m| m.initialized && m.state != EdgeState::Closing));
        if !ready {
            host.violate("VMI-8", "NdisIMDeInitializeDeviceInstance before the initialisation is over, or twice".into());
            return NDIS_STATUS_FAILURE;
        }
        host.halt_miniport(miniport);
        NDIS_STATUS_SUCCESS
    }

    /// The DeviceContext of a virtual miniport that a binding of an upper driver leads to.
    "ndis.sys" 0..=1 "IRQ-1"
    fn NdisIMGetBindingContext(host, miniport: u64) -> u64 {
        host.ndis(|n| n.miniports.get(&miniport).map_or(0, |m| m.device_context))
    }

    /// Tells NDIS that one interface lies on another.
    "ndis.sys" 0..=0 "IRQ-8"
    fn NdisIfAddIfStackEntry(host, higher: u32, lower: u32) -> NDIS_STATUS {
        if higher == 0 || lower == 0 || higher == lower
            || host.ndis(|n| n.stack_entries.contains(&(lower, higher)))
        {
            host.violate("IFS-3", format!("interface stack entry {higher} over {lower}"));
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        if host.fails("NdisIfAddIfStackEntry") {
            return NDIS_STATUS_RESOURCES;
        }
        host.ndis(|n| n.stack_entries.insert((higher, lower)));
        NDIS_STATUS_SUCCESS
    }

    /// Takes such an entry back.
    "ndis.sys" 0..=0 "IRQ-8"
    fn NdisIfDeleteIfStackEntry(host, higher: u32, lower: u32) -> NDIS_STATUS {
        if host.ndis(|n| n.stack_entries.remove(&(higher, lower))) {
            return NDIS_STATUS_SUCCESS;
        }
        host.violate("IFS-2", format!("there is no interface stack entry {higher} over {lower}"));
        NDIS_STATUS_INVALID_PARAMETER
    }
}
