//! Binding to an adapter and unbinding from it. All at PASSIVE_LEVEL, synchronous (BND-5).

use core::ptr::null_mut;
use core::sync::atomic::Ordering;

use ndis_sys::{
    NDIS_BIND_PARAMETERS, NDIS_CONFIGURATION_OBJECT, NDIS_HANDLE, NDIS_MEDIUM,
    NDIS_OBJECT_TYPE_CONFIGURATION_OBJECT, NDIS_OBJECT_TYPE_OPEN_PARAMETERS, NDIS_OPEN_PARAMETERS,
    NDIS_OPEN_PARAMETERS_REVISION_1, NDIS_STATUS, NDIS_STATUS_FAILURE, NDIS_STATUS_RESOURCES,
    NDIS_STATUS_SUCCESS, NdisCloseAdapterEx, NdisCloseConfiguration, NdisMedium802_3,
    NdisOpenAdapterEx, NdisOpenConfigurationEx, NdisParameterMultiString, NdisReadConfiguration,
    OID_802_3_MULTICAST_LIST, OID_GEN_CURRENT_PACKET_FILTER,
};

use crate::entry::{self, PROTOCOL};
use crate::lane::{Lane, Link, bit, device};
use crate::raw::{Plain, counted, header, ok, wide};
use crate::table::instead;
use crate::{miniport, requests};

/// ProtocolBindAdapterEx.
pub(crate) unsafe extern "efiapi" fn bind(
    _driver: NDIS_HANDLE,
    bind_context: NDIS_HANDLE,
    parameters: *mut NDIS_BIND_PARAMETERS,
) -> NDIS_STATUS {
    instead!(Bind(bind_context, parameters), honest_bind)
}

/// Opens the adapter and asks for the miniport that its configuration names. One that has an
/// adapter already gets no second one: the driver is no team.
pub(crate) fn honest_bind(
    bind_context: NDIS_HANDLE,
    parameters: *mut NDIS_BIND_PARAMETERS,
) -> NDIS_STATUS {
    bind_if(bind_context, parameters, |lane| {
        let mine = lane.facts();
        let same = |other: &Lane| {
            other.facts().name.get(..other.facts().name_units) == mine.name.get(..mine.name_units)
        };
        let mut others = crate::lane::all().filter(|other| !core::ptr::eq(*other, lane));
        mine.name_units == 0 || !others.any(same)
    })
}

/// Binds if the configuration is as it should be.
pub(crate) fn bind_if(
    bind_context: NDIS_HANDLE,
    parameters: *mut NDIS_BIND_PARAMETERS,
    may: fn(&Lane) -> bool,
) -> NDIS_STATUS {
    // SAFETY: (BND-9) valid until this returns.
    if unsafe { (*parameters).MediaType } != NdisMedium802_3 {
        return NDIS_STATUS_FAILURE;
    }
    let Some(lane) = Lane::take() else {
        return NDIS_STATUS_RESOURCES;
    };
    learn(lane, parameters);
    // BND-12: before the open the bind parameters are the handle.
    let status = configure(lane, parameters.cast());
    if !ok(status) {
        lane.used.store(false, Ordering::Release);
        return status;
    }
    if !may(lane) {
        lane.used.store(false, Ordering::Release);
        return NDIS_STATUS_FAILURE;
    }
    let status = open(lane, bind_context, parameters);
    if !ok(status) {
        lane.used.store(false, Ordering::Release); // BND-4
        return status;
    }
    lane.requests.open();
    if entry::is_associated() {
        instead!(Request(lane), miniport::ask_for); // BND-13
    }
    NDIS_STATUS_SUCCESS
}

/// Copies what the bind parameters say into the attributes of the miniport to come (BND-9,
/// ATR-7).
pub(crate) fn learn(lane: &Lane, parameters: *mut NDIS_BIND_PARAMETERS) {
    // SAFETY: (BND-9) valid until the bind ends; nobody else has the lane yet.
    let (p, facts) = unsafe { (&*parameters, &mut *lane.facts.get()) };
    let g = &mut facts.general;
    *g = Plain::zeroed();
    g.MediaType = p.MediaType;
    g.PhysicalMediumType = p.PhysicalMediumType;
    g.MtuSize = p.MtuSize;
    g.MaxXmitLinkSpeed = p.MaxXmitLinkSpeed;
    g.MaxRcvLinkSpeed = p.MaxRcvLinkSpeed;
    g.LookaheadSize = p.LookaheadSize;
    g.MacOptions = p.MacOptions;
    g.SupportedPacketFilters = p.SupportedPacketFilters;
    g.MaxMulticastListSize = p.MaxMulticastListSize;
    g.MacAddressLength = p.MacAddressLength;
    g.PermanentMacAddress = p.CurrentMacAddress;
    g.CurrentMacAddress = p.CurrentMacAddress;
    g.AccessType = p.AccessType;
    g.DirectionType = p.DirectionType;
    g.ConnectionType = p.ConnectionType;
    g.IfType = p.IfType;
    g.DataBackFillSize = p.DataBackFillSize;
    g.ContextBackFillSize = p.ContextBackFillSize;
    facts.index = p.BoundIfIndex;
    let link = Link {
        connect: p.MediaConnectState,
        duplex: p.MediaDuplexState,
        xmit: p.XmitLinkSpeed,
        rcv: p.RcvLinkSpeed,
        pause: ndis_sys::NDIS_SUPPORTED_PAUSE_FUNCTIONS(0),
        flags: 0,
    };
    (facts.link, facts.shown) = (Some(link), None);
    // VER-4: the member is there from revision 3 on.
    let pm = p.PowerManagementCapabilitiesEx;
    facts.has_pm = p.Header.Revision >= 3 && !pm.is_null();
    if facts.has_pm {
        // SAFETY: (VER-4) as long as its header says, at most what is known of it.
        unsafe {
            let length = usize::from((*pm).Header.Size).min(size_of_val(&facts.pm));
            facts.pm = Plain::zeroed();
            let to = (&raw mut facts.pm).cast::<u8>();
            to.copy_from_nonoverlapping(pm.cast::<u8>(), length);
            facts.pm.Header.Size = length as u16;
        }
    }
}

/// Reads the name of the miniport's device; there may be none yet.
pub(crate) fn configure(lane: &Lane, object: NDIS_HANDLE) -> NDIS_STATUS {
    const UPPER_BINDINGS: [u16; 13] = wide(b"UpperBindings");
    let mut of = NDIS_CONFIGURATION_OBJECT::zeroed();
    of.Header = header(
        NDIS_OBJECT_TYPE_CONFIGURATION_OBJECT,
        1,
        size_of::<NDIS_CONFIGURATION_OBJECT>(),
    );
    of.NdisHandle = object;
    let mut handle = null_mut();
    // SAFETY: (CFG-2) the object is valid: bind parameters of this bind, or an open binding.
    let status = unsafe { NdisOpenConfigurationEx(&raw mut of, &raw mut handle) };
    if !ok(status) {
        return status;
    }
    let mut keyword = counted(&UPPER_BINDINGS);
    let (mut status, mut value) = (NDIS_STATUS_SUCCESS, null_mut());
    // SAFETY: (CFG-2, CFG-3) the handle is open; the value is looked at before it is closed,
    // and only if it is of the type that was asked for.
    unsafe {
        NdisReadConfiguration(
            &raw mut status,
            &raw mut value,
            handle,
            &raw mut keyword,
            NdisParameterMultiString,
        );
        let mut units: &[u16] = &[];
        if ok(status) && (*value).ParameterType == NdisParameterMultiString {
            let text = (*value).ParameterData.StringData;
            units = core::slice::from_raw_parts(text.Buffer, usize::from(text.Length) / 2);
        }
        let first = units.split(|unit| *unit == 0).next().unwrap_or(&[]);
        lane.locked(|facts| {
            let room = facts.name.len();
            facts.name_units = if first.len() <= room { first.len() } else { 0 };
            facts.name[..facts.name_units].copy_from_slice(&first[..facts.name_units]);
        });
        NdisCloseConfiguration(handle); // CFG-1
    }
    NDIS_STATUS_SUCCESS
}

/// Opens the adapter and waits for it (BND-1, BND-3).
pub(crate) fn open(
    lane: &Lane,
    bind_context: NDIS_HANDLE,
    parameters: *mut NDIS_BIND_PARAMETERS,
) -> NDIS_STATUS {
    let mut media: [NDIS_MEDIUM; 1] = [NdisMedium802_3];
    let mut open = NDIS_OPEN_PARAMETERS::zeroed();
    open.Header = header(
        NDIS_OBJECT_TYPE_OPEN_PARAMETERS,
        NDIS_OPEN_PARAMETERS_REVISION_1,
        size_of::<NDIS_OPEN_PARAMETERS>(),
    );
    // SAFETY: (BND-2, BND-9) valid until the bind ends.
    open.AdapterName = unsafe { (*parameters).AdapterName };
    open.MediumArray = media.as_mut_ptr();
    open.MediumArraySize = 1;
    open.SelectedMediumIndex = lane.medium.get();
    instead!(Open(&mut open), |_| ());
    lane.begin();
    // SAFETY: (BND-1) inside ProtocolBindAdapterEx, with its context; the storage is static.
    let status = unsafe {
        NdisOpenAdapterEx(
            PROTOCOL.get(),
            lane.context(),
            &raw mut open,
            bind_context,
            lane.handle.get(),
        )
    };
    let status = lane.outcome(status);
    if ok(status) {
        // SAFETY: NDIS has written it.
        lane.set_binding(unsafe { lane.handle.get().read() });
    }
    status
}

/// ProtocolOpenAdapterCompleteEx.
pub(crate) unsafe extern "efiapi" fn open_complete(context: NDIS_HANDLE, status: NDIS_STATUS) {
    Lane::of(context).finished(status);
}

/// Asks for the miniports of binds that came before the association.
pub(crate) fn request_all() {
    for lane in crate::lane::all() {
        let idle = lane.device.load(Ordering::SeqCst) == device::NONE;
        if idle && !lane.binding().is_null() && entry::is_associated() {
            instead!(Request(lane), miniport::ask_for);
        }
    }
}

/// ProtocolUnbindAdapterEx.
pub(crate) unsafe extern "efiapi" fn unbind(
    unbind_context: NDIS_HANDLE,
    context: NDIS_HANDLE,
) -> NDIS_STATUS {
    instead!(Unbind(Lane::of(context), unbind_context), honest_unbind)
}

/// Takes the miniport down, then closes the adapter (UNB-1 to UNB-7).
pub(crate) fn honest_unbind(lane: &Lane, _unbind_context: NDIS_HANDLE) -> NDIS_STATUS {
    instead!(Withdraw(lane), miniport::withdraw); // UNB-7, CAN-1
    instead!(CleanUp(lane), clean_up);
    lane.requests.close(); // UNB-5, OID-17
    instead!(Close(lane), close);
    lane.set_binding(null_mut());
    lane.used.store(false, Ordering::Release);
    NDIS_STATUS_SUCCESS
}

/// Leaves the adapter as if nobody had ever asked it for anything (UNB-4).
pub(crate) fn clean_up(lane: &Lane) {
    if lane.gate.load(Ordering::SeqCst) & (bit::BELOW_ASLEEP | bit::RESET) != 0 {
        return; // PBS-5
    }
    requests::set_own(lane, OID_GEN_CURRENT_PACKET_FILTER, 0, 4);
    requests::set_own(lane, OID_802_3_MULTICAST_LIST, 0, 0);
}

/// Closes the adapter and waits for it (UNB-2, UNB-3).
pub(crate) fn close(lane: &Lane) {
    lane.begin();
    // SAFETY: (UNB-3, UNB-5) inside unbind; nothing of the driver's is out on the binding.
    let status = unsafe { NdisCloseAdapterEx(lane.binding()) };
    lane.outcome(status);
}

/// ProtocolCloseAdapterCompleteEx.
pub(crate) unsafe extern "efiapi" fn close_complete(context: NDIS_HANDLE) {
    Lane::of(context).finished(NDIS_STATUS_SUCCESS);
}
