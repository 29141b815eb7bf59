//! Types and values of Rust in the words of C.

use ndis_sys::abi::{Constant, Function, Scalar};

/// Whether C declares the type as a pointer to a function, not as a function.
pub fn is_pointer_typedef(name: &str) -> bool {
    name == "PIO_APC_ROUTINE"
}

/// Spacing is whatever `stringify!` made of it.
fn inside<'a>(ty: &'a str, open: &str, close: &str) -> Option<&'a str> {
    Some(ty.strip_prefix(open)?.strip_suffix(close)?.trim())
}

/// The element and the length of an array type.
pub fn array(ty: &str) -> Option<(&str, &str)> {
    let (element, length) = inside(ty.trim(), "[", "]")?.rsplit_once(';')?;
    Some((element.trim(), length.trim()))
}

/// What a pointer leads to, and whether it may be written.
pub fn pointee(ty: &str) -> Option<(&str, bool)> {
    let ty = ty.trim();
    let written = ty.strip_prefix("*mut ").map(|to| (to.trim(), true));
    written.or_else(|| Some((ty.strip_prefix("*const ")?.trim(), false)))
}

/// The callback that may be there.
pub fn callback(ty: &str) -> Option<&str> {
    inside(ty.trim(), "Option<", ">").or_else(|| inside(ty.trim(), "Option <", ">"))
}

/// The declaration of `name`, which may be part of a declarator, with this type.
pub fn declare(ty: &str, name: &str) -> String {
    let ty = ty.trim();
    if let Some((element, length)) = array(ty) {
        let length = length.trim_end_matches("usize");
        return declare(element, &format!("{name}[{length}]"));
    }
    if let Some((to, written)) = pointee(ty) {
        // A pointer to a pointer that may not be written has the word behind it.
        let constant = if written { "" } else { "const " };
        if pointee(to).is_some() || callback(to).is_some() {
            return declare(to, &format!("*{constant}{name}"));
        }
        return format!("{constant}{}", declare(to, &format!("*{name}")));
    }
    if let Some(function) = callback(ty) {
        if is_pointer_typedef(function) {
            return format!("{function} {name}");
        }
        return format!("{function} *{name}");
    }
    let ty = match ty {
        "VOID" => "void",
        other => primitive(other).unwrap_or(other),
    };
    format!("{ty} {name}")
}

fn primitive(ty: &str) -> Option<&'static str> {
    Some(match ty {
        "i8" => "signed char",
        "u8" => "unsigned char",
        "i16" => "short",
        "u16" => "unsigned short",
        "i32" => "int",
        "u32" => "unsigned int",
        "i64" | "isize" => "long long",
        "u64" | "usize" => "unsigned long long",
        _ => return None,
    })
}

/// What a typedef of a number or pointer stands for. Names for the same size differ in C:
/// `long` and `int` are different types there, and so are the three of `char`.
pub fn scalar(s: &Scalar) -> String {
    match s.name {
        "CHAR" | "CCHAR" => "char".to_owned(),
        "WCHAR" => "wchar_t".to_owned(),
        "LONG" | "NTSTATUS" => "long".to_owned(),
        "ULONG" | "NDIS_OID" => "unsigned long".to_owned(),
        _ => declare(s.ty, "").trim_end().to_owned(),
    }
}

/// The value of a constant.
pub fn constant(c: &Constant) -> String {
    match c.ty {
        "NDIS_STATUS" | "NTSTATUS" => format!("(({})0x{:08X}L)", c.ty, c.value as u32),
        "LONG" | "LONG64" | "LONGLONG" | "CHAR" | "CCHAR" | "SHORT" => {
            format!("({})", c.value as i64)
        }
        "ULONG64" | "ULONGLONG" | "UINT64" => format!("0x{:X}ULL", c.value),
        _ => format!("0x{:X}", c.value),
    }
}

/// The declaration of a function, or of what `inner` makes of one.
pub fn function(f: &Function, inner: &str) -> String {
    let mut params: Vec<String> = f
        .params
        .iter()
        .map(|(name, ty, _)| declare(ty, name))
        .collect();
    if f.variadic {
        params.push("...".to_owned());
    }
    if params.is_empty() {
        params.push("void".to_owned());
    }
    let ret = if f.ret.trim().is_empty() {
        "VOID"
    } else {
        f.ret
    };
    declare(ret, &format!("{inner}({})", params.join(", ")))
}

/// Assertions of the sizes of a function's parameters and result.
pub fn assert_sizes(f: &Function) -> String {
    let mut sizes: Vec<String> = f
        .params
        .iter()
        .map(|(_, ty, size)| format!("sizeof({}) == {size}", declare(ty, "").trim_end()))
        .collect();
    if f.ret_size > 0 {
        sizes.push(format!(
            "sizeof({}) == {}",
            declare(f.ret, "").trim_end(),
            f.ret_size
        ));
    }
    if sizes.is_empty() {
        return format!("/* {} takes and returns nothing. */", f.name);
    }
    format!("C_ASSERT({});", sizes.join(" && "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations() {
        for (ty, c) in [
            ("ULONG", "ULONG x"),
            ("*mut VOID", "void *x"),
            ("*const WCHAR", "const WCHAR *x"),
            ("*mut *mut MDL", "MDL **x"),
            ("[PVOID; 6]", "PVOID x[6]"),
            ("[[UCHAR; 2]; 3]", "UCHAR x[3][2]"),
            ("Option<DRIVER_UNLOAD>", "DRIVER_UNLOAD *x"),
            ("[Option<DRIVER_DISPATCH>; 28]", "DRIVER_DISPATCH *x[28]"),
            ("Option<PIO_APC_ROUTINE>", "PIO_APC_ROUTINE x"),
            ("*mut Option<DRIVER_DISPATCH>", "DRIVER_DISPATCH **x"),
            ("usize", "unsigned long long x"),
        ] {
            assert_eq!(declare(ty, "x"), c, "{ty}");
        }
    }

    #[test]
    fn functions() {
        let f = Function {
            name: "F",
            dll: "",
            params: &[("A", "*const CHAR", 8)],
            ret: "*mut MDL",
            ret_size: 8,
            variadic: true,
        };
        assert_eq!(function(&f, "NTAPI F"), "MDL *NTAPI F(const CHAR *A, ...)");
        assert_eq!(
            assert_sizes(&f),
            "C_ASSERT(sizeof(const CHAR *) == 8 && sizeof(MDL *) == 8);"
        );
    }
}
