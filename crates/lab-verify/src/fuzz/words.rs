//! Words that a driver knows, out of its own image: names in UTF-16, which it looks up in the
//! registry, and 32-bit constants in its code, which it compares object identifiers and control
//! codes with.

use std::collections::BTreeSet;

use iced_x86::{Decoder, DecoderOptions, OpKind};
use lab_host::Image;
use lab_host::code::Code;

/// Most constants and names that are kept.
const MOST: usize = 4096;

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub struct Words {
    /// Names.
    pub names: Vec<String>,
    /// Constants.
    pub numbers: Vec<u32>,
}

impl Words {
    /// The words of a loaded image.
    pub fn of(image: &Image) -> Self {
        Self {
            names: names(image.pristine()),
            numbers: numbers(image),
        }
    }
}

/// Runs of letters and digits in UTF-16, as names of registry values are.
fn names(bytes: &[u8]) -> Vec<String> {
    let mut all = BTreeSet::new();
    for start in [0, 1] {
        let mut run = String::new();
        let units = bytes.get(start..).unwrap_or_default().chunks_exact(2);
        for unit in units.chain([&[0_u8, 0][..]]) {
            let fits = unit[1] == 0 && (unit[0].is_ascii_alphanumeric() || unit[0] == b'*');
            if fits && run.len() < 64 {
                run.push(char::from(unit[0]));
                continue;
            }
            if (3..=40).contains(&run.len()) && all.len() < MOST {
                all.insert(std::mem::take(&mut run));
            }
            run.clear();
        }
    }
    all.into_iter().collect()
}

fn numbers(image: &Image) -> Vec<u32> {
    let code = Code::of(image);
    let bytes = image.pristine();
    let mut all = BTreeSet::new();
    for &at in &code.instructions {
        let Some(rest) = usize::try_from(at - image.base)
            .ok()
            .and_then(|at| bytes.get(at..))
        else {
            continue;
        };
        let rest = &rest[..rest.len().min(15)];
        let instruction = Decoder::with_ip(64, rest, at, DecoderOptions::NONE).decode();
        for operand in 0..instruction.op_count() {
            let wide = matches!(
                instruction.op_kind(operand),
                OpKind::Immediate32 | OpKind::Immediate32to64
            );
            // Smaller ones are counts and flags.
            if wide && instruction.immediate32() >= 0x1_0000 && all.len() < MOST {
                all.insert(instruction.immediate32());
            }
        }
    }
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_at_even_and_odd_places() {
        let mut bytes = vec![7];
        for text in ["VlanID", "x", "*PriorityVLANTag"] {
            bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
            bytes.extend([0, 0]);
        }
        assert_eq!(names(&bytes), ["*PriorityVLANTag", "VlanID"]);
        bytes.insert(0, 7);
        assert_eq!(names(&bytes), ["*PriorityVLANTag", "VlanID"]);
    }
}
