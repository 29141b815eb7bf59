//! An N:1 driver in a few lines, in host code, for tests of the host: it binds, opens, closes
//! and unbinds as a driver does, deals out sends to its members in turn and passes on what
//! comes from any. It keeps what it knows in thread-local state: the deterministic engine
//! runs everything on the test's thread. No borrow of that state is held across a call.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use lab_net::Endpoint;
use ndis_sys::{
    NDIS_BIND_PARAMETERS, NDIS_HALT_ACTION, NDIS_HANDLE, NDIS_MINIPORT_DRIVER_CHARACTERISTICS,
    NDIS_MINIPORT_INIT_PARAMETERS, NDIS_MINIPORT_PAUSE_PARAMETERS,
    NDIS_MINIPORT_RESTART_PARAMETERS, NDIS_OBJECT_HEADER, NDIS_OBJECT_TYPE_OPEN_PARAMETERS,
    NDIS_OPEN_PARAMETERS, NDIS_PACKET_TYPE_PROMISCUOUS, NDIS_PROTOCOL_DRIVER_CHARACTERISTICS,
    NDIS_RECEIVE_FLAGS_RESOURCES, NDIS_STATUS, NDIS_STATUS_PAUSED, NDIS_STATUS_PENDING,
    NDIS_STATUS_SUCCESS, NET_BUFFER_LIST, NET_DEVICE_PNP_EVENT, NET_PNP_EVENT_NOTIFICATION,
    NdisMedium802_3, NetEventPause, NetEventRestart, ULONG,
};

use super::driver::{self, SOURCE, complete, host, indicate, source_of};
use super::team_assist::{self, Numbers};
use crate::handle::Kind;
use crate::host::{Config, Host};
use crate::ndis::binding::header;
use crate::ndis::list::{chain, link};
use crate::ndis::{MiniportDriver, NicConfig, ProtocolDriver, UpperConfig};
use crate::report::Collect;

/// Device of the team's miniport.
pub(super) const TEAM: &str = "TEAM0";

/// What the driver does wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fault {
    #[default]
    None,
    /// The miniport goes with the first member that goes.
    HaltsEarly,
    /// The miniport stays when the last member has gone.
    NeverHalts,
    /// A member that goes leaves its interface stack entry.
    KeepsEntry,
    /// What is received goes back by the first member.
    ReturnsElsewhere,
    /// A pause does not wait for the sends.
    PausesEarly,
}

/// What a bind was handed: lengths of the parameters' memory, their header, power in the old
/// form and in the new, and the headers of offload, RSS, receive filters and NIC switch.
#[derive(Clone, Copy)]
pub(super) struct Handed {
    pub(super) room: u64,
    pub(super) header: NDIS_OBJECT_HEADER,
    pub(super) old_power: u64,
    pub(super) power: u64,
    pub(super) offload: NDIS_OBJECT_HEADER,
    pub(super) rss: NDIS_OBJECT_HEADER,
    pub(super) filters: NDIS_OBJECT_HEADER,
    pub(super) switch: NDIS_OBJECT_HEADER,
}

/// The parameters, as far as they go.
fn parameters_at(at: u64) -> NDIS_BIND_PARAMETERS {
    let header: NDIS_OBJECT_HEADER = host().get(at, "BindParameters");
    let length = usize::from(header.Size).min(size_of::<NDIS_BIND_PARAMETERS>());
    let bytes = host().get_bytes(at, length, "BindParameters");
    // SAFETY: plain data of the ABI; all zero is a value of it.
    let mut p: NDIS_BIND_PARAMETERS = unsafe { std::mem::zeroed() };
    // SAFETY: no more bytes than the structure has, into plain data.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), (&raw mut p).cast::<u8>(), length);
    };
    let header_at = |at: u64| match at {
        0 => NDIS_OBJECT_HEADER {
            Type: 0,
            Revision: 0,
            Size: 0,
        },
        at => host().get(at, "header"),
    };
    HANDED.set(Some(Handed {
        room: host().heap().find(at).map_or(0, |a| a.len),
        header,
        old_power: p.PowerManagementCapabilities as u64,
        power: p.PowerManagementCapabilitiesEx as u64,
        offload: header_at(p.DefaultOffloadConfiguration as u64),
        rss: header_at(p.RcvScaleCapabilities as u64),
        filters: header_at(p.ReceiveFilterCapabilities as u64),
        switch: header_at(p.NicSwitchCapabilities as u64),
    }));
    p
}

/// One adapter below.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Member {
    pub(super) context: u64,
    pub(super) binding: u64,
    if_index: u32,
    opened: bool,
    closed: bool,
    running: bool,
    /// Sends that are not back.
    out: u64,
    /// Sends so far.
    pub(super) sent: u64,
    /// Queues of its receive filters and ports of its NIC switch.
    pub(super) assist: Numbers,
}

/// What the driver knows.
#[derive(Debug, Default)]
pub(super) struct Team {
    pub(super) members: Vec<Member>,
    pub(super) miniport: u64,
    /// Queues and ports as the miniport showed them last.
    pub(super) shown: Numbers,
    if_index: u32,
    running: bool,
    /// Indicated and not back.
    up: u64,
    turn: usize,
    contexts: u64,
    /// How often the miniport was asked for.
    pub(super) asked: u64,
    /// Surprise removals the miniport was told of.
    pub(super) told: u64,
    /// Lists under way: the handle they came with, and the member they are with or came from.
    lists: BTreeMap<u64, (u64, u64)>,
}

thread_local! {
    /// Minor version that the protocol edge registers.
    pub(super) static VERSION: Cell<u8> = const { Cell::new(30) };
    /// What the last bind was handed.
    pub(super) static HANDED: Cell<Option<Handed>> = const { Cell::new(None) };
    static STATE: RefCell<Team> = RefCell::default();
    pub(super) static FAULT: Cell<Fault> = const { Cell::new(Fault::None) };
}

pub(super) fn team<R>(f: impl FnOnce(&mut Team) -> R) -> R {
    STATE.with_borrow_mut(f)
}

fn member<R>(context: u64, f: impl FnOnce(&mut Member) -> R) -> Option<R> {
    team(|t| t.members.iter_mut().find(|m| m.context == context).map(f))
}

fn wait(until: impl Fn() -> bool) {
    for _ in 0..100_000 {
        if until() {
            return;
        }
        host().sleep(10_000);
    }
    panic!("waited for a second");
}

unsafe extern "efiapi" fn bind(
    _: NDIS_HANDLE,
    bind: NDIS_HANDLE,
    parameters: *mut NDIS_BIND_PARAMETERS,
) -> NDIS_STATUS {
    let p = parameters_at(parameters as u64);
    let context = team(|t| {
        t.contexts += 0x1000;
        let context = 0x10_0000 + t.contexts;
        t.members.push(Member {
            context,
            if_index: p.BoundIfIndex,
            assist: team_assist::learn(&p),
            ..Member::default()
        });
        context
    });
    // The open may end after this: its results lie in memory of the driver's.
    let block = host().allocate(32, u32::from_le_bytes(*b"Test"), "team driver");
    host().put(block, NdisMedium802_3.0, "medium");
    // SAFETY: plain data of the ABI; all zero is a value of it.
    let mut o: NDIS_OPEN_PARAMETERS = unsafe { std::mem::zeroed() };
    o.Header = header(
        NDIS_OBJECT_TYPE_OPEN_PARAMETERS,
        1,
        size_of::<NDIS_OPEN_PARAMETERS>(),
    );
    o.AdapterName = p.AdapterName;
    o.MediumArray = block as *mut _;
    o.MediumArraySize = 1;
    o.SelectedMediumIndex = (block + 8) as *mut _;
    let (protocol, driver) = driver::edges(host());
    let status = crate::ndis::binding::NdisOpenAdapterEx(
        protocol,
        context,
        &raw const o as u64,
        bind as u64,
        block + 16,
    );
    if status == NDIS_STATUS_PENDING {
        wait(|| member(context, |m| m.opened) == Some(true));
    } else {
        assert_eq!(status, NDIS_STATUS_SUCCESS);
    }
    let binding: u64 = host().get(block + 16, "binding");
    host().release(block);
    // The request that sets the filter is not what is tested here.
    host().ndis(|n| {
        let b = n.bindings.get_mut(&binding).expect("binding");
        b.packet_filter = NDIS_PACKET_TYPE_PROMISCUOUS;
    });
    let (first, above) = team(|t| {
        let m = t.members.iter_mut().find(|m| m.context == context);
        m.expect("member").binding = binding;
        t.asked += 1;
        (t.asked == 1, t.if_index)
    });
    if first {
        let name = host().unicode(TEAM);
        let asked =
            crate::ndis::instance::NdisIMInitializeDeviceInstanceEx(driver, name, 0x10_0000);
        host().free_unicode(name);
        assert_eq!(asked, NDIS_STATUS_SUCCESS);
    } else if above != 0 {
        let add = crate::ndis::interface::NdisIfAddIfStackEntry;
        assert_eq!(add(above, p.BoundIfIndex), NDIS_STATUS_SUCCESS);
    }
    team_assist::tell();
    NDIS_STATUS_SUCCESS
}

unsafe extern "efiapi" fn opened(context: NDIS_HANDLE, _: NDIS_STATUS) {
    member(context as u64, |m| m.opened = true);
}

unsafe extern "efiapi" fn closed(context: NDIS_HANDLE) {
    member(context as u64, |m| m.closed = true);
}

/// Takes the miniport or the request for it back.
fn take_down() {
    let (_, driver) = driver::edges(host());
    let name = host().unicode(TEAM);
    let cancel = crate::ndis::instance::NdisIMCancelInitializeDeviceInstance;
    if team(|t| t.miniport) == 0 && cancel(driver, name) != NDIS_STATUS_SUCCESS {
        wait(|| team(|t| t.miniport) != 0);
    }
    host().free_unicode(name);
    let miniport = team(|t| t.miniport);
    if miniport != 0 {
        crate::ndis::instance::NdisIMDeInitializeDeviceInstance(miniport);
    }
    team(|t| t.asked = 0);
}

unsafe extern "efiapi" fn unbind(_: NDIS_HANDLE, context: NDIS_HANDLE) -> NDIS_STATUS {
    let context = context as u64;
    let fault = FAULT.get();
    let last = team(|t| {
        let others = t.members.iter().filter(|m| m.context != context);
        others.filter(|m| m.binding != 0).count() == 0
    });
    let asked = team(|t| t.asked) > 0;
    if asked && ((last && fault != Fault::NeverHalts) || fault == Fault::HaltsEarly) {
        take_down();
    }
    let (m, above) = team(|t| {
        let m = t.members.iter().find(|m| m.context == context);
        (*m.expect("member"), t.if_index)
    });
    if above != 0 && fault != Fault::KeepsEntry {
        crate::ndis::interface::NdisIfDeleteIfStackEntry(above, m.if_index);
    }
    host().ndis(|n| {
        n.bindings
            .get_mut(&m.binding)
            .expect("binding")
            .packet_filter = 0;
    });
    let status = crate::ndis::binding::NdisCloseAdapterEx(m.binding);
    if status == NDIS_STATUS_PENDING {
        wait(|| member(context, |m| m.closed) == Some(true));
    }
    team(|t| t.members.retain(|m| m.context != context));
    team_assist::tell();
    NDIS_STATUS_SUCCESS
}

unsafe extern "efiapi" fn initialize(
    miniport: NDIS_HANDLE,
    _: NDIS_HANDLE,
    parameters: *mut NDIS_MINIPORT_INIT_PARAMETERS,
) -> NDIS_STATUS {
    let p: NDIS_MINIPORT_INIT_PARAMETERS = host().get(parameters as u64, "InitParameters");
    driver::attributes(miniport as u64);
    team_assist::show(miniport as u64);
    let below = team(|t| {
        t.miniport = miniport as u64;
        t.if_index = p.IfIndex;
        let open = t.members.iter().filter(|m| m.binding != 0);
        open.map(|m| m.if_index).collect::<Vec<_>>()
    });
    for lower in below {
        let add = crate::ndis::interface::NdisIfAddIfStackEntry;
        assert_eq!(add(p.IfIndex, lower), NDIS_STATUS_SUCCESS);
    }
    NDIS_STATUS_SUCCESS
}

unsafe extern "efiapi" fn halt(_: NDIS_HANDLE, _: NDIS_HALT_ACTION) {
    let (above, below) = team(|t| {
        let below: Vec<u32> = t.members.iter().map(|m| m.if_index).collect();
        t.miniport = 0;
        (std::mem::take(&mut t.if_index), below)
    });
    for lower in below {
        crate::ndis::interface::NdisIfDeleteIfStackEntry(above, lower);
    }
}

unsafe extern "efiapi" fn pause(
    _: NDIS_HANDLE,
    _: *mut NDIS_MINIPORT_PAUSE_PARAMETERS,
) -> NDIS_STATUS {
    team(|t| t.running = false);
    wait(|| team(|t| t.up == 0 && t.members.iter().all(|m| m.out == 0)));
    NDIS_STATUS_SUCCESS
}

unsafe extern "efiapi" fn restart(
    _: NDIS_HANDLE,
    _: *mut NDIS_MINIPORT_RESTART_PARAMETERS,
) -> NDIS_STATUS {
    team(|t| t.running = true);
    NDIS_STATUS_SUCCESS
}

/// DPE-1: nothing is accepted after the removal.
unsafe extern "efiapi" fn request(
    context: NDIS_HANDLE,
    request: *mut ndis_sys::NDIS_OID_REQUEST,
) -> NDIS_STATUS {
    if team(|t| t.told) > 0 {
        return ndis_sys::NDIS_STATUS_NOT_ACCEPTED;
    }
    // SAFETY: (OID-1) passed on as it came.
    unsafe { driver::request(context, request) }
}

unsafe extern "efiapi" fn told(_: NDIS_HANDLE, event: *mut NET_DEVICE_PNP_EVENT) {
    // SAFETY: the host's own event, alive for the call.
    let event = unsafe { (*event).DevicePnPEvent };
    if event == ndis_sys::NdisDevicePnPEventSurpriseRemoved {
        team(|t| t.told += 1);
    }
}

unsafe extern "efiapi" fn send(
    miniport: NDIS_HANDLE,
    first: *mut NET_BUFFER_LIST,
    _: u32,
    _: ULONG,
) {
    for list in chain(host(), first as u64) {
        let source = source_of(list);
        let binding = team(|t| {
            let count = t.members.len();
            let turn = t.turn;
            t.turn += 1;
            let mut around = (0..count).map(|i| (turn + i) % count);
            let at = around.find(|&at| t.members[at].running)?;
            let m = &mut t.members[at];
            m.out += 1;
            m.sent += 1;
            t.lists.insert(list, (source, m.context));
            Some(m.binding)
        });
        match binding {
            None => complete(miniport as u64, list, NDIS_STATUS_PAUSED),
            Some(binding) => {
                link(host(), &[list]);
                host().put(list + SOURCE, binding, "SourceHandle");
                crate::ndis::send::NdisSendNetBufferLists(binding, list, 0, 0);
            }
        }
    }
}

unsafe extern "efiapi" fn sent(context: NDIS_HANDLE, first: *mut NET_BUFFER_LIST, _: ULONG) {
    for list in chain(host(), first as u64) {
        let (source, with, miniport) = team(|t| {
            let (source, with) = t.lists.remove(&list).expect("a list that was sent");
            (source, with, t.miniport)
        });
        assert_eq!(with, context as u64, "completed by whom it was sent to");
        host().put(list + SOURCE, source, "SourceHandle");
        complete(miniport, list, NDIS_STATUS_SUCCESS);
        member(with, |m| m.out -= 1);
    }
}

unsafe extern "efiapi" fn receive(
    context: NDIS_HANDLE,
    first: *mut NET_BUFFER_LIST,
    _: u32,
    _: ULONG,
    flags: ULONG,
) {
    let lent = flags & NDIS_RECEIVE_FLAGS_RESOURCES != 0;
    let all = chain(host(), first as u64);
    for &list in &all {
        let source = source_of(list);
        let up = team(|t| {
            if t.running && !lent {
                t.lists.insert(list, (source, context as u64));
            }
            t.up += u64::from(t.running);
            t.running.then_some(t.miniport)
        });
        match up {
            None if lent => {}
            None => give_back(context as u64, list, source),
            Some(miniport) if lent => {
                indicate(miniport, list, NDIS_RECEIVE_FLAGS_RESOURCES);
                host().put(list + SOURCE, source, "SourceHandle");
                team(|t| t.up -= 1);
            }
            Some(miniport) => indicate(miniport, list, 0),
        }
    }
    if lent {
        link(host(), &all);
    }
}

/// Returns one list by a member.
fn give_back(context: u64, list: u64, source: u64) {
    let binding = member(context, |m| m.binding).expect("the member it came from");
    link(host(), &[list]);
    host().put(list + SOURCE, source, "SourceHandle");
    crate::ndis::receive::NdisReturnNetBufferLists(binding, list, 0);
}

unsafe extern "efiapi" fn returned(_: NDIS_HANDLE, first: *mut NET_BUFFER_LIST, _: ULONG) {
    for list in chain(host(), first as u64) {
        let (source, from) = team(|t| {
            let (source, from) = t.lists.remove(&list).expect("a list that was indicated");
            let first = t.members[0].context;
            let elsewhere = FAULT.get() == Fault::ReturnsElsewhere;
            (source, if elsewhere { first } else { from })
        });
        give_back(from, list, source);
        team(|t| t.up -= 1);
    }
}

unsafe extern "efiapi" fn event(
    context: NDIS_HANDLE,
    event: *mut NET_PNP_EVENT_NOTIFICATION,
) -> NDIS_STATUS {
    let e: NET_PNP_EVENT_NOTIFICATION = host().get(event as u64, "NetPnPEvent");
    let context = context as u64;
    let code = e.NetPnPEvent.NetEvent;
    if code == NetEventPause {
        member(context, |m| m.running = false);
        if FAULT.get() != Fault::PausesEarly {
            wait(|| member(context, |m| m.out) == Some(0));
        }
    } else if code == NetEventRestart {
        member(context, |m| m.running = true);
    }
    NDIS_STATUS_SUCCESS
}

/// A host with the driver, an adapter for each far end, and protocols above the team.
pub(super) fn set_up(
    seed: u64,
    nics: Vec<(NicConfig, Box<dyn Endpoint>)>,
    upper: (UpperConfig, Box<dyn Endpoint>),
) -> Box<Host> {
    let config = Config {
        seed,
        ..Config::default()
    };
    let host = Host::new(config, std::sync::Arc::new(Collect::default())).expect("host");
    STATE.set(Team::default());
    FAULT.set(Fault::None);
    for (nic, far) in nics {
        host.add_nic(nic, far);
    }
    host.add_upper(upper.0, upper.1);
    // SAFETY: plain data of the ABI; all zero (no handlers) is a value of it.
    let mut m: NDIS_MINIPORT_DRIVER_CHARACTERISTICS = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let mut p: NDIS_PROTOCOL_DRIVER_CHARACTERISTICS = unsafe { std::mem::zeroed() };
    m.InitializeHandlerEx = Some(initialize);
    m.HaltHandlerEx = Some(halt);
    m.PauseHandler = Some(pause);
    m.RestartHandler = Some(restart);
    m.OidRequestHandler = Some(request);
    m.CancelOidRequestHandler = Some(driver::cancel);
    m.DevicePnPEventNotifyHandler = Some(told);
    m.SendNetBufferListsHandler = Some(send);
    m.ReturnNetBufferListsHandler = Some(returned);
    m.CancelSendHandler = Some(driver::cancel);
    p.MajorNdisVersion = 6;
    p.MinorNdisVersion = VERSION.get();
    p.BindAdapterHandlerEx = Some(bind);
    p.UnbindAdapterHandlerEx = Some(unbind);
    p.OpenAdapterCompleteHandlerEx = Some(opened);
    p.CloseAdapterCompleteHandlerEx = Some(closed);
    p.ReceiveNetBufferListsHandler = Some(receive);
    p.SendNetBufferListsCompleteHandler = Some(sent);
    p.NetPnPEventHandler = Some(event);
    p.StatusHandlerEx = Some(team_assist::status);
    if team_assist::VERSIONED.get() {
        (m.MajorNdisVersion, m.MinorNdisVersion) = (6, VERSION.get());
    }
    host.ndis(|n| {
        let protocol = n.handles.open(Kind::ProtocolDriver);
        let edge = ProtocolDriver {
            chars: p,
            context: 0,
            driver_object: 0,
            name: "team".into(),
        };
        n.protocols.insert(protocol, edge);
        let driver = n.handles.open(Kind::MiniportDriver);
        let edge = MiniportDriver {
            chars: m,
            context: 0,
            driver_object: 0,
            protocol: Some(protocol),
        };
        n.drivers.insert(driver, edge);
    });
    host
}
