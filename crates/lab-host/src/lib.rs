//! lab-host
