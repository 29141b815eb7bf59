//! Tags into frames and out of them, over MDLs cut anywhere: every byte where it
//! belongs, and everything as it was afterwards.

// Indexes into vectors that the test made.
#![allow(clippy::indexing_slicing, non_snake_case)]

mod fake;

use super::decide::{Egress, Strip};
use super::send::frames;
use super::tag::{Departure, arrived, came_back, depart, done, ready};
use ethernet::{OutOfBand, Priority, Tag, Vlan};
use fake::{Owned, frames_of, headers_are_whole, owned};
use im_control::DropReason;
use ndis::memory;
use ndis::nbl::{FromAbove, FromBelow, Single};
use ndis::nbl_context::{Marked, peek};
use ndis::sys::{
    Ieee8021QNetBufferListInfo, NDIS_NBL_FLAGS_RECV_READ_ONLY, NDIS_NBL_FLAGS_SEND_READ_ONLY,
    NDIS_NET_BUFFER_LIST_INFO, PVOID, TcpIpChecksumNetBufferListInfo,
    TcpLargeSendNetBufferListInfo, UdpSegmentationOffloadInfo,
};
use proptest::prelude::*;
use std::vec::Vec;

const POOL: memory::Tag = memory::Tag::new(*b"Test");

fn tag() -> Tag {
    Tag {
        priority: Priority::new(5).unwrap(),
        dei: false,
        vlan: Vlan::new(10).unwrap(),
    }
}

/// Addresses, the tag if asked for, a type, and numbered payload.
fn frame(payload: usize, tagged: bool) -> Vec<u8> {
    let mut frame: Vec<u8> = (1..=12).collect();
    if tagged {
        frame.extend_from_slice(&[0x81, 0, 0xA0, 10]);
    }
    frame.extend_from_slice(&[8, 0]);
    frame.extend((0..payload).map(|byte| byte as u8));
    frame
}

fn go_up(owned: &Owned, strip: Strip) -> Result<Single<FromBelow>, DropReason> {
    ready(owned.single(), strip, POOL, &mut 0).map_err(|(list, reason)| {
        core::mem::forget(list);
        reason
    })
}

fn mark(list: &ndis::nbl::List) -> Marked {
    // SAFETY: (NBL-5) ready for the way, hence marked.
    unsafe { peek(list) }
}

fn in_place(list: &ndis::nbl::List) -> bool {
    mark(list).done & done::CLONE == 0
}

proptest! {
    /// RCV-6, RCV-8, RCV-13, RCV-15: whatever the shape of a tagged frame, it goes
    /// up without its tag and comes back as it was; a frame that may only be read
    /// is not written.
    #[test]
    fn tags_are_taken_out_and_put_back(
        payload in 1_usize..300,
        backfill in 0_usize..40,
        cuts in prop::collection::vec(0_usize..60, 0..4),
        read_only: bool,
    ) {
        let flags = if read_only { NDIS_NBL_FLAGS_RECV_READ_ONLY } else { 0 };
        let owned = owned(&[frame(payload, true)], backfill, &cuts, flags);
        let before = owned.snapshot();
        let list = go_up(&owned, Strip::InFrame(tag())).unwrap();
        prop_assert_eq!(frames_of(&list), Vec::from([frame(payload, false)]));
        let headers = if in_place(&list) { 14 } else { 128 };
        prop_assert!(headers_are_whole(&list, headers));
        prop_assert_eq!(in_place(&list), !read_only && cuts.iter().all(|cut| *cut >= 18 || *cut == 0));
        if read_only {
            prop_assert_eq!(&owned.snapshot()[0], &before[0]);
        }
        prop_assert_eq!(Tag::from_tci(mark(&list).done as u16), tag());
        let back = came_back(list);
        prop_assert_eq!(back.as_ptr(), owned.list);
        core::mem::forget(back);
        prop_assert_eq!(owned.snapshot(), before);
    }

    /// SND-7, SND-9, SND-17, RCV-15: whatever the shape of the frames of a list,
    /// they go down with the tag in one MDL with the header, and come back as they
    /// were.
    #[test]
    fn tags_are_put_in_and_taken_out_again(
        payloads in prop::collection::vec(1_usize..100, 1..4),
        backfill in 0_usize..40,
        cuts in prop::collection::vec(0_usize..60, 0..4),
        read_only: bool,
        tagged: bool,
        beside: bool,
    ) {
        let flags = if read_only { NDIS_NBL_FLAGS_SEND_READ_ONLY } else { 0 };
        let bytes: Vec<Vec<u8>> = payloads.iter().map(|payload| frame(*payload, tagged)).collect();
        let owned = owned(&bytes, backfill, &cuts, flags);
        let before = owned.snapshot();
        let departure = Departure { egress: Egress::Tagged(tag()), tagged, beside };
        let path = core::ptr::without_provenance_mut(0x7000);
        let sent = depart(owned.single::<FromAbove>(), &departure, path, POOL, &mut 0);
        let mut list = sent.map_err(|(list, reason)| { core::mem::forget(list); reason }).unwrap();
        let word = OutOfBand(list.beside());
        if beside && !tagged {
            prop_assert_eq!(frames_of(&list), bytes);
            prop_assert_eq!(word.tag(), tag());
        } else {
            let expected: Vec<Vec<u8>> = payloads.iter().map(|payload| frame(*payload, true)).collect();
            prop_assert_eq!(frames_of(&list), expected);
            prop_assert!(headers_are_whole(&list, 18));
            prop_assert_eq!(word, OutOfBand::NONE);
        }
        if read_only {
            prop_assert_eq!(&owned.snapshot()[0], &before[0]);
        }
        list.set_source(core::ptr::without_provenance_mut(0x9000));
        let (back, at) = arrived(list);
        prop_assert_eq!((back.as_ptr(), at.addr()), (owned.list, 0x7000));
        core::mem::forget(back);
        prop_assert_eq!(owned.snapshot(), before);
    }

    /// A header is found whatever the shape of its frame.
    #[test]
    fn headers_are_read_over_any_cut(
        payload in 0_usize..40,
        cuts in prop::collection::vec(0_usize..40, 0..5),
        tagged: bool,
    ) {
        let owned = owned(&[frame(payload, tagged)], 3, &cuts, 0);
        let mut list = owned.single::<FromAbove>();
        let found = frames(&mut list).next().flatten().unwrap();
        core::mem::forget(list);
        prop_assert_eq!(found.header.tag(), tagged.then_some(tag()));
        prop_assert_eq!(found.length as usize, frame(payload, tagged).len());
    }
}

/// Only the word beside the frame changes, and comes back.
#[test]
fn words_beside_frames_come_back() {
    let owned = owned(&[frame(50, false)], 0, &[], 0);
    let mut list = owned.single::<FromBelow>();
    list.set_beside(OutOfBand::new(tag()).0);
    core::mem::forget(list);
    let before = owned.snapshot();
    let mut list = go_up(&owned, Strip::Beside(tag())).unwrap();
    assert!(mark(&list).done & done::WORD != 0);
    list.set_beside(0);
    list.set_source(core::ptr::without_provenance_mut(0x9000));
    core::mem::forget(came_back(list));
    assert_eq!(owned.snapshot(), before);
}

/// A frame that ends with its tag has nothing to show without it, unless it can be
/// moved in place.
#[test]
fn nothing_behind_the_tag() {
    let mut short = frame(0, true);
    let owned_list = owned(&[short.clone()], 0, &[7], 0);
    let before = owned_list.snapshot();
    let refused = go_up(&owned_list, Strip::InFrame(tag()));
    assert_eq!(refused.err(), Some(DropReason::ReceiveMalformed));
    assert_eq!(owned_list.snapshot(), before);
    short.truncate(13);
    let owned_list = owned(&[short], 0, &[], 0);
    let mut list = owned_list.single::<FromAbove>();
    assert_eq!(frames(&mut list).next().flatten(), None);
    core::mem::forget(list);
}

/// Every frame as a list of its own, empty ones left out, and the list as it was.
#[test]
fn frames_are_shown_one_by_one() {
    let bytes = [frame(10, false), Vec::new(), frame(30, false)];
    let owned = owned(&bytes, 2, &[5], 0);
    let before = owned.snapshot();
    let mut list = owned.single::<FromAbove>();
    let mut seen = Vec::new();
    let failed = list.for_each_view(|view| {
        assert!(view.sole_buffer().is_some());
        seen.extend(frames_of(view));
    });
    core::mem::forget(list);
    assert_eq!(failed, 0);
    assert_eq!(seen, [bytes[0].clone(), bytes[2].clone()]);
    assert_eq!(owned.snapshot(), before);
}

/// OFF-3: checksums and segments are asked for beside a list, and only there.
#[test]
fn lists_that_leave_something_to_the_adapter() {
    let owned = owned(&[frame(50, false)], 0, &[], 0);
    let asks = |entry: NDIS_NET_BUFFER_LIST_INFO, word: usize| {
        // SAFETY: (NBL-1) the test's own list; the index is one that NDIS names.
        let place = unsafe {
            (&raw mut (*owned.list).NetBufferListInfo)
                .cast::<PVOID>()
                .add(entry.0 as usize)
        };
        let list = owned.single::<FromAbove>();
        // SAFETY: (NBL-1) as above.
        unsafe { place.write(core::ptr::without_provenance_mut(word)) };
        let asks = list.asks_for_tasks();
        // SAFETY: (NBL-1) as above.
        unsafe { place.write(core::ptr::null_mut()) };
        core::mem::forget(list);
        asks
    };
    for bit in [2, 3, 4] {
        assert!(asks(TcpIpChecksumNetBufferListInfo, 1 << bit));
    }
    // The IP version and a place alone ask for nothing.
    assert!(!asks(TcpIpChecksumNetBufferListInfo, 0x3FF_0003));
    for entry in [TcpLargeSendNetBufferListInfo, UdpSegmentationOffloadInfo] {
        assert!(asks(entry, 1460));
        assert!(!asks(entry, 54 << 20));
    }
    assert!(!asks(Ieee8021QNetBufferListInfo, usize::MAX));
}
