//! Misdeeds about requests (OID).

use crate::table::misdeeds;

misdeeds! {}
