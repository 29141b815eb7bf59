//! What the actions of a plan do.
//!
//! The plan's actions run on one thread of the host's engine, those of [`Action::Together`] on
//! threads of their own. An action that makes no sense where it stands (a pause of what is not
//! there) does nothing, so that a plan stays playable when actions are taken out of it; a plan
//! that ends early is ended properly, so that every play judges what the driver leaves behind.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use lab_host::ndis::{
    Assist, BindRequest, EdgeState, InstanceStart, NicConfig, OidCall, Split, Tasks, UpperConfig,
    Value,
};
use lab_host::{Breach, Host, Job};
use lab_net::lock;
use ndis_sys::{MediaConnectStateConnected, NDIS_OID, NET_PNP_EVENT_CODE};

use crate::convert::{oid_call, values};
use crate::ledger::{At, Outbox, Post, Shared, Tally, Way};
use crate::partner::Partner;
use crate::plan::{Action, Frames, Plan, Shape, Start, unhex};

const US: u64 = 1_000;
const MS: u64 = 1_000 * US;
const SECOND: u64 = 1_000 * MS;
/// How long the miniports above a new binding may take until they run.
const START: u64 = 2 * MS;
/// What is not over by then hangs; longer than any limit of the rules.
const FOREVER: u64 = 120 * SECOND;
/// How long everything may take to come to rest: longer than a send may (30 s).
const REST: u64 = 40 * SECOND;
/// An adapter that keeps what it has lets go so long after something waits for it.
const LATE: u64 = 200 * US;
/// And so long after it began to keep things, whoever waits.
const LAST: u64 = 5 * MS;
/// How long a team and its partner may take to agree on a member.
const AGREED: u64 = 8 * SECOND;
/// Bytes of frames before the ledger's own.
const LEAST: u16 = 64;

/// Name of a virtual miniport's device.
pub fn device(upper: usize) -> String {
    format!("\\DEVICE\\VM{upper}")
}

/// Name of an adapter; its device is `\DEVICE\` and the name.
pub fn adapter(adapter: usize) -> String {
    format!("NIC{adapter}")
}

/// Address of what is at the far end for the protocol above a miniport.
const fn far(upper: usize) -> [u8; 6] {
    [0x02, 0x4c, 0x41, 0x60, 0, upper as u8]
}

/// What the actions act on.
pub struct Stage {
    shape: Shape,
    partner: Option<Partner>,
    service: String,
    frame: usize,
    /// Calls are made to fail: frames may be lost.
    faulty: bool,
    ledger: Shared,
    uppers: Vec<Outbox>,
    fars: Vec<Outbox>,
    bindings: Mutex<Vec<Option<u64>>>,
    refused: Mutex<Vec<(usize, i32)>>,
    pub(crate) entry: Mutex<Option<i32>>,
    /// Not in D0, miniports and adapters.
    asleep: Mutex<(BTreeSet<usize>, BTreeSet<usize>)>,
    /// Adapters that keep sends; whether requests are kept.
    held: Mutex<(BTreeSet<usize>, bool)>,
    /// Nothing that may lose frames since the last rest.
    calm: AtomicBool,
    /// PnP is at something.
    pnp: AtomicBool,
    gone: AtomicBool,
}

impl Stage {
    /// Puts everything around the driver.
    pub(crate) fn new(host: &Host, plan: &Plan, service: &str) -> Self {
        let shape = plan.shape.clone();
        let ledger = Shared::default();
        let mut fars = Vec::new();
        let partner = (shape.partner).map(|which| Partner::new(which, shape.adapters.len()));
        for (index, a) in shape.adapters.iter().enumerate() {
            let (post, outbox) = Post::new(&ledger, At::Wire(index));
            let config = NicConfig {
                name: adapter(index),
                mac: [0x02, 0x4c, 0x41, 0x50, 0, index as u8],
                mtu: a.mtu,
                pend: f64::from(a.pend) / 100.0,
                resources: f64::from(a.resources) / 100.0,
                vlan_offload: a.vlan_offload,
                pm: a.wakes,
                offload: a.offload || a.tasks != crate::plan::Tasks::default(),
                read_only_ratio: f64::from(a.read_only) / 100.0,
                tasks: Tasks {
                    checksums: a.tasks.checksums,
                    large_send: a.tasks.large_send,
                    coalesce: a.tasks.coalesce,
                },
                if_index: 1 + index as u32,
                receive_lists: 32,
                context_backfill: if plan.knobs.lean { 0 } else { 16 },
                receive_context: if plan.knobs.lean {
                    0
                } else {
                    NicConfig::default().receive_context
                },
                split: if a.split {
                    Split::Headers
                } else {
                    NicConfig::default().split
                },
                rough: plan.knobs.rough,
                assist: Assist {
                    queues: a.queues,
                    vports: a.vports,
                    ..Assist::default()
                },
                ..NicConfig::default()
            };
            match &partner {
                Some(partner) => host.add_nic(config, Box::new(partner.port(index, post))),
                None => host.add_nic(config, Box::new(post)),
            };
            fars.push(outbox);
        }
        let mut uppers = Vec::new();
        for (index, m) in shape.miniports.iter().enumerate() {
            let start = match m.start {
                Start::Either => InstanceStart::Either,
                Start::Inside => InstanceStart::Inside,
                Start::Later => InstanceStart::Later,
                Start::Never => InstanceStart::Never,
            };
            host.add_device(&device(index), start, values(&m.properties));
            if shape.is_team(index) {
                host.set_team(&device(index));
            }
            lock(&ledger).expect(Way::Down(index), m.frames);
            let (post, outbox) = Post::new(&ledger, At::Upper(index));
            let config = UpperConfig {
                name: format!("upper{index}"),
                device: device(index),
                window: 32,
                hold: m
                    .keeps
                    .map_or(UpperConfig::default().hold, |k| f64::from(k) / 100.0),
                packet_filter: if m.silent {
                    0
                } else {
                    UpperConfig::default().packet_filter
                },
                large_send: if m.large_sends { 64 } else { 0 },
                rough: plan.knobs.rough,
                unordered: m.frames == Frames::Free,
                without_room: if plan.knobs.lean {
                    1.0
                } else {
                    UpperConfig::default().without_room
                },
                ..UpperConfig::default()
            };
            host.add_upper(config, Box::new(post));
            uppers.push(outbox);
        }
        Self {
            partner,
            service: service.to_owned(),
            frame: usize::from(plan.knobs.frame.max(LEAST)),
            faulty: !plan.knobs.faults.is_empty(),
            ledger,
            uppers,
            fars,
            bindings: Mutex::new(vec![None; shape.adapters.len()]),
            shape,
            refused: Mutex::default(),
            entry: Mutex::default(),
            asleep: Mutex::default(),
            held: Mutex::default(),
            calm: AtomicBool::new(plan.knobs.faults.is_empty()),
            pnp: AtomicBool::new(false),
            gone: AtomicBool::new(false),
        }
    }

    /// What became of the frames, and which binds were refused.
    pub(crate) fn finish(&self) -> (Tally, Vec<(usize, i32)>) {
        let tally = lock(&self.ledger).tally();
        (tally, std::mem::take(&mut lock(&self.refused)))
    }

    /// Whether the driver is there.
    fn loaded(&self) -> bool {
        lock(&self.entry).is_some_and(|status| status >= 0) && !self.gone.load(Ordering::Relaxed)
    }

    fn binding(&self, adapter: usize) -> Option<u64> {
        lock(&self.bindings).get(adapter).copied().flatten()
    }

    fn miniport(&self, host: &Host, upper: usize) -> Option<u64> {
        (upper < self.uppers.len())
            .then(|| host.miniport(&device(upper)))
            .flatten()
    }

    /// All actions, and what a plan that ends early leaves to be done.
    pub(crate) fn all(self: &Arc<Self>, host: &Host, actions: &[Action]) {
        for action in actions {
            self.act(host, action);
        }
        self.act(host, &Action::Unload);
        let tally = lock(&self.ledger).tally();
        for (count, what) in [
            (tally.lost, "sent in calm and did not arrive"),
            (tally.doubled, "arrived twice"),
            (tally.overtaken, "were overtaken in calm"),
            (tally.damaged, "arrived with other bytes"),
            (tally.astray, "arrived where they do not belong"),
        ] {
            if count > 0 {
                host.violate("HOST-DATA", format!("{count} frames {what}"));
            }
        }
    }

    fn act(self: &Arc<Self>, host: &Host, action: &Action) {
        if action.disturbs() && !matches!(action, Action::Together { .. }) {
            self.disturb();
        }
        if !action.is_pnp() {
            self.one(host, action);
            return;
        }
        let mine = patient(host, "for PnP", || !self.pnp.swap(true, Ordering::Relaxed));
        if mine {
            self.one(host, action);
            self.pnp.store(false, Ordering::Relaxed);
        } else {
            host.violate("BUG-1", format!("{action:?} waits for another for ever"));
        }
    }

    fn disturb(&self) {
        self.calm.store(false, Ordering::Relaxed);
        lock(&self.ledger).set_calm(false);
    }

    fn one(self: &Arc<Self>, host: &Host, action: &Action) {
        match action {
            Action::BindEarly { adapter } if lock(&self.entry).is_none() => {
                if let Some(request) = self.request(*adapter) {
                    host.bind_early(request);
                }
            }
            Action::Entry => self.enter(host),
            _ if !self.loaded() => {}
            Action::Bind { adapter } => self.bind(host, *adapter),
            Action::Send { upper, lists } => self.send(host, *upper, *lists),
            Action::SendRaw { upper, frames } => {
                // A protocol sends nothing before it runs.
                if let Some(outbox) = self.uppers.get(*upper)
                    && self.runs(host, *upper)
                    && host.upper_running(*upper)
                {
                    lock(outbox).extend(frames.iter().map(|frame| unhex(frame)));
                    host.upper_kick(*upper);
                }
            }
            Action::ReceiveRaw { adapter, frames } => {
                if let Some(outbox) = self.fars.get(*adapter) {
                    lock(outbox).extend(frames.iter().map(|frame| unhex(frame)));
                    host.nic_kick(*adapter);
                }
            }
            Action::Receive {
                adapter,
                upper,
                lists,
                resources,
            } => self.receive(host, *adapter, *upper, *lists, *resources),
            Action::Oid { upper, .. } => {
                if let Some(miniport) = self.miniport(host, *upper)
                    && !lock(&self.asleep).0.contains(upper)
                    && let Some(call) = oid_call(action)
                {
                    host.oid(miniport, &call);
                }
            }
            Action::HoldOids { hold } => {
                lock(&self.held).1 = *hold;
                host.oids_stick(*hold);
                if *hold {
                    self.let_go_at_last(host);
                }
            }
            Action::HoldSends { adapter, hold } => self.hold(host, *adapter, *hold),
            Action::CancelSends { upper, id } => {
                if *upper < self.uppers.len() {
                    host.cancel_sends(*upper, *id);
                    host.upper_cancel_id(*upper, *id);
                }
            }
            Action::Together { actions } => self.together(host, actions),
            Action::Sleep { ns } => host.sleep(*ns),
            Action::Settle => self.settle(host),
            Action::Control {
                code,
                input,
                output,
            } => {
                // Without a device there is nothing to be asked.
                let _ = host.control(*code, input, *output as usize);
            }
            Action::UnloadBound => {
                self.let_go(host);
                self.disturb();
                lock(&self.bindings).fill(None);
                host.unload_bound();
                self.gone.store(true, Ordering::Relaxed);
            }
            Action::AskAll { upper } => {
                if let Some(miniport) = self.miniport(host, *upper) {
                    host.walk_oids(miniport);
                }
            }
            Action::Shutdown { upper, bug_check } => {
                if let Some(miniport) = self.miniport(host, *upper) {
                    host.shut_down_miniport(miniport, *bug_check);
                }
            }
            Action::Uninstall | Action::Unload => self.leave(host),
            _ => self.disturbance(host, action),
        }
    }

    /// What is done to one edge.
    fn disturbance(&self, host: &Host, action: &Action) {
        match *action {
            Action::Status {
                adapter,
                code,
                bytes,
                times,
            } if adapter < self.fars.len() => {
                let buffer = vec![0; bytes.min(4096) as usize];
                for _ in 0..times {
                    host.nic_status(adapter, code as i32, &buffer);
                }
            }
            Action::Link { adapter, up } if adapter < self.fars.len() => host.set_link(adapter, up),
            Action::Reset { adapter, ns } if adapter < self.fars.len() => {
                host.nic_reset(adapter, ns);
            }
            Action::Change {
                adapter,
                mtu,
                if_index,
                wakes,
                offload,
                queues,
                vports,
                assist,
            } if adapter < self.fars.len() => host.change_nic(adapter, |config| {
                config.mtu = mtu.unwrap_or(config.mtu);
                config.if_index = if_index.unwrap_or(config.if_index);
                config.pm = wakes.unwrap_or(config.pm);
                config.offload = offload.unwrap_or(config.offload);
                let has = &mut config.assist;
                has.queues = queues.unwrap_or(has.queues);
                has.vports = vports.unwrap_or(has.vports);
                has.enabled = assist.unwrap_or(has.enabled);
            }),
            Action::Queue { adapter, domain } if adapter < self.fars.len() => {
                host.move_queue(adapter, domain);
            }
            Action::ReEnable { upper } if upper < self.uppers.len() => {
                self.let_go(host);
                host.restart_device(&device(upper));
                lock(&self.asleep).0.remove(&upper);
                host.wait_until("for the virtual miniport", 20 * US, START, |host| {
                    self.runs(host, upper)
                });
            }
            Action::Answer { status } => host.uppers_answer(status),
            Action::Event {
                adapter,
                code,
                bytes,
            } => {
                let buffer = vec![0; bytes.min(4096) as usize];
                let code = NET_PNP_EVENT_CODE(code);
                match adapter.map(|adapter| self.binding(adapter)) {
                    None => drop(host.global_event(code, &buffer)),
                    Some(Some(binding)) => drop(host.net_event(binding, code, &buffer)),
                    Some(None) => {}
                }
            }
            Action::SendAnyway { upper } => {
                if let Some(miniport) = self.miniport(host, upper) {
                    host.judge_odd_send(miniport);
                }
            }
            Action::SyncOid { upper, oid } => {
                if let Some(miniport) = self.miniport(host, upper) {
                    let call = OidCall::query(NDIS_OID(oid), 256);
                    host.synchronous_oid(miniport, &call);
                }
            }
            Action::Reconfigure { adapter } => {
                let binding = adapter.map(|adapter| self.binding(adapter));
                match binding {
                    Some(None) => {}
                    Some(some) => drop(host.reconfigure(some)),
                    None => drop(host.reconfigure(None)),
                }
            }
            Action::SetUpper { adapter, ref upper } => {
                if let Some(binding) = self.binding(adapter) {
                    self.let_go(host);
                    let all = self.uppers.len();
                    let known = upper.iter().filter(|&&upper| upper < all);
                    let names = known.map(|&upper| device(upper)).collect();
                    host.set_upper_bindings(binding, names);
                }
            }
            Action::PauseUpper { upper }
            | Action::RestartUpper { upper }
            | Action::PowerUpper { upper, .. }
            | Action::RestartDevice { upper }
            | Action::Halt { upper } => {
                if let Some(miniport) = self.miniport(host, upper) {
                    self.upper(host, action, upper, miniport);
                }
            }
            Action::PauseLower { adapter }
            | Action::RestartLower { adapter }
            | Action::PowerLower { adapter, .. }
            | Action::NetEvent { adapter, .. }
            | Action::Vanish { adapter }
            | Action::Unbind { adapter } => {
                if let Some(binding) = self.binding(adapter) {
                    self.lower(host, action, adapter, binding);
                }
            }
            _ => {}
        }
    }

    fn upper(&self, host: &Host, action: &Action, upper: usize, miniport: u64) {
        let asleep = lock(&self.asleep).0.contains(&upper);
        match *action {
            Action::PauseUpper { .. } => {
                self.let_go(host);
                host.pause_miniport(miniport);
            }
            Action::RestartUpper { .. } if !asleep => drop(host.restart_miniport(miniport)),
            Action::PowerUpper { up, .. } if up == asleep => {
                self.let_go(host);
                if up {
                    lock(&self.asleep).0.remove(&upper);
                } else {
                    lock(&self.asleep).0.insert(upper);
                }
                host.set_miniport_power(miniport, up);
            }
            Action::RestartDevice { .. } => {
                self.let_go(host);
                host.restart_device(&device(upper));
                lock(&self.asleep).0.remove(&upper);
            }
            Action::Halt { .. } => {
                self.let_go(host);
                host.disable_device(miniport);
                lock(&self.asleep).0.remove(&upper);
            }
            _ => {}
        }
    }

    fn lower(&self, host: &Host, action: &Action, adapter: usize, binding: u64) {
        let asleep = lock(&self.asleep).1.contains(&adapter);
        match *action {
            Action::PauseLower { .. } => {
                self.let_go(host);
                host.pause_binding(binding);
            }
            Action::RestartLower { .. } if !asleep => host.restart_binding(binding),
            Action::PowerLower { up, .. } if up == asleep => {
                self.let_go(host);
                if up {
                    lock(&self.asleep).1.remove(&adapter);
                    host.set_binding_power(binding, true);
                } else if host.set_binding_power(binding, false) == 0 {
                    lock(&self.asleep).1.insert(adapter);
                }
            }
            Action::NetEvent { code, .. } => {
                host.net_event(binding, NET_PNP_EVENT_CODE(code), &[]);
            }
            Action::Vanish { .. } | Action::Unbind { .. } => {
                self.let_go(host);
                lock(&self.bindings)[adapter] = None;
                if matches!(action, Action::Vanish { .. }) {
                    host.surprise_remove_adapter(adapter, binding);
                } else {
                    host.unbind(binding);
                }
            }
            _ => {}
        }
    }

    fn enter(&self, host: &Host) {
        if lock(&self.entry).is_none() {
            let status = host.driver_entry(&self.service);
            *lock(&self.entry) = Some(status);
            for (adapter, result) in host.take_early() {
                if let Ok(binding) = result {
                    self.bound(host, adapter, binding);
                }
            }
        }
    }

    fn request(&self, adapter: usize) -> Option<BindRequest> {
        let below = self.shape.adapters.get(adapter)?;
        let names = below.upper.iter().map(|&upper| device(upper)).collect();
        let mut values = values(&below.values);
        values.push(("UpperBindings".to_owned(), Value::Strings(names)));
        Some(BindRequest {
            nic: adapter,
            values,
            ..BindRequest::default()
        })
    }

    fn bind(&self, host: &Host, adapter: usize) {
        let Some(request) = self.request(adapter) else {
            return;
        };
        if self.binding(adapter).is_some() {
            return;
        }
        match host.bind(request) {
            Ok(binding) => self.bound(host, adapter, binding),
            Err(status) => lock(&self.refused).push((adapter, status)),
        }
    }

    fn bound(&self, host: &Host, adapter: usize, binding: u64) {
        lock(&self.bindings)[adapter] = Some(binding);
        host.restart_binding(binding);
        host.wait_until("for the virtual miniports", 20 * US, START, |host| {
            let mut above = self.shape.adapters[adapter].upper.iter();
            above.all(|&upper| self.runs(host, upper))
        });
        let above = &self.shape.adapters[adapter].upper;
        if above.iter().any(|&upper| self.shape.is_team(upper)) {
            self.joined(host, adapter);
        }
    }

    /// Waits until a team has taken up the adapter: so long its partner sends nothing over it.
    fn joined(&self, host: &Host, adapter: usize) {
        let above = &self.shape.adapters[adapter].upper;
        let ready = |host: &Host| {
            let up = above.iter().all(|&upper| self.is_connected(host, upper));
            up && self.carries(adapter)
        };
        // Before that whatever has to be agreed on takes its time.
        let soon = host.wait_until("for the team", 100 * US, MS, ready);
        if !soon && self.partner.is_some() {
            host.wait_until("for the team and its partner", 20 * MS, AGREED, ready);
        }
        host.sleep(MS);
    }

    /// Whether the far end sends over this wire.
    fn carries(&self, adapter: usize) -> bool {
        let partner = self.partner.as_ref();
        partner.is_none_or(|partner| partner.uses(adapter))
    }

    /// Whether the protocol above sees a link.
    fn is_connected(&self, host: &Host, upper: usize) -> bool {
        let facts = self
            .miniport(host, upper)
            .and_then(|m| host.miniport_facts(m));
        facts.is_some_and(|facts| facts.connect_state == MediaConnectStateConnected.0)
    }

    /// Whether an upper edge runs: one that is not paused for its sleep does not.
    fn runs(&self, host: &Host, upper: usize) -> bool {
        if lock(&self.asleep).0.contains(&upper) {
            return false;
        }
        let miniport = self.miniport(host, upper);
        miniport.is_some_and(|m| host.miniport_state(m) == Some(EdgeState::Running))
    }

    fn send(&self, host: &Host, upper: usize, lists: u32) {
        let Some(outbox) = self.uppers.get(upper) else {
            return;
        };
        // A protocol sends nothing before it runs.
        if !self.runs(host, upper) || !host.upper_running(upper) {
            return;
        }
        // What is sent without a link, or while everything below sleeps, may be lost.
        let mut below = self.shape.adapters_of(upper);
        let awake = |adapter| host.is_plugged(adapter) && !lock(&self.asleep).1.contains(&adapter);
        if !self.is_connected(host, upper) || !below.any(awake) {
            self.disturb();
        }
        let from = self.mac(host, upper);
        let mut ledger = lock(&self.ledger);
        let mut make = |_| ledger.make(Way::Down(upper), far(upper), from, 0, self.frame);
        let frames: Vec<_> = (0..lists).map(&mut make).collect();
        lock(outbox).extend(frames);
        drop(ledger);
        host.upper_kick(upper);
    }

    fn mac(&self, host: &Host, upper: usize) -> [u8; 6] {
        self.miniport(host, upper)
            .and_then(|m| host.miniport_facts(m))
            .map_or([0x02; 6], |facts| facts.mac)
    }

    fn receive(
        &self,
        host: &Host,
        adapter: usize,
        upper: usize,
        lists: u32,
        resources: Option<bool>,
    ) {
        let (Some(outbox), Some(above)) = (self.fars.get(adapter), self.shape.miniports.get(upper))
        else {
            return;
        };
        let share = self.shape.adapters[adapter].resources;
        host.tune_nic(adapter, |config| {
            config.resources = match resources {
                Some(true) => 1.0,
                Some(false) => 0.0,
                None => f64::from(share) / 100.0,
            };
        });
        // What comes before everybody runs is lost without anybody's fault.
        let up = self.runs(host, upper)
            && self.is_connected(host, upper)
            && self.carries(adapter)
            && host.is_plugged(adapter)
            && self.binding(adapter).and_then(|b| host.binding_state(b))
                == Some(EdgeState::Running);
        if !up {
            self.disturb();
        }
        let to = self.mac(host, upper);
        let tag = above.vlan.unwrap_or(0);
        let mut ledger = lock(&self.ledger);
        let mut make = |_| ledger.make(Way::Up(adapter, upper), to, far(upper), tag, self.frame);
        let frames: Vec<_> = (0..lists).map(&mut make).collect();
        lock(outbox).extend(frames);
        drop(ledger);
        host.nic_kick(adapter);
    }

    fn hold(self: &Arc<Self>, host: &Host, adapter: usize, hold: bool) {
        if adapter >= self.fars.len() {
            return;
        }
        if hold {
            lock(&self.held).0.insert(adapter);
        } else {
            lock(&self.held).0.remove(&adapter);
        }
        host.nic_stick(adapter, hold);
        if hold {
            self.let_go_at_last(host);
        }
    }

    /// No adapter keeps anything for ever: that would be its own fault, not the driver's.
    fn let_go_at_last(self: &Arc<Self>, host: &Host) {
        let stage = Arc::clone(self);
        host.spawn_after(
            LAST,
            Job::thread("adapters let go at last", move |host| stage.let_go(host)),
        );
    }

    /// Something will wait for what adapters keep: they let go, late.
    fn let_go(&self, host: &Host) {
        let (adapters, oids) = std::mem::take(&mut *lock(&self.held));
        if adapters.is_empty() && !oids {
            return;
        }
        host.spawn_after(
            LATE,
            Job::thread("adapters let go", move |host| {
                for adapter in adapters {
                    host.nic_stick(adapter, false);
                }
                if oids {
                    host.oids_stick(false);
                }
            }),
        );
    }

    fn together(self: &Arc<Self>, host: &Host, actions: &[Action]) {
        let left = Arc::new(AtomicUsize::new(actions.len()));
        for action in actions {
            let (stage, left, action) = (Arc::clone(self), Arc::clone(&left), action.clone());
            host.spawn(Job::thread("action", move |host| {
                stage.act(host, &action);
                left.fetch_sub(1, Ordering::Relaxed);
            }));
        }
        let over = patient(host, "for all of them", || {
            left.load(Ordering::Relaxed) == 0
        });
        if !over {
            host.violate("BUG-1", "an action never ends".into());
        }
    }

    fn idle(&self, host: &Host) -> bool {
        let uppers = 0..self.uppers.len();
        let nics = 0..self.fars.len();
        let empty = |outbox: &Outbox| lock(outbox).is_empty();
        uppers.clone().all(|upper| host.upper_is_idle(upper))
            && nics.clone().all(|nic| host.nic_is_idle(nic))
            && uppers
                .clone()
                .all(|upper| empty(&self.uppers[upper]) || !host.upper_running(upper))
            && nics.clone().all(|nic| empty(&self.fars[nic]))
    }

    /// Waits for rest and judges.
    fn settle(&self, host: &Host) {
        self.let_go(host);
        let rest = host.wait_until("for rest", 20 * US, 10 * MS, |host| self.idle(host))
            || host.wait_until("for rest", 50 * MS, REST, |host| self.idle(host));
        let mut ledger = lock(&self.ledger);
        // What is stuck is somebody else's finding; it did not arrive all the same.
        ledger.judge(self.calm.load(Ordering::Relaxed) || (!rest && !self.faulty));
        // What a call that failed leaves behind has no end that could be seen.
        ledger.set_calm(!self.faulty);
        self.calm.store(!self.faulty, Ordering::Relaxed);
    }

    /// Unbinds what is bound, uninstalls, unloads.
    fn leave(&self, host: &Host) {
        self.let_go(host);
        self.disturb();
        let too_early = host.breaches(Breach::UninstallBound);
        if too_early {
            host.uninstall();
        }
        for adapter in 0..self.fars.len() {
            let binding = lock(&self.bindings)[adapter].take();
            if let Some(binding) = binding {
                host.unbind(binding);
            }
        }
        if !too_early {
            host.uninstall();
        }
        host.unload();
        self.gone.store(true, Ordering::Relaxed);
    }
}

/// Waits with short steps, then with long ones: what is not over soon is stuck.
fn patient(host: &Host, what: &str, done: impl Fn() -> bool) -> bool {
    host.wait_until(what, 10 * US, 2 * MS, |_| done())
        || host.wait_until(what, MS, SECOND, |_| done())
        || host.wait_until(what, 100 * MS, FOREVER, |_| done())
}
