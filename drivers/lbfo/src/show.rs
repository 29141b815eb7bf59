//! What the control device shows of members and of LACP, in its words.
//!
//! Pure; IRQL <= DISPATCH_LEVEL.

use crate::brain::Member;
use crate::brain::table::State;
use im_control::{
    LacpChurnCode, LacpCounter, LacpMuxCode, LacpPeriodicCode, LacpReceiveCode, LacpRecord,
    LacpSelectedCode, MemberStateCode,
};
use im_core::data::teamed::Described;
use lacp::table::{ActorChurn, Mux, PartnerChurn, Periodic, Receive, Selected};
use lacp::{Counter, MacAddress, Port};

/// A member; `active`: it carries everything.
pub(crate) fn member(member: &Member, active: bool) -> Described {
    Described {
        number: member.number,
        state: state(member.state),
        priority: member.settings.priority,
        weight: member.settings.weight,
        primary: member.settings.primary,
        active,
        speed: member.speed,
    }
}

const fn state(state: State) -> MemberStateCode {
    match state {
        State::Down => MemberStateCode::Down,
        State::UpDelay => MemberStateCode::UpDelay,
        State::Probing => MemberStateCode::Probing,
        State::Ready => MemberStateCode::Ready,
        State::DownDelay => MemberStateCode::DownDelay,
        State::Leaving => MemberStateCode::Leaving,
    }
}

/// An address as a number, the first byte on top.
fn number(address: MacAddress) -> u64 {
    ethernet::Mac(address.0).number()
}

/// A port of LACP.
pub(crate) fn port(port: &Port) -> LacpRecord {
    let (actor, partner) = (port.actor(), port.partner());
    let aggregator = port.selected_aggregator();
    LacpRecord {
        slot: port.index().into(),
        aggregator: aggregator.map_or(0, |number| u32::from(number).saturating_add(1)),
        selected: selected(port.selected()).code(),
        receive: receive(port.receive_state()).code(),
        periodic: periodic(port.periodic_state()).code(),
        mux: mux(port.mux_state()).code(),
        actor_churn: actor_churn(port.actor_churn_state()).code(),
        partner_churn: partner_churn(port.partner_churn_state()).code(),
        actor_system_priority: actor.system.priority,
        actor_key: actor.key,
        actor_port_priority: actor.port.priority,
        actor_port: actor.port.number,
        actor_system: number(actor.system.address),
        actor_state: actor.state.0,
        partner_state: partner.state.0,
        partner_system_priority: partner.system.priority,
        partner_key: partner.key,
        partner_port_priority: partner.port.priority,
        partner_port: partner.port.number,
        partner_system: number(partner.system.address),
        last_received: port.last_rx_time().unwrap_or(0),
    }
}

const fn selected(state: Selected) -> LacpSelectedCode {
    match state {
        Selected::Unselected => LacpSelectedCode::Unselected,
        Selected::Standby => LacpSelectedCode::Standby,
        Selected::Selected => LacpSelectedCode::Selected,
    }
}

const fn receive(state: Receive) -> LacpReceiveCode {
    match state {
        Receive::Initialize => LacpReceiveCode::Initialize,
        Receive::PortDisabled => LacpReceiveCode::PortDisabled,
        Receive::Expired => LacpReceiveCode::Expired,
        Receive::LacpDisabled => LacpReceiveCode::LacpDisabled,
        Receive::Defaulted => LacpReceiveCode::Defaulted,
        Receive::Current => LacpReceiveCode::Current,
    }
}

const fn periodic(state: Periodic) -> LacpPeriodicCode {
    match state {
        Periodic::NoPeriodic => LacpPeriodicCode::NoPeriodic,
        Periodic::Fast => LacpPeriodicCode::FastPeriodic,
        Periodic::Slow => LacpPeriodicCode::SlowPeriodic,
        Periodic::Tx => LacpPeriodicCode::PeriodicTx,
    }
}

const fn mux(state: Mux) -> LacpMuxCode {
    match state {
        Mux::Detached => LacpMuxCode::Detached,
        Mux::Waiting => LacpMuxCode::Waiting,
        Mux::Attached => LacpMuxCode::Attached,
        Mux::Collecting => LacpMuxCode::Collecting,
        Mux::Distributing => LacpMuxCode::Distributing,
    }
}

const fn actor_churn(state: ActorChurn) -> LacpChurnCode {
    match state {
        ActorChurn::Monitor => LacpChurnCode::Monitor,
        ActorChurn::NoChurn => LacpChurnCode::NoChurn,
        ActorChurn::Churn => LacpChurnCode::Churn,
    }
}

const fn partner_churn(state: PartnerChurn) -> LacpChurnCode {
    match state {
        PartnerChurn::Monitor => LacpChurnCode::Monitor,
        PartnerChurn::NoChurn => LacpChurnCode::NoChurn,
        PartnerChurn::Churn => LacpChurnCode::Churn,
    }
}

/// A counter of a port.
pub(crate) const fn counter(counter: LacpCounter) -> Counter {
    match counter {
        LacpCounter::LacpdusRx => Counter::LacpdusRx,
        LacpCounter::MarkerPdusRx => Counter::MarkerPdusRx,
        LacpCounter::MarkerResponsePdusRx => Counter::MarkerResponsePdusRx,
        LacpCounter::UnknownRx => Counter::UnknownRx,
        LacpCounter::IllegalRx => Counter::IllegalRx,
        LacpCounter::LacpdusTx => Counter::LacpdusTx,
        LacpCounter::MarkerPdusTx => Counter::MarkerPdusTx,
        LacpCounter::MarkerResponsePdusTx => Counter::MarkerResponsePdusTx,
        LacpCounter::ActorChurnCount => Counter::ActorChurnCount,
        LacpCounter::PartnerChurnCount => Counter::PartnerChurnCount,
        LacpCounter::ActorSyncTransitionCount => Counter::ActorSyncTransitionCount,
        LacpCounter::PartnerSyncTransitionCount => Counter::PartnerSyncTransitionCount,
        LacpCounter::ActorChangeCount => Counter::ActorChangeCount,
        LacpCounter::PartnerChangeCount => Counter::PartnerChangeCount,
        LacpCounter::OwnSystemRx => Counter::OwnSystemRx,
        LacpCounter::MalformedTlvRx => Counter::MalformedTlvRx,
        LacpCounter::ExcessRx => Counter::ExcessRx,
        LacpCounter::DiscardedRx => Counter::DiscardedRx,
        LacpCounter::MarkersNotAnswered => Counter::MarkersNotAnswered,
        LacpCounter::UnexpectedMarkerResponses => Counter::UnexpectedMarkerResponses,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lacp::{PortConfig, PortId, System, SystemConfig, SystemId};
    use std::collections::BTreeSet;

    /// The control device calls the counters as the standard does, and each its own.
    #[test]
    fn counters_have_one_name() {
        let mut seen = BTreeSet::new();
        for code in LacpCounter::ALL {
            assert_eq!(code.name(), counter(*code).name());
            seen.insert(counter(*code));
        }
        assert_eq!(seen.len(), Counter::COUNT);
    }

    /// So it does the states.
    #[test]
    fn states_have_one_name() {
        macro_rules! same {
            ($machine:ident $map:ident) => {
                for state in lacp::table::$machine.states {
                    let shown = $map(state.state).name();
                    let name = state.name.replace("ACTOR_", "").replace("PARTNER_", "");
                    assert_eq!(name, shown);
                }
            };
        }
        same!(RECEIVE receive);
        same!(PERIODIC periodic);
        same!(SELECTION selected);
        same!(MUX mux);
        same!(ACTOR_CHURN actor_churn);
        same!(PARTNER_CHURN partner_churn);
        for state in State::ALL {
            let name = super::state(state).name();
            assert_eq!(state.name(), name.to_uppercase().replace('-', "_"));
        }
    }

    /// A port that speaks and hears nobody.
    #[test]
    fn a_lonely_port() {
        let address = MacAddress([2, 0, 0, 0, 0, 1]);
        let id = SystemId {
            priority: 7,
            address,
        };
        let mut system = System::new(SystemConfig::new(id)).unwrap();
        let name = PortId {
            priority: 9,
            number: 4,
        };
        let config = PortConfig::new(name, 5, address);
        system.add_port(0, 3, config, &mut |_| {}).unwrap();
        system.set_link(1, 3, true, &mut |_| {}).unwrap();
        let shown = port(system.port(3).unwrap());
        assert_eq!((shown.slot, shown.actor_port), (3, 4));
        assert_eq!((shown.actor_system_priority, shown.actor_key), (7, 5));
        assert_eq!(shown.actor_port_priority, 9);
        assert_eq!(shown.actor_system, 0x0200_0000_0001);
        assert_eq!((shown.partner_system, shown.last_received), (0, 0));
        assert_eq!(shown.receive, LacpReceiveCode::Expired.code());
        let sent = system.port(3).unwrap().counters();
        assert_eq!(sent.get(counter(LacpCounter::LacpdusTx)), 1);
    }
}
