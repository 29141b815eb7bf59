//! ndis-sys
