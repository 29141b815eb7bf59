//! Task offload of one virtual miniport among many.
//!
//! The adapter below is configured for all; a miniport may use less of it. What
//! it shows is what its topology allows of the adapter's configuration
//! ([`crate::Topology::shown`]), less what was switched off on this miniport
//! (OID_TCP_OFFLOAD_PARAMETERS). Nothing goes down: who does not ask for a task
//! in a list does not get it, and results that nobody asked for are ignored.

use crate::attributes::no_wake_up;
use crate::edges::Upper;
use crate::status;
use crate::team::Team;
use crate::topology::Topology;
use core::mem::offset_of;
use ndis::header::{Zeroed, read_versioned};
use ndis::oid::Request;
use ndis::sys::{
    NDIS_OBJECT_TYPE_DEFAULT, NDIS_OBJECT_TYPE_OFFLOAD_ENCAPSULATION, NDIS_OFFLOAD,
    NDIS_OFFLOAD_ENCAPSULATION, NDIS_OFFLOAD_PARAMETERS, NDIS_OFFLOAD_SET_ON, NDIS_STATUS,
    NDIS_STATUS_INDICATION, NDIS_STATUS_INVALID_DATA, NDIS_STATUS_PM_HARDWARE_CAPABILITIES,
    NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG, NDIS_STATUS_TASK_OFFLOAD_HARDWARE_CAPABILITIES,
    NDIS_TCP_IP_CHECKSUM_OFFLOAD,
};

/// What was switched on or off on a miniport, each as NDIS_OFFLOAD_PARAMETERS
/// has it; zero: nothing was said, what there is counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    ip4: u8,
    tcp4: u8,
    udp4: u8,
    tcp6: u8,
    udp6: u8,
    lso1: u8,
    lso4: u8,
    lso6: u8,
    rsc4: u8,
    rsc6: u8,
    uso4: u8,
    uso6: u8,
}

/// Whether the sending half of a checksum setting is on: 0 nothing said, 1 none,
/// 2 sending, 3 receiving, 4 both.
const fn sends(setting: u8) -> bool {
    !matches!(setting, 1 | 3)
}

/// Whether the receiving half is on.
const fn receives(setting: u8) -> bool {
    !matches!(setting, 1 | 2)
}

/// Whether a setting with two values is on: 0 nothing said, 1 off, 2 on.
const fn on(setting: u8) -> bool {
    setting != 1
}

impl Choice {
    /// Takes over what a request says; `None` if it makes no sense.
    pub fn change(self, said: &NDIS_OFFLOAD_PARAMETERS) -> Option<Self> {
        let pick = |most: u8| {
            move |before: u8, now: u8| match now {
                0 => Some(before),
                _ if now <= most => Some(now),
                _ => None,
            }
        };
        let (checksum, switch) = (pick(4), pick(2));
        Some(Self {
            ip4: checksum(self.ip4, said.IPv4Checksum)?,
            tcp4: checksum(self.tcp4, said.TCPIPv4Checksum)?,
            udp4: checksum(self.udp4, said.UDPIPv4Checksum)?,
            tcp6: checksum(self.tcp6, said.TCPIPv6Checksum)?,
            udp6: checksum(self.udp6, said.UDPIPv6Checksum)?,
            lso1: switch(self.lso1, said.LsoV1)?,
            lso4: switch(self.lso4, said.LsoV2IPv4)?,
            lso6: switch(self.lso6, said.LsoV2IPv6)?,
            rsc4: switch(self.rsc4, said.RscIPv4)?,
            rsc6: switch(self.rsc6, said.RscIPv6)?,
            uso4: switch(self.uso4, said.UdpSegmentation.IPv4)?,
            uso6: switch(self.uso6, said.UdpSegmentation.IPv6)?,
        })
    }

    /// What is left of what the miniport may show.
    pub fn limit(self, mut offload: NDIS_OFFLOAD) -> NDIS_OFFLOAD {
        self.limit_checksum(&mut offload.Checksum);
        // A large send needs its checksums (LSO: IP and TCP).
        if !on(self.lso1) || !sends(self.ip4) || !sends(self.tcp4) {
            offload.LsoV1 = Zeroed::zeroed();
        }
        if !on(self.lso4) || !sends(self.ip4) || !sends(self.tcp4) {
            offload.LsoV2.IPv4 = Zeroed::zeroed();
        }
        if !on(self.lso6) || !sends(self.tcp6) {
            offload.LsoV2.IPv6 = Zeroed::zeroed();
        }
        if !on(self.uso4) || !sends(self.ip4) || !sends(self.udp4) {
            offload.UdpSegmentation.IPv4 = Zeroed::zeroed();
        }
        if !on(self.uso6) || !sends(self.udp6) {
            offload.UdpSegmentation.IPv6 = Zeroed::zeroed();
        }
        if !on(self.rsc4) || !receives(self.ip4) || !receives(self.tcp4) {
            offload.Rsc.IPv4.Enabled = 0;
        }
        if !on(self.rsc6) || !receives(self.tcp6) {
            offload.Rsc.IPv6.Enabled = 0;
        }
        offload
    }

    fn limit_checksum(self, offload: &mut NDIS_TCP_IP_CHECKSUM_OFFLOAD) {
        let mask = |keep: bool, bits: u32| if keep { u32::MAX } else { !bits };
        offload.IPv4Transmit.Bits &= mask(sends(self.ip4), V4_IP)
            & mask(sends(self.tcp4), TCP)
            & mask(sends(self.udp4), UDP);
        offload.IPv4Receive.Bits &= mask(receives(self.ip4), V4_IP)
            & mask(receives(self.tcp4), TCP)
            & mask(receives(self.udp4), UDP);
        offload.IPv6Transmit.Bits &= mask(sends(self.tcp6), TCP) & mask(sends(self.udp6), UDP);
        offload.IPv6Receive.Bits &= mask(receives(self.tcp6), TCP) & mask(receives(self.udp6), UDP);
        for (bits, encapsulation) in [
            (
                offload.IPv4Transmit.Bits,
                &mut offload.IPv4Transmit.Encapsulation,
            ),
            (
                offload.IPv4Receive.Bits,
                &mut offload.IPv4Receive.Encapsulation,
            ),
            (
                offload.IPv6Transmit.Bits,
                &mut offload.IPv6Transmit.Encapsulation,
            ),
            (
                offload.IPv6Receive.Bits,
                &mut offload.IPv6Receive.Encapsulation,
            ),
        ] {
            if bits & (V4_IP | TCP | UDP) == 0 {
                *encapsulation = 0;
            }
        }
    }
}

/// Bits of the checksum sections of NDIS_OFFLOAD, two each: not supported, or.
const TCP: u32 = 3 << 4;
const UDP: u32 = 3 << 6;
const V4_IP: u32 = 3 << 8;

/// Whether a request for an encapsulation switches anything on.
pub fn wants_any(wanted: &NDIS_OFFLOAD_ENCAPSULATION) -> bool {
    wanted.IPv4.Enabled == NDIS_OFFLOAD_SET_ON || wanted.IPv6.Enabled == NDIS_OFFLOAD_SET_ON
}

/// Whether any task can be done with the encapsulation that is asked for (OFF-5).
pub fn can_do(shown: &NDIS_OFFLOAD, wanted: &NDIS_OFFLOAD_ENCAPSULATION) -> bool {
    let checksum = &shown.Checksum;
    let v4 = checksum.IPv4Transmit.Encapsulation
        | checksum.IPv4Receive.Encapsulation
        | shown.LsoV1.IPv4.Encapsulation
        | shown.LsoV2.IPv4.Encapsulation
        | shown.UdpSegmentation.IPv4.Encapsulation;
    let v6 = checksum.IPv6Transmit.Encapsulation
        | checksum.IPv6Receive.Encapsulation
        | shown.LsoV2.IPv6.Encapsulation
        | shown.UdpSegmentation.IPv6.Encapsulation;
    wanted.IPv4.Enabled == NDIS_OFFLOAD_SET_ON && v4 & wanted.IPv4.EncapsulationType != 0
        || wanted.IPv6.Enabled == NDIS_OFFLOAD_SET_ON && v6 & wanted.IPv6.EncapsulationType != 0
}

/// Reads a versioned structure out of a set request.
fn read<S: Zeroed + Copy>(
    request: Request,
    kind: u8,
    least: usize,
) -> core::result::Result<S, NDIS_STATUS> {
    let length = (request.facts().length as usize).min(size_of::<S>());
    if length < least {
        return Err(request.set_too_short(least as u32)); // OID-11
    }
    let mut copy = S::zeroed();
    // SAFETY: (OID-11) plain data, any bytes are a value; as long as the slice.
    let bytes = unsafe { core::slice::from_raw_parts_mut((&raw mut copy).cast::<u8>(), length) };
    if request.set_bytes(0, bytes).is_err() {
        return Err(NDIS_STATUS_INVALID_DATA);
    }
    // SAFETY: (VER-4) our own copy, as long as the type.
    let checked = unsafe { read_versioned::<S>(&raw const copy, kind, least) };
    checked.map_err(|_| NDIS_STATUS_INVALID_DATA)
}

/// What OID_OFFLOAD_ENCAPSULATION asks for.
pub(crate) fn encapsulation(
    request: Request,
) -> core::result::Result<NDIS_OFFLOAD_ENCAPSULATION, NDIS_STATUS> {
    let least = size_of::<NDIS_OFFLOAD_ENCAPSULATION>();
    read(request, NDIS_OBJECT_TYPE_OFFLOAD_ENCAPSULATION, least)
}

/// OID_TCP_OFFLOAD_PARAMETERS, set. IRQL = PASSIVE_LEVEL.
pub(crate) fn set_parameters<T: Topology>(upper: &Upper<T>, request: Request) -> NDIS_STATUS {
    let least = offset_of!(NDIS_OFFLOAD_PARAMETERS, IPsecV2);
    let said: NDIS_OFFLOAD_PARAMETERS = match read(request, NDIS_OBJECT_TYPE_DEFAULT, least) {
        Ok(said) => said,
        Err(status) => return status,
    };
    let before = *upper.choice.lock();
    let Some(now) = before.change(&said) else {
        request.refused();
        return NDIS_STATUS_INVALID_DATA;
    };
    *upper.choice.lock() = now;
    renew(upper);
    indicate(upper); // STS-6
    request.accept_versioned(request.facts().length, said.Header.Revision) // OID-13
}

/// Computes anew what the miniport shows. IRQL <= DISPATCH_LEVEL; inside its
/// handlers or indications.
pub(crate) fn renew<T: Topology>(upper: &Upper<T>) {
    let team = upper.team();
    let Some(port) = upper.port() else { return };
    let (Some(first), Some(facts)) = (team.members().next(), team.facts()) else {
        return;
    };
    let all = T::shown(first.adapter(), &facts, port);
    drop(first);
    let choice = *upper.choice.lock();
    let mut shown = upper.shown.lock();
    if let Some(shown) = &mut *shown {
        shown.offload = all.offload.map(|offload| choice.limit(offload));
        shown.offload_hardware = all.offload_hardware;
    }
}

/// The members of a team have another capability in common: what the miniport
/// offers of wake-up and task offload is computed anew and said, if it is not what
/// it was (LBF-1, LBF-2). IRQL = PASSIVE_LEVEL.
pub(crate) fn offer_again<T: Topology>(team: &Team<T>) {
    let Some(facts) = team.facts() else { return };
    for upper in team.uppers() {
        let Some(_inside) = upper.indications.enter() else {
            continue;
        };
        let before = upper.shown(|shown| (shown.offload, shown.offload_hardware, shown.pm));
        renew(&upper);
        let pm = facts.pm.map(no_wake_up);
        if let Some(shown) = &mut *upper.shown.lock() {
            shown.pm = pm;
        }
        let Some((offload, hardware, old_pm)) = before else {
            continue;
        };
        let now = upper.shown(|shown| (shown.offload, shown.offload_hardware));
        let (now_offload, now_hardware) = now.unwrap_or((None, None));
        if !same(hardware.as_ref(), now_hardware.as_ref())
            && let Some(mut hardware) = now_hardware
        {
            let mut code = NDIS_STATUS_INDICATION::zeroed();
            code.StatusCode = NDIS_STATUS_TASK_OFFLOAD_HARDWARE_CAPABILITIES; // LBF-2
            let length = u32::from(hardware.Header.Size);
            status::indicate(&upper, &code, (&raw mut hardware).cast(), length);
        }
        if !same(offload.as_ref(), now_offload.as_ref()) {
            indicate(&upper);
        }
        if !same(old_pm.as_ref(), pm.as_ref())
            && let Some(mut pm) = pm
        {
            let mut code = NDIS_STATUS_INDICATION::zeroed();
            code.StatusCode = NDIS_STATUS_PM_HARDWARE_CAPABILITIES; // LBF-1
            let length = u32::from(pm.Header.Size);
            status::indicate(&upper, &code, (&raw mut pm).cast(), length);
        }
    }
}

/// Whether two capabilities are the same, byte by byte: both came zeroed.
fn same<S: Zeroed>(one: Option<&S>, other: Option<&S>) -> bool {
    let bytes = |what: Option<&S>| {
        what.map(|what| {
            // SAFETY: (VER-5) a C structure that was zeroed before it was filled.
            unsafe {
                core::slice::from_raw_parts(core::ptr::from_ref(what).cast::<u8>(), size_of::<S>())
            }
        })
    };
    bytes(one) == bytes(other)
}

/// Says what is configured (STS-6). IRQL <= DISPATCH_LEVEL.
pub(crate) fn indicate<T: Topology>(upper: &Upper<T>) {
    let now = upper.shown.lock().and_then(|shown| shown.offload);
    // Nothing left is a configuration too, if it was shown in the attributes.
    let Some(mut now) = now else { return };
    let mut code = NDIS_STATUS_INDICATION::zeroed();
    code.StatusCode = NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG;
    let length = u32::from(now.Header.Size);
    status::indicate(upper, &code, (&raw mut now).cast(), length);
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndis::sys::{
        NDIS_ENCAPSULATION_IEEE_802_3, NDIS_ENCAPSULATION_IEEE_LLC_SNAP_ROUTED,
        NDIS_OFFLOAD_SET_OFF,
    };
    use proptest::prelude::*;

    fn all() -> NDIS_OFFLOAD {
        let mut offload = NDIS_OFFLOAD::zeroed();
        let everything = V4_IP | TCP | UDP | 0xF;
        offload.Checksum.IPv4Transmit.Bits = everything;
        offload.Checksum.IPv4Receive.Bits = everything;
        offload.Checksum.IPv6Transmit.Bits = everything & !V4_IP;
        offload.Checksum.IPv6Receive.Bits = everything & !V4_IP;
        for encapsulation in [
            &mut offload.Checksum.IPv4Transmit.Encapsulation,
            &mut offload.Checksum.IPv4Receive.Encapsulation,
            &mut offload.Checksum.IPv6Transmit.Encapsulation,
            &mut offload.Checksum.IPv6Receive.Encapsulation,
            &mut offload.LsoV2.IPv4.Encapsulation,
            &mut offload.LsoV2.IPv6.Encapsulation,
        ] {
            *encapsulation = NDIS_ENCAPSULATION_IEEE_802_3;
        }
        offload.Rsc.IPv4.Enabled = 1;
        offload.Rsc.IPv6.Enabled = 1;
        offload
    }

    fn bytes(offload: &NDIS_OFFLOAD) -> [u8; size_of::<NDIS_OFFLOAD>()] {
        // SAFETY: (OFF-1) plain data without padding that is not zeroed.
        unsafe { core::mem::transmute_copy(offload) }
    }

    #[test]
    fn nothing_said_changes_nothing() {
        let said = NDIS_OFFLOAD_PARAMETERS::zeroed();
        let choice = Choice::default().change(&said).unwrap();
        assert_eq!(choice, Choice::default());
        assert_eq!(bytes(&choice.limit(all())), bytes(&all()));
    }

    #[test]
    fn halves_of_checksums() {
        let mut said = NDIS_OFFLOAD_PARAMETERS::zeroed();
        said.TCPIPv4Checksum = 2; // sending only
        let left = Choice::default().change(&said).unwrap().limit(all());
        assert_eq!(left.Checksum.IPv4Receive.Bits & TCP, 0);
        assert_ne!(left.Checksum.IPv4Transmit.Bits & TCP, 0);
        assert_eq!(left.Rsc.IPv4.Enabled, 0, "no coalescing unchecked");
        assert_eq!(left.Rsc.IPv6.Enabled, 1);
        assert_ne!(left.LsoV2.IPv4.Encapsulation, 0);

        said.TCPIPv4Checksum = 3; // receiving only
        let left = Choice::default().change(&said).unwrap().limit(all());
        assert_eq!(left.LsoV2.IPv4.Encapsulation, 0, "no large send unfinished");
        assert_ne!(left.LsoV2.IPv6.Encapsulation, 0);
    }

    /// OFF-5: any task with the encapsulation will do, for either protocol.
    #[test]
    fn encapsulations() {
        let mut wanted = NDIS_OFFLOAD_ENCAPSULATION::zeroed();
        assert!(!wants_any(&wanted) && !can_do(&all(), &wanted));
        wanted.IPv6.Enabled = NDIS_OFFLOAD_SET_ON;
        wanted.IPv6.EncapsulationType = NDIS_ENCAPSULATION_IEEE_802_3;
        assert!(wants_any(&wanted) && can_do(&all(), &wanted));
        assert!(!can_do(&NDIS_OFFLOAD::zeroed(), &wanted));
        wanted.IPv6.EncapsulationType = NDIS_ENCAPSULATION_IEEE_LLC_SNAP_ROUTED;
        assert!(!can_do(&all(), &wanted));
        wanted.IPv6.Enabled = NDIS_OFFLOAD_SET_OFF;
        assert!(!wants_any(&wanted));
    }

    proptest! {
        /// OFF-1: whatever is said, nothing is shown that was not there, and
        /// what makes no sense changes nothing.
        #[test]
        fn never_more_than_there_was(said in prop::collection::vec(any::<u8>(), 12), twice: bool) {
            let mut parameters = NDIS_OFFLOAD_PARAMETERS::zeroed();
            let fields = [
                &mut parameters.IPv4Checksum, &mut parameters.TCPIPv4Checksum,
                &mut parameters.UDPIPv4Checksum, &mut parameters.TCPIPv6Checksum,
                &mut parameters.UDPIPv6Checksum, &mut parameters.LsoV1,
                &mut parameters.LsoV2IPv4, &mut parameters.LsoV2IPv6,
                &mut parameters.RscIPv4, &mut parameters.RscIPv6,
                &mut parameters.UdpSegmentation.IPv4, &mut parameters.UdpSegmentation.IPv6,
            ];
            let small = twice;
            for (field, value) in fields.into_iter().zip(&said) {
                *field = if small { value % 3 } else { *value };
            }
            let choice = Choice::default().change(&parameters);
            prop_assert!(choice.is_some() || !small);
            let Some(choice) = choice else { return Ok(()) };
            let (before, after) = (bytes(&all()), bytes(&choice.limit(all())));
            for (before, after) in before.iter().zip(after) {
                prop_assert_eq!(after & !before, 0);
            }
            prop_assert_eq!(choice.change(&NDIS_OFFLOAD_PARAMETERS::zeroed()), Some(choice));
        }
    }
}
