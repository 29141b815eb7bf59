//! Misdeeds about what a miniport says of itself, and its configuration (ATR, CFG, PRT).

use core::ptr::null_mut;
use core::sync::atomic::Ordering;

use ndis_sys::*;

use crate::bind::honest_bind;
use crate::data::split;
use crate::lane::Lane;
use crate::miniport::{begin, finish, honest_initialize, register, show};
use crate::raw::{Plain, counted, each, header, wide};
use crate::table::misdeeds;

/// Opens the configuration of an NDIS object.
fn open(object: NDIS_HANDLE) -> NDIS_HANDLE {
    let mut of = NDIS_CONFIGURATION_OBJECT::zeroed();
    of.Header = header(
        NDIS_OBJECT_TYPE_CONFIGURATION_OBJECT,
        1,
        size_of::<NDIS_CONFIGURATION_OBJECT>(),
    );
    of.NdisHandle = object;
    let mut handle = null_mut();
    // SAFETY: (CFG-1) PASSIVE_LEVEL; both structures live until it returns.
    unsafe { NdisOpenConfigurationEx(&raw mut of, &raw mut handle) };
    handle
}

/// Reads a value, whatever it is.
fn read(handle: NDIS_HANDLE, keyword: &[u16]) -> *mut NDIS_CONFIGURATION_PARAMETER {
    let mut keyword = counted(keyword);
    let (mut status, mut value) = (NDIS_STATUS_SUCCESS, null_mut());
    // SAFETY: (CFG-3) PASSIVE_LEVEL, an open configuration; all four live until it returns.
    unsafe {
        NdisReadConfiguration(
            &raw mut status,
            &raw mut value,
            handle,
            &raw mut keyword,
            NdisParameterMultiString,
        );
    }
    value
}

const UPPER_BINDINGS: [u16; 13] = wide(b"UpperBindings");
const TUNE: [u16; 4] = wide(b"Tune");

/// Initialises with the attributes that `set` sets.
fn initialize(
    lane: &Lane,
    handle: NDIS_HANDLE,
    parameters: *mut NDIS_MINIPORT_INIT_PARAMETERS,
    set: fn(&Lane, NDIS_HANDLE) -> NDIS_STATUS,
) -> NDIS_STATUS {
    if !begin(lane, parameters) {
        return NDIS_STATUS_NOT_ACCEPTED;
    }
    let status = set(lane, handle);
    finish(lane, handle, status)
}

misdeeds! {
    "ATR-1" "second" in "bind": "sets the registration attributes after the general ones" =>
        Initialize(|lane, handle, p| initialize(lane, handle, p, |lane, handle| {
            show(lane, handle);
            register(lane, handle)
        }));
    "ATR-2" "none" in "bind": "sets no general attributes" =>
        Initialize(|lane, handle, p| initialize(lane, handle, p, register));
    "ATR-3" "hardware" in "bind": "calls itself a hardware device" =>
        Registration(|a| a.AttributeFlags |= NDIS_MINIPORT_ATTRIBUTES_HARDWARE_DEVICE);
    "ATR-4" "bug-check" in "bind": "wants a bug check callback" =>
        Registration(|a| a.AttributeFlags |= NDIS_MINIPORT_ATTRIBUTES_REGISTER_BUGCHECK_CALLBACK);
    "ATR-5" "old-revision" in "bind": "sets general attributes of revision 1" =>
        General(|a| a.Header.Revision = 1);
    "ATR-6" "wakes" in "wakes": "says that it can wake the system" =>
        General(|a| {
            // SAFETY: (ATR-6) null, or the capabilities that `show` put there and still owns.
            if let Some(pm) = unsafe { a.PowerManagementCapabilitiesEx.as_mut() } {
                pm.MinMagicPacketWakeUp = NdisDeviceStateD3;
            }
        });
    "ATR-7" "connector" in "bind": "says that a cable can be plugged into it" =>
        General(|a| a.IfConnectorPresent = 1);
    "ATR-7" "mtu" in "bind": "shows a larger MTU than its adapter has" =>
        General(|a| a.MtuSize = 9000);
    "ATR-8" "loopback" in "bind": "says that it loops frames back" =>
        General(|a| a.MacOptions &= !NDIS_MAC_OPTION_NO_LOOPBACK);
    "ATR-9" "no-room" in "bind": "asks for less context room than its adapter needs" =>
        General(|a| a.ContextBackFillSize = 0);
    "ATR-10" "unsupported" in "attributes": "lists an OID that it does not know" =>
        // SAFETY: (ATR-10) broken on purpose: one word of `show`'s own list is another OID; the
        // list has more than one.
        General(|a| unsafe { a.SupportedOidList.write(OID_GEN_VLAN_ID) });
    "ATR-11" "half" in "bind": "supports half of the statistics" =>
        General(|a| a.SupportedStatistics &= 0xFF);
    "ATR-12" "rss" in "attributes": "shows RSS and knows none of its requests" =>
        // SAFETY: (ATR-12) broken on purpose: the structure is static and written before NDIS
        // reads it, by one thread (VMI-4).
        General(|a| unsafe {
            static mut RSS: Option<NDIS_RECEIVE_SCALE_CAPABILITIES> = None;
            let mut rss = NDIS_RECEIVE_SCALE_CAPABILITIES::zeroed();
            let size = size_of::<NDIS_RECEIVE_SCALE_CAPABILITIES>();
            rss.Header = header(NDIS_OBJECT_TYPE_RSS_CAPABILITIES, 2, size);
            rss.CapabilitiesFlags = NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV4 | 1;
            rss.NumberOfInterruptMessages = 1;
            rss.NumberOfReceiveQueues = 1;
            RSS = Some(rss);
            let kept = &raw mut RSS;
            a.RecvScaleCapabilities = (*kept).as_mut().map_or(null_mut(), |r| r);
        });
    "ATR-13" "multicast" in "bind": "takes a multicast address for its own" =>
        General(|a| a.CurrentMacAddress[0] |= 1);

    "CFG-1" "left-open" in "bind": "leaves its configuration open when it is halted" =>
        Initialize(|lane, handle, p| { open(handle); honest_initialize(lane, handle, p) });
    "CFG-2" "after-close" in "bind": "reads a value after the configuration is closed" =>
        Bind(|context, parameters| {
            let handle = open(parameters.cast());
            let value = read(handle, &UPPER_BINDINGS);
            // SAFETY: (CFG-2) broken on purpose: the value is read behind the close; the host has
            // its memory still mapped or stops here.
            unsafe {
                NdisCloseConfiguration(handle);
                (&raw const (*value).ParameterType).read_volatile();
            }
            honest_bind(context, parameters)
        });
    "CFG-3" "any-type" in "settings": "takes a number for a list of names" =>
        Bind(|context, parameters| {
            let handle = open(parameters.cast());
            let value = read(handle, &TUNE);
            // SAFETY: (CFG-3) broken on purpose: a number is followed as if it were a pointer;
            // the host stops it here.
            unsafe {
                let text = (*value).ParameterData.StringData;
                text.Buffer.read_volatile();
                NdisCloseConfiguration(handle);
            }
            honest_bind(context, parameters)
        });

    "PRT-1" "send" in "sends": "sends on a port that there is not" =>
        Send(|lane, lists, _, flags| {
            let count = each(lists, |_| ());
            lane.enter(i64::from(count));
            let (passed, _) = split(lists, lane.binding());
            // SAFETY: (PRT-1) broken on purpose: the lists are the driver's and counted; there is
            // no port 5.
            unsafe { NdisSendNetBufferLists(lane.binding(), passed, 5, flags & !NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK) };
        });
    "PRT-2" "left" in "bind": "leaves a port that it allocated" =>
        Restart(|lane, parameters| {
            let mut port = NDIS_PORT_CHARACTERISTICS::zeroed();
            port.Header = header(
                NDIS_OBJECT_TYPE_PORT_CHARACTERISTICS,
                1,
                size_of::<NDIS_PORT_CHARACTERISTICS>(),
            );
            // SAFETY: (PRT-2, IRQ-3) the first broken on purpose: inside MiniportRestart; nobody
            // frees the port.
            unsafe { NdisMAllocatePort(lane.miniport(), &raw mut port) };
            lane.scratch[0].store(port.PortNumber as usize, Ordering::SeqCst);
            crate::miniport::honest_restart(lane, parameters)
        });
}
