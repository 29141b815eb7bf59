//! lab-net
