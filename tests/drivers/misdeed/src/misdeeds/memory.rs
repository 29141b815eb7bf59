//! Misdeeds about memory and what else has to be freed (MEM, SO).

use crate::table::misdeeds;

misdeeds! {}
