//! Every registry value that the driver reads: one table, one check.
//!
//! A value that is absent has its default. A value of the wrong type, out of
//! range or unknown, or one that contradicts another, is refused with its place
//! in [`TABLE`] and a reason, which im-core reports in an event; the member is left
//! out then, or the team's miniport fails to initialise. All at PASSIVE_LEVEL, when
//! an adapter is bound or the team's miniport is initialised.

use ethernet::Mac;
use ethernet::flow::Policy;
use im_core::settings::{Reason, Refused, Values};
use ndis::multi_sz;
use ndis::string::wide;

pub use crate::station::{MOST_STATIONS, Station, Stations};

/// Where a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In the key of the protocol's binding: one for each adapter.
    Member,
    /// In the key of the virtual miniport: one for each team.
    Team,
}

/// What a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Integer {
        /// Smallest.
        min: u32,
        /// Largest.
        max: u32,
        /// If absent.
        default: u32,
    },
    /// One of a few numbers, from 0 on.
    Choice {
        /// What each of them is called.
        names: &'static [&'static str],
        /// If absent.
        default: u32,
    },
    /// A MAC address of a station; none if absent.
    Address,
    /// A list of IP addresses of stations, each with `%` and a VLAN behind it or
    /// without; empty if absent.
    Stations {
        /// How many at most.
        most: u32,
    },
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The value's name.
    pub name: &'static str,
    /// The name as the registry has it.
    wide: &'static [u16],
    /// Where it is.
    pub scope: Scope,
    /// What it may be.
    pub kind: Kind,
    /// What it does.
    pub text: &'static str,
}

/// Makes the table, and a name for each place in it.
macro_rules! settings {
    ($($id:ident $name:literal $scope:ident $kind:expr, $text:literal;)+) => {
        /// A setting: its place in [`TABLE`], which events carry.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Id {
            $(#[doc = $text] $id,)+
        }

        /// The table.
        pub static TABLE: &[Setting] = &[$(Setting {
            name: $name,
            wide: {
                const BYTES: &[u8] = $name.as_bytes();
                const LENGTH: usize = BYTES.len();
                const NAME: [u16; LENGTH] = match BYTES.first_chunk::<LENGTH>() {
                    Some(name) => wide(name),
                    None => [0; LENGTH], // it is its own length
                };
                &NAME
            },
            scope: Scope::$scope,
            kind: $kind,
            text: $text,
        },)+];
    };
}

const NO_YES: &[&str] = &["no", "yes"];

/// An hour in milliseconds: the longest delay.
const HOUR: u32 = 3_600_000;

/// A whole number and its default.
const fn number(min: u32, max: u32, default: u32) -> Kind {
    Kind::Integer { min, max, default }
}

const STATIONS: Kind = Kind::Stations {
    most: MOST_STATIONS as u32,
};

const SWITCH_OFF: Kind = Kind::Choice {
    names: NO_YES,
    default: 0,
};

const SWITCH_ON: Kind = Kind::Choice {
    names: NO_YES,
    default: 1,
};

settings! {
    MemberIndex "MemberIndex" Member number(0, 32, 0),
        "The member's number in its team: its LACP port number, and the order of members that are equal otherwise; 0: the next one that is free.";
    MemberPriority "MemberPriority" Member number(0, 65535, 32768),
        "Who comes first where one member is to be chosen, the smaller the better; the LACP port priority too.";
    MemberWeight "MemberWeight" Member number(0, 1000, 0),
        "The member's share of the flows, in proportion to the others; 0: by its link speed.";
    Primary "Primary" Member SWITCH_OFF,
        "Whether the member comes before all that are not primary, whatever their priorities.";
    Mode "Mode" Team Kind::Choice { names: &["active-backup", "hash", "lacp", "round-robin", "broadcast", "dynamic"], default: 0 },
        "How frames are spread over the members: all on one; by the hash of their flow; the same among those that LACP aggregates; in turn; on all of them; by flowlets.";
    HashPolicy "HashPolicy" Team Kind::Choice { names: &["l2", "l2+3", "l3+4", "vlan+source"], default: 2 },
        "What the hash of a flow looks at: MAC addresses and VLAN; these and IP addresses; IP addresses and ports; VLAN and source MAC address.";
    HashSymmetric "HashSymmetric" Team SWITCH_OFF,
        "Whether both directions of a flow have the same hash.";
    HashSeed "HashSeed" Team number(0, u32::MAX, 0),
        "What the hash begins with, so that teams in a row spread differently; 0: made of the team's MAC address.";
    HashInfo "HashInfo" Team SWITCH_ON,
        "Whether a hash that comes beside a list is used instead of one made of the headers.";
    FlowletGap "FlowletGap" Team number(50, 1_000_000, 500),
        "After how many microseconds without a frame a flow may go to another member, in the dynamic mode.";
    MinLinks "MinLinks" Team number(1, 32, 1),
        "How many members have to be up for the team to have a link.";
    LinkSpeed "LinkSpeed" Team Kind::Choice { names: &["sum", "active"], default: 0 },
        "The team's link speed: that of all members in use together, or of the fastest of them.";
    LacpActive "LacpActive" Team SWITCH_ON,
        "Whether LACP speaks without being spoken to.";
    LacpFast "LacpFast" Team SWITCH_ON,
        "Whether the partner is asked for an LACPDU every second, and its silence noticed after three; else every 30 seconds and after 90.";
    SystemPriority "SystemPriority" Team number(0, 65535, 32768),
        "The LACP system priority: the system with the smaller one decides.";
    LacpKey "LacpKey" Team number(1, 65535, 1),
        "The LACP key of all members.";
    Strict "Strict" Team SWITCH_OFF,
        "Whether a member without an LACP partner has no link; else one of them carries everything, as in active-backup.";
    Failback "Failback" Team Kind::Choice { names: &["always", "sticky", "only-if-better"], default: 0 },
        "When a member that comes back takes over from the one in use: whenever it comes first; never while that one lives; when its link is faster, or as fast and it comes first.";
    FailbackDelay "FailbackDelay" Team number(0, HOUR, 0),
        "How many milliseconds a member has to be up before it takes over.";
    UpDelay "UpDelay" Team number(0, HOUR, 0),
        "How many milliseconds a member's link has to be up before the member is used; none while no member is.";
    DownDelay "DownDelay" Team number(0, HOUR, 0),
        "How many milliseconds a member's link has to be down before the member is left; none while no other member is up.";
    Monitor "Monitor" Team Kind::Choice { names: &["off", "any", "all"], default: 0 },
        "Whether members are probed with ARP and neighbour discovery: not; up while any of the targets answers; up while all do.";
    MonitorTargets "MonitorTargets" Team STATIONS,
        "The IP addresses that are probed, each with % and its VLAN behind it or without.";
    MonitorSource "MonitorSource" Team STATIONS,
        "The IP addresses that probes come from, written like the targets; those that the team is seen to use if absent.";
    MonitorInterval "MonitorInterval" Team number(100, 60_000, 1000),
        "How many milliseconds lie between probes.";
    MonitorMissed "MonitorMissed" Team number(1, 255, 3),
        "How many probes in a row a target may leave unanswered.";
    NoticeCount "NoticeCount" Team number(0, 255, 1),
        "How often the team's addresses are announced after a failover, by gratuitous ARP and unsolicited neighbour advertisements.";
    NoticeInterval "NoticeInterval" Team number(10, 60_000, 200),
        "How many milliseconds lie between announcements.";
    KeepDuplicates "KeepDuplicates" Team SWITCH_OFF,
        "Whether broadcasts and multicasts go up from members that are not in use, too.";
    NetworkAddress "NetworkAddress" Team Kind::Address,
        "The MAC address of the team.";
    MacMode "MacMode" Team Kind::Choice { names: &["fixed", "first-member"], default: 0 },
        "The team's MAC address: NetworkAddress, or one made of the team's device name; that of the member with the smallest MemberIndex when the team is initialised.";
}

/// How frames are spread over the members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// All on one.
    #[default]
    ActiveBackup,
    /// By the hash of their flow: a static link aggregation group.
    Hash,
    /// The same among those that LACP aggregates (802.1AX).
    Lacp,
    /// In turn. Flows are reordered.
    RoundRobin,
    /// On all of them. Frames arrive more than once.
    Broadcast,
    /// By flowlets and load.
    Dynamic,
}

impl Mode {
    /// Whether the frames of a flow arrive once and in their order.
    pub const fn is_ordered(self) -> bool {
        !matches!(self, Self::RoundRobin | Self::Broadcast)
    }
}

/// The team's link speed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkSpeed {
    /// That of all members in use together.
    #[default]
    Sum,
    /// That of the fastest of them.
    Active,
}

/// When a member that comes back takes over from the one in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Failback {
    /// Whenever it comes first.
    #[default]
    Always,
    /// Never while that one lives.
    Sticky,
    /// When its link is faster, or as fast and it comes first.
    OnlyIfBetter,
}

/// Whether members are probed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Monitor {
    /// No.
    #[default]
    Off,
    /// A member is up while any target answers.
    Any,
    /// A member is up while all targets answer.
    All,
}

/// Where the team's address comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MacChoice {
    /// NetworkAddress.
    Configured(Mac),
    /// Made of the team's device name.
    #[default]
    Derived,
    /// That of the member with the smallest MemberIndex.
    FirstMember,
}

/// What is set for a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberSettings {
    /// [`Id::MemberIndex`]; zero: the next one that is free.
    pub index: u8,
    /// [`Id::MemberPriority`].
    pub priority: u16,
    /// [`Id::MemberWeight`]; zero: by link speed.
    pub weight: u16,
    /// [`Id::Primary`].
    pub primary: bool,
}

/// What is set for a team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TeamSettings {
    /// [`Id::Mode`].
    pub mode: Mode,
    /// [`Id::HashPolicy`].
    pub hash_policy: Policy,
    /// [`Id::HashSymmetric`].
    pub hash_symmetric: bool,
    /// [`Id::HashSeed`]; zero: from the team's address.
    pub hash_seed: u32,
    /// [`Id::HashInfo`].
    pub hash_info: bool,
    /// [`Id::FlowletGap`], microseconds.
    pub flowlet_gap: u32,
    /// [`Id::MinLinks`].
    pub min_links: u8,
    /// [`Id::LinkSpeed`].
    pub link_speed: LinkSpeed,
    /// [`Id::LacpActive`].
    pub lacp_active: bool,
    /// [`Id::LacpFast`].
    pub lacp_fast: bool,
    /// [`Id::SystemPriority`].
    pub system_priority: u16,
    /// [`Id::LacpKey`].
    pub lacp_key: u16,
    /// [`Id::Strict`].
    pub strict: bool,
    /// [`Id::Failback`].
    pub failback: Failback,
    /// [`Id::FailbackDelay`], milliseconds.
    pub failback_delay: u32,
    /// [`Id::UpDelay`], milliseconds.
    pub up_delay: u32,
    /// [`Id::DownDelay`], milliseconds.
    pub down_delay: u32,
    /// [`Id::Monitor`].
    pub monitor: Monitor,
    /// [`Id::MonitorTargets`]; not empty if there is a monitor.
    pub targets: Stations,
    /// [`Id::MonitorSource`].
    pub sources: Stations,
    /// [`Id::MonitorInterval`], milliseconds.
    pub monitor_interval: u32,
    /// [`Id::MonitorMissed`].
    pub monitor_missed: u8,
    /// [`Id::NoticeCount`].
    pub notice_count: u8,
    /// [`Id::NoticeInterval`], milliseconds.
    pub notice_interval: u32,
    /// [`Id::KeepDuplicates`].
    pub keep_duplicates: bool,
    /// [`Id::NetworkAddress`] and [`Id::MacMode`].
    pub mac: MacChoice,
}

impl Id {
    /// The row.
    pub fn setting(self) -> Option<&'static Setting> {
        TABLE.get(self as usize)
    }

    /// A refusal of this setting.
    pub const fn refused(self, reason: Reason) -> Refused {
        Refused {
            setting: self as u8,
            reason,
        }
    }

    fn name(self) -> &'static [u16] {
        self.setting().map_or(&[], |setting| setting.wide)
    }

    /// A number, checked against the row.
    fn number(self, values: &dyn Values) -> Result<u32, Refused> {
        let read = values
            .integer(self.name())
            .map_err(|reason| self.refused(reason))?;
        let (number, fits, reason) = match self.setting().map(|setting| setting.kind) {
            Some(Kind::Integer { min, max, default }) => {
                let number = read.unwrap_or(default);
                (number, (min..=max).contains(&number), Reason::OutOfRange)
            }
            Some(Kind::Choice { names, default }) => {
                let number = read.unwrap_or(default);
                (number, (number as usize) < names.len(), Reason::Unknown)
            }
            _ => (0, false, Reason::WrongType),
        };
        if fits {
            Ok(number)
        } else {
            Err(self.refused(reason))
        }
    }

    /// A number that fits a narrower type because its row says so.
    fn narrow<N: TryFrom<u32>>(self, values: &dyn Values) -> Result<N, Refused> {
        let number = self.number(values)?;
        N::try_from(number).map_err(|_| self.refused(Reason::OutOfRange))
    }

    fn yes(self, values: &dyn Values) -> Result<bool, Refused> {
        Ok(self.number(values)? == 1)
    }

    /// The list, every entry of which is a station, and none there twice.
    fn stations(self, values: &dyn Values) -> Result<Stations, Refused> {
        let units = values
            .strings(self.name())
            .map_err(|reason| self.refused(reason))?
            .unwrap_or(&[]);
        let mut stations = Stations::new();
        for text in multi_sz::names(units) {
            let station = Station::from_text(text).ok_or(self.refused(Reason::OutOfRange))?;
            if stations.contains(&station) {
                return Err(self.refused(Reason::Duplicate));
            }
            if !stations.push(station) {
                return Err(self.refused(Reason::OutOfRange));
            }
        }
        Ok(stations)
    }
}

impl MemberSettings {
    /// Reads and checks a member's settings.
    pub fn read(values: &dyn Values) -> Result<Self, Refused> {
        Ok(Self {
            index: Id::MemberIndex.narrow(values)?,
            priority: Id::MemberPriority.narrow(values)?,
            weight: Id::MemberWeight.narrow(values)?,
            primary: Id::Primary.yes(values)?,
        })
    }
}

impl TeamSettings {
    /// Reads and checks a team's settings.
    pub fn read(values: &dyn Values) -> Result<Self, Refused> {
        let settings = Self {
            mode: match Id::Mode.number(values)? {
                1 => Mode::Hash,
                2 => Mode::Lacp,
                3 => Mode::RoundRobin,
                4 => Mode::Broadcast,
                5 => Mode::Dynamic,
                _ => Mode::ActiveBackup,
            },
            hash_policy: match Id::HashPolicy.number(values)? {
                0 => Policy::Layer2,
                1 => Policy::Layer23,
                3 => Policy::VlanSource,
                _ => Policy::Layer34,
            },
            hash_symmetric: Id::HashSymmetric.yes(values)?,
            hash_seed: Id::HashSeed.number(values)?,
            hash_info: Id::HashInfo.yes(values)?,
            flowlet_gap: Id::FlowletGap.number(values)?,
            min_links: Id::MinLinks.narrow(values)?,
            link_speed: match Id::LinkSpeed.number(values)? {
                1 => LinkSpeed::Active,
                _ => LinkSpeed::Sum,
            },
            lacp_active: Id::LacpActive.yes(values)?,
            lacp_fast: Id::LacpFast.yes(values)?,
            system_priority: Id::SystemPriority.narrow(values)?,
            lacp_key: Id::LacpKey.narrow(values)?,
            strict: Id::Strict.yes(values)?,
            failback: match Id::Failback.number(values)? {
                1 => Failback::Sticky,
                2 => Failback::OnlyIfBetter,
                _ => Failback::Always,
            },
            failback_delay: Id::FailbackDelay.number(values)?,
            up_delay: Id::UpDelay.number(values)?,
            down_delay: Id::DownDelay.number(values)?,
            monitor: match Id::Monitor.number(values)? {
                1 => Monitor::Any,
                2 => Monitor::All,
                _ => Monitor::Off,
            },
            targets: Id::MonitorTargets.stations(values)?,
            sources: Id::MonitorSource.stations(values)?,
            monitor_interval: Id::MonitorInterval.number(values)?,
            monitor_missed: Id::MonitorMissed.narrow(values)?,
            notice_count: Id::NoticeCount.narrow(values)?,
            notice_interval: Id::NoticeInterval.number(values)?,
            keep_duplicates: Id::KeepDuplicates.yes(values)?,
            mac: mac_choice(values)?,
        };
        settings.consistent()
    }

    /// Refuses what contradicts itself.
    fn consistent(self) -> Result<Self, Refused> {
        let monitored = self.monitor != Monitor::Off;
        if monitored && self.targets.is_empty() {
            return Err(Id::MonitorTargets.refused(Reason::Conflict));
        }
        // With LACP the answers come in on whichever link the partner chooses, and
        // LACPDUs are the probes.
        if monitored && self.mode == Mode::Lacp {
            return Err(Id::Monitor.refused(Reason::Conflict));
        }
        Ok(self)
    }
}

/// NetworkAddress and MacMode, which have to agree.
fn mac_choice(values: &dyn Values) -> Result<MacChoice, Refused> {
    let configured = values
        .network_address()
        .map(|bytes| {
            Mac::from_slice(bytes)
                .filter(|mac| mac.is_station() && bytes.len() == mac.0.len())
                .ok_or(Id::NetworkAddress.refused(Reason::OutOfRange)) // ATR-13
        })
        .transpose()?;
    match (configured, Id::MacMode.number(values)?) {
        (Some(_), 1) => Err(Id::MacMode.refused(Reason::Conflict)),
        (Some(mac), _) => Ok(MacChoice::Configured(mac)),
        (None, 1) => Ok(MacChoice::FirstMember),
        (None, _) => Ok(MacChoice::Derived),
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
pub(crate) mod tests;
