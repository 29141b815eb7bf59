//! config

use crate::*;

constants! {
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
    NDIS_PARAMETER_TYPE {
        NdisParameterInteger = 0,
        NdisParameterHexInteger = 1,
        NdisParameterString = 2,
        NdisParameterMultiString = 3,
        NdisParameterBinary = 4,
    }
}

structs! {
    struct NDIS_CONFIGURATION_OBJECT [24, 8] {
        0 Header: NDIS_OBJECT_HEADER,
        8 NdisHandle: NDIS_HANDLE,
        16 Flags: ULONG,
    }
    union NDIS_CONFIGURATION_PARAMETER_ParameterData of NDIS_CONFIGURATION_PARAMETER.ParameterData [16, 8] {
        0 BinaryData: BINARY_DATA,
        0 IntegerData: ULONG,
        0 StringData: NDIS_STRING,
    }
    struct NDIS_CONFIGURATION_PARAMETER [24, 8] {
        0 ParameterType: NDIS_PARAMETER_TYPE,
        8 ParameterData: NDIS_CONFIGURATION_PARAMETER_ParameterData,
    }
    struct BINARY_DATA [16, 8] {
        0 Length: USHORT,
        8 Buffer: PVOID,
    }
}

imports! {
    "ndis.sys";
    fn NdisCloseConfiguration(ConfigurationHandle: NDIS_HANDLE);
    fn NdisOpenConfigurationEx(ConfigObject: *mut NDIS_CONFIGURATION_OBJECT, ConfigurationHandle: *mut PVOID) -> NDIS_STATUS;
    fn NdisOpenConfigurationKeyByIndex(Status: *mut INT, ConfigurationHandle: NDIS_HANDLE, Index: ULONG, KeyName: *mut UNICODE_STRING, KeyHandle: *mut PVOID);
    fn NdisOpenConfigurationKeyByName(Status: *mut INT, ConfigurationHandle: NDIS_HANDLE, SubKeyName: *mut UNICODE_STRING, SubKeyHandle: *mut PVOID);
    fn NdisReadConfiguration(Status: *mut INT, ParameterValue: *mut *mut NDIS_CONFIGURATION_PARAMETER, ConfigurationHandle: NDIS_HANDLE, Keyword: *mut UNICODE_STRING, ParameterType: NDIS_PARAMETER_TYPE);
    fn NdisReadNetworkAddress(Status: *mut INT, NetworkAddress: *mut PVOID, NetworkAddressLength: *mut UINT, ConfigurationHandle: NDIS_HANDLE);
    fn NdisWriteConfiguration(Status: *mut INT, ConfigurationHandle: NDIS_HANDLE, Keyword: *mut UNICODE_STRING, ParameterValue: *mut NDIS_CONFIGURATION_PARAMETER);
}
