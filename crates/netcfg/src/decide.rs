//! The decisions: from a state and a plan to operations.

use alloc::borrow::ToOwned as _;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::names::Guid;
use crate::ops::{Device, Lower, Op, Written};
use crate::plan::{self, Plan};
use crate::reason::{Code, Reason};
use crate::state::{
    Adapter, Kind, Made, Moved, Record, State, Value, Values, is_upper_name, upper_values,
};
use crate::{Driver, device_name};

/// How strictly a plan is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A person applies it: everything that is wrong is a reason against all of it.
    Strict,
    /// The machine changes while it is in force: adapters that are not there, or not fit,
    /// are left out.
    Present,
}

/// Components that take an adapter for themselves: a bridge, Windows' own teams, virtual
/// switches. To move them away would break what somebody has set up.
const OWNERS: [&str; 5] = [
    "ms_bridge",
    "ms_implat",
    "vms_pp",
    "ms_l2bridge",
    "vbox_netflt",
];

/// What is said to a binding that the system is about to make or enable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It may.
    Keep,
    /// It is to stay disabled.
    Disable,
}

/// About a binding of `component` to `adapter`, while the plan of `record` is in force.
pub fn asked(
    driver: &Driver<'_>,
    record: Option<&Record>,
    component: &str,
    filter: bool,
    adapter: &Adapter,
) -> Answer {
    let named = record.is_some_and(|r| r.plan.lower(adapter).is_some());
    let ours = is(component, driver.protocol);
    // Our protocol goes to the adapters that the plan names and to no other, its own
    // miniports least of all. Others stay away from those.
    let keep = if ours {
        named && !adapter.own
    } else {
        filter || !named || adapter.own
    };
    if keep { Answer::Keep } else { Answer::Disable }
}

/// Component ids know no case.
pub(crate) fn is(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

/// What is in the way of putting the driver on `adapter`; `None` if nothing is.
fn unfit(
    state: &State,
    driver: &Driver<'_>,
    adapter: &Adapter,
    accept: &[Code],
    mode: Mode,
) -> Option<Reason> {
    let name = format!("{} ({})", adapter.guid, adapter.name);
    let against = |code, what: &str| Some(Reason::new(code, format!("{name} {what}")));
    if adapter.own {
        return against(Code::OwnMiniport, "is a virtual miniport of this driver");
    }
    let kind = match adapter.kind {
        Kind::Ethernet => None,
        Kind::Wifi => against(
            Code::Wifi,
            "is a Wi-Fi adapter: access points take frames of its own address only",
        ),
        Kind::HyperV => against(Code::HyperV, "is an adapter of Hyper-V"),
        Kind::Virtual => against(Code::VirtualAdapter, "is a virtual adapter"),
        Kind::Other => against(Code::NotEthernet, "is no Ethernet adapter"),
    };
    let problem = || {
        let text = format!("does not work (problem code {})", adapter.problem);
        (adapter.problem != 0).then(|| Reason::new(Code::NotWorking, format!("{name} {text}")))
    };
    let in_use = || {
        let others = state
            .bindings
            .iter()
            .filter(|b| b.adapter == adapter.guid && b.enabled);
        let ids = others
            .map(|b| b.component.as_str())
            .filter(|id| !is(id, driver.protocol));
        let owner = |id: &&str| OWNERS.iter().any(|o| is(o, id)) || is_sibling(driver, id);
        let owner = ids.into_iter().find(owner)?;
        Some(Reason::new(
            Code::InUse,
            format!("{name} is used by {owner}"),
        ))
    };
    let accepted = |r: &Reason| {
        r.code.can_be_accepted() && (mode == Mode::Present || accept.contains(&r.code))
    };
    let checks = [kind, problem(), in_use()];
    checks.into_iter().flatten().find(|r| !accepted(r))
}

/// Another driver of this provider: the part before `_` is the same.
fn is_sibling(driver: &Driver<'_>, id: &str) -> bool {
    let provider = |id: &str| id.split_once('_').map(|(p, _)| p.to_ascii_lowercase());
    let own = provider(driver.protocol);
    own.is_some() && provider(id) == own
}

/// The adapters of a plan, or what is wrong with them.
fn find<'a, 'p>(
    state: &'a State,
    plan: &'p Plan,
    driver: &Driver<'_>,
    mode: Mode,
) -> Result<Vec<(&'a Adapter, &'p plan::Lower)>, Vec<Reason>> {
    let (mut found, mut reasons) = (Vec::new(), Vec::new());
    for lower in &plan.adapters {
        let mut meant = state.adapters.iter().filter(|a| lower.adapter.names(a));
        let reason = match (meant.next(), meant.next()) {
            (None, _) => Some(Reason::new(
                Code::AdapterUnknown,
                format!("no adapter is {}", lower.adapter),
            )),
            (Some(_), Some(_)) => Some(Reason::new(
                Code::AdapterAmbiguous,
                format!(
                    "several adapters are {}: name one by its GUID",
                    lower.adapter
                ),
            )),
            (Some(a), None) if found.iter().any(|(f, _): &(&Adapter, _)| f.guid == a.guid) => {
                Some(Reason::new(
                    Code::AdapterTwice,
                    format!("{} ({}) is named twice", a.guid, a.name),
                ))
            }
            (Some(a), None) => {
                let against = unfit(state, driver, a, &plan.accept, mode);
                if against.is_none() {
                    found.push((a, lower));
                }
                against
            }
        };
        reasons.extend(reason);
    }
    if mode == Mode::Strict {
        let below = |a: &Adapter| found.iter().any(|(f, _)| f.guid == a.guid);
        let mut working = state
            .adapters
            .iter()
            .filter(|a| usable(state, driver, a))
            .peekable();
        let lost = working.peek().is_some() && working.all(below);
        if lost && !found.is_empty() && !plan.accept.contains(&Code::OnlyAdapter) {
            reasons.push(Reason::new(
                Code::OnlyAdapter,
                "no working adapter of the machine would be left outside of the plan",
            ));
        }
        if !reasons.is_empty() {
            return Err(reasons);
        }
    }
    Ok(found)
}

/// Whether the machine can be reached through that adapter, or could before the driver
/// was put on it.
fn usable(state: &State, driver: &Driver<'_>, adapter: &Adapter) -> bool {
    let network = matches!(adapter.kind, Kind::Ethernet | Kind::Wifi | Kind::HyperV);
    network
        && !adapter.own
        && adapter.problem == 0
        && state.bindings.iter().any(|b| {
            b.adapter == adapter.guid
                && b.enabled
                && (movable(state, driver, &b.component) || is(&b.component, driver.protocol))
        })
}

/// Whether bindings of `component` move from an adapter below to the miniport above it.
fn movable(state: &State, driver: &Driver<'_>, component: &str) -> bool {
    let known = state.components.iter().find(|c| is(&c.id, component));
    !is(component, driver.protocol) && known.is_some_and(|c| !c.filter)
}

/// The operations that bring `state` to what `plan` says.
pub fn plan(
    state: &State,
    plan: &Plan,
    driver: &Driver<'_>,
    mode: Mode,
) -> Result<Vec<Op>, Vec<Reason>> {
    let mut reasons = plan.check(driver);
    if !reasons.is_empty() {
        return Err(reasons);
    }
    let found = find(state, plan, driver, mode).map_err(|more| {
        reasons.extend(more);
        reasons
    })?;
    Ok(operations(state, plan, driver, &found))
}

/// The operations that take everything away: miniports, values, the record; other
/// protocols get their bindings back.
pub fn removal(state: &State, driver: &Driver<'_>) -> Vec<Op> {
    let mut ops = operations(state, &Plan::empty(driver), driver, &[]);
    for op in &mut ops {
        if let Op::SetRecord(record) = op {
            *record = None;
        }
    }
    ops
}

/// The miniports that are remembered and there.
pub fn present(state: &State) -> Vec<Made> {
    let made = state.record.iter().flat_map(|r| &r.miniports);
    made.filter(|m| state.adapter(m.guid).is_some())
        .cloned()
        .collect()
}

fn operations(
    state: &State,
    plan: &Plan,
    driver: &Driver<'_>,
    found: &[(&Adapter, &plan::Lower)],
) -> Vec<Op> {
    let nothing = Record::default();
    let old = state.record.as_ref().unwrap_or(&nothing);
    let made = present(state);
    let mut ops = Vec::new();

    // Miniports that have an adapter; a person's plan has no others.
    let mut used = BTreeSet::new();
    for (_, lower) in found {
        for name in &lower.miniports {
            used.insert(name.as_str());
        }
    }
    let wanted: Vec<_> = plan
        .miniports
        .iter()
        .filter(|m| used.contains(m.name.as_str()))
        .collect();
    let old_values = by_name(&old.plan);
    let mut there = BTreeMap::new();
    for m in &made {
        there.insert(m.name.as_str(), m.guid);
    }
    for miniport in &wanted {
        let guid = there.get(miniport.name.as_str());
        let empty = Values::new();
        let before = match guid {
            Some(_) => old_values
                .get(miniport.name.as_str())
                .copied()
                .unwrap_or(&empty),
            None => {
                ops.push(Op::Create {
                    name: miniport.name.clone(),
                });
                &empty
            }
        };
        set_miniport(&mut ops, &miniport.name, before, &miniport.values);
        if guid.is_none_or(|g| state.binding(driver.protocol, *g) == Some(true)) {
            ops.push(bind(
                driver.protocol,
                Lower::Miniport(miniport.name.clone()),
                false,
            ));
        }
    }

    let is_below = |guid: Guid| found.iter().any(|(a, _)| a.guid == guid);
    let moved = moved(state, driver, old, found);
    let record = Record {
        plan: plan.clone(),
        miniports: wanted
            .iter()
            .map(|m| Made {
                name: m.name.clone(),
                guid: there.get(m.name.as_str()).copied().unwrap_or(Guid(0)),
            })
            .collect(),
        moved: moved.clone(),
    };
    if state.record.as_ref() != Some(&record) {
        let forgets = plan.miniports.is_empty() && plan.adapters.is_empty();
        ops.push(Op::SetRecord((!forgets).then_some(record)));
    }
    // Nothing to remember and nothing was.
    if state.record.is_none() {
        ops.retain(|op| !matches!(op, Op::SetRecord(None)));
    }

    // Keys of bindings, written before any binding comes into use.
    for (adapter, lower) in found {
        let before = old.plan.lower(adapter).map(|l| &l.values);
        set_below(&mut ops, adapter, lower, before, &there);
    }
    for adapter in state.adapters.iter().filter(|a| !is_below(a.guid)) {
        let ours = adapter.upper_bindings().iter().any(|d| is_made(old, d));
        let values = old.plan.lower(adapter).map(|l| &l.values);
        clear_below(&mut ops, adapter, ours || values.is_some(), values);
    }

    // Bindings: our protocol leaves before others come back, and comes after they left.
    for binding in state
        .bindings
        .iter()
        .filter(|b| b.enabled && is(&b.component, driver.protocol))
    {
        let own = state.adapter(binding.adapter).is_some_and(|a| a.own);
        if !is_below(binding.adapter) && !own {
            ops.push(bind(
                &binding.component,
                Lower::Adapter(binding.adapter),
                false,
            ));
        }
    }
    for back in old.moved.iter().filter(|m| !moved.contains(m)) {
        if state.binding(&back.component, back.adapter) == Some(false) {
            ops.push(bind(&back.component, Lower::Adapter(back.adapter), true));
        }
    }
    for (adapter, _) in found {
        for binding in state
            .bindings
            .iter()
            .filter(|b| b.adapter == adapter.guid && b.enabled)
        {
            if movable(state, driver, &binding.component) {
                ops.push(bind(
                    &binding.component,
                    Lower::Adapter(adapter.guid),
                    false,
                ));
            }
        }
        if state.binding(driver.protocol, adapter.guid) != Some(true) {
            ops.push(bind(driver.protocol, Lower::Adapter(adapter.guid), true));
        }
    }

    // Last, since it is what can be undone least.
    for m in made
        .iter()
        .filter(|m| !wanted.iter().any(|w| w.name == m.name))
    {
        ops.push(Op::Remove {
            name: m.name.clone(),
            again: again(state, driver, m, old_values.get(m.name.as_str()).copied()),
        });
    }
    ops
}

fn bind(component: &str, lower: Lower, enabled: bool) -> Op {
    Op::SetBinding {
        component: component.to_owned(),
        lower,
        enabled,
    }
}

fn by_name(plan: &Plan) -> BTreeMap<&str, &Values> {
    let mut map = BTreeMap::new();
    for miniport in &plan.miniports {
        map.insert(miniport.name.as_str(), &miniport.values);
    }
    map
}

fn is_made(record: &Record, device: &str) -> bool {
    record
        .miniports
        .iter()
        .any(|m| device_name(m.guid).eq_ignore_ascii_case(device))
}

/// The bindings that are to be given back one day, if `found` are the adapters below.
fn moved(
    state: &State,
    driver: &Driver<'_>,
    old: &Record,
    found: &[(&Adapter, &plan::Lower)],
) -> Vec<Moved> {
    let mut moved = Vec::new();
    for (adapter, _) in found {
        for binding in state.bindings.iter().filter(|b| b.adapter == adapter.guid) {
            let note = Moved {
                component: binding.component.clone(),
                adapter: adapter.guid,
            };
            let before = old.moved.contains(&note);
            if movable(state, driver, &binding.component)
                && (binding.enabled || before)
                && !moved.contains(&note)
            {
                moved.push(note);
            }
        }
    }
    moved
}

/// From the values that the old plan set to those of the new one.
fn set_miniport(ops: &mut Vec<Op>, miniport: &str, before: &Values, after: &Values) {
    let mut set = |name: &String, value: Option<&Value>| {
        let (miniport, name) = (miniport.to_owned(), name.clone());
        ops.push(Op::SetMiniport {
            miniport,
            name,
            value: value.cloned(),
        });
    };
    for name in before.keys().filter(|n| !after.contains_key(*n)) {
        set(name, None);
    }
    for (name, value) in after {
        if before.get(name) != Some(value) {
            set(name, Some(value));
        }
    }
}

/// `UpperBindings` and the plan's values, where they are not so already.
fn set_below(
    ops: &mut Vec<Op>,
    adapter: &Adapter,
    lower: &plan::Lower,
    before: Option<&Values>,
    there: &BTreeMap<&str, Guid>,
) {
    let mut names = BTreeSet::new();
    let mut set = |name: &str, value: Option<Written>| {
        let name = name.to_owned();
        ops.push(Op::SetBelow {
            adapter: adapter.guid,
            name,
            value,
        });
    };
    for (name, devices) in upper_values(&lower.miniports) {
        let literal = devices
            .iter()
            .map(|d| there.get(d.as_str()).map(|g| device_name(*g)));
        let literal: Option<Vec<String>> = literal.collect();
        // A REG_SZ is replaced even if it says the same: the drivers read lists.
        if literal.map(Value::List).as_ref() != adapter.below.get(&name)
            || !adapter.below.contains_key(&name)
        {
            let devices = devices.into_iter().map(Device::Miniport).collect();
            set(&name, Some(Written::Devices(devices)));
        }
        names.insert(name);
    }
    for (name, value) in &lower.values {
        if adapter.below.get(name) != Some(value) {
            set(name, Some(Written::Plain(value.clone())));
        }
    }
    for name in adapter.below.keys() {
        let stale = is_upper_name(name) && !names.contains(name);
        let dropped =
            before.is_some_and(|b| b.contains_key(name)) && !lower.values.contains_key(name);
        if stale || dropped {
            set(name, None);
        }
    }
}

/// Takes away what a plan has put into the key of a binding.
fn clear_below(ops: &mut Vec<Op>, adapter: &Adapter, ours: bool, values: Option<&Values>) {
    for name in adapter.below.keys() {
        if ours && is_upper_name(name) || values.is_some_and(|v| v.contains_key(name)) {
            let (adapter, name) = (adapter.guid, name.clone());
            ops.push(Op::SetBelow {
                adapter,
                name,
                value: None,
            });
        }
    }
}

/// What makes a removed miniport the same again once it is recreated.
fn again(state: &State, driver: &Driver<'_>, made: &Made, values: Option<&Values>) -> Vec<Op> {
    let mut ops = Vec::new();
    set_miniport(
        &mut ops,
        &made.name,
        &Values::new(),
        values.unwrap_or(&Values::new()),
    );
    ops.push(bind(
        driver.protocol,
        Lower::Miniport(made.name.clone()),
        false,
    ));
    for binding in state
        .bindings
        .iter()
        .filter(|b| b.adapter == made.guid && !b.enabled)
    {
        if !is(&binding.component, driver.protocol) {
            ops.push(bind(
                &binding.component,
                Lower::Miniport(made.name.clone()),
                false,
            ));
        }
    }
    ops
}

/// The operations that bring `now` back to `saved`. Miniports that are gone are made again
/// under new GUIDs; adapters and components that are gone are nothing that a notify object
/// could bring back.
pub fn restore(now: &State, saved: &State, driver: &Driver<'_>) -> Vec<Op> {
    let mut ops = Vec::new();
    let (have, want) = (present(now), present(saved));
    let record = saved.record.as_ref();
    let values = record.map(|r| by_name(&r.plan)).unwrap_or_default();
    for made in want
        .iter()
        .filter(|w| !have.iter().any(|h| h.name == w.name))
    {
        ops.push(Op::Create {
            name: made.name.clone(),
        });
        ops.extend(again(
            saved,
            driver,
            made,
            values.get(made.name.as_str()).copied(),
        ));
    }
    let empty = Values::new();
    let latest = now.record.as_ref();
    let latest = latest.map(|r| by_name(&r.plan)).unwrap_or_default();
    for made in want
        .iter()
        .filter(|w| have.iter().any(|h| h.name == w.name))
    {
        let of = |values: &BTreeMap<&str, &Values>| -> Values {
            let found = values.get(made.name.as_str()).copied();
            found.unwrap_or(&empty).clone()
        };
        set_miniport(&mut ops, &made.name, &of(&latest), &of(&values));
    }
    if now.record != saved.record {
        let mut record = saved.record.clone();
        if let Some(record) = &mut record {
            record.miniports.retain(|m| want.contains(m));
        }
        ops.push(Op::SetRecord(record));
    }
    for old in &saved.adapters {
        let Some(adapter) = now.adapter(old.guid) else {
            continue;
        };
        for name in adapter.below.keys().filter(|n| !old.below.contains_key(*n)) {
            ops.push(Op::SetBelow {
                adapter: adapter.guid,
                name: name.clone(),
                value: None,
            });
        }
        for (name, value) in &old.below {
            let value = symbolic(&want, name, value);
            let same = adapter
                .below
                .get(name)
                .is_some_and(|v| symbolic(&have, name, v) == value);
            if !same {
                ops.push(Op::SetBelow {
                    adapter: adapter.guid,
                    name: name.clone(),
                    value: Some(value),
                });
            }
        }
    }
    // What has to go goes first, as an adapter must not have both.
    for enabled in [false, true] {
        for old in saved.bindings.iter().filter(|b| b.enabled == enabled) {
            let gone = now
                .adapter(old.adapter)
                .is_none_or(|a| a.own && !have.iter().any(|h| h.guid == a.guid));
            if !gone && now.binding(&old.component, old.adapter) == Some(!enabled) {
                ops.push(bind(&old.component, Lower::Adapter(old.adapter), enabled));
            }
        }
    }
    for made in have
        .iter()
        .filter(|h| !want.iter().any(|w| w.name == h.name))
    {
        let values = now
            .record
            .as_ref()
            .map(|r| by_name(&r.plan))
            .unwrap_or_default();
        let again = again(now, driver, made, values.get(made.name.as_str()).copied());
        ops.push(Op::Remove {
            name: made.name.clone(),
            again,
        });
    }
    ops
}

fn symbolic(made: &[Made], name: &str, value: &Value) -> Written {
    let device = |text: &String| {
        let found = made
            .iter()
            .find(|m| device_name(m.guid).eq_ignore_ascii_case(text));
        found.map_or_else(
            || Device::Named(text.clone()),
            |m| Device::Miniport(m.name.clone()),
        )
    };
    match value {
        Value::List(list) if is_upper_name(name) => {
            Written::Devices(list.iter().map(device).collect())
        }
        Value::Text(text) if is_upper_name(name) => Written::Device(device(text)),
        other => Written::Plain(other.clone()),
    }
}
