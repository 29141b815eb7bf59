//! `REG_MULTI_SZ`: names one after the other, each ended by a zero, the list
//! ended by an empty name. The registry does not check any of that (CFG-3), so
//! the parser takes missing terminators, doubled ones and odd tails as they
//! come and never reads past the units it was given.

/// The names in a `REG_MULTI_SZ` value, in order.
pub fn names(units: &[u16]) -> Names<'_> {
    Names { rest: units }
}

/// Iterator over the names of a list; it ends at the first empty name.
#[derive(Clone, Debug)]
pub struct Names<'a> {
    rest: &'a [u16],
}

impl<'a> Iterator for Names<'a> {
    type Item = &'a [u16];

    fn next(&mut self) -> Option<&'a [u16]> {
        let mut parts = self.rest.splitn(2, |unit| *unit == 0);
        let name = parts.next()?;
        self.rest = parts.next().unwrap_or(&[]);
        if name.is_empty() {
            self.rest = &[];
            return None;
        }
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn split(text: &str) -> Vec<std::string::String> {
        let units: Vec<u16> = text.encode_utf16().collect();
        names(&units)
            .map(std::string::String::from_utf16_lossy)
            .collect()
    }

    #[test]
    fn well_formed_lists() {
        assert_eq!(split("a\0bc\0\0"), ["a", "bc"]);
        assert_eq!(split("\0"), [""; 0]);
        assert_eq!(split(""), [""; 0]);
    }

    /// CFG-3: what the registry holds is not trusted.
    #[test]
    fn hostile_lists() {
        assert_eq!(split("a"), ["a"], "no terminator at all");
        assert_eq!(split("a\0b"), ["a", "b"], "last one unterminated");
        assert_eq!(
            split("a\0\0b\0\0"),
            ["a"],
            "nothing after the end of the list"
        );
        assert_eq!(
            split("\0a\0\0"),
            [""; 0],
            "an empty first name ends the list"
        );
    }

    proptest::proptest! {
        #[test]
        fn no_name_holds_a_zero_and_all_lie_inside(units: Vec<u16>) {
            let mut total = 0;
            for name in names(&units) {
                assert!(!name.is_empty() && !name.contains(&0));
                total += name.len() + 1;
            }
            assert!(total <= units.len() + 1);
        }
    }
}
