//! Misdeeds about IRQL and locks (IRQ, LCK, TMR).

use crate::table::misdeeds;

misdeeds! {}
