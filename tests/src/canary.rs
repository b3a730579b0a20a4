//! One token that is easy to recognise. No output of the tests may show it, in any form.

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, Encoding, HEXLOWER, HEXUPPER};

/// The token of every scenario that has one, or a part of it.
pub const CANARY: &str = "canary-5Qx7ePz2WvB9";

/// The forms in which `text` shows the canary, each with the number of its first line.
pub fn seen_in(text: &str) -> Vec<(String, usize)> {
    let seen = forms().into_iter().filter_map(|(name, form)| {
        let (before, _) = text.split_once(&*form)?;
        Some((name, before.matches('\n').count() + 1))
    });
    seen.collect()
}

/// What it may look like.
fn forms() -> Vec<(String, String)> {
    let bytes = CANARY.as_bytes();
    let numbers = format!("{bytes:?}").trim_matches(['[', ']']).to_owned();
    let mut forms = vec![
        ("text".into(), CANARY.into()),
        ("hex".into(), HEXLOWER.encode(bytes)),
        ("hex in capitals".into(), HEXUPPER.encode(bytes)),
        ("a list of numbers".into(), numbers),
    ];
    for before in 0..3 {
        let name = |kind| format!("{kind}, {before} bytes into three");
        forms.push((name("base64"), within(&BASE64_NOPAD, before)));
        forms.push((name("base64 for URLs"), within(&BASE64URL_NOPAD, before)));
    }
    forms
}

/// What is sure of the canary's encoding, behind so many bytes and before others.
fn within(base64: &Encoding, before: usize) -> String {
    let bytes = [&vec![0; before], CANARY.as_bytes()].concat();
    let (first, last) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
    base64.encode(&bytes)[first..last].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_seen_in_each_form_wherever_it_stands() {
        for before in 0..7 {
            let token = format!("{}{CANARY}, and more", "x".repeat(before));
            let bytes = token.as_bytes();
            for shown in [
                token.clone(),
                format!("{token:?}"),
                format!("{bytes:?}"),
                HEXLOWER.encode(bytes),
                HEXUPPER.encode(bytes),
                BASE64_NOPAD.encode(bytes),
                BASE64URL_NOPAD.encode(bytes),
                data_encoding::BASE64.encode(bytes),
            ] {
                let text = format!("first line\nsecond\nToken({shown})\nlast");
                let seen = seen_in(&text);
                assert!(!seen.is_empty(), "{shown}");
                assert!(seen.iter().all(|(_, line)| *line == 3), "{seen:?}");
            }
        }
    }

    #[test]
    fn it_is_not_seen_where_it_is_not() {
        let text = "Token(..)\ncanary\n63616e617279\n[99, 97, 110]\nY2FuYXJ5";
        assert_eq!(seen_in(text), []);
    }
}
