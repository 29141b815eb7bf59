//! The words of the tables: conditions, actions, timers.

use core::fmt;

use super::Selected;
use crate::time::{
    AGGREGATE_WAIT_TIME, CHURN_DETECTION_TIME, FAST_PERIODIC_TIME, LONG_TIMEOUT_TIME,
    SHORT_TIMEOUT_TIME, SLOW_PERIODIC_TIME, Time,
};

/// A timer of a port (6.4.10), and two that the standard describes in words.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TimerId {
    /// `current_while_timer`.
    CurrentWhile,
    /// `periodic_timer`.
    Periodic,
    /// `wait_while_timer`.
    WaitWhile,
    /// `actor_churn_timer`.
    ActorChurn,
    /// `partner_churn_timer`.
    PartnerChurn,
    /// Until one more LACPDU may be sent (6.4.16).
    Hold,
    /// Until a marker counts as lost (6.5.4.1).
    Marker,
}

impl TimerId {
    /// How many there are.
    pub const COUNT: usize = 7;

    /// The standard's name, or one in its manner.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CurrentWhile => "current_while_timer",
            Self::Periodic => "periodic_timer",
            Self::WaitWhile => "wait_while_timer",
            Self::ActorChurn => "actor_churn_timer",
            Self::PartnerChurn => "partner_churn_timer",
            Self::Hold => "hold_timer",
            Self::Marker => "marker_timer",
        }
    }
}

/// How long a timer runs (6.4.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Period {
    /// `Short_Timeout_Time`.
    Short,
    /// Short or long, as `Actor_Oper_Port_State.LACP_Timeout` says.
    ActorTimeout,
    /// `Fast_Periodic_Time`.
    Fast,
    /// `Slow_Periodic_Time`.
    Slow,
    /// `Aggregate_Wait_Time`.
    AggregateWait,
    /// `Churn_Detection_Time`.
    ChurnDetection,
    /// What is left of the second in which three LACPDUs were sent.
    Window,
    /// The setting of the marker generator.
    MarkerTimeout,
}

impl Period {
    /// Its length, where the standard gives it.
    pub(crate) const fn fixed(self, actor_short: bool) -> Option<Time> {
        match self {
            Self::Short => Some(SHORT_TIMEOUT_TIME),
            Self::ActorTimeout if actor_short => Some(SHORT_TIMEOUT_TIME),
            Self::ActorTimeout => Some(LONG_TIMEOUT_TIME),
            Self::Fast => Some(FAST_PERIODIC_TIME),
            Self::Slow => Some(SLOW_PERIODIC_TIME),
            Self::AggregateWait => Some(AGGREGATE_WAIT_TIME),
            Self::ChurnDetection => Some(CHURN_DETECTION_TIME),
            Self::Window | Self::MarkerTimeout => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Short => "Short_Timeout_Time",
            Self::ActorTimeout => "Actor_Oper_Port_State.LACP_Timeout",
            Self::Fast => "Fast_Periodic_Time",
            Self::Slow => "Slow_Periodic_Time",
            Self::AggregateWait => "Aggregate_Wait_Time",
            Self::ChurnDetection => "Churn_Detection_Time",
            Self::Window => "rest of Fast_Periodic_Time",
            Self::MarkerTimeout => "marker timeout",
        }
    }
}

/// What a transition waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// `BEGIN` (6.4.8).
    Begin,
    /// `port_enabled` has this value.
    PortEnabled(bool),
    /// `port_moved` has this value.
    PortMoved(bool),
    /// `LACP_Enabled` has this value.
    LacpEnabled(bool),
    /// `CtrlMuxN:M_UNITDATA.indication(LACPDU)` (6.4.11).
    LacpduReceived,
    /// The timer has expired.
    Expired(TimerId),
    /// Neither side is active.
    BothPassive,
    /// `Partner_Oper_Port_State.LACP_Timeout` is short (or long).
    PartnerShortTimeout(bool),
    /// `Partner_Oper_Port_State.Synchronization` has this value.
    PartnerSync(bool),
    /// `Partner_Oper_Port_State.Collecting` has this value.
    PartnerCollecting(bool),
    /// `Actor_Oper_Port_State.Synchronization` has this value.
    ActorSync(bool),
    /// `Selected` is this.
    Selected(Selected),
    /// `Ready` (6.4.8) is TRUE.
    Ready,
    /// The mux machine is in DETACHED: the port is attached to no aggregator.
    Detached,
    /// The rules of 6.4.14.1 leave an aggregator to the port (or not).
    AggregatorFound(bool),
    /// The aggregator is the active one and the port is among the links that it
    /// may use (or not).
    PlaceGranted(bool),
    /// `NTT` is TRUE.
    Ntt,
    /// There is somebody to send to: the port is enabled, and one side is active.
    MaySend(bool),
    /// No more LACPDU may be sent now (or one may).
    LimitReached(bool),
    /// `CtrlMuxN:M_UNITDATA.indication(Marker PDU)`, and it may be answered.
    MarkerReceived,
    /// A marker was asked for.
    MarkerRequested,
    /// A Marker Response PDU with the requester's port, system and transaction.
    MarkerAnswered,
    /// The marker may be sent once more.
    MarkerTriesLeft,
}

fn is(f: &mut fmt::Formatter<'_>, name: &str, value: bool) -> fmt::Result {
    write!(f, "{name} == {}", if value { "TRUE" } else { "FALSE" })
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Begin => is(f, "BEGIN", true),
            Self::PortEnabled(value) => is(f, "port_enabled", value),
            Self::PortMoved(value) => is(f, "port_moved", value),
            Self::LacpEnabled(value) => is(f, "LACP_Enabled", value),
            Self::LacpduReceived => f.write_str("CtrlMuxN:M_UNITDATA.indication(LACPDU)"),
            Self::Expired(timer) => write!(f, "{} expired", timer.name()),
            Self::BothPassive => f.write_str(
                "Actor_Oper_Port_State.LACP_Activity == FALSE && Partner_Oper_Port_State.LACP_Activity == FALSE",
            ),
            Self::PartnerShortTimeout(short) => write!(
                f,
                "Partner_Oper_Port_State.LACP_Timeout == {}",
                if short { "Short Timeout" } else { "Long Timeout" }
            ),
            Self::PartnerSync(value) => is(f, "Partner_Oper_Port_State.Synchronization", value),
            Self::PartnerCollecting(value) => is(f, "Partner_Oper_Port_State.Collecting", value),
            Self::ActorSync(value) => is(f, "Actor_Oper_Port_State.Synchronization", value),
            Self::Selected(selected) => write!(f, "Selected == {}", selected.name()),
            Self::Ready => is(f, "Ready", true),
            Self::Detached => f.write_str("Mux machine in DETACHED"),
            Self::AggregatorFound(true) => f.write_str("an Aggregator is found"),
            Self::AggregatorFound(false) => f.write_str("no Aggregator is found"),
            Self::PlaceGranted(true) => f.write_str("the Aggregator has a place"),
            Self::PlaceGranted(false) => f.write_str("the Aggregator has no place"),
            Self::Ntt => is(f, "NTT", true),
            Self::MaySend(true) => f.write_str("port_enabled and one side active"),
            Self::MaySend(false) => f.write_str("port not enabled or both sides passive"),
            Self::LimitReached(true) => f.write_str("3 LACPDUs in Fast_Periodic_Time"),
            Self::LimitReached(false) => f.write_str("fewer than 3 LACPDUs in Fast_Periodic_Time"),
            Self::MarkerReceived => {
                f.write_str("CtrlMuxN:M_UNITDATA.indication(Marker PDU), below the limit")
            }
            Self::MarkerRequested => f.write_str("a marker is requested"),
            Self::MarkerAnswered => {
                f.write_str("CtrlMuxN:M_UNITDATA.indication(Marker Response PDU), the one awaited")
            }
            Self::MarkerTriesLeft => f.write_str("tries are left, below the limit"),
        }
    }
}

/// What became of a marker.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MarkerEnd {
    /// The partner has answered: it has received every frame sent before.
    Answered,
    /// It has not, in the time and the tries that were set.
    Lost,
    /// The link went away.
    Abandoned,
}

impl MarkerEnd {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Lost => "lost",
            Self::Abandoned => "abandoned",
        }
    }
}

/// What is done on entry to a state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// `Selected = UNSELECTED`.
    Unselect,
    /// `recordDefault()` (6.4.9).
    RecordDefault,
    /// `Actor_Oper_Port_State.Expired` = this.
    ActorExpired(bool),
    /// `port_moved = FALSE`.
    PortNotMoved,
    /// `Partner_Oper_Port_State.Synchronization = FALSE`.
    PartnerOutOfSync,
    /// `Partner_Oper_Port_State.LACP_Timeout = Short Timeout`.
    PartnerTimeoutShort,
    /// `Partner_Oper_Port_State.Aggregation = FALSE`.
    PartnerIndividual,
    /// `update_Selected()` (6.4.9).
    UpdateSelected,
    /// `update_Default_Selected()` (6.4.9).
    UpdateDefaultSelected,
    /// `update_NTT()` (6.4.9).
    UpdateNtt,
    /// `recordVersionNumber()` (6.4.9), done by implementations of version 2 only.
    RecordVersionNumber,
    /// `recordPDU()` (6.4.9).
    RecordPdu,
    /// Starts the timer.
    Start(TimerId, Period),
    /// Stops the timer.
    Stop(TimerId),
    /// `NTT` = this.
    SetNtt(bool),
    /// `Attach_Mux_To_Aggregator()` (6.4.9).
    AttachMux,
    /// `Detach_Mux_From_Aggregator()` (6.4.9).
    DetachMux,
    /// `Actor_Oper_Port_State.Synchronization` = this.
    ActorSync(bool),
    /// `Actor_Oper_Port_State.Collecting` = this.
    ActorCollecting(bool),
    /// `Actor_Oper_Port_State.Distributing` = this.
    ActorDistributing(bool),
    /// `Enable_Collecting()` or `Disable_Collecting()` (6.4.9).
    Collecting(bool),
    /// `Enable_Distributing()` or `Disable_Distributing()` (6.4.9).
    Distributing(bool),
    /// `actor_churn` = this.
    ActorChurn(bool),
    /// `partner_churn` = this.
    PartnerChurn(bool),
    /// The port takes the aggregator that was found for it.
    TakeAggregator,
    /// An LACPDU with the operational values of now is sent.
    TransmitLacpdu,
    /// The marker goes back as a response.
    TransmitResponse,
    /// A Marker PDU is sent.
    TransmitMarker,
    /// Who asked for the marker is told what became of it.
    Report(MarkerEnd),
}

fn set(f: &mut fmt::Formatter<'_>, name: &str, value: bool) -> fmt::Result {
    write!(f, "{name} = {}", if value { "TRUE" } else { "FALSE" })
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Unselect => f.write_str("Selected = UNSELECTED"),
            Self::RecordDefault => f.write_str("recordDefault()"),
            Self::ActorExpired(value) => set(f, "Actor_Oper_Port_State.Expired", value),
            Self::PortNotMoved => set(f, "port_moved", false),
            Self::PartnerOutOfSync => set(f, "Partner_Oper_Port_State.Synchronization", false),
            Self::PartnerTimeoutShort => {
                f.write_str("Partner_Oper_Port_State.LACP_Timeout = Short Timeout")
            }
            Self::PartnerIndividual => set(f, "Partner_Oper_Port_State.Aggregation", false),
            Self::UpdateSelected => f.write_str("update_Selected()"),
            Self::UpdateDefaultSelected => f.write_str("update_Default_Selected()"),
            Self::UpdateNtt => f.write_str("update_NTT()"),
            Self::RecordVersionNumber => {
                f.write_str("if Actor_System_LACP_Version >= 2: recordVersionNumber()")
            }
            Self::RecordPdu => f.write_str("recordPDU()"),
            Self::Start(timer, period) => write!(f, "start {}({})", timer.name(), period.name()),
            Self::Stop(timer) => write!(f, "stop {}", timer.name()),
            Self::SetNtt(value) => set(f, "NTT", value),
            Self::AttachMux => f.write_str("Attach_Mux_To_Aggregator()"),
            Self::DetachMux => f.write_str("Detach_Mux_From_Aggregator()"),
            Self::ActorSync(value) => set(f, "Actor_Oper_Port_State.Synchronization", value),
            Self::ActorCollecting(value) => set(f, "Actor_Oper_Port_State.Collecting", value),
            Self::ActorDistributing(value) => set(f, "Actor_Oper_Port_State.Distributing", value),
            Self::Collecting(true) => f.write_str("Enable_Collecting()"),
            Self::Collecting(false) => f.write_str("Disable_Collecting()"),
            Self::Distributing(true) => f.write_str("Enable_Distributing()"),
            Self::Distributing(false) => f.write_str("Disable_Distributing()"),
            Self::ActorChurn(value) => set(f, "actor_churn", value),
            Self::PartnerChurn(value) => set(f, "partner_churn", value),
            Self::TakeAggregator => f.write_str("take the Aggregator that was found"),
            Self::TransmitLacpdu => f.write_str("CtrlMuxN:M_UNITDATA.request(LACPDU)"),
            Self::TransmitResponse => {
                f.write_str("CtrlMuxN:M_UNITDATA.request(Marker Response PDU)")
            }
            Self::TransmitMarker => f.write_str("CtrlMuxN:M_UNITDATA.request(Marker PDU)"),
            Self::Report(end) => write!(f, "report the marker as {}", end.name()),
        }
    }
}
