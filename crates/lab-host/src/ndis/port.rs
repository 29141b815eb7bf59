//! Ports that a miniport allocates beside its default one.

use ndis_sys::{
    NDIS_PORT_CHARACTERISTICS, NDIS_STATUS, NDIS_STATUS_INVALID_PARAMETER, NDIS_STATUS_RESOURCES,
    NDIS_STATUS_SUCCESS,
};

use super::list::at;
use crate::api::api;
use crate::handle::Kind;
use crate::host::Host;

/// `NDIS_OBJECT_TYPE_PORT_CHARACTERISTICS`.
const TYPE: u8 = 0x9C;
const LAST: u32 = 0x00FF_FFFF;

impl Host {
    /// PRT-1: what goes through a port goes through one that is active. No protocol of the host
    /// asks for one that the driver allocated.
    pub(crate) fn judge_port(&self, name: &str, port: u32) {
        if port != 0 {
            self.violate(
                "PRT-1",
                format!("{name} on port {port}, which is not active"),
            );
        }
    }

    /// PRT-2: ports are gone when their adapter is.
    pub(crate) fn no_ports_left(&self, miniport: u64, after: &str) {
        let left = self.ndis(|n| {
            let mine = n.miniport_ports.iter().filter(|(of, _)| *of == miniport);
            let left: Vec<u32> = mine.map(|(_, port)| *port).collect();
            n.miniport_ports.retain(|(of, _)| *of != miniport);
            left
        });
        if !left.is_empty() {
            self.violate("PRT-2", format!("ports {left:?} are left after {after}"));
        }
    }
}

api! { exports:
    /// Allocates a port; NDIS chooses its number.
    "ndis.sys" 0..=0 "IRQ-3"
    fn NdisMAllocatePort(host, handle: u64, characteristics: u64) -> NDIS_STATUS {
        if !host.check("NdisMiniportHandle", handle, Kind::Miniport) {
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        let c: NDIS_PORT_CHARACTERISTICS = host.get(characteristics, "PortCharacteristics");
        if c.Header.Type != TYPE || c.Header.Revision != 1 {
            host.violate("VER-5", format!("NdisMAllocatePort: Header.Type is {:#x}, revision {}", c.Header.Type, c.Header.Revision));
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        if !host.ndis(|n| n.miniports[&handle].facts.registered) {
            host.violate("PRT-2", "a port is allocated before the registration attributes are set".into());
        }
        if host.fails("NdisMAllocatePort") {
            return NDIS_STATUS_RESOURCES;
        }
        let number = host.ndis(|n| {
            let free = (1..=LAST).find(|&number| !n.miniport_ports.contains(&(handle, number)))?;
            n.miniport_ports.insert((handle, free));
            Some(free)
        });
        let Some(number) = number else {
            return NDIS_STATUS_RESOURCES;
        };
        host.put(characteristics + at!(NDIS_PORT_CHARACTERISTICS.PortNumber), number, "PortCharacteristics");
        NDIS_STATUS_SUCCESS
    }

    /// Frees a port, which must not be the default one.
    "ndis.sys" 0..=0 "IRQ-3"
    fn NdisMFreePort(host, handle: u64, number: u32) -> NDIS_STATUS {
        if !host.check("NdisMiniportHandle", handle, Kind::Miniport) {
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        let known = host.ndis(|n| n.miniport_ports.remove(&(handle, number)));
        if known {
            return NDIS_STATUS_SUCCESS;
        }
        host.violate("PRT-2", format!("NdisMFreePort: port {number} is {}", if number == 0 { "the default one" } else { "not allocated" }));
        NDIS_STATUS_INVALID_PARAMETER
    }
}
