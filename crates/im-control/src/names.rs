//! Numbers with names: counters, drop reasons, events, states.
//!
//! The numbers are part of the wire format and never change their meaning; new
//! ones are appended. A reader that meets an unknown number shows the number.

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$item_doc:meta])* $item:ident = $value:literal $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum $name {
            $($(#[$item_doc])* $item = $value,)+
        }

        impl $name {
            /// All of them, in wire order.
            pub const ALL: &'static [Self] = &[$(Self::$item),+];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The number on the wire.
            pub const fn code(self) -> u32 {
                self as u32
            }

            /// The name as it is shown.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$item => $text,)+
                }
            }

            /// The one with this number, if this version knows it.
            pub const fn from_code(code: u32) -> Option<Self> {
                match code {
                    $($value => Some(Self::$item),)+
                    _ => None,
                }
            }
        }
    };
}

pub(crate) use named;

named! {
    /// What each port counts.
    Counter {
        /// Lists handed to the adapter below.
        SentLists = 0 "sent-lists",
        /// Frames in them.
        SentFrames = 1 "sent-frames",
        /// Bytes in them.
        SentBytes = 2 "sent-bytes",
        /// Lists indicated to the protocols above.
        ReceivedLists = 3 "received-lists",
        /// Frames in them.
        ReceivedFrames = 4 "received-frames",
        /// Bytes in them.
        ReceivedBytes = 5 "received-bytes",
        /// Lists without the context room that the attributes ask for, for
        /// which NDIS had to allocate.
        ContextAllocations = 6 "context-allocations",
        /// Lists that are below or above right now.
        Outstanding = 7 "outstanding",
    }
}

named! {
    /// Why a list was refused or given back without having been forwarded.
    DropReason {
        /// Send while the virtual miniport was not running (MPS-4).
        SendPaused = 0 "send-paused",
        /// Send while the binding below was not running (PBS-6).
        SendBindingPaused = 1 "send-binding-paused",
        /// Send while an edge was not in D0 (PWR-4).
        SendLowPower = 2 "send-low-power",
        /// Send after surprise removal (DPE-1).
        SendRemoved = 3 "send-removed",
        /// Send that was held over a reset below and could not go (RST-3).
        SendReset = 4 "send-reset",
        /// Send for which no context space could be had.
        SendNoContext = 5 "send-no-context",
        /// Send on a port that is not active (PRT-1).
        SendPort = 6 "send-port",
        /// Send that was held and then cancelled (SND-13).
        SendCancelled = 7 "send-cancelled",
        /// Receive while the virtual miniport was not running (RCV-4).
        ReceivePaused = 8 "receive-paused",
        /// Receive while the binding was pausing, paused or closing (PBS-3).
        ReceiveBindingPaused = 9 "receive-binding-paused",
        /// Receive while the virtual miniport was not in D0 (PWR-2).
        ReceiveLowPower = 10 "receive-low-power",
        /// Receive before a packet filter was set above (RCV-14).
        ReceiveNoFilter = 11 "receive-no-filter",
        /// Receive during a reset below that could not be held (RST-2).
        ReceiveReset = 12 "receive-reset",
        /// Receive for which no context space could be had.
        ReceiveNoContext = 13 "receive-no-context",
        /// Receive on a port that is not active (PRT-1).
        ReceivePort = 14 "receive-port",
        /// Receive without a virtual miniport to show it to.
        ReceiveNoMiniport = 15 "receive-no-miniport",
        /// Send without a binding to send it through.
        SendNoBinding = 16 "send-no-binding",
        /// Received frame without a whole header.
        ReceiveMalformed = 17 "receive-malformed",
        /// Received frame of a VLAN without a virtual miniport, of a reserved
        /// one, or with a foreign tag.
        ReceiveVlan = 18 "receive-vlan",
        /// Received frame that no virtual miniport's address or filter takes.
        ReceiveUnwanted = 19 "receive-unwanted",
        /// Received frame that a virtual miniport sent before.
        ReceiveReflected = 20 "receive-reflected",
        /// Received frame for which no memory could be had (its tag cannot be
        /// taken out in place).
        ReceiveNoMemory = 21 "receive-no-memory",
        /// Send of a frame without a whole header, or too long with its tag.
        SendMalformed = 22 "send-malformed",
        /// Send from an address that the virtual miniport may not use.
        SendSpoofed = 23 "send-spoofed",
        /// Send with a tag that the virtual miniport may not use.
        SendTagged = 24 "send-tagged",
        /// Send for which no memory could be had (its tag cannot be put in
        /// place).
        SendNoMemory = 25 "send-no-memory",
        /// Send that asks for task offload where the virtual miniport offers none.
        SendOffload = 26 "send-offload",
        /// Send while no member of the team could be used.
        SendNoMember = 27 "send-no-member",
        /// Received broadcast or multicast frame on a member of a team that is not
        /// in use: another member has received it, too.
        ReceiveInactive = 28 "receive-inactive",
        /// Send to all members: no copy for this one could be had.
        SendNoCopy = 29 "send-no-copy",
        /// Frame of the team's own for which no list was left.
        SendNoFrame = 30 "send-no-frame",
        /// Received frame of a slow protocol: the team itself takes it.
        ReceiveControl = 31 "receive-control",
    }
}

named! {
    /// What the event ring remembers.
    EventKind {
        /// The driver was loaded; value: the NDIS version it registered.
        Loaded = 1 "loaded",
        /// An adapter was bound; value: its interface index.
        Bound = 2 "bound",
        /// A bind failed; value: the status.
        BindFailed = 3 "bind-failed",
        /// An adapter was unbound; value: its interface index.
        Unbound = 4 "unbound",
        /// A virtual miniport was asked for.
        MiniportRequested = 5 "miniport-requested",
        /// A virtual miniport could not be asked for; value: the status.
        MiniportRefused = 6 "miniport-refused",
        /// A virtual miniport is initialised; value: its interface index.
        MiniportReady = 7 "miniport-ready",
        /// A virtual miniport failed to initialise; value: the status.
        MiniportFailed = 8 "miniport-failed",
        /// A virtual miniport was halted; value: its interface index.
        MiniportHalted = 9 "miniport-halted",
        /// A virtual miniport started or stopped passing data; value: its state.
        MiniportState = 10 "miniport-state",
        /// A binding started or stopped passing data; value: its state.
        BindingState = 11 "binding-state",
        /// The link below changed; value: the connect state.
        LinkState = 12 "link-state",
        /// The virtual miniport changed power; value: the device state.
        MiniportPower = 13 "miniport-power",
        /// The adapter below changed power; value: the device state.
        BindingPower = 14 "binding-power",
        /// The adapter below started a reset.
        ResetStart = 15 "reset-start",
        /// The adapter below ended a reset; value: lists that were held.
        ResetEnd = 16 "reset-end",
        /// The virtual miniport was removed by surprise.
        SurpriseRemoved = 17 "surprise-removed",
        /// UpperBindings names more miniports than the topology has room for;
        /// value: how many were left out.
        TooManyMiniports = 18 "too-many-miniports",
        /// UpperBindings could not be read; value: the status.
        NoUpperBindings = 19 "no-upper-bindings",
        /// A handler was called in a state that does not have that move;
        /// value: state and move.
        BadMove = 20 "bad-move",
        /// A setting was refused; value: its place in the topology's table and
        /// the reason (1 wrong type, 2 out of range, 3 unknown, 4 duplicate,
        /// 5 conflict, 6 no memory).
        BadSetting = 21 "bad-setting",
        /// UpperBindings does not name a virtual miniport any more, and it was
        /// taken away; value: its last place there.
        MiniportRemoved = 22 "miniport-removed",
        /// UpperBindings names a miniport more than once; value: how many names
        /// were left out.
        DoubledNames = 23 "doubled-names",
        /// The adapter below is asked for all frames, because a miniport has an
        /// address that is not the adapter's.
        PromiscuousNeeded = 24 "promiscuous-needed",
        /// The adapter below refused it; value: the status.
        PromiscuousRefused = 25 "promiscuous-refused",
        /// The miniports' multicast lists together are longer than the adapter's:
        /// it is asked for all multicast frames; value: the length it can hold.
        MulticastOverflow = 26 "multicast-overflow",
        /// The adapter below refused a merged request; value: the status.
        MergeRefused = 27 "merge-refused",
        /// The address of the adapter below changed; value: the new one.
        AddressChanged = 28 "address-changed",
        /// An adapter became a member of a team; value: its slot there.
        MemberJoined = 29 "member-joined",
        /// An adapter is no member any more; value: the slot that it had.
        MemberLeft = 30 "member-left",
        /// An adapter cannot be a member; value: why, see [`crate::MemberRefusal`].
        MemberRefused = 31 "member-refused",
        /// A member can be used; value: its link speed.
        MemberUp = 32 "member-up",
        /// A member cannot be used; value: 1 no link, 2 the monitor, 3 it leaves,
        /// 4 LACP took it out.
        MemberDown = 33 "member-down",
        /// A member carries everything from now on; value: its interface index.
        ActiveMember = 34 "active-member",
        /// The team's link changed; value: bits per second, zero without a link.
        TeamLink = 35 "team-link",
        /// A member has another LACP partner; value: the partner's system address as
        /// a number, zero for none.
        LacpPartner = 36 "lacp-partner",
        /// A member's cable leads back to the team; value: the port number at the
        /// other end, zero when it does so no longer.
        LacpLoop = 37 "lacp-loop",
        /// A member does not come into synchronization; value: bit 0 for the actor,
        /// bit 1 for the partner, zero when both have.
        LacpChurn = 38 "lacp-churn",
        /// Another aggregator is the team's; value: its number and one, zero for
        /// none.
        LacpAggregator = 39 "lacp-aggregator",
        /// Flows were moved from a member although not all that it carried is known
        /// to have arrived: it took too long; value: its slot.
        FlowMoveLate = 40 "flow-move-late",
        /// A member that carried frames can suddenly not be used; value: lists that
        /// it had not completed.
        MemberLost = 41 "member-lost",
    }
}

named! {
    /// State of a virtual miniport on the wire.
    UpperStateCode {
        /// Not there.
        Halted = 0 "halted",
        /// Asked for.
        Requested = 1 "requested",
        /// MiniportInitializeEx is running.
        Initializing = 2 "initializing",
        /// No data.
        Paused = 3 "paused",
        /// On its way to running.
        Restarting = 4 "restarting",
        /// Passing data.
        Running = 5 "running",
        /// Waiting for what is outstanding.
        Pausing = 6 "pausing",
    }
}

named! {
    /// State of a binding on the wire.
    LowerStateCode {
        /// Not there.
        Unbound = 0 "unbound",
        /// NdisOpenAdapterEx is under way.
        Opening = 1 "opening",
        /// No data.
        Paused = 2 "paused",
        /// On its way to running.
        Restarting = 3 "restarting",
        /// Passing data.
        Running = 4 "running",
        /// Waiting for what is outstanding.
        Pausing = 5 "pausing",
        /// NdisCloseAdapterEx is under way.
        Closing = 6 "closing",
    }
}

named! {
    /// What becomes of an OID request.
    RuleCode {
        /// Passed to the adapter below as a clone.
        Forward = 0 "forwarded",
        /// Answered by the driver.
        Answer = 1 "answered",
        /// Refused by the driver.
        Refuse = 2 "refused",
        /// Answered by the driver, and merged with what the adapter's other
        /// virtual miniports want.
        Merge = 3 "merged",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn numbers_and_names_are_unique_and_round() {
        let mut names = BTreeSet::new();
        for kind in EventKind::ALL {
            assert_eq!(EventKind::from_code(kind.code()), Some(*kind));
            assert!(names.insert(kind.name()));
        }
        for reason in DropReason::ALL {
            assert_eq!(DropReason::from_code(reason.code()), Some(*reason));
            assert!(names.insert(reason.name()));
        }
        for counter in Counter::ALL {
            assert_eq!(Counter::from_code(counter.code()), Some(*counter));
            assert!(names.insert(counter.name()));
        }
        for (index, reason) in DropReason::ALL.iter().enumerate() {
            assert_eq!(reason.code() as usize, index, "reasons index an array");
        }
        for (index, counter) in Counter::ALL.iter().enumerate() {
            assert_eq!(counter.code() as usize, index, "counters index an array");
        }
        assert_eq!(DropReason::from_code(999), None);
    }
}
