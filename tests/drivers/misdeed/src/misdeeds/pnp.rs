//! Misdeeds about status, PnP events and power (STS, PNP, PWR).

use crate::table::misdeeds;

misdeeds! {}
