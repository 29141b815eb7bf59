//! Rules about lists that a driver makes or rebuilds, each broken once.

use ndis_sys::{
    NDIS_CLONE_FLAGS_USE_ORIGINAL_MDLS, NDIS_RECEIVE_FLAGS_RESOURCES, NDIS_STATUS_FAILURE,
    NDIS_STATUS_SUCCESS, NET_BUFFER,
};

use super::driver::{
    self, BINDING, PORTS, RECEIVING, RETURNED, SENDING, SENT, complete, forward, give_back, host,
    indicate, pool, send_down, source_of,
};
use super::many::{ALL, Talker, clean, frame, settle, start, uppers};
use crate::host::Host;
use crate::ndis::list::{at, buffers, frame_of};
use crate::ndis::nbl::tests::{
    advance, clone, copy_receive, copy_send, free, free_clone, free_mdl, free_pool, make, mdl,
    retreat,
};
use crate::ndis::{NicConfig, Split, UpperConfig};

const PARENT: u64 = at!(NET_BUFFER_LIST.ParentNetBufferList);
const CHILDREN: u64 = at!(NET_BUFFER_LIST.ChildRefCount);

/// Runs `body` with one port, on a frame it sends and one it receives; the rules it broke.
fn broken(nic: NicConfig, upper: UpperConfig, body: impl FnOnce(&Host) + Send) -> Vec<String> {
    let above = Talker::with(&[frame([2, 8, 8, 8, 8, 8], 1)]);
    let far = Talker::with(&[frame(ALL, 2)]);
    let mut one = uppers(1, std::slice::from_ref(&above));
    one[0].0 = UpperConfig {
        device: one[0].0.device.clone(),
        ..upper
    };
    let host = driver::set_up(7, nic, Box::new(far), one);
    host.run("test", |host| {
        body(host);
        start(host, 1);
        host.nic_kick(0);
        host.sleep(50_000_000);
    });
    let mut rules: Vec<String> = host.findings().into_iter().map(|f| f.rule).collect();
    rules.sort();
    rules.dedup();
    rules
}

fn sends(sending: fn(u64, u64)) -> Vec<String> {
    broken(NicConfig::default(), UpperConfig::default(), move |_| {
        SENDING.set(Some(sending));
        SENT.set(Some(|list| {
            let parent: u64 = host().get(list + PARENT, "parent");
            free_clone(list, 0);
            if parent != 0 {
                host().put(parent + CHILDREN, 0_i32, "children");
                let port = PORTS.with_borrow(|p| p[0]);
                complete(port, parent, NDIS_STATUS_SUCCESS);
            }
        }));
    })
}

/// A child of a list, as it has to be.
fn child(list: u64) -> u64 {
    let child = clone(list, 0, 0, 0);
    host().put(child + PARENT, list, "parent");
    host().put(list + CHILDREN, 1_i32, "children");
    copy_send(child, list);
    child
}

#[test]
fn a_sound_child_is_no_finding() {
    assert_eq!(
        sends(|_, list| send_down(child(list))),
        Vec::<String>::new()
    );
}

#[test]
fn a_child_names_its_parent_and_has_its_information() {
    let rules = sends(|_, list| {
        let child = child(list);
        host().put(child + PARENT, 0_u64, "parent");
        send_down(child);
    });
    assert!(rules.contains(&"SND-11".into()), "{rules:?}");
    let rules = sends(|_, list| {
        let child = clone(list, 0, 0, 0);
        host().put(child + PARENT, list, "parent");
        host().put(list + CHILDREN, 1_i32, "children");
        send_down(child);
    });
    assert_eq!(rules, ["SND-10"]);
}

#[test]
fn a_parent_is_not_completed_before_its_child() {
    let rules = sends(|port, list| {
        host().nic_stick(0, true);
        send_down(child(list));
        host().put(list + CHILDREN, 0_i32, "children");
        complete(port, list, NDIS_STATUS_SUCCESS);
    });
    assert!(rules.contains(&"SND-11".into()), "{rules:?}");
}

#[test]
fn a_senders_bytes_come_back_as_they_were() {
    let rules = sends(|port, list| {
        let buffer = buffers(host(), list)[0];
        let nb: NET_BUFFER = host().get(buffer, "NET_BUFFER");
        let m: ndis_sys::MDL = host().get(nb.CurrentMdl as u64, "MDL");
        let at = m.MappedSystemVa as u64 + u64::from(nb.CurrentMdlOffset);
        host().put(at + 13, 0x77_u8, "frame");
        complete(port, list, NDIS_STATUS_FAILURE);
    });
    assert_eq!(rules, ["SND-9"]);
}

#[test]
fn a_retreat_without_room_splits_the_header_and_is_undone_by_an_advance() {
    let rules = sends(|port, list| {
        let buffer = buffers(host(), list)[0];
        let before = frame_of(host(), buffer);
        advance(buffer, 14, false);
        assert_eq!(retreat(buffer, 18, 0), NDIS_STATUS_SUCCESS);
        let after = frame_of(host(), buffer);
        assert_eq!((after.len(), &after[18..]), (104, &before[14..]));
        // Four new bytes, fourteen old ones: SND-17.
        forward(port, list);
    });
    assert!(rules.contains(&"SND-17".into()), "{rules:?}");
    let rules = sends(|port, list| {
        let buffer = buffers(host(), list)[0];
        assert_eq!(retreat(buffer, 18, 6), NDIS_STATUS_SUCCESS);
        advance(buffer, 18, true);
        complete(port, list, NDIS_STATUS_FAILURE);
    });
    assert_eq!(rules, Vec::<String>::new());
    // What was allocated and not freed is a change of the list.
    let rules = sends(|port, list| {
        let buffer = buffers(host(), list)[0];
        assert_eq!(retreat(buffer, 18, 6), NDIS_STATUS_SUCCESS);
        advance(buffer, 18, false);
        complete(port, list, NDIS_STATUS_FAILURE);
    });
    assert_eq!(rules, ["SND-9"]);
}

#[test]
fn moving_past_mdls_without_a_byte_is_no_change() {
    let rough = UpperConfig {
        rough: true,
        ..UpperConfig::default()
    };
    let rules = broken(NicConfig::default(), rough, |_| {
        SENDING.set(Some(|port, list| {
            for buffer in buffers(host(), list) {
                let length = frame_of(host(), buffer).len().min(20) as u32;
                advance(buffer, length, false);
                let _ = retreat(buffer, length, 0);
            }
            complete(port, list, NDIS_STATUS_FAILURE);
        }));
    });
    assert_eq!(rules, Vec::<String>::new());
}

#[test]
fn clones_describe_the_same_data_with_other_mdls_or_the_same() {
    let rules = sends(|port, list| {
        let original = buffers(host(), list)[0];
        let frame = frame_of(host(), original);
        for flags in [0, NDIS_CLONE_FLAGS_USE_ORIGINAL_MDLS] {
            let made = clone(list, 0, 0, flags);
            assert_eq!(frame_of(host(), buffers(host(), made)[0]), frame);
            free_clone(made, flags);
        }
        complete(port, list, NDIS_STATUS_FAILURE);
    });
    assert_eq!(rules, Vec::<String>::new());
    let rules = sends(|port, list| {
        free_clone(clone(list, 0, 0, 0), NDIS_CLONE_FLAGS_USE_ORIGINAL_MDLS);
        complete(port, list, NDIS_STATUS_FAILURE);
    });
    assert_eq!(rules, ["NBL-4"]);
}

#[test]
fn what_the_driver_lengthens_fits_the_adapter() {
    let long = NicConfig {
        mtu: 86,
        ..NicConfig::default()
    };
    for (nic, expected) in [
        (NicConfig::default(), &[][..]),
        (long, &["HOST-LENGTH"][..]),
    ] {
        let rules = broken(nic, UpperConfig::default(), |_| {
            SENDING.set(Some(|port, list| {
                let (protocol, _) = driver::edges(host());
                let bytes = host().allocate(104, 1, "ExAllocatePool2");
                host().arena.fill(bytes, 104, 2);
                send_down(make(pool(protocol), mdl(protocol, bytes, 104), 104));
                complete(port, list, NDIS_STATUS_FAILURE);
            }));
            SENT.set(Some(|list| free(list)));
        });
        assert_eq!(rules, expected);
    }
}

#[test]
fn an_mdl_in_a_list_that_is_out_is_not_freed() {
    let rules = sends(|port, list| {
        host().nic_stick(0, true);
        let (protocol, _) = driver::edges(host());
        let bytes = host().allocate(60, 1, "ExAllocatePool2");
        host().arena.fill(bytes, 60, 2);
        let header = mdl(protocol, bytes, 60);
        let own = make(pool(protocol), header, 60);
        send_down(own);
        free_mdl(header);
        complete(port, list, NDIS_STATUS_FAILURE);
    });
    assert_eq!(rules, ["SND-3"]);
}

fn receives(nic: NicConfig, receiving: fn(u64, bool)) -> Vec<String> {
    broken(nic, UpperConfig::default(), move |_| {
        RECEIVING.set(Some(receiving));
        RETURNED.set(Some(|list| free_clone(list, 0)));
    })
}

fn never_lent() -> NicConfig {
    NicConfig {
        resources: 0.0,
        ..NicConfig::default()
    }
}

#[test]
fn a_list_of_the_drivers_own_goes_up_and_comes_back() {
    fn up(list: u64, _: bool) {
        let own = clone(list, 0, 0, 0);
        copy_receive(own, list);
        let port = PORTS.with_borrow(|p| p[0]);
        // To several ports in turn: the information stays.
        indicate(port, own, NDIS_RECEIVE_FLAGS_RESOURCES);
        indicate(port, own, NDIS_RECEIVE_FLAGS_RESOURCES);
        free_clone(own, 0);
        give_back(list, source_of(list));
    }
    assert_eq!(receives(never_lent(), up), Vec::<String>::new());
    let rules = receives(never_lent(), |list, _| {
        let own = clone(list, 0, 0, 0);
        let port = PORTS.with_borrow(|p| p[0]);
        indicate(port, own, NDIS_RECEIVE_FLAGS_RESOURCES);
        free_clone(own, 0);
        give_back(list, source_of(list));
    });
    assert_eq!(rules, ["RCV-10"]);
}

#[test]
fn the_original_is_not_returned_while_a_clone_of_it_is_out() {
    let upper = UpperConfig {
        hold: 1.0,
        ..UpperConfig::default()
    };
    let rules = broken(never_lent(), upper, |_| {
        RECEIVING.set(Some(|list, _| {
            let own = clone(list, 0, 0, 0);
            copy_receive(own, list);
            let port = PORTS.with_borrow(|p| p[0]);
            indicate(port, own, 0);
            give_back(list, source_of(list));
        }));
        RETURNED.set(Some(|list| free_clone(list, 0)));
    });
    assert!(rules.contains(&"RCV-11".into()), "{rules:?}");
}

#[test]
fn a_lent_frame_goes_up_lent() {
    let lent = NicConfig {
        resources: 1.0,
        ..NicConfig::default()
    };
    let rules = receives(lent, |list, _| {
        let own = clone(list, 0, 0, 0);
        copy_receive(own, list);
        let port = PORTS.with_borrow(|p| p[0]);
        indicate(port, own, 0);
    });
    assert!(rules.contains(&"RCV-3".into()), "{rules:?}");
}

#[test]
fn read_only_lists_are_not_written() {
    let nic = NicConfig {
        read_only_ratio: 1.0,
        ..never_lent()
    };
    // Host code may write where the driver may not: the digest has to see it.
    let rules = receives(nic, |list, _| {
        let source = source_of(list);
        let nb: NET_BUFFER = host().get(buffers(host(), list)[0], "NET_BUFFER");
        let m: ndis_sys::MDL = host().get(nb.CurrentMdl as u64, "MDL");
        host().put(m.MappedSystemVa as u64, 0x55_u8, "frame");
        give_back(list, source);
    });
    assert_eq!(rules, ["RCV-15"]);
}

#[test]
fn headers_are_not_split_by_the_driver() {
    // The adapter's own split behind the MAC header is no finding when passed on.
    let nic = NicConfig {
        split: Split::Headers,
        ..never_lent()
    };
    let rules = receives(nic, |list, _| {
        let own = clone(list, 0, 0, 0);
        copy_receive(own, list);
        let port = PORTS.with_borrow(|p| p[0]);
        indicate(port, own, NDIS_RECEIVE_FLAGS_RESOURCES);
        free_clone(own, 0);
        give_back(list, source_of(list));
    });
    assert_eq!(rules, Vec::<String>::new());
    let rules = receives(never_lent(), |list, _| {
        let (_, driver) = driver::edges(host());
        let bytes = host().allocate(30, 1, "ExAllocatePool2");
        host().arena.fill(bytes, 30, 0);
        host().put(bytes + 12, [8_u8, 0, 0x45], "IPv4");
        let (first, second) = (mdl(driver, bytes, 20), mdl(driver, bytes + 20, 10));
        host().put(first, second, "Next");
        let own = make(pool(driver), first, 30);
        let port = PORTS.with_borrow(|p| p[0]);
        indicate(port, own, NDIS_RECEIVE_FLAGS_RESOURCES);
        give_back(list, source_of(list));
    });
    assert_eq!(rules, ["RCV-13"]);
}

#[test]
fn pools_are_empty_when_freed_and_of_the_right_edge() {
    let rules = sends(|port, list| {
        let (protocol, driver) = driver::edges(host());
        let pool = pool(driver);
        let bytes = host().allocate(60, 1, "ExAllocatePool2");
        let own = make(pool, mdl(protocol, bytes, 60), 60);
        free_pool(pool);
        complete(port, list, NDIS_STATUS_FAILURE);
        let _ = own;
    });
    assert_eq!(rules, ["NBL-4"]);
    let rules = sends(|port, list| {
        let (_, driver) = driver::edges(host());
        let bytes = host().allocate(60, 1, "ExAllocatePool2");
        host().arena.fill(bytes, 60, 2);
        let own = make(pool(driver), mdl(driver, bytes, 60), 60);
        host().nic_stick(0, true);
        send_down(own);
        complete(port, list, NDIS_STATUS_FAILURE);
    });
    assert_eq!(rules, ["NBL-3"]);
    let rules = sends(|port, list| {
        let (protocol, _) = driver::edges(host());
        let on_the_stack = [0_u8; 16];
        let m = mdl(protocol, &raw const on_the_stack as u64, 16);
        free_mdl(m);
        complete(port, list, NDIS_STATUS_FAILURE);
    });
    assert_eq!(rules, ["NBL-9"]);
    let rules = sends(|port, list| {
        let (protocol, _) = driver::edges(host());
        let pool = pool(protocol);
        free(make(pool, 0, 0));
        free_pool(pool);
        complete(port, list, NDIS_STATUS_FAILURE);
    });
    assert_eq!(rules, Vec::<String>::new());
    let _ = BINDING.get();
}

#[test]
fn every_fallible_call_can_be_made_to_fail() {
    let host = driver::set_up(
        1,
        NicConfig::default(),
        Box::new(Talker::default()),
        uppers(1, &[]),
    );
    clean(&host, |host| {
        start(host, 1);
        settle(host);
        let (protocol, _) = driver::edges(host);
        let pool = pool(protocol);
        host.fail_nth(Some(1));
        assert_eq!(make(pool, 0, 0), 0);
        assert_eq!(
            host.fault_sites(),
            ["NdisAllocateNetBufferAndNetBufferList"]
        );
        let list = make(pool, 0, 0);
        host.fail_nth(Some(1));
        assert_eq!(
            retreat(buffers(host, list)[0], 4, 0).0,
            ndis_sys::NDIS_STATUS_RESOURCES.0
        );
        free(list);
        free_pool(pool);
    });
}
