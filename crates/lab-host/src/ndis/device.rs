//! Control devices: registered by the driver, opened and asked by the host as an
//! administrator's program would.

use ndis_sys::{
    DEVICE_OBJECT, DO_DEVICE_INITIALIZING, IO_STACK_LOCATION, IRP, NDIS_DEVICE_OBJECT_ATTRIBUTES,
    NDIS_STATUS, NDIS_STATUS_INVALID_PARAMETER, NDIS_STATUS_RESOURCES, NDIS_STATUS_SUCCESS,
    NTSTATUS, STATUS_INSUFFICIENT_RESOURCES, STATUS_OBJECT_NAME_COLLISION,
};

use super::list::at;
use crate::api::api;
use crate::handle::Kind;
use crate::host::Host;
use crate::nt::IrpResult;

pub(crate) const MAJORS: usize = 28;
pub(crate) const IRP_MJ_CREATE: u8 = 0;
pub(crate) const IRP_MJ_CLOSE: u8 = 2;
/// Takes bytes from a device.
pub(crate) const IRP_MJ_READ: u8 = 3;
/// Gives it bytes.
pub(crate) const IRP_MJ_WRITE: u8 = 4;
pub(crate) const IRP_MJ_DEVICE_CONTROL: u8 = 14;
pub(crate) const IRP_MJ_CLEANUP: u8 = 18;
const PENDING: i32 = 0x103;

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
        let (object, majors) = self
            .ndis(|n| {
                let mut all = n.devices.values().filter(|d| !d.removed);
                all.next().map(|d| (d.object, d.majors))
            })
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

    /// A program opens a device by its name; its handle, object and handlers.
    pub(crate) fn hold_device(&self, name: &str) -> Option<(u64, u64, [u64; MAJORS])> {
        self.ndis(|n| {
            let mut all = n.devices.iter_mut();
            let (&handle, device) =
                all.find(|(_, d)| !d.removed && d.name.eq_ignore_ascii_case(name))?;
            device.opens += 1;
            Some((handle, device.object, device.majors))
        })
    }

    /// A program closes it.
    pub(crate) fn let_device_go(&self, handle: u64) {
        let removed = self.ndis(|n| {
            let device = n.devices.get_mut(&handle)?;
            device.opens -= 1;
            Some(device.removed)
        });
        if removed == Some(true) {
            self.remove_device(handle);
        }
    }

    /// One request to a device; waits for its end.
    ///
    /// # Errors
    /// [`ControlError::NoHandler`].
    pub(crate) fn irp(
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
        // Length of a read or a write, or OutputBufferLength.
        let first = if major == IRP_MJ_WRITE {
            input.len()
        } else {
            output
        };
        self.put(parameters, first as u32, "IO_STACK_LOCATION");
        self.put(parameters + 8, input.len() as u32, "IO_STACK_LOCATION");
        self.put(parameters + 16, code, "IO_STACK_LOCATION");
        self.put(
            stack + at!(IO_STACK_LOCATION.DeviceObject),
            device,
            "IO_STACK_LOCATION",
        );
        let returned = self.call("DriverDispatch", device, handler, &[device, irp]) as u32 as i32;
        if returned == PENDING {
            let me = self.local().id;
            self.nt.lock().expect("nt").irp_waiters.insert(irp, me);
            // A read may wait for ever.
            let limit = if major == IRP_MJ_READ {
                u64::MAX / 2
            } else {
                10_000_000_000
            };
            self.wait_until("for IoCompleteRequest", limit.min(1 << 40), limit, |h| {
                h.nt.lock().expect("nt").completed.contains_key(&irp)
            });
            self.nt.lock().expect("nt").irp_waiters.remove(&irp);
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
        if result.information > output as u64 && major != IRP_MJ_WRITE {
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

    /// Makes a device of a driver; requests go to the driver object's dispatch table.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn IoCreateDevice(host, driver: u64, extension: u32, name: u64, kind: u32,
        characteristics: u32, _exclusive: u8, out: u64) -> NTSTATUS {
        let name = if name == 0 { String::new() } else { host.get_string(name, "DeviceName") };
        let taken = host.ndis(|n| {
            let mut all = n.devices.values().filter(|d| !d.removed);
            !name.is_empty() && all.any(|d| d.name.eq_ignore_ascii_case(&name))
        });
        if taken {
            return STATUS_OBJECT_NAME_COLLISION;
        }
        if host.fails("IoCreateDevice") {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        let object = host.device_object(extension);
        host.put(object + at!(DEVICE_OBJECT.DriverObject), driver, "DEVICE_OBJECT");
        host.put(object + at!(DEVICE_OBJECT.Flags), DO_DEVICE_INITIALIZING, "DEVICE_OBJECT");
        host.put(object + at!(DEVICE_OBJECT.Characteristics), characteristics, "DEVICE_OBJECT");
        host.put(object + at!(DEVICE_OBJECT.DeviceType), kind, "DEVICE_OBJECT");
        host.put(object + at!(DEVICE_OBJECT.StackSize), 1_u8, "DEVICE_OBJECT");
        // What a driver has entered by the end of DriverEntry counts; nobody opens before.
        let table = driver + at!(DRIVER_OBJECT.MajorFunction);
        let mut majors = [0; MAJORS];
        for (i, slot) in majors.iter_mut().enumerate() {
            *slot = host.get(table + 8 * i as u64, "DriverObject");
        }
        host.ndis(|n| {
            let h = n.handles.open(Kind::Device);
            let sddl = String::new();
            n.devices.insert(h, Device { name, object, majors, sddl, opens: 0, removed: false });
        });
        host.put(out, object, "DeviceObject");
        NTSTATUS(0)
    }

    /// Removes it.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn IoDeleteDevice(host, object: u64) {
        let found = host.ndis(|n| {
            let mut all = n.devices.iter();
            let (&handle, _) = all.find(|(_, d)| d.object == object && !d.removed)?;
            n.handles.close(handle);
            Some(handle)
        });
        match found {
            Some(handle) => host.remove_device(handle),
            None => host.fatal("HOST-IRP", &format!("IoDeleteDevice: {object:#x} is no device")),
        }
    }
}
