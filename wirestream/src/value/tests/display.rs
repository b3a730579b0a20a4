use super::*;

#[test]
fn text_stands_in_quotes_only_within_others() {
    assert_eq!(Value::from("Hello").to_string(), "Hello");
    assert_eq!(
        Value::from(vec!["a \"b\"".into(), Value::from(1)]).to_string(),
        r#"["a \"b\"", 1]"#
    );
    assert_eq!(Value::Map(vec![("k".into(), 1.into())]).to_string(), r#"{"k": 1}"#);
}

#[test]
fn long_bytes_are_shortened() {
    assert_eq!(Value::from(Vec::<u8>::new()).to_string(), "0x");
    assert_eq!(Value::from(vec![0xab_u8; 16]).to_string(), format!("0x{}", "ab".repeat(16)));
    assert_eq!(
        Value::from(vec![0xab_u8; 300]).to_string(),
        format!("0x{}… (300 bytes)", "ab".repeat(16))
    );
}

#[test]
fn empty_containers_print_as_such() {
    assert_eq!(Value::List(vec![]).to_string(), "[]");
    assert_eq!(Value::Map(vec![]).to_string(), "{}");
    assert_eq!(named("Empty", &[]).to_string(), "Empty");
}

#[test]
fn the_alternate_form_spreads_over_lines() {
    assert_eq!(format!("{:#}", Value::from(vec![Value::from(1)])), "[\n    1,\n]");
}
