//! Holds the specification, the code and the tests together: every rule is defined once in
//! `spec/`, cited where the code keeps it, and cited where a test checks it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Where ids stand, each with its files.
type Places = BTreeMap<String, BTreeSet<PathBuf>>;

#[test]
fn every_rule_is_defined_once_kept_by_code_and_checked_by_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (defined, twice) = definitions(root);
    let (code, tests) = citations(root);
    let none = Places::new();
    let mut report = String::new();
    list(&mut report, "defined twice", &twice, &none);
    list(&mut report, "cited in code, not defined", &code, &defined);
    list(&mut report, "cited in a test, not defined", &tests, &defined);
    list(&mut report, "defined, not cited in code", &defined, &code);
    list(&mut report, "defined, not cited in a test", &defined, &tests);
    assert!(defined.len() > 60, "the definitions are not found: {}", defined.len());
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn ids_are_told_from_what_looks_like_them() {
    let found = |text| ids(text).collect::<Vec<_>>();
    assert_eq!(found("(R-CALL-1, R-CALL-12)."), ["R-CALL-1", "R-CALL-12"]);
    assert!(found("R-CALL R--1 R-call-1 XR-CALL-1 AR-1 R-CALL-").is_empty());
    assert_eq!(definition("**R-CALL-1** A frame"), Some("R-CALL-1"));
    assert_eq!(definition("as R-CALL-1 says, **R-CALL-1**"), None);
}

/// Adds those of `ids` that `others` lacks.
fn list(report: &mut String, title: &str, ids: &Places, others: &Places) {
    let missing: Vec<_> = ids.iter().filter(|(id, _)| !others.contains_key(*id)).collect();
    if missing.is_empty() {
        return;
    }
    writeln!(report, "{title}:").unwrap();
    for (id, files) in missing {
        let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        writeln!(report, "  {id}  {}", files.join(", ")).unwrap();
    }
}

/// The ids that `spec/*.md` defines, and those among them that it defines more than once.
fn definitions(root: &Path) -> (Places, Places) {
    let mut defined = Places::new();
    let mut twice = Places::new();
    for file in files(&root.join("spec"), "md") {
        let text = std::fs::read_to_string(&file).unwrap();
        let file = file.strip_prefix(root).unwrap();
        for id in text.lines().filter_map(definition) {
            if defined.contains_key(id) {
                cite(&mut twice, id, file);
            }
            cite(&mut defined, id, file);
        }
    }
    (defined, twice)
}

/// The ids that the workspace's code cites, and those that its tests and vectors do.
fn citations(root: &Path) -> (Places, Places) {
    let mut code = Places::new();
    let mut tests = Places::new();
    for file in [files(root, "rs"), files(&root.join("spec/vectors"), "json")].concat() {
        let text = std::fs::read_to_string(&file).unwrap();
        let file = file.strip_prefix(root).unwrap();
        if file == Path::new(file!()) {
            continue; // its own samples prove nothing
        }
        let parts: Vec<_> = file.iter().collect();
        let is_test =
            |part: &&OsStr| ["tests", "tests.rs", "vectors"].iter().any(|name| part == name);
        let places = if parts.iter().any(is_test) {
            &mut tests
        } else if parts.get(1).is_some_and(|&part| part == "src") {
            &mut code
        } else {
            continue;
        };
        for id in ids(&text) {
            cite(places, id, file);
        }
    }
    (code, tests)
}

fn cite(places: &mut Places, id: &str, file: &Path) {
    places.entry(id.into()).or_default().insert(file.into());
}

/// The id of the rule whose paragraph begins with this line.
fn definition(line: &str) -> Option<&str> {
    let (id, _) = line.strip_prefix("**")?.split_once("**")?;
    ids(id).next().filter(|&found| found == id)
}

/// Everything in a text that looks like `R-`, capitals, `-`, digits.
fn ids(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    text.split(move |c| !is_part(c)).filter(|word| {
        let mut parts = word.split('-');
        let is = |part: Option<&str>, kind: fn(&u8) -> bool| {
            part.is_some_and(|part| !part.is_empty() && part.as_bytes().iter().all(kind))
        };
        parts.next() == Some("R")
            && is(parts.next(), u8::is_ascii_uppercase)
            && is(parts.next(), u8::is_ascii_digit)
            && parts.next().is_none()
    })
}

/// All files with this extension below a folder, but for what was built and what is hidden.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy();
            if name == "target" || name.starts_with('.') {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
