//! The control device: read-only, for administrators, gone before the driver.
//!
//! Requests come at PASSIVE_LEVEL, any number at once, beside everything else.
//! They read counters and copies of state; a binding that is looked at is kept
//! by its run-down, never by a lock. The wire format is `im_control`'s: one
//! code, METHOD_BUFFERED, every length checked there.

use crate::data::DataPath;
use crate::driver::Driver;
use crate::edges::{Lower, Upper};
use crate::flow::Slot;
use crate::oid_table::Rule;
use crate::status::link_of;
use crate::topology::Topology;
use core::sync::atomic::Ordering;
use ethernet::Mac;
use im_control::{
    BucketRecord, Counter, CounterRecord, DropReason, DropRecord, EventRecord, IOCTL_QUERY, Kind,
    LacpCounterRecord, LacpRecord, MemberDropRecord, MemberRecord, NAME_UNITS, PortRecord, Record,
    ReplyWriter, Request as Query, RequestRecord, TeamRecord, VersionRecord,
};
use ndis::Result;
use ndis::device::{Device, MajorFunctions, Request};
use ndis::oid::{Facts, Kind as OidKind};
use ndis::string::wide;
use ndis::sys::{
    DEVICE_OBJECT, IRP, IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE, IRP_MJ_DEVICE_CONTROL,
    NDIS_OID, NTSTATUS, STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_DEVICE_REQUEST,
    STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
};

/// System and administrators, everything; nobody else, nothing.
const ADMINISTRATORS_ONLY: [u16; 27] = wide(b"D:P(A;;GA;;;SY)(A;;GA;;;BA)");

/// Makes the control device. IRQL = PASSIVE_LEVEL.
pub(crate) fn register<T: Topology>(driver: &Driver<T>) -> Result<Device> {
    let mut routines: MajorFunctions = [None; ndis::device::MAJOR_FUNCTIONS];
    for major in [IRP_MJ_CREATE, IRP_MJ_CLEANUP, IRP_MJ_CLOSE] {
        if let Some(routine) = routines.get_mut(major as usize) {
            *routine = Some(open_or_close);
        }
    }
    if let Some(routine) = routines.get_mut(IRP_MJ_DEVICE_CONTROL as usize) {
        *routine = Some(control::<T>);
    }
    // SAFETY: (UNI-2) the miniport half is registered; the routines are part of
    // the image, and the device goes before it does.
    unsafe {
        Device::register(
            driver.miniport_handle(),
            T::IDENTITY.device,
            T::IDENTITY.link,
            &ADMINISTRATORS_ONLY,
            &mut routines,
        )
    }
}

/// IRP_MJ_CREATE, IRP_MJ_CLEANUP, IRP_MJ_CLOSE. IRQL = PASSIVE_LEVEL. Who may
/// open was decided by the device's security descriptor.
unsafe extern "efiapi" fn open_or_close(_device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: (UNI-2) the request that this routine was given.
    unsafe { Request::adopt(irp) }.complete(STATUS_SUCCESS, 0)
}

/// IRP_MJ_DEVICE_CONTROL. IRQL = PASSIVE_LEVEL.
unsafe extern "efiapi" fn control<T: Topology>(
    _device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
) -> NTSTATUS {
    // SAFETY: (UNI-2) the request that this routine was given.
    let mut request = unsafe { Request::adopt(irp) };
    // SAFETY: (OID-11 in spirit) a device control request; the code is looked
    // at before the buffer, and ours is METHOD_BUFFERED.
    let code = unsafe { request.code() };
    if code != IOCTL_QUERY {
        return request.complete(STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    // SAFETY: (OID-11 in spirit) a device control request with a buffered code.
    let answered = match unsafe { request.control() } {
        Some(control) => {
            // Input and output share the buffer: read first.
            let query = control.buffer.get(..control.input).map(Query::parse);
            match (query, control.buffer.get_mut(..control.output)) {
                (Some(Ok(query)), Some(output)) => {
                    answer::<T>(query, output).ok_or(STATUS_BUFFER_TOO_SMALL)
                }
                _ => Err(STATUS_INVALID_PARAMETER),
            }
        }
        None => Err(STATUS_INVALID_PARAMETER),
    };
    match answered {
        Ok(bytes) => request.complete(STATUS_SUCCESS, bytes),
        Err(status) => request.complete(status, 0),
    }
}

/// Writes the answer; `None` if not even its head has room.
fn answer<T: Topology>(query: Query, output: &mut [u8]) -> Option<usize> {
    let driver = T::driver();
    let writer = match query.kind {
        Kind::Version => {
            let mut writer = ReplyWriter::new::<VersionRecord>(query.kind, output)?;
            let (ndis, system_ndis) = driver.versions();
            let bindings = driver.bindings.lock().len() as u32;
            writer.push(&VersionRecord {
                driver_major: T::IDENTITY.major.into(),
                driver_minor: T::IDENTITY.minor.into(),
                ndis,
                system_ndis,
                bindings,
                lost_chains: ndis::nbl::lost() as u32,
            });
            writer
        }
        Kind::Ports => {
            let mut writer = ReplyWriter::new::<PortRecord>(query.kind, output)?;
            each_port(driver, |index, lower, upper| {
                writer.push(&port(index, lower, upper));
            });
            writer
        }
        Kind::Counters => {
            let mut writer = ReplyWriter::new::<CounterRecord>(query.kind, output)?;
            at_port(driver, query.index, |_, upper| {
                for (counter, value) in Counter::ALL.iter().zip(counters(upper)) {
                    writer.push(&CounterRecord {
                        id: counter.code(),
                        value,
                    });
                }
            });
            writer
        }
        Kind::Drops => {
            let mut writer = ReplyWriter::new::<DropRecord>(query.kind, output)?;
            at_port(driver, query.index, |_, upper| {
                for reason in DropReason::ALL {
                    let lists = upper.path.drops(*reason);
                    writer.push(&DropRecord {
                        id: reason.code(),
                        lists,
                    });
                }
            });
            writer
        }
        Kind::Events => {
            let mut writer = ReplyWriter::new::<EventRecord>(query.kind, output)?;
            for index in 0..crate::events::CAPACITY {
                // One at a time, so that the lock is held for a copy only.
                let event = driver.events.lock().get(index);
                match event {
                    Some(event) => writer.push(&event),
                    None => break,
                }
            }
            writer
        }
        Kind::Requests => {
            let mut writer = ReplyWriter::new::<RequestRecord>(query.kind, output)?;
            at_port(driver, query.index, |lower, _| {
                let below = lower.team().below();
                let own = T::own_oids();
                let others = lower.supported.iter().flat_map(|list| list.iter());
                let others = others.filter(|oid| !own.contains(&NDIS_OID(**oid)));
                for oid in own.iter().map(|oid| &oid.0).chain(others) {
                    let rule = |kind| -> Rule {
                        T::request_rule(
                            Facts {
                                oid: NDIS_OID(*oid),
                                kind,
                                length: 0,
                            },
                            below,
                        )
                    };
                    writer.push(&RequestRecord {
                        oid: *oid,
                        query: rule(OidKind::Query).code().code(),
                        set: rule(OidKind::Set).code().code(),
                        method: rule(OidKind::Method).code().code(),
                    });
                }
            });
            writer
        }
        Kind::Teams => {
            let mut writer = ReplyWriter::new::<TeamRecord>(query.kind, output)?;
            each_port(driver, |index, _, upper| {
                T::Data::show(index, upper, query.kind, &mut writer);
            });
            writer
        }
        Kind::Members => of_team::<T, MemberRecord>(query, output)?,
        Kind::Lacp => of_team::<T, LacpRecord>(query, output)?,
        Kind::LacpCounters => of_team::<T, LacpCounterRecord>(query, output)?,
        Kind::Buckets => of_team::<T, BucketRecord>(query, output)?,
        Kind::MemberDrops => of_team::<T, MemberDropRecord>(query, output)?,
    };
    Some(writer.finish())
}

/// What the data path shows of the team of the virtual miniport with an index.
fn of_team<T: Topology, R: Record>(query: Query, output: &mut [u8]) -> Option<ReplyWriter<'_>> {
    let mut writer = ReplyWriter::new::<R>(query.kind, output)?;
    at_port(T::driver(), query.index, |_, upper| {
        T::Data::show(query.index, upper, query.kind, &mut writer);
    });
    Some(writer)
}

/// Whether a binding is the one under which its team's miniports are shown: the
/// first of its members.
fn speaks<T: Topology>(lower: &Lower<T>) -> bool {
    let first = lower.team().members().next();
    first.is_some_and(|first| core::ptr::eq(&raw const *first, lower))
}

/// Visits every virtual miniport of every team.
fn each_port<T: Topology>(driver: &Driver<T>, mut visit: impl FnMut(u32, &Lower<T>, &Upper<T>)) {
    let mut index = 0_u32;
    driver.each_binding(|lower| {
        if !speaks(lower) {
            return;
        }
        for upper in lower.uppers() {
            visit(index, lower, &upper);
            index = index.wrapping_add(1);
        }
    });
}

/// Visits the virtual miniport with an index, if there is one: the bindings are
/// counted through, the miniports of a binding are not.
fn at_port<T: Topology>(
    driver: &Driver<T>,
    wanted: u32,
    mut visit: impl FnMut(&Lower<T>, &Upper<T>),
) {
    let mut place = Some(wanted as usize);
    driver.each_binding(|lower| {
        let Some(here) = place else { return };
        if !speaks(lower) {
            return;
        }
        if let Some(upper) = lower.team().upper_at(here) {
            place = None;
            visit(lower, &upper);
        } else {
            place = here.checked_sub(lower.team().upper_count());
        }
    });
}

fn port<T: Topology>(index: u32, lower: &Lower<T>, upper: &Upper<T>) -> PortRecord {
    let mut name = [0; NAME_UNITS];
    for (to, from) in name.iter_mut().zip(upper.name.iter()) {
        *to = *from;
    }
    let (link, lower_if_index) = {
        let facts = lower.facts.lock();
        (facts.link, facts.if_index)
    };
    // What the topology knows is there while the handlers are.
    let seen = upper.handlers.enter().map_or((0, 0), |_inside| {
        let vlan = upper.port().map_or(0, T::vlan_id);
        (u32::from(vlan), link_of(upper).connect as u32)
    });
    PortRecord {
        index,
        upper_state: upper.state().code(),
        lower_state: lower.state().code(),
        upper_if_index: upper.if_index.load(Ordering::Relaxed),
        lower_if_index,
        link: link.connect as u32,
        upper_power: upper.power.load(Ordering::Relaxed) as u32,
        lower_power: lower.power.load(Ordering::Relaxed) as u32,
        xmit_speed: link.xmit,
        rcv_speed: link.rcv,
        name,
        vlan: seen.0,
        filter: upper.filter.load(Ordering::Relaxed),
        mac: upper
            .shown(|shown| Mac::from_slice(&shown.mac))
            .flatten()
            .map_or(0, Mac::number),
        shown_link: seen.1,
        position: upper.position.load(Ordering::Relaxed),
    }
}

/// The counters in the order of [`Counter::ALL`].
fn counters<T: Topology>(upper: &Upper<T>) -> [u64; Counter::COUNT] {
    let sum = |read: fn(&Slot) -> u64| -> u64 {
        upper.path.flow.iter().map(read).fold(0, u64::wrapping_add)
    };
    [
        sum(|slot| slot.sent.read()[0]),
        sum(|slot| slot.sent.read()[1]),
        sum(|slot| slot.sent.read()[2]),
        sum(|slot| slot.received.read()[0]),
        sum(|slot| slot.received.read()[1]),
        sum(|slot| slot.received.read()[2]),
        sum(|slot| slot.allocations.load(Ordering::Relaxed)),
        upper.path.outstanding(),
    ]
}
