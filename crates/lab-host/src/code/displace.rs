//! An instruction made fit to execute at another address.

use iced_x86::{Decoder, DecoderOptions, FlowControl};

/// The bytes of the instruction at `at` (its code begins `bytes`) as they must be at `to`, and
/// its length; `None` for what cannot be moved: jumps, calls, and what would reach too far.
pub fn displace(bytes: &[u8], at: u64, to: u64) -> Option<Vec<u8>> {
    let bytes = bytes.get(..bytes.len().min(15))?;
    let mut decoder = Decoder::with_ip(64, bytes, at, DecoderOptions::NONE);
    let instruction = decoder.decode();
    if instruction.is_invalid() || instruction.flow_control() != FlowControl::Next {
        return None;
    }
    let mut copy = bytes.get(..instruction.len())?.to_vec();
    if instruction.is_ip_rel_memory_operand() {
        let offsets = decoder.get_constant_offsets(&instruction);
        let place = offsets.displacement_offset();
        let field = copy.get_mut(place..place + 4)?;
        let end = to.wrapping_add(instruction.len() as u64);
        let distance = instruction.ip_rel_memory_address().wrapping_sub(end) as i64;
        field.copy_from_slice(&i32::try_from(distance).ok()?.to_le_bytes());
    }
    Some(copy)
}
