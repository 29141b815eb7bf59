//! 802.1Q: tags in frames, and the information that stands beside a frame.

/// Ethertype of a tag.
const TPID: [u8; 2] = [0x81, 0x00];
/// Where a tag stands in a frame.
const AT: usize = 12;

/// Priority and VLAN of a frame. All zero is no information.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag {
    /// VLAN, 0 for none.
    pub vlan: u16,
    /// Priority, 0 to 7.
    pub priority: u8,
    /// Canonical format indicator, today called drop eligible.
    pub cfi: bool,
}

impl Tag {
    /// From `NDIS_NET_BUFFER_LIST_8021Q_INFO`: UserPriority, CanonicalFormatId, VlanId.
    pub const fn from_info(value: u64) -> Self {
        Self {
            vlan: (value >> 4 & 0xFFF) as u16,
            priority: (value & 7) as u8,
            cfi: value & 8 != 0,
        }
    }

    /// As `NDIS_NET_BUFFER_LIST_8021Q_INFO`.
    pub const fn to_info(self) -> u64 {
        (self.vlan as u64 & 0xFFF) << 4 | (self.cfi as u64) << 3 | self.priority as u64 & 7
    }

    /// Whether it says nothing.
    pub const fn is_none(self) -> bool {
        self.to_info() == 0
    }
}

/// The tag a frame begins with.
pub fn in_band(frame: &[u8]) -> Option<Tag> {
    let control = frame.get(AT..AT + 4)?.strip_prefix(&TPID)?;
    let control = u16::from_be_bytes([control[0], control[1]]);
    Some(Tag {
        vlan: control & 0xFFF,
        priority: (control >> 13) as u8,
        cfi: control & 0x1000 != 0,
    })
}

/// Takes the tag out of a frame that has one, and an ethertype behind it.
pub(crate) fn strip(frame: &mut Vec<u8>) -> Option<Tag> {
    let tag = in_band(frame).filter(|_| frame.len() >= AT + 6)?;
    frame.drain(AT..AT + 4);
    Some(tag)
}

/// Puts a tag into a frame; false when it has no room for one.
pub(crate) fn insert(frame: &mut Vec<u8>, tag: Tag) -> bool {
    if frame.len() < AT + 2 {
        return false;
    }
    let control = u16::from(tag.priority & 7) << 13 | u16::from(tag.cfi) << 12 | tag.vlan & 0xFFF;
    let [high, low] = control.to_be_bytes();
    frame.splice(AT..AT, [TPID[0], TPID[1], high, low]);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_goes_in_and_comes_out() {
        let plain: Vec<u8> = (0..60).collect();
        let tag = Tag {
            vlan: 4094,
            priority: 5,
            cfi: true,
        };
        let mut frame = plain.clone();
        assert!(insert(&mut frame, tag));
        assert_eq!(in_band(&frame), Some(tag));
        assert_eq!(strip(&mut frame), Some(tag));
        assert_eq!(frame, plain);
        assert_eq!(Tag::from_info(tag.to_info()), tag);
    }

    #[test]
    fn short_and_untagged_frames_are_left_alone() {
        let mut short = vec![0; 13];
        assert!(!insert(&mut short, Tag::default()));
        let mut cut = vec![0; 17];
        cut[12] = 0x81;
        assert_eq!(strip(&mut cut), None);
        assert_eq!(strip(&mut vec![0; 60]), None);
    }
}
