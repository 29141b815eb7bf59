//! The MAC address of a port.

// The bytes of an address have no other names than their order.
#![allow(clippy::many_single_char_names)]

use crate::settings::{Id, MacChoice, Mode, Port};
use ethernet::{Mac, Vlan};
use im_core::settings::{Reason, Refused};

/// What the adapter below has to say about addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Below {
    /// Its own.
    pub mac: Mac,
    /// It has one address and sends from no other, as a Wi-Fi station does: an
    /// access point takes nothing from an address that did not associate.
    pub one_address: bool,
}

/// An address made of the adapter's and a number: the same at every start,
/// locally administered, never the adapter's, and another one for every number.
///
/// The last three bytes, by which makers number adapters, stay; so the addresses
/// derived from two adapters of one maker differ as well.
pub const fn derive(adapter: Mac, index: u16) -> Mac {
    let [a, b, c, d, e, f] = adapter.0;
    let [high, low] = index.to_be_bytes();
    // Bit 6 changes in any case, the group bit is off, the local bit on.
    Mac([(a ^ 0x40) & !1 | 2, b ^ high, c ^ low, d, e, f])
}

/// The address of a port.
pub fn resolve(mode: Mode, port: &Port, below: Below) -> Result<Mac, Refused> {
    let (mac, setting) = match port.mac {
        MacChoice::Configured(mac) => (mac, Id::NetworkAddress),
        MacChoice::Adapter => (below.mac, Id::MacMode),
        // The one port of an adapter that is passed through is the adapter.
        MacChoice::Derived if matches!(mode, Mode::Passthru) => (below.mac, Id::MacMode),
        MacChoice::Derived => (derive(below.mac, port.index), Id::MacMode),
    };
    if !mac.is_station() {
        return Err(setting.refused(Reason::Conflict));
    }
    // Passed through means without promiscuous mode below.
    if mac != below.mac && (below.one_address || matches!(mode, Mode::Passthru)) {
        return Err(setting.refused(Reason::Conflict));
    }
    Ok(mac)
}

/// Whether the port's address changes with the adapter's.
pub const fn follows(port: &Port) -> bool {
    !matches!(port.mac, MacChoice::Configured(_))
}

/// What no two ports of an adapter may have in common: VLAN and address.
pub const fn key(vlan: Vlan, mac: Mac) -> u64 {
    (vlan.number() as u64) << 48 | mac.number()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::Key;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const ADAPTER: Below = Below {
        mac: Mac([0, 0x1A, 0x2B, 3, 4, 5]),
        one_address: false,
    };

    fn port(key: &Key) -> Port {
        Port::read(3, key).unwrap()
    }

    #[test]
    fn each_choice() {
        let own = Mac([2, 0, 0, 0, 0, 9]);
        let configured = port(&Key::default().address(&own.0));
        assert_eq!(resolve(Mode::Private, &configured, ADAPTER), Ok(own));
        assert!(!follows(&configured));
        let adapter = port(&Key::default().number("VlanID", 10));
        assert_eq!(resolve(Mode::Private, &adapter, ADAPTER), Ok(ADAPTER.mac));
        assert!(follows(&adapter));
        let derived = port(&Key::default());
        let mac = resolve(Mode::Private, &derived, ADAPTER).unwrap();
        assert_eq!(mac, Mac([0x42, 0x1A, 0x28, 3, 4, 5]));
        assert!(follows(&derived));
    }

    #[test]
    fn passthru_and_wifi_have_one_address() {
        let wifi = Below {
            one_address: true,
            ..ADAPTER
        };
        let configured = port(&Key::default().address(&[2, 0, 0, 0, 0, 9]));
        let refused = Err(Id::NetworkAddress.refused(Reason::Conflict));
        assert_eq!(resolve(Mode::Private, &configured, wifi), refused);
        assert_eq!(resolve(Mode::Passthru, &configured, ADAPTER), refused);
        let derived = port(&Key::default());
        assert_eq!(resolve(Mode::Passthru, &derived, ADAPTER), Ok(ADAPTER.mac));
        assert_eq!(
            resolve(Mode::Private, &derived, wifi),
            Err(Id::MacMode.refused(Reason::Conflict))
        );
        let same = port(&Key::default().address(&ADAPTER.mac.0));
        assert_eq!(resolve(Mode::Passthru, &same, wifi), Ok(ADAPTER.mac));
    }

    #[test]
    fn all_derived_addresses_differ() {
        let last = if cfg!(miri) { 0x1FF } else { u16::MAX };
        let all: BTreeSet<Mac> = (0..=last).map(|n| derive(ADAPTER.mac, n)).collect();
        assert_eq!(all.len(), usize::from(last) + 1);
        let keys: BTreeSet<u64> = (0..4095)
            .map(|n| key(Vlan::new(n).unwrap(), ADAPTER.mac))
            .collect();
        assert_eq!(keys.len(), 4095);
    }

    proptest! {
        #[test]
        fn derived_addresses_are_usable(bytes: [u8; 6], index: u16) {
            let mac = derive(Mac(bytes), index);
            prop_assert!(mac.is_station() && mac.is_local());
            prop_assert_ne!(mac, Mac(bytes));
            prop_assert_eq!(mac, derive(Mac(bytes), index));
        }

        #[test]
        fn keys_tell_vlans_and_addresses_apart(a: [u8; 6], b: [u8; 6], v in 0_u16..4096, w in 0_u16..4096) {
            let one = key(Vlan::new(v).unwrap(), Mac(a));
            let two = key(Vlan::new(w).unwrap(), Mac(b));
            prop_assert_eq!(one == two, a == b && v == w);
        }
    }
}
