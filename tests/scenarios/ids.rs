//! Every scenario of groups A to J has a test that begins with its id, on each transport.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The ids, each with what it is about.
const IDS: &str = include_str!("ids.txt");

/// The files of a folder, beside this crate's manifest.
fn sources(folder: &str) -> impl Iterator<Item = String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let sources = files.filter(|file| file.extension().is_some_and(|end| end == "rs"));
    sources.map(|file| fs::read_to_string(file).unwrap())
}

/// The names of the tests within `scenarios!`, and of those that each adapter has: what is about a
/// handshake.
fn tests() -> Vec<String> {
    let names = sources("scenarios").flat_map(|source| {
        let list = source.split_once("\nscenarios! {\n").map_or("", |(_, rest)| rest);
        let list = list.split_once('}').map_or("", |(list, _)| list);
        list.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>()
    });
    let adapters = sources("../transport-websocket/tests/shared").flat_map(|source| {
        let functions = source.lines().filter_map(|line| line.split_once("fn ")?.1.split_once('('));
        functions.map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
    });
    names.chain(adapters).filter(|name| !name.is_empty()).collect()
}

#[test]
fn every_scenario_has_a_test_on_each_transport() {
    let tests = tests();
    let mut missing = Vec::new();
    for line in IDS.lines() {
        let (id, _about) = line.split_once(' ').expect("an id and what it is about");
        let prefix = format!("{}_", id.to_lowercase());
        let of: Vec<_> = tests.iter().filter(|test| test.starts_with(&prefix)).collect();
        println!("{line}: {of:?}");
        if of.is_empty() {
            missing.push(line);
        }
    }
    assert!(missing.is_empty(), "no test: {missing:#?}");
}

#[test]
fn every_test_of_these_groups_has_a_scenario() {
    let ids: BTreeSet<_> =
        IDS.lines().filter_map(|line| line.split(' ').next()).map(str::to_lowercase).collect();
    for test in tests() {
        let id = test.split('_').next().unwrap_or_default();
        let (group, number) = id.split_at(1);
        let is_id = ('a'..='j').any(|letter| group.starts_with(letter))
            && !number.is_empty()
            && number.bytes().all(|digit| digit.is_ascii_digit());
        assert!(!is_id || ids.contains(id), "{test} is of no scenario");
    }
}
