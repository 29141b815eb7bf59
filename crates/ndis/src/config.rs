//! Reading configuration values. All at PASSIVE_LEVEL, one reader per handle
//! (CFG-3); the handle closes itself (CFG-1), and values do not outlive it
//! (CFG-2).

use crate::header::{Zeroed, header};
use crate::status::check;
use crate::string::counted;
use crate::{Error, Result};
use core::marker::PhantomData;
use ndis_sys::{
    NDIS_CONFIGURATION_OBJECT, NDIS_CONFIGURATION_PARAMETER, NDIS_HANDLE,
    NDIS_OBJECT_TYPE_CONFIGURATION_OBJECT, NDIS_PARAMETER_TYPE, NDIS_STATUS_SUCCESS,
    NdisCloseConfiguration, NdisOpenConfigurationEx, NdisParameterHexInteger, NdisParameterInteger,
    NdisParameterMultiString, NdisParameterString, NdisReadConfiguration, NdisReadNetworkAddress,
    PVOID,
};

/// An open configuration handle.
pub struct Configuration<'a> {
    handle: NDIS_HANDLE,
    scope: PhantomData<&'a ()>,
}

impl Configuration<'_> {
    /// Opens the configuration that belongs to an NDIS object. IRQL =
    /// PASSIVE_LEVEL.
    ///
    /// # Safety
    /// `object` is a handle, or the bind parameters of the bind that is under
    /// way (BND-12), and stays valid for the lifetime that the caller chooses
    /// (CFG-2).
    pub unsafe fn open(object: NDIS_HANDLE) -> Result<Self> {
        let mut request = NDIS_CONFIGURATION_OBJECT::zeroed();
        request.Header = header(
            NDIS_OBJECT_TYPE_CONFIGURATION_OBJECT,
            1,
            size_of::<NDIS_CONFIGURATION_OBJECT>(),
        );
        request.NdisHandle = object;
        let mut handle: NDIS_HANDLE = core::ptr::null_mut();
        // SAFETY: (CFG-2) the object is valid (caller), both structures are ours.
        check(unsafe { NdisOpenConfigurationEx(&raw mut request, &raw mut handle) })?;
        if handle.is_null() {
            return Err(Error::NotFound);
        }
        Ok(Self {
            handle,
            scope: PhantomData,
        })
    }

    fn read(
        &self,
        name: &[u16],
        kind: NDIS_PARAMETER_TYPE,
    ) -> Result<&NDIS_CONFIGURATION_PARAMETER> {
        let mut name = counted(name)?;
        let mut status = NDIS_STATUS_SUCCESS;
        let mut value: *mut NDIS_CONFIGURATION_PARAMETER = core::ptr::null_mut();
        // SAFETY: (CFG-2) the handle is open; out parameters are ours.
        unsafe {
            NdisReadConfiguration(
                &raw mut status,
                &raw mut value,
                self.handle,
                &raw mut name,
                kind,
            );
        }
        check(status)?;
        if value.is_null() {
            return Err(Error::NotFound);
        }
        // SAFETY: (CFG-2) NDIS keeps the value until the handle is closed, and
        // the borrow of `self` ends before.
        Ok(unsafe { &*value })
    }

    /// A whole number: a `REG_DWORD`, or a `REG_SZ` that NDIS converts. A value
    /// that stays of another type is refused (CFG-3).
    pub fn integer(&self, name: &[u16]) -> Result<u32> {
        let value = self.read(name, NdisParameterInteger)?;
        if value.ParameterType != NdisParameterInteger
            && value.ParameterType != NdisParameterHexInteger
        {
            return Err(Error::BadData);
        }
        // SAFETY: (CFG-3) the type says which member is in use.
        Ok(unsafe { value.ParameterData.IntegerData })
    }

    /// The units of a `REG_SZ` value. A value of another type is refused (CFG-3).
    pub fn string(&self, name: &[u16]) -> Result<&[u16]> {
        let value = self.read(name, NdisParameterString)?;
        if value.ParameterType != NdisParameterString {
            return Err(Error::BadData);
        }
        // SAFETY: (CFG-2) the type says which member is in use; the string
        // lives as long as the handle.
        Ok(unsafe { crate::string::units(&raw const value.ParameterData.StringData) })
    }

    /// The address that an administrator gave to the adapter; the bytes live as
    /// long as the handle (CFG-2).
    pub fn network_address(&self) -> Result<&[u8]> {
        let mut status = NDIS_STATUS_SUCCESS;
        let mut address: PVOID = core::ptr::null_mut();
        let mut length = 0_u32;
        // SAFETY: (CFG-2) the handle is open; out parameters are ours.
        unsafe {
            NdisReadNetworkAddress(
                &raw mut status,
                &raw mut address,
                &raw mut length,
                self.handle,
            );
        }
        check(status)?;
        if address.is_null() || length == 0 {
            return Err(Error::NotFound);
        }
        // SAFETY: (CFG-2) NDIS keeps the bytes until the handle is closed.
        Ok(unsafe { core::slice::from_raw_parts(address.cast::<u8>(), length as usize) })
    }

    /// The units of a `REG_MULTI_SZ` value; [`crate::multi_sz::names`] splits
    /// them. A value of another type is refused (CFG-3).
    pub fn multi_string(&self, name: &[u16]) -> Result<&[u16]> {
        let value = self.read(name, NdisParameterMultiString)?;
        if value.ParameterType != NdisParameterMultiString {
            return Err(Error::BadData);
        }
        // SAFETY: (CFG-2) the type says which member is in use; the string
        // lives as long as the handle.
        Ok(unsafe { crate::string::units(&raw const value.ParameterData.StringData) })
    }
}

impl Drop for Configuration<'_> {
    fn drop(&mut self) {
        // SAFETY: (CFG-1) opened in `open`, closed once.
        unsafe { NdisCloseConfiguration(self.handle) };
    }
}
