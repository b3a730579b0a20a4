//! What the documents name as evidence is there.

use std::collections::BTreeSet;
use std::path::Path;

use super::root;

/// The names of all functions in the tree's Rust files.
fn functions() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut folders = vec![root().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let is_code = path.extension().is_some_and(|extension| extension == "rs");
            if path.is_dir() && !["target", "node_modules", ".git"].contains(&name) {
                folders.push(path);
            } else if is_code {
                let text = std::fs::read_to_string(&path).expect("text");
                let after = text.split("fn ").skip(1);
                let name = |rest: &str| rest.split_once('(').map(|(name, _)| name.to_owned());
                names.extend(after.filter_map(name));
            }
        }
    }
    names
}

#[test]
fn every_test_that_stands_for_a_promise_exists() {
    let text = std::fs::read_to_string(root().join("tests/HOSTILE.md")).expect("the document");
    let functions = functions();
    let is_test = |word: &&str| word.contains('_') && !word.contains([':', ' ', '/', '(']);
    let named: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with('|'))
        .filter_map(|line| line.rsplit('|').nth(1))
        .flat_map(|tests| tests.split('`').skip(1).step_by(2))
        .filter(is_test)
        .collect();
    assert!(named.len() > 80, "{}", named.len());
    let missing: Vec<_> = named.iter().filter(|name| !functions.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The lines of the file that each hunk of a patch stands on.
fn stands_on(patch: &str) -> Vec<(&str, String)> {
    let mut hunks: Vec<(&str, String)> = Vec::new();
    let mut file = "";
    for line in patch.lines() {
        if let Some(path) = line.strip_prefix("--- a/") {
            file = path;
        } else if line.starts_with("@@ ") {
            hunks.push((file, String::new()));
        } else if let Some((_, lines)) = hunks.last_mut()
            && let Some(line) = line.strip_prefix(['-', ' '])
            && !line.starts_with("-- ")
        {
            lines.push_str(line);
            lines.push('\n');
        }
    }
    hunks
}

#[test]
fn every_bug_that_is_planted_can_still_be_planted() {
    let folder = root().join("tests/plants");
    let is_patch = |path: &Path| path.extension().is_some_and(|extension| extension == "patch");
    let entries = std::fs::read_dir(folder).expect("the folder");
    let patches: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    let (mut count, mut stale) = (0, Vec::new());
    for path in patches.iter().filter(|path| is_patch(path)) {
        count += 1;
        let patch = std::fs::read_to_string(path).expect("text");
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        assert!(patch.lines().nth(1).is_some_and(|line| line.starts_with("Rigs: ")), "{name}");
        let hunks = stands_on(&patch);
        assert!(!hunks.is_empty(), "{name}");
        let is_there = |(file, lines): &(&str, String)| {
            let text = std::fs::read_to_string(root().join(file)).expect("the patched file");
            text.contains(lines)
        };
        stale.extend((!hunks.iter().all(is_there)).then(|| name.to_owned()));
    }
    assert!(count >= 40, "{count}");
    assert!(stale.is_empty(), "{stale:?}");
}
