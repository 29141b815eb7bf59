//! Misdeeds about bindings and miniports coming and going (BND, UNB, PBS, MPS, RST, LBF, IFS).

use crate::table::misdeeds;

misdeeds! {}
