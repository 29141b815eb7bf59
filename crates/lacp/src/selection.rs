//! Selection Logic (6.4.14): finds the aggregator and the place for a port. The
//! rules are in `table::RULES`, the changes of `Selected` in `table::SELECTION`.

use crate::config::{AggregatorIndex, Fallback, SystemConfig};
use crate::id::{LagId, PortId};
use crate::port::Port;
use crate::table::{Mux, Receive, Selected};

/// A port's aggregator, if the rules leave it one.
pub(crate) fn find(
    ports: &[Option<Port>],
    index: usize,
    config: &SystemConfig,
) -> Option<AggregatorIndex> {
    let port = ports.get(index)?.as_ref()?;
    let selected = port.states.selected.state != Selected::Unselected;
    // Rules NO_LOOP and WITHDRAWN.
    if port.looped || port.withdrawn {
        return None;
    }
    // Rule KNOWN_PARTNER.
    let alone = config.fallback == Fallback::Individual;
    let known = match port.states.receive.state {
        Receive::Current => true,
        Receive::Defaulted | Receive::LacpDisabled => alone,
        // The link is down or silent: what was selected may stay.
        Receive::Expired | Receive::PortDisabled => selected && (port.has_partner() || alone),
        Receive::Initialize => false,
    };
    if !known {
        return None;
    }
    if selected {
        return port.aggregator;
    }
    if port.states.mux.state != Mux::Detached {
        return None;
    }
    let others = || {
        ports
            .iter()
            .flatten()
            .filter(|other| usize::from(other.index) != index)
    };
    // Rules ONE_LAG_ONE_AGGREGATOR, KEYS (the key is part of the LAG ID), and
    // INDIVIDUAL_ALONE (the LAG ID of an Individual port names the port).
    if !LagId::is_individual(&port.actor, &port.partner)
        && let Some(other) = others().find(|other| {
            other.lag == port.lag && other.states.selected.state != Selected::Unselected
        })
    {
        return other.aggregator;
    }
    let is_free =
        |aggregator: AggregatorIndex| others().all(|other| other.aggregator != Some(aggregator));
    let own = port.index;
    if is_free(own) {
        return Some(own);
    }
    (0..ports.len() as AggregatorIndex).find(|aggregator| is_free(*aggregator))
}

/// Whether a port has a place in its aggregator: rules STABLE and STANDBY_ORDER.
pub(crate) fn has_place(
    ports: &[Option<Port>],
    index: usize,
    aggregator: Option<AggregatorIndex>,
    active: Option<AggregatorIndex>,
    config: &SystemConfig,
) -> bool {
    let Some(port) = ports.get(index).and_then(Option::as_ref) else {
        return false;
    };
    if aggregator.is_none() || aggregator != active {
        return false;
    }
    let rank = order(port);
    let before = ports
        .iter()
        .flatten()
        .filter(|other| other.index != port.index)
        .filter(|other| other.states.selected.state != Selected::Unselected)
        .filter(|other| other.aggregator == aggregator && order(other) < rank)
        .count();
    before < usize::from(config.max_links)
}

/// Usable ports first, then by the identifiers of the system that decides (6.7.1);
/// the own number makes them differ whatever a partner says.
fn order(port: &Port) -> (bool, PortId, PortId) {
    let partner_decides = port.has_partner() && port.partner.system < port.actor.system;
    let deciding = if partner_decides {
        port.partner.port
    } else {
        port.actor.port
    };
    (!port.is_usable(), deciding, port.actor.port)
}

/// `Ready` (6.4.8) of the aggregator that a port waits for: rule READY.
pub(crate) fn is_ready(ports: &[Option<Port>], index: usize) -> bool {
    let Some(port) = ports.get(index).and_then(Option::as_ref) else {
        return false;
    };
    port.states.mux.state == Mux::Waiting
        && ports
            .iter()
            .flatten()
            .filter(|other| other.aggregator == port.aggregator)
            .filter(|other| other.states.mux.state == Mux::Waiting)
            .filter(|other| other.states.selected.state == Selected::Selected)
            .all(Port::ready_n)
}
