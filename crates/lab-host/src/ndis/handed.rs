//! Structures that NDIS hands to a driver: which revision, how long, follows the version that the
//! driver registered (VER-1, BND-10). Lists and buffers are not among them: they have the size of
//! the system's version whoever gets them.
//!
//! What is handed over is no longer than its revision, so that with guarded memory a driver that
//! reads members of a later one is caught at the instruction.

use ndis_sys::{
    NDIS_DEVICE_POWER_STATE, NDIS_OBJECT_HEADER, NDIS_PM_CAPABILITIES,
    NDIS_PM_WAKE_UP_CAPABILITIES, NDIS_PNP_CAPABILITIES, NDIS_SIZEOF_BIND_PARAMETERS_REVISION_1,
    NDIS_SIZEOF_BIND_PARAMETERS_REVISION_2, NDIS_SIZEOF_BIND_PARAMETERS_REVISION_3,
    NDIS_SIZEOF_BIND_PARAMETERS_REVISION_4, NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_1,
    NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_2, NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_3,
    NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_4, NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_5,
    NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_6, NDIS_SIZEOF_NDIS_PM_CAPABILITIES_REVISION_1,
    NDIS_SIZEOF_NDIS_PM_CAPABILITIES_REVISION_2, NDIS_SIZEOF_NET_PNP_EVENT_NOTIFICATION_REVISION_1,
    NDIS_SIZEOF_NET_PNP_EVENT_NOTIFICATION_REVISION_2,
    NDIS_SIZEOF_NIC_SWITCH_CAPABILITIES_REVISION_1, NDIS_SIZEOF_NIC_SWITCH_CAPABILITIES_REVISION_2,
    NDIS_SIZEOF_NIC_SWITCH_CAPABILITIES_REVISION_3, NDIS_SIZEOF_OID_REQUEST_REVISION_1,
    NDIS_SIZEOF_OID_REQUEST_REVISION_2, NDIS_SIZEOF_RECEIVE_FILTER_CAPABILITIES_REVISION_1,
    NDIS_SIZEOF_RECEIVE_FILTER_CAPABILITIES_REVISION_2,
    NDIS_SIZEOF_RECEIVE_QUEUE_PARAMETERS_REVISION_1,
    NDIS_SIZEOF_RECEIVE_QUEUE_PARAMETERS_REVISION_2,
    NDIS_SIZEOF_RECEIVE_QUEUE_PARAMETERS_REVISION_3,
    NDIS_SIZEOF_RECEIVE_SCALE_CAPABILITIES_REVISION_1,
    NDIS_SIZEOF_RECEIVE_SCALE_CAPABILITIES_REVISION_2,
    NDIS_SIZEOF_RECEIVE_SCALE_CAPABILITIES_REVISION_3,
    NDIS_SIZEOF_RESTART_GENERAL_ATTRIBUTES_REVISION_1,
    NDIS_SIZEOF_RESTART_GENERAL_ATTRIBUTES_REVISION_2,
};

use crate::host::Host;

/// A structure of several revisions that NDIS fills in for a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handed {
    /// `NDIS_BIND_PARAMETERS`.
    Bind,
    /// `NDIS_RESTART_GENERAL_ATTRIBUTES`.
    Restart,
    /// `NDIS_PM_CAPABILITIES`; below 6.20 there is `NDIS_PNP_CAPABILITIES` in its place.
    Power,
    /// `NDIS_RECEIVE_SCALE_CAPABILITIES`.
    Rss,
    /// `NDIS_OFFLOAD`.
    Offload,
    /// `NDIS_RECEIVE_FILTER_CAPABILITIES`; there are none below 6.20.
    Filters,
    /// `NDIS_NIC_SWITCH_CAPABILITIES`; there are none below 6.20.
    Switch,
    /// `NDIS_RECEIVE_QUEUE_PARAMETERS`; there are none below 6.20.
    Queue,
    /// `NDIS_OID_REQUEST`.
    Request,
    /// `NET_PNP_EVENT_NOTIFICATION`.
    Event,
}

impl Handed {
    /// Revision and length for a driver that registered NDIS 6.`minor`.
    pub(crate) const fn of(self, minor: u8) -> (u8, u16) {
        match (self, minor) {
            (Self::Bind, 0) => (1, NDIS_SIZEOF_BIND_PARAMETERS_REVISION_1),
            (Self::Bind, 1..20) => (2, NDIS_SIZEOF_BIND_PARAMETERS_REVISION_2),
            (Self::Bind, 20..30) => (3, NDIS_SIZEOF_BIND_PARAMETERS_REVISION_3),
            (Self::Bind, _) => (4, NDIS_SIZEOF_BIND_PARAMETERS_REVISION_4),
            (Self::Restart, 0..20) => (1, NDIS_SIZEOF_RESTART_GENERAL_ATTRIBUTES_REVISION_1),
            (Self::Restart, _) => (2, NDIS_SIZEOF_RESTART_GENERAL_ATTRIBUTES_REVISION_2),
            (Self::Power, 0..30) => (1, NDIS_SIZEOF_NDIS_PM_CAPABILITIES_REVISION_1),
            (Self::Power, _) => (2, NDIS_SIZEOF_NDIS_PM_CAPABILITIES_REVISION_2),
            (Self::Rss, 0..30) => (1, NDIS_SIZEOF_RECEIVE_SCALE_CAPABILITIES_REVISION_1),
            (Self::Rss, 30..60) => (2, NDIS_SIZEOF_RECEIVE_SCALE_CAPABILITIES_REVISION_2),
            (Self::Rss, _) => (3, NDIS_SIZEOF_RECEIVE_SCALE_CAPABILITIES_REVISION_3),
            // OFF-5 has the same versions for what a driver hands to NDIS.
            (Self::Offload, 0) => (1, NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_1),
            (Self::Offload, 1..30) => (2, NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_2),
            (Self::Offload, 30..50) => (3, NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_3),
            (Self::Offload, 50..70) => (4, NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_4),
            (Self::Offload, 70..83) => (5, NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_5),
            (Self::Offload, _) => (6, NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_6),
            (Self::Filters, 0..30) => (1, NDIS_SIZEOF_RECEIVE_FILTER_CAPABILITIES_REVISION_1),
            (Self::Filters, _) => (2, NDIS_SIZEOF_RECEIVE_FILTER_CAPABILITIES_REVISION_2),
            (Self::Switch, 0..30) => (1, NDIS_SIZEOF_NIC_SWITCH_CAPABILITIES_REVISION_1),
            (Self::Switch, 30..60) => (2, NDIS_SIZEOF_NIC_SWITCH_CAPABILITIES_REVISION_2),
            (Self::Switch, _) => (3, NDIS_SIZEOF_NIC_SWITCH_CAPABILITIES_REVISION_3),
            (Self::Queue, 0..30) => (1, NDIS_SIZEOF_RECEIVE_QUEUE_PARAMETERS_REVISION_1),
            (Self::Queue, 30..50) => (2, NDIS_SIZEOF_RECEIVE_QUEUE_PARAMETERS_REVISION_2),
            (Self::Queue, _) => (3, NDIS_SIZEOF_RECEIVE_QUEUE_PARAMETERS_REVISION_3),
            (Self::Request, 0..50) => (1, NDIS_SIZEOF_OID_REQUEST_REVISION_1),
            (Self::Request, _) => (2, NDIS_SIZEOF_OID_REQUEST_REVISION_2),
            (Self::Event, 0..50) => (1, NDIS_SIZEOF_NET_PNP_EVENT_NOTIFICATION_REVISION_1),
            (Self::Event, _) => (2, NDIS_SIZEOF_NET_PNP_EVENT_NOTIFICATION_REVISION_2),
        }
    }

    /// The header for that driver; `kind` is the object's type.
    pub(crate) const fn header(self, kind: u8, minor: u8) -> NDIS_OBJECT_HEADER {
        let (revision, size) = self.of(minor);
        super::binding::header(kind, revision, size as usize)
    }
}

/// How a driver below 6.20 is shown what wakes the system.
const fn old_power(pm: &NDIS_PM_CAPABILITIES) -> NDIS_PNP_CAPABILITIES {
    NDIS_PNP_CAPABILITIES {
        Flags: 0,
        WakeUpCapabilities: NDIS_PM_WAKE_UP_CAPABILITIES {
            MinMagicPacketWakeUp: pm.MinMagicPacketWakeUp,
            MinPatternWakeUp: pm.MinPatternWakeUp,
            MinLinkChangeWakeUp: NDIS_DEVICE_POWER_STATE(0),
        },
    }
}

impl super::Ndis {
    /// Minor version that a protocol edge registered.
    pub(crate) fn minor_of_protocol(&self, protocol: u64) -> u8 {
        let known = self.protocols.get(&protocol);
        known.map_or(0, |p| p.chars.MinorNdisVersion)
    }

    /// Minor version that the protocol edge of a binding registered.
    pub(crate) fn minor_of_binding(&self, binding: u64) -> u8 {
        let known = self.bindings.get(&binding);
        known.map_or(0, |b| self.minor_of_protocol(b.protocol))
    }
}

impl Host {
    /// A structure of the driver's, as far as its header says it goes; zero behind that.
    ///
    /// `T` is a structure of the ABI that begins with a header and may be all zero.
    pub(crate) fn headed<T: Copy>(&self, at: u64, name: &str) -> T {
        let header: NDIS_OBJECT_HEADER = self.get(at, name);
        let length = usize::from(header.Size).min(size_of::<T>());
        let bytes = self.get_bytes(at, length, name);
        // SAFETY: plain data of the ABI; all zero is a value of it.
        let mut value: T = unsafe { std::mem::zeroed() };
        // SAFETY: no more bytes than the structure has, into plain data.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), (&raw mut value).cast::<u8>(), length);
        };
        value
    }

    /// Puts a structure that begins with a header into memory of its own, as a driver of NDIS
    /// 6.`minor` gets it.
    pub(crate) fn hand<T: Copy>(
        &self,
        what: Handed,
        minor: u8,
        value: &T,
        tag: u32,
        name: &'static str,
    ) -> u64 {
        let (revision, size) = what.of(minor);
        let bytes = cut(value, revision, size);
        let at = self.allocate(bytes.len() as u64, tag, name);
        let _ = self.arena.write_bytes(at, &bytes);
        at
    }

    /// What wakes the system: for `PowerManagementCapabilities` and for
    /// `PowerManagementCapabilitiesEx`, of which one is null by the driver's version.
    pub(crate) fn hand_power(&self, minor: u8, pm: &NDIS_PM_CAPABILITIES, tag: u32) -> (u64, u64) {
        if minor >= 20 {
            let name = "NDIS_PM_CAPABILITIES";
            return (0, self.hand(Handed::Power, minor, pm, tag, name));
        }
        let old = old_power(pm);
        let at = self.allocate(size_of_val(&old) as u64, tag, "NDIS_PNP_CAPABILITIES");
        self.put(at, old, "NDIS_PNP_CAPABILITIES");
        (at, 0)
    }
}

/// The bytes of a structure that begins with a header, as far as that says it goes.
pub(crate) fn whole<T: Copy>(value: &T) -> Vec<u8> {
    debug_assert!(size_of::<T>() >= size_of::<NDIS_OBJECT_HEADER>());
    // SAFETY: the caller's structure begins with its header, which is plain data.
    let header = unsafe {
        std::ptr::from_ref(value)
            .cast::<NDIS_OBJECT_HEADER>()
            .read_unaligned()
    };
    cut(value, header.Revision, header.Size)
}

/// The first `size` bytes of a structure, with the header of that revision.
fn cut<T: Copy>(value: &T, revision: u8, size: u16) -> Vec<u8> {
    let size = usize::from(size).min(size_of::<T>());
    let mut bytes = vec![0; size];
    // SAFETY: a structure of plain data is read as bytes, no more than it has.
    unsafe {
        std::ptr::copy_nonoverlapping(
            std::ptr::from_ref(value).cast::<u8>(),
            bytes.as_mut_ptr(),
            size,
        );
    }
    if let [_, old, low, high, ..] = &mut *bytes {
        *old = revision;
        [*low, *high] = (size as u16).to_le_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndis_sys::{
        NDIS_BIND_PARAMETERS, NDIS_NIC_SWITCH_CAPABILITIES, NDIS_OFFLOAD, NDIS_OID_REQUEST,
        NDIS_RECEIVE_FILTER_CAPABILITIES, NDIS_RECEIVE_QUEUE_PARAMETERS,
        NDIS_RECEIVE_SCALE_CAPABILITIES, NDIS_RESTART_GENERAL_ATTRIBUTES,
        NET_PNP_EVENT_NOTIFICATION,
    };

    /// Minor versions of Windows Vista to 11, and what each gets of: bind parameters, restart
    /// attributes, power, RSS, offload, requests, events, receive filters, NIC switch, receive
    /// queue.
    const KNOWN: [(u8, [u8; 10]); 15] = [
        (0, [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
        (1, [2, 1, 1, 1, 2, 1, 1, 1, 1, 1]),
        (20, [3, 2, 1, 1, 2, 1, 1, 1, 1, 1]),
        (30, [4, 2, 2, 2, 3, 1, 1, 2, 2, 2]),
        (40, [4, 2, 2, 2, 3, 1, 1, 2, 2, 2]),
        (50, [4, 2, 2, 2, 4, 2, 2, 2, 2, 3]),
        (51, [4, 2, 2, 2, 4, 2, 2, 2, 2, 3]),
        (60, [4, 2, 2, 3, 4, 2, 2, 2, 3, 3]),
        (70, [4, 2, 2, 3, 5, 2, 2, 2, 3, 3]),
        (80, [4, 2, 2, 3, 5, 2, 2, 2, 3, 3]),
        (82, [4, 2, 2, 3, 5, 2, 2, 2, 3, 3]),
        (83, [4, 2, 2, 3, 6, 2, 2, 2, 3, 3]),
        (85, [4, 2, 2, 3, 6, 2, 2, 2, 3, 3]),
        (86, [4, 2, 2, 3, 6, 2, 2, 2, 3, 3]),
        (87, [4, 2, 2, 3, 6, 2, 2, 2, 3, 3]),
    ];
    const ALL: [(Handed, usize); 10] = [
        (Handed::Bind, size_of::<NDIS_BIND_PARAMETERS>()),
        (
            Handed::Restart,
            size_of::<NDIS_RESTART_GENERAL_ATTRIBUTES>(),
        ),
        (Handed::Power, size_of::<NDIS_PM_CAPABILITIES>()),
        (Handed::Rss, size_of::<NDIS_RECEIVE_SCALE_CAPABILITIES>()),
        (Handed::Offload, size_of::<NDIS_OFFLOAD>()),
        (Handed::Request, size_of::<NDIS_OID_REQUEST>()),
        (Handed::Event, size_of::<NET_PNP_EVENT_NOTIFICATION>()),
        (
            Handed::Filters,
            size_of::<NDIS_RECEIVE_FILTER_CAPABILITIES>(),
        ),
        (Handed::Switch, size_of::<NDIS_NIC_SWITCH_CAPABILITIES>()),
        (Handed::Queue, size_of::<NDIS_RECEIVE_QUEUE_PARAMETERS>()),
    ];

    #[test]
    fn revisions_follow_the_registered_version() {
        for (minor, revisions) in KNOWN {
            for ((what, whole), revision) in ALL.into_iter().zip(revisions) {
                let (found, size) = what.of(minor);
                assert_eq!(found, revision, "{what:?} for 6.{minor}");
                assert!(usize::from(size) <= whole, "{what:?} for 6.{minor}");
            }
        }
        // A later revision is never shorter, and only a longer one is a later one for the same
        // structure or says more in the same bytes.
        for (what, _) in ALL {
            let all: Vec<(u8, u16)> = KNOWN.iter().map(|known| what.of(known.0)).collect();
            assert!(
                all.windows(2)
                    .all(|two| two[0].0 <= two[1].0 && two[0].1 <= two[1].1),
                "{what:?}: {all:?}"
            );
        }
    }

    #[test]
    fn what_is_cut_has_its_header() {
        // SAFETY: plain data of the ABI; all zero is a value of it.
        let mut whole: NDIS_OFFLOAD = unsafe { std::mem::zeroed() };
        whole.Header = super::super::binding::header(0xA7, 6, size_of::<NDIS_OFFLOAD>());
        let bytes = cut(&whole, 2, 144);
        assert_eq!(bytes.len(), 144);
        assert_eq!(bytes[..4], [0xA7, 2, 144, 0]);
    }
}
