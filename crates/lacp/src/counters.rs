//! Counters of a port, with the standard's names (7.3.3, 7.3.4).

/// A counter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Counter {
    /// Valid LACPDUs received.
    LacpdusRx,
    /// Valid Marker PDUs received.
    MarkerPdusRx,
    /// Valid Marker Response PDUs received.
    MarkerResponsePdusRx,
    /// Frames with the EtherType and an unknown PDU, or to the group address with
    /// another EtherType.
    UnknownRx,
    /// Badly formed PDUs, and subtypes that are illegal.
    IllegalRx,
    /// LACPDUs sent.
    LacpdusTx,
    /// Marker PDUs sent.
    MarkerPdusTx,
    /// Marker Response PDUs sent.
    MarkerResponsePdusTx,
    /// Times in which the actor's churn state was entered.
    ActorChurnCount,
    /// Times in which the partner's churn state was entered.
    PartnerChurnCount,
    /// Times in which the actor came into synchronization.
    ActorSyncTransitionCount,
    /// Times in which the partner came into synchronization.
    PartnerSyncTransitionCount,
    /// Times in which the LAG ID, as this side sees it, has changed.
    ActorChangeCount,
    /// Times in which the LAG ID, as the partner sees it, has changed.
    PartnerChangeCount,
    /// LACPDUs of the own system: a link leads back.
    OwnSystemRx,
    /// Version 2 LACPDUs whose list of TLVs ends badly.
    MalformedTlvRx,
    /// LACPDUs beyond the rate that a slow protocol may have, not listened to.
    ExcessRx,
    /// LACPDUs that came while the link was down or LACP off.
    DiscardedRx,
    /// Markers not answered, for the sake of the rate.
    MarkersNotAnswered,
    /// Marker responses that nobody waits for.
    UnexpectedMarkerResponses,
}

impl Counter {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 20] = [
        Self::LacpdusRx,
        Self::MarkerPdusRx,
        Self::MarkerResponsePdusRx,
        Self::UnknownRx,
        Self::IllegalRx,
        Self::LacpdusTx,
        Self::MarkerPdusTx,
        Self::MarkerResponsePdusTx,
        Self::ActorChurnCount,
        Self::PartnerChurnCount,
        Self::ActorSyncTransitionCount,
        Self::PartnerSyncTransitionCount,
        Self::ActorChangeCount,
        Self::PartnerChangeCount,
        Self::OwnSystemRx,
        Self::MalformedTlvRx,
        Self::ExcessRx,
        Self::DiscardedRx,
        Self::MarkersNotAnswered,
        Self::UnexpectedMarkerResponses,
    ];

    /// The standard's name; those it does not have are in its manner without `a`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LacpdusRx => "aAggPortStatsLACPDUsRx",
            Self::MarkerPdusRx => "aAggPortStatsMarkerPDUsRx",
            Self::MarkerResponsePdusRx => "aAggPortStatsMarkerResponsePDUsRx",
            Self::UnknownRx => "aAggPortStatsUnknownRx",
            Self::IllegalRx => "aAggPortStatsIllegalRx",
            Self::LacpdusTx => "aAggPortStatsLACPDUsTx",
            Self::MarkerPdusTx => "aAggPortStatsMarkerPDUsTx",
            Self::MarkerResponsePdusTx => "aAggPortStatsMarkerResponsePDUsTx",
            Self::ActorChurnCount => "aAggPortDebugActorChurnCount",
            Self::PartnerChurnCount => "aAggPortDebugPartnerChurnCount",
            Self::ActorSyncTransitionCount => "aAggPortDebugActorSyncTransitionCount",
            Self::PartnerSyncTransitionCount => "aAggPortDebugPartnerSyncTransitionCount",
            Self::ActorChangeCount => "aAggPortDebugActorChangeCount",
            Self::PartnerChangeCount => "aAggPortDebugPartnerChangeCount",
            Self::OwnSystemRx => "OwnSystemRx",
            Self::MalformedTlvRx => "MalformedTLVRx",
            Self::ExcessRx => "ExcessRx",
            Self::DiscardedRx => "DiscardedRx",
            Self::MarkersNotAnswered => "MarkersNotAnswered",
            Self::UnexpectedMarkerResponses => "UnexpectedMarkerResponses",
        }
    }

    /// The clause that defines it, none for those of this crate.
    pub const fn clause(self) -> Option<&'static str> {
        Some(match self {
            Self::LacpdusRx => "7.3.3.1.2",
            Self::MarkerPdusRx => "7.3.3.1.3",
            Self::MarkerResponsePdusRx => "7.3.3.1.4",
            Self::UnknownRx => "7.3.3.1.5",
            Self::IllegalRx => "7.3.3.1.6",
            Self::LacpdusTx => "7.3.3.1.7",
            Self::MarkerPdusTx => "7.3.3.1.8",
            Self::MarkerResponsePdusTx => "7.3.3.1.9",
            Self::ActorChurnCount => "7.3.4.1.8",
            Self::PartnerChurnCount => "7.3.4.1.9",
            Self::ActorSyncTransitionCount => "7.3.4.1.10",
            Self::PartnerSyncTransitionCount => "7.3.4.1.11",
            Self::ActorChangeCount => "7.3.4.1.12",
            Self::PartnerChangeCount => "7.3.4.1.13",
            Self::OwnSystemRx
            | Self::MalformedTlvRx
            | Self::ExcessRx
            | Self::DiscardedRx
            | Self::MarkersNotAnswered
            | Self::UnexpectedMarkerResponses => return None,
        })
    }
}

/// The counters of a port. They start at 0 with it and wrap after 2^64.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counters([u64; Counter::COUNT]);

impl Counters {
    /// The value of one.
    pub fn get(&self, counter: Counter) -> u64 {
        self.0.get(counter as usize).copied().unwrap_or(0)
    }

    pub(crate) fn count(&mut self, counter: Counter) {
        if let Some(value) = self.0.get_mut(counter as usize) {
            *value = value.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counter_has_its_place() {
        let mut counters = Counters::default();
        for (number, counter) in Counter::ALL.into_iter().enumerate() {
            assert_eq!(counter as usize, number);
            for _ in 0..=number {
                counters.count(counter);
            }
        }
        for (number, counter) in Counter::ALL.into_iter().enumerate() {
            assert_eq!(counters.get(counter), number as u64 + 1, "{counter:?}");
            assert_eq!(
                counter.clause().is_some(),
                counter.name().starts_with("aAggPort")
            );
        }
    }
}
