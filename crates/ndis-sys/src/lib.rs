//! NDIS 6 and NT as data.
#![no_std]
#![allow(
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    missing_docs,
    unused_imports,
    clippy::upper_case_acronyms,
    clippy::pub_underscore_fields
)]

#[macro_use]
mod macros;

#[cfg(feature = "abi-tables")]
pub mod abi;
pub mod base;
pub mod config;
pub mod device;
pub mod error_log;
pub mod general;
pub mod im;
pub mod interface;
pub mod miniport;
pub mod miniport_attributes;
pub mod misc_consts;
pub mod nbl;
pub mod nbl_fns;
pub mod nbl_info;
pub mod nic_switch;
pub mod nt;
pub mod object;
pub mod object_types;
pub mod offload;
pub mod oid_ethernet;
pub mod oid_general;
pub mod oid_offload;
pub mod oid_power;
pub mod oid_request;
pub mod oid_virtualization;
pub mod pm;
pub mod pnp;
pub mod poll;
pub mod port;
pub mod protocol;
pub mod qos;
pub mod receive_filter;
pub mod revisions;
pub mod rss;
pub mod status;
pub mod status_indication;
pub mod sync;
pub mod system;

pub use base::*;
pub use config::*;
pub use device::*;
pub use error_log::*;
pub use general::*;
pub use im::*;
pub use interface::*;
pub use miniport::*;
pub use miniport_attributes::*;
pub use misc_consts::*;
pub use nbl::*;
pub use nbl_fns::*;
pub use nbl_info::*;
pub use nic_switch::*;
pub use nt::driver::*;
pub use nt::ex::*;
pub use nt::io::*;
pub use nt::io_stack::*;
pub use nt::irp::*;
pub use nt::irp_consts::*;
pub use nt::ke::*;
pub use nt::ke_fns::*;
pub use nt::mdl::*;
pub use nt::pool::*;
pub use nt::status::*;
pub use nt::string::*;
pub use nt::types::*;
pub use object::*;
pub use object_types::*;
pub use offload::*;
pub use oid_ethernet::*;
pub use oid_general::*;
pub use oid_offload::*;
pub use oid_power::*;
pub use oid_request::*;
pub use oid_virtualization::*;
pub use pm::*;
pub use pnp::*;
pub use poll::*;
pub use port::*;
pub use protocol::*;
pub use qos::*;
pub use receive_filter::*;
pub use revisions::*;
pub use rss::*;
pub use status::*;
pub use status_indication::*;
pub use sync::*;
pub use system::*;
