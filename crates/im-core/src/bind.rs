//! Binding to an adapter below and unbinding from it.
//!
//! Bind and unbind of one adapter do not overlap; those of different adapters
//! may. Both run at PASSIVE_LEVEL and wait for NDIS where an open or a close
//! pends (BND-3, UNB-2), so that each is one straight function with its undoing
//! beside it; bind parameters and configuration stay valid meanwhile (BND-9).

use crate::driver::Driver;
use crate::edges::Lower;
use crate::facts::Facts;
use crate::list::List;
use crate::names::plan;
use crate::own_request::{clean_up, interview};
use crate::settings::Registry;
use crate::state::LowerMove;
use crate::team::{self, Team, is_shared};
use crate::topology::{Notice, Topology};
use crate::{instance, log, sync};
use core::ptr::NonNull;
use core::sync::atomic::Ordering;
use im_control::{EventKind, MemberRefusal};
use ndis::config::Configuration;
use ndis::header::{Zeroed, header};
use ndis::memory::PoolBox;
use ndis::multi_sz::names;
use ndis::status::{check, status_of};
use ndis::string::wide;
use ndis::sys::{
    NDIS_BIND_PARAMETERS, NDIS_HANDLE, NDIS_OBJECT_TYPE_OPEN_PARAMETERS, NDIS_OPEN_PARAMETERS,
    NDIS_OPEN_PARAMETERS_REVISION_1, NDIS_STATUS, NDIS_STATUS_PENDING, NDIS_STATUS_SUCCESS,
    NdisCloseAdapterEx, NdisMedium802_3, NdisOpenAdapterEx,
};
use ndis::{Error, Result};

/// The list of a binding's miniports.
const UPPER_BINDINGS: [u16; 13] = wide(b"UpperBindings");
/// Where it goes on. NDIS hands a value over as a counted string, which holds 65,534
/// bytes: 697 names of the form `\Device\{GUID}`.
const MORE: [[u16; 14]; 8] = [
    wide(b"UpperBindings2"),
    wide(b"UpperBindings3"),
    wide(b"UpperBindings4"),
    wide(b"UpperBindings5"),
    wide(b"UpperBindings6"),
    wide(b"UpperBindings7"),
    wide(b"UpperBindings8"),
    wide(b"UpperBindings9"),
];

/// ProtocolBindAdapterEx. IRQL = PASSIVE_LEVEL. Synchronous: it never returns
/// PENDING, so nothing completes the bind a second time (BND-5).
pub(crate) unsafe extern "efiapi" fn bind<T: Topology>(
    _driver: NDIS_HANDLE,
    bind_context: NDIS_HANDLE,
    parameters: *mut NDIS_BIND_PARAMETERS,
) -> NDIS_STATUS {
    // SAFETY: (BND-9) the structure is valid until the bind ends, which is
    // when this returns.
    let bound = unsafe { try_bind::<T>(bind_context, parameters) };
    match bound {
        Ok(index) => T::notice(Notice::Bound(index)),
        Err(error) => {
            let status = error.status();
            T::driver().event(EventKind::BindFailed, 0, u64::from(status.0 as u32));
            T::notice(Notice::NotBound(status.0));
        }
    }
    status_of(bound.map(|_| ()))
}

/// # Safety
/// `parameters` is valid until the bind ends (BND-9).
unsafe fn try_bind<T: Topology>(
    bind_context: NDIS_HANDLE,
    parameters: *mut NDIS_BIND_PARAMETERS,
) -> Result<u32> {
    let driver = T::driver();
    // SAFETY: (BND-9, BND-2) the caller's promise.
    let (raw, upper_names) = unsafe { connect::<T>(bind_context, parameters) }?;
    // SAFETY: (BND-14) the binding is freed only by `destroy` below or unbind.
    let lower = unsafe { raw.as_ref() };
    let index = lower.if_index();
    let joined = driver.list(raw).and_then(|()| join(lower));
    let arrange = || arrange(lower, &upper_names, Unlisted::Stay);
    if let Err(error) = joined.and_then(|()| arrange()) {
        // BND-8: the driver closes inside the bind and waits for it.
        // SAFETY: (BND-14) nobody else has the binding once it is off the table.
        unsafe { destroy(raw) };
        return Err(error);
    }
    driver.event(EventKind::Bound, index, 0);
    Ok(index)
}

/// Makes a binding and opens its adapter; with the names of its miniports. Not
/// inlined: what it has on the stack is gone before miniports are asked for,
/// whose initialisation may run on top of the bind (VMI-3).
///
/// # Safety
/// As [`try_bind`].
#[inline(never)]
unsafe fn connect<T: Topology>(
    bind_context: NDIS_HANDLE,
    parameters: *mut NDIS_BIND_PARAMETERS,
) -> Result<(NonNull<Lower<T>>, List<u16>)> {
    let driver = T::driver();
    // SAFETY: (BND-9) the caller's promise.
    let facts = unsafe { Facts::read(parameters) }?;
    T::accepts(&facts)?;
    // SAFETY: (BND-12) before the open the bind parameters are the handle, and
    // they outlive the configuration, which is dropped below. Without it nobody
    // can say how the adapter is to be used: no defaults, no binding.
    let configuration = unsafe { Configuration::open(parameters.cast()) }?;
    let upper_names = read_names(&configuration);
    let registry = Registry {
        configuration: Some(configuration),
        device: &[],
    };
    let adapter = T::adapter(&facts, &registry).map_err(|refused| {
        driver.event(EventKind::BadSetting, facts.if_index, refused.value());
        Error::BadData
    })?;
    drop(registry); // CFG-1: closed before the adapter is opened
    let upper_names = upper_names.unwrap_or_else(|error| {
        // An adapter without miniports yet: NetEventReconfigure brings them.
        let status = u64::from(error.status().0 as u32);
        driver.event(EventKind::NoUpperBindings, facts.if_index, status);
        List::new()
    });

    // A shared miniport is the team: an adapter can be in one.
    let mut listed = names(&upper_names);
    let team_name = listed.next().unwrap_or(&[]);
    if is_shared::<T>() && listed.next().is_some() {
        let value = MemberRefusal::OtherTeam.code().into();
        driver.event(EventKind::MemberRefused, facts.if_index, value);
        return Err(Error::BadData);
    }
    let team = team::enlist(driver, team_name, facts.multicast)?;
    // SAFETY: (BND-9, BND-2) the caller's promise.
    let raw = unsafe { connect_to(team, bind_context, parameters, &facts, adapter) };
    if raw.is_err() {
        // SAFETY: (BND-14) enlisted above; nothing of the binding is left.
        unsafe { abandon(driver, team) };
    }
    Ok((raw?, upper_names))
}

/// Makes a binding and opens its adapter. The team is still to be left if this
/// fails.
///
/// # Safety
/// As [`try_bind`]; the team was enlisted in.
unsafe fn connect_to<T: Topology>(
    team: NonNull<Team<T>>,
    bind_context: NDIS_HANDLE,
    parameters: *const NDIS_BIND_PARAMETERS,
    facts: &Facts,
    adapter: T::Adapter,
) -> Result<NonNull<Lower<T>>> {
    // SAFETY: (BND-14) enlisted in, hence alive.
    let driver = unsafe { team.as_ref() }.driver;
    let lower = Lower::try_new(driver, team, facts, adapter)?;
    let mut lower = PoolBox::try_new(driver.pool(), lower)?;
    // SAFETY: (IRQ-9) in its box, which does not move it; not shared yet.
    unsafe { lower.init() };
    if !is_shared::<T>() {
        // A status may come before the open is over.
        let alone = lower.team().seat(&lower, None);
        alone.map_err(|_| Error::BadState)?;
    }
    // SAFETY: (BND-2, BND-3) the name lasts until the call returns, the rest is
    // in the box; BND-4: the box is freed if this fails.
    unsafe { open(&lower, bind_context, parameters) }?;
    lower.supported = interview(&lower);
    NonNull::new(lower.into_raw()).ok_or(Error::NoResources)
}

/// Leaves a team again that the binding never joined.
///
/// # Safety
/// The team was enlisted in, and is not used any more.
unsafe fn abandon<T: Topology>(driver: &Driver<T>, team: NonNull<Team<T>>) {
    // SAFETY: (BND-14) enlisted in, hence alive.
    let last = team::leave(unsafe { team.as_ref() }, |team| {
        let _setup = team.setup.lock();
        for upper in team.uppers() {
            instance::withdraw(&upper); // whoever made it has left since
        }
    });
    if last {
        // SAFETY: (BND-14) as above.
        unsafe { team.as_ref() }.desk.close();
    }
    // SAFETY: (BND-14) left; not touched any more.
    unsafe { team::disband(driver, team) };
}

/// Joins the binding's team: from now on the data path may use it.
fn join<T: Topology>(lower: &Lower<T>) -> Result<()> {
    if is_shared::<T>() {
        let fits = fits(lower).and_then(|()| {
            let wanted = T::slot(lower.adapter());
            lower.team().seat(lower, wanted)
        });
        fits.map_err(|refusal| {
            let (driver, index) = (lower.driver, lower.if_index());
            driver.event(EventKind::MemberRefused, index, refusal.code().into());
            log::of_binding(lower, EventKind::MemberRefused, refusal.code());
            Error::BadData
        })?;
    }
    sync::member_joined(lower)
}

/// Whether an adapter can be a member: it carries what the team's miniport has
/// promised, and is not that miniport itself.
fn fits<T: Topology>(lower: &Lower<T>) -> core::result::Result<(), MemberRefusal> {
    let facts = lower.facts();
    // What the miniport will show is what all members have in common.
    let alike = || {
        let others = lower.team().facts();
        others.map_or(Ok(()), |others| T::is_alike(&others, &facts))
    };
    let Some(upper) = lower.team().upper_at(0) else {
        return alike();
    };
    let Some(_inside) = upper.handlers.enter() else {
        return alike();
    };
    if facts.if_index != 0 && facts.if_index == upper.if_index.load(Ordering::Relaxed) {
        return Err(MemberRefusal::Loop);
    }
    let shown = *upper.shown.lock();
    match (upper.port(), shown) {
        (Some(port), Some(shown)) => T::accepts_member(port, &shown, &facts),
        _ => alike(),
    }
}

/// What becomes of miniports that are not listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unlisted {
    /// Nothing.
    Stay,
    /// They are withdrawn and freed (VMI-1, CAN-1).
    Go,
}

/// Brings a binding's miniports in line with the names in UpperBindings: takes
/// away those that are not listed, creates those that are not there (BND-13),
/// asks NDIS for all that are halted. Fails only if there were names and not one
/// could be used. One at a time per binding; IRQL = PASSIVE_LEVEL.
pub(crate) fn arrange<T: Topology>(
    lower: &Lower<T>,
    units: &[u16],
    unlisted: Unlisted,
) -> Result<()> {
    let team = lower.team();
    let mut setup = team.setup.lock();
    // Nobody comes or goes while `setup` is held: there is room for all.
    let mut there = List::with_room(team.upper_count())?;
    let mut present = List::with_room(team.upper_count())?;
    for upper in team.uppers() {
        let upper = NonNull::from(&*upper);
        let _room = there.push(upper);
        // SAFETY: (VMI-4) on the list, and `setup` is held.
        let _room = present.push(&*unsafe { upper.as_ref() }.name);
    }
    let plan = plan(units, &present)?;
    drop(present);
    if plan.doubled != 0 {
        let doubled = plan.doubled.into();
        lower
            .driver
            .event(EventKind::DoubledNames, lower.if_index(), doubled);
    }
    if unlisted == Unlisted::Go {
        let mut gone = List::with_room(plan.gone.len())?;
        for upper in plan.gone.iter().filter_map(|index| there.get(*index)) {
            let _room = gone.push(*upper);
        }
        instance::remove_all(team, &mut setup, &gone)?;
    }
    let (mut left_out, mut usable) = (0_u32, 0_u32);
    let mut first_error = None;
    for listed in &*plan.listed {
        if let Some(upper) = listed.found.and_then(|index| there.get(index)) {
            // SAFETY: (VMI-4) on the list, and `setup` is held.
            let upper = unsafe { upper.as_ref() };
            upper.position.store(listed.position, Ordering::Relaxed);
            usable += 1;
            continue;
        }
        match instance::create(team, &mut setup, listed.name, listed.position) {
            Ok(true) => usable += 1,
            Ok(false) => left_out += 1,
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    if left_out > 0 {
        let (driver, index) = (lower.driver, lower.if_index());
        driver.event(EventKind::TooManyMiniports, index, left_out.into());
        log::of_binding(lower, EventKind::TooManyMiniports, left_out);
    }
    if let (0, Some(error)) = (usable, first_error) {
        return Err(error);
    }
    if lower.driver.is_associated() {
        instance::request_all(team);
    }
    Ok(())
}

/// Asks for the miniports of a binding that came before the two halves of the
/// driver were associated (ASC-1).
pub(crate) fn request_all<T: Topology>(lower: &Lower<T>) {
    let _setup = lower.team().setup.lock();
    instance::request_all(lower.team());
}

/// The names in UpperBindings, and in the values that it goes on in as long as there are
/// names in the one before, as one list in memory of our own (CFG-2).
pub(crate) fn read_names(configuration: &Configuration<'_>) -> Result<List<u16>> {
    let mut values = [&[][..]; 1 + MORE.len()];
    let mut last = configuration.multi_string(&UPPER_BINDINGS)?;
    let mut more = MORE.iter();
    for value in &mut values {
        *value = last;
        if names(last).next().is_none() {
            break;
        }
        last = match more.next().map(|name| configuration.multi_string(name)) {
            Some(Ok(units)) => units,
            // Half a list would take the other half's miniports away.
            Some(Err(Error::NoResources)) => return Err(Error::NoResources),
            None | Some(Err(_)) => break,
        };
    }
    let listed = || values.iter().flat_map(|units| names(units));
    let room = listed().map(|name| name.len().saturating_add(1)).sum();
    let mut copy = List::with_room(room)?;
    for unit in listed().flat_map(|name| name.iter().chain(&[0])) {
        let _room = copy.push(*unit);
    }
    Ok(copy)
}

/// Opens the adapter and waits until the open is complete.
///
/// # Safety
/// The parameters are those of the bind under way; `lower` does not move.
unsafe fn open<T: Topology>(
    lower: &Lower<T>,
    bind_context: NDIS_HANDLE,
    parameters: *const NDIS_BIND_PARAMETERS,
) -> Result<()> {
    lower.step(LowerMove::Open)?;
    let mut media = [NdisMedium802_3];
    let mut open = NDIS_OPEN_PARAMETERS::zeroed();
    open.Header = header(
        NDIS_OBJECT_TYPE_OPEN_PARAMETERS,
        NDIS_OPEN_PARAMETERS_REVISION_1,
        size_of::<NDIS_OPEN_PARAMETERS>(),
    );
    // SAFETY: (BND-2) read just now as valid; the name is part of the bind.
    open.AdapterName = unsafe { (*parameters).AdapterName };
    open.MediumArray = media.as_mut_ptr();
    open.MediumArraySize = media.len() as u32;
    open.SelectedMediumIndex = lower.medium_index.as_ptr();
    let context: NDIS_HANDLE = core::ptr::from_ref(lower).cast_mut().cast();
    // SAFETY: (BND-1) inside ProtocolBindAdapterEx, with its context; storage
    // for handle and index lives in the binding (BND-3).
    let mut status = unsafe {
        NdisOpenAdapterEx(
            lower.driver.protocol_handle(),
            context,
            &raw mut open,
            bind_context,
            lower.handle_storage(),
        )
    };
    if status == NDIS_STATUS_PENDING {
        lower.opened.wait();
        status = NDIS_STATUS(lower.open_status.load(Ordering::Acquire));
    }
    if let Err(error) = check(status) {
        lower.step(LowerMove::OpenFailed)?; // BND-4
        return Err(error);
    }
    lower.step(LowerMove::Opened)?;
    lower.requests.open(); // BND-7, PBS-5
    lower.return_early();
    Ok(())
}

/// ProtocolOpenAdapterCompleteEx. IRQL = PASSIVE_LEVEL. The bind waits.
pub(crate) unsafe extern "efiapi" fn open_complete<T: Topology>(
    context: NDIS_HANDLE,
    status: NDIS_STATUS,
) {
    // SAFETY: (BND-14) the context of an open that is under way.
    let lower = unsafe { &*context.cast::<Lower<T>>() };
    lower.open_status.store(status.0, Ordering::Release);
    lower.opened.set(); // last: the bind goes on and may free the binding
}

/// ProtocolUnbindAdapterEx. IRQL = PASSIVE_LEVEL. Synchronous and unable to
/// fail (UNB-1); NDIS has paused the binding.
pub(crate) unsafe extern "efiapi" fn unbind<T: Topology>(
    _unbind_context: NDIS_HANDLE,
    context: NDIS_HANDLE,
) -> NDIS_STATUS {
    let Some(raw) = NonNull::new(context.cast::<Lower<T>>()) else {
        return NDIS_STATUS_SUCCESS;
    };
    // SAFETY: (BND-14) the binding lives until `destroy` has closed it.
    let index = unsafe { raw.as_ref() }.if_index();
    // SAFETY: (BND-14) NDIS unbinds a binding once.
    unsafe { destroy(raw) };
    T::driver().event(EventKind::Unbound, index, 0);
    T::notice(Notice::Unbound(index));
    NDIS_STATUS_SUCCESS
}

/// Takes an open binding down: miniports first (UNB-7), then the adapter, then
/// the memory.
///
/// # Safety
/// The binding is open, nobody else takes it down, and it is not used after.
unsafe fn destroy<T: Topology>(raw: NonNull<Lower<T>>) {
    // SAFETY: (BND-14) alive until the end of this function.
    let lower = unsafe { raw.as_ref() };
    let (driver, team) = (lower.driver, NonNull::from(lower.team()));
    {
        let mut bindings = driver.bindings.lock();
        bindings.retain(|entry| entry != raw);
    }
    lower.users.close_and_wait();
    let last = team::leave(lower.team(), |team| {
        team.desk.stop_renewing();
        let _setup = team.setup.lock();
        for upper in team.uppers() {
            instance::withdraw(&upper); // CAN-1, UNB-7
        }
    });
    sync::member_leaves(lower);
    if last {
        lower.team().desk.close(); // MEM-5: no request waits any more
    }
    lower.team().unseat(lower);
    lower.visitors.close_and_wait();
    clean_up(lower); // UNB-4
    lower.requests.close_and_wait(); // UNB-5, OID-17
    close(lower); // UNB-2
    // Closed: NDIS calls nothing on this binding any more, and of the last one the
    // miniports are halted (HLT-4).
    // SAFETY: (BND-14) came from a box; nobody uses it any more.
    drop(unsafe { PoolBox::from_raw(raw) });
    // SAFETY: (BND-14) left above.
    unsafe { team::disband(driver, team) };
}

/// Closes the adapter and waits until the close is complete (UNB-2, UNB-3).
fn close<T: Topology>(lower: &Lower<T>) {
    // A move that is not in the table is reported and does not stop us: an
    // unbind cannot fail (UNB-1).
    let _closing = lower.step(LowerMove::Close);
    // SAFETY: (UNB-3, UNB-5) inside bind or unbind; nothing of ours is
    // outstanding on the binding.
    let status = unsafe { NdisCloseAdapterEx(lower.handle().0) };
    if status == NDIS_STATUS_PENDING {
        lower.closed.wait();
    }
    let _closed = lower.step(LowerMove::Closed);
}

/// ProtocolCloseAdapterCompleteEx. IRQL = PASSIVE_LEVEL. The unbind waits.
pub(crate) unsafe extern "efiapi" fn close_complete<T: Topology>(context: NDIS_HANDLE) {
    // SAFETY: (BND-14) the binding lives until the close is complete.
    unsafe { &*context.cast::<Lower<T>>() }.closed.set(); // last use
}
