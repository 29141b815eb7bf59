//! Misdeeds about DriverEntry, registration and versions (DE, MPR, PTR, VER, ASC).

use crate::table::misdeeds;

misdeeds! {}
