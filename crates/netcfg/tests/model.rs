//! The decisions on a model of a machine: what plans do, that every call may fail, that
//! nothing is left behind.

mod common;

use common::{DRIVERS, Machine, adapter};
use netcfg::decide::{self, Mode};
use netcfg::plan::{Lower, Miniport, Selector};
use netcfg::{
    Answer, Binding, Class, Code, Component, Driver, Guid, Kind, Plan, Topology, Value, carry_out,
    device_name, differences,
};
use proptest::prelude::*;

const ADAPTERS: u8 = 4;

/// The plan's text for `adapters` (by number), with `ports` miniports each where the
/// topology has so many.
fn plan(driver: &Driver<'_>, adapters: &[u8], ports: usize) -> Plan {
    let mut plan = Plan {
        accept: vec![Code::OnlyAdapter],
        ..Plan::empty(driver)
    };
    for number in adapters {
        let names: Vec<String> = match driver.topology {
            Topology::OneToOne => vec![format!("P{number}")],
            Topology::OneToMany => (0..ports).map(|p| format!("P{number}.{p}")).collect(),
            Topology::ManyToOne => vec!["Team".to_owned()],
        };
        for name in &names {
            if !plan.miniports.iter().any(|m| m.name == *name) {
                let value = Value::Text(format!("of {name} in {ports}"));
                plan.miniports.push(Miniport {
                    name: name.clone(),
                    values: [("V".to_owned(), value)].into(),
                });
            }
        }
        plan.adapters.push(Lower {
            adapter: match number % 3 {
                0 => Selector::Guid(Guid(0xA000 + u128::from(*number))),
                1 => Selector::Mac(netcfg::Mac([2, 0, 0, 0, 0, *number])),
                _ => Selector::Location(netcfg::Location {
                    bus: 0,
                    device: u16::from(*number),
                    function: 0,
                }),
            },
            miniports: names,
            values: [("Mode".to_owned(), Value::Number(ports as u32))].into(),
        });
    }
    plan
}

fn apply(machine: &mut Machine, plan: &Plan) {
    let own = machine.own;
    let ops = decide::plan(&machine.state, plan, &own, Mode::Strict).unwrap();
    let made = decide::present(&machine.state);
    carry_out(machine, &made, &ops).unwrap();
}

/// What has to hold of a machine on which `plan` was applied.
fn check(machine: &Machine, plan: &Plan) {
    let (state, own) = (&machine.state, &machine.own);
    let record = state.record.clone().unwrap_or_default();
    let made = state.adapters.iter().filter(|a| a.own).count();
    assert_eq!(made, plan.miniports.len());
    assert_eq!(record.miniports.len(), plan.miniports.len());
    for adapter in &state.adapters {
        let enabled = |id: &str| state.binding(id, adapter.guid) == Some(true);
        match plan.lower(adapter) {
            Some(lower) => {
                assert!(enabled(own.protocol) && !enabled("ms_tcpip") && !enabled("ms_tcpip6"));
                let guids = lower.miniports.iter().map(|name| {
                    let found = record.miniports.iter().find(|m| m.name == *name);
                    device_name(found.unwrap().guid)
                });
                let list = Value::List(guids.collect());
                assert_eq!(adapter.below.get("UpperBindings"), Some(&list));
                assert_eq!(adapter.below.get("Mode"), lower.values.get("Mode"));
            }
            None if adapter.own => assert!(!enabled(own.protocol) && enabled("ms_tcpip")),
            None => {
                assert!(!enabled(own.protocol) && enabled("ms_tcpip"));
                // The second one had none before.
                assert_eq!(enabled("ms_tcpip6"), adapter.guid != Guid(0xA002));
                assert!(adapter.below.is_empty());
            }
        }
        assert!(enabled("ms_pacer"), "filters stay");
    }
    for made in &record.miniports {
        let wanted = &plan
            .miniports
            .iter()
            .find(|m| m.name == made.name)
            .unwrap()
            .values;
        assert_eq!(machine.miniport_values.get(&made.guid), Some(wanted));
    }
}

#[test]
fn each_topology_gets_its_shape() {
    for own in DRIVERS {
        let mut machine = Machine::new(own, ADAPTERS);
        let plan = plan(&own, &[1, 2, 3], 3);
        apply(&mut machine, &plan);
        check(&machine, &plan);
        let lists: Vec<_> = (1..=3)
            .map(|n| {
                machine
                    .state
                    .adapter(Guid(0xA000 + n))
                    .unwrap()
                    .upper_bindings()
            })
            .collect();
        match own.topology {
            Topology::OneToOne => {
                assert!(lists.iter().all(|l| l.len() == 1) && lists[0] != lists[1]);
            }
            Topology::OneToMany => {
                assert!(lists.iter().all(|l| l.len() == 3) && lists[0] != lists[1]);
            }
            Topology::ManyToOne => assert!(lists.iter().all(|l| l.len() == 1 && *l == lists[0])),
        }
        // A second time there is nothing to do.
        assert_eq!(
            decide::plan(&machine.state, &plan, &own, Mode::Strict),
            Ok(Vec::new())
        );
    }
}

#[test]
fn what_was_applied_goes_without_a_trace() {
    for own in DRIVERS {
        let mut machine = Machine::new(own, ADAPTERS);
        let before = machine.state.clone();
        assert_eq!(decide::removal(&before, &own), []);
        apply(&mut machine, &plan(&own, &[1, 2], 2));
        assert_ne!(differences(&before, &machine.state), []);
        let ops = decide::removal(&machine.state, &own);
        let made = decide::present(&machine.state);
        carry_out(&mut machine, &made, &ops).unwrap();
        assert_eq!(differences(&before, &machine.state), []);
        assert_eq!(machine.state, before);
        assert!(machine.miniport_values.is_empty());
        // The empty plan of a person does the same.
        apply(&mut machine, &plan(&own, &[2, 4], 1));
        apply(&mut machine, &plan(&own, &[], 0));
        assert_eq!(machine.state, before);
    }
}

#[test]
fn every_call_that_fails_leaves_the_old_state() {
    for own in DRIVERS {
        for (first, second) in [
            (&[][..], &[1, 2][..]),
            (&[1, 2], &[2, 3]),
            (&[1, 2, 3], &[]),
        ] {
            let mut at = 0;
            loop {
                at += 1;
                let mut machine = Machine::new(own, ADAPTERS);
                apply(&mut machine, &plan(&own, first, 2));
                let before = machine.picture();
                let plan = plan(&own, second, 3);
                let ops = decide::plan(&machine.state, &plan, &own, Mode::Strict).unwrap();
                let made = decide::present(&machine.state);
                (machine.calls, machine.fails_at) = (0, Some(at));
                match carry_out(&mut machine, &made, &ops) {
                    Ok(_) => break,
                    Err(failure) => {
                        assert_eq!(failure.left, Vec::<String>::new(), "{}", failure.text);
                    }
                }
                assert_eq!(
                    machine.picture(),
                    before,
                    "{} {first:?} to {second:?}, call {at}",
                    own.name
                );
            }
            assert!(at > 10, "{at} calls");
        }
    }
}

#[test]
fn a_failing_undo_is_told() {
    let own = DRIVERS[0];
    let mut machine = Machine::new(own, 2);
    let ops = decide::plan(&machine.state, &plan(&own, &[1], 1), &own, Mode::Strict).unwrap();
    let mut journal = carry_out(&mut machine, &[], &ops).unwrap();
    (machine.calls, machine.fails_at) = (0, Some(1));
    let left = journal.undo(&mut machine);
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_text_is_a_list_of_one_and_comes_back_as_a_text() {
    let own = DRIVERS[0];
    let mut machine = Machine::new(own, 2);
    apply(&mut machine, &plan(&own, &[1], 1));
    // Somebody has written it as REG_SZ.
    let guid = machine.state.record.as_ref().unwrap().miniports[0].guid;
    let text = Value::Text(device_name(guid));
    machine.state.adapters[0]
        .below
        .insert("UpperBindings".to_owned(), text.clone());
    assert_eq!(
        machine.state.adapters[0].upper_bindings(),
        [device_name(guid)]
    );
    let before = machine.state.clone();
    let ops = decide::plan(&before, &plan(&own, &[1], 1), &own, Mode::Strict).unwrap();
    assert_eq!(ops.len(), 1, "{ops:?}");
    let made = decide::present(&before);
    let mut journal = carry_out(&mut machine, &made, &ops).unwrap();
    assert_eq!(
        machine.state.adapters[0].below["UpperBindings"],
        Value::List(vec![device_name(guid)])
    );
    assert_eq!(journal.undo(&mut machine), Vec::<String>::new());
    assert_eq!(machine.state, before);
}

#[test]
fn a_long_list_goes_on_in_further_values() {
    let own = DRIVERS[1];
    let mut machine = Machine::new(own, 2);
    apply(&mut machine, &plan(&own, &[1], 1500));
    let below = &machine.state.adapters[0].below;
    let lengths =
        ["UpperBindings", "UpperBindings2", "UpperBindings3"].map(|n| below[n].list().len());
    assert_eq!(lengths, [697, 697, 106]);
    assert_eq!(machine.state.adapters[0].upper_bindings().len(), 1500);
    apply(&mut machine, &plan(&own, &[1], 2));
    assert!(
        !machine.state.adapters[0]
            .below
            .contains_key("UpperBindings2")
    );
}

#[test]
fn reasons_against_a_plan() {
    let own = DRIVERS[0];
    let codes = |machine: &Machine, plan: &Plan| -> Vec<Code> {
        let reasons = decide::plan(&machine.state, plan, &own, Mode::Strict)
            .err()
            .unwrap_or_default();
        reasons.iter().map(|r| r.code).collect()
    };
    let plain = |adapters: &[u8]| Plan {
        accept: Vec::new(),
        ..plan(&own, adapters, 1)
    };
    let mut machine = Machine::new(own, 2);
    assert_eq!(codes(&machine, &plain(&[9])), [Code::AdapterUnknown]);
    assert_eq!(codes(&machine, &plain(&[1, 2])), [Code::OnlyAdapter]);
    assert_eq!(codes(&machine, &plan(&own, &[1, 2], 1)), []);
    assert_eq!(codes(&machine, &plain(&[1])), []);
    for (kind, code) in [
        (Kind::Wifi, Code::Wifi),
        (Kind::HyperV, Code::HyperV),
        (Kind::Virtual, Code::VirtualAdapter),
        (Kind::Other, Code::NotEthernet),
    ] {
        machine.state.adapters[0].kind = kind;
        assert_eq!(codes(&machine, &plain(&[1])), [code]);
        let accepting = Plan {
            accept: vec![code],
            ..plain(&[1])
        };
        let expected: &[Code] = match kind {
            Kind::Wifi | Kind::Other => &[Code::PlanValue],
            _ => &[],
        };
        assert_eq!(codes(&machine, &accepting), expected);
    }
    machine = Machine::new(own, 2);
    machine.state.adapters[0].problem = 22;
    assert_eq!(codes(&machine, &plain(&[1])), [Code::NotWorking]);
    machine = Machine::new(own, 2);
    for owner in ["ms_bridge", "RustIM_Mux"] {
        machine.state.bindings[0] = Binding {
            component: owner.to_owned(),
            adapter: Guid(0xA001),
            enabled: true,
        };
        assert_eq!(codes(&machine, &plain(&[1])), [Code::InUse], "{owner}");
    }
    machine = Machine::new(own, 3);
    machine.state.adapters[1].mac = machine.state.adapters[0].mac;
    assert_eq!(codes(&machine, &plain(&[1])), [Code::AdapterAmbiguous]);
    machine = Machine::new(own, 3);
    let mut twice = plain(&[1, 2]);
    twice.adapters[1].adapter = Selector::Guid(Guid(0xA001));
    assert_eq!(codes(&machine, &twice), [Code::AdapterTwice]);
    apply(&mut machine, &plain(&[1]));
    let guid = machine.state.record.as_ref().unwrap().miniports[0].guid;
    let mut own_miniport = plain(&[1]);
    own_miniport.adapters[0].adapter = Selector::Guid(guid);
    assert_eq!(codes(&machine, &own_miniport), [Code::OwnMiniport]);
}

#[test]
fn plans_from_outside() {
    let codes = |driver: usize, text: &str| -> Vec<Code> {
        let reasons = Plan::read(text.as_bytes(), &DRIVERS[driver])
            .err()
            .unwrap_or_default();
        reasons.iter().map(|r| r.code).collect()
    };
    let good = r#"{"format":1,"driver":"mux","miniports":[{"name":"a","values":{"VlanID":"10"}},{"name":"b"}],
        "adapters":[{"adapter":"pci:0:3.0","miniports":["a","b"],"values":{"Mode":2}}]}"#;
    assert_eq!(codes(1, good), []);
    assert_eq!(codes(1, &format!("\u{feff}{good}")), []);
    assert_eq!(
        Plan::read(good.as_bytes(), &DRIVERS[1])
            .unwrap()
            .confirm_within,
        120
    );
    // Two miniports on one adapter, one of them on none that passthrough can have.
    assert_eq!(
        codes(0, &good.replace("mux", "passthrough")),
        [Code::PlanTopology]
    );
    for (old, new, code) in [
        ("{", "[", Code::PlanSyntax),
        ("pci:0:3.0", "eth0", Code::PlanSyntax),
        ("\"Mode\":2", "\"Mode\":2.5", Code::PlanSyntax),
        ("\"Mode\":2", "\"Mode\":4294967296", Code::PlanSyntax),
        ("format\"", "formats\"", Code::PlanSyntax),
        (":1,", ":2,", Code::PlanDriver),
        ("mux", "lbfo2", Code::PlanDriver),
        ("VlanID", "NetCfgInstanceId", Code::PlanValue),
        ("Mode", "upperbindings3", Code::PlanValue),
        ("Mode", "Mo\\\\de", Code::PlanValue),
        ("\"10\"", "\"1\\u00000\"", Code::PlanValue),
        ("\"10\"", "[\"\"]", Code::PlanValue),
        ("\"a\",\"b\"]", "\"a\"]", Code::PlanTopology),
        ("\"a\",\"b\"]", "\"a\",\"b\",\"c\"]", Code::PlanTopology),
        ("\"a\",\"b\"]", "\"a\",\"b\",\"a\"]", Code::PlanTopology),
    ] {
        assert_eq!(codes(1, &good.replacen(old, new, 1)), [code], "{old} {new}");
    }
    assert_eq!(codes(1, &"[".repeat(1 << 19)), [Code::PlanSyntax]);
    assert_eq!(codes(1, &" ".repeat((1 << 20) + 1)), [Code::PlanSyntax]);
}

#[test]
fn answers_to_new_bindings() {
    let own = DRIVERS[2];
    let mut machine = Machine::new(own, 3);
    let ask = |machine: &Machine, component: &str, filter, guid| {
        let adapter = machine.state.adapter(guid).unwrap();
        decide::asked(
            &own,
            machine.state.record.as_ref(),
            component,
            filter,
            adapter,
        )
    };
    let below = Guid(0xA001);
    // Installing changes nothing: without a plan our own bindings stay disabled.
    assert_eq!(ask(&machine, "RustIM_Lbfo", false, below), Answer::Disable);
    assert_eq!(ask(&machine, "ms_tcpip", false, below), Answer::Keep);
    apply(&mut machine, &plan(&own, &[1, 2], 1));
    assert_eq!(ask(&machine, "RustIM_Lbfo", false, below), Answer::Keep);
    assert_eq!(
        ask(&machine, "RustIM_Lbfo", false, Guid(0xA003)),
        Answer::Disable
    );
    assert_eq!(
        ask(&machine, "insecure_npcap", false, below),
        Answer::Disable
    );
    assert_eq!(ask(&machine, "ms_wfplwf", true, below), Answer::Keep);
    let miniport = machine.state.record.as_ref().unwrap().miniports[0].guid;
    assert_eq!(
        ask(&machine, "rustim_lbfo", false, miniport),
        Answer::Disable
    );
    assert_eq!(ask(&machine, "ms_tcpip", false, miniport), Answer::Keep);
}

#[test]
fn adapters_come_and_go() {
    for own in DRIVERS {
        let mut machine = Machine::new(own, 3);
        let plan = plan(&own, &[1, 2], 2);
        apply(&mut machine, &plan);
        let full = machine.picture();
        let miniports = machine.state.record.as_ref().unwrap().miniports.len();
        // The second is pulled out.
        let gone = machine.state.adapters.remove(1);
        assert_eq!(gone.guid, Guid(0xA002));
        machine.state.bindings.retain(|b| b.adapter != gone.guid);
        let present = |machine: &mut Machine| {
            let ops = decide::plan(&machine.state, &plan, &own, Mode::Present).unwrap();
            let made = decide::present(&machine.state);
            carry_out(machine, &made, &ops).unwrap();
        };
        present(&mut machine);
        let left = machine.state.record.as_ref().unwrap().miniports.len();
        assert_eq!(
            left,
            if own.topology == Topology::ManyToOne {
                1
            } else {
                miniports / 2
            }
        );
        assert_eq!(
            machine.state.adapters.iter().filter(|a| a.own).count(),
            left
        );
        // It comes back as Windows makes it.
        machine.state.adapters.insert(1, adapter(2, Kind::Ethernet));
        for component in machine.state.components.clone() {
            let enabled =
                !component.id.eq_ignore_ascii_case(own.protocol) && component.id != "ms_tcpip6";
            machine.state.bindings.push(Binding {
                component: component.id,
                adapter: gone.guid,
                enabled,
            });
        }
        present(&mut machine);
        machine.state.sort();
        assert_eq!(machine.picture(), full);
    }
}

/// Plans over a few adapters, and states that others have left.
fn steps() -> impl Strategy<Value = Vec<(Vec<u8>, usize)>> {
    let adapters =
        prop::collection::btree_set(1..=ADAPTERS, 0..=4).prop_map(|s| s.into_iter().collect());
    prop::collection::vec((adapters, 1..4usize), 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_plans_in_a_row(driver in 0..3usize, steps in steps(), fails_at in 1..60usize) {
        let own = DRIVERS[driver];
        let mut machine = Machine::new(own, ADAPTERS);
        let start = machine.state.clone();
        let mut middle = None;
        for (adapters, ports) in steps {
            let plan = plan(&own, &adapters, ports);
            let before = machine.picture();
            let saved = machine.state.clone();
            let ops = decide::plan(&machine.state, &plan, &own, Mode::Strict).unwrap();
            let made = decide::present(&machine.state);
            (machine.calls, machine.fails_at) = (0, Some(fails_at));
            let result = carry_out(&mut machine, &made, &ops);
            machine.fails_at = None;
            match result {
                Ok(_) => check(&machine, &plan),
                Err(failure) => {
                    prop_assert_eq!(failure.left, Vec::<String>::new());
                    prop_assert_eq!(machine.picture(), before.clone());
                    apply(&mut machine, &plan);
                    check(&machine, &plan);
                }
            }
            middle = Some((saved, before));
        }
        if let Some((saved, picture)) = middle {
            let ops = decide::restore(&machine.state, &saved, &own);
            let made = decide::present(&machine.state);
            carry_out(&mut machine, &made, &ops).unwrap();
            prop_assert_eq!(machine.picture(), picture);
            prop_assert_eq!(differences(&saved, &machine.state), vec![]);
        }
        let ops = decide::removal(&machine.state, &own);
        let made = decide::present(&machine.state);
        carry_out(&mut machine, &made, &ops).unwrap();
        prop_assert_eq!(machine.state, start);
    }

    #[test]
    fn any_text_is_a_plan_or_a_reason(text in ".{0,200}", cut in 0..400usize) {
        let _ = Plan::read(text.as_bytes(), &DRIVERS[0]);
        let good = serde_like();
        let _ = Plan::read(&good.as_bytes()[..cut.min(good.len())], &DRIVERS[0]);
    }
}

fn serde_like() -> String {
    r#"{"format":1,"driver":"passthrough","miniports":[{"name":"a","values":{"b":["c"]}}],"adapters":[{"adapter":"02:00:00:00:00:01","miniports":["a"]}]}"#.to_owned()
}

#[test]
fn components_unknown_to_the_state_stay() {
    let own = DRIVERS[0];
    let mut machine = Machine::new(own, 2);
    machine.state.components.push(Component {
        id: "x_filter".to_owned(),
        class: Class::Service,
        filter: true,
    });
    machine.state.bindings.push(Binding {
        component: "x_filter".to_owned(),
        adapter: Guid(0xA001),
        enabled: true,
    });
    apply(&mut machine, &plan(&own, &[1], 1));
    assert_eq!(machine.state.binding("x_filter", Guid(0xA001)), Some(true));
}
