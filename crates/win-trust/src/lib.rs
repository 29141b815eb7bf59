//! Trust as Windows grants it to driver packages: signatures in images, catalogs, test
//! certificates, time stamps, and a verdict on a whole package from its files alone.
//!
//! Nothing here needs Windows, a network (but for time stamps) or a program beside it,
//! and the same key, time and files give the same bytes.

// What `der`'s derive for CHOICE writes.
#![allow(clippy::unnested_or_patterns)]

mod authenticode;
mod catalog;
mod certificate;
mod error;
mod identity;
mod inf;
mod moment;
mod oid;
mod package;
mod pe;
mod signed;
mod spc;
mod stamp;
mod verify;

pub use authenticode::{judge as judge_image, sign as sign_image};
pub use catalog::{Catalog, Header, Member, build as build_catalog, build_unsigned};
pub use certificate::{Anchor, Cert, hex};
pub use error::{Error, Result};
pub use identity::Identity;
pub use inf::Inf;
pub use moment::Moment;
pub use package::{
    MANIFEST, MANIFEST_SIGNATURE, Made, Maker, NewFile, Output, PUBLISHER, Signing, Tools,
    complete, sign_manifest, sign_package,
};
pub use pe::{Image, is_pe};
pub use signed::{Content, Fault, Signed, Signer};
pub use spc::{Extent, PeImageFlags};
pub use stamp::Stamper;
pub use verify::{Finding, Package, Report, Trust};
