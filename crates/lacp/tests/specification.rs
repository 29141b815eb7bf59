//! The specification: every state and every transition of every table has a test here
//! that names it, and a table that grows without one fails.

mod common;

use std::collections::BTreeSet;

use common::{Net, config, id, mac, port, transitions};
use lacp::pdu::{Lacpdu, Pdu, Version2};
use lacp::table::{
    ACTOR_CHURN, Action, Condition, From, GENERATOR, MACHINES, MUX, Machine, MachineId, MarkerEnd,
    PARTNER_CHURN, PERIODIC, RECEIVE, RESPONDER, RULES, SELECTION, Selected, TRANSMIT,
};
use lacp::time::{MILLISECOND, SECOND};
use lacp::{
    Activity, Fallback, MacAddress, Output, PortConfig, PortInformation, PortState, SystemConfig,
    Timeout,
};

/// A case: what it covers, and how.
type Case = (&'static [&'static str], fn() -> Net);

fn strict(system: u8) -> SystemConfig {
    SystemConfig {
        fallback: Fallback::Strict,
        ..config(system)
    }
}

fn slow(system: u8) -> SystemConfig {
    SystemConfig {
        timeout: Timeout::Long,
        ..config(system)
    }
}

fn passive(system: u8) -> SystemConfig {
    SystemConfig {
        activity: Activity::Passive,
        ..config(system)
    }
}

/// One system with so many ports whose links are up and lead nowhere.
fn alone(settings: SystemConfig, ports: u8) -> Net {
    let mut net = Net::new(&[settings], 0);
    for slot in 0..ports {
        net.add(0, slot, port(0, slot));
        net.link((0, slot), true);
    }
    net
}

fn settled(cables: u8) -> Net {
    let mut net = Net::pair([config(0), config(1)], cables, 0);
    net.run(4 * SECOND);
    assert_eq!(net.distributing(0), (1 << cables) - 1);
    net
}

/// An LACPDU from a partner that is made up.
struct Partner {
    actor: PortInformation,
    partner: PortInformation,
}

impl Partner {
    /// One that knows the port and is in this state.
    fn of(net: &Net, slot: u8, state: u8) -> Self {
        Self {
            actor: PortInformation {
                system: id(9),
                key: 5,
                port: lacp::PortId {
                    priority: 1,
                    number: 1 + u16::from(slot),
                },
                state: PortState(state),
            },
            partner: *net.at((0, slot)).actor(),
        }
    }

    fn say(&self, net: &mut Net, slot: u8) {
        let lacpdu = Lacpdu {
            version_number: 1,
            actor: self.actor,
            partner: self.partner,
            collector_max_delay: 0,
            version_2: Version2::default(),
        };
        let frame = Pdu::Lacpdu(lacpdu).frame(MacAddress::SLOW_PROTOCOLS, mac(9, 1));
        net.receive((0, slot), &frame);
    }
}

/// Short timeout, active, aggregation, and what else is given.
fn state(more: PortState) -> u8 {
    0x07 | more.0
}

const SYNC: PortState = PortState::SYNCHRONIZATION;
const SYNC_COLLECTING: PortState = PortState(0x18);
const ALL: PortState = PortState(0x38);

/// One port, in the state DISTRIBUTING with a partner that is made up.
fn with_partner() -> Net {
    let mut net = alone(config(0), 1);
    Partner::of(&net, 0, state(ALL)).say(&mut net, 0);
    // Of the two seconds of waiting, so that the partner is not yet forgotten.
    net.run(2 * SECOND);
    Partner::of(&net, 0, state(ALL)).say(&mut net, 0);
    assert_eq!(net.distributing(0), 1);
    net
}

/// Two ports, in two groups with different partners.
fn two_partners() -> Net {
    let mut net = Net::new(&[config(0), config(1), config(2)], 0);
    for slot in 0..2 {
        net.add(0, slot, port(0, slot));
    }
    net.add(1, 0, port(1, 0));
    net.add(2, 0, port(2, 0));
    net.plug((0, 0), (1, 0));
    net.run(4 * SECOND);
    net.plug((0, 1), (2, 0));
    net.run(4 * SECOND);
    assert_eq!(net.distributing(0), 1);
    net
}

const CASES: &[Case] = &[
    (
        &[
            "RX_BEGIN",
            "RX_LINK_DOWN",
            "PT_BEGIN",
            "MUX_BEGIN",
            "AC_BEGIN",
            "PC_BEGIN",
            "MR_BEGIN",
            "TX_LACP_ON",
        ],
        || {
            let mut net = Net::new(&[config(0)], 0);
            net.add(0, 0, port(0, 0));
            assert_eq!(net.next(), None, "a port without a link costs nothing");
            net
        },
    ),
    (&["RX_LINK_UP", "PT_STARTED", "TX_DUE", "TX_SENT"], || {
        alone(config(0), 1)
    }),
    (&["RX_INITIALIZED"], || {
        // BEGIN with the link up: nothing but UCT leads on.
        let mut net = alone(config(0), 1);
        let other = PortConfig {
            key: 8,
            ..port(0, 0)
        };
        net.act(0, |it, now, out| it.configure_port(now, 0, other, out))
            .expect("a port");
        net
    }),
    (
        &["RX_LINK_UP_WITHOUT_LACP", "PT_LACP_OFF", "TX_LACP_OFF"],
        || {
            let mut net = settled(1);
            net.act(0, |it, now, out| it.set_lacp_enabled(now, 0, false, out))
                .expect("a port");
            let sent = net.at((0, 0)).counters().get(lacp::Counter::LacpdusTx);
            net.run(10 * SECOND);
            let port = net.at((0, 0));
            assert_eq!(port.counters().get(lacp::Counter::LacpdusTx), sent);
            assert!(port.is_distributing(), "as an Individual link");
            assert!(!port.has_partner());
            net
        },
    ),
    (&["RX_LACP_SWITCHED_ON"], || {
        // Without BEGIN: the variable alone, as management sets it while the link is up.
        let mut net = Net::new(&[config(0)], 0);
        let off = PortConfig {
            lacp_enabled: false,
            ..port(0, 0)
        };
        net.add(0, 0, off);
        net.link((0, 0), true);
        net.act(0, |it, now, out| it.set_lacp_enabled(now, 0, true, out))
            .expect("a port");
        net.run(SECOND);
        assert!(net.at((0, 0)).counters().get(lacp::Counter::LacpdusTx) > 0);
        net
    }),
    (&["RX_HEARD_AGAIN", "RX_HEARD", "PC_IN_TIME"], || {
        let mut net = alone(config(0), 1);
        Partner::of(&net, 0, state(SYNC)).say(&mut net, 0);
        Partner::of(&net, 0, state(SYNC)).say(&mut net, 0);
        net
    }),
    (&["RX_NO_PARTNER", "RX_PARTNER_FOUND"], || {
        let mut net = alone(config(0), 1);
        net.run(4 * SECOND);
        assert!(!net.at((0, 0)).has_partner());
        Partner::of(&net, 0, state(SYNC)).say(&mut net, 0);
        assert!(net.at((0, 0)).has_partner());
        net
    }),
    (
        &[
            "RX_SILENCE",
            "MUX_DISTRIBUTING_OUT_OF_SYNC",
            "MUX_COLLECTING_OUT_OF_SYNC",
        ],
        || {
            let mut net = with_partner();
            net.run(3 * SECOND);
            assert!(net.at((0, 0)).actor().state.has(PortState::EXPIRED));
            assert_eq!(net.systems[0].collecting(), 0);
            net
        },
    ),
    (
        &[
            "RX_PARTNER_MOVED",
            "PT_LINK_DOWN",
            "PC_LINK_DOWN",
            "AC_LINK_DOWN",
        ],
        || {
            // The cable is pulled here and put into another port.
            let mut net = settled(1);
            net.add(0, 1, port(0, 1));
            net.pull((0, 0));
            assert!(net.at((0, 0)).has_partner());
            net.plug((0, 1), (1, 0));
            net.run(4 * SECOND);
            assert!(!net.at((0, 0)).has_partner());
            assert_eq!(net.distributing(0), 0b10);
            net
        },
    ),
    (&["PT_BOTH_PASSIVE"], || {
        let mut net = alone(passive(0), 1);
        Partner::of(&net, 0, 0x06).say(&mut net, 0);
        let sent = |net: &Net| net.at((0, 0)).counters().get(lacp::Counter::LacpdusTx);
        assert_eq!(sent(&net), 0);
        // An active one gets its answer at once.
        Partner::of(&net, 0, 0x07).say(&mut net, 0);
        assert_eq!(sent(&net), 1);
        Partner::of(&net, 0, 0x06).say(&mut net, 0);
        net
    }),
    (&["PT_FAST_DUE", "PT_FAST_AGAIN"], || {
        let mut net = alone(config(0), 1);
        net.run(2 * SECOND);
        net
    }),
    (
        &["PT_SLOWER", "PT_SLOW_DUE", "PT_SLOW_AGAIN", "PT_FASTER"],
        || {
            let mut net = Net::pair([slow(0), slow(1)], 1, 0);
            net.run(65 * SECOND);
            let sent = net.at((0, 0)).counters().get(lacp::Counter::LacpdusTx);
            net.act(1, |it, now, out| it.set_timeout(now, Timeout::Short, out));
            net.run(10 * SECOND);
            let more = net.at((0, 0)).counters().get(lacp::Counter::LacpdusTx) - sent;
            assert!((10..=12).contains(&more), "{more}");
            net
        },
    ),
    (
        &[
            "SEL_PUT_BY",
            "SEL_PROMOTE",
            "MUX_SELECTED",
            "MUX_READY",
            "AC_IN_TIME",
        ],
        || settled(1),
    ),
    (&["SEL_SELECT"], || settled(2)),
    (&["MUX_PUT_BY", "AC_TOO_LONG"], || {
        // A second partner is held in STANDBY.
        let mut net = two_partners();
        net.run(60 * SECOND);
        let standby = net.at((0, 1));
        assert_eq!(standby.selected(), Selected::Standby);
        assert!(standby.has_partner());
        assert!(!standby.actor().state.has(SYNC));
        assert_eq!(net.systems[2].distributing(), 0, "its partner is told");
        net
    }),
    (&["AC_SETTLED", "MUX_TO_STANDBY", "SEL_DEMOTE"], || {
        // The first partner goes, the second has its turn.
        let mut net = two_partners();
        net.run(60 * SECOND);
        net.pull((0, 0));
        net.run(SECOND);
        assert_eq!(net.distributing(0), 0b10);
        net
    }),
    (
        &[
            "MUX_DISTRIBUTING_STANDBY",
            "MUX_COLLECTING_STANDBY",
            "AC_OUT_OF_SYNC",
        ],
        || {
            // One place, and a port with a lower number comes.
            let one = SystemConfig {
                max_links: 1,
                ..config(0)
            };
            let mut net = Net::new(&[one, config(1)], 0);
            for slot in 0..2 {
                net.add(0, slot, port(0, slot));
                net.add(1, slot, port(1, slot));
            }
            net.plug((0, 1), (1, 1));
            net.run(4 * SECOND);
            assert_eq!(net.distributing(0), 0b10);
            net.plug((0, 0), (1, 0));
            net.run(4 * SECOND);
            assert_eq!(net.distributing(0), 0b01);
            net
        },
    ),
    (&["MUX_GIVEN_UP"], || {
        // A port that waits in STANDBY gets another partner.
        let mut net = two_partners();
        let other = Partner::of(&net, 1, state(SYNC));
        other.say(&mut net, 1);
        assert_eq!(net.at((0, 1)).partner().system, id(9));
        net
    }),
    (&["SEL_SELECTED_LOST", "SEL_STANDBY_LOST"], || {
        // Partners that call themselves what the administrative values say: the receive
        // machine sees no change when they fall silent. A strict system has to.
        let mut net = alone(strict(0), 2);
        for slot in 0..2 {
            let mut nobody = Partner::of(&net, slot, 0x0b);
            let state = nobody.actor.state;
            nobody.actor = PortInformation {
                state,
                ..PortInformation::default()
            };
            nobody.say(&mut net, slot);
        }
        net.run(2 * SECOND);
        assert_eq!(net.at((0, 0)).selected(), Selected::Selected);
        assert_eq!(net.at((0, 1)).selected(), Selected::Standby);
        net.run(10 * SECOND);
        assert_eq!(net.distributing(0), 0);
        net
    }),
    (
        &[
            "MUX_UNSELECTED",
            "MUX_DISTRIBUTING_UNSELECTED",
            "MUX_COLLECTING_UNSELECTED",
        ],
        || {
            // Another partner at the other end.
            let mut net = with_partner();
            let mut other = Partner::of(&net, 0, state(ALL));
            other.actor.key = 6;
            other.say(&mut net, 0);
            assert_eq!(net.distributing(0), 0);
            net
        },
    ),
    (
        &[
            "MUX_PARTNER_IN_SYNC",
            "MUX_PARTNER_COLLECTS",
            "MUX_PARTNER_STOPPED_COLLECTING",
        ],
        || {
            let mut net = with_partner();
            Partner::of(&net, 0, state(SYNC)).say(&mut net, 0);
            assert_eq!((net.distributing(0), net.systems[0].collecting()), (0, 1));
            Partner::of(&net, 0, state(SYNC_COLLECTING)).say(&mut net, 0);
            assert_eq!(net.distributing(0), 1);
            net
        },
    ),
    (&["TX_TOO_SOON", "TX_HELD_LONG_ENOUGH"], || {
        let mut net = alone(config(0), 1);
        for key in 0..8 {
            let mut partner = Partner::of(&net, 0, state(SYNC));
            partner.partner.key = 1000 + key;
            partner.say(&mut net, 0);
        }
        let sent = |net: &Net| net.at((0, 0)).counters().get(lacp::Counter::LacpdusTx);
        assert_eq!(sent(&net), 3);
        net.run(SECOND);
        assert_eq!(sent(&net), 4);
        net
    }),
    (&["TX_NOBODY_THERE"], || {
        let mut net = alone(config(0), 1);
        for _ in 0..4 {
            let mut partner = Partner::of(&net, 0, state(SYNC));
            partner.partner.key = 1000;
            partner.say(&mut net, 0);
        }
        net.link((0, 0), false);
        net
    }),
    (&["PC_TOO_LONG", "PC_SETTLED", "PC_OUT_OF_SYNC"], || {
        let mut net = alone(config(0), 1);
        for _ in 0..61 {
            Partner::of(&net, 0, state(PortState(0))).say(&mut net, 0);
            net.run(SECOND);
        }
        let churn = |churn| Output::Churn {
            port: 0,
            partner: true,
            churn,
        };
        assert!(net.outputs.iter().any(|it| it.2 == churn(true)));
        Partner::of(&net, 0, state(SYNC)).say(&mut net, 0);
        assert!(net.outputs.iter().any(|it| it.2 == churn(false)));
        Partner::of(&net, 0, state(PortState(0))).say(&mut net, 0);
        net
    }),
    (
        &[
            "MR_MARKER",
            "MR_ANSWERED",
            "MG_REQUESTED",
            "MG_SENT",
            "MG_ANSWERED",
            "MG_DONE",
        ],
        || {
            let mut net = settled(1);
            let transaction = net
                .act(0, |it, now, out| it.request_marker(now, 0, out))
                .expect("a link");
            net.run(10 * MILLISECOND);
            assert_eq!(marker_ends(&net), [(transaction, MarkerEnd::Answered)]);
            let counters = net.at((1, 0)).counters();
            assert_eq!(counters.get(lacp::Counter::MarkerPdusRx), 1);
            assert_eq!(counters.get(lacp::Counter::MarkerResponsePdusTx), 1);
            net
        },
    ),
    (&["MG_AGAIN", "MG_TOO_LATE", "MG_LOST"], || {
        let mut net = settled(1);
        net.mute((0, 0));
        let transaction = net
            .act(0, |it, now, out| it.request_marker(now, 0, out))
            .expect("a link");
        net.run(SECOND);
        assert_eq!(marker_ends(&net), [(transaction, MarkerEnd::Lost)]);
        let sent = net.at((0, 0)).counters().get(lacp::Counter::MarkerPdusTx);
        assert_eq!(sent, 3);
        net
    }),
    (&["MG_LINK_DOWN", "MG_ABANDONED"], || {
        let mut net = settled(1);
        net.mute((0, 0));
        let transaction = net
            .act(0, |it, now, out| it.request_marker(now, 0, out))
            .expect("a link");
        net.link((0, 0), false);
        assert_eq!(marker_ends(&net), [(transaction, MarkerEnd::Abandoned)]);
        net
    }),
];

fn marker_ends(net: &Net) -> Vec<(u32, MarkerEnd)> {
    let end = |(_, _, output): &(u64, usize, Output)| match output {
        Output::Marker {
            transaction, end, ..
        } => Some((*transaction, *end)),
        _ => None,
    };
    net.outputs.iter().filter_map(end).collect()
}

/// All states, written down a second time.
const STATES: &[(MachineId, &[&str])] = &[
    (
        MachineId::Receive,
        &[
            "INITIALIZE",
            "PORT_DISABLED",
            "EXPIRED",
            "LACP_DISABLED",
            "DEFAULTED",
            "CURRENT",
        ],
    ),
    (
        MachineId::Periodic,
        &[
            "NO_PERIODIC",
            "FAST_PERIODIC",
            "SLOW_PERIODIC",
            "PERIODIC_TX",
        ],
    ),
    (MachineId::Selection, &["UNSELECTED", "STANDBY", "SELECTED"]),
    (
        MachineId::Mux,
        &[
            "DETACHED",
            "WAITING",
            "ATTACHED",
            "COLLECTING",
            "DISTRIBUTING",
        ],
    ),
    (
        MachineId::Transmit,
        &[
            "TRANSMIT_OFF",
            "TRANSMIT_IDLE",
            "TRANSMIT_LACPDU",
            "TRANSMIT_HOLD",
        ],
    ),
    (
        MachineId::ActorChurn,
        &["ACTOR_CHURN_MONITOR", "NO_ACTOR_CHURN", "ACTOR_CHURN"],
    ),
    (
        MachineId::PartnerChurn,
        &["PARTNER_CHURN_MONITOR", "NO_PARTNER_CHURN", "PARTNER_CHURN"],
    ),
    (
        MachineId::Responder,
        &["WAIT_FOR_MARKER", "RESPOND_TO_MARKER"],
    ),
    (
        MachineId::Generator,
        &[
            "GENERATOR_IDLE",
            "SEND_MARKER",
            "AWAIT_RESPONSE",
            "MARKER_ANSWERED",
            "MARKER_LOST",
            "MARKER_ABANDONED",
        ],
    ),
];

#[test]
fn every_state_is_named_and_entered() {
    let mut entered = BTreeSet::new();
    for (_, case) in CASES {
        entered.extend(case().covered.into_iter().filter_map(|(machine, name)| {
            let number = machine.transitions().position(|it| it == name)?;
            Some((machine, machine.target(number)?))
        }));
    }
    let of = |(machine, names): &(MachineId, &'static [&'static str])| {
        let machine = *machine;
        names.iter().map(move |name| (machine, *name))
    };
    let named: BTreeSet<_> = STATES.iter().flat_map(of).collect();
    let states = |machine: MachineId| machine.states().map(move |name| (machine, name));
    let all: BTreeSet<_> = MACHINES.into_iter().flat_map(states).collect();
    assert_eq!(named, all);
    assert_eq!(entered, all);
}

#[test]
fn every_transition_is_named_by_a_case_and_taken_by_it() {
    let mut named = BTreeSet::new();
    let mut missed = Vec::new();
    for (names, case) in CASES {
        let net = case();
        for name in *names {
            named.insert(*name);
            if !net.covered.iter().any(|(_, covered)| covered == name) {
                missed.push(*name);
            }
        }
    }
    let all: BTreeSet<_> = transitions().into_iter().map(|(_, name)| name).collect();
    let unnamed: Vec<_> = all.difference(&named).collect();
    let unknown: Vec<_> = named.difference(&all).collect();
    assert!(missed.is_empty(), "not taken by their case: {missed:?}");
    assert!(unnamed.is_empty(), "without a case: {unnamed:?}");
    assert!(unknown.is_empty(), "in no table: {unknown:?}");
}

/// What holds for every table, whatever it says.
fn is_sound<S: Copy + Eq + std::fmt::Debug>(machine: &Machine<S>) {
    let of = machine.id.name();
    let mut reached: Vec<S> = machine
        .states
        .first()
        .map(|row| row.state)
        .into_iter()
        .collect();
    for _ in machine.states {
        for row in machine.transitions {
            let starts = match row.from {
                From::Any => true,
                From::State(state) => reached.contains(&state),
            };
            if starts && !reached.contains(&row.to) {
                reached.push(row.to);
            }
        }
    }
    for row in machine.states {
        assert!(
            reached.contains(&row.state),
            "{of}: {} is never reached",
            row.name
        );
        let rows = machine.transitions.iter();
        let exits = rows.filter(|it| it.from == From::State(row.state));
        let exits: Vec<_> = exits.collect();
        // UCT leaves no room for another exit behind it.
        let uct = exits.iter().position(|it| it.when.is_empty());
        assert!(
            uct.is_none_or(|at| at + 1 == exits.len()),
            "{of}: {}",
            row.name
        );
        // Who waits for a timer has started it; who starts one waits for it.
        let starts = row.entry.iter().find_map(|action| match action {
            Action::Start(timer, _) => Some(*timer),
            _ => None,
        });
        assert!(
            starts.is_none() || starts == machine.timer,
            "{of}: {}",
            row.name
        );
        for exit in &exits {
            for condition in exit.when {
                if let Condition::Expired(timer) = condition {
                    assert_eq!(starts, Some(*timer), "{of}: {}", exit.name);
                }
            }
        }
    }
    let firsts = machine
        .transitions
        .iter()
        .take_while(|it| it.from == From::Any);
    let any = machine.transitions.iter().filter(|it| it.from == From::Any);
    assert_eq!(
        firsts.count(),
        any.count(),
        "{of}: transitions from any state come first"
    );
}

#[test]
fn the_tables_are_sound() {
    is_sound(&RECEIVE);
    is_sound(&PERIODIC);
    is_sound(&SELECTION);
    is_sound(&MUX);
    is_sound(&TRANSMIT);
    is_sound(&ACTOR_CHURN);
    is_sound(&PARTNER_CHURN);
    is_sound(&RESPONDER);
    is_sound(&GENERATOR);
    let names: Vec<_> = MACHINES
        .into_iter()
        .flat_map(MachineId::transitions)
        .collect();
    let distinct: BTreeSet<_> = names.iter().collect();
    assert_eq!(names.len(), distinct.len(), "each name once");
}

#[test]
fn the_docs_print_every_state_transition_and_rule() {
    let mut text = String::new();
    lacp::table::markdown(&mut text).expect("a string takes all");
    for machine in MACHINES {
        assert!(text.contains(&format!("## {} (6.", machine.name())));
        for name in machine.states() {
            assert!(text.contains(&format!("| {name} | ")), "{name}");
        }
        for name in machine.transitions() {
            assert!(text.contains(&format!("| {name} | ")), "{name}");
        }
    }
    for rule in RULES {
        assert!(text.contains(&format!("| {} | {} | ", rule.name, rule.clause)));
    }
    // A bar would be a column too many.
    for line in text.lines().filter(|line| line.starts_with('|')) {
        assert!([3, 4, 6].contains(&line.matches('|').count()), "{line}");
    }
}

/// A diagram: from, when, to.
type Diagram = &'static [(&'static str, &'static str, &'static str)];

/// What the diagrams of the standard say, written down a second time by hand: state,
/// condition as the standard spells it, next state.
const STANDARD: &[(MachineId, Diagram)] = &[
    (
        MachineId::Receive,
        &[
            ("any", "BEGIN == TRUE", "INITIALIZE"),
            (
                "any",
                "port_enabled == FALSE and port_moved == FALSE",
                "PORT_DISABLED",
            ),
            ("INITIALIZE", "UCT", "PORT_DISABLED"),
            ("PORT_DISABLED", "port_moved == TRUE", "INITIALIZE"),
            (
                "PORT_DISABLED",
                "port_enabled == TRUE and LACP_Enabled == TRUE",
                "EXPIRED",
            ),
            (
                "PORT_DISABLED",
                "port_enabled == TRUE and LACP_Enabled == FALSE",
                "LACP_DISABLED",
            ),
            (
                "EXPIRED",
                "CtrlMuxN:M_UNITDATA.indication(LACPDU)",
                "CURRENT",
            ),
            ("EXPIRED", "current_while_timer expired", "DEFAULTED"),
            ("LACP_DISABLED", "LACP_Enabled == TRUE", "PORT_DISABLED"),
            (
                "DEFAULTED",
                "CtrlMuxN:M_UNITDATA.indication(LACPDU)",
                "CURRENT",
            ),
            (
                "CURRENT",
                "CtrlMuxN:M_UNITDATA.indication(LACPDU)",
                "CURRENT",
            ),
            ("CURRENT", "current_while_timer expired", "EXPIRED"),
        ],
    ),
    (
        MachineId::Mux,
        &[
            ("any", "BEGIN == TRUE", "DETACHED"),
            ("DETACHED", "Selected == SELECTED", "WAITING"),
            ("DETACHED", "Selected == STANDBY", "WAITING"),
            ("WAITING", "Selected == UNSELECTED", "DETACHED"),
            (
                "WAITING",
                "Selected == SELECTED and Ready == TRUE",
                "ATTACHED",
            ),
            ("ATTACHED", "Selected == UNSELECTED", "DETACHED"),
            ("ATTACHED", "Selected == STANDBY", "DETACHED"),
            (
                "ATTACHED",
                "Selected == SELECTED and Partner_Oper_Port_State.Synchronization == TRUE",
                "COLLECTING",
            ),
            ("COLLECTING", "Selected == UNSELECTED", "ATTACHED"),
            ("COLLECTING", "Selected == STANDBY", "ATTACHED"),
            (
                "COLLECTING",
                "Partner_Oper_Port_State.Synchronization == FALSE",
                "ATTACHED",
            ),
            (
                "COLLECTING",
                "Selected == SELECTED and Partner_Oper_Port_State.Synchronization == TRUE and \
                 Partner_Oper_Port_State.Collecting == TRUE",
                "DISTRIBUTING",
            ),
            ("DISTRIBUTING", "Selected == UNSELECTED", "COLLECTING"),
            ("DISTRIBUTING", "Selected == STANDBY", "COLLECTING"),
            (
                "DISTRIBUTING",
                "Partner_Oper_Port_State.Synchronization == FALSE",
                "COLLECTING",
            ),
            (
                "DISTRIBUTING",
                "Partner_Oper_Port_State.Collecting == FALSE",
                "COLLECTING",
            ),
        ],
    ),
    (
        MachineId::ActorChurn,
        &[
            ("any", "BEGIN == TRUE", "ACTOR_CHURN_MONITOR"),
            ("any", "port_enabled == FALSE", "ACTOR_CHURN_MONITOR"),
            (
                "ACTOR_CHURN_MONITOR",
                "Actor_Oper_Port_State.Synchronization == TRUE",
                "NO_ACTOR_CHURN",
            ),
            (
                "ACTOR_CHURN_MONITOR",
                "actor_churn_timer expired",
                "ACTOR_CHURN",
            ),
            (
                "NO_ACTOR_CHURN",
                "Actor_Oper_Port_State.Synchronization == FALSE",
                "ACTOR_CHURN_MONITOR",
            ),
            (
                "ACTOR_CHURN",
                "Actor_Oper_Port_State.Synchronization == TRUE",
                "NO_ACTOR_CHURN",
            ),
        ],
    ),
    (
        MachineId::PartnerChurn,
        &[
            ("any", "BEGIN == TRUE", "PARTNER_CHURN_MONITOR"),
            ("any", "port_enabled == FALSE", "PARTNER_CHURN_MONITOR"),
            (
                "PARTNER_CHURN_MONITOR",
                "Partner_Oper_Port_State.Synchronization == TRUE",
                "NO_PARTNER_CHURN",
            ),
            (
                "PARTNER_CHURN_MONITOR",
                "partner_churn_timer expired",
                "PARTNER_CHURN",
            ),
            (
                "NO_PARTNER_CHURN",
                "Partner_Oper_Port_State.Synchronization == FALSE",
                "PARTNER_CHURN_MONITOR",
            ),
            (
                "PARTNER_CHURN",
                "Partner_Oper_Port_State.Synchronization == TRUE",
                "NO_PARTNER_CHURN",
            ),
        ],
    ),
    (
        MachineId::Periodic,
        &[
            ("any", "BEGIN == TRUE", "NO_PERIODIC"),
            ("any", "LACP_Enabled == FALSE", "NO_PERIODIC"),
            ("any", "port_enabled == FALSE", "NO_PERIODIC"),
            (
                "any",
                "Actor_Oper_Port_State.LACP_Activity == FALSE && \
                 Partner_Oper_Port_State.LACP_Activity == FALSE",
                "NO_PERIODIC",
            ),
            ("NO_PERIODIC", "UCT", "FAST_PERIODIC"),
            (
                "FAST_PERIODIC",
                "Partner_Oper_Port_State.LACP_Timeout == Long Timeout",
                "SLOW_PERIODIC",
            ),
            ("FAST_PERIODIC", "periodic_timer expired", "PERIODIC_TX"),
            (
                "SLOW_PERIODIC",
                "Partner_Oper_Port_State.LACP_Timeout == Short Timeout",
                "PERIODIC_TX",
            ),
            ("SLOW_PERIODIC", "periodic_timer expired", "PERIODIC_TX"),
            (
                "PERIODIC_TX",
                "Partner_Oper_Port_State.LACP_Timeout == Short Timeout",
                "FAST_PERIODIC",
            ),
            (
                "PERIODIC_TX",
                "Partner_Oper_Port_State.LACP_Timeout == Long Timeout",
                "SLOW_PERIODIC",
            ),
        ],
    ),
];

#[test]
fn the_tables_say_what_the_diagrams_of_the_standard_say() {
    for (machine, rows) in STANDARD {
        let mut text = String::new();
        machine.markdown(&mut text).expect("a string takes all");
        let printed: BTreeSet<(String, String, String)> = text
            .lines()
            .filter(|line| line.matches('|').count() == 6 && !line.starts_with("|-"))
            .filter(|line| !line.starts_with("| Transition "))
            .map(|line| {
                let mut cells = line.split(" | ").skip(1).map(str::to_owned);
                let mut cell = || cells.next().expect("five cells");
                (cell(), cell(), cell())
            })
            .collect();
        let expected: BTreeSet<_> = rows
            .iter()
            .map(|(from, when, to)| ((*from).to_owned(), (*when).to_owned(), (*to).to_owned()))
            .collect();
        assert_eq!(printed, expected, "{}", machine.name());
    }
}
