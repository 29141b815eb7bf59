//! How im-core asks the decisions of this crate.
//!
//! What im-core knows becomes their arguments here, and their answers become what
//! im-core carries out. [`Adapter`] and [`Port`] are made once, at PASSIVE_LEVEL,
//! and never change; the data path reads them on any processor.

use crate::address::{self, Below as AddressBelow};
use crate::classify::{self, Drop, Group};
use crate::merge::{self, Tagging};
use crate::settings::{self, Id, Mode};
use crate::switch;
use crate::tag::{Policy, Refusal};
use ethernet::{Mac, Priority, Tag, Vlan};
use im_control::DropReason;
use im_core::data::fanout::{
    CONTEXT_BYTES, Delivery, Fanout, Frame, Look, MAX_MULTICAST, PortRef, PortView, Route, Strip,
    Switch,
};
use im_core::facts::Link;
use im_core::merge::{Merged, Wish};
use im_core::oid_table::{Below, Rule};
use im_core::settings::{Reason, Refused, Values};
use im_core::status_table::{self, StatusRule};
use im_core::{Driver, Facts, Identity, Notice, Shown, Topology};
use ndis::memory::Tag as PoolTag;
use ndis::oid::Facts as Asked;
use ndis::string::wide;
use ndis::sys::{
    NDIS_MAC_OPTION_8021Q_VLAN, NDIS_STATUS, NDIS_STATUS_FAILURE, NdisMedium802_3,
    NdisPhysicalMediumNative802_11, NdisPhysicalMediumWirelessLan,
};
use ndis::{Error, Result};

/// The 1:N topology.
#[derive(Debug)]
pub enum Mux {}

/// The driver's one static: handles, table of bindings, events.
static DRIVER: Driver<Mux> = Driver::new();

/// What is known about an adapter.
#[derive(Clone, Copy, Debug)]
pub struct Adapter {
    /// Its settings.
    pub settings: settings::Adapter,
    /// It takes tags beside the frames, and may.
    pub beside: bool,
}

/// What is known about a port.
#[derive(Debug)]
pub struct Port {
    /// Its settings.
    pub settings: settings::Port,
    /// Its address.
    pub mac: Mac,
    /// What it does with what it sends and receives.
    mode: Mode,
}

impl Port {
    /// What it does with what it sends and receives.
    pub fn policy(&self) -> Policy<'_> {
        Policy::new(self.mode, self.mac, &self.settings)
    }
}

/// The adapter's address; the bind saw to it that there is one.
fn own_mac(facts: &Facts) -> Mac {
    Mac::from_slice(&facts.mac).unwrap_or(Mac::ZERO)
}

/// How a port's tags get to the adapter.
fn tagging(adapter: &Adapter, port: &Port) -> Tagging {
    match (port.policy().tags(), adapter.beside) {
        (false, _) => Tagging::None,
        (true, true) => Tagging::Beside,
        (true, false) => Tagging::InBand,
    }
}

impl From<Drop> for DropReasonOf {
    fn from(drop: Drop) -> Self {
        Self(match drop {
            Drop::ReservedVlan | Drop::NestedTag | Drop::ForeignTag => DropReason::ReceiveVlan,
            Drop::OwnSource => DropReason::ReceiveReflected,
            Drop::Unwanted => DropReason::ReceiveUnwanted,
        })
    }
}
