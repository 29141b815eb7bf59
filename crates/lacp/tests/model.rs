//! One port against a model: the same machines written a second time, by hand, as a
//! program that counts its timers down once in 100 ms and looks at everything each
//! time. It shares no code and no table with the crate.

mod common;

use common::{config, id, mac, port};
use lacp::pdu::{Lacpdu, Pdu, Version2};
use lacp::table::{ActorChurn, Mux, PartnerChurn, Periodic, Receive};
use lacp::time::{MILLISECOND, Time};
use lacp::{
    Activity, MacAddress, Output, PortId, PortInformation, PortState, System, SystemConfig, Timeout,
};
use proptest::prelude::*;

const TICK: Time = 100 * MILLISECOND;

/// The state octet, spelled out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Bits {
    active: bool,
    short: bool,
    aggregation: bool,
    sync: bool,
    collecting: bool,
    distributing: bool,
}

impl Bits {
    fn of(octet: u8) -> Self {
        let bit = |number: u8| octet >> number & 1 == 1;
        Self {
            active: bit(0),
            short: bit(1),
            aggregation: bit(2),
            sync: bit(3),
            collecting: bit(4),
            distributing: bit(5),
        }
    }
}

/// Somebody: which of some partners, and how it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Side {
    who: u8,
    bits: Bits,
}

/// What a partner says.
#[derive(Clone, Copy, Debug)]
struct Said {
    who: u8,
    state: u8,
    /// What it knows of the port: its state, or something old about another.
    knows: Option<u8>,
}

/// The model. Ticks are 100 ms; a timer is the ticks that are left.
struct Model {
    rx: &'static str,
    ptx: &'static str,
    mux: &'static str,
    actor_churn: &'static str,
    partner_churn: &'static str,
    enabled: bool,
    actor: Bits,
    defaulted: bool,
    expired: bool,
    partner: Side,
    selected: bool,
    ntt: bool,
    sent: Vec<i64>,
    heard: Vec<i64>,
    now: i64,
    current_while: i64,
    periodic: i64,
    wait_while: i64,
    churn: [i64; 2],
    transmitted: u32,
}

const NOBODY: Side = Side {
    who: 0,
    bits: Bits {
        active: false,
        short: true,
        aggregation: false,
        sync: true,
        collecting: true,
        distributing: true,
    },
};

impl Model {
    fn new(short: bool, active: bool) -> Self {
        let mut nobody = NOBODY;
        nobody.bits.short = short;
        Self {
            rx: "down",
            ptx: "none",
            mux: "detached",
            actor_churn: "monitor",
            partner_churn: "monitor",
            enabled: false,
            actor: Bits {
                active,
                short,
                aggregation: true,
                ..Bits::default()
            },
            defaulted: true,
            expired: false,
            partner: Side {
                bits: Bits {
                    sync: false,
                    ..nobody.bits
                },
                ..nobody
            },
            selected: false,
            // DETACHED was entered at BEGIN.
            ntt: true,
            sent: Vec::new(),
            heard: Vec::new(),
            now: 0,
            current_while: 0,
            periodic: 0,
            wait_while: 0,
            churn: [600; 2],
            transmitted: 0,
        }
    }

    fn nobody(&self) -> Side {
        let mut nobody = NOBODY;
        nobody.bits.short = self.actor.short;
        nobody
    }

    fn link(&mut self, up: bool) {
        self.enabled = up;
        self.settle(None);
    }

    fn hear(&mut self, said: Said) {
        // Ten in a second are listened to.
        self.heard.retain(|at| self.now - at < 10);
        if self.heard.len() < 10 {
            self.heard.push(self.now);
            self.settle(Some(said));
        }
    }

    fn tick(&mut self) {
        self.now += 1;
        let [actor_churn, partner_churn] = &mut self.churn;
        for timer in [
            &mut self.current_while,
            &mut self.periodic,
            &mut self.wait_while,
            actor_churn,
            partner_churn,
        ] {
            *timer -= 1;
        }
        self.settle(None);
    }

    fn expire(&mut self) {
        self.rx = "expired";
        self.partner.bits.sync = false;
        self.partner.bits.short = true;
        self.current_while = 30;
        self.expired = true;
    }

    fn receive(&mut self, said: Option<Said>) {
        if !self.enabled {
            self.rx = "down";
            self.partner.bits.sync = false;
            return;
        }
        if self.rx == "down" {
            self.expire();
        }
        if let Some(said) = said {
            let theirs = Bits::of(said.state);
            let differs =
                said.who != self.partner.who || theirs.aggregation != self.partner.bits.aggregation;
            if differs {
                self.selected = false;
            }
            let mine = self.actor;
            let known = said.knows.map(Bits::of);
            let up_to_date = known.is_some_and(|it| {
                it.active == mine.active
                    && it.short == mine.short
                    && it.sync == mine.sync
                    && it.aggregation == mine.aggregation
            });
            self.ntt |= !up_to_date;
            let same = known.is_some_and(|it| it.aggregation == mine.aggregation);
            let they_know_active = said.knows.unwrap_or(0) & 1 == 1;
            let maintained = theirs.active || (mine.active && they_know_active);
            self.partner = Side {
                who: said.who,
                bits: Bits {
                    sync: theirs.sync && maintained && (same || !theirs.aggregation),
                    ..theirs
                },
            };
            self.defaulted = false;
            self.expired = false;
            self.current_while = if mine.short { 30 } else { 900 };
            self.rx = "current";
        } else if self.current_while <= 0 {
            match self.rx {
                "current" => self.expire(),
                "expired" => {
                    let nobody = self.nobody();
                    if self.partner.who != nobody.who
                        || self.partner.bits.aggregation != nobody.bits.aggregation
                    {
                        self.selected = false;
                    }
                    self.partner = nobody;
                    self.defaulted = true;
                    self.expired = false;
                    self.rx = "defaulted";
                }
                _ => {}
            }
        }
    }

    fn periodic(&mut self) {
        if !self.enabled || (!self.actor.active && !self.partner.bits.active) {
            self.ptx = "none";
            return;
        }
        let interval = |short| if short { ("fast", 10) } else { ("slow", 300) };
        let short = self.partner.bits.short;
        if self.ptx == "none" {
            // NO_PERIODIC, FAST_PERIODIC and from there on.
            (self.ptx, self.periodic) = interval(short);
        } else if self.ptx == "fast" && !short {
            (self.ptx, self.periodic) = ("slow", 300);
        } else if self.periodic <= 0 || (self.ptx == "slow" && short) {
            self.ntt = true;
            (self.ptx, self.periodic) = interval(short);
        }
    }

    fn attach(&mut self) {
        self.mux = "attached";
        self.actor.sync = true;
        self.actor.collecting = false;
        self.ntt = true;
    }

    fn collect(&mut self) {
        self.mux = "collecting";
        self.actor.collecting = true;
        self.actor.distributing = false;
        self.ntt = true;
    }

    fn multiplex(&mut self) {
        loop {
            let (sync, collecting) = (self.partner.bits.sync, self.partner.bits.collecting);
            match self.mux {
                "detached" => {
                    // One port, one aggregator: selected as soon as the partner is known.
                    if !self.selected && matches!(self.rx, "current" | "defaulted") {
                        self.selected = true;
                    }
                    if !self.selected {
                        return;
                    }
                    (self.mux, self.wait_while) = ("waiting", 20);
                }
                "waiting" | "attached" if !self.selected => self.detach(),
                "waiting" if self.wait_while <= 0 => self.attach(),
                "attached" if sync => self.collect(),
                "collecting" if !self.selected || !sync => self.attach(),
                "collecting" if collecting => {
                    self.mux = "distributing";
                    self.actor.distributing = true;
                }
                "distributing" if !self.selected || !sync || !collecting => self.collect(),
                _ => return,
            }
        }
    }

    fn detach(&mut self) {
        self.mux = "detached";
        self.actor.sync = false;
        self.actor.collecting = false;
        self.actor.distributing = false;
        self.ntt = true;
    }

    fn churning(&mut self) {
        for (index, sync) in [self.actor.sync, self.partner.bits.sync]
            .into_iter()
            .enumerate()
        {
            let state = if index == 0 {
                &mut self.actor_churn
            } else {
                &mut self.partner_churn
            };
            if !self.enabled {
                (*state, self.churn[index]) = ("monitor", 600);
            }
            if sync && self.enabled {
                *state = "no churn";
            } else if *state == "no churn" {
                (*state, self.churn[index]) = ("monitor", 600);
            } else if *state == "monitor" && self.churn[index] <= 0 && self.enabled {
                *state = "churn";
            }
        }
    }

    fn settle(&mut self, said: Option<Said>) {
        self.receive(said);
        self.periodic();
        self.multiplex();
        self.churning();
        let silent = !self.actor.active && !self.partner.bits.active;
        self.sent.retain(|at| self.now - at < 10);
        if self.ntt && self.enabled && !silent && self.sent.len() < 3 {
            self.sent.push(self.now);
            self.ntt = false;
            self.transmitted += 1;
        }
    }
}

/// What both are asked for.
#[derive(PartialEq, Eq, Debug)]
struct Seen {
    rx: &'static str,
    ptx: &'static str,
    mux: &'static str,
    churn: [&'static str; 2],
    actor: Bits,
    partner: Bits,
    defaulted: bool,
    expired: bool,
    transmitted: u32,
}

fn seen_in(model: &Model) -> Seen {
    Seen {
        rx: model.rx,
        ptx: model.ptx,
        mux: model.mux,
        churn: [model.actor_churn, model.partner_churn],
        actor: model.actor,
        partner: model.partner.bits,
        defaulted: model.defaulted,
        expired: model.expired,
        transmitted: model.transmitted,
    }
}

/// The crate's port, and what it has sent.
struct Real {
    system: System,
    transmitted: u32,
    now: Time,
}

impl Real {
    fn new(settings: SystemConfig) -> Self {
        let mut system = System::new(settings).expect("sound");
        system
            .add_port(0, 0, port(0, 0), &mut |_| {})
            .expect("a slot");
        Self {
            system,
            transmitted: 0,
            now: 0,
        }
    }

    fn act(&mut self, act: impl FnOnce(&mut System, Time, lacp::Sink<'_>)) {
        let sent = &mut self.transmitted;
        act(&mut self.system, self.now, &mut |output| {
            *sent += u32::from(matches!(output, Output::Send { .. }));
        });
    }

    fn hear(&mut self, said: Said) {
        let port = self.system.port(0).expect("a port");
        let mut partner = *port.actor();
        match said.knows {
            Some(state) => partner.state = PortState(state),
            None => partner = PortInformation::default(),
        }
        let lacpdu = Lacpdu {
            version_number: 1,
            actor: PortInformation {
                system: id(10 + said.who),
                key: 3,
                port: PortId {
                    priority: 1,
                    number: 1,
                },
                state: PortState(said.state),
            },
            partner,
            collector_max_delay: 0,
            version_2: Version2::default(),
        };
        let frame = Pdu::Lacpdu(lacpdu).frame(MacAddress::SLOW_PROTOCOLS, mac(9, 9));
        self.act(|system, now, out| {
            system.receive(now, 0, &frame, out);
        });
    }

    fn seen(&self) -> Seen {
        let port = self.system.port(0).expect("a port");
        let state = port.actor().state;
        Seen {
            rx: match port.receive_state() {
                Receive::Initialize => "initialize",
                Receive::PortDisabled => "down",
                Receive::Expired => "expired",
                Receive::LacpDisabled => "off",
                Receive::Defaulted => "defaulted",
                Receive::Current => "current",
            },
            ptx: match port.periodic_state() {
                Periodic::NoPeriodic => "none",
                Periodic::Fast => "fast",
                Periodic::Slow => "slow",
                Periodic::Tx => "tx",
            },
            mux: match port.mux_state() {
                Mux::Detached => "detached",
                Mux::Waiting => "waiting",
                Mux::Attached => "attached",
                Mux::Collecting => "collecting",
                Mux::Distributing => "distributing",
            },
            churn: [
                match port.actor_churn_state() {
                    ActorChurn::Monitor => "monitor",
                    ActorChurn::NoChurn => "no churn",
                    ActorChurn::Churn => "churn",
                },
                match port.partner_churn_state() {
                    PartnerChurn::Monitor => "monitor",
                    PartnerChurn::NoChurn => "no churn",
                    PartnerChurn::Churn => "churn",
                },
            ],
            actor: Bits::of(state.0),
            partner: Bits::of(port.partner().state.0),
            defaulted: state.has(PortState::DEFAULTED),
            expired: state.has(PortState::EXPIRED),
            transmitted: self.transmitted,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Link(bool),
    Hear(Said),
    Wait(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let said = (1..3_u8, 0..64_u8, prop::option::weighted(0.9, 0..64_u8));
    // Mostly what a partner says that means it: in sync, collecting, up to date.
    let well = (
        1..3_u8,
        prop::sample::select(vec![0x07_u8, 0x0f, 0x1f, 0x3f, 0x3d]),
    )
        .prop_flat_map(|(who, state)| {
            let knows = prop::sample::select(vec![0x07_u8, 0x0f, 0x3f, 0x05, 0x0d]);
            knows.prop_map(move |knows| Said {
                who,
                state,
                knows: Some(knows),
            })
        });
    prop_oneof![
        1 => any::<bool>().prop_map(Step::Link),
        2 => said.prop_map(|(who, state, knows)| Step::Hear(Said { who, state, knows })),
        4 => well.prop_map(Step::Hear),
        4 => (1..12_u16).prop_map(Step::Wait),
        2 => (12..80_u16).prop_map(Step::Wait),
        1 => (80..1000_u16).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(common::cases(256))]

    #[test]
    fn a_port_does_what_the_model_does(
        short: bool, active: bool, steps in prop::collection::vec(step(), 1..80),
    ) {
        let settings = SystemConfig {
            timeout: if short { Timeout::Short } else { Timeout::Long },
            activity: if active { Activity::Active } else { Activity::Passive },
            ..config(0)
        };
        let mut model = Model::new(short, active);
        let mut real = Real::new(settings);
        prop_assert_eq!(real.seen(), seen_in(&model));
        let first = Step::Link(true);
        for step in [first].into_iter().chain(steps) {
            match step {
                Step::Link(up) => {
                    model.link(up);
                    real.act(|system, now, out| system.set_link(now, 0, up, out).expect("a port"));
                }
                Step::Hear(said) => {
                    model.hear(said);
                    real.hear(said);
                }
                Step::Wait(ticks) => {
                    for _ in 0..ticks {
                        model.tick();
                        real.now += TICK;
                        // Called only when it asked for it.
                        let due = real.system.next_deadline();
                        if due.is_some_and(|due| due <= real.now) {
                            real.act(|system, now, out| system.tick(now, out));
                        }
                        prop_assert_eq!(real.seen(), seen_in(&model), "at {}", real.now);
                    }
                }
            }
            prop_assert_eq!(real.seen(), seen_in(&model), "after {:?}", step);
        }
    }
}
