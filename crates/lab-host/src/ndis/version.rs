//! The NDIS version the host claims, and the one that a driver registered.

use crate::host::Host;

impl super::Ndis {
    /// NDIS version that the driver of a virtual miniport registered.
    pub(crate) fn version_of(&self, miniport: u64) -> (u8, u8) {
        let driver = self
            .miniports
            .get(&miniport)
            .and_then(|m| self.drivers.get(&m.driver));
        driver.map_or((0, 0), |d| {
            (d.chars.MajorNdisVersion, d.chars.MinorNdisVersion)
        })
    }
}

impl Host {
    /// NDIS version the host says it is, major and minor.
    pub fn ndis_version(&self) -> (u8, u8) {
        self.ndis(|n| n.version).unwrap_or(self.config.ndis_version)
    }

    /// Claims to be another version, until the next [`Host::reset`]. Before `DriverEntry`.
    pub fn set_ndis_version(&self, version: (u8, u8)) {
        self.ndis(|n| n.version = Some(version));
    }

    /// Versions that the loaded driver registered: of each miniport edge, then of each
    /// protocol edge.
    pub fn registered_versions(&self) -> Vec<(u8, u8)> {
        self.ndis(|n| {
            let miniports = n
                .drivers
                .values()
                .map(|d| (d.chars.MajorNdisVersion, d.chars.MinorNdisVersion));
            let protocols = n
                .protocols
                .values()
                .map(|p| (p.chars.MajorNdisVersion, p.chars.MinorNdisVersion));
            miniports.chain(protocols).collect()
        })
    }
}
