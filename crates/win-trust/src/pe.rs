//! PE images as Authenticode sees them: the file without its checksum and its
//! certificate table, and its pages.

use object::LittleEndian as LE;
use object::pe::{IMAGE_DIRECTORY_ENTRY_SECURITY, ImageDosHeader, ImageNtHeaders64};
use object::read::pe::{ImageNtHeaders as _, ImageOptionalHeader as _};
use sha2::digest::{Digest, Output};

use crate::error::{Error, Result};

/// Certificates begin at multiples of this, and their lengths are padded to it.
const ALIGN: usize = 8;
/// `WIN_CERT_REVISION_2_0`.
const REVISION: u16 = 0x0200;
/// `WIN_CERT_TYPE_PKCS_SIGNED_DATA`.
const PKCS_SIGNED_DATA: u16 = 2;

/// Whether `bytes` begin like an image.
pub fn is_pe(bytes: &[u8]) -> bool {
    bytes.starts_with(b"MZ")
}

/// An image and where its parts are.
#[derive(Debug)]
pub struct Image<'a> {
    bytes: &'a [u8],
    /// Offset of `CheckSum` in the optional header.
    checksum: usize,
    /// Offset of the security directory's entry.
    directory: usize,
    /// Size of the headers.
    headers: usize,
    /// Size of a page.
    page: usize,
    /// Offsets and sizes of the sections' raw data.
    sections: Vec<(usize, usize)>,
    /// Where the certificate table begins, or the file ends.
    end: usize,
}

impl<'a> Image<'a> {
    /// Reads the headers of a 64-bit image.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let bad = |why: &dyn std::fmt::Display| Error::Pe(why.to_string());
        let dos = ImageDosHeader::parse(bytes).map_err(|e| bad(&e))?;
        let mut offset = dos.nt_headers_offset().into();
        let start = usize::try_from(offset).map_err(|e| bad(&e))?;
        let (nt, directories) = ImageNtHeaders64::parse(bytes, &mut offset).map_err(|e| bad(&e))?;
        let sections = nt.sections(bytes, offset).map_err(|e| bad(&e))?;
        let optional = nt.optional_header();
        // Signature (4), file header (20), then `CheckSum` at 64 and the directories at 112.
        let checksum = start + 24 + 64;
        let directory = start + 24 + 112 + 8 * IMAGE_DIRECTORY_ENTRY_SECURITY;
        let entry = directories
            .iter()
            .nth(IMAGE_DIRECTORY_ENTRY_SECURITY)
            .ok_or_else(|| bad(&"it has no security directory"))?;
        let at = entry.virtual_address.get(LE) as usize;
        let size = entry.size.get(LE) as usize;
        let end = if size == 0 { bytes.len() } else { at };
        if size != 0 && at.checked_add(size) != Some(bytes.len()) {
            return Err(bad(&"the certificate table is not the end of the file"));
        }
        let headers = optional.size_of_headers() as usize;
        let page = optional.section_alignment() as usize;
        if headers > end || headers < directory + 8 || headers > page {
            return Err(bad(&"the size of its headers is out of range"));
        }
        let mut raw = Vec::new();
        for section in sections.iter() {
            let at = section.pointer_to_raw_data.get(LE) as usize;
            let size = section.size_of_raw_data.get(LE) as usize;
            if size == 0 {
                continue;
            }
            if at.checked_add(size).is_none_or(|last| last > end) {
                return Err(bad(&"a section lies beyond the end of the file"));
            }
            raw.push((at, size));
        }
        Ok(Self {
            bytes,
            checksum,
            directory,
            headers,
            page,
            sections: raw,
            end,
        })
    }

    /// The digest that signatures and catalogs hold: of the whole file but for the
    /// checksum, the security directory's entry and the certificate table.
    pub fn digest<D: Digest>(&self) -> Output<D> {
        let mut digest = D::new();
        digest.update(&self.bytes[..self.checksum]);
        digest.update(&self.bytes[self.checksum + 4..self.directory]);
        digest.update(&self.bytes[self.directory + 8..self.end]);
        digest.update(&[0; ALIGN][..padding(self.end)]);
        digest.finalize()
    }

    /// Offset and digest of every page: the headers, each page of each section, and
    /// an entry of zeroes at the end. Code integrity compares them as pages come in.
    pub fn page_hashes<D: Digest>(&self) -> Vec<u8> {
        let zeroes = vec![0; self.page];
        let mut table = Vec::new();
        let mut add = |offset: usize, parts: &[&[u8]], whole: usize| {
            let mut digest = D::new();
            let mut length = whole;
            for part in parts {
                digest.update(part);
                length += part.len();
            }
            digest.update(&zeroes[..self.page - length]);
            // Offsets in an image are 32 bits wide.
            table.extend_from_slice(&(offset as u32).to_le_bytes());
            table.extend_from_slice(&digest.finalize());
        };
        // The page of the headers is hashed without the two holes, and filled up as
        // though they were there.
        let headers = [
            &self.bytes[..self.checksum],
            &self.bytes[self.checksum + 4..self.directory],
            &self.bytes[self.directory + 8..self.headers],
        ];
        add(0, &headers, 12);
        let mut last = 0;
        for &(at, size) in &self.sections {
            for (index, page) in self.bytes[at..at + size].chunks(self.page).enumerate() {
                add(at + index * self.page, &[page], 0);
            }
            last = at + size;
        }
        table.extend_from_slice(&(last as u32).to_le_bytes());
        table.resize(table.len() + <D as Digest>::output_size(), 0);
        table
    }

    /// The image without a signature, and the signature (PKCS #7, DER) if it has one.
    pub fn signature(&self) -> Result<Option<&'a [u8]>> {
        let table = &self.bytes[self.end..];
        if table.is_empty() {
            return Ok(None);
        }
        let bad = |why: &str| Error::Pe(why.to_owned());
        let header: [u8; 8] = table
            .get(..8)
            .and_then(|head| head.try_into().ok())
            .ok_or_else(|| bad("the certificate table is cut off"))?;
        let [a, b, c, d, r0, r1, t0, t1] = header;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if u16::from_le_bytes([r0, r1]) != REVISION
            || u16::from_le_bytes([t0, t1]) != PKCS_SIGNED_DATA
        {
            return Err(bad("the certificate table holds no PKCS #7 signature"));
        }
        if length < 8 || length > table.len() || length.next_multiple_of(ALIGN) != table.len() {
            return Err(bad("the certificate table's length is wrong"));
        }
        let content = &table[8..length];
        // The padding may be counted in or not; it is told from DER by the length there.
        let der = der_length(content).ok_or_else(|| bad("the signature is not DER"))?;
        let (signature, rest) = content.split_at(der);
        let padding = &table[length..];
        if rest.len() >= ALIGN || rest.iter().chain(padding).any(|byte| *byte != 0) {
            return Err(bad("something lies behind the signature"));
        }
        Ok(Some(signature))
    }

    /// The file with `signature` as its certificate table, and the checksum of that.
    pub fn with_signature(&self, signature: &[u8]) -> Result<Vec<u8>> {
        let mut file = self.bytes[..self.end].to_vec();
        file.resize(file.len() + padding(file.len()), 0);
        let length = (8 + signature.len()).next_multiple_of(ALIGN);
        let too_long = |_| Error::Pe("it is longer than 4 GiB".to_owned());
        let at = u32::try_from(file.len()).map_err(too_long)?;
        let size = u32::try_from(length).map_err(too_long)?;
        file[self.directory..self.directory + 4].copy_from_slice(&at.to_le_bytes());
        file[self.directory + 4..self.directory + 8].copy_from_slice(&size.to_le_bytes());
        let end = file.len() + length;
        file.extend_from_slice(&size.to_le_bytes());
        file.extend_from_slice(&REVISION.to_le_bytes());
        file.extend_from_slice(&PKCS_SIGNED_DATA.to_le_bytes());
        file.extend_from_slice(signature);
        file.resize(end, 0);
        let sum = checksum(&file, self.checksum);
        file[self.checksum..self.checksum + 4].copy_from_slice(&sum.to_le_bytes());
        Ok(file)
    }

    /// The checksum in the header, and the one that the file has.
    pub fn checksums(&self) -> (u32, u32) {
        let mut stored = [0; 4];
        stored.copy_from_slice(&self.bytes[self.checksum..self.checksum + 4]);
        (
            u32::from_le_bytes(stored),
            checksum(self.bytes, self.checksum),
        )
    }
}

/// The image's checksum: the sum of its 16-bit words with the carries added, and its length.
fn checksum(bytes: &[u8], field: usize) -> u32 {
    let mut sum: u64 = 0;
    for (index, word) in bytes.chunks(2).enumerate() {
        let at = index * 2;
        if at == field || at == field + 2 {
            continue;
        }
        sum += u64::from(word[0]) | u64::from(word.get(1).copied().unwrap_or(0)) << 8;
    }
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    (sum as u32).wrapping_add(bytes.len() as u32)
}

fn padding(length: usize) -> usize {
    length.next_multiple_of(ALIGN) - length
}

/// Length of the first DER element, header included.
fn der_length(bytes: &[u8]) -> Option<usize> {
    let mut reader = der::SliceReader::new(bytes).ok()?;
    let header = <der::Header as der::Decode>::decode(&mut reader).ok()?;
    let length = der::Encode::encoded_len(&header).ok()? + header.length;
    let length = usize::try_from(length.ok()?).ok()?;
    (length <= bytes.len()).then_some(length)
}
