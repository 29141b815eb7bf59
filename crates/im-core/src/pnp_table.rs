//! What becomes of a PnP event on the lower edge: a pure table (section 16).

use ndis::sys::{
    NET_PNP_EVENT_CODE, NetEventBindList, NetEventCancelRemoveDevice, NetEventIMReEnableDevice,
    NetEventPause, NetEventPnPCapabilities, NetEventQueryPower, NetEventQueryRemoveDevice,
    NetEventReconfigure, NetEventRestart, NetEventSetPower,
};

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventRule {
    /// Passed to the protocols above; their answer is ours (PNP-4, PNP-6).
    Ask,
    /// Passed to the protocols above; succeeds whatever they say.
    Tell,
    /// The adapter below changes power (PWR-3).
    SetPower,
    /// The binding pauses (PBS-2).
    Pause,
    /// The binding restarts (PBS-4).
    Restart,
    /// The configuration of a binding changed: new miniports, and passed on.
    ReconfigureBinding,
    /// The configuration of the driver changed (PNP-8).
    ReconfigureDriver,
    /// A virtual miniport is to be asked for again (PNP-9).
    ReEnable,
    /// Nothing to do: SUCCESS (PNP-1).
    Accept,
}

/// The rule of an event that came with or without a binding.
pub const fn rule(code: NET_PNP_EVENT_CODE, on_binding: bool) -> EventRule {
    match (code, on_binding) {
        (NetEventSetPower, true) => EventRule::SetPower,
        (NetEventQueryPower | NetEventQueryRemoveDevice, true) => EventRule::Ask,
        // PNP-5: BindList only when it came with a binding.
        (NetEventCancelRemoveDevice | NetEventPnPCapabilities | NetEventBindList, true) => {
            EventRule::Tell
        }
        (NetEventReconfigure, true) => EventRule::ReconfigureBinding,
        (NetEventReconfigure, false) => EventRule::ReconfigureDriver,
        (NetEventPause, true) => EventRule::Pause,
        (NetEventRestart, true) => EventRule::Restart,
        (NetEventIMReEnableDevice, _) => EventRule::ReEnable,
        // PortActivation, PortDeactivation: ports other than the default one
        // carry nothing of ours, so there is nothing to drain (PRT-1). All
        // others: PNP-1, PNP-2.
        _ => EventRule::Accept,
    }
}

/// Whether an event may be passed to the protocols above at all (PNP-5).
pub const fn may_propagate(rule: EventRule) -> bool {
    matches!(
        rule,
        EventRule::Ask | EventRule::Tell | EventRule::ReconfigureBinding
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndis::sys::{
        NetEventBindsComplete, NetEventMaximum, NetEventPortActivation, NetEventPortDeactivation,
    };

    /// PNP-5: these never go up; Reconfigure and BindList only with a binding.
    #[test]
    fn propagation() {
        let never = [
            NetEventBindsComplete,
            NetEventPause,
            NetEventRestart,
            NetEventPortActivation,
            NetEventPortDeactivation,
            NetEventIMReEnableDevice,
        ];
        for code in never {
            assert!(!may_propagate(rule(code, true)) && !may_propagate(rule(code, false)));
        }
        for code in [NetEventReconfigure, NetEventBindList] {
            assert!(may_propagate(rule(code, true)));
            assert!(!may_propagate(rule(code, false)));
        }
        for code in [NetEventQueryPower, NetEventQueryRemoveDevice] {
            assert_eq!(rule(code, true), EventRule::Ask);
        }
    }

    /// PNP-1: every code has a rule, unknown ones are accepted.
    #[test]
    fn unknown_events_are_accepted() {
        for code in NetEventMaximum.0..200 {
            assert_eq!(rule(NET_PNP_EVENT_CODE(code), true), EventRule::Accept);
        }
        assert_eq!(rule(NET_PNP_EVENT_CODE(-5), false), EventRule::Accept);
    }
}
