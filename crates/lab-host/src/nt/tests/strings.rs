//! Strings, formats and bits, as the documentation of each function has them.

use super::super::{printf, string};
use super::{ansi, ansi_text, unicode, with, with_both};

const BUFFER_OVERFLOW: i32 = 0x8000_0005_u32 as i32;
const INVALID_PARAMETER: i32 = 0xC000_000D_u32 as i32;

#[test]
fn a_string_counts_what_its_source_has() {
    with(|host, block| {
        let (to, source) = (block, block + 64);
        let _ = host.arena.write_bytes(source, b"ab\0\0c\0\0\0");
        for init in [
            string::RtlInitAnsiString,
            string::RtlInitString,
            string::NdisInitAnsiString,
        ] {
            init(to, source);
            assert_eq!(host.get::<[u16; 2]>(to, "test"), [2, 3]);
            assert_eq!(host.get::<u64>(to + 8, "test"), source);
            init(to, 0);
            assert_eq!(host.get::<[u16; 2]>(to, "test"), [0, 0]);
            assert_eq!(host.get::<u64>(to + 8, "test"), 0);
        }
        host.put(source, [0x61_u16, 0x62, 0x63, 0], "test");
        for init in [string::RtlInitUnicodeString, string::NdisInitUnicodeString] {
            init(to, source);
            assert_eq!(host.get::<[u16; 2]>(to, "test"), [6, 8]);
            assert_eq!(host.get::<u64>(to + 8, "test"), source);
            init(to, 0);
            assert_eq!(host.get::<[u16; 2]>(to, "test"), [0, 0]);
        }
        // Of its own, with an end; freed by value, which is by the address of a copy.
        let _ = host.arena.write_bytes(source, b"NIC\0");
        string::NdisInitializeString(to, source);
        assert_eq!(host.get_string(to, "test"), "NIC");
        assert_eq!(host.get::<[u16; 2]>(to, "test"), [6, 8]);
        let buffer: u64 = host.get(to + 8, "test");
        assert!(host.heap().find(buffer).is_some());
        string::NdisFreeString(to);
        assert!(host.heap().find(buffer).is_none());
    });
}

#[test]
fn comparisons_have_a_sign_and_may_fold() {
    with(|host, block| {
        // Both, whether case matters, the sign, whether the first begins the second.
        for (a, b, folds, sign, begins) in [
            ("abc", "abc", 0, 0, 1),
            ("abc", "abd", 0, -1, 0),
            ("abd", "abc", 0, 1, 0),
            ("ab", "abc", 0, -1, 1),
            ("abc", "ab", 0, 1, 0),
            ("ABC", "abc", 0, -1, 0),
            ("ABC", "abc", 1, 0, 1),
            ("", "abc", 0, -1, 1),
        ] {
            let (x, y) = (
                unicode(host, block, a, 60),
                unicode(host, block + 200, b, 60),
            );
            let compared = string::RtlCompareUnicodeString(x, y, folds);
            assert_eq!(compared.signum(), sign, "{a} {b}");
            assert_eq!(
                string::RtlPrefixUnicodeString(x, y, folds),
                begins,
                "{a} {b}"
            );
            let (x, y) = (
                ansi(host, block + 400, a, 60),
                ansi(host, block + 600, b, 60),
            );
            let compared = string::RtlCompareString(x, y, folds);
            assert_eq!(compared.signum(), sign, "{a} {b}");
            let equal = string::RtlEqualString(x, y, folds);
            assert_eq!(equal, u8::from(sign == 0), "{a} {b}");
        }
    });
}

#[test]
fn a_copy_takes_what_there_is_room_for() {
    with(|host, block| {
        let from = unicode(host, block, "adapter", 60);
        for (room, wanted) in [(60, "adapter"), (14, "adapter"), (6, "ada"), (0, "")] {
            let to = unicode(host, block + 200, "", room);
            string::RtlCopyUnicodeString(to, from);
            assert_eq!(host.get_string(to, "test"), wanted, "{room}");
            assert_eq!(host.get::<u16>(to + 2, "test"), room);
        }
        let to = unicode(host, block + 200, "old", 60);
        string::RtlCopyUnicodeString(to, 0);
        assert_eq!(host.get_string(to, "test"), "");
    });
}

#[test]
fn characters_change_their_case() {
    with(|_, _| {
        for (lower, upper) in [('a', 'A'), ('z', 'Z'), ('ä', 'Ä'), ('я', 'Я'), ('1', '1')] {
            assert_eq!(string::RtlUpcaseUnicodeChar(lower as u16), upper as u16);
            assert_eq!(string::RtlDowncaseUnicodeChar(upper as u16), lower as u16);
        }
        assert_eq!(string::RtlUpperChar(b'q'), b'Q');
        assert_eq!(string::RtlUpperChar(b'-'), b'-');
    });
}

#[test]
fn encodings_are_converted_with_and_without_memory() {
    with(|host, block| {
        let from = unicode(host, block, "Port 7", 60);
        let to = ansi(host, block + 200, "", 60);
        assert_eq!(string::RtlUpcaseUnicodeStringToAnsiString(to, from, 0), 0);
        assert_eq!(ansi_text(host, to), "PORT 7");
        assert_eq!(string::NdisUnicodeStringToAnsiString(to, from), 0);
        assert_eq!(ansi_text(host, to), "Port 7");
        let wide = unicode(host, block + 400, "", 60);
        assert_eq!(string::RtlAnsiStringToUnicodeString(wide, to, 0), 0);
        assert_eq!(host.get_string(wide, "test"), "Port 7");
        // Too small: nothing is allocated on its behalf.
        let small = unicode(host, block + 400, "", 6);
        let status = string::RtlAnsiStringToUnicodeString(small, to, 0);
        assert_eq!(status, BUFFER_OVERFLOW);
        assert_eq!(string::RtlAnsiStringToUnicodeString(small, to, 1), 0);
        assert_eq!(host.get::<[u16; 2]>(small, "test"), [12, 14]);
        string::RtlFreeUnicodeString(small);
        assert_eq!(host.get::<u64>(small + 8, "test"), 0);
    });
}

#[test]
fn numbers_become_strings() {
    with(|host, block| {
        for (value, radix, wanted) in [
            (0, 0, "0"),
            (4_294_967_295, 10, "4294967295"),
            (0xAB, 16, "AB"),
            (8, 8, "10"),
            (5, 2, "101"),
        ] {
            let to = unicode(host, block, "", 40);
            assert_eq!(string::RtlIntegerToUnicodeString(value, radix, to), 0);
            assert_eq!(host.get_string(to, "test"), wanted);
        }
        let to = unicode(host, block, "", 40);
        let status = string::RtlIntegerToUnicodeString(1, 7, to);
        assert_eq!(status, INVALID_PARAMETER);
        let to = unicode(host, block, "", 4);
        let status = string::RtlIntegerToUnicodeString(123, 10, to);
        assert_eq!(status, BUFFER_OVERFLOW);
    });
}

#[test]
fn hashes_are_those_of_x65599() {
    with(|host, block| {
        let hash = |text: &str, folds: u8, algorithm: u32| {
            let string = unicode(host, block, text, 60);
            let status = string::RtlHashUnicodeString(string, folds, algorithm, block + 200);
            (status, host.get::<u32>(block + 200, "test"))
        };
        let by_hand = |text: &str| {
            let step = |h: u32, c: u16| h.wrapping_mul(65599).wrapping_add(c.into());
            text.encode_utf16().fold(0, step)
        };
        assert_eq!(hash("nic0", 0, 1), (0, by_hand("nic0")));
        assert_eq!(hash("nic0", 1, 0), (0, by_hand("NIC0")));
        assert_eq!(hash("nic0", 0, 9).0, INVALID_PARAMETER);
    });
}

#[test]
fn bits_are_counted_and_found() {
    with(|_, _| {
        for (value, count, low, high) in [
            (0, 0, -1, -1),
            (1, 1, 0, 0),
            (0x8000_0000_0000_0001, 2, 0, 63),
            (0xF0, 4, 4, 7),
        ] {
            assert_eq!(string::RtlNumberOfSetBitsUlongPtr(value), count);
            assert_eq!(string::RtlFindLeastSignificantBit(value), low);
            assert_eq!(string::RtlFindMostSignificantBit(value), high);
        }
    });
}

#[test]
fn every_printf_ends_as_its_own_page_says() {
    with_both(|host, block| {
        let (text, args, to) = (block, block + 512, block + 1024);
        host.put(args, [42_u64, 0x41], "test");
        let _ = host.arena.write_bytes(text, b"%d %c\0");
        let fill = || {
            let _ = host.arena.write_bytes(to, &[b'.'; 32]);
        };
        for whole in [
            printf::sprintf(to, text, args),
            printf::vsprintf(to, text, args),
            printf::_snprintf(to, 6, text, args),
        ] {
            assert_eq!(whole, 4);
            assert_eq!(host.get_bytes(to, 5, "test"), b"42 A\0");
        }
        // Room for all but the end: no end. Less: negative, and no end either.
        fill();
        assert_eq!(printf::_snprintf(to, 4, text, args), 4);
        assert_eq!(host.get_bytes(to, 5, "test"), b"42 A.");
        fill();
        assert!(printf::_snprintf(to, 3, text, args) < 0);
        assert_eq!(host.get_bytes(to, 4, "test"), b"42 .");

        let wide: Vec<u8> = "%d %c\0"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let _ = host.arena.write_bytes(text, &wide);
        let result: Vec<u8> = "42 A\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for whole in [
            printf::swprintf(to, text, args),
            printf::_snwprintf(to, 6, text, args),
            printf::_vsnwprintf(to, 6, text, args),
        ] {
            assert_eq!(whole, 4);
            assert_eq!(host.get_bytes(to, 10, "test"), result);
        }
        fill();
        assert!(printf::_vsnwprintf(to, 3, text, args) < 0);
        assert_eq!(host.get_bytes(to, 6, "test"), result[..6]);
        assert_eq!(host.get_bytes(to + 6, 2, "test"), b"..");
    });
}

#[test]
fn debug_output_succeeds() {
    with(|host, block| {
        let (text, args) = (block, block + 512);
        host.put(args, 7_u64, "test");
        let _ = host.arena.write_bytes(text, b"seen %d\n\0");
        let _ = host.arena.write_bytes(text + 100, b"test: \0");
        // IHVNETWORK, at a level and by a mask.
        assert_eq!(printf::DbgPrintEx(79, 0, text, args), 0);
        assert_eq!(printf::vDbgPrintEx(79, 3, text, args), 0);
        assert_eq!(
            printf::vDbgPrintExWithPrefix(text + 100, 79, 0, text, args),
            0
        );
    });
}
