//! Device objects, their capabilities and power states.
//!
//! Documentation:
//! * [Introduction to device objects](https://learn.microsoft.com/windows-hardware/drivers/kernel/introduction-to-device-objects)
//! * [Device capabilities](https://learn.microsoft.com/windows-hardware/drivers/kernel/reporting-device-power-capabilities)

use crate::{
    BOOLEAN, CCHAR, CSHORT, DRIVER_CONTROL, DRIVER_OBJECT, IRP, KDEVICE_QUEUE, KDEVICE_QUEUE_ENTRY,
    KDPC, KEVENT, LIST_ENTRY, LONG, PVOID, ULONG, USHORT,
};

opaque! {
    /// A timer of a device.
    IO_TIMER;
}

constants! {
    /// Flag, type or characteristic of a device object.
    ULONG {
        DO_BUFFERED_IO = 4,
        DO_EXCLUSIVE = 8,
        DO_DIRECT_IO = 0x10,
        FILE_DEVICE_NETWORK = 18,
        FILE_DEVICE_PHYSICAL_NETCARD = 23,
        FILE_DEVICE_UNKNOWN = 34,
        DO_DEVICE_INITIALIZING = 0x80,
        FILE_DEVICE_SECURE_OPEN = 0x100,
    }
}

enums! {
    /// Identifier that a bus driver is asked for.
    BUS_QUERY_ID_TYPE {
        BusQueryDeviceID = 0,
        BusQueryHardwareIDs = 1,
        BusQueryCompatibleIDs = 2,
        BusQueryInstanceID = 3,
        BusQueryDeviceSerialNumber = 4,
        BusQueryContainerID = 5,
    }
    /// Power state of a device.
    DEVICE_POWER_STATE {
        PowerDeviceUnspecified = 0,
        PowerDeviceD0 = 1,
        PowerDeviceD1 = 2,
        PowerDeviceD2 = 3,
        PowerDeviceD3 = 4,
        PowerDeviceMaximum = 5,
    }
    /// Kind of relation between devices.
    DEVICE_RELATION_TYPE {
        BusRelations = 0,
        EjectionRelations = 1,
        PowerRelations = 2,
        RemovalRelations = 3,
        TargetDeviceRelation = 4,
        SingleBusRelations = 5,
        TransportRelations = 6,
    }
    /// Text about a device.
    DEVICE_TEXT_TYPE {
        DeviceTextDescription = 0,
        DeviceTextLocationInformation = 1,
    }
    /// Special file that a device carries.
    DEVICE_USAGE_NOTIFICATION_TYPE {
        DeviceUsageTypeUndefined = 0,
        DeviceUsageTypePaging = 1,
        DeviceUsageTypeHibernation = 2,
        DeviceUsageTypeDumpFile = 3,
        DeviceUsageTypeBoot = 4,
        DeviceUsageTypePostDisplay = 5,
        DeviceUsageTypeGuestAssigned = 6,
    }
    /// What becomes of an adapter object.
    IO_ALLOCATION_ACTION {
        KeepObject = 1,
        DeallocateObject = 2,
        DeallocateObjectKeepRegisters = 3,
    }
    /// What the system is about to do.
    POWER_ACTION {
        PowerActionNone = 0,
        PowerActionReserved = 1,
        PowerActionSleep = 2,
        PowerActionHibernate = 3,
        PowerActionShutdown = 4,
        PowerActionShutdownReset = 5,
        PowerActionShutdownOff = 6,
        PowerActionWarmEject = 7,
        PowerActionDisplayOff = 8,
    }
    /// Whose power state.
    POWER_STATE_TYPE {
        SystemPowerState = 0,
        DevicePowerState = 1,
    }
    /// Power state of the system.
    SYSTEM_POWER_STATE {
        PowerSystemUnspecified = 0,
        PowerSystemWorking = 1,
        PowerSystemSleeping1 = 2,
        PowerSystemSleeping2 = 3,
        PowerSystemSleeping3 = 4,
        PowerSystemHibernate = 5,
        PowerSystemShutdown = 6,
        PowerSystemMaximum = 7,
    }
}

structs! {
    /// What a device can do, as its bus driver reports it.
    struct DEVICE_CAPABILITIES [64, 4] {
        0 Size: USHORT,
        2 Version: USHORT,
        4 Bits: ULONG,
        8 Address: ULONG,
        12 UINumber: ULONG,
        16 DeviceState: [DEVICE_POWER_STATE; 7],
        44 SystemWake: SYSTEM_POWER_STATE,
        48 DeviceWake: DEVICE_POWER_STATE,
        52 D1Latency: ULONG,
        56 D2Latency: ULONG,
        60 D3Latency: ULONG,
        bits Bits {
            DeviceD1: 0, 1;
            DeviceD2: 1, 1;
            LockSupported: 2, 1;
            EjectSupported: 3, 1;
            Removable: 4, 1;
            DockDevice: 5, 1;
            UniqueID: 6, 1;
            SilentInstall: 7, 1;
            RawDeviceOK: 8, 1;
            SurpriseRemovalOK: 9, 1;
            WakeFromD0: 10, 1;
            WakeFromD1: 11, 1;
            WakeFromD2: 12, 1;
            WakeFromD3: 13, 1;
            HardwareDisabled: 14, 1;
            NonDynamic: 15, 1;
            WarmEjectSupported: 16, 1;
            NoDisplayInUI: 17, 1;
            Reserved1: 18, 1;
            WakeFromInterrupt: 19, 1;
            SecureDevice: 20, 1;
            ChildOfVgaEnabledBridge: 21, 1;
            DecodeIoOnBoot: 22, 1;
            Reserved: 23, 9;
        }
    }
    /// Member `Queue` of [`DEVICE_OBJECT`].
    union DEVICE_OBJECT_Queue of DEVICE_OBJECT.Queue [72, 8] {
        0 ListEntry: LIST_ENTRY,
        0 Wcb: WAIT_CONTEXT_BLOCK,
    }
    /// A device of a driver.
    #[repr(align(16))]
    struct DEVICE_OBJECT [336, 16] {
        0 Type: CSHORT,
        2 Size: USHORT,
        4 ReferenceCount: LONG,
        8 DriverObject: *mut DRIVER_OBJECT,
        16 NextDevice: *mut DEVICE_OBJECT,
        24 AttachedDevice: *mut DEVICE_OBJECT,
        32 CurrentIrp: *mut IRP,
        40 Timer: *mut IO_TIMER,
        48 Flags: ULONG,
        52 Characteristics: ULONG,
        56 Vpb: PVOID,
        64 DeviceExtension: PVOID,
        72 DeviceType: ULONG,
        76 StackSize: CCHAR,
        80 Queue: DEVICE_OBJECT_Queue,
        152 AlignmentRequirement: ULONG,
        160 DeviceQueue: KDEVICE_QUEUE,
        200 Dpc: KDPC,
        264 ActiveThreadCount: ULONG,
        272 SecurityDescriptor: PVOID,
        280 DeviceLock: KEVENT,
        304 SectorSize: USHORT,
        306 Spare1: USHORT,
        312 DeviceObjectExtension: PVOID,
        320 Reserved: PVOID,
    }
    /// A lock that keeps a device from being removed.
    struct IO_REMOVE_LOCK [32, 8] {
        0 Common: IO_REMOVE_LOCK_COMMON_BLOCK,
    }
    /// The counters of a remove lock.
    struct IO_REMOVE_LOCK_COMMON_BLOCK [32, 8] {
        0 Removed: BOOLEAN,
        1 Reserved: [BOOLEAN; 3],
        4 IoCount: LONG,
        8 RemoveEvent: KEVENT,
    }
    /// A power state of the system or of a device.
    union POWER_STATE [4, 4] {
        0 DeviceState: DEVICE_POWER_STATE,
        0 SystemState: SYSTEM_POWER_STATE,
    }
    /// System states before and after a power transition.
    union SYSTEM_POWER_STATE_CONTEXT [4, 4] {
        0 ContextAsUlong: ULONG,
        0 Bits: ULONG,
        bits Bits {
            Reserved1: 0, 8;
            TargetSystemState: 8, 4;
            EffectiveSystemState: 12, 4;
            CurrentSystemState: 16, 4;
            IgnoreHibernationPath: 20, 1;
            PseudoTransition: 21, 1;
            KernelSoftReboot: 22, 1;
            DirectedDripsTransition: 23, 1;
            Reserved2: 24, 8;
        }
    }
    /// A device that waits for map registers.
    struct WAIT_CONTEXT_BLOCK [72, 8] {
        0 DmaWaitEntry: LIST_ENTRY,
        16 NumberOfChannels: ULONG,
        20 Bits: ULONG,
        24 DeviceRoutine: Option<DRIVER_CONTROL>,
        32 DeviceContext: PVOID,
        40 NumberOfMapRegisters: ULONG,
        48 DeviceObject: PVOID,
        56 CurrentIrp: PVOID,
        64 BufferChainingDpc: *mut KDPC,
        also {
            0 WaitQueueEntry: KDEVICE_QUEUE_ENTRY,
        }
        bits Bits {
            SyncCallback: 0, 1;
            DmaContext: 1, 1;
            ZeroMapRegisters: 2, 1;
            Reserved: 3, 9;
            NumberOfRemapPages: 12, 20;
        }
    }
}
