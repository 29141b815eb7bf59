//! Misdeeds about what a miniport says of itself, and its configuration (ATR, CFG, PRT).

use crate::table::misdeeds;

misdeeds! {}
