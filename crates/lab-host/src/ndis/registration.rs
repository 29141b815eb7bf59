//! `DriverEntry`, unload, and the registration of both edges.

use ndis_sys::{
    DRIVER_OBJECT, NDIS_MINIPORT_DRIVER_CHARACTERISTICS,
    NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS,
    NDIS_OBJECT_TYPE_PROTOCOL_DRIVER_CHARACTERISTICS, NDIS_PROTOCOL_DRIVER_CHARACTERISTICS,
    NDIS_STATUS, NDIS_STATUS_BAD_CHARACTERISTICS, NDIS_STATUS_BAD_VERSION, NDIS_STATUS_FAILURE,
    NDIS_STATUS_RESOURCES, NDIS_STATUS_SUCCESS, NDIS_WDM_DRIVER,
};

use super::list::at;
use super::{Breach, MiniportDriver, ProtocolDriver};
use crate::api::api;
use crate::handle::Kind;
use crate::host::Host;
use crate::image::Image;
use crate::vp::{DISPATCH, PASSIVE};

/// Minor versions an NDIS 6 driver may declare (MPR-2).
const MINORS: [u8; 18] = [
    0, 1, 20, 30, 40, 50, 51, 60, 70, 80, 81, 82, 83, 84, 85, 86, 87, 88,
];

/// What a driver is to the others: which of the two edges it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Both, tied together.
    #[default]
    Intermediate,
    /// A miniport of adapters of its own.
    Miniport,
    /// A protocol above adapters.
    Protocol,
}

impl Host {
    /// Makes the driver object and calls `DriverEntry` of the image that was loaded
    /// first; returns its status. When that is a failure, checks that nothing stayed
    /// behind (DE-9 to DE-12).
    pub fn driver_entry(&self, service: &str) -> i32 {
        let image = self.image().expect("an image is loaded");
        self.driver_entry_of(&image, service)
    }

    /// As [`Host::driver_entry`], for any loaded image.
    pub fn driver_entry_of(&self, image: &Image, service: &str) -> i32 {
        self.driver_entry_as(image, service, Role::Intermediate)
    }

    /// The same for a driver that need not be an intermediate one.
    pub fn driver_entry_as(&self, image: &Image, service: &str, role: Role) -> i32 {
        let object = self.allocate(
            size_of::<DRIVER_OBJECT>() as u64,
            u32::from_le_bytes(*b"Driv"),
            "DRIVER_OBJECT",
        );
        self.put(
            object,
            [4_u16, size_of::<DRIVER_OBJECT>() as u16],
            "DRIVER_OBJECT",
        );
        let path = self.unicode(&format!(
            "\\Registry\\Machine\\System\\CurrentControlSet\\Services\\{service}"
        ));
        self.ndis(|n| {
            n.driver_object = object;
            n.registry_path = path;
            n.role = role;
            service.clone_into(&mut n.service);
        });
        self.arm_marks();
        let status = self.call("DriverEntry", 0, image.entry, &[object, path]) as u32 as i32;
        self.free_unicode(path);
        if status == 0x103 {
            self.violate("DE-2", "DriverEntry returned STATUS_PENDING".into());
        }
        if status < 0 {
            self.check_nothing_left("a failed DriverEntry", object);
            self.release(object);
        } else {
            self.devices_are_ready(object);
            let (miniport, protocol, associated) = self.ndis(|n| {
                n.loaded.push((service.to_owned(), object));
                let mine = || n.drivers.values().filter(|d| d.driver_object == object);
                let protocol = n.protocols.values().any(|p| p.driver_object == object);
                let associated = mine().any(|d| d.protocol.is_some());
                (mine().next().is_some(), protocol, associated)
            });
            let missing = match role {
                Role::Intermediate | Role::Miniport if !miniport => Some("miniport"),
                Role::Protocol if !protocol => Some("protocol"),
                _ => None,
            };
            if let Some(edge) = missing {
                self.violate(
                    "DE-8",
                    format!("DriverEntry succeeded without a registered {edge} edge"),
                );
            } else if role == Role::Intermediate && !self.has_intermediate_edge(object) {
                self.violate("DE-3", "Flags lacks NDIS_INTERMEDIATE_DRIVER".into());
            } else if role == Role::Intermediate && !protocol {
                self.violate(
                    "DE-4",
                    "DriverEntry succeeded without a registered protocol edge".into(),
                );
            } else if role == Role::Intermediate && !associated {
                self.violate(
                    "DE-5",
                    "DriverEntry succeeded without NdisIMAssociateMiniport".into(),
                );
            }
        }
        status
    }

    /// Tells the protocol edge of the driver that was loaded last to uninstall, as the
    /// last unbind has happened (UNI-1).
    pub fn uninstall(&self) {
        let found = self.ndis(|n| {
            let (_, object) = n.loaded.last()?;
            let mut all = n.protocols.iter();
            let (&protocol, mine) = all.find(|(_, p)| p.driver_object == *object)?;
            Some((protocol, mine.chars.UninstallHandler? as usize as u64))
        });
        let Some((protocol, handler)) = found else {
            return;
        };
        if self.breaches(Breach::NoUninstall) {
            return;
        }
        let raised = self.breaches(Breach::UninstallRaised);
        if raised {
            self.vp().set_irql(DISPATCH);
        }
        self.judge_uninstall(protocol);
        self.call("ProtocolUninstall", 0, handler, &[]);
        if raised {
            self.vp().set_irql(PASSIVE);
        }
    }

    /// Calls the unload handler of the driver that was loaded last and was uninstalled, and
    /// checks that nothing stayed behind. What does not say whose it is is looked for when the
    /// last driver goes.
    pub fn unload(&self) {
        self.unload_after(true);
    }

    /// The same of a driver that is stopped and not uninstalled: nobody unbound it, which its
    /// deregistration does (UNL-3), and `ProtocolUninstall`, which answers an uninstallation, is
    /// not called.
    pub fn unload_bound(&self) {
        self.unload_after(false);
    }

    fn unload_after(&self, uninstalled: bool) {
        let Some((_, object)) = self.ndis(|n| n.loaded.pop()) else {
            return;
        };
        let handler = self.ndis(|n| {
            let mut all = n.drivers.values();
            let driver = all.find(|d| d.driver_object == object)?;
            Some(driver.chars.UnloadHandler? as usize as u64)
        });
        let (name, handler) = match handler {
            Some(handler) => ("MiniportDriverUnload", handler),
            // A driver without a miniport edge has the system's own.
            None => (
                "DriverUnload",
                self.get(object + at!(DRIVER_OBJECT.DriverUnload), "DRIVER_OBJECT"),
            ),
        };
        if handler == 0 {
            return;
        }
        if uninstalled {
            self.judge_unload(object);
        }
        self.call(name, 0, handler, &[object]);
        self.check_nothing_left("unload", object);
        self.no_provider();
        self.release(object);
    }

    /// Reports what a driver that is gone left behind.
    fn check_nothing_left(&self, after: &str, object: u64) {
        self.judge_copies(object);
        let rule = if after == "unload" { "UNL-4" } else { "DE-11" };
        let mut left = Vec::new();
        self.ndis(|n| {
            if n.protocols.values().any(|p| p.driver_object == object) {
                left.push((
                    if after == "unload" { "UNL-2" } else { "DE-10" },
                    "the protocol edge is still registered".to_owned(),
                ));
            }
            let edges = n.registered.edges.remove(&object).unwrap_or(0);
            if n.drivers.values().any(|d| d.driver_object == object) {
                left.push((
                    match after {
                        "unload" if edges > 1 => "MPR-11",
                        "unload" => "UNL-2",
                        _ => "DE-9",
                    },
                    "the miniport edge is still registered".to_owned(),
                ));
            }
            if !n.loaded.is_empty() {
                return;
            }
            for (kind, id) in [
                (Kind::NblPool, rule),
                (Kind::NbPool, rule),
                (Kind::WorkItem, "MEM-5"),
                (Kind::Timer, "TMR-3"),
                (Kind::RwLock, rule),
                (Kind::Device, "UNI-2"),
                (Kind::Configuration, "CFG-1"),
                (Kind::Generic, "MEM-4"),
            ] {
                let count = n.handles.count(kind);
                if count > 0 {
                    left.push((id, format!("{count} {kind:?} left")));
                }
            }
        });
        let alone = self.ndis(|n| n.loaded.is_empty());
        if alone {
            self.options_left(after);
            self.contexts_left();
        }
        let (sends, receives) = self.driver_has();
        if alone && sends + receives > 0 {
            left.push((
                "NBL-10",
                format!("{sends} sends and {receives} receives of others are kept"),
            ));
        }
        if alone {
            let heap = self.heap();
            for a in heap.live() {
                if a.by.starts_with("Ndis") || a.by.starts_with("Ex") {
                    let tag = String::from_utf8_lossy(&a.tag.to_le_bytes()).into_owned();
                    left.push((
                        rule,
                        format!("{} bytes with tag '{tag}' from {}", a.len, a.by),
                    ));
                }
            }
        }
        left.extend(self.left_in_nt(object, alone));
        for (id, what) in left {
            self.violate(id, format!("after {after}: {what}"));
        }
    }

    /// A `UNICODE_STRING` with its buffer, in driver-visible memory.
    pub(crate) fn unicode(&self, text: &str) -> u64 {
        let units: Vec<u16> = text.encode_utf16().collect();
        let at = self.allocate(
            16 + 2 * units.len() as u64,
            u32::from_le_bytes(*b"Strg"),
            "UNICODE_STRING",
        );
        let len = 2 * units.len() as u16;
        self.put(at, [len, len], "string");
        self.put(at + 8, at + 16, "string");
        for (i, unit) in units.iter().enumerate() {
            self.put(at + 16 + 2 * i as u64, *unit, "string");
        }
        at
    }

    pub(crate) fn free_unicode(&self, string: u64) {
        self.release(string);
    }

    /// The version rule of both edges: 6.x, and not above what the host says it is (MPR-2).
    fn check_version(&self, major: u8, minor: u8) -> bool {
        let (_, ours) = self.ndis_version();
        if major != 6 || !(MINORS.contains(&minor) || minor == 89) || minor > ours {
            self.violate(
                "MPR-2",
                format!("version {major}.{minor} is declared to NDIS 6.{ours}"),
            );
            return false;
        }
        true
    }
}

api! { exports:
    /// Registers the miniport edge.
    "ndis.sys" 0..=0 "IRQ-3"
    fn NdisMRegisterMiniportDriver(host, object: u64, path: u64, context: u64, chars: u64,
        handle: u64) -> NDIS_STATUS {
        let c: NDIS_MINIPORT_DRIVER_CHARACTERISTICS = host.get(chars, "MiniportDriverCharacteristics");
        if host.ndis(|n| n.driver_object) != object {
            host.violate("DE-3", "the DriverObject is not the one DriverEntry was given".into());
        }
        if host.ndis(|n| n.registry_path) != path {
            host.violate("DE-3", "the RegistryPath is not the one DriverEntry was given".into());
        }
        if c.Header.Type != NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS {
            host.violate("MPR-1", format!("Header.Type is {:#x}", c.Header.Type));
            return NDIS_STATUS_BAD_CHARACTERISTICS;
        }
        if !host.check_version(c.MajorNdisVersion, c.MinorNdisVersion) {
            return NDIS_STATUS_BAD_VERSION;
        }
        let intermediate = host.ndis(|n| n.role) == Role::Intermediate;
        if c.Flags & NDIS_WDM_DRIVER != 0 {
            host.violate("MPR-6", "NDIS_WDM_DRIVER is set".into());
        }
        if !host.judge_miniport_edge(&c, intermediate) {
            return NDIS_STATUS_BAD_CHARACTERISTICS;
        }
        if host.fails("NdisMRegisterMiniportDriver") {
            return NDIS_STATUS_RESOURCES;
        }
        let driver = host.ndis(|n| {
            let h = n.handles.open(Kind::MiniportDriver);
            n.drivers.insert(h, MiniportDriver {
                chars: c,
                context,
                driver_object: object,
                protocol: None,
            });
            h
        });
        host.ndis(|n| *n.registered.edges.entry(object).or_default() += 1);
        host.copied(object, chars, size_of::<NDIS_MINIPORT_DRIVER_CHARACTERISTICS>().min(usize::from(c.Header.Size)));
        if let Some(set) = c.SetOptionsHandler {
            let status = host.set_options("MiniportSetOptions", driver, set as usize as u64, context);
            if status != 0 {
                host.ndis(|n| { n.drivers.remove(&driver); n.handles.close(driver); });
                return NDIS_STATUS(status);
            }
        }
        // SO-1: the handle comes when the registration returns, XxxSetOptions gets it itself.
        host.put(handle, driver, "NdisMiniportDriverHandle");
        NDIS_STATUS_SUCCESS
    }

    /// Takes the miniport edge back.
    "ndis.sys" 0..=0 "IRQ-3"
    fn NdisMDeregisterMiniportDriver(host, handle: u64) {
        let inside = |name: &str| host.local().frames.borrow().iter().any(|f| f.name == name);
        let none = host.ndis(|n| !n.registered.edges.contains_key(&n.driver_object));
        if none && inside("DriverEntry") {
            host.violate("DE-12", "a miniport edge is deregistered that was never registered".into());
            return;
        }
        if !host.check("MiniportDriverHandle", handle, Kind::MiniportDriver) {
            return;
        }
        if host.ndis(|n| n.miniports.values().any(|m| m.driver == handle)) {
            host.violate("UNL-1", "a virtual miniport is not halted yet".into());
        }
        let protocol = host.ndis(|n| {
            let object = n.drivers.get(&handle).map(|d| d.driver_object);
            n.protocols.values().any(|p| Some(p.driver_object) == object)
        });
        if protocol && inside("MiniportDriverUnload") {
            host.violate("UNL-2", "the miniport edge goes before the protocol edge".into());
        }
        host.ndis(|n| { n.drivers.remove(&handle); n.handles.close(handle); });
    }

    /// Registers the protocol edge.
    "ndis.sys" 0..=0 "IRQ-2"
    fn NdisRegisterProtocolDriver(host, context: u64, chars: u64, handle: u64) -> NDIS_STATUS {
        let c: NDIS_PROTOCOL_DRIVER_CHARACTERISTICS = host.get(chars, "ProtocolCharacteristics");
        if c.Header.Type != NDIS_OBJECT_TYPE_PROTOCOL_DRIVER_CHARACTERISTICS {
            host.violate("PTR-1", format!("Header.Type is {:#x}", c.Header.Type));
            return NDIS_STATUS_BAD_CHARACTERISTICS;
        }
        if !host.check_version(c.MajorNdisVersion, c.MinorNdisVersion) {
            return NDIS_STATUS_BAD_VERSION;
        }
        if c.Flags != 0 {
            host.violate("PTR-2", format!("Flags is {:#x}", c.Flags));
        }
        let upper = host.ndis(|n| {
            let mut all = n.drivers.values();
            let mine = all.find(|d| d.driver_object == n.driver_object)?;
            Some((mine.chars.MajorNdisVersion, mine.chars.MinorNdisVersion))
        });
        if upper.is_some_and(|v| v != (c.MajorNdisVersion, c.MinorNdisVersion)) {
            host.violate("PTR-2", "the two edges declare different versions".into());
        }
        if !host.judge_protocol_edge(&c) {
            return NDIS_STATUS_BAD_CHARACTERISTICS;
        }
        let name_at = chars + std::mem::offset_of!(NDIS_PROTOCOL_DRIVER_CHARACTERISTICS, Name) as u64;
        let name = host.get_string(name_at, "Name");
        let service = host.ndis(|n| n.service.clone());
        if !name.eq_ignore_ascii_case(&service) {
            host.violate("PTR-3", format!("the protocol's name is {name:?}, the service is {service:?}"));
        }
        if host.fails("NdisRegisterProtocolDriver") {
            return NDIS_STATUS_RESOURCES;
        }
        let protocol = host.ndis(|n| {
            let h = n.handles.open(Kind::ProtocolDriver);
            let driver_object = n.driver_object;
            n.protocols.insert(h, ProtocolDriver { chars: c, context, name, driver_object });
            h
        });
        if let Some(set) = c.SetOptionsHandler {
            let status = host.set_options("ProtocolSetOptions", protocol, set as usize as u64, context);
            if status != 0 {
                host.ndis(|n| { n.protocols.remove(&protocol); n.handles.close(protocol); });
                return NDIS_STATUS(status);
            }
        }
        host.put(handle, protocol, "NdisProtocolHandle");
        host.bind_now(c.SetOptionsHandler.is_some());
        NDIS_STATUS_SUCCESS
    }

    /// Takes the protocol edge back; open bindings are unbound inside (UNL-3).
    "ndis.sys" 0..=0 "IRQ-2"
    fn NdisDeregisterProtocolDriver(host, handle: u64) {
        if !host.check("NdisProtocolHandle", handle, Kind::ProtocolDriver) {
            return;
        }
        let inside = host.local().frames.borrow().iter().rev().find(|f| f.callback).map(|f| f.name);
        let handler = |name: &str| {
            name.starts_with("Protocol") || name.starts_with("Miniport") && name != "MiniportDriverUnload"
        };
        if inside.is_some_and(handler) {
            host.violate("UNI-3", format!("NdisDeregisterProtocolDriver is called inside {}", inside.unwrap_or_default()));
        }
        let held = host.local().locks.borrow().last().map(|l| l.address);
        if let Some(lock) = held {
            host.violate("UNL-3", format!("the spin lock at {lock:#x} is held over the deregistration, which unbinds"));
        }
        let open: Vec<u64> = host.ndis(|n| {
            n.bindings.iter().filter(|(_, b)| b.protocol == handle).map(|(h, _)| *h).collect()
        });
        for binding in open {
            host.unbind(binding);
        }
        host.ndis(|n| { n.protocols.remove(&handle); n.handles.close(handle); });
    }

    /// Ties the two edges of an intermediate driver together.
    "ndis.sys" 0..=0 "IRQ-1"
    fn NdisIMAssociateMiniport(host, driver: u64, protocol: u64) {
        // DE-5: the miniport driver handle comes first.
        if !host.check("DriverHandle", driver, Kind::MiniportDriver)
            || !host.check("ProtocolHandle", protocol, Kind::ProtocolDriver)
        {
            host.violate("DE-5", "NdisIMAssociateMiniport did not get the two driver handles".into());
            return;
        }
        host.ndis(|n| {
            if let Some(d) = n.drivers.get_mut(&driver) {
                d.protocol = Some(protocol);
            }
        });
    }

    /// Optional handlers; only the checks that need no handler of ours.
    "ndis.sys" 0..=0 "IRQ-3"
    fn NdisSetOptionalHandlers(host, handle: u64, handlers: u64) -> NDIS_STATUS {
        host.check_options(handle, handlers);
        NDIS_STATUS_FAILURE
    }

    /// NDIS version of this host, major in the high half.
    "ndis.sys" 0..=2 "IRQ-11"
    fn NdisGetVersion(host) -> u32 {
        let (major, minor) = host.ndis_version();
        u32::from(major) << 16 | u32::from(minor)
    }

    /// Address of an NDIS function by name, or null.
    "ndis.sys" 0..=0 "IRQ-11"
    fn NdisGetRoutineAddress(host, name: u64) -> u64 {
        let name = host.get_string(name, "NdisRoutineName");
        host.stub("ndis.sys", &name).unwrap_or(0)
    }
}
