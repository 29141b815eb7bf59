//! Control devices: registered by the driver, opened and asked by the host as an
//! administrator's program would.

use ndis_sys::{
    DEVICE_OBJECT, IO_STACK_LOCATION, IRP, NDIS_DEVICE_OBJECT_ATTRIBUTES, NDIS_STATUS,
    NDIS_STATUS_INVALID_PARAMETER, NDIS_STATUS_RESOURCES, NDIS_STATUS_SUCCESS,
};

use super::list::at;
use crate::api::api;
use crate::handle::Kind;
use crate::host::Host;
use crate::nt::IrpResult;

const MAJORS: usize = 28;
const IRP_MJ_CREATE: u8 = 0;
const IRP_MJ_CLOSE: u8 = 2;
const IRP_MJ_DEVICE_CONTROL: u8 = 14;
const IRP_MJ_CLEANUP: u8 = 18;
const PENDING: i32 = 0x103;

/// A control device.
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) object: u64,
    pub(crate) majors: [u64; MAJORS],
    pub(crate) sddl: String,
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
        let (object, majors) = self
            .ndis(|n| n.devices.values().next().map(|d| (d.object, d.majors)))
            .ok_or(ControlError::NoDevice)?;
        let opened = self.irp(object, &majors, IRP_MJ_CREATE, 0, &[], 0)?;
        if opened.status < 0 {
            return Err(ControlError::Open(opened.status));
        }
        let reply = self.irp(object, &majors, IRP_MJ_DEVICE_CONTROL, code, input, output);
        if majors[usize::from(IRP_MJ_CLEANUP)] != 0 {
            self.irp(object, &majors, IRP_MJ_CLEANUP, 0, &[], 0)?;
        }
        self.irp(object, &majors, IRP_MJ_CLOSE, 0, &[], 0)?;
        reply
    }

    fn irp(
        &self,
        device: u64,
        majors: &[u64; MAJORS],
        major: u8,
        code: u32,
        input: &[u8],
        output: usize,
    ) -> Result<ControlReply, ControlError> {
        let handler = majors[usize::from(major)];
        if handler == 0 {
            return Err(ControlError::NoHandler(major));
        }
        let tag = u32::from_le_bytes(*b"Irp ");
        let irp_size = size_of::<IRP>() as u64;
        let irp = self.allocate(irp_size + size_of::<IO_STACK_LOCATION>() as u64, tag, "IRP");
        let stack = irp + irp_size;
        let room = input.len().max(output);
        let buffer = if room == 0 {
            0
        } else {
            self.allocate(room as u64, tag, "system buffer")
        };
        if room > 0 {
            let _ = self.arena.write_bytes(buffer, input);
        }
        self.put(irp, [6_u16, irp_size as u16], "IRP");
        self.put(irp + at!(IRP.AssociatedIrp), buffer, "IRP");
        self.put(irp + at!(IRP.StackCount), [1_u8, 1], "IRP");
        // RequestorMode: user.
        self.put(irp + at!(IRP.RequestorMode), 1_u8, "IRP");
        // Tail.Overlay.CurrentStackLocation.
        self.put(irp + CURRENT_STACK_LOCATION, stack, "IRP");
        self.put(stack, [major, 0, 0, 0], "IO_STACK_LOCATION");
        let parameters = stack + at!(IO_STACK_LOCATION.Parameters);
        self.put(parameters, output as u32, "IO_STACK_LOCATION");
        self.put(parameters + 8, input.len() as u32, "IO_STACK_LOCATION");
        self.put(parameters + 16, code, "IO_STACK_LOCATION");
        self.put(
            stack + at!(IO_STACK_LOCATION.DeviceObject),
            device,
            "IO_STACK_LOCATION",
        );
        let returned = self.call("DriverDispatch", device, handler, &[device, irp]) as u32 as i32;
        if returned == PENDING {
            self.wait_until("for IoCompleteRequest", 1_000_000, 10_000_000_000, |h| {
                h.nt.lock().expect("nt").completed.contains_key(&irp)
            });
        }
        let done = self.nt.lock().expect("nt").completed.remove(&irp);
        let result = done.unwrap_or_else(|| {
            self.violate(
                "HOST-IRP",
                format!("an IRP_MJ {major} request was not completed"),
            );
            IrpResult {
                status: returned,
                information: 0,
            }
        });
        if returned != PENDING && returned != result.status {
            self.violate(
                "HOST-IRP",
                format!(
                    "dispatch returned {returned:#x}, the IRP ended with {:#x}",
                    result.status
                ),
            );
        }
        if result.information > output as u64 {
            self.violate(
                "HOST-IRP",
                format!(
                    "Information is {} for an output buffer of {output}",
                    result.information
                ),
            );
        }
        let shown = (result.information as usize).min(output);
        let bytes = if shown == 0 {
            Vec::new()
        } else {
            self.get_bytes(buffer, shown, "system buffer")
        };
        self.release(irp);
        if room > 0 {
            self.release(buffer);
        }
        Ok(ControlReply {
            status: result.status,
            information: result.information,
            output: bytes,
        })
    }
}

/// Offset of `Tail.Overlay.CurrentStackLocation`, which the headers reach through two unions.
const CURRENT_STACK_LOCATION: u64 = 184;

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
        let size = size_of::<DEVICE_OBJECT>() as u64 + u64::from(a.ExtensionSize);
        let object = host.allocate(size, u32::from_le_bytes(*b"Devi"), "DEVICE_OBJECT");
        host.put(object, [3_u16, size as u16], "DEVICE_OBJECT");
        if a.ExtensionSize > 0 {
            host.put(object + at!(DEVICE_OBJECT.DeviceExtension), object + size_of::<DEVICE_OBJECT>() as u64, "DEVICE_OBJECT");
        }
        let h = host.ndis(|n| {
            let h = n.handles.open(Kind::Device);
            n.devices.insert(h, Device { name, object, majors, sddl });
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
        let device = host.ndis(|n| {
            n.handles.close(handle);
            n.devices.remove(&handle)
        });
        if let Some(device) = device {
            host.release(device.object);
        }
    }
}
