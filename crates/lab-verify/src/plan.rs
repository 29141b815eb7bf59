//! A scenario as data.
//!
//! In a file it is TOML: the plan's own keys, then `[shape]`, `[knobs]` and one `[[action]]`
//! for each step. Adapters and miniports are named by their index in the shape, so that a plan
//! can be made, shortened and replayed without a name of any driver in it.

use lab_host::{Breach, Manner, Schedule};
use serde::{Deserialize, Serialize};

pub use crate::shape::{
    Adapter, Ask, Frames, Miniport, Partner, Setting, Shape, Start, Tasks, hex, unhex,
};

/// A scenario.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Plan {
    /// What it is called in reports.
    #[serde(default)]
    pub name: String,
    /// Decides every choice that the plan leaves open, and the schedule.
    #[serde(default)]
    pub seed: u64,
    /// What is around the driver.
    #[serde(default)]
    pub shape: Shape,
    /// How it is run.
    #[serde(default)]
    pub knobs: Knobs,
    /// What is done, in this order.
    #[serde(default, rename = "action")]
    pub actions: Vec<Action>,
}

/// How a plan is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Knobs {
    /// What NDIS says it is, minor number of 6.x.
    pub ndis_minor: u8,
    /// Whether lists that were handed over become inaccessible, and each allocation has a
    /// page of its own.
    pub guarded: bool,
    /// How what may be done at once or later is done.
    pub manner: Manner,
    /// Bytes of each frame that is sent.
    pub frame: u16,
    /// Whether frames lie in absurd MDL chains, beside empty buffers.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub rough: bool,
    /// Whether lists have no room in their contexts, nor before their data.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub lean: bool,
    /// A rule that NDIS itself breaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breach: Option<Breach>,
    /// Where tasks are switched.
    pub schedule: Schedule,
    /// Calls that fail.
    #[serde(rename = "fail", skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            ndis_minor: 87,
            guarded: true,
            manner: Manner::Any,
            frame: 128,
            rough: false,
            lean: false,
            breach: None,
            schedule: Schedule::default(),
            faults: Vec::new(),
        }
    }
}

/// A call that fails: the n-th of those that fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Fault {
    /// Only calls of this function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// Only calls after which the driver goes on here, relative to its image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<u32>,
    /// Which of them, from 1.
    pub nth: u64,
}

/// An OID request of the protocol above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Query.
    #[default]
    Query,
    /// Query of statistics.
    Statistics,
    /// Set.
    Set,
    /// Method.
    Method,
}

/// A step. Each ends before the next begins, but what it set in motion goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "do",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
pub enum Action {
    /// `DriverEntry`.
    Entry,
    /// Before [`Action::Entry`]: the adapter is offered inside the registration of the
    /// protocol edge, before `DriverEntry` has returned.
    BindEarly {
        /// Which.
        adapter: usize,
    },
    /// Bind to an adapter and restart the binding; waits until its miniports run.
    Bind {
        /// Which.
        adapter: usize,
    },
    /// The protocol above sends; does not wait for completions.
    Send {
        /// Which miniport's.
        upper: usize,
        /// How many lists.
        lists: u32,
    },
    /// The protocol above sends frames with these bytes, of which nothing is expected.
    SendRaw {
        /// Which miniport's.
        upper: usize,
        /// Octets of each, two digits each.
        frames: Vec<String>,
    },
    /// Frames with these bytes arrive at an adapter; nothing is expected of them.
    ReceiveRaw {
        /// Where.
        adapter: usize,
        /// Octets of each, two digits each.
        frames: Vec<String>,
    },
    /// Frames for a miniport arrive at an adapter.
    Receive {
        /// Where.
        adapter: usize,
        /// For whom.
        upper: usize,
        /// How many frames.
        lists: u32,
        /// Lent with RESOURCES (true), kept (false), or as the adapter likes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resources: Option<bool>,
    },
    /// A request of the protocol above.
    Oid {
        /// Which miniport.
        upper: usize,
        /// What kind.
        #[serde(default)]
        kind: Request,
        /// Which object.
        oid: u32,
        /// What goes in.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        input: Vec<u8>,
        /// Room for what comes out.
        #[serde(default)]
        output: u32,
        /// On the direct path.
        #[serde(default)]
        direct: bool,
        /// Cancelled after so many nanoseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cancel_after: Option<u64>,
    },
    /// Requests that reach an adapter pend until they are cancelled, or no longer.
    HoldOids {
        /// From now on?
        hold: bool,
    },
    /// Adapter keeps every send, or lets them go.
    HoldSends {
        /// Which.
        adapter: usize,
        /// From now on?
        hold: bool,
    },
    /// The protocol above cancels its sends with an id; what it sends from now on has it.
    CancelSends {
        /// Which miniport's.
        upper: usize,
        /// Cancel id.
        id: u64,
    },
    /// The adapter indicates a status.
    Status {
        /// Which.
        adapter: usize,
        /// Status code.
        code: u32,
        /// How many bytes, all zero.
        #[serde(default)]
        bytes: u32,
        /// How often.
        #[serde(default = "once")]
        times: u32,
    },
    /// The cable.
    Link {
        /// Of which adapter.
        adapter: usize,
        /// Plugged in?
        up: bool,
    },
    /// A virtual miniport is paused.
    PauseUpper {
        /// Which.
        upper: usize,
    },
    /// A virtual miniport is restarted.
    RestartUpper {
        /// Which.
        upper: usize,
    },
    /// A binding is paused.
    PauseLower {
        /// Which adapter's.
        adapter: usize,
    },
    /// A binding is restarted.
    RestartLower {
        /// Which adapter's.
        adapter: usize,
    },
    /// A virtual miniport's power.
    PowerUpper {
        /// Which.
        upper: usize,
        /// D0?
        up: bool,
    },
    /// An adapter's power.
    PowerLower {
        /// Which.
        adapter: usize,
        /// D0?
        up: bool,
    },
    /// A PnP event to a binding.
    NetEvent {
        /// Which adapter's.
        adapter: usize,
        /// `NET_PNP_EVENT_CODE`.
        code: i32,
    },
    /// An adapter becomes another one while its binding is paused, which is told at the restart.
    Change {
        /// Which.
        adapter: usize,
        /// Another MTU.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mtu: Option<u32>,
        /// Another interface index: something lies between.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        if_index: Option<u32>,
        /// It can wake, or no longer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wakes: Option<bool>,
        /// It offloads, or no longer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offload: Option<bool>,
        /// Another number of queues.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        queues: Option<u32>,
        /// Another number of ports of its NIC switch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        vports: Option<u32>,
        /// Queues and NIC switch are switched on, or off.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        assist: Option<bool>,
    },
    /// The default receive queue of an adapter that has queues moves into another interrupt
    /// coalescing domain, and the adapter says so.
    Queue {
        /// Which adapter's.
        adapter: usize,
        /// Which domain.
        domain: u32,
    },
    /// The device of a virtual miniport is disabled and enabled again.
    ReEnable {
        /// Which.
        upper: usize,
    },
    /// What the protocols above answer to events from now on.
    Answer {
        /// Status.
        status: i32,
    },
    /// A PnP event with a buffer of zeroes, to a binding or without one.
    Event {
        /// Which adapter's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        adapter: Option<usize>,
        /// `NET_PNP_EVENT_CODE`.
        code: i32,
        /// Length of the buffer.
        #[serde(default)]
        bytes: u32,
    },
    /// The protocol above sends one list, whatever the state of its miniport.
    SendAnyway {
        /// Which.
        upper: usize,
    },
    /// A synchronous query of the protocol above.
    SyncOid {
        /// Which.
        upper: usize,
        /// Which object.
        oid: u32,
    },
    /// The adapter resets: told before and after, `ns` between.
    Reset {
        /// Which.
        adapter: usize,
        /// How long.
        ns: u64,
    },
    /// The driver's configuration changed: of one binding, or of the driver.
    Reconfigure {
        /// Which adapter's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        adapter: Option<usize>,
    },
    /// A request to the control device.
    Control {
        /// Control code.
        code: u32,
        /// What goes in.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        input: Vec<u8>,
        /// Room for what comes out.
        #[serde(default)]
        output: u32,
    },
    /// The adapter vanishes.
    Vanish {
        /// Which.
        adapter: usize,
    },
    /// The binding ends.
    Unbind {
        /// Which adapter's.
        adapter: usize,
    },
    /// The device of a virtual miniport is disabled, as by an administrator.
    Halt {
        /// Which.
        upper: usize,
    },
    /// The binding's `UpperBindings` lists other miniports, and NetEventReconfigure says so.
    SetUpper {
        /// Which adapter's.
        adapter: usize,
        /// Which miniports.
        upper: Vec<usize>,
    },
    /// A property of the device changed: it is stopped and started again.
    RestartDevice {
        /// Which.
        upper: usize,
    },
    /// Every OID that a virtual miniport says it supports is asked for.
    AskAll {
        /// Which.
        upper: usize,
    },
    /// A virtual miniport is told that the system stops.
    Shutdown {
        /// Which.
        upper: usize,
        /// By a bug check, at HIGH_LEVEL?
        bug_check: bool,
    },
    /// The driver unloads without an unbind: its deregistration unbinds.
    UnloadBound,
    /// The protocol edge uninstalls.
    Uninstall,
    /// The driver unloads.
    Unload,
    /// Time passes.
    Sleep {
        /// How much.
        ns: u64,
    },
    /// Waits until nothing is under way; what was sent and received in calm since the last
    /// disturbance must have arrived.
    Settle,
    /// All at once, each on a thread of its own; ends with the last. What PnP does in turn on
    /// Windows is done in turn here too, in any order.
    Together {
        /// What.
        #[serde(rename = "action")]
        actions: Vec<Self>,
    },
}

const fn once() -> u32 {
    1
}

impl Action {
    /// Whether PnP does it, which does one thing at a time.
    pub fn is_pnp(&self) -> bool {
        matches!(
            self,
            Self::Entry
                | Self::Bind { .. }
                | Self::PauseUpper { .. }
                | Self::RestartUpper { .. }
                | Self::PauseLower { .. }
                | Self::RestartLower { .. }
                | Self::PowerUpper { .. }
                | Self::PowerLower { .. }
                | Self::NetEvent { .. }
                | Self::Change { .. }
                | Self::ReEnable { .. }
                | Self::Event { .. }
                | Self::Reconfigure { .. }
                | Self::Vanish { .. }
                | Self::Unbind { .. }
                | Self::Halt { .. }
                | Self::SetUpper { .. }
                | Self::RestartDevice { .. }
                | Self::Uninstall
                | Self::Unload
                | Self::UnloadBound
        )
    }

    /// Whether frames may get lost by it, by NDIS's own rules.
    pub fn disturbs(&self) -> bool {
        !matches!(
            self,
            Self::Entry
                | Self::Bind { .. }
                | Self::Send { .. }
                | Self::SendRaw { .. }
                | Self::Receive { .. }
                | Self::ReceiveRaw { .. }
                | Self::Oid {
                    kind: Request::Query | Request::Statistics,
                    ..
                }
                | Self::Control { .. }
                | Self::Sleep { .. }
                | Self::Settle
                | Self::BindEarly { .. }
                | Self::AskAll { .. }
                | Self::Queue { .. }
        )
    }
}

impl Plan {
    /// A plan with these actions around a driver with one miniport on one adapter.
    pub fn new(name: impl Into<String>, actions: Vec<Action>) -> Self {
        Self {
            name: name.into(),
            seed: 1,
            actions,
            ..Self::default()
        }
    }

    /// The plan as a scenario file.
    pub fn to_toml(&self) -> String {
        // Every part of a plan has a form in TOML, which the tests try.
        toml::to_string(self).unwrap_or_else(|error| format!("# {error}\n"))
    }

    /// From `DriverEntry` to unload with these actions in between, once everything is up.
    pub fn life(name: impl Into<String>, shape: Shape, middle: Vec<Action>) -> Self {
        let adapters = 0..shape.adapters.len();
        let mut actions = vec![Action::Entry];
        actions.extend(adapters.clone().map(|adapter| Action::Bind { adapter }));
        actions.extend(middle);
        actions.extend(adapters.map(|adapter| Action::Unbind { adapter }));
        actions.extend([Action::Uninstall, Action::Unload]);
        Self {
            name: name.into(),
            seed: 1,
            shape,
            actions,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_survives_its_file() {
        let mut plan = Plan::life(
            "round trip",
            Shape::default(),
            vec![
                Action::Send { upper: 0, lists: 8 },
                Action::Oid {
                    upper: 0,
                    kind: Request::Set,
                    oid: 0x1_010e,
                    input: vec![1, 0, 0, 0],
                    output: 0,
                    direct: false,
                    cancel_after: Some(5),
                },
                Action::Together {
                    actions: vec![
                        Action::PauseUpper { upper: 0 },
                        Action::Control {
                            code: 7,
                            input: vec![1],
                            output: 2,
                        },
                    ],
                },
                Action::Settle,
            ],
        );
        plan.shape.adapters[0]
            .values
            .insert("Mode".into(), Setting::Integer(2));
        plan.shape.miniports[0]
            .properties
            .insert("VlanID".into(), Setting::Text("7".into()));
        plan.knobs.faults.push(Fault {
            nth: 3,
            ..Fault::default()
        });
        let text = plan.to_toml();
        let back: Plan = toml::from_str(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(back, plan, "{text}");
    }
}
