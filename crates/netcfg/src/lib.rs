//! What a notify object decides. A machine's network configuration is plain data
//! ([`State`]); a [`Plan`] says what a person wants of it; [`plan::Plan::read`] and
//! [`decide`] turn the two into a list of operations ([`Op`]) or into reasons against it;
//! [`carry_out`] applies the list over a [`NetCfg`] and undoes it when an operation fails.
//!
//! Nothing in here calls Windows: the notify object implements [`NetCfg`] over `INetCfg`
//! and the registry, the tests over a model of a machine. No panics are reachable from a
//! plan or a state that someone else wrote.
#![no_std]

extern crate alloc;

mod compare;
pub mod decide;
mod names;
mod ops;
pub mod plan;
mod reason;
mod state;

pub use compare::{Difference, differences};
pub use decide::{Answer, Mode};
pub use names::{Guid, Location, Mac};
pub use ops::{Device, Failure, Journal, Key, Lower, NetCfg, Op, Written, carry_out};
pub use plan::Plan;
pub use reason::{Code, Reason};
pub use state::{
    Adapter, Binding, Class, Component, Kind, Made, Moved, Record, State, Value, Values,
    device_name, upper_values,
};

/// How a driver's lower edges and virtual miniports go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topology {
    /// One miniport on one adapter: passthrough.
    OneToOne,
    /// Any number of miniports on one adapter: mux.
    OneToMany,
    /// One miniport on up to 32 adapters: lbfo.
    ManyToOne,
}

impl Topology {
    /// The topology of the driver called `name`, if it is one of this workspace.
    pub const fn of(name: &str) -> Option<Self> {
        match name.as_bytes() {
            b"passthrough" => Some(Self::OneToOne),
            b"mux" => Some(Self::OneToMany),
            b"lbfo" => Some(Self::ManyToOne),
            _ => None,
        }
    }
}

/// What is particular to one driver.
#[derive(Debug, Clone, Copy)]
pub struct Driver<'a> {
    /// Its name in plans.
    pub name: &'a str,
    /// How edges and miniports go together.
    pub topology: Topology,
    /// Component id of the protocol edge.
    pub protocol: &'a str,
    /// Component id of the virtual miniports.
    pub miniport: &'a str,
}
