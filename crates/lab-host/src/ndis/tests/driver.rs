//! A 1:N driver in a few lines, in host code, for tests of the host. It keeps what it knows in
//! thread-local state: the deterministic engine runs everything on the test's thread.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use lab_net::Endpoint;
use ndis_sys::{
    NDIS_HALT_ACTION, NDIS_HANDLE, NDIS_MAC_OPTION_8021P_PRIORITY, NDIS_MAC_OPTION_NO_LOOPBACK,
    NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES, NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES,
    NDIS_MINIPORT_ATTRIBUTES_NO_HALT_ON_SUSPEND, NDIS_MINIPORT_DRIVER_CHARACTERISTICS,
    NDIS_MINIPORT_INIT_PARAMETERS, NDIS_MINIPORT_PAUSE_PARAMETERS,
    NDIS_MINIPORT_RESTART_PARAMETERS, NDIS_OBJECT_TYPE_DEFAULT,
    NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES,
    NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES, NDIS_OID_REQUEST,
    NDIS_PACKET_TYPE_PROMISCUOUS, NDIS_PROTOCOL_DRIVER_CHARACTERISTICS,
    NDIS_RECEIVE_FLAGS_RESOURCES, NDIS_STATUS, NDIS_STATUS_SUCCESS, NET_BUFFER_LIST,
    NET_BUFFER_LIST_POOL_PARAMETERS, NET_PNP_EVENT_NOTIFICATION, NdisMedium802_3, PVOID, ULONG,
};

use crate::handle::Kind;
use crate::heap::Layout;
use crate::host::{Config, Host};
use crate::ndis::binding::{Binding, header};
use crate::ndis::list::{at, chain, link};
use crate::ndis::{EdgeState, MiniportDriver, NicConfig, ProtocolDriver, UpperConfig};
use crate::report::Collect;

/// Done with a list that a port sends.
type Sending = fn(port: u64, list: u64);
/// Done with a list that is received.
type Receiving = fn(list: u64, lent: bool);

thread_local! {
    /// Virtual miniports that are initialised.
    pub(super) static PORTS: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    /// Lists that are forwarded: the handle they came with, and the port or 0.
    static SAVED: RefCell<BTreeMap<u64, (u64, u64)>> = const { RefCell::new(BTreeMap::new()) };
    pub(super) static BINDING: Cell<u64> = const { Cell::new(0) };
    /// What is done with a list that a port sends, instead of sending it down.
    pub(super) static SENDING: Cell<Option<Sending>> = const { Cell::new(None) };
    /// What is done with a list of the driver's own that was sent.
    pub(super) static SENT: Cell<Option<fn(list: u64)>> = const { Cell::new(None) };
    /// What is done with received lists, instead of lending them to every port.
    pub(super) static RECEIVING: Cell<Option<Receiving>> = const { Cell::new(None) };
    /// What is done with a list of the driver's own that comes back from above.
    pub(super) static RETURNED: Cell<Option<fn(list: u64)>> = const { Cell::new(None) };
}

pub(super) fn host() -> &'static Host {
    crate::api::host()
}

pub(super) const SOURCE: u64 = at!(NET_BUFFER_LIST.SourceHandle);

/// Notes where a list came from and puts another handle into it.
fn save(list: u64, port: u64, handle: u64) {
    let source: u64 = host().get(list + SOURCE, "SourceHandle");
    SAVED.with_borrow_mut(|s| s.insert(list, (source, port)));
    host().put(list + SOURCE, handle, "SourceHandle");
}

/// Puts the handle back that a list came with; its port.
fn restore(list: u64) -> Option<u64> {
    let (source, port) = SAVED.with_borrow_mut(|s| s.remove(&list))?;
    host().put(list + SOURCE, source, "SourceHandle");
    Some(port)
}

/// Sends one list down.
pub(super) fn send_down(list: u64) {
    link(host(), &[list]);
    host().put(list + SOURCE, BINDING.get(), "SourceHandle");
    crate::ndis::send::NdisSendNetBufferLists(BINDING.get(), list, 0, 0);
}

/// Sends a list of a port down as it is; it is completed when it comes back.
pub(super) fn forward(port: u64, list: u64) {
    save(list, port, BINDING.get());
    send_down(list);
}

/// Completes one list of a port.
pub(super) fn complete(port: u64, list: u64, status: NDIS_STATUS) {
    link(host(), &[list]);
    host().put(list + at!(NET_BUFFER_LIST.Status), status.0, "Status");
    crate::ndis::send::NdisMSendNetBufferListsComplete(port, list, 0);
}

/// Indicates one list on a port.
pub(super) fn indicate(port: u64, list: u64, flags: u32) {
    link(host(), &[list]);
    host().put(list + SOURCE, port, "SourceHandle");
    crate::ndis::receive::NdisMIndicateReceiveNetBufferLists(port, list, 0, 1, flags);
}

/// Returns one list to the adapter, under the handle it came with.
pub(super) fn give_back(list: u64, source: u64) {
    link(host(), &[list]);
    host().put(list + SOURCE, source, "SourceHandle");
    crate::ndis::receive::NdisReturnNetBufferLists(BINDING.get(), list, 0);
}

pub(super) fn source_of(list: u64) -> u64 {
    host().get(list + SOURCE, "SourceHandle")
}

/// A pool of the driver's.
pub(super) fn pool(owner: u64) -> u64 {
    // SAFETY: plain data of the ABI; all zero is a value of it.
    let mut p: NET_BUFFER_LIST_POOL_PARAMETERS = unsafe { std::mem::zeroed() };
    p.Header = header(NDIS_OBJECT_TYPE_DEFAULT, 1, size_of_val(&p));
    p.fAllocateNetBuffer = 1;
    p.PoolTag = u32::from_le_bytes(*b"Test");
    crate::ndis::nbl::tests::allocate_pool(owner, &raw const p as u64)
}

/// Sets the attributes of a virtual miniport; its handle is its context.
pub(super) fn attributes(miniport: u64) {
    // SAFETY: plain data of the ABI; all zero is a value of it.
    let mut r: NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES = unsafe { std::mem::zeroed() };
    r.Header = header(
        NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES,
        2,
        size_of_val(&r),
    );
    r.MiniportAdapterContext = miniport as NDIS_HANDLE;
    r.AttributeFlags = NDIS_MINIPORT_ATTRIBUTES_NO_HALT_ON_SUSPEND;
    let set = crate::ndis::attributes::NdisMSetMiniportAttributes;
    assert_eq!(set(miniport, &raw const r as u64), NDIS_STATUS_SUCCESS);
    // SAFETY: as above.
    let mut g: NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES = unsafe { std::mem::zeroed() };
    g.Header = header(
        NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES,
        2,
        size_of_val(&g),
    );
    g.MediaType = NdisMedium802_3;
    g.MacAddressLength = 6;
    g.CurrentMacAddress[..6].copy_from_slice(&NicConfig::default().mac);
    g.MtuSize = 1500;
    g.LookaheadSize = 1500;
    g.MacOptions = NDIS_MAC_OPTION_NO_LOOPBACK | NDIS_MAC_OPTION_8021P_PRIORITY;
    g.SupportedStatistics = 0x003F_FFFF;
    assert_eq!(set(miniport, &raw const g as u64), NDIS_STATUS_SUCCESS);
}

unsafe extern "efiapi" fn initialize(
    miniport: NDIS_HANDLE,
    _: NDIS_HANDLE,
    _: *mut NDIS_MINIPORT_INIT_PARAMETERS,
) -> NDIS_STATUS {
    attributes(miniport as u64);
    PORTS.with_borrow_mut(|p| p.push(miniport as u64));
    NDIS_STATUS_SUCCESS
}

unsafe extern "efiapi" fn halt(context: NDIS_HANDLE, _: NDIS_HALT_ACTION) {
    PORTS.with_borrow_mut(|p| p.retain(|&port| port != context as u64));
}

unsafe extern "efiapi" fn pause(
    _: NDIS_HANDLE,
    _: *mut NDIS_MINIPORT_PAUSE_PARAMETERS,
) -> NDIS_STATUS {
    NDIS_STATUS_SUCCESS
}

unsafe extern "efiapi" fn restart(
    _: NDIS_HANDLE,
    _: *mut NDIS_MINIPORT_RESTART_PARAMETERS,
) -> NDIS_STATUS {
    NDIS_STATUS_SUCCESS
}

pub(super) unsafe extern "efiapi" fn request(
    _: NDIS_HANDLE,
    _: *mut NDIS_OID_REQUEST,
) -> NDIS_STATUS {
    NDIS_STATUS_SUCCESS
}

pub(super) unsafe extern "efiapi" fn cancel(_: NDIS_HANDLE, _: PVOID) {}

unsafe extern "efiapi" fn send(
    context: NDIS_HANDLE,
    first: *mut NET_BUFFER_LIST,
    _: u32,
    _: ULONG,
) {
    let port = context as u64;
    for list in chain(host(), first as u64) {
        if let Some(sending) = SENDING.get() {
            sending(port, list);
        } else {
            forward(port, list);
        }
    }
}

unsafe extern "efiapi" fn sent(_: NDIS_HANDLE, first: *mut NET_BUFFER_LIST, _: ULONG) {
    for list in chain(host(), first as u64) {
        match restore(list) {
            Some(port) => complete(port, list, NDIS_STATUS_SUCCESS),
            None => SENT.get().expect("a list of the driver's own")(list),
        }
    }
}

unsafe extern "efiapi" fn receive(
    _: NDIS_HANDLE,
    first: *mut NET_BUFFER_LIST,
    _: u32,
    _: ULONG,
    flags: ULONG,
) {
    let lent = flags & NDIS_RECEIVE_FLAGS_RESOURCES != 0;
    let all = chain(host(), first as u64);
    for &list in &all {
        if let Some(receiving) = RECEIVING.get() {
            receiving(list, lent);
            continue;
        }
        let source = source_of(list);
        let ports = PORTS.with_borrow(Clone::clone);
        let Some((&last, others)) = ports.split_last() else {
            if !lent {
                give_back(list, source);
            }
            continue;
        };
        for &port in others {
            indicate(port, list, NDIS_RECEIVE_FLAGS_RESOURCES);
        }
        if lent {
            indicate(last, list, NDIS_RECEIVE_FLAGS_RESOURCES);
            host().put(list + SOURCE, source, "SourceHandle");
        } else {
            SAVED.with_borrow_mut(|s| s.insert(list, (source, last)));
            indicate(last, list, 0);
        }
    }
    if lent {
        link(host(), &all);
    }
}

unsafe extern "efiapi" fn returned(_: NDIS_HANDLE, first: *mut NET_BUFFER_LIST, _: ULONG) {
    for list in chain(host(), first as u64) {
        let saved = SAVED.with_borrow_mut(|s| s.remove(&list));
        match saved {
            Some((source, _)) => give_back(list, source),
            None => RETURNED.get().expect("a list of the driver's own")(list),
        }
    }
}

unsafe extern "efiapi" fn event(_: NDIS_HANDLE, _: *mut NET_PNP_EVENT_NOTIFICATION) -> NDIS_STATUS {
    NDIS_STATUS_SUCCESS
}

/// A host with the driver on one adapter, and `ports` protocols each above its own device.
pub(super) fn set_up(
    seed: u64,
    nic: NicConfig,
    far: Box<dyn Endpoint>,
    uppers: Vec<(UpperConfig, Box<dyn Endpoint>)>,
) -> Box<Host> {
    let config = Config {
        seed,
        layout: if uppers.len() > 64 {
            Layout::Dense
        } else {
            Layout::Guarded
        },
        ..Config::default()
    };
    let host = Host::new(config, std::sync::Arc::new(Collect::default())).expect("host");
    PORTS.with_borrow_mut(Vec::clear);
    SAVED.with_borrow_mut(BTreeMap::clear);
    SENDING.set(None);
    SENT.set(None);
    RECEIVING.set(None);
    RETURNED.set(None);
    let nic = host.add_nic(nic, far);
    for (config, endpoint) in uppers {
        host.add_upper(config, endpoint);
    }
    // SAFETY: plain data of the ABI; all zero (no handlers) is a value of it.
    let mut m: NDIS_MINIPORT_DRIVER_CHARACTERISTICS = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let mut p: NDIS_PROTOCOL_DRIVER_CHARACTERISTICS = unsafe { std::mem::zeroed() };
    m.InitializeHandlerEx = Some(initialize);
    m.HaltHandlerEx = Some(halt);
    m.PauseHandler = Some(pause);
    m.RestartHandler = Some(restart);
    m.OidRequestHandler = Some(request);
    m.CancelOidRequestHandler = Some(cancel);
    m.SendNetBufferListsHandler = Some(send);
    m.ReturnNetBufferListsHandler = Some(returned);
    m.CancelSendHandler = Some(cancel);
    p.ReceiveNetBufferListsHandler = Some(receive);
    p.SendNetBufferListsCompleteHandler = Some(sent);
    p.NetPnPEventHandler = Some(event);
    let binding = host.ndis(|n| {
        let protocol = n.handles.open(Kind::ProtocolDriver);
        n.protocols.insert(
            protocol,
            ProtocolDriver {
                chars: p,
                context: 0,
                name: "test".into(),
                driver_object: 0,
            },
        );
        let driver = n.handles.open(Kind::MiniportDriver);
        n.drivers.insert(
            driver,
            MiniportDriver {
                chars: m,
                context: 0,
                driver_object: 0,
                protocol: Some(protocol),
            },
        );
        let binding = n.handles.open(Kind::Binding);
        n.bindings.insert(
            binding,
            Binding {
                state: EdgeState::Running,
                packet_filter: NDIS_PACKET_TYPE_PROMISCUOUS,
                opened: true,
                restarted: true,
                ..Binding::new(protocol, nic, binding, Vec::new(), (1500, 1, true))
            },
        );
        binding
    });
    BINDING.set(binding);
    host
}

/// Handles of the driver: its protocol edge and its miniport edge.
pub(super) fn edges(host: &Host) -> (u64, u64) {
    host.ndis(|n| {
        let protocol = n.protocols.keys().next();
        let driver = n.drivers.keys().next();
        (*protocol.expect("edge"), *driver.expect("edge"))
    })
}

/// Asks for a device, as the driver does when it binds.
pub(super) fn ask_for(host: &Host, name: &str) -> NDIS_STATUS {
    let (_, driver) = edges(host);
    let string = host.unicode(name);
    let status = crate::ndis::instance::NdisIMInitializeDeviceInstanceEx(driver, string, 0x10_0000);
    host.free_unicode(string);
    status
}

/// Takes the request back.
pub(super) fn cancel_request(host: &Host, name: &str) -> NDIS_STATUS {
    let (_, driver) = edges(host);
    let string = host.unicode(name);
    let status = crate::ndis::instance::NdisIMCancelInitializeDeviceInstance(driver, string);
    host.free_unicode(string);
    status
}
