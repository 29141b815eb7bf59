//! Trust as Windows grants it to driver packages: signatures in images, catalogs, test
//! certificates, time stamps, and a verdict on a whole package from its files alone.
//!
//! Nothing here needs Windows, a network (but for time stamps) or a program beside it,
//! and the same key, time and files give the same bytes.

mod authenticode;
mod catalog;
mod certificate;
mod error;
mod identity;
mod moment;
mod oid;
mod pe;
mod signed;
mod spc;
mod stamp;

pub use authenticode::{judge as judge_image, sign as sign_image};
pub use catalog::{Catalog, Header, Member, build as build_catalog};
pub use certificate::{Anchor, Cert, hex};
pub use error::{Error, Result};
pub use identity::Identity;
pub use moment::Moment;
pub use pe::{Image, is_pe};
pub use signed::{Content, Signed, Signer};
pub use stamp::Stamper;
