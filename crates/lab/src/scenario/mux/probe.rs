//! Frames that say who sent them, and endpoints that send and hear such frames.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use lab_net::mix::Content;
use lab_net::vlan::{Tag, insert, strip};
use lab_net::{ETHERNET_HEADER, Endpoint, Frame, Mac, lock};

/// IEEE Std 802's local experimental EtherType 2.
const ETHERTYPE: u16 = 0x88b6;
const MAGIC: [u8; 4] = *b"LABp";
/// Octets of every probe without its tag: more than the smallest frame, less than
/// anybody's MTU.
const LENGTH: usize = 110;

/// The probe of this number, without a tag unless it gets one.
pub fn frame(serial: u32, source: Mac, to: Mac, tag: Option<Tag>) -> Frame {
    let mut frame = vec![0; LENGTH];
    frame[..6].copy_from_slice(&to.0);
    frame[6..12].copy_from_slice(&source.0);
    frame[12..14].copy_from_slice(&ETHERTYPE.to_be_bytes());
    frame[14..18].copy_from_slice(&MAGIC);
    frame[18..22].copy_from_slice(&serial.to_be_bytes());
    Content::new(u64::from(serial)).fill(0, &mut frame[22..]);
    match tag {
        Some(tag) => insert(&frame, tag).unwrap_or(frame),
        None => frame,
    }
}

/// A probe that was heard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Heard {
    /// Its number.
    pub serial: u32,
    /// The tag that was in it.
    pub tag: Option<Tag>,
    /// Whether every octet of it is as it was sent, but for the tag.
    pub sound: bool,
}

/// Reads a probe; frames of others are none.
pub fn read(seen: &[u8]) -> Option<Heard> {
    let (tag, plain) = match strip(seen) {
        Some((tag, plain)) => (Some(tag), plain),
        None => (None, seen.to_vec()),
    };
    let record = plain.get(ETHERNET_HEADER..)?;
    if plain.get(12..14)? != ETHERTYPE.to_be_bytes() || !record.starts_with(&MAGIC) {
        return None;
    }
    let serial = u32::from_be_bytes(*record.get(4..)?.first_chunk()?);
    let address = |at: usize| {
        let bytes = plain.get(at..)?.first_chunk()?;
        Some(Mac(*bytes))
    };
    let expected = frame(serial, address(6)?, address(0)?, None);
    Some(Heard {
        serial,
        tag,
        sound: expected == plain,
    })
}

/// What a post has to send, and what it heard.
#[derive(Default)]
pub struct Post {
    outbox: VecDeque<Frame>,
    /// How often each probe was heard.
    pub heard: BTreeMap<Heard, u32>,
    /// Whether it sends back what it hears.
    pub reflects: bool,
}

/// A post that several may hold.
#[derive(Clone, Default)]
pub struct Shared(pub Arc<Mutex<Post>>);

impl Shared {
    /// Orders a frame to be sent.
    pub fn send(&self, frame: Frame) {
        lock(&self.0).outbox.push_back(frame);
    }

    /// Whether everything ordered was sent.
    pub fn is_idle(&self) -> bool {
        lock(&self.0).outbox.is_empty()
    }

    /// What was heard since the last call.
    pub fn take(&self) -> BTreeMap<Heard, u32> {
        std::mem::take(&mut lock(&self.0).heard)
    }
}

impl Endpoint for Shared {
    fn on_frame(&mut self, _now: u64, frame: &[u8]) {
        let mut post = lock(&self.0);
        if let Some(heard) = read(frame) {
            *post.heard.entry(heard).or_default() += 1;
            if post.reflects {
                post.outbox.push_back(frame.to_vec());
            }
        }
    }

    fn poll(&mut self, _now: u64, out: &mut dyn FnMut(Frame) -> bool) {
        loop {
            let next = lock(&self.0).outbox.pop_front();
            let Some(frame) = next else { return };
            if !out(frame) {
                return;
            }
        }
    }

    fn next_poll(&mut self, now: u64) -> Option<u64> {
        (!self.is_idle()).then_some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_read_back_with_and_without_its_tag() {
        let (a, b) = (Mac::local(1, 1), Mac::BROADCAST);
        for tag in [None, Some(Tag::vlan(0)), Some(Tag::vlan(20))] {
            let probe = frame(77, a, b, tag);
            let heard = Heard {
                serial: 77,
                tag,
                sound: true,
            };
            assert_eq!(read(&probe), Some(heard));
            for at in 30..probe.len() {
                let mut changed = probe.clone();
                changed[at] ^= 1;
                assert!(!read(&changed).is_some_and(|heard| heard.sound), "{at}");
            }
            let longer = [&probe[..], &[0]].concat();
            assert!(!read(&longer).is_some_and(|heard| heard.sound));
            for end in 0..probe.len() {
                assert!(!read(&probe[..end]).is_some_and(|heard| heard.sound));
            }
        }
    }

    #[test]
    fn a_post_sends_hears_and_reflects() {
        let mut post = Shared::default();
        let probe = frame(1, Mac::local(1, 1), Mac::BROADCAST, None);
        post.send(probe.clone());
        let mut sent = Vec::new();
        assert_eq!(post.next_poll(5), Some(5));
        post.poll(5, &mut |frame| {
            sent.push(frame);
            true
        });
        assert_eq!(sent, std::slice::from_ref(&probe));
        assert!(post.is_idle());
        lock(&post.0).reflects = true;
        post.on_frame(6, &probe);
        post.on_frame(6, &[0; 60]);
        post.on_frame(6, &probe);
        assert_eq!(post.take().into_values().collect::<Vec<_>>(), [2]);
        assert!(!post.is_idle(), "it answers");
    }
}
