//! PKCS #7 signed data as Windows has it, made and judged: one signer, SHA-256, RSA.
//!
//! It is the older form, not that of CMS: the content is no OCTET STRING but the
//! structure itself, and the digest covers its content octets without tag and length.

use cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{
    EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo, SignerInfos,
};
use der::asn1::{Any, ObjectIdentifier, OctetString, SetOfVec};
use der::{Decode as _, Encode as _};
use sha2::Sha256;
use sha2::digest::Digest as _;
use x509_cert::attr::{Attribute, Attributes};
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_cert::time::Time;

use crate::certificate::{Anchor, Cert, Hash, judge_chain, verify};
use crate::error::{Error, Result};
use crate::identity::Identity;
use crate::moment::Moment;
use crate::oid;
use crate::spc::{SpcSpOpusInfo, SpcString, sha256_with_null};
use crate::stamp::{self, Stamper};

/// What is signed.
#[derive(Debug)]
pub enum Content<'a> {
    /// A structure that stands in the signature.
    Inside(ObjectIdentifier, Any),
    /// Bytes that lie elsewhere.
    Detached(&'a [u8]),
}

/// By whom and when, the same for all signatures of a package.
#[derive(Debug)]
pub struct Signer<'a> {
    /// The key and its certificates.
    pub identity: &'a Identity,
    /// The time in the signature.
    pub time: Moment,
    /// Who stamps the time; nobody by default.
    pub stamper: Option<&'a Stamper>,
}

impl Signer<'_> {
    /// Signs and returns a `ContentInfo` in DER. `name` is what Windows would show.
    pub fn sign(&self, content: Content<'_>, name: &str) -> Result<Vec<u8>> {
        let bad = Error::malformed("SignedData");
        let stamped = matches!(content, Content::Inside(..));
        let (kind, octets, inside) = match content {
            Content::Inside(kind, any) => (kind, any.value().to_vec(), Some(any)),
            Content::Detached(bytes) => (oid::DATA, bytes.to_vec(), None),
        };
        let mut attributes = vec![
            attribute(oid::CONTENT_TYPE, Any::from(kind))?,
            attribute(
                oid::MESSAGE_DIGEST,
                OctetString::new(Sha256::digest(octets).as_slice())
                    .and_then(|digest| Any::encode_from(&digest))
                    .map_err(&bad)?,
            )?,
            attribute(
                oid::SIGNING_TIME,
                Any::encode_from(&self.time.to_asn1()?).map_err(&bad)?,
            )?,
        ];
        if inside.is_some() {
            let opus = SpcSpOpusInfo {
                program_name: Some(SpcString::unicode(name)?),
                more_info: None,
            };
            let individual = vec![oid::SPC_INDIVIDUAL];
            attributes.push(attribute(
                oid::SPC_SP_OPUS_INFO,
                Any::encode_from(&opus).map_err(&bad)?,
            )?);
            attributes.push(attribute(
                oid::SPC_STATEMENT_TYPE,
                Any::encode_from(&individual).map_err(&bad)?,
            )?);
        }
        let attributes = SetOfVec::try_from(attributes).map_err(&bad)?;
        let signature = self
            .identity
            .sign(&attributes.to_der().map_err(&bad)?)
            .map_err(|why| Error::Certificate(format!("the key does not sign: {why}")))?;
        let unsigned = match self.stamper {
            Some(stamper) if stamped => {
                let token = stamper.stamp(&signature)?;
                let token = attribute(oid::RFC3161_COUNTER_SIGN, token)?;
                Some(SetOfVec::try_from(vec![token]).map_err(&bad)?)
            }
            _ => None,
        };
        let info = assemble(Parts {
            kind,
            inside,
            chain: self.identity.chain(),
            attributes,
            signature,
            unsigned,
        })
        .map_err(&bad)?;
        Ok(info)
    }
}

struct Parts<'a> {
    kind: ObjectIdentifier,
    inside: Option<Any>,
    chain: &'a [Cert],
    attributes: Attributes,
    signature: Vec<u8>,
    unsigned: Option<Attributes>,
}

/// Puts the parts together in the one form that this crate writes.
fn assemble(parts: Parts<'_>) -> der::Result<Vec<u8>> {
    let leaf = parts
        .chain
        .first()
        .ok_or(der::ErrorKind::Failed)?
        .parsed()
        .tbs_certificate
        .clone();
    let signer = SignerInfo {
        version: CmsVersion::V1,
        sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
            issuer: leaf.issuer,
            serial_number: leaf.serial_number,
        }),
        digest_alg: sha256_with_null(),
        signed_attrs: Some(parts.attributes),
        signature_algorithm: AlgorithmIdentifierOwned {
            oid: oid::RSA_ENCRYPTION,
            parameters: Some(Any::null()),
        },
        signature: OctetString::new(parts.signature)?,
        unsigned_attrs: parts.unsigned,
    };
    let certificates: Vec<_> = parts
        .chain
        .iter()
        .map(|cert| CertificateChoices::Certificate(cert.parsed().clone()))
        .collect();
    wrap(&SignedData {
        version: CmsVersion::V1,
        digest_algorithms: SetOfVec::try_from(vec![sha256_with_null()])?,
        encap_content_info: EncapsulatedContentInfo {
            econtent_type: parts.kind,
            econtent: parts.inside,
        },
        certificates: Some(certificates.try_into()?),
        crls: None,
        signer_infos: SignerInfos::try_from(vec![signer])?,
    })
}

/// Signed data that nobody has signed yet.
pub(crate) fn unsigned(kind: ObjectIdentifier, content: Any) -> Result<Vec<u8>> {
    let make = || {
        wrap(&SignedData {
            version: CmsVersion::V1,
            digest_algorithms: SetOfVec::new(),
            encap_content_info: EncapsulatedContentInfo {
                econtent_type: kind,
                econtent: Some(content),
            },
            certificates: None,
            crls: None,
            signer_infos: SignerInfos::try_from(Vec::new())?,
        })
    };
    make().map_err(Error::malformed("SignedData"))
}

fn wrap(data: &SignedData) -> der::Result<Vec<u8>> {
    let info = ContentInfo {
        content_type: oid::SIGNED_DATA,
        content: Any::encode_from(data)?,
    };
    info.to_der()
}

fn attribute(oid: ObjectIdentifier, value: Any) -> Result<Attribute> {
    let values = SetOfVec::try_from(vec![value]).map_err(Error::malformed("attribute"))?;
    Ok(Attribute { oid, values })
}

/// What is wrong with a signature.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The signature itself.
    #[error("{0}")]
    Signature(String),
    /// It holds, but what was signed is not this content.
    #[error("it is not what was signed: it has changed since")]
    Content,
}

/// A signature that was read and holds, except for whom it is by.
#[derive(Debug)]
pub struct Signed {
    /// The content's type.
    pub kind: ObjectIdentifier,
    /// The content, unless it lies elsewhere.
    pub content: Option<Any>,
    /// The certificates, the signer's first.
    pub chain: Vec<Cert>,
    /// The time in it.
    pub time: Option<Moment>,
    /// What an authority said about the time.
    pub stamp: Option<stamp::Stamp>,
    attributes: Attributes,
    signature: Vec<u8>,
    unsigned: Option<Attributes>,
}

impl Signed {
    /// Reads a `ContentInfo` and checks the signature; `detached` is what it is about
    /// if that is not inside.
    pub fn read(bytes: &[u8], detached: Option<&[u8]>) -> Result<Self, Fault> {
        let unreadable =
            |why: der::Error| Fault::Signature(format!("the signature cannot be read: {why}"));
        let broken = |why: &str| Fault::Signature(why.to_owned());
        let info = ContentInfo::from_der(bytes).map_err(unreadable)?;
        if info.content_type != oid::SIGNED_DATA {
            return Err(broken("it is no signature"));
        }
        let data: SignedData = info.content.decode_as().map_err(unreadable)?;
        let [signer] = data.signer_infos.0.as_slice() else {
            return Err(broken("it has not one signer"));
        };
        let certificates = certificates(&data).map_err(Fault::Signature)?;
        let leaf = signer_of(signer, &certificates)
            .ok_or_else(|| broken("the signer's certificate is missing"))?;
        let content = data.encap_content_info.econtent;
        let octets = match (&content, detached) {
            (Some(any), None) => any.value(),
            (None, Some(bytes)) => bytes,
            (None, None) => return Err(broken("there is nothing that was signed")),
            (Some(_), Some(_)) => return Err(broken("it signs something else")),
        };
        let attributes = judge_signer(
            signer,
            leaf,
            data.encap_content_info.econtent_type,
            octets,
            &[Hash::Sha256],
        )?;
        let time = find(&attributes, oid::SIGNING_TIME)
            .and_then(|any| Time::from_der(&any.to_der().ok()?).ok())
            .map(Moment::from);
        let signature = signer.signature.as_bytes().to_vec();
        let unsigned = signer.unsigned_attrs.clone();
        let stamp = match unsigned
            .as_ref()
            .and_then(|set| find(set, oid::RFC3161_COUNTER_SIGN))
        {
            Some(token) => Some(stamp::Stamp::read(token, &signature).map_err(Fault::Signature)?),
            None => None,
        };
        let leaf = leaf.clone();
        let mut chain = vec![leaf];
        for cert in certificates {
            if !chain.contains(&cert) {
                chain.push(cert);
            }
        }
        Ok(Self {
            kind: data.encap_content_info.econtent_type,
            content,
            chain,
            time,
            stamp,
            attributes,
            signature,
            unsigned,
        })
    }

    /// Who signed: checks the chain up to `roots`, at the time that the authority
    /// stamped, or else at the time in the signature. A signature without either, which
    /// signtool makes, is judged by `now`.
    pub fn judge(&self, roots: &[Cert], now: Moment) -> Result<Anchor, String> {
        let [leaf, others @ ..] = self.chain.as_slice() else {
            return Err("there is no certificate".to_owned());
        };
        let when = match (&self.stamp, self.time) {
            (Some(stamp), _) => stamp.time,
            (None, Some(time)) => time,
            (None, None) => now,
        };
        if let Some(stamp) = &self.stamp {
            stamp.judge()?;
        }
        leaf.judge(oid::EKU_CODE_SIGNING, when)?;
        judge_chain(leaf, others, roots, when)
    }

    /// Whether `bytes` are what this crate writes for the same parts: nothing that the
    /// signature does not cover may have changed.
    pub fn is_canonical(&self, bytes: &[u8]) -> bool {
        let parts = Parts {
            kind: self.kind,
            inside: self.content.clone(),
            chain: &self.chain,
            attributes: self.attributes.clone(),
            signature: self.signature.clone(),
            unsigned: self.unsigned.clone(),
        };
        assemble(parts).is_ok_and(|same| same == bytes)
    }
}

/// The X.509 certificates in signed data.
pub(crate) fn certificates(data: &SignedData) -> Result<Vec<Cert>, String> {
    let mut found = Vec::new();
    for choice in data.certificates.iter().flat_map(|set| set.0.iter()) {
        if let CertificateChoices::Certificate(cert) = choice {
            found.push(Cert::new(cert.clone()).map_err(|e| e.to_string())?);
        }
    }
    Ok(found)
}

/// The certificate that a signer names.
pub(crate) fn signer_of<'c>(signer: &SignerInfo, certificates: &'c [Cert]) -> Option<&'c Cert> {
    let SignerIdentifier::IssuerAndSerialNumber(name) = &signer.sid else {
        return None;
    };
    certificates.iter().find(|cert| {
        let tbs = &cert.parsed().tbs_certificate;
        tbs.issuer == name.issuer && tbs.serial_number == name.serial_number
    })
}

/// Checks the signed attributes and the signature over them.
pub(crate) fn judge_signer(
    signer: &SignerInfo,
    leaf: &Cert,
    kind: ObjectIdentifier,
    octets: &[u8],
    hashes: &[Hash],
) -> Result<Attributes, Fault> {
    let hash = Hash::of(signer.digest_alg.oid)
        .filter(|hash| {
            hashes
                .iter()
                .any(|h| std::mem::discriminant(h) == std::mem::discriminant(hash))
        })
        .ok_or_else(|| {
            Fault::Signature(format!(
                "digests by {} are not taken here",
                signer.digest_alg.oid
            ))
        })?;
    let rsa = [
        oid::RSA_ENCRYPTION,
        oid::SHA_256_WITH_RSA,
        oid::SHA_384_WITH_RSA,
        oid::SHA_512_WITH_RSA,
    ];
    if !rsa.contains(&signer.signature_algorithm.oid) {
        return Err(Fault::Signature(format!(
            "signatures by {} are not known here",
            signer.signature_algorithm.oid
        )));
    }
    let attributes = signer
        .signed_attrs
        .clone()
        .ok_or_else(|| Fault::Signature("it has no signed attributes".to_owned()))?;
    // The attributes first: where they hold, a wrong digest means another content.
    let signed = attributes
        .to_der()
        .map_err(|e| Fault::Signature(e.to_string()))?;
    let key = leaf.key().map_err(|e| Fault::Signature(e.to_string()))?;
    verify(key, hash, &signed, signer.signature.as_bytes())
        .map_err(|()| Fault::Signature(format!("the signature is not by {}", leaf.subject())))?;
    if find(&attributes, oid::CONTENT_TYPE).and_then(|any| any.decode_as().ok()) != Some(kind) {
        return Err(Fault::Signature(
            "the signed attributes name another type of content".to_owned(),
        ));
    }
    let digest: Option<OctetString> =
        find(&attributes, oid::MESSAGE_DIGEST).and_then(|any| any.decode_as().ok());
    if digest.is_none_or(|digest| digest.as_bytes() != hash.digest(octets)) {
        return Err(Fault::Content);
    }
    Ok(attributes)
}

fn find(attributes: &Attributes, oid: ObjectIdentifier) -> Option<&Any> {
    attributes
        .iter()
        .find(|attribute| attribute.oid == oid)
        .and_then(|attribute| attribute.values.get(0))
}

#[cfg(test)]
mod tests {
    use rsa::rand_core::{CryptoRng, Error as NoChance, RngCore, impls};

    use super::*;

    /// The same keys each time.
    struct Seeded(fastrand::Rng);

    impl RngCore for Seeded {
        fn next_u32(&mut self) -> u32 {
            self.0.u32(..)
        }
        fn next_u64(&mut self) -> u64 {
            self.0.u64(..)
        }
        fn fill_bytes(&mut self, bytes: &mut [u8]) {
            impls::fill_bytes_via_next(self, bytes);
        }
        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), NoChance> {
            self.fill_bytes(bytes);
            Ok(())
        }
    }

    impl CryptoRng for Seeded {}

    #[test]
    fn a_signature_without_a_time_is_judged_by_now() {
        const DAY: u64 = 24 * 60 * 60;
        let made = Moment(20_000 * DAY);
        let identity = Identity::new_test(&mut Seeded(fastrand::Rng::with_seed(7)), made).unwrap();
        let content = Any::null();
        let digest = OctetString::new(Sha256::digest(content.value()).as_slice()).unwrap();
        let attributes = vec![
            attribute(oid::CONTENT_TYPE, Any::from(oid::CTL)).unwrap(),
            attribute(oid::MESSAGE_DIGEST, Any::encode_from(&digest).unwrap()).unwrap(),
        ];
        let attributes = SetOfVec::try_from(attributes).unwrap();
        let signature = identity.sign(&attributes.to_der().unwrap()).unwrap();
        let bytes = assemble(Parts {
            kind: oid::CTL,
            inside: Some(content),
            chain: identity.chain(),
            attributes,
            signature,
            unsigned: None,
        });
        let signed = Signed::read(&bytes.unwrap(), None).unwrap();
        assert_eq!(signed.time, None);
        let roots = [identity.root().unwrap().clone()];
        let judge = |now| signed.judge(&roots, now);
        assert_eq!(judge(made), Ok(Anchor::Trusted));
        let late = judge(Moment(made.0 + 6 * 365 * DAY)).unwrap_err();
        assert!(late.contains("expired"), "{late}");
    }
}
