//! Misdeeds about bindings and miniports coming and going (BND, UNB, PBS, MPS, RST, LBF, IFS).

use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use ndis_sys::*;

use crate::entry::{DRIVER, PROTOCOL};
use crate::lane::{Lane, bit};
use crate::raw::{Plain, TAG, header, ok, pop, push};
use crate::table::misdeeds;
use crate::{bind, data, events, miniport, requests};

/// A pointer that a misdeed keeps.
static KEPT: AtomicPtr<core::ffi::c_void> = AtomicPtr::new(null_mut());
/// It was done.
static ONCE: AtomicBool = AtomicBool::new(false);

/// Keeps a pointer and returns the one before.
fn keep<T>(pointer: *mut T) -> *mut T {
    KEPT.swap(pointer.cast(), Ordering::SeqCst).cast()
}

fn kept<T>() -> *mut T {
    KEPT.load(Ordering::SeqCst).cast()
}

fn first_time() -> bool {
    !ONCE.swap(true, Ordering::SeqCst)
}

/// Parameters that open nothing of use.
fn open_parameters(lane: &Lane, medium: &mut NDIS_MEDIUM) -> NDIS_OPEN_PARAMETERS {
    let mut open = NDIS_OPEN_PARAMETERS::zeroed();
    open.Header = header(
        NDIS_OBJECT_TYPE_OPEN_PARAMETERS,
        NDIS_OPEN_PARAMETERS_REVISION_1,
        size_of::<NDIS_OPEN_PARAMETERS>(),
    );
    open.MediumArray = medium;
    open.MediumArraySize = 1;
    open.SelectedMediumIndex = lane.medium.get();
    open
}

/// A lane with an adapter opened, without a miniport.
fn only_open(
    bind_context: NDIS_HANDLE,
    parameters: *mut NDIS_BIND_PARAMETERS,
) -> Option<&'static Lane> {
    let lane = Lane::take()?;
    bind::learn(lane, parameters);
    let opened = ok(bind::configure(lane, parameters.cast()))
        && ok(bind::open(lane, bind_context, parameters));
    opened.then_some(lane)
}

/// Uses the binding's handle while its open pends; then goes on as it should.
fn use_early(
    bind_context: NDIS_HANDLE,
    parameters: *mut NDIS_BIND_PARAMETERS,
    early: fn(&Lane, NDIS_HANDLE),
) -> NDIS_STATUS {
    let Some(lane) = Lane::take() else {
        return NDIS_STATUS_RESOURCES;
    };
    bind::learn(lane, parameters);
    bind::configure(lane, parameters.cast());
    let mut medium = NdisMedium802_3;
    let mut open = open_parameters(lane, &mut medium);
    // SAFETY: (BND-9) inside the bind, whose parameters these are.
    unsafe { open.AdapterName = (*parameters).AdapterName };
    lane.begin();
    // SAFETY: (BND-1, BND-2) inside the bind; the lane is static, the parameters live until it
    // returns.
    let status = unsafe {
        NdisOpenAdapterEx(
            PROTOCOL.get(),
            lane.context(),
            &raw mut open,
            bind_context,
            lane.handle.get(),
        )
    };
    if status == NDIS_STATUS_PENDING {
        // SAFETY: (BND-3) NDIS has written it; what `early` does with it is the misdeed.
        early(lane, unsafe { lane.handle.get().read() });
    }
    lane.outcome(status);
    // SAFETY: (BND-3) the open is complete: NDIS has written it.
    lane.set_binding(unsafe { lane.handle.get().read() });
    lane.requests.open();
    miniport::ask_for(lane);
    NDIS_STATUS_SUCCESS
}

fn query_index(binding: NDIS_HANDLE) {
    let (null, luid) = (null_mut(), null_mut());
    // SAFETY: (IFS-3) PASSIVE_LEVEL; null means that the value is not wanted.
    unsafe { NdisIfQueryBindingIfIndex(binding, null, luid, null, luid) };
}

/// Memory of the driver's.
fn pool(bytes: usize) -> *mut u8 {
    const NON_PAGED: u64 = 0x40;
    // SAFETY: (MEM-1) PASSIVE_LEVEL, with a tag.
    unsafe { ExAllocatePool2(NON_PAGED, bytes, TAG).cast() }
}

/// The lane lies in pool, and goes before its binding.
fn bind_in_pool(bind_context: NDIS_HANDLE, parameters: *mut NDIS_BIND_PARAMETERS) -> NDIS_STATUS {
    let Some(taken) = Lane::take() else {
        return NDIS_STATUS_RESOURCES;
    };
    let copy = pool(size_of::<Lane>());
    if copy.is_null() {
        return NDIS_STATUS_RESOURCES;
    }
    // SAFETY: (BND-14) memory of a lane's size, not null, of pool and so aligned; nobody else has
    // either yet.
    let lane = unsafe {
        copy.copy_from_nonoverlapping(core::ptr::from_ref(taken).cast(), size_of::<Lane>());
        &*copy.cast::<Lane>()
    };
    bind::learn(lane, parameters);
    bind::configure(lane, parameters.cast());
    if !ok(bind::open(lane, bind_context, parameters)) {
        return NDIS_STATUS_FAILURE;
    }
    lane.requests.open();
    miniport::ask_for(lane);
    NDIS_STATUS_SUCCESS
}

fn unbind_from_pool(lane: &Lane, _: NDIS_HANDLE) -> NDIS_STATUS {
    miniport::withdraw(lane);
    bind::clean_up(lane);
    lane.requests.close();
    let binding = lane.binding();
    // SAFETY: (BND-14) broken on purpose: the lane was allocated by `bind_in_pool`; it goes
    // before NDIS is done with it.
    unsafe {
        ExFreePoolWithTag(core::ptr::from_ref(lane).cast_mut().cast(), TAG);
        NdisCloseAdapterEx(binding);
    }
    NDIS_STATUS_SUCCESS
}

/// Closes with a request out that is not waited for.
fn close_with_clone(lane: &Lane) {
    let binding = lane.binding();
    let own = requests::own(lane, OID_GEN_CURRENT_LOOKAHEAD, 128, 4);
    let mut clone = null_mut();
    lane.begin();
    // SAFETY: (UNB-5) broken on purpose: a request of the driver's own is out when the adapter is
    // closed; it is freed once it is back.
    unsafe {
        if ok(NdisAllocateCloneOidRequest(
            binding,
            own,
            TAG,
            &raw mut clone,
        )) {
            requests::set_original(clone, null_mut());
            NdisOidRequest(binding, clone);
        }
        let status = NdisCloseAdapterEx(binding);
        lane.outcome(status);
        NdisMSleep(1_000);
        if !clone.is_null() {
            NdisFreeCloneOidRequest(binding, clone);
        }
    }
}

/// Gives everything back by itself, outside an unbind.
fn close_by_itself(lane: &Lane) {
    miniport::withdraw(lane);
    bind::clean_up(lane);
    lane.requests.close();
    bind::close(lane);
    lane.set_binding(null_mut());
    lane.used.store(false, Ordering::Release);
}

/// Takes the first list off a chain.
fn take_first(lists: *mut NET_BUFFER_LIST) -> *mut NET_BUFFER_LIST {
    // SAFETY: (RCV-1) the lists are the driver's, and there is one.
    unsafe { core::mem::replace(&mut (*lists).Next, null_mut()) }
}

/// Keeps the first list that is not lent.
fn keep_received(lane: &Lane, lists: *mut NET_BUFFER_LIST, port: u32, count: u32, flags: u32) {
    let mut rest = lists;
    let mut count = count;
    if flags & NDIS_RECEIVE_FLAGS_RESOURCES == 0 && first_time() {
        rest = take_first(lists);
        keep(lists);
        count -= 1;
    }
    if !rest.is_null() {
        data::honest_receive(lane, rest, port, count, flags);
    }
}

/// Shows a list that was kept though the miniport halts, then gives it back.
fn show_in_halt(lane: &Lane, action: NDIS_HALT_ACTION) {
    let list = keep::<NET_BUFFER_LIST>(null_mut());
    if !list.is_null() && push(list, lane.miniport()) {
        let flags = NDIS_RECEIVE_FLAGS_RESOURCES;
        // SAFETY: (MPS-1) broken on purpose: the list is the driver's, kept since its receive; it
        // is lent, so it is back here.
        unsafe { NdisMIndicateReceiveNetBufferLists(lane.miniport(), list, 0, 1, flags) };
        pop(list);
        data::give_back(lane, list, false);
    }
    miniport::honest_halt(lane, action);
}

/// Runs later, at PASSIVE_LEVEL, in a work item that frees itself.
pub(crate) fn defer(routine: NDIS_IO_WORKITEM_FUNCTION, context: *const Lane) {
    // SAFETY: (MEM-5, MEM-6) the driver's handle; the routine frees the item, the lane is static.
    unsafe {
        let item = NdisAllocateIoWorkItem(DRIVER.get());
        if !item.is_null() {
            NdisQueueIoWorkItem(item, Some(routine), context.cast_mut().cast());
        }
    }
}

unsafe extern "efiapi" fn return_kept(context: PVOID, item: NDIS_HANDLE) {
    let list = keep::<NET_BUFFER_LIST>(null_mut());
    if !list.is_null() {
        data::give_back(Lane::of(context), list, false);
    }
    // SAFETY: (MEM-5) the item that this call came with.
    unsafe { NdisFreeIoWorkItem(item) };
}

/// Keeps for a while what comes though the binding is paused.
fn keep_when_paused(lane: &Lane, lists: *mut NET_BUFFER_LIST, port: u32, count: u32, flags: u32) {
    let paused = lane.gate.load(Ordering::SeqCst) & bit::BELOW != 0;
    if paused && flags & NDIS_RECEIVE_FLAGS_RESOURCES == 0 && count == 1 {
        keep(lists);
        return defer(return_kept, lane);
    }
    data::honest_receive(lane, lists, port, count, flags);
}

/// Keeps the last list before a pause; sends it when more come.
fn send_old(lane: &Lane, lists: *mut NET_BUFFER_LIST, port: u32, flags: u32) {
    let gate = lane.gate.load(Ordering::SeqCst);
    let paused = gate & bit::BELOW != 0;
    // SAFETY: (SND-1) the lists are the driver's until they are completed.
    let alone = unsafe { (*lists).Next.is_null() };
    if gate == 0 && alone && kept::<NET_BUFFER_LIST>().is_null() {
        if push(lists, lane.binding()) {
            keep(lists);
        } else {
            data::complete(lane, lists, NDIS_STATUS_RESOURCES, false);
        }
        return;
    }
    if paused {
        let old = keep::<NET_BUFFER_LIST>(null_mut());
        if !old.is_null() {
            lane.enter(1);
            // SAFETY: (PBS-1) broken on purpose: the list is the driver's and has its source
            // pushed; the binding is paused.
            unsafe { NdisSendNetBufferLists(lane.binding(), old, 0, 0) };
        }
    }
    data::honest_send(lane, lists, port, flags);
}

/// Keeps what came back for a reset until the next send.
fn keep_reset(lane: &Lane, lists: *mut NET_BUFFER_LIST, flags: u32) {
    // SAFETY: (SND-7) the lists are back from below and the driver's.
    let reset = unsafe { (*lists).Status == NDIS_STATUS_RESET_IN_PROGRESS };
    if reset && kept::<NET_BUFFER_LIST>().is_null() {
        keep(lists);
    } else {
        data::honest_sent(lane, lists, flags);
    }
}

fn send_after_reset(lane: &Lane, lists: *mut NET_BUFFER_LIST, port: u32, flags: u32) {
    let old = keep::<NET_BUFFER_LIST>(null_mut());
    if !old.is_null() {
        data::honest_sent(lane, old, 0);
    }
    data::honest_send(lane, lists, port, flags);
}

/// Changes the attributes and fails.
fn change_and_fail(lane: &Lane, parameters: *mut NDIS_MINIPORT_RESTART_PARAMETERS) -> NDIS_STATUS {
    // SAFETY: (MPS-8, MPS-7) the first broken on purpose: inside MiniportRestart, which owns the
    // parameters; the attributes are general ones.
    unsafe {
        let list = (*parameters).RestartAttributes;
        if list.is_null() || !first_time() {
            return miniport::honest_restart(lane, parameters);
        }
        let data = (&raw mut (*list).Data).cast::<NDIS_RESTART_GENERAL_ATTRIBUTES>();
        (*data).MtuSize = 1;
    }
    NDIS_STATUS_RESOURCES
}

/// Two lanes as members of a team: the one that has no miniport of its own lies below the
/// other's.
pub(super) fn join(lane: &Lane) {
    events::restart_binding(lane);
    let other = crate::lane::all().find(|other| !core::ptr::eq(*other, lane));
    if let Some(other) = other
        && lane.index.load(Ordering::SeqCst) == 0
        && lane.stacked_on.load(Ordering::SeqCst) == 0
    {
        let above = other.index.load(Ordering::SeqCst);
        lane.index.store(above, Ordering::SeqCst);
        miniport::stack(lane);
    }
}

/// The first lane of a team asks for the miniport.
pub(super) fn ask_once(lane: &Lane) {
    let mut others = crate::lane::all().filter(|other| !core::ptr::eq(*other, lane));
    let none = crate::lane::device::NONE;
    if others.all(|other| other.device.load(Ordering::SeqCst) == none) {
        miniport::ask_for(lane);
    }
}

/// Both go when the miniport does, or when one of them does.
pub(super) fn part(lane: &Lane) {
    for any in crate::lane::all() {
        if core::ptr::eq(any, lane) || any.miniport().is_null() {
            miniport::unstack(any);
            if !core::ptr::eq(any, lane) {
                any.index.store(0, Ordering::SeqCst);
            }
        }
    }
}

pub(super) fn leave_team(lane: &Lane) {
    if lane.miniport().is_null() {
        miniport::unstack(lane);
    }
    bind::clean_up(lane);
}

/// Shows the offload of the adapters.
fn show_offload(
    lane: &Lane,
    handle: NDIS_HANDLE,
    parameters: *mut NDIS_MINIPORT_INIT_PARAMETERS,
) -> NDIS_STATUS {
    let status = miniport::honest_initialize(lane, handle, parameters);
    if ok(status) {
        let mut offload = NDIS_OFFLOAD::zeroed();
        offload.Header = header(
            NDIS_OBJECT_TYPE_OFFLOAD,
            NDIS_OFFLOAD_REVISION_6,
            usize::from(NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_6),
        );
        let mut a = NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES::zeroed();
        a.Header = header(
            NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES,
            NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES_REVISION_1,
            size_of::<NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES>(),
        );
        a.DefaultOffloadConfiguration = &raw mut offload;
        a.HardwareOffloadCapabilities = &raw mut offload;
        miniport::set(handle, &raw mut a);
    }
    status
}

unsafe extern "efiapi" fn query_object(
    _: NDIS_HANDLE,
    _: NET_IF_OBJECT_ID,
    _: *mut u32,
    _: PVOID,
) -> NDIS_STATUS {
    NDIS_STATUS_NOT_SUPPORTED
}

unsafe extern "efiapi" fn set_object(
    _: NDIS_HANDLE,
    _: NET_IF_OBJECT_ID,
    _: u32,
    _: PVOID,
) -> NDIS_STATUS {
    NDIS_STATUS_NOT_SUPPORTED
}

fn register_provider(
    bind_context: NDIS_HANDLE,
    parameters: *mut NDIS_BIND_PARAMETERS,
) -> NDIS_STATUS {
    // SAFETY: (IFS-4) broken on purpose: integers, pointers and functions that may be zero; NDIS
    // copies them.
    unsafe {
        let mut c: NDIS_IF_PROVIDER_CHARACTERISTICS = core::mem::zeroed();
        c.Header = header(
            NDIS_OBJECT_TYPE_DEFAULT,
            1,
            size_of::<NDIS_IF_PROVIDER_CHARACTERISTICS>(),
        );
        c.QueryObjectHandler = Some(query_object);
        c.SetObjectHandler = Some(set_object);
        let mut handle = null_mut();
        NdisIfRegisterProvider(&raw mut c, null_mut(), &raw mut handle);
    }
    bind::honest_bind(bind_context, parameters)
}

misdeeds! {
    "BND-1" "stale-context" in "life"
    : "opens an adapter with the context of a bind that is over" =>
        Bind(|context, p| { keep(context); bind::honest_bind(context, p) }),
        RestartBinding(|lane| {
            let mut medium = NdisMedium802_3;
            let mut open = open_parameters(lane, &mut medium);
            let mut handle = null_mut();
            // SAFETY: (BND-1) broken on purpose: the context is of a bind that is over; all else
            // lives until it returns.
            unsafe {
                NdisOpenAdapterEx(PROTOCOL.get(), lane.context(), &raw mut open, kept(), &raw mut handle);
            }
            events::restart_binding(lane);
        });
    "BND-2" "no-media" in "bind": "opens with an empty array of media" =>
        Open(|open| open.MediumArraySize = 0);
    "BND-3" "early-handle" in "opens-later"
    : "uses the binding's handle before the open is complete" =>
        Bind(|context, p| use_early(context, p, |_, handle| query_index(handle)));
    "BND-4" "other-status" in "life!NdisOpenAdapterEx"
    : "ends a bind whose open failed with a status of its own" =>
        Bind(|context, p| {
            let status = bind::honest_bind(context, p);
            if ok(status) { status } else { NDIS_STATUS_FAILURE }
        });
    "BND-5" "completed-too" in "life": "completes a bind that it did not pend" =>
        Bind(|context, p| {
            let status = bind::honest_bind(context, p);
            // SAFETY: (BND-5) broken on purpose: the bind is not pending, its context is still
            // valid.
            unsafe { NdisCompleteBindAdapterEx(context, status) };
            status
        });
    "BND-6" "nothing-open" in "life": "succeeds a bind without opening the adapter" =>
        Bind(|_, _| NDIS_STATUS_SUCCESS);
    "BND-7" "early-request" in "opens-later": "sends a request before the open is complete" =>
        Bind(|context, p| use_early(context, p, |lane, handle| {
            let request = requests::own(lane, OID_GEN_CURRENT_LOOKAHEAD, 128, 4);
            // SAFETY: (BND-7) broken on purpose: the request lives in the lane, which is static.
            unsafe { NdisOidRequest(handle, request) };
        }));
    "BND-8" "left-open" in "life": "fails a bind and leaves the adapter open" =>
        Bind(|context, p| {
            only_open(context, p);
            NDIS_STATUS_FAILURE
        });
    "BND-9" "late-read" in "life": "reads the bind parameters after the bind" =>
        Bind(|context, p| { keep(p); bind::honest_bind(context, p) }),
        RestartBinding(|lane| {
            // SAFETY: (BND-9) broken on purpose: the pointer is one that the host gave; it is
            // dead now, and the host stops the read.
            let mtu = unsafe { (&raw const (*kept::<NDIS_BIND_PARAMETERS>()).MtuSize).read_volatile() };
            lane.scratch[0].store(mtu as usize, Ordering::SeqCst);
            events::restart_binding(lane);
        });
    "BND-10" "beyond" in "life": "reads beyond the end of the bind parameters" =>
        Bind(|context, p| {
            // SAFETY: (BND-10) broken on purpose: the host stops a read that lies behind the
            // structure, or gives the bytes there.
            let word = unsafe { p.add(1).cast::<u64>().add(4).read_volatile() };
            crate::lane::LANES[0].scratch[0].store(word as usize, Ordering::SeqCst);
            bind::honest_bind(context, p)
        });
    "BND-11" "hidden-power" in "wakes"
    : "shows no power capabilities though the adapter has some" =>
        General(|a| a.PowerManagementCapabilitiesEx = null_mut());
    "BND-12" "wrong-handle" in "life": "reads UpperBindings with the driver's handle" =>
        RestartBinding(|lane| {
            bind::configure(lane, DRIVER.get());
            events::restart_binding(lane);
        });
    "BND-13" "not-asked" in "life": "does not ask for the device in UpperBindings" =>
        Request(|_| ());
    "BND-14" "freed-context" in "opens-at-once"
    : "frees the context of a binding before it is closed" =>
        Bind(bind_in_pool),
        Unbind(unbind_from_pool);
    "BND-15" "enumerates" in "life": "asks for new bindings inside a bind" =>
        Bind(|context, p| {
            // SAFETY: (BND-15) broken on purpose: the driver's own protocol handle.
            unsafe { NdisReEnumerateProtocolBindings(PROTOCOL.get()) };
            bind::honest_bind(context, p)
        });
    "BND-16" "kept-name" in "life": "never frees the adapter's instance name" =>
        Bind(|context, p| {
            let mut name = crate::raw::counted(&[]);
            // SAFETY: (BND-16) broken on purpose: NDIS writes the string; the name is never
            // freed.
            unsafe { NdisQueryBindInstanceName(&raw mut name, context) };
            bind::honest_bind(context, p)
        });

    "UNB-1" "failed" in "life": "fails an unbind" =>
        Unbind(|lane, context| {
            bind::honest_unbind(lane, context);
            NDIS_STATUS_FAILURE
        });
    "UNB-2" "not-closed" in "life": "ends an unbind with the adapter open" =>
        Close(|_| ());
    "UNB-2" "too-early" in "opens-later": "ends an unbind before the close is complete" =>
        // SAFETY: (UNB-2) broken on purpose: the binding's own handle; nobody waits for the end.
        Close(|lane| unsafe { NdisCloseAdapterEx(lane.binding()); });
    "UNB-3" "by-itself" in "bind": "closes an adapter outside bind and unbind" =>
        RestartBinding(|lane| if first_time() { close_by_itself(lane); } else { events::restart_binding(lane) });
    "UNB-4" "filter-set" in "life": "leaves a packet filter set" =>
        CleanUp(|lane| { requests::set_own(lane, OID_GEN_CURRENT_PACKET_FILTER, 1, 4); });
    "UNB-5" "clone-out" in "opens-later": "closes the adapter with a clone of a request out" =>
        Close(close_with_clone);
    "UNB-6" "used-after" in "opens-later": "uses a binding's handle after it asked for the close" =>
        Close(|lane| {
            lane.begin();
            // SAFETY: (UNB-6) broken on purpose: the close itself is right; the handle is used
            // behind it.
            let status = unsafe { NdisCloseAdapterEx(lane.binding()) };
            query_index(lane.binding());
            lane.outcome(status);
        });
    "UNB-7" "wrong-order" in "life": "closes the adapter before it takes the miniport down" =>
        Unbind(|lane, _| {
            bind::clean_up(lane);
            lane.requests.close();
            bind::close(lane);
            lane.set_binding(null_mut());
            miniport::withdraw(lane);
            lane.used.store(false, Ordering::Release);
            NDIS_STATUS_SUCCESS
        });

    "PBS-1" "late-send" in "paused-traffic": "sends on a paused binding what came before the pause" =>
        Send(send_old);
    "PBS-2" "no-wait" in "held-pause": "ends the pause of a binding with sends out" =>
        PauseBinding(|lane| lane.shut(bit::BELOW));
    "PBS-3" "kept-back" in "many-pauses": "keeps for a while what comes on a paused binding" =>
        Receive(keep_when_paused);
    "PBS-4" "needs-buffer" in "restarts": "fails a restart that comes without a buffer" =>
        Event(|lane, n| {
            // SAFETY: (PNP-10) valid until the handler returns.
            let event = unsafe { &(*n).NetPnPEvent };
            if event.NetEvent == NetEventRestart && event.Buffer.is_null() && lane.is_some() {
                events::honest_event(lane, n);
                return NDIS_STATUS_FAILURE;
            }
            events::honest_event(lane, n)
        });
    "PBS-5" "asks-asleep" in "sleeps-below": "sends a request to a sleeping adapter" =>
        Oid(|lane, request| {
            lane.pass(bit::BELOW_ASLEEP);
            requests::honest_request(lane, request)
        });
    "PBS-6" "sends-on" in "paused-traffic": "sends on a paused binding what comes then" =>
        Send(|lane, lists, port, flags| {
            lane.pass(bit::BELOW);
            data::honest_send(lane, lists, port, flags);
        });

    "MPS-1" "in-halt" in "halt"
    implies ["HOST-DATA: the list that is kept carries a frame"]
    : "indicates a list while it is halted" =>
        Receive(keep_received),
        Halt(show_in_halt);
    "MPS-2" "failed" in "many-pauses": "fails a pause" =>
        Pause(|lane| {
            lane.shut(bit::ABOVE);
            NDIS_STATUS_FAILURE
        });
    "MPS-3" "no-wait" in "busy-pauses": "ends a pause with indications under way" =>
        Pause(|lane| {
            lane.shut(bit::ABOVE);
            NDIS_STATUS_SUCCESS
        });
    "MPS-4" "other-status" in "many-pauses": "refuses sends while paused with another status" =>
        Send(|lane, lists, port, flags| {
            if lane.gate.load(Ordering::SeqCst) & bit::ABOVE != 0 {
                lane.enter(i64::from(crate::raw::each(lists, |_| ())));
                return data::complete(lane, lists, NDIS_STATUS_FAILURE, false);
            }
            data::honest_send(lane, lists, port, flags);
        });
    "MPS-5" "indicates" in "paused-traffic": "indicates receives while paused" =>
        Receive(|lane, lists, port, count, flags| {
            lane.pass(bit::ABOVE);
            data::honest_receive(lane, lists, port, count, flags);
        });
    "MPS-6" "completes-too" in "life": "completes a pause that it did not pend" =>
        Pause(|lane| {
            // SAFETY: (MPS-6) broken on purpose: the lane's own miniport, which has not pended.
            unsafe { NdisMPauseComplete(lane.miniport()) };
            let status = miniport::honest_pause(lane);
            if status == NDIS_STATUS_PENDING {
                lane.drained.until(|| lane.out.load(Ordering::SeqCst) == 0);
            }
            NDIS_STATUS_SUCCESS
        });
    "MPS-7" "odd-status" in "life": "ends a restart with a status that is not allowed" =>
        Restart(|_, _| NDIS_STATUS_NOT_SUPPORTED);
    "MPS-8" "changed" in "restarts": "changes the restart attributes and fails the restart" =>
        Restart(change_and_fail);
    "MPS-9" "stays-shut" in "life"
    implies ["HOST-DATA: frames that are refused do not arrive"]
    : "refuses sends after a restart" =>
        Restart(|_, _| NDIS_STATUS_SUCCESS);
    "MPS-10" "reads-reason" in "old-pauses": "fails pauses that have another reason than usual" =>
        Pause(|lane| {
            if lane.scratch[3].load(Ordering::SeqCst) == NDIS_PAUSE_NDIS_INTERNAL as usize {
                return miniport::honest_pause(lane);
            }
            lane.shut(bit::ABOVE);
            NDIS_STATUS_FAILURE
        });

    "RST-1" "asks" in "life": "asks for a reset of its miniport" =>
        Restart(|lane, p| {
            // SAFETY: (RST-1) broken on purpose: the lane's own miniport; an intermediate driver
            // may not ask (MPR-5).
            unsafe { NdisMResetMiniport(lane.miniport()) };
            miniport::honest_restart(lane, p)
        });
    "RST-2" "goes-on" in "reset-receives": "indicates receives of an adapter that resets" =>
        Status(|lane, s| {
            // SAFETY: (STS-4) valid until the handler returns.
            if unsafe { (*s).StatusCode } != NDIS_STATUS_RESET_START {
                events::honest_status(lane, s);
            }
        });
    "RST-3" "forgets" in "long-reset": "keeps what came back for a reset" =>
        Sent(keep_reset),
        Send(send_after_reset);

    "IFS-1" "not-told" in "rest": "does not say what its miniport lies on" =>
        Stack(|_| true);
    "IFS-2" "not-withdrawn" in "life": "leaves its entries in the interface stack" =>
        Unstack(|_| ());
    "IFS-3" "cycle" in "life": "says that the adapter lies on the miniport, too" =>
        Stack(|lane| {
            let added = miniport::stack(lane);
            let (above, below) = (lane.index.load(Ordering::SeqCst), lane.facts().index);
            // SAFETY: (IFS-3) broken on purpose: indexes of registered interfaces, the wrong way
            // round.
            unsafe { NdisIfAddIfStackEntry(below, above) };
            added
        });
    "IFS-4" "left" in "life": "leaves an interface provider registered" =>
        Bind(register_provider);
    "IFS-5" "old-index" in "changes": "keeps its entry though something else lies below" =>
        Renew(|_, _| ());

    "LBF-1" "silent" in "team-wakes"
    implies ["UNB-7: the miniport goes with the adapter that brought it"]
    : "does not tell that a member cannot wake" =>
        Bind(|context, p| bind::bind_if(context, p, |_| true)),
        Request(ask_once), RestartBinding(join), Unstack(part), CleanUp(leave_team);
    "LBF-2" "silent" in "team-offload"
    implies ["UNB-7: the miniport goes with the adapter that brought it"]
    : "does not tell that a member offloads no more" =>
        Bind(|context, p| bind::bind_if(context, p, |_| true)), Initialize(show_offload),
        Request(ask_once), RestartBinding(join), Unstack(part), CleanUp(leave_team);
    "LBF-5" "sets-address" in "sets": "takes another address by a request" =>
        Oid(|lane, request| {
            if requests::oid(request) == OID_802_3_CURRENT_ADDRESS {
                return NDIS_STATUS_SUCCESS;
            }
            requests::honest_request(lane, request)
        });
    "LBF-6" "one-member" in "team"
    implies ["UNB-7: the miniport goes with the adapter that brought it"]
    : "sets a filter on one member only" =>
        Bind(|context, p| bind::bind_if(context, p, |_| true)),
        Request(ask_once), RestartBinding(join), Unstack(part), CleanUp(leave_team);
    "LBF-7" "goes-down" in "team-link"
    implies ["UNB-7: the miniport goes with the adapter that brought it"]
    : "goes down with one of two members" =>
        Bind(|context, p| bind::bind_if(context, p, |_| true)),
        Request(ask_once), RestartBinding(join), Unstack(part), CleanUp(leave_team);
    "LBF-8" "too-long" in "team-unequal": "shows an MTU that one member cannot serve" =>
        Bind(|context, p| bind::bind_if(context, p, |_| true)),
        Request(ask_once), RestartBinding(join), Unstack(part), CleanUp(leave_team);
}
