//! Signatures inside PE images.

use der::asn1::Any;

use crate::error::{Error, Result};
use crate::oid;
use crate::pe::Image;
use crate::signed::{Content, Signed, Signer};
use crate::spc::{PeImageFlags, SpcIndirectDataContent};

/// Signs an image, with the hashes of its pages; one that has a signature loses it.
/// `name` is what Windows would show.
pub fn sign(bytes: &[u8], signer: &Signer<'_>, name: &str) -> Result<Vec<u8>> {
    let image = Image::parse(bytes)?;
    let content = SpcIndirectDataContent::of_image(&image, PeImageFlags::Embedded)?;
    let content = Any::encode_from(&content).map_err(Error::malformed("SpcIndirectData"))?;
    let signature = signer.sign(Content::Inside(oid::SPC_INDIRECT_DATA, content), name)?;
    image.with_signature(&signature)
}

/// Checks everything in an image but whom its signature is by: checksum, certificate
/// table, digest and page hashes.
pub fn judge(bytes: &[u8]) -> Result<Signed, String> {
    let image = Image::parse(bytes).map_err(|e| e.to_string())?;
    let (stored, right) = image.checksums();
    if stored != right {
        return Err(format!(
            "its checksum is {stored:#010x} and should be {right:#010x}"
        ));
    }
    let signature = image
        .signature()
        .map_err(|e| e.to_string())?
        .ok_or("it is not signed")?;
    let signed = Signed::read(signature, None).map_err(|e| e.to_string())?;
    if signed.kind != oid::SPC_INDIRECT_DATA {
        return Err("its signature is not Authenticode".to_owned());
    }
    let content: SpcIndirectDataContent = signed
        .content
        .as_ref()
        .ok_or("its signature is empty")?
        .decode_as()
        .map_err(|why| format!("its signature cannot be read: {why}"))?;
    content.judge_image(&image)?;
    Ok(signed)
}
