use super::*;

/// The examples of `spec/value.md`. (R-VALUE-1)
#[test]
fn every_tag_has_its_bytes() {
    fn check(value: impl Into<Value>, hex: &str) {
        let value = value.into();
        assert_eq!(encode(&value), unhex(hex), "{value}");
        assert_eq!(decode(&unhex(hex)).as_ref(), Ok(&value));
    }

    check((), "00");
    check(true, "01 01");
    check(false, "01 00");
    check(0, "02 00");
    check(-1, "02 01");
    check(42, "02 54");
    check(-300, "02 d7 04");
    check(u128::MAX, "03 ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff 03");
    check(1.5_f32, "04 00 00 c0 3f");
    check(-0.1, "05 9a 99 99 99 99 99 b9 bf");
    check("Grüße", "06 07 47 72 c3 bc c3 9f 65");
    check(vec![0xde_u8, 0xad], "07 02 de ad");
    check(vec![Value::from(1), "a".into(), ().into()], "08 03 02 02 06 01 61 00");
    check(
        Value::Map(vec![("k".into(), 1.into()), (2.into(), true.into())]),
        "09 02 06 01 6b 02 02 02 04 01 01",
    );
    check(Some(()), "0b 00");
}

/// The examples of `spec/value.md`. (R-VALUE-1)
#[test]
fn every_shape_of_object_has_its_bytes() {
    fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(object: T, hex: &str) {
        let value = Value::object(&object).expect("a named type");
        assert_eq!(encode(&value), unhex(hex), "{value}");
        assert_eq!(decode(&unhex(hex)).expect("an example").to(), Ok(object));
    }

    check(Ping, "0a 04 50 69 6e 67 00 00");
    check(Level(7), "0a 05 4c 65 76 65 6c 00 01 01 02 0e");
    check(
        ann(),
        "0a 06 50 6c 61 79 65 72 00 02 02 04 6e 61 6d 65 06 03 41 6e 6e \
 05 6c 65 76 65 6c 02 06",
    );
    check(Role::Guest, "0a 04 52 6f 6c 65 01 05 47 75 65 73 74 00");
    check(Role::Span(-1, 2), "0a 04 52 6f 6c 65 01 04 53 70 61 6e 01 02 02 01 02 04");
}

/// R-VALUE-1.
#[test]
fn bytes_outside_of_the_layout_are_refused() {
    fn check(hex: &str) {
        assert!(decode(&unhex(hex)).is_err(), "{hex}");
    }

    check("");
    check("0c");
    check("ff ff ff ff 0f");
    check("80 80 80 80 10");
    check("01 02");
    check("02");
    check("02 ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff 04");
    check("04 00 00 c0");
    check("06 02 61");
    check("06 01 ff");
    check("08 02 00");
    check("09 01 00");
    check("0a 01 41 02 41 00");
    check("0a 01 41 00 03");
}

/// R-VALUE-2.
#[test]
fn only_integers_beyond_int_are_written_as_uint() {
    assert_eq!(Value::from(u128::MAX >> 1), Value::Int(i128::MAX));
    assert_eq!(Value::from((u128::MAX >> 1) + 1), Value::Uint(1 << 127));
    assert_eq!(Value::from_serialize(&5_u128), Ok(Value::Int(5)));
}

/// R-VALUE-2.
#[test]
fn a_small_uint_is_read_as_an_int() {
    assert_eq!(decode(&unhex("03 2a")), Ok(Value::Int(42)));
}

#[test]
fn small_integers_take_two_bytes() {
    for integer in -64..=63 {
        assert_eq!(encode(&Value::Int(integer)).len(), 2);
    }
}

#[test]
fn a_float_keeps_its_bits() {
    let nan = f64::from_bits(0x7ff0_0000_dead_beef);
    let Ok(Value::F64(read)) = decode(&encode(&Value::F64(nan))) else { panic!("a float") };
    assert_eq!(read.to_bits(), nan.to_bits());
}

#[test]
fn a_map_keeps_order_and_repeated_keys() {
    let map =
        Value::Map(vec![(2.into(), ().into()), (1.into(), ().into()), (2.into(), true.into())]);
    assert_eq!(decode(&encode(&map)), Ok(map));
}
