//! What makes one driver differ from another: constants and pure decisions.
//!
//! The 1:1 driver answers most of them with the tables of this crate. The trait
//! speaks of indexes, facts and verdicts only, so that an implementation can be
//! tested on any host.

use crate::attributes::Shown;
use crate::data::DataPath;
use crate::data::teamed::Slot;
use crate::driver::Driver;
use crate::facts::{Facts, Link};
use crate::merge::{Merged, Wish};
use crate::oid_table::{Below, Rule};
use crate::settings::{Refused, Values};
use crate::status_table::StatusRule;
use ethernet::Mac;
use im_control::MemberRefusal;
use ndis::Result;
use ndis::memory::Tag;
use ndis::oid::Facts as Asked;
use ndis::sys::{
    NDIS_MINIPORT_DRIVER_CHARACTERISTICS, NDIS_OID, NDIS_PROTOCOL_DRIVER_CHARACTERISTICS,
    NDIS_STATUS,
};

/// Names and numbers of a driver.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// The service name, which is the protocol's name too (PTR-3), in UTF-16.
    pub service: &'static [u16],
    /// Name of the control device.
    pub device: &'static [u16],
    /// Its symbolic link.
    pub link: &'static [u16],
    /// Driver version.
    pub major: u8,
    /// Driver version.
    pub minor: u8,
    /// Pool tag of everything the driver allocates (MEM-1).
    pub tag: Tag,
}

/// What a driver may want to say in the debugger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// DriverEntry succeeded; the registered NDIS version.
    Loaded(u8, u8),
    /// DriverEntry failed with this status.
    NotLoaded(i32),
    /// The driver is about to go; how many chains were lost.
    Unloaded(usize),
    /// An adapter was bound; its interface index.
    Bound(u32),
    /// A bind failed with this status.
    NotBound(i32),
    /// An adapter was unbound; its interface index.
    Unbound(u32),
}

/// A shape: which virtual miniports stand on which adapters.
pub trait Topology: Sized + Send + Sync + 'static {
    /// Names and numbers.
    const IDENTITY: Identity;

    /// How many virtual miniports one adapter may carry; `usize::MAX`: any
    /// number.
    const UPPERS_PER_LOWER: usize;

    /// How many adapters one virtual miniport may stand on. With more than one, the
    /// adapters whose UpperBindings list the same miniport are its team.
    const LOWERS_PER_UPPER: usize = 1;

    /// What the topology keeps about an adapter: made by the bind, gone with
    /// the binding.
    type Adapter: Send + Sync;

    /// What the topology keeps about a virtual miniport: made when it is
    /// initialised, gone when it is halted.
    type Port: Send + Sync;

    /// How lists travel: [`crate::data::Straight`] where one miniport stands on
    /// one adapter.
    type Data: DataPath<Self>;

    /// The driver's one static.
    fn driver() -> &'static Driver<Self>;

    /// Says something in the debugger. IRQL = PASSIVE_LEVEL.
    fn notice(notice: Notice);

    /// Whether an adapter with these facts can be used.
    fn accepts(facts: &Facts) -> Result<()>;

    /// Reads what the registry says about an adapter. Inside the bind,
    /// IRQL = PASSIVE_LEVEL.
    fn adapter(facts: &Facts, values: &dyn Values) -> core::result::Result<Self::Adapter, Refused>;

    /// Reads what the registry says about a virtual miniport. `position` is its
    /// place in UpperBindings. Inside MiniportInitializeEx,
    /// IRQL = PASSIVE_LEVEL; a refusal leaves this miniport out, and no other.
    /// Without a single adapter `adapter` is that of the first member, and `facts`
    /// is what all of them have in common.
    fn port(
        adapter: &Self::Adapter,
        facts: &Facts,
        position: u32,
        values: &dyn Values,
    ) -> core::result::Result<Self::Port, Refused>;

    /// What many adapters have in common, which is what their miniport has to live
    /// with (LBF-8); each comes with its settings. None: there is no adapter. Pure;
    /// IRQL <= DISPATCH_LEVEL.
    fn fold<'a>(members: &mut dyn Iterator<Item = (&'a Self::Adapter, Facts)>) -> Option<Facts>
    where
        Self::Adapter: 'a,
    {
        members.next().map(|(_, facts)| facts)
    }

    /// Whether an adapter is of the kind that those of a team are, which have this in
    /// common, as long as their miniport has not shown anything yet. Pure;
    /// IRQL = PASSIVE_LEVEL.
    fn is_alike(_team: &Facts, _adapter: &Facts) -> core::result::Result<(), MemberRefusal> {
        Ok(())
    }

    /// Whether an adapter may join the team of a miniport that shows this already.
    /// Pure; IRQL = PASSIVE_LEVEL.
    fn accepts_member(
        _port: &Self::Port,
        _shown: &Shown,
        _adapter: &Facts,
    ) -> core::result::Result<(), MemberRefusal> {
        Ok(())
    }

    /// The place in the team that an adapter's settings ask for.
    fn slot(_adapter: &Self::Adapter) -> Option<Slot> {
        None
    }

    /// What no two virtual miniports of an adapter may have in common: the
    /// second one with an equal key is refused. `None`: nothing.
    fn key(port: &Self::Port) -> Option<u64>;

    /// The setting that an equal key is blamed on.
    const KEY_SETTING: u8 = 0;

    /// What a virtual miniport shows of the adapter below (ATR-*).
    fn shown(adapter: &Self::Adapter, facts: &Facts, port: &Self::Port) -> Shown;

    /// What all virtual miniports of an adapter together ask it for (OID-25).
    /// `wishes` are those of every initialised miniport, in no order; `groups`
    /// is as long as the adapter's multicast list, and gets what the answer
    /// counts. Pure; IRQL = PASSIVE_LEVEL. Asked only where a request is merged.
    fn merge<'a>(
        _adapter: &Self::Adapter,
        _facts: &Facts,
        _wishes: &mut dyn Iterator<Item = Wish<'a, Self::Port>>,
        _groups: &mut [Mac],
    ) -> Merged
    where
        Self::Port: 'a,
    {
        Merged::default()
    }

    /// The link that a virtual miniport shows while the adapter has this one.
    /// Pure; IRQL <= DISPATCH_LEVEL.
    fn link(_port: &Self::Port, below: Link) -> Link {
        below
    }

    /// The VLAN that a virtual miniport stands in, for showing; zero: none.
    fn vlan_id(_port: &Self::Port) -> u16 {
        0
    }

    /// Whether a virtual miniport's address is the adapter's, or derived from
    /// it: it is initialised anew when that changes.
    fn follows_mac(_adapter: &Self::Adapter, _port: &Self::Port) -> bool {
        false
    }

    /// OIDs that are answered whatever the adapter has (ATR-10); those of the
    /// adapter that are not refused come on top.
    fn own_oids() -> &'static [NDIS_OID] {
        if Self::UPPERS_PER_LOWER == 1 {
            &[]
        } else {
            crate::oid_many::OWN
        }
    }

    /// What becomes of an OID request from above.
    fn request_rule(asked: Asked, below: Below) -> Rule;

    /// What becomes of a status indication from below.
    fn status_rule(code: NDIS_STATUS, below: Below) -> StatusRule;

    /// Adds to or replaces handlers of the upper edge before they are
    /// registered (MPR-9). A topology that needs no handler of its own leaves
    /// them as they are.
    fn miniport_handlers(_handlers: &mut NDIS_MINIPORT_DRIVER_CHARACTERISTICS) {}

    /// The same for the lower edge.
    fn protocol_handlers(_handlers: &mut NDIS_PROTOCOL_DRIVER_CHARACTERISTICS) {}
}
