//! Control devices: registered by the driver, opened and asked by the host as an
//! administrator's program would.

use ndis_sys::{
    DEVICE_OBJECT, NDIS_DEVICE_OBJECT_ATTRIBUTES, NDIS_STATUS, NDIS_STATUS_INVALID_PARAMETER,
    NDIS_STATUS_RESOURCES, NDIS_STATUS_SUCCESS,
};

use super::list::at;
use crate::api::api;
use crate::handle::Kind;
use crate::host::Host;

pub(crate) const MAJORS: usize = 28;

/// A control device.
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) object: u64,
    pub(crate) majors: [u64; MAJORS],
    pub(crate) sddl: String,
    /// Programs that have it open; it lives for as long as they do.
    pub(crate) opens: u32,
    /// Its driver has removed it.
    pub(crate) removed: bool,
}

/// Answer to a control request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlReply {
    /// NTSTATUS.
    pub status: i32,
    /// `IoStatus.Information`.
    pub information: u64,
    /// The output buffer afterwards, `information` bytes of it.
    pub output: Vec<u8>,
}

/// Why a control request could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// No device of that name.
    #[error("no control device is registered")]
    NoDevice,
    /// The driver does not handle that kind of request.
    #[error("the device has no handler for IRP_MJ {0}")]
    NoHandler(u8),
    /// Opening it failed.
    #[error("the device refuses to be opened: {0:#x}")]
    Open(i32),
}

impl Host {
    /// Names and security descriptors of registered devices.
    pub fn devices(&self) -> Vec<(String, String)> {
        self.ndis(|n| {
            n.devices
                .values()
                .map(|d| (d.name.clone(), d.sddl.clone()))
                .collect()
        })
    }

    /// Opens the driver's control device, makes one request with buffered I/O, and closes it.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn control(
        &self,
        code: u32,
        input: &[u8],
        output: usize,
    ) -> Result<ControlReply, ControlError> {
        let object = self
            .ndis(|n| {
                let mut all = n.devices.values().filter(|d| !d.removed);
                all.next().map(|d| d.object)
            })
            .or_else(|| self.first_device())
            .ok_or(ControlError::NoDevice)?;
        let file = self.open_object(object)?;
        let reply = self.control_file(&file, code, input, output);
        self.close_file(file);
        Ok(reply)
    }

    /// The device of that name, which `NdisRegisterDeviceEx` made.
    pub(crate) fn ndis_device(&self, name: &str) -> Option<u64> {
        self.ndis(|n| {
            let mut all = n.devices.values();
            all.find(|d| !d.removed && d.name.eq_ignore_ascii_case(name))
                .map(|d| d.object)
        })
    }

    /// Handlers of a device that `NdisRegisterDeviceEx` made.
    pub(crate) fn majors_of(&self, object: u64) -> Option<[u64; MAJORS]> {
        self.ndis(|n| {
            let mut all = n.devices.values();
            all.find(|d| d.object == object).map(|d| d.majors)
        })
    }

    /// A program has a device of `NdisRegisterDeviceEx` open, or no longer.
    pub(crate) fn count_opens(&self, object: u64, more: bool) {
        let gone = self.ndis(|n| {
            let mut all = n.devices.iter_mut();
            let (&handle, device) = all.find(|(_, d)| d.object == object)?;
            if more {
                device.opens += 1;
            } else {
                device.opens -= 1;
            }
            (device.removed && device.opens == 0).then_some(handle)
        });
        if let Some(handle) = gone {
            self.remove_device(handle);
        }
    }

    /// A device object with room behind it.
    fn device_object(&self, extension: u32) -> u64 {
        let size = size_of::<DEVICE_OBJECT>() as u64 + u64::from(extension);
        let object = self.allocate(size, u32::from_le_bytes(*b"Devi"), "DEVICE_OBJECT");
        self.put(object, [3_u16, size as u16], "DEVICE_OBJECT");
        if extension > 0 {
            let behind = object + size_of::<DEVICE_OBJECT>() as u64;
            let at = object + at!(DEVICE_OBJECT.DeviceExtension);
            self.put(at, behind, "DEVICE_OBJECT");
        }
        object
    }

    /// Its driver removes a device; the last program that has it open keeps the object.
    fn remove_device(&self, handle: u64) {
        let object = self.ndis(|n| {
            let device = n.devices.get_mut(&handle)?;
            device.removed = true;
            if device.opens > 0 {
                return None;
            }
            n.devices.remove(&handle).map(|d| d.object)
        });
        if let Some(object) = object {
            self.release(object);
        }
    }
}

api! { exports:
    /// Makes a control device.
    "ndis.sys" 0..=0 "IRQ-11"
    fn NdisRegisterDeviceEx(host, handle: u64, attributes: u64, device: u64, out: u64) -> NDIS_STATUS {
        if !host.check("NdisHandle", handle, Kind::MiniportDriver) {
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        let a: NDIS_DEVICE_OBJECT_ATTRIBUTES = host.get(attributes, "DeviceObjectAttributes");
        if host.fails("NdisRegisterDeviceEx") {
            return NDIS_STATUS_RESOURCES;
        }
        let name = host.get_string(a.DeviceName as u64, "DeviceName");
        let sddl = if a.DefaultSDDLString.is_null() { String::new() } else { host.get_string(a.DefaultSDDLString as u64, "DefaultSDDLString") };
        let mut majors = [0; MAJORS];
        for (i, slot) in majors.iter_mut().enumerate() {
            *slot = host.get(a.MajorFunctions as u64 + 8 * i as u64, "MajorFunctions");
        }
        let object = host.device_object(a.ExtensionSize);
        let h = host.ndis(|n| {
            let h = n.handles.open(Kind::Device);
            n.devices.insert(h, Device { name, object, majors, sddl, opens: 0, removed: false });
            h
        });
        host.put(device, object, "pDeviceObject");
        host.put(out, h, "pNdisDeviceHandle");
        NDIS_STATUS_SUCCESS
    }

    /// Removes it.
    "ndis.sys" 0..=0 "IRQ-11"
    fn NdisDeregisterDeviceEx(host, handle: u64) {
        if !host.check("NdisDeviceHandle", handle, Kind::Device) {
            return;
        }
        host.ndis(|n| n.handles.close(handle));
        host.remove_device(handle);
    }

    /// What a driver keeps beside a device of `NdisRegisterDeviceEx`.
    "ndis.sys" 0..=2 "IRQ-11"
    fn NdisGetDeviceReservedExtension(host, device: u64) -> u64 {
        host.get(device + at!(DEVICE_OBJECT.DeviceExtension), "DeviceObject")
    }
}
