//! Every dependency has a licence that is wanted, and no version that an advisory is about; every crate
//! builds without what others ask for.
//!
//! `dependencies.txt` says what is known of each package, and how to bring it up to date. Nothing here asks a
//! network: what a test needs is in the tree, or was downloaded to build it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use semver::{Version, VersionReq};
use serde_json::Value;

use super::root;

/// The licences that ask for no more than to be named, and so go with any program of a user.
const LICENCES: [&str; 12] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-3-Clause",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "NCSA",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// What a tool may have besides, which helps to build or to test and is no part of what is published.
const LICENCES_OF_TOOLS: [&str; 1] = ["MPL-2.0"];

/// Where versions are locked: the workspace, and the crates that are no part of it.
const LOCKS: [&str; 4] = [
    "Cargo.lock",
    "protocol/tests/no_std/Cargo.lock",
    "tests/hello-smol/Cargo.lock",
    "tests/hello-tokio/Cargo.lock",
];

/// What is known of a package.
#[derive(Debug, Default)]
struct Known<'a> {
    licence: &'a str,
    advisories: Vec<Advisory<'a>>,
}

#[derive(Debug)]
struct Advisory<'a> {
    id: &'a str,
    /// The versions that it does not cover.
    safe: Vec<VersionReq>,
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn known(text: &str) -> BTreeMap<&str, Known<'_>> {
    let mut packages: BTreeMap<_, Known<'_>> = BTreeMap::new();
    let mut last = None;
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut parts = line.split('|').map(str::trim);
        let first = parts.next().expect("a line has a first part");
        if line.starts_with(' ') {
            let safe = parts.map(|versions| VersionReq::parse(versions).expect("versions"));
            let advisory = Advisory { id: first, safe: safe.collect() };
            let package = last.and_then(|last| packages.get_mut(last)).expect("a package");
            package.advisories.push(advisory);
        } else {
            let licence = parts.next().unwrap_or_default();
            let known = Known { licence, advisories: Vec::new() };
            assert!(packages.insert(first, known).is_none(), "{first} is there twice");
            last = Some(first);
        }
    }
    packages
}

/// The packages of a `Cargo.lock` that come from elsewhere, with their versions.
fn locked(lock: &str) -> Vec<(&str, Version)> {
    let packages = lock.split("[[package]]").skip(1);
    let value = |package: &'_ str, key: &str| -> Option<String> {
        let mut lines = package.lines();
        let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "))?;
        Some(value.trim_matches('"').to_owned())
    };
    let from_elsewhere = packages.filter(|package| value(package, "source").is_some());
    let named = from_elsewhere.map(|package| {
        let version = value(package, "version").expect("a version");
        let (_, name) = package.split_once("name = \"").expect("a name");
        let (name, _) = name.split_once('"').expect("its end");
        (name, Version::parse(&version).expect("a version"))
    });
    named.collect()
}

/// What is wrong with the packages of a `Cargo.lock`.
fn faults(lock: &str, known: &BTreeMap<&str, Known<'_>>) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, version) in locked(lock) {
        let Some(package) = known.get(name) else {
            faults.push(format!("{name} is not in dependencies.txt: look it up"));
            continue;
        };
        if !allows(package.licence, &LICENCES) {
            faults.push(format!("the licence of {name} is `{}`", package.licence));
        }
        for Advisory { id, safe } in &package.advisories {
            if !safe.iter().any(|versions| versions.matches(&version)) {
                faults.push(format!("{id} is about {name} {version}"));
            }
        }
    }
    faults
}

/// Whether the licences allow what an SPDX expression says: `OR` leaves the choice, and `AND` binds tighter.
fn allows(expression: &str, licences: &[&str]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<_> = spaced.split_whitespace().collect();
    let mut rest = &words[..];
    any_of(&mut rest, licences) && rest.is_empty()
}

fn any_of(words: &mut &[&str], licences: &[&str]) -> bool {
    let mut allowed = all_of(words, licences);
    while let ["OR", rest @ ..] = words {
        *words = rest;
        allowed |= all_of(words, licences);
    }
    allowed
}

fn all_of(words: &mut &[&str], licences: &[&str]) -> bool {
    let mut allowed = one(words, licences);
    while let ["AND", rest @ ..] = words {
        *words = rest;
        allowed &= one(words, licences);
    }
    allowed
}

fn one(words: &mut &[&str], licences: &[&str]) -> bool {
    match *words {
        ["(", rest @ ..] => {
            *words = rest;
            let allowed = any_of(words, licences);
            let [")", rest @ ..] = words else { return false };
            *words = rest;
            allowed
        }
        [name, "WITH", exception, rest @ ..] => {
            *words = rest;
            licences.contains(&format!("{name} WITH {exception}").as_str())
        }
        [name, rest @ ..] => {
            *words = rest;
            licences.contains(name)
        }
        [] => false,
    }
}

/// What is wrong with the packages of a `package-lock.json`.
fn npm_faults(lock: &str) -> Vec<String> {
    let lock: Value = serde_json::from_str(lock).expect("JSON");
    let mut faults = Vec::new();
    for (path, package) in lock["packages"].as_object().expect("packages") {
        let licence = package["license"].as_str().unwrap_or_default();
        let is_tool = package["dev"] == true;
        let tools: &[&str] = if is_tool { &LICENCES_OF_TOOLS } else { &[] };
        if !allows(licence, &[&LICENCES[..], tools].concat()) {
            faults.push(format!("the licence of {path} is `{licence}`"));
        }
    }
    faults
}

#[test]
fn no_locked_version_is_under_an_advisory_or_an_unwanted_licence() {
    let text = read("tests/documents/dependencies.txt");
    let known = known(&text);
    assert!(known.values().map(|package| package.advisories.len()).sum::<usize>() > 50);
    for path in LOCKS {
        let lock = read(path);
        assert!(!locked(&lock).is_empty(), "{path} locks nothing");
        assert_eq!(faults(&lock, &known), [""; 0], "{path}");
    }
}

#[test]
fn every_package_has_the_licence_that_is_noted_of_it() {
    let text = read("tests/documents/dependencies.txt");
    let known = known(&text);
    // The packages of other platforms need not be here.
    let metadata = metadata(&["--all-features", "--filter-platform", &host()]);
    let mut compared = 0;
    for package in metadata["packages"].as_array().expect("packages") {
        if package["source"].is_null() {
            continue;
        }
        let name = package["name"].as_str().expect("a name");
        let noted = known.get(name).map(|package| package.licence);
        assert_eq!(noted, package["license"].as_str(), "{name}");
        compared += 1;
    }
    assert!(compared > 100, "only {compared} packages");
}

/// What cargo says of the workspace.
fn metadata(options: &[&str]) -> Value {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args(["metadata", "--format-version=1", "--locked"]).args(options);
    let output = cargo.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The platform that programs are built for where none is asked for.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("rustc says its host").to_owned()
}

#[test]
fn the_tests_build_every_crate_with_each_of_its_features_alone() {
    let script = read("test");
    let (_, listed) = script.split_once("<<'FEATURES'\n").expect("the list");
    let (listed, _) = listed.split_once("FEATURES\n").expect("its end");
    let listed: BTreeSet<_> = listed.lines().map(str::to_owned).collect();
    let metadata = metadata(&["--no-deps"]);
    let packages = metadata["packages"].as_array().expect("packages");
    let with_features = packages.iter().map(|package| {
        let features = package["features"].as_object().expect("features").keys();
        let features = features.filter(|feature| *feature != "default").map(String::as_str);
        let name = package["name"].as_str().expect("a name");
        [name].into_iter().chain(features).collect::<Vec<_>>().join(" ")
    });
    assert_eq!(listed, with_features.collect());
}

#[test]
fn every_package_of_the_web_client_has_a_licence_that_is_wanted() {
    assert_eq!(npm_faults(&read("client-web/package-lock.json")), [""; 0]);
}

#[test]
fn a_package_that_is_unknown_unwanted_or_under_an_advisory_is_found() {
    let known = known(
        "# comment\n\ngood | MIT\n    RUSTSEC-1 | >= 1.2.0 | < 1.1.0\n    RUSTSEC-2 | ^0.9.4 | >= 1.0.0\n\
         unwanted | MIT AND GPL-3.0\n",
    );
    let locked = |name: &str, version: &str| {
        let source = "source = \"registry\"";
        format!(
            "version = 4\n\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n{source}\n"
        )
    };
    let check = |name, version, fault: &[&str]| {
        assert_eq!(faults(&locked(name, version), &known), fault, "{name} {version}");
    };
    check("good", "1.2.0", &[]);
    check("good", "1.0.9", &[]);
    check("good", "1.1.5", &["RUSTSEC-1 is about good 1.1.5"]);
    check("good", "0.9.3", &["RUSTSEC-2 is about good 0.9.3"]);
    check("unwanted", "1.0.0", &["the licence of unwanted is `MIT AND GPL-3.0`"]);
    check("new", "1.0.0", &["new is not in dependencies.txt: look it up"]);

    // A crate of the workspace is from nowhere, and needs no entry.
    let member = "[[package]]\nname = \"ours\"\nversion = \"0.1.0\"\n";
    assert_eq!(faults(member, &known), [""; 0]);
}

#[test]
fn a_version_that_was_vulnerable_is_found_with_the_real_advisories() {
    let text = read("tests/documents/dependencies.txt");
    let known = known(&text);
    let lock = read("Cargo.lock");
    let (_, version) =
        locked(&lock).into_iter().find(|(name, _)| *name == "tungstenite").expect("it");
    let name = "name = \"tungstenite\"\nversion = ";
    let now = format!("{name}\"{version}\"");
    assert!(lock.contains(&now));
    let old = lock.replace(&now, &format!("{name}\"0.20.0\""));
    assert_eq!(faults(&old, &known), ["RUSTSEC-2023-0065 is about tungstenite 0.20.0"]);
}

#[test]
fn an_npm_package_is_found_without_a_licence_and_outside_of_the_tools_with_a_weak_copyleft() {
    let lock = |package: &str| format!(r#"{{"packages": {{"node_modules/it": {package}}}}}"#);
    let check = |package: &str, fault: &[&str]| {
        assert_eq!(npm_faults(&lock(package)), fault, "{package}");
    };
    check(r#"{"license": "MIT"}"#, &[]);
    check(r#"{"license": "MPL-2.0", "dev": true}"#, &[]);
    check(r#"{"license": "MPL-2.0"}"#, &["the licence of node_modules/it is `MPL-2.0`"]);
    check(
        r#"{"license": "GPL-3.0", "dev": true}"#,
        &["the licence of node_modules/it is `GPL-3.0`"],
    );
    check("{}", &["the licence of node_modules/it is ``"]);
}

#[test]
fn a_licence_is_read_as_spdx_says() {
    let check = |expression: &str, allowed: bool| {
        assert_eq!(allows(expression, &["A", "B", "B WITH X"]), allowed, "{expression}");
    };
    check("A", true);
    check("C", false);
    check("C OR A", true);
    check("C/A", true);
    check("A AND B", true);
    check("A AND C", false);
    check("A AND C OR B", true);
    check("A AND (C OR B)", true);
    check("A AND (C OR D)", false);
    check("(A OR C) AND C", false);
    check("B WITH X", true);
    check("A WITH X", false);
    check("", false);
    check("A AND", false);
    check("(A", false);
    check("A)", false);
    check("A B", false);
}
