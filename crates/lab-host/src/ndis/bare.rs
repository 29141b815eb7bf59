//! Bare thunks: the data path without checks, for benchmarks.
//!
//! A bare image has its data-path imports bound to these functions. They do what any NDIS must
//! do to a chain (walk it, set or read a field of each list) and nothing else. The same
//! functions joined without a driver are the path it is measured against, so that nothing has
//! to be subtracted.
//!
//! One processor, DISPATCH_LEVEL, no switching: a benchmark runs alone.

mod copies;
mod ports;
mod team;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ndis_sys::{NDIS_RECEIVE_FLAGS_RESOURCES, NDIS_STATUS_SUCCESS, NET_BUFFER_LIST_CONTEXT};

use super::list::{FrameList, Shape, at, link};
use crate::api::{Api, host};
use crate::handle::{Handles, Kind};
use crate::host::Host;
use crate::vp::DISPATCH;

pub use ports::{BenchPass, BenchPort, PortsBench};
pub use team::TeamBench;

/// What the bare functions need to find.
#[derive(Default)]
pub(crate) struct Bare {
    send_complete: Cell<u64>,
    returned: Cell<u64>,
    /// Context of each miniport and binding, by the slot of its handle.
    contexts: RefCell<Vec<u64>>,
    /// Blocks for copies of lists, that are free.
    copies: RefCell<Vec<u64>>,
    /// When a pass began whose time the driver sees go by, and how long those before took.
    pass: Cell<Option<Instant>>,
    passes: Cell<Duration>,
    /// Lists that each binding took, by the slot of its handle.
    took: RefCell<Vec<u64>>,
    /// Context areas made for lists without room: how many there are, and which.
    grown: Cell<u64>,
    /// How often that was so.
    grows: Cell<u64>,
    blocks: RefCell<BTreeMap<u64, Box<[u128]>>>,
    /// Lists that reached the other end.
    arrived: Cell<u64>,
    /// Lists that came back to where they started.
    back: Cell<u64>,
}

// SAFETY: used by the one thread that runs a benchmark.
unsafe impl Sync for Bare {}

impl Bare {
    /// Whether an image uses them, so that the ledger sees nothing of its lists.
    pub(crate) fn in_use(&self) -> bool {
        !self.contexts.borrow().is_empty()
    }

    /// A context area in front of one without room. No list of a measurement needs that, but
    /// what a protocol sends while it is bound may.
    fn grow(
        &self,
        next: *mut NET_BUFFER_LIST_CONTEXT,
        size: u16,
        backfill: u16,
    ) -> *mut NET_BUFFER_LIST_CONTEXT {
        let room = size.saturating_add(backfill);
        let words = (size_of::<NET_BUFFER_LIST_CONTEXT>() + usize::from(room)).div_ceil(16);
        let mut block = vec![0_u128; words].into_boxed_slice();
        let context = block.as_mut_ptr().cast::<NET_BUFFER_LIST_CONTEXT>();
        // SAFETY: the block is zeroed, aligned and larger than the structure.
        unsafe {
            (*context).Next = next;
            (*context).Size = room;
            (*context).Offset = backfill;
        }
        self.grown.set(self.grown.get() + 1);
        self.grows.set(self.grows.get() + 1);
        self.blocks.borrow_mut().insert(context as u64, block);
        context
    }

    /// The area behind one that [`Self::grow`] made and that is empty again; itself if it is
    /// the list's own.
    fn shrink(&self, context: *mut NET_BUFFER_LIST_CONTEXT) -> *mut NET_BUFFER_LIST_CONTEXT {
        if !self.blocks.borrow().contains_key(&(context as u64)) {
            return context;
        }
        // SAFETY: the block lives until it is removed below.
        let next = unsafe { (*context).Next };
        self.blocks.borrow_mut().remove(&(context as u64));
        self.grown.set(self.grown.get() - 1);
        next
    }

    /// Notes the context of a miniport or a binding.
    fn set_context(&self, handle: u64, context: u64) {
        let slot = Handles::slot(handle);
        let mut contexts = self.contexts.borrow_mut();
        if contexts.len() <= slot {
            contexts.resize(slot + 1, 0);
            self.took.borrow_mut().resize(slot + 1, 0);
        }
        contexts[slot] = context;
    }

    /// The context of a miniport or a binding, found as NDIS finds it: straight from the
    /// handle. None of one that is not measured.
    fn context(&self, handle: u64) -> Option<u64> {
        let contexts = self.contexts.borrow();
        let context = contexts.get(Handles::slot(handle)).copied();
        context.filter(|&context| context != 0)
    }

    /// Counts what a binding took.
    fn count(&self, binding: u64, lists: u64) {
        self.arrived.set(self.arrived.get() + lists);
        if let Some(took) = self.took.borrow_mut().get_mut(Handles::slot(binding)) {
            *took += lists;
        }
    }

    /// Real time that measured passes took so far.
    fn spent(&self) -> Duration {
        let now = self
            .pass
            .get()
            .map_or(Duration::ZERO, |begun| begun.elapsed());
        self.passes.get() + now
    }
}

/// Cost of one kind of crossing.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct HopCost {
    /// Lists in a chain.
    pub batch: u64,
    /// Receive path (else send).
    pub receive: bool,
    /// Nanoseconds for each list through the driver and back.
    pub with: f64,
    /// The same path without the driver.
    pub without: f64,
}

/// Lists in the working set: more than a cache holds.
const LISTS: u64 = 4096;
const FRAME: usize = 1514;

fn next(list: u64) -> u64 {
    // SAFETY: a list of the benchmark, mapped for the driver.
    unsafe { ((list + at!(NET_BUFFER_LIST.Next)) as *const u64).read() }
}

/// The NIC takes a chain: it looks at each buffer and sets each status.
fn nic_takes(first: u64) -> u64 {
    let mut list = first;
    let mut count = 0;
    while list != 0 {
        // SAFETY: a list of the benchmark, mapped for the driver.
        unsafe {
            let buffer = ((list + at!(NET_BUFFER_LIST.FirstNetBuffer)) as *const u64).read();
            let length = ((buffer + at!(NET_BUFFER.DataLength)) as *const u32).read_volatile();
            std::hint::black_box(length);
            ((list + at!(NET_BUFFER_LIST.Status)) as *mut i32).write(NDIS_STATUS_SUCCESS.0);
        }
        count += 1;
        list = next(list);
    }
    count
}

/// The protocol takes a chain: it looks at each buffer.
fn protocol_takes(first: u64) -> u64 {
    let mut list = first;
    let mut count = 0;
    while list != 0 {
        // SAFETY: a list of the benchmark, mapped for the driver.
        unsafe {
            let buffer = ((list + at!(NET_BUFFER_LIST.FirstNetBuffer)) as *const u64).read();
            std::hint::black_box(
                ((buffer + at!(NET_BUFFER.DataLength)) as *const u32).read_volatile(),
            );
        }
        count += 1;
        list = next(list);
    }
    count
}

/// Whoever made a chain has it back: it counts the lists.
fn owner_takes_back(bare: &Bare, first: u64) {
    let mut list = first;
    let mut count = 0;
    while list != 0 {
        count += 1;
        list = next(list);
    }
    bare.back.set(bare.back.get() + count);
}

fn call(target: u64, arguments: [u64; 5]) {
    let [first, second, third, fourth, fifth] = arguments;
    // SAFETY: a callback that the driver registered, with its arguments; surplus register
    // arguments are ignored by the callee.
    let f: extern "win64" fn(u64, u64, u64, u64, u64) =
        unsafe { std::mem::transmute(target as usize) };
    f(first, second, third, fourth, fifth);
}

extern "win64" fn send(binding: u64, first: u64, _port: u32, flags: u32) {
    let bare = &host().bare;
    let lists = nic_takes(first);
    let (complete, context) = match bare.context(binding) {
        Some(context) => {
            bare.count(binding, lists);
            (bare.send_complete.get(), context)
        }
        // What the driver sends on its own account before it is measured.
        None => host().bare_completion(binding),
    };
    call(complete, [context, first, u64::from(flags & 1), 0, 0]);
}

extern "win64" fn send_complete(_miniport: u64, first: u64, _flags: u32) {
    owner_takes_back(&host().bare, first);
}

extern "win64" fn indicate(miniport: u64, first: u64, _port: u32, _count: u32, flags: u32) {
    let bare = &host().bare;
    bare.arrived.set(bare.arrived.get() + protocol_takes(first));
    if flags & NDIS_RECEIVE_FLAGS_RESOURCES != 0 {
        // Lent for the time of this call.
        return;
    }
    let context = bare.context(miniport).unwrap_or(0);
    call(
        bare.returned.get(),
        [context, first, u64::from(flags & 1), 0, 0],
    );
}

extern "win64" fn give_back(_binding: u64, first: u64, _flags: u32) {
    owner_takes_back(&host().bare, first);
}

extern "win64" fn allocate_context(list: u64, size: u16, backfill: u16, _tag: u32) -> i32 {
    // SAFETY: a list of the benchmark, mapped for the driver; its context area is null or
    // as long as it says.
    unsafe {
        let place = (list + at!(NET_BUFFER_LIST.Context)) as *mut *mut NET_BUFFER_LIST_CONTEXT;
        let context = *place;
        if !context.is_null()
            && let Some(offset) = (*context).Offset.checked_sub(size)
        {
            (*context).Offset = offset;
        } else {
            *place = host().bare.grow(context, size, backfill);
        }
    }
    NDIS_STATUS_SUCCESS.0
}

extern "win64" fn free_context(list: u64, size: u16) {
    // SAFETY: as in `allocate_context`; the driver gives back what it took.
    unsafe {
        let place = (list + at!(NET_BUFFER_LIST.Context)) as *mut *mut NET_BUFFER_LIST_CONTEXT;
        let context = *place;
        (*context).Offset += size;
        if host().bare.grown.get() > 0 && (*context).Offset == (*context).Size {
            *place = host().bare.shrink(context);
        }
    }
}

extern "win64" fn processor(_number: u64) -> u32 {
    crate::vp::Vp::current().index
}

/// Time as the driver sees it: virtual time, and what measured passes took. Measured code sees
/// real time go by, as it would where it is used.
extern "win64" fn precise_time(stamp: *mut u64) -> u64 {
    let host = host();
    let now = (host.now() + host.bare.spent().as_nanos() as u64) / 100;
    // SAFETY: an argument of the driver's, which is there to be written.
    unsafe { stamp.write(now) };
    now
}

/// The bare functions, in the form of the checked ones.
pub(crate) fn exports() -> Vec<Api> {
    let entry = |dll, name, thunk: *const ()| Api {
        dll,
        name,
        low: 0,
        high: 2,
        rule: "IRQ-4",
        args: 0,
        thunk: thunk as usize,
    };
    vec![
        entry("ndis.sys", "NdisSendNetBufferLists", send as *const ()),
        entry(
            "ndis.sys",
            "NdisMSendNetBufferListsComplete",
            send_complete as *const (),
        ),
        entry(
            "ndis.sys",
            "NdisMIndicateReceiveNetBufferLists",
            indicate as *const (),
        ),
        entry(
            "ndis.sys",
            "NdisReturnNetBufferLists",
            give_back as *const (),
        ),
        entry(
            "ndis.sys",
            "NdisAllocateNetBufferListContext",
            allocate_context as *const (),
        ),
        entry(
            "ndis.sys",
            "NdisFreeNetBufferListContext",
            free_context as *const (),
        ),
        entry(
            "ndis.sys",
            "NdisAllocateCloneNetBufferList",
            copies::allocate as *const (),
        ),
        entry(
            "ndis.sys",
            "NdisFreeCloneNetBufferList",
            copies::free as *const (),
        ),
        entry(
            "ndis.sys",
            "NdisCopySendNetBufferListInfo",
            copies::information as *const (),
        ),
        entry(
            "ntoskrnl.exe",
            "KeQueryInterruptTimePrecise",
            precise_time as *const (),
        ),
        entry(
            "ntoskrnl.exe",
            "KeGetCurrentProcessorNumberEx",
            processor as *const (),
        ),
    ]
}

/// The driver's handlers and the contexts they get.
struct Handlers {
    send: u64,
    receive: u64,
    /// Of the miniport.
    above: u64,
    /// Of each binding.
    below: Vec<u64>,
}

impl Host {
    /// Notes what the bare functions call; what measured passes call.
    fn bare_handlers(&self, miniport: u64, bindings: &[u64]) -> Handlers {
        let handlers = self.ndis(|n| {
            let m = &n.miniports[&miniport];
            let b = &n.bindings[&bindings[0]];
            let d = &n.drivers[&m.driver].chars;
            let p = &n.protocols[&b.protocol].chars;
            let address = |f: Option<usize>| f.map_or(0, |f| f as u64);
            self.bare.send_complete.set(address(
                p.SendNetBufferListsCompleteHandler.map(|f| f as usize),
            ));
            self.bare
                .returned
                .set(address(d.ReturnNetBufferListsHandler.map(|f| f as usize)));
            Handlers {
                send: address(d.SendNetBufferListsHandler.map(|f| f as usize)),
                receive: address(p.ReceiveNetBufferListsHandler.map(|f| f as usize)),
                above: m.context,
                below: bindings.iter().map(|b| n.bindings[b].context).collect(),
            }
        });
        self.bare.set_context(miniport, handlers.above);
        for (&binding, &context) in bindings.iter().zip(&handlers.below) {
            self.bare.set_context(binding, context);
        }
        handlers
    }

    /// Whom the completion of a send on a binding goes to, and with which context.
    #[cold]
    fn bare_completion(&self, binding: u64) -> (u64, u64) {
        self.ndis(|n| {
            let b = &n.bindings[&binding];
            let handler = n.protocols[&b.protocol]
                .chars
                .SendNetBufferListsCompleteHandler;
            (handler.map_or(0, |f| f as usize as u64), b.context)
        })
    }

    /// Measures the hop through a driver that was loaded bare and is running, on `miniport` over
    /// `binding`. Each figure is the median of passes that alternate with and without the driver,
    /// each over 4,096 lists in an order of its own.
    pub fn measure_hop(
        &self,
        miniport: u64,
        binding: u64,
        batch: u64,
        receive: bool,
        passes: usize,
    ) -> HopCost {
        let handlers = self.bare_handlers(miniport, &[binding]);
        let source = self.ndis(|n| n.handles.open(Kind::Upper));
        let mut pool = FrameList::new(source, LISTS, FRAME as u32, 0, 64);
        let mut lists: Vec<u64> = (0..LISTS)
            .map(|_| {
                pool.take(self, &[0x5A; FRAME], &Shape::split(0, FRAME))
                    .expect("as many as the limit")
            })
            .collect();
        let mut rng = fastrand::Rng::with_seed(self.config.seed);
        let irql = self.vp().irql();
        self.vp().set_irql(DISPATCH);
        let mut times = [Vec::new(), Vec::new()];
        for pass in 0..2 * (passes + 1) {
            let through = pass % 2 == 0;
            rng.shuffle(&mut lists);
            let chains: Vec<u64> = lists
                .chunks(batch as usize)
                .map(|c| link(self, c))
                .collect();
            let back = self.bare.back.get();
            let started = Instant::now();
            for (&first, lists) in chains.iter().zip(lists.chunks(batch as usize)) {
                match (receive, through) {
                    (false, true) => call(handlers.send, [handlers.above, first, 0, 1, 0]),
                    (false, false) => {
                        std::hint::black_box(nic_takes(first));
                        owner_takes_back(&self.bare, first);
                    }
                    (true, true) => call(
                        handlers.receive,
                        [handlers.below[0], first, 0, lists.len() as u64, 1],
                    ),
                    (true, false) => {
                        std::hint::black_box(protocol_takes(first));
                        owner_takes_back(&self.bare, first);
                    }
                }
            }
            let spent = started.elapsed().as_secs_f64() * 1e9 / f64::from(LISTS as u32);
            assert_eq!(self.bare.back.get() - back, LISTS, "every list comes back");
            // The first pass of each kind warms up.
            if pass >= 2 {
                times[usize::from(!through)].push(spent);
            }
        }
        self.vp().set_irql(irql);
        for list in lists {
            pool.give(list);
        }
        pool.drain(self);
        self.ndis(|n| n.handles.close(source));
        let median = |times: &mut Vec<f64>| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        };
        let [mut with, mut without] = times;
        HopCost {
            batch,
            receive,
            with: median(&mut with),
            without: median(&mut without),
        }
    }
}
