//! What drivers ask NDIS about the machine and about their own devices.

use ndis_sys::{
    DEVICE_OBJECT, NDIS_RSS_PROCESSOR_INFO, NDIS_STATUS, NDIS_STATUS_BUFFER_TOO_SHORT,
    NDIS_STATUS_INVALID_PARAMETER, NDIS_STATUS_NOT_SUPPORTED, NDIS_STATUS_RESOURCES,
    NDIS_STATUS_SUCCESS,
};

use super::list::at;
use crate::api::api;
use crate::handle::Kind;
use crate::host::Host;

const TAG: u32 = u32::from_le_bytes(*b"NDdv");
/// Bytes of a cache line.
const CACHE_LINE: u32 = 64;
/// Bytes of an `NDIS_RSS_PROCESSOR`.
const RSS_PROCESSOR: u64 = 8;

/// The name that users see of what a handle stands for.
fn instance_name(host: &Host, handle: u64) -> Option<String> {
    host.ndis(|n| {
        if let Some(miniport) = n.miniports.get(&handle) {
            return Some(miniport.name.clone());
        }
        let binding = n.bindings.get(&handle)?;
        n.nics.get(binding.nic).map(|nic| nic.config.name.clone())
    })
}

/// Device objects of a miniport: its own (FDO) and those below it.
fn devices(host: &Host, miniport: u64) -> [u64; 2] {
    if let Some(known) = host.ndis(|n| n.miniport_devices.get(&miniport).copied()) {
        return known;
    }
    let driver = host.ndis(|n| {
        let driver = n.miniports.get(&miniport)?.driver;
        n.drivers.get(&driver).map(|d| d.driver_object)
    });
    let made = [0, 1].map(|_| {
        let size = size_of::<DEVICE_OBJECT>() as u64;
        let object = host.allocate(size, TAG, "device object of a miniport");
        host.put(object, [3_u16, size as u16], "DEVICE_OBJECT");
        host.put(object + at!(DEVICE_OBJECT.StackSize), 1_u8, "DEVICE_OBJECT");
        object
    });
    host.put(
        made[1] + at!(DEVICE_OBJECT.DriverObject),
        driver.unwrap_or(0),
        "DEVICE_OBJECT",
    );
    host.put(
        made[0] + at!(DEVICE_OBJECT.AttachedDevice),
        made[1],
        "DEVICE_OBJECT",
    );
    host.ndis(|n| n.miniport_devices.insert(miniport, made));
    made
}

api! { exports:
    /// Bytes that shared data should be aligned to.
    "ndis.sys" 0..=2 "IRQ-11"
    fn NdisGetSharedDataAlignment(host) -> u32 {
        let _ = host;
        CACHE_LINE
    }

    /// The friendly name of an adapter; the driver frees the buffer with NdisFreeMemory.
    "ndis.sys" 0..=0 "IRQ-11"
    fn NdisQueryAdapterInstanceName(host, out: u64, handle: u64) -> NDIS_STATUS {
        let Some(name) = instance_name(host, handle) else {
            host.violate("HOST-HANDLE", format!("NdisQueryAdapterInstanceName: {handle:#x} is neither miniport nor binding"));
            return NDIS_STATUS_INVALID_PARAMETER;
        };
        if host.fails("NdisQueryAdapterInstanceName") {
            return NDIS_STATUS_RESOURCES;
        }
        let units: Vec<u16> = name.encode_utf16().collect();
        let len = 2 * units.len() as u64;
        let taken = host.heap().allocate(&host.arena, len + 2, TAG, "NdisQueryAdapterInstanceName", true);
        let Some(buffer) = taken else {
            return NDIS_STATUS_RESOURCES;
        };
        for (i, unit) in units.iter().enumerate() {
            host.put(buffer + 2 * i as u64, *unit, "AdapterInstanceName");
        }
        host.put(out, [len as u16, len as u16 + 2], "AdapterInstanceName");
        host.put(out + 8, buffer, "AdapterInstanceName");
        NDIS_STATUS_SUCCESS
    }

    /// Device objects of a miniport; a virtual one has no resources.
    "ndis.sys" 0..=0 "IRQ-3"
    fn NdisMGetDeviceProperty(host, handle: u64, physical: u64, functional: u64, next: u64,
        resources: u64, translated: u64) {
        if !host.check("MiniportAdapterHandle", handle, Kind::Miniport) {
            return;
        }
        let [below, own] = devices(host, handle);
        for (out, value) in [(physical, below), (functional, own), (next, below), (resources, 0), (translated, 0)] {
            if out != 0 {
                host.put(out, value, "NdisMGetDeviceProperty");
            }
        }
    }

    /// Processors that receive side scaling may use, the array behind the structure.
    "ndis.sys" 0..=0 "IRQ-11"
    fn NdisGetRssProcessorInformation(host, _handle: u64, info: u64, size: u64) -> NDIS_STATUS {
        let processors = host.processors();
        let (_, minor) = host.ndis_version();
        if minor < 20 {
            return NDIS_STATUS_NOT_SUPPORTED;
        }
        let head = size_of::<NDIS_RSS_PROCESSOR_INFO>() as u64;
        let needed = head + RSS_PROCESSOR * u64::from(processors);
        let room: u64 = host.get(size, "Size");
        host.put(size, needed, "Size");
        if info == 0 || room < needed {
            return NDIS_STATUS_BUFFER_TOO_SHORT;
        }
        for word in (0..needed).step_by(8) {
            host.put(info + word, 0_u64, "RssProcInfo");
        }
        // Header: type RSS_PROCESSOR_INFO, revision 2, its size.
        host.put(info, [0xB1_u8, 2], "RssProcInfo");
        host.put(info + 2, head as u16, "RssProcInfo");
        host.put(info + at!(NDIS_RSS_PROCESSOR_INFO.MaxNumRssProcessors), processors, "RssProcInfo");
        host.put(info + at!(NDIS_RSS_PROCESSOR_INFO.RssProcessorArrayOffset), head as u32, "RssProcInfo");
        host.put(info + at!(NDIS_RSS_PROCESSOR_INFO.RssProcessorCount), processors, "RssProcInfo");
        host.put(info + at!(NDIS_RSS_PROCESSOR_INFO.RssProcessorEntrySize), RSS_PROCESSOR as u32, "RssProcInfo");
        let last = [0_u8, 0, processors.saturating_sub(1) as u8, 0];
        host.put(info + at!(NDIS_RSS_PROCESSOR_INFO.RssMaxProcessor), last, "RssProcInfo");
        for i in 0..processors {
            let at = info + head + RSS_PROCESSOR * u64::from(i);
            host.put(at, [0_u8, 0, i as u8, 0], "RssProcInfo");
            host.put(at + 4, i as u16, "RssProcInfo");
        }
        NDIS_STATUS_SUCCESS
    }
}
