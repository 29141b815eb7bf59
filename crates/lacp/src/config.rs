//! Settings of a system and of its ports.

use crate::id::{MacAddress, PortId, SystemId};
use crate::time::{MILLISECOND, Time};

/// Ports of a system, and aggregators.
pub const MAX_PORTS: usize = 32;

/// Number of a port in its system, below [`MAX_PORTS`]: a slot, not the port number
/// of the protocol.
pub type PortIndex = u8;

/// Number of an aggregator: that of the port whose own it is.
pub type AggregatorIndex = u8;

/// `LACP_Activity`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Activity {
    /// Speaks without being spoken to.
    Active,
    /// Speaks only to an active partner.
    Passive,
}

/// `LACP_Timeout`: how often the partner is asked to speak.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Timeout {
    /// Every second (fast); silence of three seconds is noticed.
    Short,
    /// Every 30 seconds (slow); silence of 90 seconds is noticed.
    Long,
}

/// What becomes of a port without a partner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fallback {
    /// It serves as an Individual link; of several one at a time: active-backup.
    Individual,
    /// It carries nothing: no partner, no link.
    Strict,
}

/// Which aggregator is the team's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Policy {
    /// At first the one with most usable ports; then it stays as long as it works.
    Stable,
}

/// `Actor_System_LACP_Version` (6.4.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// Version 1, which every partner knows.
    V1,
    /// Version 2: its version number, and the partner's is recorded.
    V2,
}

/// Settings of a system: a team.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SystemConfig {
    /// System priority and address (`aAggActorSystemPriority`, `aAggActorSystemID`).
    pub system: SystemId,
    /// Version of the LACPDUs that are sent.
    pub version: Version,
    /// Active or passive.
    pub activity: Activity,
    /// Fast or slow.
    pub timeout: Timeout,
    /// Ports that have to distribute for the team to be up.
    pub min_links: u8,
    /// Ports that may be used at once; the others are in STANDBY.
    pub max_links: u8,
    /// Ports without a partner.
    pub fallback: Fallback,
    /// Which aggregator is active.
    pub policy: Policy,
    /// `CollectorMaxDelay`, in tens of microseconds (`aAggCollectorMaxDelay`).
    pub collector_max_delay: u16,
    /// Destination of the PDUs (`aAggPortProtocolDA`).
    pub protocol_da: MacAddress,
    /// How long a marker's response is awaited.
    pub marker_timeout: Time,
    /// How often a marker is sent before it is lost.
    pub marker_tries: u8,
    /// By how much longer than `Fast_Periodic_Time` the window of the LACPDUs' limit is.
    /// The limit holds for frames on the link; here they are counted when they are decided
    /// on, and how long one takes from there to the link differs from that of the next.
    pub rate_guard: Time,
}

impl SystemConfig {
    /// The defaults: active, fast, every port without a partner as a backup.
    pub const fn new(system: SystemId) -> Self {
        Self {
            system,
            version: Version::V1,
            activity: Activity::Active,
            timeout: Timeout::Short,
            min_links: 1,
            max_links: MAX_PORTS as u8,
            fallback: Fallback::Individual,
            policy: Policy::Stable,
            collector_max_delay: 0,
            protocol_da: MacAddress::SLOW_PROTOCOLS,
            marker_timeout: 100 * MILLISECOND,
            marker_tries: 3,
            rate_guard: 0,
        }
    }

    /// Says what is wrong with the settings.
    pub fn check(&self) -> Result<(), Error> {
        if self.system.address.is_group() || self.system.address.is_null() {
            Err(Error::SystemAddress)
        } else if self.max_links == 0 || usize::from(self.max_links) > MAX_PORTS {
            Err(Error::MaxLinks)
        } else if self.min_links > self.max_links {
            Err(Error::MinLinks)
        } else if self.marker_tries == 0 || self.marker_timeout == 0 {
            Err(Error::Marker)
        } else if !self.protocol_da.is_group() {
            Err(Error::ProtocolAddress)
        } else {
            Ok(())
        }
    }
}

/// Settings of a port: a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PortConfig {
    /// Port priority and number (`aAggPortActorPortPriority`, `aAggPortActorPort`).
    pub port: PortId,
    /// Key (`aAggPortActorAdminKey`): ports with equal ones may be aggregated.
    pub key: u16,
    /// Source address of its PDUs: the member's own.
    pub source: MacAddress,
    /// `LACP_Enabled`; FALSE for a link that is not full duplex (6.4.8).
    pub lacp_enabled: bool,
    /// Whether it may be aggregated (`aAggPortAggregateOrIndividual`).
    pub aggregation: bool,
}

impl PortConfig {
    /// A port that may be aggregated with others of this key.
    pub const fn new(port: PortId, key: u16, source: MacAddress) -> Self {
        Self {
            port,
            key,
            source,
            lacp_enabled: true,
            aggregation: true,
        }
    }
}

/// What cannot be done, and whose fault it is: always the caller's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The system's address is a group's or null.
    SystemAddress,
    /// The destination of the PDUs is no group's.
    ProtocolAddress,
    /// `max_links` is 0 or above 32.
    MaxLinks,
    /// `min_links` is above `max_links`.
    MinLinks,
    /// No timeout or no try for markers.
    Marker,
    /// A slot beyond the last.
    NoSuchSlot,
    /// There is a port in the slot.
    SlotTaken,
    /// There is no port in the slot.
    NoPort,
    /// Port number 0.
    PortNumber,
    /// Another port has the number.
    PortNumberTaken,
    /// The source address is a group's or null.
    PortAddress,
    /// The link is down: nothing can be sent.
    LinkDown,
    /// A marker is on its way on this link.
    MarkerPending,
    /// Three markers were sent in the last second.
    MarkerLimit,
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::SystemAddress => "the system address is null or a group address",
            Self::ProtocolAddress => "the destination of LACPDUs is no group address",
            Self::MaxLinks => "max_links is not in 1..=32",
            Self::MinLinks => "min_links is above max_links",
            Self::Marker => "markers need a timeout and a try",
            Self::NoSuchSlot => "a team has 32 ports",
            Self::SlotTaken => "the slot has a port",
            Self::NoPort => "the slot has no port",
            Self::PortNumber => "port number 0 names no port",
            Self::PortNumberTaken => "another port has this number",
            Self::PortAddress => "the port address is null or a group address",
            Self::LinkDown => "the link is down",
            Self::MarkerPending => "a marker is on its way",
            Self::MarkerLimit => "three markers were sent in the last second",
        })
    }
}

impl core::error::Error for Error {}
