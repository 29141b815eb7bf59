//! Names of virtual miniports: those that the registry lists against those that
//! are there. Pure; both sides are sorted once, so that a binding with thousands
//! of miniports is arranged in little more than linear time.

use crate::list::{List, sort_by};
use ndis::Result;
use ndis::multi_sz::names;
use ndis::string::{name_order, same_name};

/// A name that the registry lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed<'n> {
    /// The name.
    pub name: &'n [u16],
    /// Its place in the list.
    pub position: u32,
    /// Which of those that are there has it.
    pub found: Option<usize>,
}

/// What has to change.
#[derive(Debug, Default)]
pub struct Plan<'n> {
    /// The listed names in their order, each once.
    pub listed: List<Listed<'n>>,
    /// Which of those that are there are not listed, in their order.
    pub gone: List<usize>,
    /// Names that are listed more than once; the first place counts.
    pub doubled: u32,
}

/// Compares the listed names with those that are there. Fails for want of
/// memory only.
pub fn plan<'n>(units: &'n [u16], there: &[&[u16]]) -> Result<Plan<'n>> {
    // Every list has room for all that is put into it.
    let mut sorted = List::with_room(names(units).count())?;
    for (position, name) in names(units).enumerate() {
        let _room = sorted.push(Listed {
            name,
            position: position as u32,
            found: None,
        });
    }
    sort_by(&mut sorted, |a, b| {
        name_order(a.name, b.name).then_with(|| a.position.cmp(&b.position))
    });
    let mut doubled = 0_u32;
    let mut last: Option<&[u16]> = None;
    sorted.retain(|listed| {
        let same = last.is_some_and(|last| same_name(last, listed.name));
        doubled = doubled.saturating_add(u32::from(same));
        last = Some(listed.name);
        !same
    });

    let mut present = List::with_room(there.len())?;
    for (index, name) in there.iter().enumerate() {
        let _room = present.push((index, *name));
    }
    sort_by(&mut present, |(_, a), (_, b)| name_order(a, b));
    let mut gone = List::with_room(there.len())?;
    let mut rest = sorted.iter_mut().peekable();
    for (index, name) in present {
        while rest
            .next_if(|listed| name_order(listed.name, name).is_lt())
            .is_some()
        {}
        match rest.next_if(|listed| same_name(listed.name, name)) {
            Some(listed) => listed.found = Some(index),
            None => {
                let _room = gone.push(index);
            }
        }
    }
    sort_by(&mut sorted, |a, b| a.position.cmp(&b.position));
    sort_by(&mut gone, usize::cmp);
    Ok(Plan {
        listed: sorted,
        gone,
        doubled,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::String;
    use std::vec::Vec;

    fn wide(name: &str) -> Vec<u16> {
        name.encode_utf16().collect()
    }

    fn multi(names: &[String]) -> Vec<u16> {
        let mut units = Vec::new();
        for name in names {
            units.extend(name.encode_utf16());
            units.push(0);
        }
        units.push(0);
        units
    }

    #[test]
    fn case_does_not_count_and_the_first_place_does() {
        let units = multi(&["b".into(), "A".into(), "B".into()]);
        let there = [wide("a"), wide("c")];
        let there: Vec<&[u16]> = there.iter().map(Vec::as_slice).collect();
        let plan = plan(&units, &there).unwrap();
        assert_eq!(plan.doubled, 1);
        assert_eq!(&plan.gone[..], [1]);
        let listed: Vec<_> = plan
            .listed
            .iter()
            .map(|l| (String::from_utf16_lossy(l.name), l.position, l.found))
            .collect();
        assert_eq!(listed, [("b".into(), 0, None), ("A".into(), 1, Some(0))]);
    }

    proptest! {
        /// Against the plain, quadratic way.
        #[test]
        fn as_the_plain_way_does(
            listed in prop::collection::vec("[a-cA-C]{1,2}", 0..20),
            there in prop::collection::btree_set("[a-d]{1,2}", 0..20),
        ) {
            let units = multi(&listed);
            let there: Vec<Vec<u16>> = there.iter().map(|name| wide(name)).collect();
            let there: Vec<&[u16]> = there.iter().map(Vec::as_slice).collect();
            let plan = plan(&units, &there).unwrap();
            let same = |name: &str, other: &[u16]| same_name(&wide(name), other);
            let mut expected = Vec::new();
            for (position, name) in listed.iter().enumerate() {
                if !listed[..position].iter().any(|first| same(first, &wide(name))) {
                    let found = there.iter().position(|other| same(name, other));
                    expected.push((position as u32, found));
                }
            }
            let got: Vec<_> = plan.listed.iter().map(|l| (l.position, l.found)).collect();
            prop_assert_eq!(plan.doubled as usize, listed.len() - expected.len());
            prop_assert_eq!(got, expected);
            let gone: Vec<usize> = (0..there.len())
                .filter(|index| !listed.iter().any(|name| same(name, there[*index])))
                .collect();
            prop_assert_eq!(&plan.gone[..], &gone[..]);
        }
    }
}
