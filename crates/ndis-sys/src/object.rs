//! object

use crate::*;

structs! {
    struct NDIS_OBJECT_HEADER [4, 2] {
        0 Type: UCHAR,
        1 Revision: UCHAR,
        2 Size: USHORT,
    }
}
