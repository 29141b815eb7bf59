//! ndis
