//! Pool, lookaside lists, MDLs, tables, the registry and access checks.

use super::super::{
    avl, list, lookaside, mdl, memory, object, pool, reference, registry, security, variables,
};
use super::{address, compare, give, take, unicode, with, with_both};
use crate::ndis::Value;

const TAG: u32 = u32::from_le_bytes(*b"Test");
const NON_PAGED: u32 = 512;

/// How a block is given back.
type Free<'a> = &'a dyn Fn(u64);

#[test]
fn every_kind_of_pool_comes_and_goes() {
    with_both(|host, block| {
        let free = |at: u64| memory::ExFreePoolWithTag(at, TAG);
        let untagged = |at: u64| memory::ExFreePool(at);
        let with_parameters = |at: u64| pool::ExFreePool2(at, TAG, 0, 0);
        let taken: [(u64, Free<'_>); 4] = [
            (pool::ExAllocatePoolWithQuotaTag(NON_PAGED, 100, TAG), &free),
            (
                pool::ExAllocatePoolWithTagPriority(NON_PAGED, 100, TAG, 16),
                &free,
            ),
            (pool::ExAllocatePool(NON_PAGED, 100), &untagged),
            (
                pool::ExAllocatePool3(0x40, 100, TAG, 0, 0),
                &with_parameters,
            ),
        ];
        for (at, free) in taken {
            assert!(host.heap().find(at).is_some());
            assert_eq!(at % 16, 0);
            free(at);
            assert!(host.heap().find(at).is_none());
        }
        assert_eq!(pool::NdisAllocateMemoryWithTag(block, 64, TAG), 0);
        let at = host.get(block, "test");
        assert!(host.heap().find(at).is_some());
        pool::NdisFreeMemoryWithTag(at, TAG);
        assert!(host.heap().find(at).is_none());
        // Fresh memory of the newer functions is zero, unless it need not be.
        let at = pool::ExAllocatePool3(0x40, 64, TAG, 0, 0);
        assert_eq!(host.get::<[u64; 8]>(at, "test"), [0; 8]);
        free(at);
    });
}

#[test]
fn lookaside_lists_of_every_kind_are_emptied() {
    with_both(|host, list| {
        lookaside::ExInitializePagedLookasideList(list, 0, 0, 0, 128, TAG, 0);
        let entry = pool::ExAllocatePoolWithTag(1, 128, TAG);
        list::ExpInterlockedPushEntrySList(list, entry);
        lookaside::ExDeletePagedLookasideList(list);
        assert!(host.heap().find(entry).is_none());

        let make = |kind, flags| {
            lookaside::ExInitializeLookasideListEx(list, 0, 0, kind, flags, 128, TAG, 0)
        };
        assert_eq!(
            make(7, 0),
            0xC000_00F2_u32 as i32,
            "STATUS_INVALID_PARAMETER_4"
        );
        assert_eq!(
            make(512, 3),
            0xC000_00F3_u32 as i32,
            "STATUS_INVALID_PARAMETER_5"
        );
        for end in [
            lookaside::ExFlushLookasideListEx,
            lookaside::ExDeleteLookasideListEx,
        ] {
            assert_eq!(make(512, 0), 0);
            let entry = lookaside::ExpAllocateForLookaside(512, 128, TAG, list);
            assert!(host.heap().find(entry).is_some());
            list::ExpInterlockedPushEntrySList(list, entry);
            end(list);
            assert!(host.heap().find(entry).is_none());
        }
        let entry = lookaside::ExpAllocateForLookaside(512, 128, TAG, list);
        lookaside::ExpFreeForLookaside(entry, list);
        assert!(host.heap().find(entry).is_none());
    });
}

#[test]
fn mdls_are_locked_mapped_and_measured() {
    with_both(|host, block| {
        // A header of 48 bytes, and a number for each page that is touched.
        for (base, len, pages) in [(0, 1, 1), (4095, 2, 2), (0, 4096, 1), (8, 4096, 2)] {
            assert_eq!(mdl::MmSizeOfMdl(base, len), 48 + 8 * pages, "{base} {len}");
        }
        let mdl = mdl::IoAllocateMdl(block + 8, 100, 0, 0, 0);
        mdl::MmProbeAndLockPages(mdl, 0, 1);
        assert_eq!(mdl::MmMapLockedPages(mdl, 0), block + 8);
        mdl::MmUnmapLockedPages(block + 8, mdl);
        mdl::MmUnlockPages(mdl);
        mdl::IoFreeMdl(mdl);
        // No verifier but this one.
        assert!(mdl::MmIsVerifierEnabled(block) < 0);
        assert_eq!(mdl::MmIsDriverVerifying(block), 0);
        // Nothing is paged: what is locked is a handle, which is given back.
        let handle = mdl::MmLockPagableDataSection(block);
        assert_ne!(handle, 0);
        mdl::MmUnlockPagableImageSection(handle);
        assert_eq!(mdl::MmPageEntireDriver(block), 0, "not in an image");
        assert_eq!(host.get::<u32>(block, "test"), 0, "the verifier's flags");
    });
}

#[test]
fn a_table_is_searched_by_index_and_place() {
    with(|host, block| {
        let (table, key, is_new) = (block, block + 200, block + 300);
        let [c, t, g] = [compare as *const (), take as *const (), give as *const ()].map(address);
        avl::RtlInitializeGenericTableAvl(table, c, t, g, 0);
        for n in [30_u32, 10, 20] {
            host.put(key, n, "test");
            // Where it would be, then there.
            let (parent, result) = (block + 400, block + 408);
            let found = avl::RtlLookupElementGenericTableFullAvl(table, key, parent, result);
            assert_eq!(found, 0);
            let (parent, result) = (host.get(parent, "test"), host.get(result, "test"));
            avl::RtlInsertElementGenericTableFullAvl(table, key, 4, is_new, parent, result);
            assert_eq!(host.get::<u8>(is_new, "test"), 1);
        }
        let value = |at: u64| (at != 0).then(|| host.get::<u32>(at, "test"));
        let by_index = [0, 1, 2, 3].map(|n| value(avl::RtlGetElementGenericTableAvl(table, n)));
        assert_eq!(by_index, [Some(10), Some(20), Some(30), None]);
        let mut seen = Vec::new();
        host.put(block + 420, [0_u64], "test");
        while let Some(n) = value(avl::RtlEnumerateGenericTableWithoutSplayingAvl(
            table,
            block + 420,
        )) {
            seen.push(n);
        }
        assert_eq!(seen, [10, 20, 30]);
        // Like a directory: from a place that may have gone, to the next.
        let (restart, deletes) = (block + 440, block + 448);
        host.put(restart, [0_u64, 0], "test");
        host.put(key, 15_u32, "test");
        let next = |flag| {
            avl::RtlEnumerateGenericTableLikeADirectory(table, 0, 0, flag, restart, deletes, key)
        };
        assert_eq!(value(next(0)), Some(20), "behind 15");
        assert_eq!(value(next(1)), Some(30));
        assert_eq!(value(next(1)), None);
        for n in [10_u32, 20, 30] {
            host.put(key, n, "test");
            assert_eq!(avl::RtlDeleteElementGenericTableAvl(table, key), 1);
        }
    });
}

#[test]
fn the_registry_is_enumerated_and_queried() {
    with(|host, block| {
        host.ndis(|n| n.service = "drv".into());
        let service = "\\Registry\\Machine\\System\\CurrentControlSet\\Services\\drv";
        host.set_registry_value(
            &format!("{service}\\Parameters"),
            "Count",
            Value::Integer(77),
        );
        host.set_registry_value(
            &format!("{service}\\Parameters\\Deep"),
            "X",
            Value::Integer(1),
        );
        let name = unicode(host, block, &format!("{service}\\Parameters"), 300);
        host.put(block + 500, [48_u64, 0, name, 0x40, 0, 0], "test");
        let (out, to, needed) = (block + 560, block + 600, block + 900);
        assert_eq!(registry::ZwOpenKeyEx(out, 0x2_0019, block + 500, 0), 0);
        let key: u64 = host.get(out, "test");
        // A key that is there is opened, and says so.
        let created = registry::ZwCreateKey(out, 0x2_0019, block + 500, 0, 0, 0, needed);
        assert_eq!((created, host.get::<u32>(needed, "test")), (0, 2));
        assert_eq!(object::ObCloseHandle(host.get(out, "test"), 0), 0);
        // KeyBasicInformation: the name of what lies below.
        assert_eq!(registry::ZwEnumerateKey(key, 0, 0, to, 200, needed), 0);
        assert_eq!(host.get::<u32>(to + 12, "test"), 8);
        let no_more = 0x8000_001A_u32 as i32;
        assert_eq!(
            registry::ZwEnumerateKey(key, 1, 0, to, 200, needed),
            no_more
        );
        // KeyValuePartialInformation: REG_DWORD.
        assert_eq!(registry::ZwEnumerateValueKey(key, 0, 2, to, 200, needed), 0);
        assert_eq!(host.get::<[u32; 4]>(to, "test"), [0, 4, 4, 77]);
        assert_eq!(
            registry::ZwEnumerateValueKey(key, 1, 2, to, 200, needed),
            no_more
        );
        // KeyFullInformation: one key below, one value.
        assert_eq!(registry::ZwQueryKey(key, 2, to, 200, needed), 0);
        assert_eq!(host.get::<u32>(to + 20, "test"), 1);
        assert_eq!(host.get::<u32>(to + 32, "test"), 1);
        assert_eq!(object::ObCloseHandle(key, 0), 0);

        // RTL_REGISTRY_SERVICES, relative.
        let wide = |at: u64, text: &str| {
            let string = unicode(host, at, &format!("{text}\0"), 120);
            string + 16
        };
        let path = wide(block + 1000, "drv\\Parameters");
        assert_eq!(registry::RtlCheckRegistryKey(1, path), 0);
        let other = wide(block + 1200, "drv\\Nothing");
        assert_ne!(registry::RtlCheckRegistryKey(1, other), 0);
        // RTL_QUERY_REGISTRY_DIRECT with a type that is checked, into a ULONG.
        let (table, value) = (block + 1400, wide(block + 1700, "Count"));
        for query in [
            registry::RtlQueryRegistryValues,
            registry::RtlQueryRegistryValuesEx,
        ] {
            host.put(table, [0_u64; 14], "test");
            host.put(table + 8, 0x120_u32, "test");
            host.put(table + 16, [value, block + 1900], "test");
            host.put(table + 32, 4_u32 << 24, "test");
            host.put(block + 1900, 0_u32, "test");
            assert_eq!(query(1, path, table, 0, 0), 0);
            assert_eq!(host.get::<u32>(block + 1900, "test"), 77);
            assert!(query(1, other, table, 0, 0) < 0);
        }
    });
}

#[test]
fn objects_are_counted_by_pointer_and_by_name() {
    with_both(|host, block| {
        let name = unicode(host, block, "\\BaseNamedObjects\\Told", 60);
        let (out, again) = (block + 200, block + 208);
        let event = object::IoCreateSynchronizationEvent(name, out);
        assert_ne!(event, 0);
        assert_eq!(
            object::IoCreateSynchronizationEvent(name, again),
            event,
            "the same"
        );
        let handle: u64 = host.get(out, "test");
        // Signalled at first; the wait takes that.
        host.put(block + 300, 0_i64, "test");
        assert_eq!(object::ZwWaitForSingleObject(handle, 0, block + 300), 0);
        assert_eq!(object::ZwWaitForSingleObject(handle, 0, block + 300), 0x102);
        let of = variables::object_type(&host.arena, "ExEventObjectType");
        assert_eq!(reference::ObReferenceObjectByPointer(event, 0, of, 0), 0);
        let other = variables::object_type(&host.arena, "PsThreadType");
        let mismatch = 0xC000_0024_u32 as i32;
        assert_eq!(
            reference::ObReferenceObjectByPointer(event, 0, other, 0),
            mismatch
        );
        reference::ObfReferenceObject(event);
        reference::ObfDereferenceObject(event);
        reference::ObfDereferenceObject(event);
        assert_eq!(object::ZwClose(handle), 0);
        assert_eq!(object::ZwClose(host.get(again, "test")), 0);
        assert!(object::ZwWaitForSingleObject(handle, 0, block + 300) < 0);
        let event = object::IoCreateNotificationEvent(0, out);
        assert_ne!(event, 0);
        assert_eq!(object::ZwClose(host.get(out, "test")), 0);
    });
}

#[test]
fn access_is_checked_and_identifiers_differ() {
    with(|host, block| {
        let (granted, status, subject) = (block, block + 8, block + 64);
        security::SeCaptureSubjectContext(subject);
        security::SeLockSubjectContext(subject);
        let check = |descriptor: u64| {
            let of = security::IoGetFileObjectGenericMapping();
            let may = security::SeAccessCheck(
                descriptor, subject, 1, 0x12_0089, 0, 0, of, 1, granted, status,
            );
            (
                may,
                host.get::<u32>(granted, "test"),
                host.get::<i32>(status, "test"),
            )
        };
        assert_eq!(
            check(0),
            (0, 0, 0xC000_0022_u32 as i32),
            "STATUS_ACCESS_DENIED"
        );
        assert_eq!(check(block + 256), (1, 0x12_0089, 0));
        security::SeUnlockSubjectContext(subject);
        security::SeReleaseSubjectContext(subject);
        assert_eq!(security::SeSinglePrivilegeCheck(10, 1), 1);
        for at in [block + 512, block + 528] {
            assert_eq!(security::ExUuidCreate(at), 0);
            let bytes: [u8; 16] = host.get(at, "test");
            assert_eq!(
                (bytes[7] >> 4, bytes[8] >> 6),
                (4, 2),
                "version and variant"
            );
        }
        let uuids: [[u64; 2]; 2] = [block + 512, block + 528].map(|at| host.get(at, "test"));
        assert_ne!(uuids[0], uuids[1]);
        // The seed decides, and is changed; the result is below MAXLONG.
        let random = |seed: u32| {
            host.put(block, seed, "test");
            let n = security::RtlRandomEx(block);
            (n, host.get::<u32>(block, "test"))
        };
        assert_eq!(random(7), random(7));
        assert_ne!(random(7).0, random(8).0);
        assert_ne!(random(7).1, 7);
        assert!(random(7).0 < 0x7FFF_FFFF);
    });
}
