//! What the control device shows of teams: members, LACP, buckets.
//!
//! Later than the rest of the format, and appended to it: a driver without teams has
//! no records of these kinds, one of an earlier version refuses the request.

use crate::names::named;
use crate::record::{Field, NAME_UNITS, Record, record};

/// No member's slot.
pub const NO_SLOT: u32 = 0xFF;

named! {
    /// How a team spreads frames over its members.
    TeamModeCode {
        /// All on one.
        ActiveBackup = 0 "active-backup",
        /// By the hash of their flow.
        Hash = 1 "hash",
        /// The same among those that LACP aggregates.
        Lacp = 2 "lacp",
        /// In turn.
        RoundRobin = 3 "round-robin",
        /// On all of them.
        Broadcast = 4 "broadcast",
        /// By flowlets and load.
        Dynamic = 5 "dynamic",
    }
}

named! {
    /// What is true of a member: bits of [`MemberRecord::flags`].
    MemberFlag {
        /// The cable is in, and the adapter awake and running.
        Up = 1 "up",
        /// Frames are to be sent on it.
        Distributing = 2 "distributing",
        /// Groups' frames from it go up.
        Collecting = 4 "collecting",
        /// It lives: if it does not distribute any more, it is left in order.
        Alive = 8 "alive",
        /// It comes before all that are not primary.
        Primary = 16 "primary",
        /// It is asked for all frames, because its address is not the team's.
        Promiscuous = 32 "promiscuous",
        /// It carries everything, where one member does.
        Active = 64 "active",
    }
}

impl MemberFlag {
    /// Whether it is among these.
    pub const fn is_in(self, flags: u32) -> bool {
        flags & self.code() != 0
    }
}

named! {
    /// Where a member is.
    MemberStateCode {
        /// The cable is out, or the adapter sleeps or is paused.
        Down = 0 "down",
        /// The cable is in; it has to stay so for a while.
        UpDelay = 1 "up-delay",
        /// The targets of the monitor do not answer (yet).
        Probing = 2 "probing",
        /// It can be used.
        Ready = 3 "ready",
        /// The cable is out; it may come back in a while.
        DownDelay = 4 "down-delay",
        /// It is about to leave alive.
        Leaving = 5 "leaving",
    }
}

named! {
    /// Why an adapter cannot be a member of a team.
    MemberRefusal {
        /// The team has as many members as it can.
        TooMany = 1 "too-many",
        /// The adapter is a member already.
        Twice = 2 "twice",
        /// It is a member of another team.
        OtherTeam = 3 "other-team",
        /// Its medium, physical medium or kind of interface is not the team's.
        Medium = 4 "medium",
        /// It carries less in a frame than the team promises.
        Mtu = 5 "mtu",
        /// It takes no 802.1Q word beside a frame, and the team does.
        VlanTags = 6 "vlan-tags",
        /// It is, or stands on, the team's own miniport.
        Loop = 7 "loop",
        /// Its address is not the team's, and it cannot be asked for all frames.
        Address = 8 "address",
        /// Another member has its MemberIndex.
        Number = 9 "number",
    }
}

named! {
    /// State of a LACP receive machine (802.1AX 6.4.12).
    LacpReceiveCode {
        /// What is known of the partner is set to the administrative values.
        Initialize = 0 "INITIALIZE",
        /// The link is down.
        PortDisabled = 1 "PORT_DISABLED",
        /// Nothing any more from the partner, for a last short timeout.
        Expired = 2 "EXPIRED",
        /// LACP is switched off for the port.
        LacpDisabled = 3 "LACP_DISABLED",
        /// There is no partner.
        Defaulted = 4 "DEFAULTED",
        /// The partner is heard.
        Current = 5 "CURRENT",
    }
}

named! {
    /// State of a LACP periodic machine (802.1AX 6.4.13).
    LacpPeriodicCode {
        /// Nothing is sent of its own accord.
        NoPeriodic = 0 "NO_PERIODIC",
        /// Every second.
        FastPeriodic = 1 "FAST_PERIODIC",
        /// Every 30 seconds.
        SlowPeriodic = 2 "SLOW_PERIODIC",
        /// Now.
        PeriodicTx = 3 "PERIODIC_TX",
    }
}

named! {
    /// `Selected` of a port (802.1AX 6.4.8).
    LacpSelectedCode {
        /// No aggregator.
        Unselected = 0 "UNSELECTED",
        /// An aggregator, and no place in it now.
        Standby = 1 "STANDBY",
        /// An aggregator, and a place.
        Selected = 2 "SELECTED",
    }
}

named! {
    /// State of a LACP mux machine (802.1AX 6.4.15, independent control).
    LacpMuxCode {
        /// Of no aggregator.
        Detached = 0 "DETACHED",
        /// An aggregator is selected; others may want to join in the same moment.
        Waiting = 1 "WAITING",
        /// In synchronization.
        Attached = 2 "ATTACHED",
        /// Frames are taken from the link.
        Collecting = 3 "COLLECTING",
        /// And sent on it.
        Distributing = 4 "DISTRIBUTING",
    }
}

named! {
    /// State of a LACP churn detection machine (802.1AX 6.4.17), the actor's or the
    /// partner's.
    LacpChurnCode {
        /// It is watched.
        Monitor = 0 "CHURN_MONITOR",
        /// It came into synchronization.
        NoChurn = 1 "NO_CHURN",
        /// It did not in time.
        Churn = 2 "CHURN",
    }
}

named! {
    /// Counters of a LACP port; the standard's names (802.1AX 7.3.3, 7.3.4) where it
    /// has one.
    LacpCounter {
        /// Valid LACPDUs received.
        LacpdusRx = 0 "aAggPortStatsLACPDUsRx",
        /// Valid marker PDUs received.
        MarkerPdusRx = 1 "aAggPortStatsMarkerPDUsRx",
        /// Valid marker response PDUs received.
        MarkerResponsePdusRx = 2 "aAggPortStatsMarkerResponsePDUsRx",
        /// Frames of the slow protocols that are of no known kind.
        UnknownRx = 3 "aAggPortStatsUnknownRx",
        /// Badly formed PDUs.
        IllegalRx = 4 "aAggPortStatsIllegalRx",
        /// LACPDUs sent.
        LacpdusTx = 5 "aAggPortStatsLACPDUsTx",
        /// Marker PDUs sent.
        MarkerPdusTx = 6 "aAggPortStatsMarkerPDUsTx",
        /// Marker response PDUs sent.
        MarkerResponsePdusTx = 7 "aAggPortStatsMarkerResponsePDUsTx",
        /// Times in which the actor's churn state was entered.
        ActorChurnCount = 8 "aAggPortDebugActorChurnCount",
        /// Times in which the partner's churn state was entered.
        PartnerChurnCount = 9 "aAggPortDebugPartnerChurnCount",
        /// Times in which the actor came into synchronization.
        ActorSyncTransitionCount = 10 "aAggPortDebugActorSyncTransitionCount",
        /// Times in which the partner came into synchronization.
        PartnerSyncTransitionCount = 11 "aAggPortDebugPartnerSyncTransitionCount",
        /// Times in which the group, as this side sees it, has changed.
        ActorChangeCount = 12 "aAggPortDebugActorChangeCount",
        /// Times in which the group, as the partner sees it, has changed.
        PartnerChangeCount = 13 "aAggPortDebugPartnerChangeCount",
        /// LACPDUs of the own system: a link leads back.
        OwnSystemRx = 14 "OwnSystemRx",
        /// Version 2 LACPDUs whose list of TLVs ends badly.
        MalformedTlvRx = 15 "MalformedTLVRx",
        /// LACPDUs beyond the rate that a slow protocol may have.
        ExcessRx = 16 "ExcessRx",
        /// LACPDUs that came while the link was down or LACP off.
        DiscardedRx = 17 "DiscardedRx",
        /// Markers not answered, for the sake of the rate.
        MarkersNotAnswered = 18 "MarkersNotAnswered",
        /// Marker responses that nobody waits for.
        UnexpectedMarkerResponses = 19 "UnexpectedMarkerResponses",
    }
}

record! {
    /// A team. Sets of members have a bit for each slot.
    TeamRecord {
        /// The index by which its members, its LACP and its buckets are asked for.
        index: u32,
        /// How it spreads frames, see [`TeamModeCode`].
        mode: u32,
        /// State of its virtual miniport, see [`crate::UpperStateCode`].
        upper_state: u32,
        /// Interface index of its virtual miniport; zero before it is known.
        upper_if_index: u32,
        /// Slots that have a member.
        members: u32,
        /// Members that frames are to be sent on.
        distribute: u32,
        /// Members from which groups' frames go up.
        collect: u32,
        /// Members that live.
        alive: u32,
        /// Members that the data path can use at this moment.
        usable: u32,
        /// Goes up by one with every other ranking.
        ranking: u32,
        /// Buckets whose frames are held at this moment.
        held: u32,
        /// LACP's active aggregator and one; zero for none.
        aggregator: u32,
        /// Connect state of the link that it shows.
        link: u32,
        /// Bits per second of that link; zero without one.
        speed: u64,
        /// Its Ethernet address, the first byte on top of the lower 48 bits.
        mac: u64,
        /// Device name of its virtual miniport.
        name: [u16; NAME_UNITS],
    }
}

record! {
    /// A member of a team.
    MemberRecord {
        /// Its place in the team.
        slot: u32,
        /// Its MemberIndex, which is its LACP port number.
        number: u32,
        /// Interface index of the adapter.
        if_index: u32,
        /// What is true of it, see [`MemberFlag`].
        flags: u32,
        /// Where it is, see [`MemberStateCode`].
        state: u32,
        /// State of the binding, see [`crate::LowerStateCode`].
        lower_state: u32,
        /// Connect state of its link.
        link: u32,
        /// Its device power state.
        power: u32,
        /// MemberPriority.
        priority: u32,
        /// MemberWeight.
        weight: u32,
        /// Bits per second of its link; zero if not known.
        speed: u64,
        /// The adapter's own Ethernet address.
        mac: u64,
        /// Lists handed to it.
        sent_lists: u64,
        /// Frames in them.
        sent_frames: u64,
        /// Bytes in them.
        sent_bytes: u64,
        /// Lists from it that went up.
        received_lists: u64,
        /// Frames in them.
        received_frames: u64,
        /// Bytes in them.
        received_bytes: u64,
        /// Lists of it, or for it, that were dropped.
        dropped: u64,
        /// Lists that it has right now.
        outstanding: u64,
    }
}

record! {
    /// LACP on a member: a port of the standard.
    LacpRecord {
        /// The member's slot.
        slot: u32,
        /// The aggregator that it selected and one; zero for none.
        aggregator: u32,
        /// See [`LacpSelectedCode`].
        selected: u32,
        /// See [`LacpReceiveCode`].
        receive: u32,
        /// See [`LacpPeriodicCode`].
        periodic: u32,
        /// See [`LacpMuxCode`].
        mux: u32,
        /// See [`LacpChurnCode`].
        actor_churn: u32,
        /// See [`LacpChurnCode`].
        partner_churn: u32,
        /// Actor_System_Priority.
        actor_system_priority: u16,
        /// Actor_Oper_Port_Key.
        actor_key: u16,
        /// Actor_Port_Priority.
        actor_port_priority: u16,
        /// Actor_Port_Number.
        actor_port: u16,
        /// Actor_System, the first byte on top of the lower 48 bits.
        actor_system: u64,
        /// Actor_State, the octet of an LACPDU.
        actor_state: u8,
        /// Partner_State.
        partner_state: u8,
        /// Partner_System_Priority.
        partner_system_priority: u16,
        /// Partner_Key.
        partner_key: u16,
        /// Partner_Port_Priority.
        partner_port_priority: u16,
        /// Partner_Port.
        partner_port: u16,
        /// Partner_System.
        partner_system: u64,
        /// When the last LACPDU came, in units of 100 nanoseconds since the start of
        /// the system; zero for never.
        last_received: u64,
    }
}

record! {
    /// A counter of LACP on a member.
    LacpCounterRecord {
        /// The member's slot.
        slot: u32,
        /// Which, see [`LacpCounter`].
        id: u32,
        /// Its value.
        value: u64,
    }
}

record! {
    /// A bucket of flows.
    BucketRecord {
        /// Its number.
        bucket: u32,
        /// The slot of the member that carries it; [`NO_SLOT`] for none.
        slot: u32,
        /// Its frames are held until it has moved.
        held: u32,
    }
}

record! {
    /// How often lists of a member, or for it, were dropped for a reason.
    MemberDropRecord {
        /// The member's slot.
        slot: u32,
        /// Which, see [`crate::DropReason`].
        id: u32,
        /// Lists dropped for it.
        lists: u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::vec;

    /// The lengths are part of the format.
    #[test]
    fn lengths() {
        assert_eq!(TeamRecord::BYTES, 13 * 4 + 2 * 8 + 2 * NAME_UNITS);
        assert_eq!(MemberRecord::BYTES, 10 * 4 + 10 * 8);
        assert_eq!(LacpRecord::BYTES, 8 * 4 + 4 * 2 + 8 + 2 + 4 * 2 + 2 * 8);
        assert_eq!(LacpCounterRecord::BYTES, 16);
        assert_eq!(BucketRecord::BYTES, 12);
        assert_eq!(MemberDropRecord::BYTES, 16);
    }

    #[test]
    fn records_survive() {
        let bytes: std::vec::Vec<u8> = (1..=LacpRecord::BYTES as u8).collect();
        let lacp = LacpRecord::read(&bytes).unwrap();
        assert_eq!(lacp.slot, 0x0403_0201);
        let mut again = vec![0; LacpRecord::BYTES];
        lacp.write(&mut again);
        assert_eq!(again, bytes, "every byte has its place");
        let bytes: std::vec::Vec<u8> = (1..=MemberRecord::BYTES as u8).collect();
        let mut again = vec![0; MemberRecord::BYTES];
        MemberRecord::read(&bytes).unwrap().write(&mut again);
        assert_eq!(again, bytes);
        for length in 0..bytes.len() {
            assert_eq!(MemberRecord::read(&bytes[..length]), None);
        }
    }

    #[test]
    fn numbers_round_and_flags_are_bits() {
        let mut all = 0;
        for flag in MemberFlag::ALL {
            assert_eq!(flag.code().count_ones(), 1);
            assert!(!flag.is_in(all) && flag.is_in(flag.code()));
            all |= flag.code();
            assert_eq!(MemberFlag::from_code(flag.code()), Some(*flag));
        }
        let names: BTreeSet<_> = LacpCounter::ALL.iter().map(|item| item.name()).collect();
        assert_eq!(names.len(), LacpCounter::COUNT);
        for refusal in MemberRefusal::ALL {
            assert_ne!(refusal.code(), 0, "zero is no refusal");
            assert_eq!(MemberRefusal::from_code(refusal.code()), Some(*refusal));
        }
    }
}
