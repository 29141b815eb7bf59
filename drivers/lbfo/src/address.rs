//! The MAC address of a team (LBF-5): the same at every start, whoever of its members
//! is there.

// The bytes of an address have no other names than their order.
#![allow(clippy::many_single_char_names)]

use crate::settings::{Id, MacChoice};
use ethernet::Mac;
use im_core::settings::{Reason, Refused};

/// An address made of a name: the same for the same name, locally administered, of
/// one station. Of 46 bits that are left, names that differ in anything differ in all.
///
/// The registry does not tell letters of a name apart that only differ in their case,
/// so neither does this, as far as ASCII goes: device names end in a GUID.
pub fn derive(name: &[u16]) -> Mac {
    // FNV-1a over the units, then the finalizer of MurmurHash3: the first lets every
    // unit count, the second every bit.
    let mut state = 0xCBF2_9CE4_8422_2325_u64;
    for unit in name {
        let folded = match *unit {
            unit @ 0x61..=0x7A => unit ^ 0x20,
            unit => unit,
        };
        state = (state ^ u64::from(folded)).wrapping_mul(0x0100_0000_01B3);
    }
    state ^= state >> 33;
    state = state.wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    state ^= state >> 33;
    state = state.wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    state ^= state >> 33;
    let [a, b, c, d, e, f] = Mac::from_number(state).0;
    Mac([a & !1 | 2, b, c, d, e, f])
}

/// The address of a team: `name` is that of its device, `first` that of the member
/// with the smallest MemberIndex.
pub fn resolve(choice: MacChoice, name: &[u16], first: Mac) -> Result<Mac, Refused> {
    let mac = match choice {
        MacChoice::Configured(mac) => mac,
        MacChoice::Derived => derive(name),
        MacChoice::FirstMember => first,
    };
    if mac.is_station() {
        Ok(mac)
    } else {
        Err(Id::MacMode.refused(Reason::Conflict))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    fn units(text: &str) -> Vec<u16> {
        text.encode_utf16().collect()
    }

    /// It was given out once and is the same for ever: switches and DHCP servers
    /// know it.
    #[test]
    fn a_name_has_one_address() {
        let name = units("\\Device\\{4D36E972-E325-11CE-BFC1-08002BE10318}");
        let mac = derive(&name);
        assert_eq!(mac, Mac([0xBE, 0x32, 0x12, 0xA3, 0xB5, 0x89]));
        let small = units("\\DEVICE\\{4d36e972-e325-11ce-bfc1-08002be10318}");
        assert_eq!(derive(&small), mac);
        let other = units("\\Device\\{4D36E972-E325-11CE-BFC1-08002BE10319}");
        assert_ne!(derive(&other), mac);
    }

    #[test]
    fn each_choice() {
        let (name, first) = (units("\\Device\\team"), Mac([0, 0x1A, 0x2B, 3, 4, 5]));
        let own = Mac([2, 0, 0, 0, 0, 9]);
        assert_eq!(resolve(MacChoice::Configured(own), &name, first), Ok(own));
        assert_eq!(resolve(MacChoice::Derived, &name, first), Ok(derive(&name)));
        assert_eq!(resolve(MacChoice::FirstMember, &name, first), Ok(first));
        let refused = Err(Id::MacMode.refused(Reason::Conflict));
        assert_eq!(resolve(MacChoice::FirstMember, &name, Mac::ZERO), refused);
    }

    #[test]
    fn many_names_many_addresses() {
        let macs: BTreeSet<Mac> = (0..10_000)
            .map(|n| derive(&units(&std::format!("\\Device\\team{n}"))))
            .collect();
        assert_eq!(macs.len(), 10_000);
    }

    proptest! {
        #[test]
        fn always_a_local_station(name: Vec<u16>) {
            let mac = derive(&name);
            prop_assert!(mac.is_station() && mac.is_local());
            prop_assert_eq!(derive(&name), mac);
        }
    }
}
