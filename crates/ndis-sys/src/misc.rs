//! misc

use crate::*;

enums! {
    KEY_VALUE_INFORMATION_CLASS {
        KeyValueBasicInformation = 0,
        KeyValueFullInformation = 1,
        KeyValuePartialInformation = 2,
        KeyValueFullInformationAlign64 = 3,
        KeyValuePartialInformationAlign64 = 4,
        KeyValueLayerInformation = 5,
        MaxKeyValueInfoClass = 6,
    }
}

structs! {
    struct SCATTER_GATHER_ELEMENT [24, 8] {
        0 Address: PHYSICAL_ADDRESS,
        8 Length: ULONG,
        16 Reserved: ULONG_PTR,
    }
    struct SCATTER_GATHER_LIST [16, 8] {
        0 NumberOfElements: ULONG,
        8 Reserved: ULONG_PTR,
        16 Elements: [SCATTER_GATHER_ELEMENT; 0],
    }
    struct BINARY_DATA [16, 8] {
        0 Length: USHORT,
        8 Buffer: PVOID,
    }
}

callbacks! {
    fn TDI_PNP_HANDLER(Parameter1: *mut UNICODE_STRING, Parameter2: *mut UNICODE_STRING, Parameter3: *mut UNICODE_STRING, Parameter4: PVOID, Parameter5: UINT, Parameter6: UINT) -> NTSTATUS;
    fn TDI_REGISTER_CALLBACK(Parameter1: *mut UNICODE_STRING, Parameter2: *mut HANDLE) -> NTSTATUS;
}
