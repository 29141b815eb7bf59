//! Catalogs: a signed list of the hashes of a driver package's files.
//!
//! The form is the one that Inf2Cat and MakeCat write since Windows 8 (catalog
//! version 2): every file is listed by its SHA-256, with its name and the digest as an
//! Authenticode structure, and by its SHA-1, bare, for programs that look it up so.

use der::asn1::{Any, BmpString, Null, ObjectIdentifier, OctetString, SetOfVec};
use der::{Choice, Encode as _, Sequence};
use sha1::Sha1;
use sha2::Sha256;
use sha2::digest::Digest as _;
use x509_cert::attr::{Attribute, Attributes};
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_cert::time::Time;

use crate::error::{Error, Result};
use crate::moment::Moment;
use crate::oid;
use crate::pe::{Image, is_pe};
use crate::signed::{Content, Signed, Signer, unsigned};
use crate::spc::{Extent, PeImageFlags, SpcIndirectDataContent};

/// `CRYPTCAT_ATTR_AUTHENTICATED | CRYPTCAT_ATTR_NAMEASCII | CRYPTCAT_ATTR_DATAASCII`.
const ATTRIBUTE_FLAGS: i32 = 0x1001_0001;
/// What members say of the systems they are for: NT 10.0.
const OS_ATTRIBUTE: &str = "2:10.0";

/// A file of a catalog.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Its name, without folders, as catalogs have it.
    pub name: &'a str,
    /// Its content.
    pub bytes: &'a [u8],
}

/// What a catalog says as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The systems that the package is for, such as `_v100_X64`.
    pub os: Vec<String>,
    /// The hardware ids of its INF, in lower case.
    pub hardware_ids: Vec<String>,
}

/// The list, a `CertificateTrustList` of Microsoft's.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
struct Ctl {
    usage: Vec<ObjectIdentifier>,
    identifier: OctetString,
    this_update: Time,
    algorithm: AlgorithmIdentifierOwned,
    members: Vec<Entry>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    extensions: Option<Vec<Extension>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
struct Entry {
    tag: OctetString,
    attributes: Attributes,
}

#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
struct Extension {
    oid: ObjectIdentifier,
    value: OctetString,
}

#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
struct NameValue {
    name: BmpString,
    flags: i32,
    /// UTF-16, little endian, with a zero at the end.
    value: OctetString,
}

/// The kind of a member: which program of Windows hashes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Choice)]
enum MemberInfo2 {
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    Image(Null),
    #[asn1(context_specific = "2", tag_mode = "IMPLICIT")]
    Flat(Null),
}

/// Makes and signs a catalog. `name` is what Windows would show.
pub fn build(
    members: &[Member<'_>],
    header: &Header,
    signer: &Signer<'_>,
    name: &str,
) -> Result<Vec<u8>> {
    let list = list(members, header, signer.time, PeImageFlags::Catalog)?;
    signer.sign(Content::Inside(oid::CTL, list), name)
}

/// Makes a catalog that another program will sign.
pub fn build_unsigned(
    members: &[Member<'_>],
    header: &Header,
    time: Moment,
    flags: PeImageFlags,
) -> Result<Vec<u8>> {
    unsigned(oid::CTL, list(members, header, time, flags)?)
}

fn list(members: &[Member<'_>], header: &Header, time: Moment, flags: PeImageFlags) -> Result<Any> {
    let bad = Error::malformed("catalog");
    let mut entries = Vec::new();
    for member in members {
        entries.extend(entries_of(member, flags)?);
    }
    entries.sort_by(|a, b| a.tag.as_bytes().cmp(b.tag.as_bytes()));
    entries.dedup_by(|a, b| a.tag == b.tag);
    let mut extensions = vec![extension("OS", &header.os.join(","))?];
    for (index, id) in header.hardware_ids.iter().enumerate() {
        extensions.push(extension(&format!("HWID{}", index + 1), id)?);
    }
    // Inf2Cat draws a random one. Ours is the members' hash: other content, other name.
    let identifier = &Sha256::digest(entries.to_der().map_err(&bad)?)[..16];
    let list = Ctl {
        usage: vec![oid::CATALOG_LIST],
        identifier: OctetString::new(identifier).map_err(&bad)?,
        this_update: time.to_asn1()?,
        algorithm: AlgorithmIdentifierOwned {
            oid: oid::CATALOG_LIST_MEMBER2,
            parameters: Some(Any::null()),
        },
        members: entries,
        extensions: Some(extensions),
    };
    Any::encode_from(&list).map_err(&bad)
}

fn entries_of(member: &Member<'_>, flags: PeImageFlags) -> Result<[Entry; 2]> {
    let (info, sha1, data) = if is_pe(member.bytes) {
        let image = Image::parse(member.bytes)?;
        (
            MemberInfo2::Image(Null),
            image.digest::<Sha1>().to_vec(),
            SpcIndirectDataContent::of_image(&image, flags)?,
        )
    } else {
        (
            MemberInfo2::Flat(Null),
            Sha1::digest(member.bytes).to_vec(),
            SpcIndirectDataContent::of_bytes(member.bytes)?,
        )
    };
    let info = || attribute(oid::CAT_MEMBERINFO2, &info);
    let full = vec![
        info()?,
        attribute(oid::CAT_NAMEVALUE, &NameValue::new("File", member.name)?)?,
        attribute(oid::CAT_NAMEVALUE, &NameValue::new("OSAttr", OS_ATTRIBUTE)?)?,
        attribute(oid::SPC_INDIRECT_DATA, &data)?,
    ];
    let sha256 = data.message_digest.digest.as_bytes().to_vec();
    Ok([entry(&sha1, vec![info()?])?, entry(&sha256, full)?])
}

fn entry(tag: &[u8], attributes: Vec<Attribute>) -> Result<Entry> {
    let bad = Error::malformed("catalog member");
    Ok(Entry {
        tag: OctetString::new(tag).map_err(&bad)?,
        attributes: SetOfVec::try_from(attributes).map_err(&bad)?,
    })
}

fn attribute(oid: ObjectIdentifier, value: &(impl der::Encode + der::Tagged)) -> Result<Attribute> {
    let bad = Error::malformed("catalog attribute");
    let der = value.to_der().map_err(&bad)?;
    let any = <Any as der::Decode>::from_der(&der).map_err(&bad)?;
    Ok(Attribute {
        oid,
        values: SetOfVec::try_from(vec![any]).map_err(&bad)?,
    })
}

fn extension(name: &str, value: &str) -> Result<Extension> {
    let bad = Error::malformed("catalog attribute");
    let value = NameValue::new(name, value)?.to_der().map_err(&bad)?;
    Ok(Extension {
        oid: oid::CAT_NAMEVALUE,
        value: OctetString::new(value).map_err(&bad)?,
    })
}

impl NameValue {
    fn new(name: &str, value: &str) -> Result<Self> {
        let bad = Error::malformed("catalog attribute");
        let value: Vec<u8> = value
            .encode_utf16()
            .chain([0])
            .flat_map(u16::to_le_bytes)
            .collect();
        Ok(Self {
            name: BmpString::from_utf8(name).map_err(&bad)?,
            flags: ATTRIBUTE_FLAGS,
            value: OctetString::new(value).map_err(&bad)?,
        })
    }

    fn text(&self) -> String {
        let units: Vec<u16> = self
            .value
            .as_bytes()
            .chunks_exact(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        String::from_utf16_lossy(&units)
            .trim_end_matches('\0')
            .to_owned()
    }
}

/// A catalog that was read, and whose signature holds.
#[derive(Debug)]
pub struct Catalog {
    /// Its signature.
    pub signed: Signed,
    /// What it says as a whole.
    pub header: Header,
    /// When it was made, by its own word.
    pub time: Moment,
    members: Vec<Listed>,
}

/// A file as a catalog lists it by its SHA-256.
#[derive(Debug)]
struct Listed {
    tag: Vec<u8>,
    name: Option<String>,
    data: SpcIndirectDataContent,
}

impl Catalog {
    /// Reads and checks one, except for whom it is by.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let signed = Signed::read(bytes, None).map_err(|e| e.to_string())?;
        if signed.kind != oid::CTL {
            return Err("it is no catalog".to_owned());
        }
        let unreadable = |why: der::Error| format!("the list cannot be read: {why}");
        let list: Ctl = signed
            .content
            .as_ref()
            .ok_or("the list is missing")?
            .decode_as()
            .map_err(unreadable)?;
        if list.usage != [oid::CATALOG_LIST] {
            return Err("the list is not one of files".to_owned());
        }
        let mut header = Header::default();
        for extension in list.extensions.iter().flatten() {
            let Ok(pair) = <NameValue as der::Decode>::from_der(extension.value.as_bytes()) else {
                continue;
            };
            let name = pair.name.to_string();
            if name == "OS" {
                header.os = pair.text().split(',').map(str::to_owned).collect();
            } else if name.starts_with("HWID") {
                header.hardware_ids.push(pair.text());
            }
        }
        let members = list.members.iter().filter_map(Listed::of).collect();
        Ok(Self {
            signed,
            header,
            time: list.this_update.into(),
            members,
        })
    }

    /// Names of the files that it lists.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members
            .iter()
            .filter_map(|member| member.name.as_deref())
    }

    /// Whether the file is in the catalog, under its name and as it is, and how much of it.
    pub fn judge(&self, file: &Member<'_>) -> Result<Extent, String> {
        let image = if is_pe(file.bytes) {
            Some(Image::parse(file.bytes).map_err(|e| e.to_string())?)
        } else {
            None
        };
        let tag = image.as_ref().map_or_else(
            || Sha256::digest(file.bytes).to_vec(),
            |image| image.digest::<Sha256>().to_vec(),
        );
        let Some(member) = self.members.iter().find(|member| member.tag == tag) else {
            let known = self
                .names()
                .any(|name| name.eq_ignore_ascii_case(file.name));
            return Err(if known {
                "the catalog lists a file of this name with another content".to_owned()
            } else {
                "the catalog does not list it".to_owned()
            });
        };
        let named = member.name.as_deref();
        // The same bytes may stand under two names; the first is listed.
        if named.is_none() {
            return Err("the catalog lists it without a name".to_owned());
        }
        match image {
            Some(image) => member.data.compare_image(&image),
            None => member.data.judge_bytes(file.bytes).map(|()| Extent::Whole),
        }
    }
}

impl Listed {
    fn of(entry: &Entry) -> Option<Self> {
        let values = |oid| {
            entry
                .attributes
                .iter()
                .filter(move |attribute| attribute.oid == oid)
                .filter_map(|attribute| attribute.values.get(0))
        };
        let data = values(oid::SPC_INDIRECT_DATA).next()?.decode_as().ok()?;
        let name = values(oid::CAT_NAMEVALUE)
            .filter_map(|any| any.decode_as::<NameValue>().ok())
            .find(|pair| pair.name.to_string() == "File")
            .map(|pair| pair.text());
        Some(Self {
            tag: entry.tag.as_bytes().to_vec(),
            name,
            data,
        })
    }
}
