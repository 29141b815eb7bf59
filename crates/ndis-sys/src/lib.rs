//! NDIS 6 and the part of the NT kernel around it, as data.
//!
//! Structures, constants, callback types and function imports for an NDIS 6
//! intermediate driver and for a host that runs one. The crate has no logic:
//! what the C headers do in macros and inline functions belongs to its users.
//!
//! * Names are those of the documentation. Every name is at the crate root;
//!   the modules only group them by subject.
//! * The layouts are those of NDIS 6.87 and hold on x64 and arm64 kernels and
//!   on every 64-bit host: each is asserted at compile time. A driver that
//!   registers an older version fills in the older revision and size.
//! * Statuses, object identifiers and enumerations are open newtypes: NDIS and
//!   other drivers may send values that have no name here.
//! * Where C overlays members without a name, a structure here has the view
//!   that is used most; the feature `abi-tables` lists the other ones too.
//!   Bit-fields are a storage unit and associated [`BitField`] constants.
//! * Functions are declared on every host, so that code that calls them can
//!   be checked there. Only a Windows target links them.

#![no_std]
// The names are C's.
#![allow(non_camel_case_types, non_snake_case, non_upper_case_globals)]
#![allow(clippy::pub_underscore_fields, clippy::struct_field_names)]
// Each structure, function and group of constants says what it is; its fields
// and members have the names of the documentation, which says the rest.
#![allow(missing_docs)]

#[macro_use]
mod macros;

#[cfg(feature = "abi-tables")]
pub mod abi;

pub mod address;
pub mod base;
pub mod config;
pub mod device;
pub mod error_log;
pub mod event;
pub mod filter;
pub mod im;
pub mod interface;
pub mod ipsec_offload;
pub mod link;
pub mod lock;
pub mod memory;
pub mod miniport;
pub mod miniport_attributes;
pub mod nbl;
pub mod nbl_functions;
pub mod nbl_info;
pub mod nic_switch;
pub mod nt;
pub mod object;
pub mod offload;
pub mod oid_ethernet;
pub mod oid_general;
pub mod oid_offload;
pub mod oid_power;
pub mod oid_request;
pub mod oid_virtualization;
pub mod packet_filter;
pub mod pm;
pub mod pnp;
pub mod port;
pub mod processor;
pub mod protocol;
pub mod qos;
pub mod receive_filter;
pub mod restart;
pub mod rss;
pub mod statistics;
pub mod status;
pub mod status_indication;
pub mod timer;
pub mod timestamp;
pub mod version;
pub mod work_item;

pub use address::*;
pub use base::*;
pub use config::*;
pub use device::*;
pub use error_log::*;
pub use event::*;
pub use filter::*;
pub use im::*;
pub use interface::*;
pub use ipsec_offload::*;
pub use link::*;
pub use lock::*;
pub use memory::*;
pub use miniport::*;
pub use miniport_attributes::*;
pub use nbl::*;
pub use nbl_functions::*;
pub use nbl_info::*;
pub use nic_switch::*;
pub use nt::debug::*;
pub use nt::device::*;
pub use nt::dispatcher::*;
pub use nt::dpc::*;
pub use nt::driver::*;
pub use nt::executive::*;
pub use nt::file::*;
pub use nt::io::*;
pub use nt::io_codes::*;
pub use nt::io_stack::*;
pub use nt::irp::*;
pub use nt::irql::*;
pub use nt::lookaside::*;
pub use nt::mdl::*;
pub use nt::pool::*;
pub use nt::processor::*;
pub use nt::rundown::*;
pub use nt::spin_lock::*;
pub use nt::status::*;
pub use nt::string::*;
pub use nt::time::*;
pub use nt::types::*;
pub use object::*;
pub use offload::*;
pub use oid_ethernet::*;
pub use oid_general::*;
pub use oid_offload::*;
pub use oid_power::*;
pub use oid_request::*;
pub use oid_virtualization::*;
pub use packet_filter::*;
pub use pm::*;
pub use pnp::*;
pub use port::*;
pub use processor::*;
pub use protocol::*;
pub use qos::*;
pub use receive_filter::*;
pub use restart::*;
pub use rss::*;
pub use statistics::*;
pub use status::*;
pub use status_indication::*;
pub use timer::*;
pub use timestamp::*;
pub use version::*;
pub use work_item::*;
