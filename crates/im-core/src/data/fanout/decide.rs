//! What a topology with many virtual miniports on an adapter decides, as plain
//! values: the data path carries it out.
//!
//! A topology is asked per frame at IRQL <= DISPATCH_LEVEL on any processor; it
//! takes no lock, allocates nothing and changes nothing. Groups are built at
//! PASSIVE_LEVEL and never change afterwards.

use super::Fanout;
use crate::edges::Upper;
use crate::topology::Topology;
use core::fmt;
use core::ptr::NonNull;
use ethernet::{Header, Mac, OutOfBand, Tag, Vlan};
use im_control::DropReason;
use ndis::Result;
use ndis::sys::NDIS_STATUS;

/// A frame, as far as decisions look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its header.
    pub header: Header,
    /// Bytes of the whole frame.
    pub length: u32,
    /// The word beside the list that it came in.
    pub beside: OutOfBand,
}

/// A virtual miniport, to be kept in groups and handed back; nothing else can be
/// done with it. Valid as long as the group that it is in can be read.
pub struct PortRef<T: Topology>(pub(super) NonNull<Upper<T>>);

impl<T: Topology> Clone for PortRef<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Topology> Copy for PortRef<T> {}

impl<T: Topology> PartialEq for PortRef<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T: Topology> Eq for PortRef<T> {}

impl<T: Topology> fmt::Debug for PortRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// SAFETY: (VMI-9) a name for a miniport that all processors share anyway; what
// it leads to is synchronised by type.
unsafe impl<T: Topology> Send for PortRef<T> {}
// SAFETY: (VMI-9) as above.
unsafe impl<T: Topology> Sync for PortRef<T> {}

/// What a group is built from.
pub struct PortView<'a, T: Topology> {
    /// What stands for the miniport in the group.
    pub at: PortRef<T>,
    /// What the topology keeps about it.
    pub port: &'a T::Port,
    /// Its packet filter, zero before one was set (RCV-14).
    pub filter: u32,
    /// Its multicast list.
    pub multicast: &'a [Mac],
}

impl<T: Topology> Clone for PortView<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Topology> Copy for PortView<'_, T> {}

/// Where a received frame's outer tag is, and what to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strip {
    /// The frame goes up as it is, and so does the word beside it.
    Keep,
    /// The tag is beside the frame (or there is none): the word is replaced by
    /// what [`Switch::above`] makes of it.
    Beside(Tag),
    /// The frame begins with a customer tag: it is taken out, and the word
    /// beside it becomes what [`Switch::above`] makes of it.
    InFrame(Tag),
}

/// Who gets a frame: all of `targets` but `except`, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery<'g, P> {
    /// The miniports; a part of the group, so that frames for the same ones are
    /// recognised by its place.
    pub targets: &'g [P],
    /// One of them that does not get it: who sent it.
    pub except: Option<P>,
}

/// How a frame leaves through the adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Egress {
    /// As it is, with the word beside it as it is.
    AsIs,
    /// With this tag, in place of a customer tag that the frame begins with or
    /// of a word beside it.
    Tagged(Tag),
}

/// What becomes of a frame from a virtual miniport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route<'g, P> {
    /// The list that it is in is completed with the status.
    Refuse(NDIS_STATUS, DropReason),
    /// It goes to the adapter.
    Down(Egress),
    /// It goes to other virtual miniports only.
    Local(Strip, Delivery<'g, P>),
    /// Both.
    Both(Egress, Strip, Delivery<'g, P>),
}

/// How closely sends of a virtual miniport must be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Chains go down whole, unseen.
    No,
    /// Every frame's header decides.
    Header,
    /// Every frame's header and the port's group decide.
    Group,
}

/// A topology with many virtual miniports on an adapter.
pub trait Switch: Topology<Data = Fanout> {
    /// Who gets what within one VLAN; number 0 is for frames without.
    type Group: Send + Sync;

    /// The VLAN that a miniport stands in.
    fn vlan(port: &Self::Port) -> Vlan;

    /// Whether it is a member of the group of untagged frames too.
    fn takes_untagged(port: &Self::Port) -> bool;

    /// Builds the group of a VLAN from all of its members, at least one.
    /// IRQL = PASSIVE_LEVEL; memory may run out.
    fn build(
        adapter: &Self::Adapter,
        vlan: Vlan,
        members: &[PortView<'_, Self>],
    ) -> Result<Self::Group>;

    /// Which VLAN a received frame belongs to, and what becomes of its tag.
    fn arrival(
        adapter: &Self::Adapter,
        frame: &Frame,
    ) -> core::result::Result<(Vlan, Strip), DropReason>;

    /// Who gets a received frame.
    fn receive<'g>(
        adapter: &Self::Adapter,
        group: &'g Self::Group,
        frame: &Frame,
    ) -> core::result::Result<Delivery<'g, PortRef<Self>>, DropReason>;

    /// What a miniport is shown beside a frame whose tag was this one: its
    /// priority, no VLAN.
    fn above(port: &Self::Port, tag: Tag) -> Tag;

    /// How closely the sends of a miniport must be looked at.
    fn look(adapter: &Self::Adapter, port: &Self::Port) -> Look;

    /// What becomes of a frame that a miniport sends. The group is that of its
    /// VLAN, where [`Switch::look`] asked for it.
    fn send<'g>(
        adapter: &Self::Adapter,
        port: &Self::Port,
        at: PortRef<Self>,
        group: Option<&'g Self::Group>,
        frame: &Frame,
    ) -> Route<'g, PortRef<Self>>;

    /// Whether the adapter takes tags beside the frames
    /// (NDIS_MAC_OPTION_8021Q_VLAN, and no setting against it).
    fn tags_beside(adapter: &Self::Adapter) -> bool;

    /// How many of the adapter's lists a miniport may hold before it is only
    /// lent more of them.
    fn share(port: &Self::Port) -> u32;
}
