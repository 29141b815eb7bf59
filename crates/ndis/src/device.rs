//! A control device and its requests. Creation and removal at PASSIVE_LEVEL;
//! requests come at PASSIVE_LEVEL, any number at once.

use crate::header::{Zeroed, header};
use crate::status::check;
use crate::string::counted;
use crate::{Error, Result};
use ndis_sys::{
    DEVICE_OBJECT, DRIVER_DISPATCH, IO_STACK_LOCATION, IRP, IofCompleteRequest,
    NDIS_DEVICE_OBJECT_ATTRIBUTES, NDIS_DEVICE_OBJECT_ATTRIBUTES_REVISION_1, NDIS_HANDLE,
    NDIS_OBJECT_TYPE_DEVICE_OBJECT_ATTRIBUTES, NTSTATUS, NdisDeregisterDeviceEx,
    NdisRegisterDeviceEx,
};

/// Number of entries in a dispatch table.
pub const MAJOR_FUNCTIONS: usize = 28;

/// A table of dispatch routines, by major function.
pub type MajorFunctions = [Option<DRIVER_DISPATCH>; MAJOR_FUNCTIONS];

/// A device object that goes when the value goes.
#[derive(Debug)]
pub struct Device(NDIS_HANDLE);

impl Device {
    /// Makes the device, reachable for those whom `sddl` admits. IRQL =
    /// PASSIVE_LEVEL.
    ///
    /// # Safety
    /// `driver` is the miniport driver handle; the routines are ready and stay
    /// until the device is gone.
    pub unsafe fn register(
        driver: NDIS_HANDLE,
        name: &[u16],
        link: &[u16],
        sddl: &[u16],
        routines: &mut MajorFunctions,
    ) -> Result<Self> {
        let mut name = counted(name)?;
        let mut link = counted(link)?;
        let sddl = counted(sddl)?;
        let mut attributes = NDIS_DEVICE_OBJECT_ATTRIBUTES::zeroed();
        attributes.Header = header(
            NDIS_OBJECT_TYPE_DEVICE_OBJECT_ATTRIBUTES,
            NDIS_DEVICE_OBJECT_ATTRIBUTES_REVISION_1,
            size_of::<NDIS_DEVICE_OBJECT_ATTRIBUTES>(),
        );
        attributes.DeviceName = &raw mut name;
        attributes.SymbolicName = &raw mut link;
        attributes.MajorFunctions = routines.as_mut_ptr().cast();
        attributes.DefaultSDDLString = (&raw const sddl).cast_mut().cast();
        let mut object: *mut DEVICE_OBJECT = core::ptr::null_mut();
        let mut handle: NDIS_HANDLE = core::ptr::null_mut();
        // SAFETY: (UNI-2) a valid driver handle; all strings outlive the call,
        // NDIS copies them and the table.
        check(unsafe {
            NdisRegisterDeviceEx(
                driver,
                &raw mut attributes,
                &raw mut object,
                &raw mut handle,
            )
        })?;
        if handle.is_null() {
            return Err(Error::NoResources);
        }
        Ok(Self(handle))
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: (UNI-2, UNL-4) registered once, removed once.
        unsafe { NdisDeregisterDeviceEx(self.0) };
    }
}

/// A request on the device that is ours until it is completed.
#[must_use = "a request that is not completed hangs its caller"]
#[derive(Debug)]
pub struct Request(*mut IRP);

/// The parts of a buffered device control request.
#[derive(Debug)]
pub struct Control<'a> {
    /// The control code.
    pub code: u32,
    /// The one buffer that holds input first and output later; as long as the
    /// longer of the two.
    pub buffer: &'a mut [u8],
    /// Length of the input in the buffer.
    pub input: usize,
    /// Room for output in the buffer.
    pub output: usize,
}

impl Request {
    /// Takes over what a dispatch routine was given.
    ///
    /// # Safety
    /// `irp` is the request that the I/O manager just handed to this driver.
    pub const unsafe fn adopt(irp: *mut IRP) -> Self {
        Self(irp)
    }

    /// The control code of a device control request.
    ///
    /// # Safety
    /// The request is an IRP_MJ_DEVICE_CONTROL.
    pub unsafe fn code(&self) -> u32 {
        // SAFETY: (UNI-2) the stack location is the driver's own until the
        // request is completed; the major function names the member in use.
        unsafe {
            let stack: *const IO_STACK_LOCATION = (*self.0).Tail.Overlay.CurrentStackLocation;
            (*stack).Parameters.DeviceIoControl.IoControlCode
        }
    }

    /// The request as buffered device control; `None` if the I/O manager gave
    /// no buffer although lengths say so.
    ///
    /// # Safety
    /// The request is an IRP_MJ_DEVICE_CONTROL with a METHOD_BUFFERED code: only
    /// then does the system buffer exist and have these lengths.
    pub unsafe fn control(&mut self) -> Option<Control<'_>> {
        // SAFETY: (OID-11 in spirit) the stack location is the driver's own;
        // the I/O manager keeps request and buffer until completion.
        unsafe {
            let stack: *const IO_STACK_LOCATION = (*self.0).Tail.Overlay.CurrentStackLocation;
            let parameters = &(*stack).Parameters.DeviceIoControl;
            let input = parameters.InputBufferLength as usize;
            let output = parameters.OutputBufferLength as usize;
            let length = input.max(output);
            let start = (*self.0).AssociatedIrp.SystemBuffer.cast::<u8>();
            let buffer: &mut [u8] = if length == 0 {
                &mut []
            } else if start.is_null() {
                return None; // MEM-3
            } else {
                core::slice::from_raw_parts_mut(start, length)
            };
            Some(Control {
                code: parameters.IoControlCode,
                buffer,
                input,
                output,
            })
        }
    }

    /// Completes the request with a status and the number of bytes that are
    /// valid in the output buffer. IRQL <= DISPATCH_LEVEL.
    pub fn complete(self, status: NTSTATUS, bytes: usize) -> NTSTATUS {
        // SAFETY: (OID-12 in spirit) ours until the completion, which happens
        // once because it takes the value; the second argument is no boost.
        unsafe {
            (*self.0).IoStatus.Status = status;
            (*self.0).IoStatus.Information = bytes;
            IofCompleteRequest(self.0, 0);
        }
        status
    }
}
