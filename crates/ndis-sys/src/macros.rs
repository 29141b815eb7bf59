//! The macros in which every module states its part of the ABI.
//!
//! Each macro does three things at once: it declares the items, it asserts
//! what can be asserted at compile time, and with the feature `abi-tables` it
//! lists the same items for the ABI test. An item can therefore not be
//! declared without being compared.

/// Integer and pointer typedefs.
macro_rules! scalars {
    ($( $(#[$meta:meta])* $name:ident = $ty:ty; )*) => {
        $( $(#[$meta])* pub type $name = $ty; )*

        #[cfg(feature = "abi-tables")]
        pub(crate) const SCALARS: &[$crate::abi::Scalar] = &[
            $( $crate::abi::Scalar {
                name: stringify!($name),
                ty: stringify!($ty),
                size: size_of::<$ty>(),
                align: align_of::<$ty>(),
            }, )*
        ];
    };
}

/// Numbers with a meaning: open newtypes.
macro_rules! newtypes {
    ($( $(#[$meta:meta])* $name:ident($ty:ty); )*) => {
        $(
            $(#[$meta])*
            #[repr(transparent)]
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name(pub $ty);
        )*

        #[cfg(feature = "abi-tables")]
        pub(crate) const NEWTYPES: &[$crate::abi::Scalar] = &[
            $( $crate::abi::Scalar {
                name: stringify!($name),
                ty: stringify!($ty),
                size: size_of::<$name>(),
                align: align_of::<$name>(),
            }, )*
        ];
    };
}

/// Second names of structures and enumerations.
macro_rules! aliases {
    ($( $(#[$meta:meta])* $name:ident = $target:ident; )*) => {
        // Not `type`: a newtype must be constructible by either name.
        $( $(#[$meta])* pub use crate::$target as $name; )*

        #[cfg(feature = "abi-tables")]
        pub(crate) const ALIASES: &[$crate::abi::Alias] = &[
            $( $crate::abi::Alias { name: stringify!($name), target: stringify!($target) }, )*
        ];
    };
}

/// Types that only NDIS or NT can look into.
macro_rules! opaque {
    ($( $(#[$meta:meta])* $name:ident; )*) => {
        $(
            $(#[$meta])*
            #[repr(C)]
            #[derive(Debug)]
            pub struct $name([u8; 0]);
        )*

        #[cfg(feature = "abi-tables")]
        pub(crate) const OPAQUE: &[&str] = &[$( stringify!($name), )*];
    };
}

/// Structures and unions: `struct NAME [size, align] { offset Field: Type, }`.
///
/// Size, alignment and every offset are asserted at compile time. An alignment
/// that differs on arm64 follows the one on x64: `[size, x64 / arm64]`.
/// `of OUTER.Path` marks the type of a member that has no type name in C.
/// `also { .. }` lists members that overlap those of the main view.
/// `bits Unit { Name: first, width; }` names the bit-fields of a storage unit,
/// lowest bit first.
macro_rules! structs {
    ($(
        $(#[$meta:meta])*
        $kind:ident $name:ident $(of $outer:ident $(. $path:ident)+)? [$size:literal, $align:literal $(/ $arm64:literal)?] {
            $( $(#[$fmeta:meta])* $offset:literal $field:ident : $ty:ty, )*
            $( also { $( $aoffset:literal $alias:ident : $aty:ty, )* } )?
            $( bits $unit:ident { $( $bit:ident : $first:literal, $width:literal; )* } )*
        }
    )*) => {
        $(
            $(#[$meta])*
            #[repr(C)]
            #[derive(Clone, Copy)]
            pub $kind $name {
                $( $(#[$fmeta])* pub $field: $ty, )*
            }

            #[allow(clippy::int_plus_one)] // one formula for every offset
            const _: () = {
                assert!(size_of::<$name>() == $size);
                let align: usize = $( if cfg!(target_arch = "aarch64") { $arm64 } else )? { $align };
                assert!(align_of::<$name>() == align);
                $( assert!(core::mem::offset_of!($name, $field) == $offset); )*
                $( $( assert!($aoffset + size_of::<$aty>() <= $size); )* )?
            };

            struct_bits!($name $( $( $bit: $first, $width; )* )*);
        )*

        #[cfg(feature = "abi-tables")]
        pub(crate) const STRUCTS: &[$crate::abi::Struct] = &[
            $( $crate::abi::Struct {
                name: stringify!($name),
                outer: &[$( stringify!($outer), $( stringify!($path), )+ )?],
                union: matches!(stringify!($kind).as_bytes(), b"union"),
                size: size_of::<$name>(),
                align: align_of::<$name>(),
                fields: &[
                    $( $crate::abi::Field {
                        name: stringify!($field),
                        ty: stringify!($ty),
                        offset: core::mem::offset_of!($name, $field),
                        size: size_of::<$ty>(),
                    }, )*
                ],
                aliases: &[$( $(
                    $crate::abi::Field {
                        name: stringify!($alias),
                        ty: stringify!($aty),
                        offset: $aoffset,
                        size: size_of::<$aty>(),
                    },
                )* )?],
                bits: &[$( $(
                    $crate::abi::Bits {
                        name: stringify!($bit),
                        unit: stringify!($unit),
                        first: $first,
                        width: $width,
                    },
                )* )*],
            }, )*
        ];
    };
}

/// The bit-fields of one structure as associated constants.
macro_rules! struct_bits {
    ($name:ident) => {};
    ($name:ident $( $bit:ident : $first:literal, $width:literal; )+) => {
        impl $name {
            $(
                #[doc = concat!("Bit-field `", stringify!($bit), "`.")]
                pub const $bit: $crate::BitField = $crate::BitField { first: $first, width: $width };
            )+
        }
    };
}

/// C enumerations, as open newtypes: a value from outside that has no name
/// here is still a value.
macro_rules! enums {
    ($(
        $(#[$meta:meta])*
        $name:ident { $( $(#[$vmeta:meta])* $member:ident = $value:literal, )* }
    )*) => {
        $(
            $(#[$meta])*
            #[repr(transparent)]
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name(pub i32);

            $(
                $(#[$vmeta])*
                #[doc = concat!("[`", stringify!($name), "`] ", stringify!($value), ".")]
                pub const $member: $name = $name($value);
            )*
        )*

        #[cfg(feature = "abi-tables")]
        pub(crate) const ENUMS: &[$crate::abi::Enum] = &[
            $( $crate::abi::Enum {
                name: stringify!($name),
                size: size_of::<$name>(),
                members: &[$( (stringify!($member), $member.0), )*],
            }, )*
        ];
    };
}

/// Constants, in groups of one type. The group's documentation is that of
/// each constant in it.
macro_rules! constants {
    ($(
        $(#[$meta:meta])*
        $ty:ident { $( $(#[$cmeta:meta])* $name:ident = $value:literal, )* }
    )*) => {
        $( constants!(@group [$(#[$meta])*] $ty { $( [$(#[$cmeta])*] $name = $value, )* }); )*

        #[cfg(feature = "abi-tables")]
        pub(crate) const CONSTANTS: &[$crate::abi::Constant] = &[
            $( $( $crate::abi::Constant {
                name: stringify!($name),
                ty: stringify!($ty),
                value: constants!(@bits $ty $name),
            }, )* )*
        ];
    };
    (@group $meta:tt $ty:ident { $( $cmeta:tt $name:ident = $value:literal, )* }) => {
        $( constants!(@one $meta $cmeta $ty $name $value); )*
    };
    (@one [$(#[$meta:meta])*] [$(#[$cmeta:meta])*] $ty:ident $name:ident $value:literal) => {
        $(#[$meta])*
        $(#[$cmeta])*
        pub const $name: $ty = constants!(@value $ty $value);
    };
    (@value NDIS_OID $value:literal) => { NDIS_OID($value) };
    (@value NDIS_STATUS $value:literal) => { NDIS_STATUS($value as u32 as i32) };
    (@value NTSTATUS $value:literal) => { NTSTATUS($value as u32 as i32) };
    (@value $ty:ident $value:literal) => { $value };
    (@bits NDIS_OID $name:ident) => { $name.0 as u64 };
    (@bits NDIS_STATUS $name:ident) => { $name.0 as u64 };
    (@bits NTSTATUS $name:ident) => { $name.0 as u64 };
    (@bits $ty:ident $name:ident) => { $name as u64 };
}

/// Callback types. The calling convention is win64 on x64 and C on arm64,
/// which is what `efiapi` says on every host.
macro_rules! callbacks {
    ($(
        $(#[$meta:meta])*
        fn $name:ident($( $param:ident : $pty:ty ),* $(,)?) $(-> $ret:ty)?;
    )*) => {
        $(
            $(#[$meta])*
            pub type $name = unsafe extern "efiapi" fn($( $param: $pty ),*) $(-> $ret)?;
        )*

        #[cfg(feature = "abi-tables")]
        pub(crate) const CALLBACKS: &[$crate::abi::Function] = &[
            $( $crate::abi::Function {
                name: stringify!($name),
                dll: "",
                params: &[$( (stringify!($param), stringify!($pty), size_of::<$pty>()), )*],
                ret: stringify!($($ret)?),
                ret_size: size_of::<function_result!($($ret)?)>(),
                variadic: false,
            }, )*
        ];
    };
}

/// Functions imported from one image.
macro_rules! imports {
    (
        $dll:literal;
        $(
            $(#[$meta:meta])*
            fn $name:ident($( $param:ident : $pty:ty ),* $(,)?) $([$($variadic:tt)*])? $(-> $ret:ty)?;
        )*
    ) => {
        // `raw-dylib` knows the C convention, not `efiapi`; on Windows targets
        // the two are the same.
        #[cfg(windows)]
        #[link(name = $dll, kind = "raw-dylib", modifiers = "+verbatim")]
        unsafe extern "C" {
            $(
                $(#[$meta])*
                pub fn $name($( $param: $pty ),* $($($variadic)*)?) $(-> $ret)?;
            )*
        }

        #[cfg(not(windows))]
        unsafe extern "efiapi" {
            $(
                $(#[$meta])*
                pub fn $name($( $param: $pty ),* $($($variadic)*)?) $(-> $ret)?;
            )*
        }

        #[cfg(feature = "abi-tables")]
        pub(crate) const IMPORTS: &[$crate::abi::Function] = &[
            $( $crate::abi::Function {
                name: stringify!($name),
                dll: $dll,
                params: &[$( (stringify!($param), stringify!($pty), size_of::<$pty>()), )*],
                ret: stringify!($($ret)?),
                ret_size: size_of::<function_result!($($ret)?)>(),
                variadic: 0 $($( + { let _ = stringify!($variadic); 1 } )*)? > 0,
            }, )*
        ];
    };
}

/// The result type of a declaration that may have none.
#[cfg(feature = "abi-tables")]
macro_rules! function_result {
    () => {
        ()
    };
    ($ret:ty) => {
        $ret
    };
}
