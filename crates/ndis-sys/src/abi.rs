//! What this crate declares, as tables for the ABI test.

/// A typedef of an integer or a pointer.
#[derive(Clone, Copy, Debug)]
pub struct Scalar {
    /// Name in C.
    pub name: &'static str,
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


/// Every `scalars` table.
pub const SCALARS: &[&[Scalar]] = &[
    crate::base::SCALARS,
    crate::interface::SCALARS,
    crate::nic_switch::SCALARS,
    crate::nt::driver::SCALARS,
    crate::nt::ke::SCALARS,
    crate::nt::pool::SCALARS,
    crate::port::SCALARS,
    crate::qos::SCALARS,
    crate::receive_filter::SCALARS,
    crate::rss::SCALARS,
    crate::system::SCALARS,
    crate::base::NEWTYPES,
];

/// Every `aliases` table.
pub const ALIASES: &[&[Alias]] = &[
    crate::general::ALIASES,
    crate::interface::ALIASES,
    crate::nic_switch::ALIASES,
    crate::nt::ke::ALIASES,
    crate::nt::string::ALIASES,
    crate::nt::types::ALIASES,
    crate::receive_filter::ALIASES,
    crate::system::ALIASES,
];

/// Every `opaque` table.
pub const OPAQUE: &[&[&str]] = &[
    crate::nt::ke::OPAQUE,
    crate::nt::types::OPAQUE,
];

/// Every `constants` table.
pub const CONSTANTS: &[&[Constant]] = &[
    crate::config::CONSTANTS,
    crate::error_log::CONSTANTS,
    crate::general::CONSTANTS,
    crate::interface::CONSTANTS,
    crate::miniport::CONSTANTS,
    crate::misc_consts::CONSTANTS,
    crate::nbl::CONSTANTS,
    crate::nic_switch::CONSTANTS,
    crate::nt::irp_consts::CONSTANTS,
    crate::nt::ke::CONSTANTS,
    crate::nt::mdl::CONSTANTS,
    crate::nt::pool::CONSTANTS,
    crate::nt::status::CONSTANTS,
    crate::object_types::CONSTANTS,
    crate::offload::CONSTANTS,
    crate::oid_ethernet::CONSTANTS,
    crate::oid_general::CONSTANTS,
    crate::oid_offload::CONSTANTS,
    crate::oid_power::CONSTANTS,
    crate::oid_virtualization::CONSTANTS,
    crate::pm::CONSTANTS,
    crate::port::CONSTANTS,
    crate::protocol::CONSTANTS,
    crate::qos::CONSTANTS,
    crate::receive_filter::CONSTANTS,
    crate::revisions::CONSTANTS,
    crate::rss::CONSTANTS,
    crate::status::CONSTANTS,
    crate::status_indication::CONSTANTS,
];

/// Every `enums` table.
pub const ENUMS: &[&[Enum]] = &[
    crate::config::ENUMS,
    crate::general::ENUMS,
    crate::interface::ENUMS,
    crate::miniport::ENUMS,
    crate::nbl::ENUMS,
    crate::nic_switch::ENUMS,
    crate::nt::driver::ENUMS,
    crate::nt::io::ENUMS,
    crate::nt::ke::ENUMS,
    crate::nt::mdl::ENUMS,
    crate::nt::pool::ENUMS,
    crate::offload::ENUMS,
    crate::oid_request::ENUMS,
    crate::pm::ENUMS,
    crate::pnp::ENUMS,
    crate::port::ENUMS,
    crate::qos::ENUMS,
    crate::receive_filter::ENUMS,
    crate::rss::ENUMS,
    crate::system::ENUMS,
];

/// Every `structs` table.
pub const STRUCTS: &[&[Struct]] = &[
    crate::config::STRUCTS,
    crate::device::STRUCTS,
    crate::filter::STRUCTS,
    crate::general::STRUCTS,
    crate::interface::STRUCTS,
    crate::miniport::STRUCTS,
    crate::miniport_attributes::STRUCTS,
    crate::nbl::STRUCTS,
    crate::nbl_info::STRUCTS,
    crate::nic_switch::STRUCTS,
    crate::nt::driver::STRUCTS,
    crate::nt::io_stack::STRUCTS,
    crate::nt::irp::STRUCTS,
    crate::nt::ke::STRUCTS,
    crate::nt::mdl::STRUCTS,
    crate::nt::pool::STRUCTS,
    crate::nt::string::STRUCTS,
    crate::nt::types::STRUCTS,
    crate::object::STRUCTS,
    crate::offload::STRUCTS,
    crate::oid_request::STRUCTS,
    crate::pm::STRUCTS,
    crate::pnp::STRUCTS,
    crate::port::STRUCTS,
    crate::protocol::STRUCTS,
    crate::qos::STRUCTS,
    crate::receive_filter::STRUCTS,
    crate::rss::STRUCTS,
    crate::sync::STRUCTS,
    crate::system::STRUCTS,
];

/// Every `callbacks` table.
pub const CALLBACKS: &[&[Function]] = &[
    crate::filter::CALLBACKS,
    crate::interface::CALLBACKS,
    crate::miniport::CALLBACKS,
    crate::nbl::CALLBACKS,
    crate::nt::driver::CALLBACKS,
    crate::nt::irp::CALLBACKS,
    crate::nt::ke::CALLBACKS,
    crate::nt::pool::CALLBACKS,
    crate::protocol::CALLBACKS,
    crate::sync::CALLBACKS,
];

/// Every `imports` table.
pub const IMPORTS: &[&[Function]] = &[
    crate::config::IMPORTS,
    crate::device::IMPORTS,
    crate::filter::IMPORTS,
    crate::im::IMPORTS,
    crate::interface::IMPORTS,
    crate::miniport::IMPORTS,
    crate::nbl_fns::IMPORTS,
    crate::nt::ex::IMPORTS,
    crate::nt::io::IMPORTS,
    crate::nt::ke_fns::IMPORTS,
    crate::nt::mdl::IMPORTS,
    crate::nt::pool::IMPORTS,
    crate::nt::string::IMPORTS,
    crate::nt::types::IMPORTS,
    crate::oid_request::IMPORTS,
    crate::protocol::IMPORTS,
    crate::sync::IMPORTS,
    crate::system::IMPORTS,
];
