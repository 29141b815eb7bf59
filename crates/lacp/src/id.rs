//! Who is who: system and port identifiers, keys, the state octet, LAG IDs.

use core::fmt;

/// A MAC address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// `Slow_Protocols_Multicast`, the default destination of LACPDUs (6.2.10.2
    /// and IEEE 802.3 57A.3); a bridge does not forward it.
    pub const SLOW_PROTOCOLS: Self = Self([0x01, 0x80, 0xc2, 0x00, 0x00, 0x02]);

    /// Whether it names a group, so that it can be no source.
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Whether it is the null address.
    pub const fn is_null(self) -> bool {
        matches!(self.0, [0, 0, 0, 0, 0, 0])
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, octet) in self.0.iter().enumerate() {
            let separator = if number == 0 { "" } else { "-" };
            write!(f, "{separator}{octet:02X}")?;
        }
        Ok(())
    }
}

/// System Identifier (6.3.2). The numerically lower one decides (6.7.1): the order
/// of this type is that of the standard, the priority first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct SystemId {
    /// System priority.
    pub priority: u16,
    /// The address that makes it unique.
    pub address: MacAddress,
}

/// Port Identifier (6.3.4), ordered like [`SystemId`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct PortId {
    /// Port priority.
    pub priority: u16,
    /// Port number; 0 names no port.
    pub number: u16,
}

/// The state octet: `Actor_State` and `Partner_State` of an LACPDU (6.4.2.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PortState(pub u8);

impl PortState {
    /// `LACP_Activity`: active (1) or passive (0).
    pub const LACP_ACTIVITY: Self = Self(0x01);
    /// `LACP_Timeout`: short (1) or long (0).
    pub const LACP_TIMEOUT: Self = Self(0x02);
    /// Aggregation: can be aggregated (1) or is Individual (0).
    pub const AGGREGATION: Self = Self(0x04);
    /// Synchronization: attached to the right aggregator.
    pub const SYNCHRONIZATION: Self = Self(0x08);
    /// Collecting: frames are taken from the link.
    pub const COLLECTING: Self = Self(0x10);
    /// Distributing: frames are sent on the link.
    pub const DISTRIBUTING: Self = Self(0x20);
    /// Defaulted: what is known of the partner is administrative.
    pub const DEFAULTED: Self = Self(0x40);
    /// Expired: the receive machine is in EXPIRED.
    pub const EXPIRED: Self = Self(0x80);

    /// The names of the bits, lowest first.
    pub const NAMES: [&'static str; 8] = [
        "LACP_Activity",
        "LACP_Timeout",
        "Aggregation",
        "Synchronization",
        "Collecting",
        "Distributing",
        "Defaulted",
        "Expired",
    ];

    /// Whether all bits of the other are set here.
    #[must_use]
    pub const fn has(self, bits: Self) -> bool {
        self.0 & bits.0 == bits.0
    }

    /// The same with these bits set or cleared.
    #[must_use]
    pub const fn with(self, bits: Self, value: bool) -> Self {
        if value {
            Self(self.0 | bits.0)
        } else {
            Self(self.0 & !bits.0)
        }
    }

    /// Whether both agree in these bits.
    #[must_use]
    pub const fn agrees(self, other: Self, bits: Self) -> bool {
        (self.0 ^ other.0) & bits.0 == 0
    }
}

impl fmt::Debug for PortState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PortState({:#04x}", self.0)?;
        for (bit, name) in Self::NAMES.iter().enumerate() {
            if self.0 & (1 << bit) != 0 {
                write!(f, " {name}")?;
            }
        }
        f.write_str(")")
    }
}

/// What a port says of itself, or what it thinks of its partner: the fields of the
/// Actor and Partner Information TLVs (6.4.2.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct PortInformation {
    /// The system.
    pub system: SystemId,
    /// Operational key (6.3.5).
    pub key: u16,
    /// The port.
    pub port: PortId,
    /// Its state.
    pub state: PortState,
}

impl PortInformation {
    /// Whether both name the same port in the same role, and agree in these bits of
    /// the state: the comparison of `update_Selected`, `update_Default_Selected`,
    /// `update_NTT` and `recordPDU` (6.4.9).
    #[must_use]
    pub fn matches(&self, other: &Self, bits: PortState) -> bool {
        self.system == other.system
            && self.key == other.key
            && self.port == other.port
            && self.state.agrees(other.state, bits)
    }
}

/// One side of a [`LagId`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct LagEnd {
    /// The system.
    pub system: SystemId,
    /// Its key.
    pub key: u16,
    /// The port, null in a LAG of ports that can be aggregated (6.3.6.1).
    pub port: PortId,
}

/// Link Aggregation Group Identifier (6.3.6): ports with equal ones are aggregated.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LagId {
    low: LagEnd,
    high: LagEnd,
}

impl LagId {
    /// That of a link. It is the same seen from either end (6.3.6.2): the
    /// numerically lower side comes first.
    #[must_use]
    pub fn of(actor: &PortInformation, partner: &PortInformation) -> Self {
        let individual = Self::is_individual(actor, partner);
        let end = |side: &PortInformation| LagEnd {
            system: side.system,
            key: side.key,
            port: if individual {
                side.port
            } else {
                PortId::default()
            },
        };
        let (a, b) = (end(actor), end(partner));
        Self {
            low: a.min(b),
            high: a.max(b),
        }
    }

    /// Whether a link cannot be aggregated with any other (6.3.6.1).
    #[must_use]
    pub fn is_individual(actor: &PortInformation, partner: &PortInformation) -> bool {
        !actor.state.has(PortState::AGGREGATION) || !partner.state.has(PortState::AGGREGATION)
    }

    /// Both sides, the numerically lower first.
    pub const fn ends(&self) -> [LagEnd; 2] {
        [self.low, self.high]
    }
}

impl fmt::Display for LagId {
    /// The standard's notation (6.3.6.2).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut end = |end: &LagEnd| {
            write!(
                f,
                "({:04X},{},{:04X},{:04X},{:04X})",
                end.system.priority,
                end.system.address,
                end.key,
                end.port.priority,
                end.port.number
            )
        };
        end(&self.low)?;
        end(&self.high)
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    fn side(priority: u16, last: u8, aggregation: bool) -> PortInformation {
        PortInformation {
            system: SystemId {
                priority,
                address: MacAddress([0xac, 0xde, 0x48, 0, 0, last]),
            },
            key: 1,
            port: PortId {
                priority: 0x80,
                number: 2,
            },
            state: PortState::default().with(PortState::AGGREGATION, aggregation),
        }
    }

    #[test]
    fn both_ends_of_a_link_name_it_alike() {
        let (a, b) = (side(0x8000, 1, true), side(0x8000, 2, true));
        assert_eq!(LagId::of(&a, &b), LagId::of(&b, &a));
        assert_eq!(
            format!("{}", LagId::of(&b, &a)),
            "(8000,AC-DE-48-00-00-01,0001,0000,0000)(8000,AC-DE-48-00-00-02,0001,0000,0000)"
        );
        // One side alone is Individual: the ports are part of the name.
        let lag = LagId::of(&a, &side(1, 2, false));
        assert_eq!(
            format!("{lag}"),
            "(0001,AC-DE-48-00-00-02,0001,0080,0002)(8000,AC-DE-48-00-00-01,0001,0080,0002)"
        );
        assert_eq!(lag.ends()[0].system.priority, 1);
    }

    #[test]
    fn the_lower_priority_decides_before_the_address() {
        assert!(side(1, 9, true).system < side(2, 1, true).system);
        assert!(side(2, 1, true).system < side(2, 9, true).system);
    }

    #[test]
    fn the_state_octet_has_the_standards_bits() {
        let state = PortState(0x3d);
        assert_eq!(
            format!("{state:?}"),
            "PortState(0x3d LACP_Activity Aggregation Synchronization Collecting Distributing)"
        );
        assert!(state.has(PortState::COLLECTING));
        assert!(!state.has(PortState::LACP_TIMEOUT));
        assert_eq!(state.with(PortState::LACP_TIMEOUT, true).0, 0x3f);
        assert_eq!(state.with(PortState::LACP_ACTIVITY, false).0, 0x3c);
    }
}
