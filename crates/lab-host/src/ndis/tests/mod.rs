//! The NDIS part as a whole, with a small driver of host code between its two ends.

mod driver;
mod many;
mod rules;
