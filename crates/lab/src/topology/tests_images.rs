//! Images at any layer: what a file may say of them, and every mistake.

use super::tests::messages;
use super::*;

const SHIPPED: &str = include_str!("../../topologies/c-layers.toml");

/// The messages about the shipped file with one piece replaced, without their places.
fn changed(from: &str, to: &str) -> Vec<String> {
    assert!(SHIPPED.contains(from), "{from}");
    let all = messages(&SHIPPED.replacen(from, to, 1));
    let text = all
        .into_iter()
        .map(|m| m.split_once(": ").map_or(m.clone(), |(_, t)| t.to_owned()));
    text.collect()
}

#[test]
fn images_are_an_adapter_and_a_protocol() {
    let topology = Topology::parse("lab.toml".as_ref(), SHIPPED).expect("good");
    assert_eq!(topology.adapters[0].driver.as_deref(), Some("c-nic"));
    assert_eq!(topology.miniports[0].protocol.as_deref(), Some("c-proto"));
    let names: Vec<_> = topology.images.iter().map(|i| i.name.as_str()).collect();
    assert_eq!(names, ["c-nic", "c-proto"]);
}

#[test]
fn a_mistake_has_its_place_and_a_suggestion() {
    let all = messages(&SHIPPED.replacen("driver = \"c-nic\"", "driver = \"c-nik\"", 1));
    let line = SHIPPED
        .lines()
        .position(|l| l.starts_with("driver = "))
        .unwrap()
        + 1;
    let wanted = format!("{line}:10: there is no image named `c-nik`; did you mean `c-nic`?");
    assert!(all.iter().any(|m| m.starts_with(&wanted)), "{all:?}");
    // Nobody names the image then.
    assert!(
        all.iter()
            .any(|m| m.contains("no adapter and no miniport names the image `c-nic`"))
    );
}

#[test]
fn an_image_has_one_part() {
    let all = changed("protocol = \"c-proto\"", "protocol = \"c-nic\"");
    let part = |m: &String| {
        m.contains("is the `driver` of an adapter in line") && m.contains("`protocol`")
    };
    assert!(all.iter().any(part), "{all:?}");
}

#[test]
fn the_driver_decides_what_the_adapter_is() {
    let all = changed("driver = \"c-nic\"", "driver = \"c-nic\"\nmtu = 9000");
    assert_eq!(
        all,
        ["`mtu` in [[adapter]] is for the lab's adapter: `c-nic` decides"]
    );
    let all = changed(
        "protocol = \"c-proto\"",
        "protocol = \"c-proto\"\nwindow = 9",
    );
    assert_eq!(
        all,
        ["`window` in [[miniport]] is for the lab's protocol: `c-proto` does as it likes"]
    );
}

#[test]
fn an_image_is_a_sys_and_bound() {
    let all = changed("file = \"c-nic.sys\"", "file = \"c-nic.dll\"");
    assert_eq!(all, ["`file` = \"c-nic.dll\" in [[image]] is no .sys"]);
    let all = changed("adapter = \"nic0\"\nupper", "adapter = \"nic1\"\nupper");
    assert!(
        all.iter()
            .any(|m| m.contains("nothing is bound to adapter `nic0`")),
        "{all:?}"
    );
}
