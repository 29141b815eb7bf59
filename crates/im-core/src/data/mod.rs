//! How lists travel between the edges of a driver.
//!
//! A topology names its data path; the handlers that NDIS calls are thin shells
//! around it, made once per driver, so that an image holds only the path it
//! uses.

mod common;
pub mod fanout;
mod hold;
mod straight;
pub mod teamed;

pub use fanout::{Fanout, Switch};
pub use straight::Straight;
pub use teamed::Teamed;

use crate::edges::{Lower, Upper};
use crate::gate::Gate;
use crate::pause::{drain_miniports, give_up_held};
use crate::status::show_link;
use crate::topology::Topology;
use ethernet::Mac;
use im_control::{DropReason, Kind, ReplyWriter};
use ndis::Result;
use ndis::memory::Pool;
use ndis::nbl::{Chain, FromAbove, FromBelow, Lent};
use ndis::sys::{NDIS_HANDLE, NDIS_RECEIVE_FLAGS_RESOURCES, NET_BUFFER_LIST, PVOID};

/// What moves lists. Every method at IRQL <= DISPATCH_LEVEL, any number at once,
/// unless it says otherwise.
pub trait DataPath<T: Topology>: Sized + 'static {
    /// What the data path keeps about a team.
    type Team: Send + Sync;

    /// What the data path keeps about a binding.
    type Binding: Send + Sync;

    /// What it keeps about a virtual miniport.
    type Miniport: Send + Sync;

    /// Makes what it keeps about a team; [`DataPath::init_team`] follows.
    fn team(pool: Pool) -> Result<Self::Team>;

    /// Initialises in place what needs a fixed address.
    ///
    /// # Safety
    /// The team has its final address and is not shared yet.
    unsafe fn init_team(_team: &Self::Team) {}

    /// Makes what it keeps about a binding; [`DataPath::init`] follows.
    fn binding(pool: Pool) -> Result<Self::Binding>;

    /// Makes what it keeps about a miniport.
    fn miniport(pool: Pool) -> Result<Self::Miniport>;

    /// Initialises in place what needs a fixed address.
    ///
    /// # Safety
    /// The binding has its final address and is not shared yet.
    unsafe fn init(binding: &Self::Binding);

    /// Lists from a protocol above, ours until they are completed (SND-1).
    fn send(upper: &Upper<T>, chain: Chain<FromAbove>, port: u32, flags: u32);

    /// Lists that the adapter below is done with (SND-8).
    fn sent(lower: &Lower<T>, chain: Chain<FromAbove>, flags: u32);

    /// A cancel from above (SND-13).
    fn cancel(upper: &Upper<T>, id: PVOID);

    /// Lists from the adapter below, ours until they are returned (RCV-1).
    fn receive(lower: &Lower<T>, chain: Chain<FromBelow>, port: u32, count: u32, flags: u32);

    /// Lists that the adapter below lends for the time of the call (RCV-2).
    fn lent(lower: &Lower<T>, lent: Lent<'_>, port: u32, count: u32, flags: u32);

    /// Lists that the protocols above are done with (RCV-7).
    fn returned(upper: &Upper<T>, chain: Chain<FromBelow>, flags: u32);

    /// Visits the gate of every path that uses a binding, whose `core` is held.
    fn gates(lower: &Lower<T>, visit: &mut dyn FnMut(&Gate)) {
        let core = lower.team().core.lock();
        for upper in core.uppers.iter() {
            // SAFETY: (VMI-4) on the list, hence alive.
            visit(unsafe { &upper.as_ref().path.gate });
        }
    }

    /// NetEventPause: the gates are closed; waits until nothing is outstanding on
    /// the binding (PBS-2). IRQL = PASSIVE_LEVEL.
    fn drain(lower: &Lower<T>) {
        drain_miniports(lower);
    }

    /// NetEventRestart: counts by processor again, before the gates open.
    /// IRQL = PASSIVE_LEVEL.
    fn resume(lower: &Lower<T>) {
        for upper in lower.uppers() {
            upper.path.resume();
        }
    }

    /// The adapter's reset ended: what was held goes on (RST-3).
    fn end_reset(lower: &Lower<T>);

    /// The adapter fell asleep: nothing waits for it (PWR-4).
    fn slept(lower: &Lower<T>) {
        for upper in lower.uppers() {
            give_up_held(&upper);
        }
    }

    /// Link, power, state, address or facts of a binding changed.
    fn changed(lower: &Lower<T>) {
        for upper in lower.uppers() {
            show_link(&upper);
        }
    }

    /// A binding joined its team: it is open, and may be used as soon as its gate
    /// opens. IRQL = PASSIVE_LEVEL; [`DataPath::left`] follows also if it fails.
    fn joined(_lower: &Lower<T>) -> Result<()> {
        Ok(())
    }

    /// A binding is about to be paused: where there are others, its flows move to
    /// them in order, as long as it can still send. IRQL = PASSIVE_LEVEL.
    fn leaving(_lower: &Lower<T>) {}

    /// A binding leaves its team: when this returns, nobody is about to use it.
    /// IRQL = PASSIVE_LEVEL.
    fn left(_lower: &Lower<T>) {}

    /// A miniport has its settings and address. Inside MiniportInitializeEx, before
    /// [`DataPath::publish`]; [`DataPath::stopped`] follows also if it fails.
    fn started(_upper: &Upper<T>, _mac: Mac) -> Result<()> {
        Ok(())
    }

    /// A miniport is being halted, and was withdrawn; its settings go next.
    /// IRQL = PASSIVE_LEVEL.
    fn stopped(_upper: &Upper<T>) {}

    /// What is held cannot wait any longer: it is refused (RST-3).
    fn release_held(upper: &Upper<T>);

    /// Keeps the multicast list of a miniport, for the next
    /// [`DataPath::publish`]. False: it is longer than can be kept.
    /// IRQL <= DISPATCH_LEVEL.
    fn set_multicast(upper: &Upper<T>, list: &[Mac]) -> bool;

    /// Frames and bytes of a miniport by kind of address, if the data path
    /// counts them. IRQL <= DISPATCH_LEVEL.
    fn traffic(upper: &Upper<T>) -> Option<Traffic>;

    /// Frames from below that no miniport got, for a reason. Any IRQL.
    fn drops(lower: &Lower<T>, reason: DropReason) -> u64;

    /// A miniport was initialised, or its filter, addresses or multicast list
    /// changed: from now on it gets what it asks for. IRQL = PASSIVE_LEVEL, one
    /// call per binding at a time.
    fn publish(upper: &Upper<T>) -> Result<()>;

    /// A miniport goes: it gets nothing any more, and when this returns no
    /// processor is about to give it anything. Unable to fail.
    /// IRQL = PASSIVE_LEVEL, one call per binding at a time.
    fn withdraw(upper: &Upper<T>);

    /// Writes what the control device shows of a miniport's team, if the data path
    /// knows teams. IRQL = PASSIVE_LEVEL, and the miniport is held.
    fn show(_index: u32, _upper: &Upper<T>, _kind: Kind, _writer: &mut ReplyWriter<'_>) {}

    /// Whether nobody looks at a miniport any more when [`DataPath::withdraw`]
    /// has returned, so that it can be freed while the binding lives. Else it is
    /// kept until the adapter is closed.
    const WITHDRAW_WAITS: bool = true;
}

/// Frames and bytes, each to one station, to groups, to everybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    /// Frames.
    pub frames: [u64; 3],
    /// Bytes in them.
    pub bytes: [u64; 3],
}

/// What went through a miniport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Handed to the adapter below or to other miniports.
    pub sent: Kinds,
    /// Shown to the protocols above.
    pub received: Kinds,
}

/// MiniportSendNetBufferLists. IRQL <= DISPATCH_LEVEL.
pub(crate) unsafe extern "efiapi" fn on_send<T: Topology>(
    context: NDIS_HANDLE,
    lists: *mut NET_BUFFER_LIST,
    port: u32,
    flags: u32,
) {
    // SAFETY: (VMI-4) the MiniportAdapterContext.
    let upper = unsafe { &*context.cast::<Upper<T>>() };
    // SAFETY: (SND-1) ours from here on.
    let chain = unsafe { Chain::adopt(lists) };
    T::Data::send(upper, chain, port, flags);
}

/// ProtocolSendNetBufferListsComplete. IRQL <= DISPATCH_LEVEL.
pub(crate) unsafe extern "efiapi" fn on_sent<T: Topology>(
    context: NDIS_HANDLE,
    lists: *mut NET_BUFFER_LIST,
    flags: u32,
) {
    // SAFETY: (BND-14) the ProtocolBindingContext.
    let lower = unsafe { &*context.cast::<Lower<T>>() };
    // SAFETY: (SND-8) ours again.
    let chain = unsafe { Chain::adopt(lists) };
    T::Data::sent(lower, chain, flags);
}

/// MiniportCancelSend. IRQL <= DISPATCH_LEVEL.
pub(crate) unsafe extern "efiapi" fn on_cancel<T: Topology>(context: NDIS_HANDLE, id: PVOID) {
    // SAFETY: (VMI-4) the MiniportAdapterContext.
    let upper = unsafe { &*context.cast::<Upper<T>>() };
    T::Data::cancel(upper, id);
}

/// ProtocolReceiveNetBufferLists. IRQL <= DISPATCH_LEVEL.
pub(crate) unsafe extern "efiapi" fn on_receive<T: Topology>(
    context: NDIS_HANDLE,
    lists: *mut NET_BUFFER_LIST,
    port: u32,
    count: u32,
    flags: u32,
) {
    // SAFETY: (BND-14) the ProtocolBindingContext.
    let lower = unsafe { &*context.cast::<Lower<T>>() };
    if flags & NDIS_RECEIVE_FLAGS_RESOURCES != 0 {
        // SAFETY: (RCV-2) ours until this handler returns, and given back by it.
        let lent = unsafe { Lent::borrow(lists) };
        T::Data::lent(lower, lent, port, count, flags);
    } else {
        // SAFETY: (RCV-1) ours until they are returned.
        let chain = unsafe { Chain::adopt(lists) };
        T::Data::receive(lower, chain, port, count, flags);
    }
}

/// MiniportReturnNetBufferLists. IRQL <= DISPATCH_LEVEL.
pub(crate) unsafe extern "efiapi" fn on_returned<T: Topology>(
    context: NDIS_HANDLE,
    lists: *mut NET_BUFFER_LIST,
    flags: u32,
) {
    // SAFETY: (VMI-4) the MiniportAdapterContext.
    let upper = unsafe { &*context.cast::<Upper<T>>() };
    // SAFETY: (RCV-7) ours again.
    let chain = unsafe { Chain::adopt(lists) };
    T::Data::returned(upper, chain, flags);
}
