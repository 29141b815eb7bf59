//! Tag control information: in the frame, beside it, and maps of priorities.
//!
//! In a frame: TPID, then priority:3 | DEI:1 | VLAN:12, big-endian (IEEE 802.1Q,
//! 9.6). Beside it, in `NetBufferListInfo`: `TagHeader` of
//! `NDIS_NET_BUFFER_LIST_8021Q_INFO`, lowest bit first, UserPriority:3 |
//! CanonicalFormatId:1 | VlanId:12 | Reserved.

/// Number of a VLAN, 0 to 4095. 0 says that there is only a priority, 4095 is
/// reserved and may never be on a wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vlan(u16);

impl Vlan {
    /// No VLAN: untagged, or tagged with a priority only.
    pub const NONE: Self = Self(0);
    /// The number that no frame may carry.
    pub const RESERVED: Self = Self(0xFFF);
    /// How many numbers there are.
    pub const COUNT: usize = 4096;

    /// The VLAN with this number; `None` above 4095.
    pub const fn new(number: u16) -> Option<Self> {
        if number <= 0xFFF {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The number.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The number as an index below [`Vlan::COUNT`].
    pub const fn index(self) -> usize {
        (self.0 & 0xFFF) as usize
    }

    /// No VLAN.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// The number that no frame may carry.
    pub const fn is_reserved(self) -> bool {
        self.0 == Self::RESERVED.0
    }
}

/// A priority of IEEE 802.1p, 0 to 7.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

impl Priority {
    /// Best effort, which is also "none was given" beside the frame.
    pub const BEST_EFFORT: Self = Self(0);

    /// The priority with this number; `None` above 7.
    pub const fn new(number: u8) -> Option<Self> {
        if number <= 7 {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The number.
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// What a tag says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag {
    /// Priority code point.
    pub priority: Priority,
    /// Drop eligible indicator, once the canonical format indicator.
    pub dei: bool,
    /// The VLAN.
    pub vlan: Vlan,
}

impl Tag {
    /// From the two bytes of the tag control information.
    pub const fn from_tci(tci: u16) -> Self {
        Self {
            priority: Priority((tci >> 13) as u8),
            dei: tci & 0x1000 != 0,
            vlan: Vlan(tci & 0xFFF),
        }
    }

    /// The tag control information.
    pub const fn tci(self) -> u16 {
        (self.priority.0 as u16) << 13 | (self.dei as u16) << 12 | self.vlan.0
    }

    /// The four bytes that stand between source address and EtherType.
    pub const fn bytes(self, tpid: Tpid) -> [u8; 4] {
        let [a, b] = tpid.value().to_be_bytes();
        let [c, d] = self.tci().to_be_bytes();
        [a, b, c, d]
    }
}

/// What announces a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tpid {
    /// 0x8100: customer tag, what everybody calls 802.1Q.
    Customer,
    /// 0x88A8: service tag of IEEE 802.1ad (Q-in-Q).
    Service,
}

impl Tpid {
    /// The one with this value.
    pub const fn from_value(value: u16) -> Option<Self> {
        match value {
            0x8100 => Some(Self::Customer),
            0x88A8 => Some(Self::Service),
            _ => None,
        }
    }

    /// The value on the wire.
    pub const fn value(self) -> u16 {
        match self {
            Self::Customer => 0x8100,
            Self::Service => 0x88A8,
        }
    }
}

/// The word beside a list of frames: `NetBufferListInfo[Ieee8021QNetBufferListInfo]`.
/// Bits that are not part of `TagHeader` are kept as they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct OutOfBand(pub usize);

impl OutOfBand {
    /// Nothing beside the frame.
    pub const NONE: Self = Self(0);
    const TAG: usize = 0xFFFF;

    /// A word that says this tag and nothing else.
    pub const fn new(tag: Tag) -> Self {
        Self::NONE.with(tag)
    }

    /// What the word says. All zero is "nothing", or priority 0 without a VLAN:
    /// there is no difference.
    pub const fn tag(self) -> Tag {
        Tag {
            priority: Priority(self.0 as u8 & 7),
            dei: self.0 & 8 != 0,
            vlan: Vlan((self.0 >> 4) as u16 & 0xFFF),
        }
    }

    /// The word with another tag, other bits kept.
    #[must_use]
    pub const fn with(self, tag: Tag) -> Self {
        let bits = tag.priority.0 as usize | (tag.dei as usize) << 3 | (tag.vlan.0 as usize) << 4;
        Self(self.0 & !Self::TAG | bits)
    }

    /// The word without a tag, other bits kept.
    #[must_use]
    pub const fn without(self) -> Self {
        Self(self.0 & !Self::TAG)
    }
}

/// What becomes of each priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriorityMap([Priority; 8]);

impl Default for PriorityMap {
    fn default() -> Self {
        Self::IDENTITY
    }
}

impl PriorityMap {
    /// Every priority stays what it is.
    pub const IDENTITY: Self = Self([
        Priority(0),
        Priority(1),
        Priority(2),
        Priority(3),
        Priority(4),
        Priority(5),
        Priority(6),
        Priority(7),
    ]);

    /// From what each priority becomes; `None` if one is above 7.
    pub fn new(numbers: [u8; 8]) -> Option<Self> {
        let mut map = Self::IDENTITY;
        for (to, number) in map.0.iter_mut().zip(numbers) {
            *to = Priority::new(number)?;
        }
        Some(map)
    }

    /// From eight digits 0 to 7 in UTF-16, as the registry has them.
    pub fn from_text(text: &[u16]) -> Option<Self> {
        let text: &[u16; 8] = text.try_into().ok()?;
        let mut numbers = [0; 8];
        for (number, unit) in numbers.iter_mut().zip(text) {
            *number = u8::try_from(unit.checked_sub(u16::from(b'0'))?).ok()?;
        }
        Self::new(numbers)
    }

    /// What becomes of a priority.
    pub const fn apply(&self, priority: Priority) -> Priority {
        self.0[(priority.0 & 7) as usize]
    }

    /// Whether the map changes nothing.
    pub fn is_identity(&self) -> bool {
        *self == Self::IDENTITY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// The bit places are those of the ABI: UserPriority 0..3, CanonicalFormatId
    /// 3, VlanId 4..16.
    #[test]
    fn the_word_is_ndis_s() {
        let tag = Tag {
            priority: Priority(5),
            dei: true,
            vlan: Vlan(0x123),
        };
        assert_eq!(OutOfBand::new(tag).0, 0x123D);
        assert_eq!(OutOfBand(0xF_0000).with(tag).0, 0xF_123D);
        assert_eq!(OutOfBand(0xF_123D).without().0, 0xF_0000);
        assert_eq!(tag.tci(), 0xB123);
        assert_eq!(tag.bytes(Tpid::Customer), [0x81, 0, 0xB1, 0x23]);
    }

    #[test]
    fn maps_are_eight_digits() {
        let text = |text: &str| PriorityMap::from_text(&text.encode_utf16().collect::<Vec<_>>());
        assert_eq!(text("01234567"), Some(PriorityMap::IDENTITY));
        let map = text("77000001").unwrap();
        assert_eq!(map.apply(Priority(0)), Priority(7));
        assert_eq!(map.apply(Priority(7)), Priority(1));
        assert!(!map.is_identity());
        for bad in [
            "",
            "0123456",
            "012345678",
            "01234568",
            "0123456/",
            "0123 567",
        ] {
            assert_eq!(text(bad), None, "{bad}");
        }
        assert_eq!(PriorityMap::from_text(&[0x130; 8]), None);
    }

    #[test]
    fn numbers_out_of_range() {
        assert_eq!(Vlan::new(4096), None);
        assert!(Vlan::new(4095).unwrap().is_reserved());
        assert_eq!(Priority::new(8), None);
    }

    proptest! {
        #[test]
        fn both_forms_round(tci: u16, word: usize) {
            let tag = Tag::from_tci(tci);
            prop_assert_eq!(tag.tci(), tci);
            prop_assert_eq!(OutOfBand(word).with(tag).tag(), tag);
            prop_assert_eq!(OutOfBand(word).with(tag).without(), OutOfBand(word).without());
            let same = OutOfBand(word).with(OutOfBand(word).tag());
            prop_assert_eq!(same, OutOfBand(word));
            prop_assert!(tag.vlan.index() < Vlan::COUNT);
        }

        #[test]
        fn any_map_text_is_read_or_refused(text: Vec<u16>) {
            prop_assert_eq!(
                PriorityMap::from_text(&text).is_some(),
                text.len() == 8 && text.iter().all(|unit| (0x30..=0x37).contains(unit))
            );
        }
    }
}
