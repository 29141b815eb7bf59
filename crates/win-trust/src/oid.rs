//! Object identifiers of Authenticode and of catalogs, under Microsoft's arc
//! 1.3.6.1.4.1.311, and the few of PKCS #9 that they are used with.

use const_oid::ObjectIdentifier as Oid;

/// `SPC_INDIRECT_DATA_OBJID`: what an Authenticode signature signs.
pub const SPC_INDIRECT_DATA: Oid = Oid::new_unwrap("1.3.6.1.4.1.311.2.1.4");
/// `SPC_STATEMENT_TYPE_OBJID`: for whom it was signed.
pub const SPC_STATEMENT_TYPE: Oid = Oid::new_unwrap("1.3.6.1.4.1.311.2.1.11");
/// `SPC_SP_OPUS_INFO_OBJID`: name of what was signed.
pub const SPC_SP_OPUS_INFO: Oid = Oid::new_unwrap("1.3.6.1.4.1.311.2.1.12");
/// `SPC_PE_IMAGE_DATA_OBJID`: the digest is a PE file's.
pub const SPC_PE_IMAGE_DATA: Oid = Oid::new_unwrap("1.3.6.1.4.1.311.2.1.15");
/// `SPC_INDIVIDUAL_SP_KEY_PURPOSE_OBJID`: a statement type.
pub const SPC_INDIVIDUAL: Oid = Oid::new_unwrap("1.3.6.1.4.1.311.2.1.21");
/// `SPC_CAB_DATA_OBJID`: the digest is that of a file's bytes as they are.
pub const SPC_CAB_DATA: Oid = Oid::new_unwrap("1.3.6.1.4.1.311.2.1.25");
/// `SPC_PE_IMAGE_PAGE_HASHES_V2_OBJID`: SHA-256 of every page.
pub const SPC_PAGE_HASHES_V2: Oid = Oid::new_unwrap("1.3.6.1.4.1.311.2.3.2");
/// `szOID_RFC3161_counterSign`: the time stamp of a signature.
pub const RFC3161_COUNTER_SIGN: Oid = Oid::new_unwrap("1.3.6.1.4.1.311.3.3.1");
/// `szOID_CTL`: a certificate trust list, the form that catalogs have.
pub const CTL: Oid = Oid::new_unwrap("1.3.6.1.4.1.311.10.1");
/// `szOID_CATALOG_LIST`: the list's use.
pub const CATALOG_LIST: Oid = Oid::new_unwrap("1.3.6.1.4.1.311.12.1.1");
/// `szOID_CATALOG_LIST_MEMBER2`: members are named by their hashes.
pub const CATALOG_LIST_MEMBER2: Oid = Oid::new_unwrap("1.3.6.1.4.1.311.12.1.3");
/// `CAT_NAMEVALUE_OBJID`: a name with a value.
pub const CAT_NAMEVALUE: Oid = Oid::new_unwrap("1.3.6.1.4.1.311.12.2.1");
/// `CAT_MEMBERINFO2_OBJID`: the kind of a member.
pub const CAT_MEMBERINFO2: Oid = Oid::new_unwrap("1.3.6.1.4.1.311.12.2.3");

/// `id-signedData` of PKCS #7.
pub const SIGNED_DATA: Oid = const_oid::db::rfc5911::ID_SIGNED_DATA;
/// `id-data` of PKCS #7.
pub const DATA: Oid = const_oid::db::rfc5911::ID_DATA;
/// `id-contentType`.
pub const CONTENT_TYPE: Oid = const_oid::db::rfc5911::ID_CONTENT_TYPE;
/// `id-messageDigest`.
pub const MESSAGE_DIGEST: Oid = const_oid::db::rfc5911::ID_MESSAGE_DIGEST;
/// `id-signingTime`.
pub const SIGNING_TIME: Oid = const_oid::db::rfc5911::ID_SIGNING_TIME;
/// `id-ct-TSTInfo`.
pub const TST_INFO: Oid = Oid::new_unwrap("1.2.840.113549.1.9.16.1.4");
/// SHA-256.
pub const SHA_256: Oid = const_oid::db::rfc5912::ID_SHA_256;
/// SHA-384.
pub const SHA_384: Oid = const_oid::db::rfc5912::ID_SHA_384;
/// SHA-512.
pub const SHA_512: Oid = const_oid::db::rfc5912::ID_SHA_512;
/// RSA keys, and in PKCS #7 also RSA signatures.
pub const RSA_ENCRYPTION: Oid = const_oid::db::rfc5912::RSA_ENCRYPTION;
/// RSA signatures over SHA-256.
pub const SHA_256_WITH_RSA: Oid = const_oid::db::rfc5912::SHA_256_WITH_RSA_ENCRYPTION;
/// RSA signatures over SHA-384.
pub const SHA_384_WITH_RSA: Oid = const_oid::db::rfc5912::SHA_384_WITH_RSA_ENCRYPTION;
/// RSA signatures over SHA-512.
pub const SHA_512_WITH_RSA: Oid = const_oid::db::rfc5912::SHA_512_WITH_RSA_ENCRYPTION;
/// Extended key usage: signing of code.
pub const EKU_CODE_SIGNING: Oid = const_oid::db::rfc5280::ID_KP_CODE_SIGNING;
/// Extended key usage: time stamps.
pub const EKU_TIME_STAMPING: Oid = const_oid::db::rfc5280::ID_KP_TIME_STAMPING;
