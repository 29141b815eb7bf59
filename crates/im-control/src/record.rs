//! The records of the replies.

/// Something with a fixed length on the wire.
pub trait Record: Sized {
    /// Length on the wire.
    const BYTES: usize;
    /// Writes the record; `place` is [`Record::BYTES`] long.
    fn write(&self, place: &mut [u8]);
    /// Reads a record from at least [`Record::BYTES`] bytes.
    fn read(bytes: &[u8]) -> Option<Self>;
}

/// One member of a record.
pub(crate) trait Field: Sized {
    const BYTES: usize;
    fn put(&self, place: &mut [u8]);
    fn take(bytes: &[u8]) -> Option<Self>;
}

macro_rules! integer_fields {
    ($($int:ty)*) => {$(
        impl Field for $int {
            const BYTES: usize = size_of::<$int>();
            fn put(&self, place: &mut [u8]) {
                for (to, from) in place.iter_mut().zip(self.to_le_bytes()) {
                    *to = from;
                }
            }
            fn take(bytes: &[u8]) -> Option<Self> {
                Some(<$int>::from_le_bytes(*bytes.first_chunk()?))
            }
        }
    )*};
}

integer_fields!(u8 u16 u32 u64);

impl<const N: usize> Field for [u16; N] {
    const BYTES: usize = 2 * N;
    fn put(&self, place: &mut [u8]) {
        for (to, from) in place.chunks_exact_mut(2).zip(self) {
            from.put(to);
        }
    }
    fn take(bytes: &[u8]) -> Option<Self> {
        let mut units = [0; N];
        for (to, from) in units.iter_mut().zip(bytes.get(..2 * N)?.chunks_exact(2)) {
            *to = u16::take(from)?;
        }
        Some(units)
    }
}

/// UTF-16 units that a name has on the wire; longer names are cut, shorter
/// ones end in zeroes.
pub const NAME_UNITS: usize = 64;

macro_rules! record {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)+
        }

        impl Record for $name {
            const BYTES: usize = 0 $(+ <$type as Field>::BYTES)+;

            fn write(&self, place: &mut [u8]) {
                let rest = place;
                $(
                    let Some((here, rest)) = rest.split_at_mut_checked(<$type as Field>::BYTES)
                    else { return };
                    self.$field.put(here);
                )+
                let _ = rest;
            }

            fn read(bytes: &[u8]) -> Option<Self> {
                let rest = bytes;
                $(
                    let (here, rest) = rest.split_at_checked(<$type as Field>::BYTES)?;
                    let $field = <$type as Field>::take(here)?;
                )+
                let _ = rest;
                Some(Self { $($field),+ })
            }
        }
    };
}

pub(crate) use record;

record! {
    /// Which driver answers.
    VersionRecord {
        /// Version of the driver, major and minor.
        driver_major: u16,
        /// Minor version.
        driver_minor: u16,
        /// NDIS version that the driver registered: major in the high half,
        /// minor in the low half.
        ndis: u32,
        /// NDIS version of the system, in the same form.
        system_ndis: u32,
        /// Bindings at the moment.
        bindings: u32,
        /// NET_BUFFER_LIST chains that were lost since load; anything but zero
        /// is a defect.
        lost_chains: u32,
    }
}

record! {
    /// One path between a virtual miniport and an adapter.
    PortRecord {
        /// The index by which counters are asked for.
        index: u32,
        /// State of the virtual miniport, see [`crate::UpperStateCode`].
        upper_state: u32,
        /// State of the binding, see [`crate::LowerStateCode`].
        lower_state: u32,
        /// Interface index of the virtual miniport; zero before it is known.
        upper_if_index: u32,
        /// Interface index of the adapter below.
        lower_if_index: u32,
        /// Connect state of the link below.
        link: u32,
        /// Device power state of the virtual miniport.
        upper_power: u32,
        /// Device power state of the adapter below.
        lower_power: u32,
        /// Transmit speed of the link below in bits per second.
        xmit_speed: u64,
        /// Receive speed of the link below in bits per second.
        rcv_speed: u64,
        /// Device name of the virtual miniport.
        name: [u16; NAME_UNITS],
        /// VLAN that the virtual miniport stands in; zero: none.
        vlan: u32,
        /// Packet filter that was set on it, NDIS_PACKET_TYPE_xxx.
        filter: u32,
        /// Its Ethernet address, the first byte on top of the lower 48 bits;
        /// zero while it is not there.
        mac: u64,
        /// Connect state of the link that it shows.
        shown_link: u32,
        /// Its place in UpperBindings.
        position: u32,
    }
}

record! {
    /// A counter of a port.
    CounterRecord {
        /// Which, see [`crate::Counter`].
        id: u32,
        /// Its value.
        value: u64,
    }
}

record! {
    /// How often lists were dropped for a reason.
    DropRecord {
        /// Which, see [`crate::DropReason`].
        id: u32,
        /// Lists dropped for it.
        lists: u64,
    }
}

record! {
    /// Something that happened.
    EventRecord {
        /// Counts events since load, without gaps; a reader sees what the ring
        /// has lost.
        sequence: u64,
        /// Unbiased interrupt time in units of 100 nanoseconds.
        time: u64,
        /// What, see [`crate::EventKind`].
        kind: u32,
        /// Interface index of the adapter concerned; zero for none.
        if_index: u32,
        /// What the kind says.
        value: u64,
    }
}

record! {
    /// What becomes of requests for an OID.
    RequestRecord {
        /// The OID.
        oid: u32,
        /// What becomes of queries, see [`crate::RuleCode`].
        query: u32,
        /// What becomes of sets.
        set: u32,
        /// What becomes of method requests.
        method: u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive() {
        let mut name = [0; NAME_UNITS];
        name[..2].copy_from_slice(&[0x41, 0x2603]);
        let port = PortRecord {
            index: 1,
            upper_state: 2,
            lower_state: 3,
            upper_if_index: 4,
            lower_if_index: 5,
            link: 6,
            upper_power: 7,
            lower_power: 8,
            xmit_speed: 10_000_000_000,
            rcv_speed: 9,
            name,
            vlan: 10,
            filter: 11,
            mac: 0x0200_0000_0012,
            shown_link: 13,
            position: 14,
        };
        let mut bytes = [0; PortRecord::BYTES];
        port.write(&mut bytes);
        assert_eq!(PortRecord::read(&bytes), Some(port));
        for length in 0..bytes.len() {
            assert_eq!(PortRecord::read(&bytes[..length]), None);
        }
    }

    /// The lengths are part of the format.
    #[test]
    fn lengths() {
        assert_eq!(VersionRecord::BYTES, 20);
        assert_eq!(PortRecord::BYTES, 200);
        assert_eq!(CounterRecord::BYTES, 12);
        assert_eq!(DropRecord::BYTES, 12);
        assert_eq!(EventRecord::BYTES, 32);
        assert_eq!(RequestRecord::BYTES, 16);
    }
}
