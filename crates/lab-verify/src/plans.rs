//! Plans that together reach what an intermediate driver has: each goes from `DriverEntry` to
//! unload and does one kind of thing to it, with traffic before, meanwhile and after.

use ndis_sys as sys;

use crate::plan::{Action, Plan, Request, Setting, Shape, hex};
use crate::stage::device;

const US: u64 = 1_000;
const MS: u64 = 1_000 * US;
/// Private objects of the lab's adapters.
const REVERSE: u32 = lab_host::ndis::oid::OID_LAB_REVERSE.0;
const SCRATCH: u32 = lab_host::ndis::oid::OID_LAB_SCRATCH.0;

/// Some lists each way through everything.
pub fn traffic(shape: &Shape, lists: u32) -> Vec<Action> {
    let mut all = Vec::new();
    for upper in 0..shape.miniports.len() {
        all.push(Action::Send { upper, lists });
        for adapter in shape.adapters_of(upper) {
            all.push(Action::Receive {
                adapter,
                upper,
                lists,
                resources: None,
            });
        }
    }
    all
}

/// NDIS_OFFLOAD_ENCAPSULATION of a protocol that sends IPv4 over Ethernet.
fn encapsulation() -> Vec<u8> {
    let header = [
        sys::NDIS_OBJECT_TYPE_OFFLOAD_ENCAPSULATION,
        sys::NDIS_OFFLOAD_ENCAPSULATION_REVISION_1,
        size_of::<sys::NDIS_OFFLOAD_ENCAPSULATION>() as u8,
        0,
    ];
    let on = [
        sys::NDIS_OFFLOAD_SET_ON,
        sys::NDIS_ENCAPSULATION_IEEE_802_3,
        14,
    ];
    let words = [on, [sys::NDIS_OFFLOAD_SET_OFF, 0, 0]].concat();
    let words = words.iter().flat_map(|word| word.to_le_bytes());
    header.into_iter().chain(words).collect()
}

/// The requests that protocols send to an Ethernet miniport, and some that none knows.
pub fn requests() -> Vec<(Request, u32, Vec<u8>, u32)> {
    let query = |oid: sys::NDIS_OID, room| (Request::Query, oid.0, Vec::new(), room);
    let set = |oid: sys::NDIS_OID, input: &[u8]| (Request::Set, oid.0, input.to_vec(), 0);
    vec![
        query(sys::OID_GEN_STATISTICS, 152),
        query(sys::OID_GEN_XMIT_OK, 8),
        query(sys::OID_GEN_VENDOR_DESCRIPTION, 128),
        query(sys::OID_GEN_VENDOR_DESCRIPTION, 2),
        query(sys::OID_802_3_MULTICAST_LIST, 192),
        query(sys::OID_802_3_CURRENT_ADDRESS, 6),
        set(sys::OID_802_3_MULTICAST_LIST, &[1, 0, 0x5e, 0, 0, 1]),
        set(sys::OID_GEN_CURRENT_LOOKAHEAD, &1514_u32.to_le_bytes()),
        set(sys::OID_GEN_CURRENT_PACKET_FILTER, &0x0b_u32.to_le_bytes()),
        set(sys::OID_GEN_LINK_PARAMETERS, &[0; 40]),
        set(sys::OID_GEN_INTERRUPT_MODERATION, &[0; 12]),
        set(sys::OID_GEN_NETWORK_LAYER_ADDRESSES, &[0; 8]),
        set(sys::OID_PM_PARAMETERS, &[0; 20]),
        set(sys::OID_TCP_OFFLOAD_PARAMETERS, &[0; 32]),
        set(sys::OID_GEN_RECEIVE_SCALE_PARAMETERS, &[0; 64]),
        set(sys::OID_OFFLOAD_ENCAPSULATION, &encapsulation()),
        set(sys::OID_GEN_CURRENT_PACKET_FILTER, &[1]),
        (Request::Set, SCRATCH, vec![0x5a; 16], 0),
        (Request::Query, SCRATCH, Vec::new(), 16),
        (Request::Method, REVERSE, b"abcdef".to_vec(), 6),
        (
            Request::Statistics,
            sys::OID_GEN_STATISTICS.0,
            Vec::new(),
            152,
        ),
        query(sys::OID_QOS_PARAMETERS, 64),
        query(sys::NDIS_OID(0x0f0f_0f0f), 4),
    ]
}

/// A request as an action.
pub fn oid(upper: usize, request: &(Request, u32, Vec<u8>, u32)) -> Action {
    let (kind, oid, input, output) = request.clone();
    Action::Oid {
        upper,
        kind,
        oid,
        input,
        output,
        direct: false,
        cancel_after: None,
    }
}

/// Statuses that adapters indicate, with lengths that fit and that do not.
pub const STATUSES: [(u32, u32); 7] = [
    (sys::NDIS_STATUS_LINK_STATE.0 as u32, 40),
    (sys::NDIS_STATUS_LINK_STATE.0 as u32, 3),
    (sys::NDIS_STATUS_NETWORK_CHANGE.0 as u32, 4),
    (sys::NDIS_STATUS_MEDIA_SPECIFIC_INDICATION.0 as u32, 64),
    (sys::NDIS_STATUS_OPER_STATUS.0 as u32, 16),
    (sys::NDIS_STATUS_PM_CAPABILITIES_CHANGE.0 as u32, 16),
    (0x4001_7abc, 3),
];

/// Events of PnP that a binding gets without a buffer.
pub const EVENTS: [i32; 4] = [
    sys::NetEventQueryRemoveDevice.0,
    sys::NetEventCancelRemoveDevice.0,
    sys::NetEventBindList.0,
    sys::NetEventBindsComplete.0,
];

fn requested(shape: &Shape) -> Vec<Action> {
    let mut all = Vec::new();
    let last = shape.miniports.len().saturating_sub(1);
    for upper in [0, last].into_iter().take(1 + usize::from(last > 0)) {
        all.extend(requests().iter().map(|request| oid(upper, request)));
        // Kept below until they are cancelled.
        all.push(Action::HoldOids { hold: true });
        for direct in [false, true] {
            all.push(Action::Oid {
                upper,
                kind: Request::Query,
                oid: SCRATCH,
                input: Vec::new(),
                output: 16,
                direct,
                cancel_after: Some(30 * US),
            });
        }
        all.push(Action::HoldOids { hold: false });
        all.push(Action::Oid {
            upper,
            kind: Request::Query,
            oid: SCRATCH,
            input: Vec::new(),
            output: 16,
            direct: true,
            cancel_after: None,
        });
    }
    all
}

fn edges(shape: &Shape) -> Vec<Action> {
    let mut all = traffic(shape, 4);
    for upper in 0..shape.miniports.len() {
        all.extend([Action::PauseUpper { upper }, Action::RestartUpper { upper }]);
    }
    all.extend(traffic(shape, 4));
    for adapter in 0..shape.adapters.len() {
        all.push(Action::PauseLower { adapter });
        all.extend(traffic(shape, 1));
        all.push(Action::RestartLower { adapter });
    }
    all.extend(traffic(shape, 4));
    all
}

fn statuses(shape: &Shape) -> Vec<Action> {
    let mut all = Vec::new();
    for adapter in 0..shape.adapters.len() {
        let status = |&(code, bytes): &(u32, u32)| Action::Status {
            adapter,
            code,
            bytes,
            times: 2,
        };
        all.extend(STATUSES.iter().map(status));
        all.extend([
            Action::Link { adapter, up: false },
            Action::Sleep { ns: 200 * US },
            Action::Link { adapter, up: true },
            Action::Sleep { ns: 200 * US },
        ]);
    }
    all.extend(traffic(shape, 4));
    all
}

fn power(shape: &Shape) -> Vec<Action> {
    let mut all = traffic(shape, 4);
    let uppers = 0..shape.miniports.len();
    let adapters = 0..shape.adapters.len();
    all.extend(
        uppers
            .clone()
            .map(|upper| Action::PowerUpper { upper, up: false }),
    );
    all.extend(
        adapters
            .clone()
            .map(|adapter| Action::PowerLower { adapter, up: false }),
    );
    all.extend(adapters.map(|adapter| Action::PowerLower { adapter, up: true }));
    all.extend(uppers.map(|upper| Action::PowerUpper { upper, up: true }));
    all.extend(traffic(shape, 4));
    all
}

fn events(shape: &Shape) -> Vec<Action> {
    let mut all = traffic(shape, 2);
    for adapter in 0..shape.adapters.len() {
        all.extend(EVENTS.map(|code| Action::NetEvent { adapter, code }));
        all.push(Action::Reconfigure {
            adapter: Some(adapter),
        });
        all.push(Action::Reset { adapter, ns: MS });
    }
    all.push(Action::Reconfigure { adapter: None });
    for upper in 0..shape.miniports.len() {
        all.push(Action::CancelSends { upper, id: 7 });
    }
    for adapter in 0..shape.adapters.len() {
        all.push(Action::HoldSends {
            adapter,
            hold: true,
        });
    }
    all.extend(traffic(shape, 4));
    for upper in 0..shape.miniports.len() {
        all.push(Action::CancelSends { upper, id: 7 });
    }
    all
}

fn devices(shape: &Shape) -> Vec<Action> {
    let mut all = traffic(shape, 2);
    let last = shape.miniports.len().saturating_sub(1);
    for (adapter, below) in shape.adapters.iter().enumerate() {
        let mut fewer = below.upper.clone();
        fewer.pop();
        all.push(Action::SetUpper {
            adapter,
            upper: fewer,
        });
    }
    all.extend(traffic(shape, 1));
    for (adapter, below) in shape.adapters.iter().enumerate() {
        all.push(Action::SetUpper {
            adapter,
            upper: below.upper.clone(),
        });
    }
    all.push(Action::Sleep { ns: MS });
    all.push(Action::RestartDevice { upper: last });
    all.extend(traffic(shape, 2));
    all.push(Action::Halt { upper: last });
    all.extend(traffic(shape, 1));
    all
}

fn again(shape: &Shape) -> Vec<Action> {
    let mut all = traffic(shape, 2);
    for adapter in 0..shape.adapters.len() {
        all.push(Action::Unbind { adapter });
        all.push(Action::Bind { adapter });
    }
    all.extend(traffic(shape, 2));
    for adapter in 0..shape.adapters.len() {
        all.push(Action::Vanish { adapter });
    }
    all
}

/// Adapters become others while their bindings are paused, or vanish from below one.
fn changes(shape: &Shape) -> Vec<Action> {
    let mut all = traffic(shape, 2);
    for adapter in 0..shape.adapters.len() {
        let index = 40 + adapter as u32;
        let change = |mtu, if_index, wakes, offload| Action::Change {
            adapter,
            mtu,
            if_index,
            wakes,
            offload,
            queues: None,
            vports: None,
            assist: None,
        };
        let assists = |queues, vports, assist| Action::Change {
            adapter,
            mtu: None,
            if_index: None,
            wakes: None,
            offload: None,
            queues,
            vports,
            assist,
        };
        for change in [
            change(None, Some(index), None, None),
            change(Some(1400), None, None, None),
            change(None, None, Some(true), Some(true)),
            change(None, None, Some(false), Some(false)),
            assists(Some(8), None, None),
            assists(None, Some(4), None),
            assists(None, None, Some(false)),
            assists(Some(0), Some(0), Some(true)),
        ] {
            all.extend([
                Action::PauseLower { adapter },
                change,
                Action::RestartLower { adapter },
                Action::Sleep { ns: 50 * US },
            ]);
        }
    }
    all.extend(traffic(shape, 2));
    all
}

/// Frames to everybody, to a group, to each other and to nobody, with tags in them and without,
/// both ways. What becomes of them is the driver's matter.
fn raw(shape: &Shape) -> Vec<Action> {
    let frame = |to: [u8; 6], tag: Option<u16>, bytes: usize| {
        let mut frame = to.to_vec();
        frame.extend_from_slice(&[0x02, 0x4c, 0x41, 0x70, 0, 1]);
        if let Some(tag) = tag {
            frame.extend_from_slice(&[0x81, 0]);
            frame.extend_from_slice(&tag.to_be_bytes());
        }
        frame.extend_from_slice(&[0x08, 0x00]);
        frame.resize(frame.len().max(bytes), 0x45);
        hex(&frame)
    };
    let tags = || {
        let vlans = shape.miniports.iter().filter_map(|m| m.vlan).map(Some);
        [None, Some(0), Some(5 << 13)].into_iter().chain(vlans)
    };
    let places = [
        [0xff; 6],
        [0x01, 0, 0x5e, 0, 0, 1],
        // As the topologies' and the plans' adapters and miniports have them.
        [0x02, 0x4c, 0x41, 0x50, 0, 0],
        [0x02, 0x4c, 0x41, 0x42, 0, 0x20],
        [0x02, 0x4c, 0x41, 0x42, 0, 0x30],
        [0x02, 0x4c, 0x41, 0x7f, 0, 9],
    ];
    let frames: Vec<String> = places
        .iter()
        .flat_map(|&to| tags().map(move |tag| (to, tag)))
        .map(|(to, tag)| frame(to, tag, 60))
        .collect();
    let mut all = Vec::new();
    for upper in 0..shape.miniports.len() {
        let frames = frames.clone();
        all.push(Action::SendRaw { upper, frames });
    }
    for adapter in 0..shape.adapters.len() {
        let frames = frames.clone();
        all.push(Action::ReceiveRaw { adapter, frames });
    }
    all.push(Action::Settle);
    all.extend(traffic(shape, 2));
    all
}

/// Adapters that can what those of `shape` cannot, and the reverse.
fn other(shape: &Shape) -> Shape {
    let mut other = shape.clone();
    for adapter in &mut other.adapters {
        adapter.vlan_offload = !adapter.vlan_offload;
        adapter.wakes = !adapter.wakes;
        adapter.offload = !adapter.offload;
        adapter.queues = if adapter.queues > 0 { 0 } else { 8 };
        adapter.tasks.checksums = !adapter.tasks.checksums;
        adapter.split = !adapter.split;
        adapter.read_only = if adapter.read_only > 0 { 0 } else { 30 };
    }
    other
}

/// Each adapter's first miniport alone: what it asks for is all that is asked for.
fn alone(shape: &Shape) -> Vec<Action> {
    let mut all = Vec::new();
    for (adapter, below) in shape.adapters.iter().enumerate() {
        let upper = below.upper.iter().copied().take(1).collect();
        all.push(Action::SetUpper { adapter, upper });
    }
    all.push(Action::Sleep { ns: MS });
    for upper in shape
        .adapters
        .iter()
        .filter_map(|below| below.upper.first())
    {
        let requests = requests();
        all.extend(requests.iter().map(|request| oid(*upper, request)));
    }
    all.extend(traffic(shape, 2));
    all
}

/// Bindings whose list of miniports goes on in further values, which name the same ones again.
fn named_again(shape: &Shape) -> Plan {
    let mut shape = shape.clone();
    for adapter in &mut shape.adapters {
        let names: Vec<String> = adapter.upper.iter().map(|&upper| device(upper)).collect();
        for number in 2..=9 {
            let names = Setting::List(names.clone());
            (adapter.values).insert(format!("UpperBindings{number}"), names);
        }
    }
    let middle = traffic(&shape, 2);
    Plan::life("miniports in several values", shape, middle)
}

/// The plans.
pub fn whole(shape: &Shape) -> Vec<Plan> {
    let mut life = traffic(shape, 8);
    life.push(Action::Settle);
    life.extend(traffic(shape, 8));
    life.push(Action::Settle);
    let asks = shape.asks.iter().map(|ask| Action::Control {
        code: ask.code,
        input: ask.input.clone(),
        output: ask.output,
    });
    let mut asked: Vec<Action> = traffic(shape, 2);
    asked.extend(asks);
    // Timers of the driver get their turn.
    asked.push(Action::Sleep { ns: 3_000 * MS });
    asked.extend(traffic(shape, 2));
    let mut all = vec![
        ("traffic", life),
        ("requests", requested(shape)),
        ("edges", edges(shape)),
        ("statuses", statuses(shape)),
        ("power", power(shape)),
        ("events", events(shape)),
        ("devices", devices(shape)),
        ("again", again(shape)),
    ];
    all.push(("time and questions", asked));
    all.push(("changes", changes(shape)));
    all.push(("raw frames", raw(shape)));
    all.push(("one miniport each", alone(shape)));
    let plan = |(name, middle)| Plan::life(name, shape.clone(), middle);
    let mut all: Vec<Plan> = all.into_iter().map(plan).collect();
    // The same to other machines.
    let other = other(shape);
    for (name, rough, lean) in [
        ("no room", false, true),
        ("rough", true, false),
        ("rough, no room", true, true),
    ] {
        let mut middle = traffic(&other, 6);
        middle.extend(raw(shape));
        let mut plan = Plan::life(name, shape.clone(), middle);
        (plan.knobs.rough, plan.knobs.lean) = (rough, lean);
        all.push(plan.clone());
        plan.name = format!("{name}, other adapters");
        plan.shape = other.clone();
        all.push(plan);
    }
    let mut middle = requested(&other);
    middle.extend(power(&other));
    all.push(Plan::life("other adapters", other, middle));
    all.push(named_again(shape));
    all
}
