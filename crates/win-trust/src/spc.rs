//! `SpcIndirectDataContent` and what it is made of: Microsoft's ASN.1 for "this digest
//! is that of a file of such a kind".

use der::asn1::{Any, BitString, BmpString, Ia5String, ObjectIdentifier, OctetString, SetOfVec};
use der::{Choice, Decode as _, Encode as _, Sequence, ValueOrd};
use sha2::Sha256;
use sha2::digest::Digest as _;
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::error::{Error, Result};
use crate::oid;
use crate::pe::Image;

/// Where the structure stands.
#[derive(Clone, Copy, Debug)]
pub enum PeImageFlags {
    /// In the image.
    Embedded,
    /// In a catalog.
    Catalog,
    /// In a catalog, and without hashes of the pages.
    CatalogWithoutPages,
}

/// How much of a file was found to be as it was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All there is.
    Whole,
    /// An image by its digest; nothing is said of its pages.
    WithoutPages,
}

impl Extent {
    /// What is missing where pages have to be hashed.
    pub(crate) const NO_PAGES: &str = "there are no SHA-256 hashes of its pages";
}

/// Class id of the serialized object that holds page hashes.
const PAGE_HASHES_CLASS: [u8; 16] = [
    0xA6, 0xB5, 0x86, 0xD5, 0xB4, 0xA1, 0x24, 0x66, 0xAE, 0x05, 0xA2, 0x17, 0xDA, 0x8E, 0x60, 0xD6,
];

/// What is signed in place of a file.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct SpcIndirectDataContent {
    /// The kind of file, with what belongs to the kind.
    pub data: SpcAttributeTypeAndOptionalValue,
    /// The file's digest.
    pub message_digest: DigestInfo,
}

/// The kind of a file.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct SpcAttributeTypeAndOptionalValue {
    /// For example `SPC_PE_IMAGE_DATA_OBJID`.
    pub kind: ObjectIdentifier,
    /// For example `SpcPeImageData`.
    #[asn1(optional = "true")]
    pub value: Option<Any>,
}

/// A digest and its algorithm.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct DigestInfo {
    /// The algorithm.
    pub algorithm: AlgorithmIdentifierOwned,
    /// The digest.
    pub digest: OctetString,
}

/// What goes with a PE image's digest.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct SpcPeImageData {
    /// Parts that are hashed beyond the usual; none are.
    pub flags: BitString,
    /// Once a link, today where the page hashes are.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    pub file: SpcLink,
}

/// A link, or an object in its place.
#[derive(Clone, Debug, PartialEq, Eq, Choice)]
pub enum SpcLink {
    /// An address.
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    Url(Ia5String),
    /// An object.
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true")]
    Moniker(SpcSerializedObject),
    /// A file's name, empty by convention.
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", constructed = "true")]
    File(SpcString),
}

/// Text.
#[derive(Clone, Debug, PartialEq, Eq, Choice)]
pub enum SpcString {
    /// In UTF-16.
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    Unicode(BmpString),
    /// In ASCII.
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT")]
    Ascii(Ia5String),
}

/// An object of a class.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct SpcSerializedObject {
    /// The class id.
    pub class_id: OctetString,
    /// For page hashes, a SET of attributes.
    pub serialized_data: OctetString,
}

/// The one attribute in the serialized object of page hashes.
#[derive(Clone, Debug, PartialEq, Eq, Sequence, ValueOrd)]
struct PageHashes {
    version: ObjectIdentifier,
    tables: SetOfVec<OctetString>,
}

/// What the signer says about what was signed.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct SpcSpOpusInfo {
    /// Its name, which Windows shows where it asks.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub program_name: Option<SpcString>,
    /// Where to read more.
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    pub more_info: Option<SpcLink>,
}

impl SpcIndirectDataContent {
    /// For a PE image, with the hashes of its pages unless `flags` say otherwise. `flags` are `SpcPeImageFlags`:
    /// signtool writes none, and MakeCat two that nothing reads.
    pub fn of_image(image: &Image<'_>, flags: PeImageFlags) -> Result<Self> {
        let bad = Error::malformed("SpcPeImageData");
        let hashes = PageHashes {
            version: oid::SPC_PAGE_HASHES_V2,
            tables: SetOfVec::try_from(vec![
                OctetString::new(image.page_hashes::<Sha256>()).map_err(&bad)?,
            ])
            .map_err(&bad)?,
        };
        let object = SpcSerializedObject {
            class_id: OctetString::new(PAGE_HASHES_CLASS).map_err(&bad)?,
            serialized_data: OctetString::new(
                SetOfVec::try_from(vec![hashes])
                    .and_then(|set| set.to_der())
                    .map_err(&bad)?,
            )
            .map_err(&bad)?,
        };
        let data = SpcPeImageData {
            flags: match flags {
                PeImageFlags::Embedded => BitString::from_bytes(&[]),
                PeImageFlags::Catalog | PeImageFlags::CatalogWithoutPages => {
                    BitString::new(5, [0xA0])
                }
            }
            .map_err(&bad)?,
            file: match flags {
                PeImageFlags::Embedded | PeImageFlags::Catalog => SpcLink::Moniker(object),
                PeImageFlags::CatalogWithoutPages => SpcLink::File(SpcString::unicode("")?),
            },
        };
        Ok(Self {
            data: SpcAttributeTypeAndOptionalValue {
                kind: oid::SPC_PE_IMAGE_DATA,
                value: Some(Any::encode_from(&data).map_err(&bad)?),
            },
            message_digest: DigestInfo::sha256(&image.digest::<Sha256>())?,
        })
    }

    /// For a file that is taken as it is.
    pub fn of_bytes(bytes: &[u8]) -> Result<Self> {
        let bad = Error::malformed("SpcLink");
        let link = SpcLink::File(SpcString::unicode("")?);
        Ok(Self {
            data: SpcAttributeTypeAndOptionalValue {
                kind: oid::SPC_CAB_DATA,
                value: Some(Any::encode_from(&link).map_err(bad)?),
            },
            message_digest: DigestInfo::sha256(&Sha256::digest(bytes))?,
        })
    }

    /// Compares with a PE image: why it is not this one, or lacks page hashes.
    pub fn judge_image(&self, image: &Image<'_>) -> Result<(), String> {
        match self.compare_image(image)? {
            Extent::Whole => Ok(()),
            Extent::WithoutPages => Err(Extent::NO_PAGES.to_owned()),
        }
    }

    /// Compares with a PE image: why it is not this one, and whether its pages are hashed.
    pub fn compare_image(&self, image: &Image<'_>) -> Result<Extent, String> {
        if self.data.kind != oid::SPC_PE_IMAGE_DATA {
            return Err("the signed digest is not that of a PE image".to_owned());
        }
        self.message_digest.judge(&image.digest::<Sha256>())?;
        let Some(table) = self.page_hashes() else {
            return Ok(Extent::WithoutPages);
        };
        let pages = image.page_hashes::<Sha256>();
        if table == pages {
            return Ok(Extent::Whole);
        }
        let at = table.iter().zip(&pages).position(|(a, b)| a != b);
        Err(format!(
            "page {} has another hash",
            at.map_or(0, |byte| byte / (4 + 32))
        ))
    }

    /// Compares with a file's bytes.
    pub fn judge_bytes(&self, bytes: &[u8]) -> Result<(), String> {
        if self.data.kind != oid::SPC_CAB_DATA {
            return Err("the signed digest is not that of a plain file".to_owned());
        }
        self.message_digest.judge(&Sha256::digest(bytes))
    }

    /// The table of page hashes.
    pub fn page_hashes(&self) -> Option<Vec<u8>> {
        let data: SpcPeImageData = self.data.value.as_ref()?.decode_as().ok()?;
        let SpcLink::Moniker(object) = data.file else {
            return None;
        };
        if object.class_id.as_bytes() != PAGE_HASHES_CLASS {
            return None;
        }
        let set = SetOfVec::<PageHashes>::from_der(object.serialized_data.as_bytes()).ok()?;
        let hashes = set
            .iter()
            .find(|hashes| hashes.version == oid::SPC_PAGE_HASHES_V2)?;
        Some(hashes.tables.get(0)?.as_bytes().to_vec())
    }
}

impl DigestInfo {
    fn sha256(digest: &[u8]) -> Result<Self> {
        Ok(Self {
            algorithm: sha256_with_null(),
            digest: OctetString::new(digest).map_err(Error::malformed("DigestInfo"))?,
        })
    }

    fn judge(&self, digest: &[u8]) -> Result<(), String> {
        if self.algorithm.oid != oid::SHA_256 {
            return Err(format!(
                "the digest is by {}, not SHA-256",
                self.algorithm.oid
            ));
        }
        if self.digest.as_bytes() != digest {
            return Err("it is not the file that was signed: its digest is another".to_owned());
        }
        Ok(())
    }
}

impl SpcString {
    /// In UTF-16.
    pub fn unicode(text: &str) -> Result<Self> {
        BmpString::from_utf8(text)
            .map(Self::Unicode)
            .map_err(Error::malformed("SpcString"))
    }
}

/// SHA-256 with the NULL parameter that Microsoft's tools write.
pub(crate) fn sha256_with_null() -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned {
        oid: oid::SHA_256,
        parameters: Some(Any::null()),
    }
}
