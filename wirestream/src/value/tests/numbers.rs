use super::*;

fn invalid<T: DeserializeOwned + PartialEq + Debug>(value: impl Into<Value>, expected: &str) {
    let value = value.into();
    let error =
        ValueError::InvalidValue { expected: expected.into(), found: format!("number `{value}`") };
    assert_eq!(value.to::<T>(), Err(error));
}

#[test]
fn an_integer_out_of_range_is_an_error() {
    invalid::<u8>(300, "u8");
    invalid::<u8>(-1, "u8");
    invalid::<i8>(128, "i8");
    invalid::<i64>(1_u64 << 63, "i64");
    invalid::<u64>(1_u128 << 64, "u64");
    invalid::<i128>(u128::MAX, "i128");
    invalid::<u128>(-1, "u128");
}

#[test]
fn an_integer_in_range_is_of_any_type() {
    assert_eq!(Value::from(255_u128).to(), Ok(255_u8));
    assert_eq!(Value::Uint(255).to(), Ok(255_u8));
    assert_eq!(Value::from(-128).to(), Ok(-128_i8));
    assert_eq!(Value::from(i64::MAX).as_i64(), Some(i64::MAX));
    assert_eq!(Value::from(u64::MAX).as_i64(), None);
}

#[test]
fn a_number_is_a_float_only_if_exact() {
    assert_eq!(Value::from(3).to(), Ok(3.0));
    assert_eq!(Value::from(-(1_i64 << 53)).to(), Ok(-9_007_199_254_740_992.0));
    assert_eq!(Value::from(i128::MIN).to(), Ok(-(2.0_f64.powi(127))));
    assert_eq!(Value::from(0.5).to(), Ok(0.5_f32));
    assert_eq!(Value::from(f64::INFINITY).to(), Ok(f32::INFINITY));
    assert_eq!(Value::from(0.1_f32).to(), Ok(f64::from(0.1_f32)));
    invalid::<f64>((1_i64 << 53) + 1, "f64");
    invalid::<f64>(i128::MAX, "f64");
    invalid::<f64>(u128::MAX, "f64");
    invalid::<f32>((1 << 24) + 1, "f32");
    invalid::<f32>(0.1, "f32");
    invalid::<f32>(f64::MAX, "f32");
}

#[test]
fn a_float_is_no_integer() {
    assert!(matches!(Value::from(3.0).to::<u8>(), Err(ValueError::WrongType { .. })));
    assert_eq!(Value::from(3.0).as_i64(), None);
}
