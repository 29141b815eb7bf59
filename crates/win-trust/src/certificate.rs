//! Certificates: reading what matters of them, and walking a chain.

use der::asn1::ObjectIdentifier;
use der::{Decode as _, DecodePem as _, Encode as _};
use rsa::RsaPublicKey;
use rsa::pkcs1v15::{Signature, VerifyingKey};
use rsa::pkcs8::DecodePublicKey as _;
use rsa::signature::Verifier as _;
use sha2::digest::Digest as _;
use sha2::{Sha256, Sha384, Sha512};
use x509_cert::Certificate;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};
use x509_cert::name::Name;

use crate::error::{Error, Result};
use crate::moment::Moment;
use crate::oid;

/// Chains are as long as this at most.
const MAX_CHAIN: usize = 8;

/// A certificate and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cert {
    der: Vec<u8>,
    parsed: Certificate,
}

impl Cert {
    /// Reads DER.
    pub fn from_der(der: &[u8]) -> Result<Self> {
        let parsed = Certificate::from_der(der).map_err(Error::malformed("certificate"))?;
        Ok(Self {
            der: der.to_vec(),
            parsed,
        })
    }

    /// Reads DER, or PEM where it looks like that.
    pub fn from_file(bytes: &[u8]) -> Result<Self> {
        if bytes.starts_with(b"-----") {
            let parsed = Certificate::from_pem(bytes).map_err(Error::malformed("certificate"))?;
            return Self::new(parsed);
        }
        Self::from_der(bytes)
    }

    /// Takes a parsed one.
    pub fn new(parsed: Certificate) -> Result<Self> {
        let der = parsed.to_der().map_err(Error::malformed("certificate"))?;
        Ok(Self { der, parsed })
    }

    /// Its bytes.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// What stands in it.
    pub fn parsed(&self) -> &Certificate {
        &self.parsed
    }

    /// SHA-256 of its bytes, in hexadecimal.
    pub fn fingerprint(&self) -> String {
        hex(&Sha256::digest(&self.der))
    }

    /// The subject's name, as `CN=…,O=…`.
    pub fn subject(&self) -> String {
        self.parsed.tbs_certificate.subject.to_string()
    }

    /// The issuer's name.
    pub fn issuer(&self) -> &Name {
        &self.parsed.tbs_certificate.issuer
    }

    /// Whether subject and issuer are the same.
    pub fn is_root(&self) -> bool {
        self.parsed.tbs_certificate.subject == *self.issuer()
    }

    /// First moment of its validity.
    pub fn not_before(&self) -> Moment {
        self.parsed.tbs_certificate.validity.not_before.into()
    }

    /// Last moment of its validity.
    pub fn not_after(&self) -> Moment {
        self.parsed.tbs_certificate.validity.not_after.into()
    }

    /// The RSA key in it.
    pub fn key(&self) -> Result<RsaPublicKey> {
        let info = &self.parsed.tbs_certificate.subject_public_key_info;
        let bad = |why: &dyn std::fmt::Display| {
            Error::Certificate(format!(
                "the key of {} cannot be used: {why}",
                self.subject()
            ))
        };
        if info.algorithm.oid != oid::RSA_ENCRYPTION {
            return Err(bad(&"it is no RSA key"));
        }
        let der = info.to_der().map_err(|e| bad(&e))?;
        RsaPublicKey::from_public_key_der(&der).map_err(|e| bad(&e))
    }

    /// Why it does not serve `purpose`, an extended key usage, at `when`.
    pub fn judge(&self, purpose: ObjectIdentifier, when: Moment) -> Result<(), String> {
        let subject = self.subject();
        let (from, to) = (self.not_before(), self.not_after());
        if when > to {
            return Err(format!("the certificate of {subject} expired on {to}"));
        }
        if when < from {
            return Err(format!(
                "the certificate of {subject} is valid only from {from}"
            ));
        }
        let tbs = &self.parsed.tbs_certificate;
        let usage = tbs.get::<ExtendedKeyUsage>().map_err(|e| e.to_string())?;
        if !usage.is_some_and(|(_, usage)| usage.0.contains(&purpose)) {
            let wanted = if purpose == oid::EKU_CODE_SIGNING {
                "code signing"
            } else {
                "time stamping"
            };
            return Err(format!(
                "the certificate of {subject} is not for {wanted} (its extended key usage lacks {purpose})"
            ));
        }
        let usage = tbs.get::<KeyUsage>().map_err(|e| e.to_string())?;
        if usage.is_some_and(|(_, usage)| !usage.digital_signature()) {
            return Err(format!(
                "the certificate of {subject} is not for signatures (its key usage)"
            ));
        }
        Ok(())
    }

    /// Checks that `issuer` has signed this one and was allowed to.
    pub fn judge_issuer(&self, issuer: &Self, when: Moment) -> Result<(), String> {
        let name = issuer.subject();
        if issuer.parsed.tbs_certificate.subject != *self.issuer() {
            return Err(format!("{} was not issued by {name}", self.subject()));
        }
        let tbs = &issuer.parsed.tbs_certificate;
        let constraints = tbs.get::<BasicConstraints>().map_err(|e| e.to_string())?;
        if !constraints.is_some_and(|(_, constraints)| constraints.ca) {
            return Err(format!(
                "{name} may issue no certificates (its basic constraints)"
            ));
        }
        let usage = tbs.get::<KeyUsage>().map_err(|e| e.to_string())?;
        if usage.is_some_and(|(_, usage)| !usage.key_cert_sign()) {
            return Err(format!("{name} may issue no certificates (its key usage)"));
        }
        if when > issuer.not_after() || when < issuer.not_before() {
            return Err(format!("the certificate of {name} was not valid at {when}"));
        }
        self.judge_signature(issuer)
    }

    /// Whether the signature on this one is by `issuer`'s key.
    fn judge_signature(&self, issuer: &Self) -> Result<(), String> {
        let Certificate {
            tbs_certificate: tbs,
            signature_algorithm: algorithm,
            signature,
        } = &self.parsed;
        if *algorithm != tbs.signature {
            return Err(format!("{} names two signature algorithms", self.subject()));
        }
        let signed = tbs.to_der().map_err(|e| e.to_string())?;
        let hash = match algorithm.oid {
            oid::SHA_256_WITH_RSA => Hash::Sha256,
            oid::SHA_384_WITH_RSA => Hash::Sha384,
            oid::SHA_512_WITH_RSA => Hash::Sha512,
            other => {
                return Err(format!(
                    "{}: signatures by {other} are not known here",
                    self.subject()
                ));
            }
        };
        let key = issuer.key().map_err(|e| e.to_string())?;
        verify(key, hash, &signed, signature.raw_bytes()).map_err(|()| {
            format!(
                "the signature on the certificate of {} is wrong",
                self.subject()
            )
        })
    }
}

/// Hashes under RSA signatures.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// By the digest's identifier.
    pub(crate) fn of(oid: ObjectIdentifier) -> Option<Self> {
        match oid {
            oid::SHA_256 => Some(Self::Sha256),
            oid::SHA_384 => Some(Self::Sha384),
            oid::SHA_512 => Some(Self::Sha512),
            _ => None,
        }
    }

    pub(crate) fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha384 => Sha384::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }
}

/// Verifies an RSA PKCS #1 v1.5 signature.
pub(crate) fn verify(
    key: RsaPublicKey,
    hash: Hash,
    signed: &[u8],
    signature: &[u8],
) -> Result<(), ()> {
    let signature = Signature::try_from(signature).map_err(|_| ())?;
    match hash {
        Hash::Sha256 => VerifyingKey::<Sha256>::new(key).verify(signed, &signature),
        Hash::Sha384 => VerifyingKey::<Sha384>::new(key).verify(signed, &signature),
        Hash::Sha512 => VerifyingKey::<Sha512>::new(key).verify(signed, &signature),
    }
    .map_err(|_| ())
}

/// Where a chain ends.
#[derive(Debug, PartialEq, Eq)]
pub enum Anchor {
    /// At a root that is trusted.
    Trusted,
    /// At a certificate whose issuer is not at hand, or at a root that nobody named.
    Open(String),
}

/// Walks from `leaf` up through `others` to one of `roots`.
pub fn judge_chain(
    leaf: &Cert,
    others: &[Cert],
    roots: &[Cert],
    when: Moment,
) -> Result<Anchor, String> {
    let mut current = leaf;
    for _ in 0..MAX_CHAIN {
        if roots.contains(current) {
            return Ok(Anchor::Trusted);
        }
        if current.is_root() {
            current.judge_signature(current)?;
            return Ok(Anchor::Open(current.subject()));
        }
        let issuer = roots
            .iter()
            .chain(others)
            .find(|cert| cert.parsed.tbs_certificate.subject == *current.issuer());
        let Some(issuer) = issuer else {
            return Ok(Anchor::Open(current.issuer().to_string()));
        };
        current.judge_issuer(issuer, when)?;
        current = issuer;
    }
    Err(format!("the chain of {} has no end", leaf.subject()))
}

/// Orders certificates into the chain that begins at `leaf`, as far as they reach.
pub fn chain_of(leaf: Cert, others: &[Cert]) -> Vec<Cert> {
    let mut chain = vec![leaf];
    while let Some(last) = chain.last()
        && !last.is_root()
        && chain.len() < MAX_CHAIN
    {
        let issuer = others
            .iter()
            .find(|cert| cert.parsed.tbs_certificate.subject == *last.issuer());
        match issuer {
            Some(issuer) if !chain.contains(issuer) => chain.push(issuer.clone()),
            _ => break,
        }
    }
    chain
}

/// In hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
