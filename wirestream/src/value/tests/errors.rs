use super::*;

#[test]
fn say_how_the_data_does_not_fit() {
    fn check<T: DeserializeOwned + PartialEq + Debug>(value: impl Into<Value>, error: ValueError) {
        assert_eq!(value.into().to::<T>(), Err(error));
    }

    check::<bool>(
        1,
        ValueError::WrongType { expected: "a boolean".into(), found: "integer `1`".into() },
    );
    check::<(u8, u8)>(
        vec![Value::from(1)],
        ValueError::InvalidLength { expected: "a tuple of size 2".into(), found: 1 },
    );
    check::<(u8,)>(
        vec![Value::from(1), 2.into(), 3.into()],
        ValueError::InvalidLength { expected: "1 element in sequence".into(), found: 3 },
    );
    check::<Role>("Owner", ValueError::UnknownVariant("Owner".into()));
    check::<Player>(named("Player", &[]), ValueError::MissingField("name"));
    check::<Player>(
        named("Player", &[("name", "A".into()), ("name", "B".into())]),
        ValueError::DuplicateField("name"),
    );
    check::<Value>(nest(65, |content| vec![content].into()), ValueError::TooDeep);
}

#[test]
fn of_a_type_keep_their_words() {
    struct Stubborn;

    impl Serialize for Stubborn {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no"))
        }
    }

    assert_eq!(Value::from_serialize(&Stubborn), Err(ValueError::Custom("no".into())));
}
