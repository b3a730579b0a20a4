use std::collections::BTreeMap;

use super::*;

fn containers() -> [fn(Value) -> Value; 4] {
    [
        |content| vec![content].into(),
        |content| Value::Map(vec![(content, Value::Null)]),
        |content| named("Node", &[("next", content)]),
        |content| Value::Some(Box::new(content)),
    ]
}

/// R-VALUE-3.
#[test]
fn depth_is_limited_in_reading() {
    let lists = |depth| [unhex("08 01").repeat(depth), vec![0]].concat();
    let somes = |depth| [vec![11; depth], vec![0]].concat();
    let keys = |depth| [unhex("09 01").repeat(depth), vec![0; depth + 1]].concat();
    let newtypes = |depth| [unhex("0a 00 00 01 01").repeat(depth), vec![0]].concat();

    for nested in [lists, somes, keys, newtypes] as [fn(usize) -> Vec<u8>; 4] {
        assert!(decode(&nested(Value::MAX_DEPTH)).is_ok());
        assert!(decode(&nested(Value::MAX_DEPTH + 1)).is_err());
    }
}

/// R-VALUE-3.
#[test]
fn depth_is_limited_in_writing() {
    for wrap in containers() {
        let deepest = nest(Value::MAX_DEPTH, wrap);
        assert_eq!(decode(&encode(&deepest)).as_ref(), Ok(&deepest));
        assert!(postcard::to_allocvec(&wrap(deepest)).is_err());
    }
}

/// R-VALUE-3.
#[test]
fn depth_is_limited_in_conversion() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Chain {
        End,
        Link(Option<Box<Chain>>),
    }

    let chain = |depth| (1..depth).fold(Chain::End, |next, _| Chain::Link(Some(Box::new(next))));
    let deepest = Value::from_serialize(&chain(Value::MAX_DEPTH)).expect("within the limit");
    assert_eq!(deepest.to(), Ok(chain(Value::MAX_DEPTH)));
    assert_eq!(decode(&encode(&deepest)), Ok(deepest));
    assert_eq!(Value::from_serialize(&chain(Value::MAX_DEPTH + 1)), Err(ValueError::TooDeep));
}

/// R-VALUE-3.
#[test]
fn a_chain_of_options_does_not_escape_the_depth() {
    #[derive(Serialize)]
    #[serde(transparent)]
    struct Link(Option<Box<Link>>);

    let chain = |depth| (0..depth).fold(Link(None), |next, _| Link(Some(Box::new(next))));
    let deepest = Value::from_serialize(&chain(Value::MAX_DEPTH)).expect("within the limit");
    assert_eq!(decode(&encode(&deepest)), Ok(deepest));
    assert_eq!(Value::from_serialize(&chain(Value::MAX_DEPTH + 1)), Err(ValueError::TooDeep));
    assert_eq!(Value::from_serialize(&chain(1_000)), Err(ValueError::TooDeep));
}

/// R-VALUE-3.
#[test]
fn a_value_within_a_type_counts_from_where_it_stands() {
    let value = nest(Value::MAX_DEPTH, |content| vec![content].into());
    assert_eq!(Value::from_serialize(&value), Ok(value.clone()));
    assert_eq!(Value::from_serialize(&[value]), Err(ValueError::TooDeep));
}

/// R-VALUE-4.
#[test]
fn elements_are_limited_in_reading() {
    // Lengths of 16,384 and 16,385.
    let list = |length: &str, nulls| [unhex(length), vec![0; nulls]].concat();
    assert!(decode(&list("08 80 80 01", 16_384)).is_ok());
    assert!(decode(&list("08 81 80 01", 16_385)).is_err());

    let lists = |count: u8| {
        [vec![8, count], [unhex("08 ff 01"), vec![0; 255]].concat().repeat(count.into())].concat()
    };
    assert!(decode(&lists(64)).is_ok());
    assert!(decode(&lists(65)).is_err());

    // Lengths of 8,192 and 8,193, where each item has another within.
    let somes = |length: &str, count| [unhex(length), unhex("0b 00").repeat(count)].concat();
    assert!(decode(&somes("08 80 40", 8_192)).is_ok());
    assert!(decode(&somes("08 81 40", 8_193)).is_err());
}

/// R-VALUE-4.
#[test]
fn elements_of_all_kinds_are_limited_in_writing_and_conversion() {
    fn check(make: impl Fn(usize) -> Value) {
        let largest = make(Value::MAX_ELEMENTS);
        assert_eq!(decode(&encode(&largest)).as_ref(), Ok(&largest));
        assert_eq!(Value::from_serialize(&largest).as_ref(), Ok(&largest));
        assert!(postcard::to_allocvec(&make(Value::MAX_ELEMENTS + 1)).is_err());
    }

    check(|count| vec![Value::Null; count].into());
    check(|count| Value::Map(vec![(Value::Null, Value::Null); count]));
    check(|count| named("Row", &vec![("", Value::Null); count]));
    check(|count| {
        let somes = vec![Value::from(Some(())); count / 2];
        [somes, vec![Value::Null; count % 2]].concat().into()
    });

    let items = |count| Value::from_serialize(&vec![false; count]).map(drop);
    assert_eq!(items(Value::MAX_ELEMENTS), Ok(()));
    assert_eq!(items(Value::MAX_ELEMENTS + 1), Err(ValueError::TooManyElements));
    let somes = |count| Value::from_serialize(&vec![Some(()); count]).map(drop);
    assert_eq!(somes(Value::MAX_ELEMENTS / 2), Ok(()));
    assert_eq!(somes(Value::MAX_ELEMENTS / 2 + 1), Err(ValueError::TooManyElements));
    let entries = |count| {
        Value::from_serialize(&(0..count).map(|key| (key, ())).collect::<BTreeMap<_, _>>())
            .map(drop)
    };
    assert_eq!(entries(Value::MAX_ELEMENTS), Ok(()));
    assert_eq!(entries(Value::MAX_ELEMENTS + 1), Err(ValueError::TooManyElements));
}

/// Whoever reserves what is declared here runs out of address space. (R-VALUE-5)
#[test]
fn a_declared_length_reserves_nothing() {
    for tag in ["06", "07", "08", "09", "0a", "0a 00 00 01", "0a 00 00 02"] {
        let bytes = [unhex(tag), unhex("ff ff ff ff ff ff ff ff ff 01 00 00")].concat();
        assert!(decode(&bytes).is_err(), "{tag}");
    }
}

/// R-VALUE-3.
#[test]
fn deep_hostile_bytes_are_refused_within_a_small_stack() {
    let hostile = || {
        for level in ["08 01", "09 01", "0b", "0a 00 00 01 01", "0a 00 00 02 01 00"] {
            assert!(decode(&unhex(level).repeat(50_000)).is_err(), "{level}");
            let deepest = [unhex(level).repeat(Value::MAX_DEPTH), vec![0; 65]].concat();
            let value = decode(&deepest).expect("within the limit");
            assert_eq!(Value::from_serialize(&value).as_ref(), Ok(&value));
            assert_eq!(value.to::<Value>().map(|value| value.to_string()), Ok(value.to_string()));
        }
    };
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(hostile);
    thread.expect("a thread").join().expect("no overflow");
}
