//! What the virtual miniports of one adapter want of it together: plain data
//! that the topology's pure functions work on (OID-25).

use ethernet::Mac;

/// What one virtual miniport asked for.
#[derive(Debug)]
pub struct Wish<'a, P> {
    /// What the topology keeps about it.
    pub port: &'a P,
    /// Its address.
    pub mac: Mac,
    /// Its packet filter, NDIS_PACKET_TYPE_xxx; zero: nothing.
    pub filter: u32,
    /// Its multicast list.
    pub groups: &'a [Mac],
}

impl<P> Clone for Wish<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Wish<'_, P> {}

/// What the adapter is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// The packet filter below.
    pub filter: u32,
    /// How many addresses of the multicast list below are used.
    pub groups: usize,
    /// More groups than the adapter can hold: it is asked for all of them.
    pub overflow: bool,
    /// Promiscuous only because of an address that is not the adapter's own.
    pub promiscuous: bool,
}
