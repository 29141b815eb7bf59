//! Configuration from the registry.
//!
//! Documentation:
//! * [NDIS configuration functions](https://learn.microsoft.com/windows-hardware/drivers/network/ndis-configuration-functions)
//! * [NdisReadConfiguration](https://learn.microsoft.com/windows-hardware/drivers/ddi/ndis/nf-ndis-ndisreadconfiguration)

use crate::{
    NDIS_HANDLE, NDIS_OBJECT_HEADER, NDIS_STATUS, NDIS_STRING, PVOID, UINT, ULONG, ULONG_PTR,
    UNICODE_STRING, USHORT,
};

constants! {
    /// Type of a registry value.
    ULONG {
        REG_NONE = 0,
        REG_SZ = 1,
        REG_EXPAND_SZ = 2,
        REG_BINARY = 3,
        REG_DWORD = 4,
        REG_MULTI_SZ = 7,
        REG_QWORD = 11,
    }
}

enums! {
    /// Type of a configuration value.
    NDIS_PARAMETER_TYPE {
        NdisParameterInteger = 0,
        NdisParameterHexInteger = 1,
        NdisParameterString = 2,
        NdisParameterMultiString = 3,
        NdisParameterBinary = 4,
    }
}

structs! {
    /// Bytes of a binary registry value.
    struct BINARY_DATA [16, 8] {
        0 Length: USHORT,
        8 Buffer: PVOID,
    }
    /// Which registry key to open.
    struct NDIS_CONFIGURATION_OBJECT [24, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 NdisHandle: NDIS_HANDLE,
        16 Flags: ULONG,
    }
    /// Member `ParameterData` of [`NDIS_CONFIGURATION_PARAMETER`].
    union NDIS_CONFIGURATION_PARAMETER_ParameterData
        of NDIS_CONFIGURATION_PARAMETER.ParameterData [16, 8]
    {
        0 BinaryData: BINARY_DATA,
        0 IntegerData: ULONG,
        0 StringData: NDIS_STRING,
    }
    /// A value read from the registry or to be written there.
    struct NDIS_CONFIGURATION_PARAMETER [24, 8] {
        0 ParameterType: NDIS_PARAMETER_TYPE,
        8 ParameterData: NDIS_CONFIGURATION_PARAMETER_ParameterData,
    }
    /// A buffer of variable length.
    struct NDIS_VAR_DATA_DESC [16, 8] {
        0 Length: USHORT,
        2 MaximumLength: USHORT,
        8 Offset: ULONG_PTR,
    }
}

imports! {
    "ndis.sys";
    /// Closes a configuration handle. IRQL: `PASSIVE_LEVEL`.
    fn NdisCloseConfiguration(ConfigurationHandle: NDIS_HANDLE);
    /// Opens the configuration of an owner. IRQL: `PASSIVE_LEVEL`.
    fn NdisOpenConfigurationEx(
        ConfigObject: *mut NDIS_CONFIGURATION_OBJECT,
        ConfigurationHandle: *mut NDIS_HANDLE,
    ) -> NDIS_STATUS;
    /// Opens a key below a configuration by its number. IRQL: `< DISPATCH_LEVEL`.
    fn NdisOpenConfigurationKeyByIndex(
        Status: *mut NDIS_STATUS,
        ConfigurationHandle: NDIS_HANDLE,
        Index: ULONG,
        KeyName: *mut UNICODE_STRING,
        KeyHandle: *mut NDIS_HANDLE,
    );
    /// Opens a key below a configuration by its name. IRQL: `< DISPATCH_LEVEL`.
    fn NdisOpenConfigurationKeyByName(
        Status: *mut NDIS_STATUS,
        ConfigurationHandle: NDIS_HANDLE,
        SubKeyName: *mut UNICODE_STRING,
        SubKeyHandle: *mut NDIS_HANDLE,
    );
    /// Reads a configuration value. IRQL: `PASSIVE_LEVEL`.
    fn NdisReadConfiguration(
        Status: *mut NDIS_STATUS,
        ParameterValue: *mut *mut NDIS_CONFIGURATION_PARAMETER,
        ConfigurationHandle: NDIS_HANDLE,
        Keyword: *mut UNICODE_STRING,
        ParameterType: NDIS_PARAMETER_TYPE,
    );
    /// Reads the address that the administrator set. IRQL: `PASSIVE_LEVEL`.
    fn NdisReadNetworkAddress(
        Status: *mut NDIS_STATUS,
        NetworkAddress: *mut PVOID,
        NetworkAddressLength: *mut UINT,
        ConfigurationHandle: NDIS_HANDLE,
    );
    /// Writes a configuration value. IRQL: `PASSIVE_LEVEL`.
    fn NdisWriteConfiguration(
        Status: *mut NDIS_STATUS,
        ConfigurationHandle: NDIS_HANDLE,
        Keyword: *mut UNICODE_STRING,
        ParameterValue: *mut NDIS_CONFIGURATION_PARAMETER,
    );
}
