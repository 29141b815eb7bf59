//! Time stamps by RFC 3161: an authority signs that a signature existed at a time, so
//! that it holds after the certificate's end.

use std::io::Read as _;
use std::time::Duration;

use cms::content_info::ContentInfo;
use cms::signed_data::SignedData;
use der::asn1::{Any, Int, OctetString};
use der::{Decode as _, Encode as _};
use sha2::Sha256;
use sha2::digest::Digest as _;
use x509_tsp::{MessageImprint, TimeStampReq, TimeStampResp, TspVersion, TstInfo};

use crate::certificate::{Anchor, Cert, Hash, judge_chain};
use crate::error::{Error, Result};
use crate::moment::Moment;
use crate::oid;
use crate::signed::{certificates, judge_signer, signer_of};
use crate::spc::sha256_with_null;

/// Answers are of some KiB.
const MAX_ANSWER: u64 = 256 * 1024;
/// How long an authority may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks an authority.
#[derive(Clone, Debug)]
pub struct Stamper {
    url: String,
}

impl Stamper {
    /// The authority at `url`. Only `http:` is spoken: the answer is signed itself, and
    /// the authorities are asked that way.
    pub fn new(url: &str) -> Result<Self> {
        if !url.starts_with("http://") {
            return Err(Error::TimeStamp {
                url: url.to_owned(),
                why:
                    "the address has to begin with http:// (the stamp is signed, so no TLS is used)"
                        .to_owned(),
            });
        }
        Ok(Self {
            url: url.to_owned(),
        })
    }

    /// The authority's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A token about `signature`, checked.
    pub fn stamp(&self, signature: &[u8]) -> Result<Any> {
        let bad = |why: String| Error::TimeStamp {
            url: self.url.clone(),
            why,
        };
        let digest = Sha256::digest(signature);
        let request = (|| {
            TimeStampReq {
                version: TspVersion::V1,
                message_imprint: MessageImprint {
                    hash_algorithm: sha256_with_null(),
                    hashed_message: OctetString::new(digest.as_slice())?,
                },
                req_policy: None,
                // Not random: what is asked twice may be answered by the same token.
                nonce: Some(Int::new(&[&[1][..], &digest[..7]].concat())?),
                cert_req: true,
                extensions: None,
            }
            .to_der()
        })()
        .map_err(|why| bad(why.to_string()))?;
        let answer = self.ask(&request).map_err(|why| bad(why.to_string()))?;
        let answer = TimeStampResp::from_der(&answer)
            .map_err(|why| bad(format!("the answer is not one of RFC 3161 ({why})")))?;
        let Some(token) = answer.time_stamp_token else {
            return Err(bad(format!("it refused ({:?})", answer.status.status)));
        };
        let token = Any::encode_from(&token).map_err(|why| bad(why.to_string()))?;
        let stamp = Stamp::read(&token, signature).map_err(&bad)?;
        stamp.judge().map_err(&bad)?;
        Ok(token)
    }

    fn ask(&self, request: &[u8]) -> Result<Vec<u8>, ureq::Error> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .build()
            .into();
        let mut answer = agent
            .post(&self.url)
            .header("Content-Type", "application/timestamp-query")
            .header("Accept", "application/timestamp-reply")
            .send(request)?;
        let mut bytes = Vec::new();
        answer
            .body_mut()
            .as_reader()
            .take(MAX_ANSWER)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// A token that was read and holds.
#[derive(Debug)]
pub struct Stamp {
    /// The time.
    pub time: Moment,
    /// The authority's certificate, and what came with it.
    pub chain: Vec<Cert>,
}

impl Stamp {
    /// Reads a token and checks that it is about `signature`.
    pub fn read(token: &Any, signature: &[u8]) -> Result<Self, String> {
        let unreadable = |why: der::Error| format!("the time stamp cannot be read: {why}");
        let info: ContentInfo = token.decode_as().map_err(unreadable)?;
        let data: SignedData = info.content.decode_as().map_err(unreadable)?;
        let [signer] = data.signer_infos.0.as_slice() else {
            return Err("the time stamp has not one signer".to_owned());
        };
        let certificates = certificates(&data)?;
        let leaf = signer_of(signer, &certificates)
            .ok_or("the certificate of the time stamp's authority is missing")?;
        let content: OctetString = data
            .encap_content_info
            .econtent
            .ok_or("the time stamp is empty")?
            .decode_as()
            .map_err(unreadable)?;
        if data.encap_content_info.econtent_type != oid::TST_INFO {
            return Err("it is no time stamp".to_owned());
        }
        let hashes = [Hash::Sha256, Hash::Sha384, Hash::Sha512];
        judge_signer(signer, leaf, oid::TST_INFO, content.as_bytes(), &hashes)
            .map_err(|why| format!("the time stamp: {why}"))?;
        let info = TstInfo::from_der(content.as_bytes()).map_err(unreadable)?;
        let hash = Hash::of(info.message_imprint.hash_algorithm.oid)
            .ok_or("the time stamp is about an unknown digest")?;
        if info.message_imprint.hashed_message.as_bytes() != hash.digest(signature) {
            return Err("the time stamp is about another signature".to_owned());
        }
        let leaf = leaf.clone();
        let mut chain = vec![leaf.clone()];
        chain.extend(certificates.into_iter().filter(|cert| *cert != leaf));
        Ok(Self {
            time: info.gen_time.into(),
            chain,
        })
    }

    /// Whether the authority may stamp, and its chain holds as far as it is there. Which
    /// authorities are trusted is for Windows to say.
    pub fn judge(&self) -> Result<Anchor, String> {
        let [leaf, others @ ..] = self.chain.as_slice() else {
            return Err("the time stamp has no certificate".to_owned());
        };
        leaf.judge(oid::EKU_TIME_STAMPING, self.time)?;
        judge_chain(leaf, others, &[], self.time)
    }
}
