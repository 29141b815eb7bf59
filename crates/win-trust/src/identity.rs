//! Who signs: a test certificate that is made here, or what a PFX file holds.

use std::path::Path;
use std::str::FromStr as _;

use p12_keystore::error::Error as PfxError;
use p12_keystore::{
    Certificate, KeyStore, KeyStoreEntry, Pkcs12Archive, PrivateKey, PrivateKeyChain,
};
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rsa::rand_core::CryptoRngCore;
use rsa::signature::{SignatureEncoding as _, Signer as _};
use rsa::{RsaPrivateKey, RsaPublicKey};
use sha2::Sha256;
use sha2::digest::Digest as _;
use x509_cert::builder::{Builder as _, CertificateBuilder, Profile};
use x509_cert::ext::pkix::ExtendedKeyUsage;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::SubjectPublicKeyInfoOwned;
use x509_cert::time::Validity;

use crate::certificate::{Cert, chain_of};
use crate::error::{Error, Result};
use crate::moment::Moment;
use crate::oid;

/// Bits of a test key.
const BITS: usize = 2048;
/// A test certificate serves for five years: longer than a course and a thesis.
const YEARS: u64 = 5;
const DAY: u64 = 24 * 60 * 60;

/// A key and its chain of certificates.
#[derive(Clone, Debug)]
pub struct Identity {
    key: SigningKey<Sha256>,
    /// The signer's first, the root last if it is there.
    chain: Vec<Cert>,
}

impl Identity {
    /// Makes a root and a signer below it. The root's key is not kept: nobody can issue
    /// a second certificate that machines with this root would trust.
    pub fn new_test(random: &mut impl CryptoRngCore, when: Moment) -> Result<Self> {
        let mut key = || {
            RsaPrivateKey::new(random, BITS)
                .map_err(|why| Error::Certificate(format!("no key could be made: {why}")))
        };
        let (root, signer) = (key()?, key()?);
        Self::test_with(&root, signer, when)
    }

    /// The same certificates for the same keys and time.
    pub fn test_with(root: &RsaPrivateKey, signer: RsaPrivateKey, when: Moment) -> Result<Self> {
        // From the day before, for machines in other time zones and slow clocks.
        let start = Moment((when.0 / DAY).saturating_sub(1) * DAY);
        let end = Moment(start.0 + (YEARS * 365 + YEARS / 4 + 2) * DAY);
        let root_key = SigningKey::<Sha256>::new(root.clone());
        let signer_public = signer.to_public_key();
        // The name has a part of the key's hash, so that roots of two machines differ.
        let tag = &fingerprint(&root.to_public_key())?[..8];
        let root_name = name(&format!(
            "CN=NDIS driver test root {tag},O=Test signing only"
        ))?;
        let signer_name = name(&format!(
            "CN=NDIS driver test signer {tag},O=Test signing only"
        ))?;
        let leaf = Profile::Leaf {
            issuer: root_name.clone(),
            enable_key_agreement: false,
            enable_key_encipherment: false,
        };
        let root_cert = issue(
            Profile::Root,
            (start, end),
            root_name,
            &root.to_public_key(),
            &root_key,
            false,
        )?;
        let signer_cert = issue(
            leaf,
            (start, end),
            signer_name,
            &signer_public,
            &root_key,
            true,
        )?;
        Ok(Self {
            key: SigningKey::new(signer),
            chain: vec![signer_cert, root_cert],
        })
    }

    /// The key and the certificates of a PFX file, fit to sign code at `now`.
    pub fn from_pfx(path: &Path, bytes: &[u8], password: &str, now: Moment) -> Result<Self> {
        let bad = |why: String| Error::Pfx {
            path: path.to_owned(),
            why,
        };
        let archive = Pkcs12Archive::from_pkcs12(bytes, password).map_err(|why| {
            bad(match why {
                PfxError::MacError(_) if password.is_empty() => {
                    "it has a password; set XTASK_PFX_PASSWORD, or type it when asked".to_owned()
                }
                PfxError::MacError(_) => {
                    "the password is wrong; it is taken from XTASK_PFX_PASSWORD, or asked for"
                        .to_owned()
                }
                other => format!("it is no PFX file that can be read ({other})"),
            })
        })?;
        let [bag] = archive.keys.as_slice() else {
            return Err(bad(format!(
                "it holds {} private keys; export one certificate with its private key",
                archive.keys.len()
            )));
        };
        let key = RsaPrivateKey::from_pkcs8_der(bag.key.as_der()).map_err(|why| {
            bad(format!(
                "its key cannot be used ({why}); drivers are signed with RSA keys"
            ))
        })?;
        let certs = archive
            .certs
            .iter()
            .map(|bag| Cert::from_der(bag.cert.as_der()))
            .collect::<Result<Vec<_>>>()
            .map_err(|why| bad(why.to_string()))?;
        let public = key.to_public_key();
        let leaf = certs
            .iter()
            .find(|cert| cert.key().is_ok_and(|key| key == public))
            .ok_or_else(|| bad("the certificate of its key is missing; export both".to_owned()))?;
        leaf.judge(oid::EKU_CODE_SIGNING, now).map_err(|why| {
            bad(format!(
                "{why}; get a code signing certificate that is valid, or use --sign test"
            ))
        })?;
        Ok(Self {
            chain: chain_of(leaf.clone(), &certs),
            key: SigningKey::new(key),
        })
    }

    /// A PFX file with the key and the whole chain, for programs that take nothing else.
    pub fn to_pfx(&self, password: &str) -> Result<Vec<u8>> {
        let bad = |why: &dyn std::fmt::Display| {
            Error::Certificate(format!("no PFX file can be made of it: {why}"))
        };
        let key: &RsaPrivateKey = self.key.as_ref();
        let key = key.to_pkcs8_der().map_err(|e| bad(&e))?;
        let key = PrivateKey::from_der(key.as_bytes()).map_err(|e| bad(&e))?;
        let certs = self
            .chain
            .iter()
            .map(|cert| Certificate::from_der(cert.der()));
        let certs = certs.collect::<Result<Vec<_>, _>>().map_err(|e| bad(&e))?;
        // Joins the key to its certificate inside the file, no more.
        let link: &[u8] = &[1];
        let mut store = KeyStore::new();
        store.add_entry(
            "signer",
            KeyStoreEntry::PrivateKeyChain(PrivateKeyChain::new(link, key, certs)),
        );
        store.writer(password).write().map_err(|e| bad(&e))
    }

    /// Reads back what [`Self::key_pem`] and the certificates' files hold.
    pub fn from_files(key: &str, signer: &[u8], root: &[u8]) -> Result<Self> {
        let key = RsaPrivateKey::from_pkcs8_pem(key)
            .map_err(|why| Error::Certificate(format!("the key cannot be read: {why}")))?;
        let chain = vec![Cert::from_file(signer)?, Cert::from_file(root)?];
        if chain[0].key()? != key.to_public_key() {
            return Err(Error::Certificate(
                "the key and the certificate do not belong together".to_owned(),
            ));
        }
        Ok(Self {
            key: SigningKey::new(key),
            chain,
        })
    }

    /// The private key in PEM, not encrypted: for a file that only its owner reads.
    pub fn key_pem(&self) -> Result<String> {
        let key: &RsaPrivateKey = self.key.as_ref();
        key.to_pkcs8_pem(LineEnding::LF)
            .map(|text| text.to_string())
            .map_err(|why| Error::Certificate(format!("the key cannot be written: {why}")))
    }

    /// The certificates, the signer's first.
    pub fn chain(&self) -> &[Cert] {
        &self.chain
    }

    /// The signer's own certificate.
    pub fn signer(&self) -> &Cert {
        &self.chain[0]
    }

    /// The root, if it is at hand.
    pub fn root(&self) -> Option<&Cert> {
        self.chain.last().filter(|cert| cert.is_root())
    }

    /// RSA PKCS #1 v1.5 over SHA-256: no random number in it, so the same bytes each time.
    pub(crate) fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, rsa::signature::Error> {
        Ok(self.key.try_sign(bytes)?.to_vec())
    }
}

fn issue(
    profile: Profile,
    (start, end): (Moment, Moment),
    subject: Name,
    key: &RsaPublicKey,
    issuer: &SigningKey<Sha256>,
    for_code: bool,
) -> Result<Cert> {
    let bad = |why: &dyn std::fmt::Display| {
        Error::Certificate(format!("no certificate could be made: {why}"))
    };
    // Positive, and different for different keys.
    let mut serial =
        Sha256::digest(key.to_public_key_der().map_err(|e| bad(&e))?.as_bytes())[..16].to_vec();
    serial[0] = serial[0] & 0x7F | 0x40;
    let mut builder = CertificateBuilder::new(
        profile,
        SerialNumber::new(&serial).map_err(|e| bad(&e))?,
        Validity {
            not_before: start.to_asn1()?,
            not_after: end.to_asn1()?,
        },
        subject,
        SubjectPublicKeyInfoOwned::from_key(key.clone()).map_err(|e| bad(&e))?,
        issuer,
    )
    .map_err(|e| bad(&e))?;
    if for_code {
        builder
            .add_extension(&ExtendedKeyUsage(vec![oid::EKU_CODE_SIGNING]))
            .map_err(|e| bad(&e))?;
    }
    let built = builder
        .build::<rsa::pkcs1v15::Signature>()
        .map_err(|e| bad(&e))?;
    Cert::new(built)
}

fn name(text: &str) -> Result<Name> {
    Name::from_str(text).map_err(Error::malformed("name"))
}

fn fingerprint(key: &RsaPublicKey) -> Result<String> {
    let der = key
        .to_public_key_der()
        .map_err(|why| Error::Certificate(why.to_string()))?;
    Ok(crate::certificate::hex(&Sha256::digest(der.as_bytes())))
}
