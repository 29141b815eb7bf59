//! Plans about the edges of a driver: what follows an event is judged a second later, at rest.

use lab_host::Manner;
use ndis_sys::{
    NDIS_OID, NDIS_STATUS_NETWORK_CHANGE, NetEventBindList, NetEventCancelRemoveDevice,
    NetEventPnPCapabilities, NetEventQueryPower, NetEventReconfigure, OID_802_3_CURRENT_ADDRESS,
    OID_802_3_MULTICAST_LIST, OID_GEN_CURRENT_PACKET_FILTER, OID_GEN_NETWORK_LAYER_ADDRESSES,
    OID_GEN_STATISTICS, OID_GEN_VENDOR_ID, OID_GEN_XMIT_OK, OID_PM_ADD_WOL_PATTERN,
    OID_PM_PARAMETERS, OID_PM_REMOVE_WOL_PATTERN, OID_PNP_CAPABILITIES, OID_PNP_QUERY_POWER,
    OID_TCP_OFFLOAD_PARAMETERS,
};

use super::{Plans, alone, query, receive, send};
use crate::plan::{Action, Adapter, Plan, Request, Shape, Start};

/// Longer than what is owed may take.
const REST: Action = Action::Sleep { ns: 1_200_000_000 };

/// See [`super::PLANS`].
pub const PLANS: Plans = &[
    ("opens-later", || manner("opens-later", Manner::Pending)),
    ("opens-at-once", || manner("opens-at-once", Manner::Inline)),
    ("rest", rest),
    ("many-pauses", many_pauses),
    ("busy-pauses", busy_pauses),
    ("held-pause", held_pause),
    ("old-pauses", old_pauses),
    ("paused-traffic", paused_traffic),
    ("restarts", restarts),
    ("long-reset", long_reset),
    ("reset-receives", reset_receives),
    ("changes", changes),
    ("asks", || asks("asks", Manner::Any)),
    ("asks-at-once", || asks("asks-at-once", Manner::Inline)),
    ("asks-later", || asks("asks-later", Manner::Pending)),
    ("lengths", lengths),
    ("wake-requests", wake_requests),
    ("sets", sets),
    ("cancels", cancels),
    ("synchronous", synchronous),
    ("paused-asks", paused_asks),
    ("direct", direct),
    ("link", link),
    ("sleepy-link", sleepy_link),
    ("events", events),
    ("objection", objection),
    ("reconfigured", reconfigured),
    ("re-enabled", re_enabled),
    ("short-buffers", short_buffers),
    ("sleeps", sleeps),
    ("sleeps-below", sleeps_below),
    ("asleep-status", asleep_status),
    ("held-sleep", held_sleep),
    ("team", team),
    ("team-link", team_link),
    ("team-unequal", team_unequal),
    ("team-wakes", || team_caps("team-wakes", true)),
    ("team-offload", || team_caps("team-offload", false)),
    ("team-queues", || team_assist("team-queues", 0)),
    ("team-switch", || team_assist("team-switch", 8)),
    ("team-off", team_off),
    ("team-domain", team_domain),
];

fn with(name: &str, adapter: Adapter, middle: Vec<Action>) -> Plan {
    let shape = Shape {
        adapters: vec![adapter],
        ..Shape::default()
    };
    Plan::life(name, shape, middle)
}

fn set(oid: NDIS_OID, input: Vec<u8>) -> Action {
    Action::Oid {
        upper: 0,
        kind: Request::Set,
        oid: oid.0,
        input,
        output: 0,
        direct: false,
        cancel_after: None,
    }
}

fn word(oid: NDIS_OID, value: u32) -> Action {
    set(oid, value.to_ne_bytes().to_vec())
}

const fn pause_upper() -> Action {
    Action::PauseUpper { upper: 0 }
}

const fn restart_upper() -> Action {
    Action::RestartUpper { upper: 0 }
}

const fn pause_lower() -> Action {
    Action::PauseLower { adapter: 0 }
}

const fn restart_lower() -> Action {
    Action::RestartLower { adapter: 0 }
}

const fn power_upper(up: bool) -> Action {
    Action::PowerUpper { upper: 0, up }
}

const fn power_lower(up: bool) -> Action {
    Action::PowerLower { adapter: 0, up }
}

const fn cable(adapter: usize, up: bool) -> Action {
    Action::Link { adapter, up }
}

const fn network_change() -> Action {
    Action::Status {
        adapter: 0,
        code: NDIS_STATUS_NETWORK_CHANGE.0 as u32,
        bytes: 4,
        times: 1,
    }
}

const fn net_event(code: i32) -> Action {
    Action::NetEvent { adapter: 0, code }
}

fn manner(name: &str, manner: Manner) -> Plan {
    let mut plan = alone(name, vec![send(4), receive(4), Action::Settle]);
    plan.knobs.manner = manner;
    plan
}

fn rest() -> Plan {
    alone("rest", vec![send(4), receive(4), Action::Settle, REST])
}

/// So many that a protocol sends out of turn in some.
fn many_pauses() -> Plan {
    let mut middle = Vec::new();
    for _ in 0..6 {
        middle.extend([send(4), Action::Settle, pause_upper(), restart_upper()]);
        middle.extend([pause_lower(), restart_lower(), receive(3)]);
    }
    alone("many-pauses", middle)
}

/// The miniport pauses while frames come in.
fn busy_pauses() -> Plan {
    let mut middle = Vec::new();
    for round in 0..32 {
        let wait = Action::Sleep {
            ns: 4_600 + 100 * round,
        };
        middle.extend([receive(16), wait, pause_upper(), restart_upper()]);
    }
    alone("busy-pauses", middle)
}

/// The binding pauses while the adapter keeps sends.
fn held_pause() -> Plan {
    let hold = |hold| Action::HoldSends { adapter: 0, hold };
    let shape = Adapter {
        pend: 100,
        ..Adapter::default()
    };
    with(
        "held-pause",
        shape,
        vec![
            hold(true),
            send(4),
            Action::Sleep { ns: 50_000 },
            pause_lower(),
            restart_lower(),
            send(2),
        ],
    )
}

/// The driver is one of NDIS 6.30, to which the reason of a pause says nothing.
fn old_pauses() -> Plan {
    let mut plan = many_pauses();
    plan.name = "old-pauses".into();
    plan.knobs.ndis_minor = 30;
    plan
}

/// Frames come from both sides while one edge is paused.
fn paused_traffic() -> Plan {
    alone(
        "paused-traffic",
        vec![
            send(4),
            receive(4),
            Action::Settle,
            send(1),
            Action::Sleep { ns: 50_000 },
            pause_lower(),
            send(2),
            Action::Sleep { ns: 50_000 },
            restart_lower(),
            receive(2),
            Action::Settle,
            pause_upper(),
            receive(4),
            Action::Sleep { ns: 1_000_000 },
            restart_upper(),
            send(2),
            Action::Settle,
        ],
    )
}

fn restarts() -> Plan {
    let mut middle = Vec::new();
    for _ in 0..8 {
        middle.extend([
            pause_upper(),
            restart_upper(),
            pause_lower(),
            restart_lower(),
        ]);
    }
    middle.extend([send(2), Action::Settle]);
    alone("restarts", middle)
}

/// An adapter resets that has sends, and time passes.
fn long_reset() -> Plan {
    let hold = |hold| Action::HoldSends { adapter: 0, hold };
    with(
        "long-reset",
        Adapter {
            pend: 100,
            ..Adapter::default()
        },
        vec![
            hold(true),
            send(4),
            Action::Sleep { ns: 100_000 },
            Action::Reset {
                adapter: 0,
                ns: 100_000,
            },
            hold(false),
            Action::Sleep { ns: 6_000_000_000 },
            send(2),
            Action::Settle,
        ],
    )
}

/// Frames come while the adapter resets.
fn reset_receives() -> Plan {
    alone(
        "reset-receives",
        vec![
            send(4),
            receive(4),
            Action::Settle,
            Action::Together {
                actions: vec![
                    Action::Reset {
                        adapter: 0,
                        ns: 2_000_000,
                    },
                    receive(16),
                    receive(16),
                ],
            },
            send(4),
        ],
    )
}

/// The adapter becomes another one.
fn changes() -> Plan {
    let change = |if_index| Action::Change {
        adapter: 0,
        mtu: Some(1500),
        if_index: Some(if_index),
        wakes: None,
        offload: None,
        queues: None,
        vports: None,
        assist: None,
    };
    alone("changes", vec![send(2), change(77), send(2), REST])
}

/// Requests of every kind.
fn asks(name: &str, manner: Manner) -> Plan {
    let mut plan = alone(
        name,
        vec![
            query(OID_GEN_VENDOR_ID.0, 4),
            query(OID_GEN_XMIT_OK.0, 8),
            query(OID_GEN_VENDOR_ID.0, 4),
            query(OID_GEN_STATISTICS.0, 200),
            query(OID_PNP_QUERY_POWER.0, 4),
            query(OID_PNP_CAPABILITIES.0, 64),
            word(OID_GEN_NETWORK_LAYER_ADDRESSES, 0),
            query(OID_GEN_VENDOR_ID.0, 4),
        ],
    );
    plan.knobs.manner = manner;
    plan
}

/// Buffers that are too short or too long.
fn lengths() -> Plan {
    let mut middle = Vec::new();
    for length in 0..10 {
        middle.push(query(OID_GEN_XMIT_OK.0, length));
    }
    middle.push(query(OID_GEN_VENDOR_ID.0, 3));
    middle.push(set(OID_GEN_CURRENT_PACKET_FILTER, vec![1, 0, 0]));
    middle.push(set(OID_802_3_MULTICAST_LIST, vec![1; 7]));
    alone("lengths", middle)
}

/// An adapter that can wake.
fn wake_requests() -> Plan {
    with(
        "wake-requests",
        Adapter {
            wakes: true,
            ..Adapter::default()
        },
        vec![
            set(OID_PM_PARAMETERS, vec![0; 20]),
            set(OID_PM_ADD_WOL_PATTERN, vec![0; 64]),
            word(OID_PM_REMOVE_WOL_PATTERN, 0),
        ],
    )
}

/// Settings that have to arrive below, or be told above.
fn sets() -> Plan {
    alone(
        "sets",
        vec![
            set(OID_802_3_MULTICAST_LIST, vec![1, 0, 0x5E, 0, 0, 9]),
            word(OID_GEN_CURRENT_PACKET_FILTER, 0xB),
            REST,
            set(OID_TCP_OFFLOAD_PARAMETERS, vec![0; 32]),
            set(OID_802_3_CURRENT_ADDRESS, vec![2, 0, 0, 0, 0, 9]),
            REST,
            set(OID_802_3_MULTICAST_LIST, Vec::new()),
            REST,
        ],
    )
}

/// A request that the adapter keeps is cancelled.
fn cancels() -> Plan {
    alone(
        "cancels",
        vec![
            Action::HoldOids { hold: true },
            Action::Oid {
                upper: 0,
                kind: Request::Query,
                oid: OID_GEN_VENDOR_ID.0,
                input: Vec::new(),
                output: 4,
                direct: false,
                cancel_after: Some(50_000),
            },
            Action::HoldOids { hold: false },
        ],
    )
}

fn synchronous() -> Plan {
    alone(
        "synchronous",
        vec![Action::SyncOid {
            upper: 0,
            oid: OID_GEN_VENDOR_ID.0,
        }],
    )
}

fn paused_asks() -> Plan {
    alone(
        "paused-asks",
        vec![
            pause_upper(),
            query(OID_GEN_VENDOR_ID.0, 4),
            restart_upper(),
        ],
    )
}

fn direct() -> Plan {
    let mut plan = alone(
        "direct",
        vec![Action::Oid {
            upper: 0,
            kind: Request::Query,
            oid: OID_GEN_VENDOR_ID.0,
            input: Vec::new(),
            output: 4,
            direct: true,
            cancel_after: None,
        }],
    );
    plan.knobs.manner = Manner::Pending;
    plan
}

fn link() -> Plan {
    alone(
        "link",
        vec![
            network_change(),
            REST,
            cable(0, false),
            REST,
            cable(0, true),
            REST,
        ],
    )
}

/// The cable goes while the miniport sleeps.
fn sleepy_link() -> Plan {
    alone(
        "sleepy-link",
        vec![
            power_upper(false),
            cable(0, false),
            power_upper(true),
            REST,
            cable(0, true),
            REST,
        ],
    )
}

fn events() -> Plan {
    let all = [
        NetEventPnPCapabilities,
        NetEventCancelRemoveDevice,
        NetEventBindList,
        NetEventQueryPower,
    ];
    alone("events", all.iter().map(|code| net_event(code.0)).collect())
}

/// The protocols above object.
fn objection() -> Plan {
    alone(
        "objection",
        vec![
            Action::Answer {
                status: 0xC000_0001_u32 as i32,
            },
            net_event(NetEventQueryPower.0),
            Action::Answer { status: 0 },
        ],
    )
}

fn reconfigured() -> Plan {
    alone(
        "reconfigured",
        vec![
            Action::Reconfigure { adapter: None },
            Action::Reconfigure { adapter: Some(0) },
        ],
    )
}

fn re_enabled() -> Plan {
    alone(
        "re-enabled",
        vec![Action::ReEnable { upper: 0 }, send(2), Action::Settle],
    )
}

fn short_buffers() -> Plan {
    let event = |code, bytes| Action::Event {
        adapter: Some(0),
        code,
        bytes,
    };
    alone(
        "short-buffers",
        vec![
            event(NetEventReconfigure.0, 1),
            event(NetEventBindList.0, 1),
            event(NetEventReconfigure.0, 0),
        ],
    )
}

/// Each edge sleeps, alone and with the other, with traffic before and after.
fn sleeps() -> Plan {
    alone(
        "sleeps",
        vec![
            send(2),
            Action::Settle,
            power_upper(false),
            power_upper(true),
            send(2),
            Action::Settle,
        ],
    )
}

fn sleeps_below() -> Plan {
    alone(
        "sleeps-below",
        vec![
            send(2),
            Action::Settle,
            power_lower(false),
            query(OID_GEN_VENDOR_ID.0, 4),
            power_lower(true),
            send(2),
            Action::Sleep { ns: 1_000_000 },
            send(2),
            Action::Settle,
        ],
    )
}

fn asleep_status() -> Plan {
    alone(
        "asleep-status",
        vec![power_upper(false), network_change(), power_upper(true)],
    )
}

/// The miniport goes to sleep while the adapter keeps sends.
fn held_sleep() -> Plan {
    let hold = |hold| Action::HoldSends { adapter: 0, hold };
    with(
        "held-sleep",
        Adapter {
            pend: 100,
            ..Adapter::default()
        },
        vec![
            hold(true),
            send(4),
            Action::Sleep { ns: 10_000 },
            power_upper(false),
            power_upper(true),
        ],
    )
}

fn two_below(name: &str, second: Adapter, middle: Vec<Action>) -> Plan {
    let mut shape = Shape::default();
    shape.miniports[0].start = Start::Inside;
    shape.adapters.push(second);
    Plan::life(name, shape, middle)
}

/// One miniport on two adapters.
fn team() -> Plan {
    two_below(
        "team",
        Adapter::default(),
        vec![
            word(OID_GEN_CURRENT_PACKET_FILTER, 0xB),
            REST,
            send(2),
            Action::Settle,
        ],
    )
}

/// One of its adapters loses its link.
fn team_link() -> Plan {
    two_below(
        "team-link",
        Adapter::default(),
        vec![
            cable(0, false),
            Action::Sleep { ns: 10_500_000_000 },
            cable(0, true),
        ],
    )
}

/// Adapters that are not alike.
fn team_unequal() -> Plan {
    two_below(
        "team-unequal",
        Adapter {
            mtu: 1400,
            ..Adapter::default()
        },
        vec![Action::ReEnable { upper: 0 }],
    )
}

/// A capability that one of two loses.
fn team_caps(name: &str, wakes: bool) -> Plan {
    let able = Adapter {
        wakes,
        offload: !wakes,
        ..Adapter::default()
    };
    let mut plan = two_below(
        name,
        able.clone(),
        vec![
            Action::Change {
                adapter: 1,
                mtu: None,
                if_index: None,
                wakes: Some(false),
                offload: Some(false),
                queues: None,
                vports: None,
                assist: None,
            },
            REST,
        ],
    );
    plan.shape.adapters[0] = able;
    plan
}

/// Two members with queues, or with a NIC switch.
fn assisting(name: &str, vports: u32, middle: Vec<Action>) -> Plan {
    let able = Adapter {
        queues: 8,
        vports,
        ..Adapter::default()
    };
    let mut plan = two_below(name, able.clone(), middle);
    plan.shape.adapters[0] = able;
    plan
}

/// What one of two members has for virtual machines becomes less.
const fn less(queues: Option<u32>, vports: Option<u32>, assist: Option<bool>) -> Action {
    Action::Change {
        adapter: 1,
        mtu: None,
        if_index: None,
        wakes: None,
        offload: None,
        queues,
        vports,
        assist,
    }
}

/// One of two has fewer queues, or fewer ports.
fn team_assist(name: &str, vports: u32) -> Plan {
    let change = if vports > 0 {
        less(None, Some(2), None)
    } else {
        less(Some(2), None, None)
    };
    assisting(name, vports, vec![change, REST])
}

/// One of two is switched off: the hardware is what it was.
fn team_off() -> Plan {
    assisting("team-off", 0, vec![less(None, None, Some(false)), REST])
}

/// The default queue of one of two moves into another interrupt coalescing domain.
fn team_domain() -> Plan {
    let moves = Action::Queue {
        adapter: 1,
        domain: 3,
    };
    // The team runs, and what its start owed is paid.
    assisting("team-domain", 0, vec![REST, moves, REST])
}
