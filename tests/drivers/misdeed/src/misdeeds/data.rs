//! Misdeeds about lists, sent and received (SND, RCV, NBL, CAN, OFF, RSS, RSC, QOS).

use crate::table::misdeeds;

misdeeds! {}
