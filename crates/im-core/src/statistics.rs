//! What a virtual miniport counts, as NDIS asks for it (ATR-11, OID-24).
//!
//! Sums over processors; each is right, together they are as close as counters
//! can be that nobody stops.

use crate::data::{DataPath, Kinds, Traffic};
use crate::edges::Upper;
use crate::flow::Slot;
use crate::oid_table::Statistic;
use crate::topology::Topology;
use im_control::DropReason;
use ndis::header::{Zeroed, header};
use ndis::sys::{NDIS_OBJECT_TYPE_DEFAULT, NDIS_STATISTICS_INFO, NDIS_STATISTICS_INFO_REVISION_1};

/// All members of NDIS_STATISTICS_INFO are supported (ATR-11).
pub(crate) const ALL_STATISTICS: u32 = 0x003F_FFFF;

/// Why a drop counts as what.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Blame {
    /// Nothing was wrong with the frame: it came at the wrong time, or nobody
    /// wanted it.
    DiscardIn,
    DiscardOut,
    /// Something was wrong with the frame.
    ErrorIn,
    ErrorOut,
    /// There was no memory for it.
    NoBufferIn,
    /// It was never the miniport's.
    Nobody,
}

const fn blame(reason: DropReason) -> Blame {
    use DropReason as R;
    match reason {
        R::SendPaused
        | R::SendBindingPaused
        | R::SendLowPower
        | R::SendRemoved
        | R::SendReset
        | R::SendCancelled
        | R::SendNoBinding
        | R::SendNoMember
        | R::SendNoCopy
        | R::SendNoFrame
        | R::SendNoContext
        | R::SendNoMemory => Blame::DiscardOut,
        R::SendPort | R::SendMalformed | R::SendSpoofed | R::SendTagged | R::SendOffload => {
            Blame::ErrorOut
        }
        R::ReceivePaused
        | R::ReceiveBindingPaused
        | R::ReceiveLowPower
        | R::ReceiveNoFilter
        | R::ReceiveReset => Blame::DiscardIn,
        R::ReceiveNoContext | R::ReceiveNoMemory => Blame::NoBufferIn,
        R::ReceiveMalformed => Blame::ErrorIn,
        R::ReceivePort
        | R::ReceiveNoMiniport
        | R::ReceiveVlan
        | R::ReceiveUnwanted
        | R::ReceiveControl
        | R::ReceiveReflected
        | R::ReceiveInactive => Blame::Nobody,
    }
}

/// What went through a miniport. A data path that does not look into frames
/// knows of directed ones only.
fn traffic<T: Topology>(upper: &Upper<T>) -> Traffic {
    T::Data::traffic(upper).unwrap_or_else(|| {
        let sum = |read: fn(&Slot) -> [u64; 3], which: usize| -> u64 {
            let values = upper.path.flow.iter().map(read);
            values.fold(0, |sum, value| {
                sum.wrapping_add(value.get(which).copied().unwrap_or(0))
            })
        };
        let kinds = |read: fn(&Slot) -> [u64; 3]| Kinds {
            frames: [sum(read, 1), 0, 0],
            bytes: [sum(read, 2), 0, 0],
        };
        Traffic {
            sent: kinds(|slot| slot.sent.read()),
            received: kinds(|slot| slot.received.read()),
        }
    })
}

/// Lists that were dropped for reasons of a kind.
fn dropped<T: Topology>(upper: &Upper<T>, what: Blame) -> u64 {
    DropReason::ALL
        .iter()
        .filter(|reason| blame(**reason) == what)
        .map(|reason| upper.path.drops(*reason))
        .fold(0, u64::wrapping_add)
}

fn all(kinds: [u64; 3]) -> u64 {
    kinds.into_iter().fold(0, u64::wrapping_add)
}

/// One counter of a miniport. IRQL <= DISPATCH_LEVEL.
pub(crate) fn counter<T: Topology>(upper: &Upper<T>, which: Statistic) -> u64 {
    use Statistic as S;
    let Traffic { sent, received } = traffic(upper);
    let [directed_in, multicast_in, broadcast_in] = received.frames;
    let [directed_out, multicast_out, broadcast_out] = sent.frames;
    match which {
        S::FramesIn => all(received.frames),
        S::FramesOut => all(sent.frames),
        S::BytesIn => all(received.bytes),
        S::BytesOut => all(sent.bytes),
        S::DirectedFramesIn => directed_in,
        S::DirectedFramesOut => directed_out,
        S::DirectedBytesIn => received.bytes[0],
        S::DirectedBytesOut => sent.bytes[0],
        S::MulticastFramesIn => multicast_in,
        S::MulticastFramesOut => multicast_out,
        S::MulticastBytesIn => received.bytes[1],
        S::MulticastBytesOut => sent.bytes[1],
        S::BroadcastFramesIn => broadcast_in,
        S::BroadcastFramesOut => broadcast_out,
        S::BroadcastBytesIn => received.bytes[2],
        S::BroadcastBytesOut => sent.bytes[2],
        S::DiscardsIn => {
            dropped(upper, Blame::DiscardIn).wrapping_add(dropped(upper, Blame::NoBufferIn))
        }
        S::DiscardsOut => dropped(upper, Blame::DiscardOut),
        S::ErrorsIn => dropped(upper, Blame::ErrorIn),
        S::ErrorsOut => dropped(upper, Blame::ErrorOut),
        S::NoBufferIn => dropped(upper, Blame::NoBufferIn),
    }
}

/// All of them, for OID_GEN_STATISTICS. IRQL <= DISPATCH_LEVEL.
pub(crate) fn all_counters<T: Topology>(upper: &Upper<T>) -> NDIS_STATISTICS_INFO {
    let Traffic { sent, received } = traffic(upper);
    let mut info = NDIS_STATISTICS_INFO::zeroed();
    info.Header = header(
        NDIS_OBJECT_TYPE_DEFAULT,
        NDIS_STATISTICS_INFO_REVISION_1,
        size_of::<NDIS_STATISTICS_INFO>(),
    );
    info.SupportedStatistics = ALL_STATISTICS;
    info.ifInDiscards = counter(upper, Statistic::DiscardsIn);
    info.ifInErrors = counter(upper, Statistic::ErrorsIn);
    info.ifOutDiscards = counter(upper, Statistic::DiscardsOut);
    info.ifOutErrors = counter(upper, Statistic::ErrorsOut);
    info.ifHCInOctets = all(received.bytes);
    info.ifHCOutOctets = all(sent.bytes);
    [
        info.ifHCInUcastPkts,
        info.ifHCInMulticastPkts,
        info.ifHCInBroadcastPkts,
    ] = received.frames;
    [
        info.ifHCOutUcastPkts,
        info.ifHCOutMulticastPkts,
        info.ifHCOutBroadcastPkts,
    ] = sent.frames;
    [
        info.ifHCInUcastOctets,
        info.ifHCInMulticastOctets,
        info.ifHCInBroadcastOctets,
    ] = received.bytes;
    [
        info.ifHCOutUcastOctets,
        info.ifHCOutMulticastOctets,
        info.ifHCOutBroadcastOctets,
    ] = sent.bytes;
    info
}
