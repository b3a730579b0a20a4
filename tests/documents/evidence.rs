//! What the documents name as evidence is there.

use std::collections::BTreeSet;

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
