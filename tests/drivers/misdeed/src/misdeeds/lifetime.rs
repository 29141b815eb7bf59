//! Misdeeds about virtual miniports, halts, hangs, and what may be left (VMI, HLT, BUG, DPE, UNI, UNL).

use crate::table::misdeeds;

misdeeds! {}
