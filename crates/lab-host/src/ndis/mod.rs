//! The NDIS part: what `ndis.sys` exports, and the state behind it.
//!
//! One lock guards [`Ndis`]; it is taken for bookkeeping only and never held while the
//! driver runs or a task waits.

mod attributes;
pub(crate) mod bare;
mod binding;
mod characteristics;
mod configuration;
mod device;
mod early;
mod filter;
mod frames;
mod halt;
mod handed;
mod history;
mod instance;
mod interface;
mod judge;
pub mod ledger;
mod leftover;
mod lifecycle;
pub(crate) mod list;
mod lost;
mod memory;
mod nbl;
pub mod nic;
mod objects;
mod obsolete;
pub mod oid;
mod older;
mod options;
mod outstanding;
mod pnp;
mod port;
mod power;
mod queue;
mod receive;
mod registration;
mod reset;
mod send;
mod serving;
mod stack;
mod status;
pub mod tag;
mod tasks;
mod timer;
pub mod upper;
mod version;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::api::Api;
use crate::handle::{HandleError, Handles, Kind};
use crate::host::Host;

pub use attributes::MiniportFacts;
pub use bare::{BenchPass, BenchPort, HopCost, PortsBench, TeamBench};
pub use binding::BindRequest;
pub use configuration::Value;
pub use device::{ControlError, ControlReply};
pub use instance::InstanceStart;
pub use judge::Breach;
pub use ledger::Owner;
pub use list::FrameList;
pub use nic::{Assist, Medium, Nic, NicConfig, NicMix, Split};
pub use oid::{OidCall, OidKind, OidReply};
pub use outstanding::Outstanding;
pub use registration::Role;
pub use tag::Tag;
pub use tasks::Tasks;
pub use upper::{Upper, UpperConfig, UpperTap};

/// Name, for drivers that were registered.
pub(crate) type Name = String;

/// A registered miniport edge.
#[derive(Clone)]
pub(crate) struct MiniportDriver {
    pub(crate) chars: ndis_sys::NDIS_MINIPORT_DRIVER_CHARACTERISTICS,
    pub(crate) context: u64,
    pub(crate) driver_object: u64,
    pub(crate) protocol: Option<u64>,
}

/// A registered protocol edge.
#[derive(Clone)]
pub(crate) struct ProtocolDriver {
    pub(crate) chars: ndis_sys::NDIS_PROTOCOL_DRIVER_CHARACTERISTICS,
    pub(crate) context: u64,
    pub(crate) name: Name,
    /// Of the driver whose `DriverEntry` registered it.
    pub(crate) driver_object: u64,
}

/// States of either edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EdgeState {
    /// Not there yet.
    Initializing,
    /// No data.
    Paused,
    /// On the way up.
    Restarting,
    /// Data flows.
    Running,
    /// On the way down.
    Pausing,
    /// On the way out.
    Closing,
}

/// State of the NDIS part.
#[derive(Default)]
pub(crate) struct Ndis {
    pub(crate) handles: Handles,
    pub(crate) drivers: BTreeMap<u64, MiniportDriver>,
    pub(crate) protocols: BTreeMap<u64, ProtocolDriver>,
    pub(crate) binds: BTreeMap<u64, binding::Bind>,
    pub(crate) bindings: BTreeMap<u64, binding::Binding>,
    pub(crate) unbinds: BTreeMap<u64, Option<i32>>,
    /// Bindings whose unbind is under way, and the devices they served.
    pub(crate) leaving: BTreeMap<u64, Vec<String>>,
    pub(crate) instances: BTreeMap<String, instance::Instance>,
    /// Requests for instances so far.
    pub(crate) tickets: u64,
    /// Devices the driver asked for, in order; emptied by whoever wants to know.
    pub(crate) asked: Vec<String>,
    pub(crate) miniports: BTreeMap<u64, instance::Miniport>,
    pub(crate) configurations: BTreeMap<u64, configuration::Configuration>,
    pub(crate) pools: BTreeMap<u64, nbl::Pool>,
    pub(crate) buffer_pools: BTreeMap<u64, nbl::BufferPool>,
    /// NET_BUFFERs that were allocated on their own.
    pub(crate) singles: BTreeMap<u64, nbl::Single>,
    /// Memory that an XxxSetOptions allocated.
    pub(crate) options: BTreeSet<u64>,
    /// Contexts of devices whose request was cancelled.
    pub(crate) cancelled: BTreeSet<u64>,
    /// MDLs of `NdisAllocateMdl` and the handle they were made with.
    pub(crate) mdls: BTreeMap<u64, u64>,
    pub(crate) work_items: BTreeMap<u64, objects::WorkItem>,
    pub(crate) timers: BTreeMap<u64, timer::Timer>,
    pub(crate) rw_locks: BTreeMap<u64, objects::RwLock>,
    pub(crate) devices: BTreeMap<u64, device::Device>,
    /// Device objects of miniports that asked for them: below it, and its own.
    pub(crate) miniport_devices: BTreeMap<u64, [u64; 2]>,
    /// Ports beside the default ones: miniport and number.
    pub(crate) miniport_ports: BTreeSet<(u64, u32)>,
    pub(crate) stack_entries: BTreeSet<(u32, u32)>,
    pub(crate) interfaces: interface::Interfaces,
    pub(crate) judge: judge::Judge,
    pub(crate) ledger: ledger::Ledger,
    pub(crate) pnp: BTreeMap<u64, Option<i32>>,
    /// Calls of `NdisReEnumerateProtocolBindings`.
    pub(crate) enumerations: u64,
    pub(crate) propagated: pnp::Propagated,
    pub(crate) oids: oid::Requests,
    pub(crate) nics: Vec<Nic>,
    pub(crate) uppers: Vec<Upper>,
    /// Devices by which frames go.
    pub(crate) ports: Vec<frames::Port>,
    /// Protocols by the device they want.
    pub(crate) upper_devices: BTreeMap<String, Vec<usize>>,
    pub(crate) queue: queue::Queue,
    /// Of the driver whose `DriverEntry` ran last.
    pub(crate) driver_object: u64,
    /// What it was given beside.
    pub(crate) registry_path: u64,
    /// Binds inside the registration.
    pub(crate) early: early::Early,
    /// Structures and edges of registrations.
    pub(crate) registered: characteristics::Registered,
    /// Its service.
    pub(crate) service: String,
    /// What it is to the others.
    pub(crate) role: registration::Role,
    /// Drivers whose `DriverEntry` succeeded: service and driver object.
    pub(crate) loaded: Vec<(String, u64)>,
    /// What the host says it is, when that is not what it was made with.
    pub(crate) version: Option<(u8, u8)>,
}

impl Host {
    /// Runs `f` on the NDIS part's state.
    pub(crate) fn ndis<R>(&self, f: impl FnOnce(&mut Ndis) -> R) -> R {
        f(&mut self
            .ndis
            .lock()
            .expect("the NDIS part's lock is never held by a task that died"))
    }

    /// Checks a handle the driver passed; reports and returns false when it is bad.
    pub(crate) fn check(&self, what: &str, handle: u64, kind: Kind) -> bool {
        let checked: Result<(), HandleError> = self.ndis(|n| n.handles.check(handle, kind));
        match checked {
            Ok(()) => {
                if kind == Kind::Binding {
                    self.not_closed(handle);
                }
                true
            }
            Err(error) => {
                match self.rule_of_handle(kind, error) {
                    Some(rule) => self.violate(
                        rule,
                        format!("{}: {what} {handle:#x} {error}", self.import()),
                    ),
                    None => self.bad_handle(what, handle, error),
                }
                false
            }
        }
    }
}

/// Functions of this part.
pub(crate) fn exports() -> Vec<Api> {
    let mut all = attributes::exports();
    for part in [
        binding::exports(),
        configuration::exports(),
        device::exports(),
        instance::exports(),
        interface::exports(),
        lifecycle::exports(),
        memory::exports(),
        nbl::exports(),
        objects::exports(),
        obsolete::exports(),
        older::exports(),
        oid::exports(),
        pnp::exports(),
        port::exports(),
        receive::exports(),
        registration::exports(),
        reset::exports(),
        send::exports(),
        status::exports(),
        timer::exports(),
    ] {
        all.extend(part);
    }
    all
}
