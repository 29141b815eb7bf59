//! Every registry value that the driver reads: one table, one check.
//!
//! A value that is absent has its default. A value of the wrong type, out of
//! range or unknown, or one that contradicts another, is refused with its place
//! in [`TABLE`] and a reason, which im-core reports in an event; the port is left
//! out then, and no other. All at PASSIVE_LEVEL, when an adapter is bound or a
//! port is initialised.

use crate::mac_table::MacTable;
use ethernet::{Mac, Priority, PriorityMap, Vlan};
use im_core::settings::{Reason, Refused, Values};
use ndis::multi_sz;
use ndis::string::wide;

/// Where a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In the key of the protocol's binding: one for each adapter.
    Binding,
    /// In the key of the virtual miniport: one for each port.
    Port,
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
        /// If absent; `None`: see the text.
        default: Option<u32>,
    },
    /// One of a few numbers, from 0 on.
    Choice {
        /// What each of them is called.
        names: &'static [&'static str],
        /// If absent.
        default: u32,
    },
    /// Eight digits 0 to 7: what becomes of priorities 0 to 7.
    Priorities {
        /// If absent.
        default: &'static str,
    },
    /// A MAC address of a station; none if absent.
    Address,
    /// A list of MAC addresses of stations; empty if absent.
    Addresses {
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
/// Largest number of [`Id::AllowedMacs`].
pub const MOST_ALLOWED: u32 = 1024;

settings! {
    Mode "Mode" Binding Kind::Choice { names: &["private", "vepa", "bridge", "passthru"], default: 0 },
        "What the ports of the adapter may say to each other: nothing; what the switch at the other end sends back; everything, switched here; nothing, as there is one port only, with the adapter's address.";
    InBandTags "InBandTags" Binding Kind::Choice { names: NO_YES, default: 0 },
        "Put tags into the frames even where the adapter takes them beside the frames.";
    VlanId "VlanID" Port Kind::Integer { min: 0, max: 4094, default: Some(0) },
        "The VLAN of the port; 0: none, the port sends and receives untagged frames.";
    NetworkAddress "NetworkAddress" Port Kind::Address,
        "The MAC address of the port.";
    MacMode "MacMode" Port Kind::Choice { names: &["auto", "adapter", "derived"], default: 0 },
        "The MAC address of a port without NetworkAddress: the adapter's on a VLAN and else derived; the adapter's; derived from the adapter's and PortIndex.";
    PortIndex "PortIndex" Port Kind::Integer { min: 0, max: 65535, default: None },
        "The number that a derived address is made with; the port's place in UpperBindings if absent.";
    AcceptUntagged "AcceptUntagged" Port Kind::Choice { names: NO_YES, default: 0 },
        "Whether a port with a VLAN receives untagged frames too.";
    AntiSpoof "AntiSpoof" Port Kind::Choice { names: NO_YES, default: 0 },
        "Whether frames are sent only from the port's own address and from AllowedMacs.";
    AllowedMacs "AllowedMacs" Port Kind::Addresses { most: MOST_ALLOWED },
        "Further addresses that AntiSpoof lets the port send from.";
    PriorityIn "PriorityIn" Port Kind::Priorities { default: "01234567" },
        "What becomes of the priorities of received frames.";
    PriorityOut "PriorityOut" Port Kind::Priorities { default: "01234567" },
        "What becomes of the priorities of sent frames.";
    DefaultPriority "DefaultPriority" Port Kind::Integer { min: 0, max: 7, default: Some(0) },
        "The priority of frames that are sent without one, before PriorityOut.";
    AdminState "AdminState" Port Kind::Choice { names: &["down", "up"], default: 1 },
        "Whether the port's link may be up.";
    LinkMode "LinkMode" Port Kind::Choice { names: &["follow", "loose"], default: 0 },
        "The port's link: that of the adapter, or up whatever the adapter's is.";
    ReceiveShare "ReceiveShare" Port Kind::Integer { min: 16, max: 65535, default: Some(256) },
        "How many of the adapter's receive lists the port may hold; further ones are lent to it only for the time of a call.";
}

/// How the ports of an adapter stand to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// They never hear each other.
    #[default]
    Private,
    /// They hear what the switch at the other end sends back.
    Vepa,
    /// They are switched here.
    Bridge,
    /// There is one, with the adapter's address.
    Passthru,
}

/// Where a port's address comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacChoice {
    /// NetworkAddress.
    Configured(Mac),
    /// The adapter's own.
    Adapter,
    /// Derived from the adapter's and the port's index.
    Derived,
}

/// What is set for an adapter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adapter {
    /// [`Id::Mode`].
    pub mode: Mode,
    /// [`Id::InBandTags`].
    pub in_band: bool,
}

/// What is set for a port.
#[derive(Debug)]
pub struct Port {
    /// [`Id::VlanId`].
    pub vlan: Vlan,
    /// [`Id::NetworkAddress`] and [`Id::MacMode`].
    pub mac: MacChoice,
    /// [`Id::PortIndex`].
    pub index: u16,
    /// [`Id::AcceptUntagged`].
    pub accept_untagged: bool,
    /// [`Id::AntiSpoof`].
    pub anti_spoof: bool,
    /// [`Id::AllowedMacs`].
    pub allowed: MacTable<()>,
    /// [`Id::PriorityIn`].
    pub priority_in: PriorityMap,
    /// [`Id::PriorityOut`].
    pub priority_out: PriorityMap,
    /// [`Id::DefaultPriority`].
    pub default_priority: Priority,
    /// [`Id::AdminState`].
    pub up: bool,
    /// [`Id::LinkMode`].
    pub loose: bool,
    /// [`Id::ReceiveShare`].
    pub share: u32,
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

    /// A number, checked against the row; `None` if it is absent and has no
    /// default.
    fn number(self, values: &dyn Values) -> Result<Option<u32>, Refused> {
        let read = values
            .integer(self.name())
            .map_err(|reason| self.refused(reason))?;
        let (default, fits, reason) = match self.setting().map(|setting| setting.kind) {
            Some(Kind::Integer { min, max, default }) => (
                default,
                read.is_none_or(|number| (min..=max).contains(&number)),
                Reason::OutOfRange,
            ),
            Some(Kind::Choice { names, default }) => (
                Some(default),
                read.is_none_or(|number| (number as usize) < names.len()),
                Reason::Unknown,
            ),
            _ => (None, false, Reason::WrongType),
        };
        if fits {
            Ok(read.or(default))
        } else {
            Err(self.refused(reason))
        }
    }

    /// A number that fits 16 bits because its row says so.
    fn small(self, values: &dyn Values) -> Result<u16, Refused> {
        let number = self.number(values)?.unwrap_or(0);
        u16::try_from(number).map_err(|_| self.refused(Reason::OutOfRange))
    }

    fn yes(self, values: &dyn Values) -> Result<bool, Refused> {
        Ok(self.number(values)? == Some(1))
    }

    fn priorities(self, values: &dyn Values) -> Result<PriorityMap, Refused> {
        let read = values
            .string(self.name())
            .map_err(|reason| self.refused(reason))?;
        match read {
            None => Ok(PriorityMap::IDENTITY),
            Some(text) => PriorityMap::from_text(text).ok_or(self.refused(Reason::OutOfRange)),
        }
    }

    /// The list, after every entry of it was found to be an address.
    fn addresses(self, values: &dyn Values) -> Result<MacTable<()>, Refused> {
        let units = values
            .strings(self.name())
            .map_err(|reason| self.refused(reason))?
            .unwrap_or(&[]);
        let read = multi_sz::names(units).map(Mac::from_text);
        if read.clone().count() > MOST_ALLOWED as usize {
            return Err(self.refused(Reason::OutOfRange));
        }
        if !read.clone().all(|mac| mac.is_some_and(Mac::is_station)) {
            return Err(self.refused(Reason::OutOfRange));
        }
        MacTable::new(&read.flatten(), ()).map_err(|_| self.refused(Reason::NoMemory))
    }
}

impl Adapter {
    /// Reads and checks an adapter's settings.
    pub fn read(values: &dyn Values) -> Result<Self, Refused> {
        let mode = match Id::Mode.number(values)? {
            Some(1) => Mode::Vepa,
            Some(2) => Mode::Bridge,
            Some(3) => Mode::Passthru,
            _ => Mode::Private,
        };
        Ok(Self {
            mode,
            in_band: Id::InBandTags.yes(values)?,
        })
    }
}

impl Port {
    /// Reads and checks a port's settings. `position` is its place in
    /// UpperBindings.
    pub fn read(position: u32, values: &dyn Values) -> Result<Self, Refused> {
        let vlan = Vlan::new(Id::VlanId.small(values)?)
            .filter(|vlan| !vlan.is_reserved())
            .ok_or(Id::VlanId.refused(Reason::OutOfRange))?;
        let configured = values
            .network_address()
            .map(|bytes| {
                Mac::from_slice(bytes)
                    .filter(|mac| mac.is_station() && bytes.len() == mac.0.len())
                    .ok_or(Id::NetworkAddress.refused(Reason::OutOfRange))
            })
            .transpose()?;
        let mode = Id::MacMode.number(values)?;
        let mac = match (configured, mode) {
            (Some(mac), _) => MacChoice::Configured(mac),
            (None, Some(1)) => MacChoice::Adapter,
            (None, Some(2)) => MacChoice::Derived,
            (None, _) if vlan.is_none() => MacChoice::Derived,
            (None, _) => MacChoice::Adapter,
        };
        let index = Id::PortIndex.number(values)?.unwrap_or(position);
        Ok(Self {
            vlan,
            mac,
            index: u16::try_from(index).map_err(|_| Id::PortIndex.refused(Reason::OutOfRange))?,
            accept_untagged: Id::AcceptUntagged.yes(values)?,
            anti_spoof: Id::AntiSpoof.yes(values)?,
            allowed: Id::AllowedMacs.addresses(values)?,
            priority_in: Id::PriorityIn.priorities(values)?,
            priority_out: Id::PriorityOut.priorities(values)?,
            default_priority: u8::try_from(Id::DefaultPriority.small(values)?)
                .ok()
                .and_then(Priority::new)
                .ok_or(Id::DefaultPriority.refused(Reason::OutOfRange))?,
            up: Id::AdminState.yes(values)?,
            loose: Id::LinkMode.yes(values)?,
            share: Id::ReceiveShare.number(values)?.unwrap_or(u32::MAX),
        })
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
pub(crate) mod tests;
