//! What this crate declares, as tables for the ABI test.

/// A typedef of an integer or a pointer.
#[derive(Clone, Copy, Debug)]
pub struct Scalar {
    /// Name in C.
    pub name: &'static str,
    /// Type as written here.
    pub ty: &'static str,
    /// Size in bytes.
    pub size: usize,
    /// Alignment in bytes.
    pub align: usize,
}

/// A second name of a structure.
#[derive(Clone, Copy, Debug)]
pub struct Alias {
    /// Name in C.
    pub name: &'static str,
    /// The structure it names.
    pub target: &'static str,
}

/// A structure or union.
#[derive(Clone, Copy, Debug)]
pub struct Struct {
    /// Name here, which is the name in C unless `outer` says otherwise.
    pub name: &'static str,
    /// For the type of a member without a type name in C: the outermost
    /// structure, then the path to the member.
    pub outer: &'static [&'static str],
    /// Whether it is a union.
    pub union: bool,
    /// Size in bytes.
    pub size: usize,
    /// Alignment in bytes.
    pub align: usize,
    /// Members of the main view.
    pub fields: &'static [Field],
    /// Members that overlap those of the main view.
    pub aliases: &'static [Field],
    /// Bit-fields.
    pub bits: &'static [Bits],
}

/// A member of a structure or union.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Name in C.
    pub name: &'static str,
    /// Type as written here.
    pub ty: &'static str,
    /// Offset in bytes.
    pub offset: usize,
    /// Size in bytes.
    pub size: usize,
}

/// A bit-field of a structure.
#[derive(Clone, Copy, Debug)]
pub struct Bits {
    /// Name in C.
    pub name: &'static str,
    /// The member that stores it.
    pub unit: &'static str,
    /// Number of the lowest bit in the storage unit.
    pub first: u32,
    /// Number of bits.
    pub width: u32,
}

/// An enumeration.
#[derive(Clone, Copy, Debug)]
pub struct Enum {
    /// Name in C.
    pub name: &'static str,
    /// Size in bytes.
    pub size: usize,
    /// Names and values.
    pub members: &'static [(&'static str, i32)],
}

/// A constant.
#[derive(Clone, Copy, Debug)]
pub struct Constant {
    /// Name in C.
    pub name: &'static str,
    /// Type as written here.
    pub ty: &'static str,
    /// Value; negative ones are sign-extended.
    pub value: u64,
}

/// A callback type or an imported function.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Name in C.
    pub name: &'static str,
    /// Image that exports it; empty for a callback type.
    pub dll: &'static str,
    /// Name, type and size of each parameter.
    pub params: &'static [(&'static str, &'static str, usize)],
    /// Type of the result as written here; empty for none.
    pub ret: &'static str,
    /// Size of the result in bytes.
    pub ret_size: usize,
    /// Whether more parameters may follow.
    pub variadic: bool,
}

/// Typedefs and newtypes of numbers and pointers, by module.
pub const SCALARS: &[&[Scalar]] = &[
    crate::base::SCALARS,
    crate::interface::SCALARS,
    crate::nbl_info::SCALARS,
    crate::nic_switch::SCALARS,
    crate::nt::dispatcher::SCALARS,
    crate::nt::file::SCALARS,
    crate::nt::irql::SCALARS,
    crate::nt::pool::SCALARS,
    crate::nt::processor::SCALARS,
    crate::nt::spin_lock::SCALARS,
    crate::port::SCALARS,
    crate::qos::SCALARS,
    crate::receive_filter::SCALARS,
    crate::rss::SCALARS,
    crate::base::NEWTYPES,
];

/// Second names, by module.
pub const ALIASES: &[&[Alias]] = &[
    crate::interface::ALIASES,
    crate::link::ALIASES,
    crate::nic_switch::ALIASES,
    crate::nt::dispatcher::ALIASES,
    crate::nt::string::ALIASES,
    crate::nt::types::ALIASES,
    crate::receive_filter::ALIASES,
    crate::version::ALIASES,
];

/// Types that nobody but the system can look into, by module.
pub const OPAQUE: &[&[&str]] = &[
    crate::lock::OPAQUE,
    crate::nt::device::OPAQUE,
    crate::nt::dispatcher::OPAQUE,
    crate::nt::executive::OPAQUE,
    crate::nt::io::OPAQUE,
    crate::nt::types::OPAQUE,
];

/// Constants, by module.
pub const CONSTANTS: &[&[Constant]] = &[
    crate::address::CONSTANTS,
    crate::base::CONSTANTS,
    crate::config::CONSTANTS,
    crate::device::CONSTANTS,
    crate::error_log::CONSTANTS,
    crate::filter::CONSTANTS,
    crate::interface::CONSTANTS,
    crate::ipsec_offload::CONSTANTS,
    crate::link::CONSTANTS,
    crate::lock::CONSTANTS,
    crate::memory::CONSTANTS,
    crate::miniport::CONSTANTS,
    crate::miniport_attributes::CONSTANTS,
    crate::nbl::CONSTANTS,
    crate::nbl_info::CONSTANTS,
    crate::nic_switch::CONSTANTS,
    crate::nt::device::CONSTANTS,
    crate::nt::dispatcher::CONSTANTS,
    crate::nt::io_codes::CONSTANTS,
    crate::nt::irql::CONSTANTS,
    crate::nt::mdl::CONSTANTS,
    crate::nt::pool::CONSTANTS,
    crate::nt::processor::CONSTANTS,
    crate::nt::status::CONSTANTS,
    crate::object::CONSTANTS,
    crate::offload::CONSTANTS,
    crate::oid_ethernet::CONSTANTS,
    crate::oid_general::CONSTANTS,
    crate::oid_offload::CONSTANTS,
    crate::oid_power::CONSTANTS,
    crate::oid_request::CONSTANTS,
    crate::oid_virtualization::CONSTANTS,
    crate::packet_filter::CONSTANTS,
    crate::pm::CONSTANTS,
    crate::pnp::CONSTANTS,
    crate::port::CONSTANTS,
    crate::processor::CONSTANTS,
    crate::protocol::CONSTANTS,
    crate::qos::CONSTANTS,
    crate::receive_filter::CONSTANTS,
    crate::restart::CONSTANTS,
    crate::rss::CONSTANTS,
    crate::statistics::CONSTANTS,
    crate::status::CONSTANTS,
    crate::status_indication::CONSTANTS,
    crate::timer::CONSTANTS,
    crate::timestamp::CONSTANTS,
    crate::version::CONSTANTS,
];

/// Enumerations, by module.
pub const ENUMS: &[&[Enum]] = &[
    crate::config::ENUMS,
    crate::interface::ENUMS,
    crate::link::ENUMS,
    crate::memory::ENUMS,
    crate::miniport::ENUMS,
    crate::miniport_attributes::ENUMS,
    crate::nbl_info::ENUMS,
    crate::nic_switch::ENUMS,
    crate::nt::device::ENUMS,
    crate::nt::dispatcher::ENUMS,
    crate::nt::dpc::ENUMS,
    crate::nt::executive::ENUMS,
    crate::nt::file::ENUMS,
    crate::nt::io::ENUMS,
    crate::nt::mdl::ENUMS,
    crate::nt::pool::ENUMS,
    crate::offload::ENUMS,
    crate::oid_request::ENUMS,
    crate::pm::ENUMS,
    crate::pnp::ENUMS,
    crate::port::ENUMS,
    crate::processor::ENUMS,
    crate::qos::ENUMS,
    crate::receive_filter::ENUMS,
    crate::rss::ENUMS,
];

/// Structures and unions, by module.
pub const STRUCTS: &[&[Struct]] = &[
    crate::address::STRUCTS,
    crate::config::STRUCTS,
    crate::device::STRUCTS,
    crate::event::STRUCTS,
    crate::filter::STRUCTS,
    crate::interface::STRUCTS,
    crate::ipsec_offload::STRUCTS,
    crate::link::STRUCTS,
    crate::lock::STRUCTS,
    crate::memory::STRUCTS,
    crate::miniport::STRUCTS,
    crate::miniport_attributes::STRUCTS,
    crate::nbl::STRUCTS,
    crate::nbl_info::STRUCTS,
    crate::nic_switch::STRUCTS,
    crate::nt::device::STRUCTS,
    crate::nt::dispatcher::STRUCTS,
    crate::nt::dpc::STRUCTS,
    crate::nt::driver::STRUCTS,
    crate::nt::executive::STRUCTS,
    crate::nt::file::STRUCTS,
    crate::nt::io::STRUCTS,
    crate::nt::io_stack::STRUCTS,
    crate::nt::irp::STRUCTS,
    crate::nt::lookaside::STRUCTS,
    crate::nt::mdl::STRUCTS,
    crate::nt::processor::STRUCTS,
    crate::nt::rundown::STRUCTS,
    crate::nt::spin_lock::STRUCTS,
    crate::nt::string::STRUCTS,
    crate::nt::types::STRUCTS,
    crate::object::STRUCTS,
    crate::offload::STRUCTS,
    crate::oid_request::STRUCTS,
    crate::pm::STRUCTS,
    crate::pnp::STRUCTS,
    crate::port::STRUCTS,
    crate::processor::STRUCTS,
    crate::protocol::STRUCTS,
    crate::qos::STRUCTS,
    crate::receive_filter::STRUCTS,
    crate::restart::STRUCTS,
    crate::rss::STRUCTS,
    crate::statistics::STRUCTS,
    crate::status_indication::STRUCTS,
    crate::timer::STRUCTS,
    crate::timestamp::STRUCTS,
];

/// Callback types, by module.
pub const CALLBACKS: &[&[Function]] = &[
    crate::filter::CALLBACKS,
    crate::interface::CALLBACKS,
    crate::miniport::CALLBACKS,
    crate::nbl::CALLBACKS,
    crate::nt::dpc::CALLBACKS,
    crate::nt::driver::CALLBACKS,
    crate::nt::executive::CALLBACKS,
    crate::nt::io::CALLBACKS,
    crate::nt::irp::CALLBACKS,
    crate::nt::lookaside::CALLBACKS,
    crate::protocol::CALLBACKS,
    crate::timer::CALLBACKS,
    crate::work_item::CALLBACKS,
];

/// Imported functions, by module.
pub const IMPORTS: &[&[Function]] = &[
    crate::config::IMPORTS,
    crate::device::IMPORTS,
    crate::error_log::IMPORTS,
    crate::event::IMPORTS,
    crate::filter::IMPORTS,
    crate::im::IMPORTS,
    crate::interface::IMPORTS,
    crate::lock::IMPORTS,
    crate::memory::IMPORTS,
    crate::miniport::IMPORTS,
    crate::miniport_attributes::IMPORTS,
    crate::nbl_functions::IMPORTS,
    crate::nt::debug::IMPORTS,
    crate::nt::dispatcher::IMPORTS,
    crate::nt::dpc::IMPORTS,
    crate::nt::executive::IMPORTS,
    crate::nt::io::IMPORTS,
    crate::nt::irp::IMPORTS,
    crate::nt::irql::IMPORTS,
    crate::nt::lookaside::IMPORTS,
    crate::nt::mdl::IMPORTS,
    crate::nt::pool::IMPORTS,
    crate::nt::processor::IMPORTS,
    crate::nt::rundown::IMPORTS,
    crate::nt::spin_lock::IMPORTS,
    crate::nt::string::IMPORTS,
    crate::nt::time::IMPORTS,
    crate::nt::types::IMPORTS,
    crate::oid_request::IMPORTS,
    crate::pm::IMPORTS,
    crate::port::IMPORTS,
    crate::processor::IMPORTS,
    crate::protocol::IMPORTS,
    crate::status_indication::IMPORTS,
    crate::timer::IMPORTS,
    crate::version::IMPORTS,
    crate::work_item::IMPORTS,
];
