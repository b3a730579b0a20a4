use std::collections::BTreeMap;

use super::*;

#[test]
fn an_object_is_told_by_its_name() {
    let value = Value::object(&ann()).expect("a named type");
    assert_eq!(value.name(), Some("Player"));
    assert_eq!(value.variant(), None);
    assert_eq!(value.get("level"), Some(&Value::Int(3)));
    assert_eq!(value.to(), Ok(ann()));

    let value = Value::object(&Role::Member(1)).expect("a named type");
    assert_eq!((value.name(), value.variant()), (Some("Role"), Some("Member")));
    assert_eq!(Value::from("Player").name(), None);
}

#[test]
fn data_without_a_name_makes_no_object() {
    assert_eq!(Value::object(&5), Err(ValueError::Unnamed));
    assert_eq!(Value::object(&vec![ann()]), Err(ValueError::Unnamed));
    assert_eq!(Value::object(&Some(ann())).map(|value| value.name() == Some("Player")), Ok(true));
}

#[test]
fn an_object_serves_no_other_type() {
    fn check<T: DeserializeOwned + PartialEq + Debug>(
        object: &impl Serialize,
        expected: &'static str,
        found: &str,
    ) {
        let value = Value::object(object).expect("a named type");
        assert_eq!(value.to::<T>(), Err(ValueError::WrongName { expected, found: found.into() }));
        let list = Value::from(vec![value]);
        assert_eq!(
            list.to::<Vec<T>>(),
            Err(ValueError::WrongName { expected, found: found.into() })
        );
    }

    check::<Ping>(&ann(), "Ping", "Player");
    check::<Level>(&Point(0.0, 0.0), "Level", "Point");
    check::<Point>(&Level(1), "Point", "Level");
    check::<Player>(&Ping, "Player", "Ping");
    check::<Role>(&ann(), "Role", "Player");
    check::<Player>(&Role::Guest, "Player", "Role");
}

#[test]
fn a_struct_and_an_enum_of_one_name_are_not_confused() {
    mod other {
        #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        pub(super) struct Role {
            #[serde(default)]
            pub(super) rank: u8,
        }
    }

    let value = Value::object(&Role::Guest).expect("a named type");
    assert!(matches!(value.to::<other::Role>(), Err(ValueError::WrongType { .. })));
    let value = Value::object(&other::Role { rank: 1 }).expect("a named type");
    assert!(matches!(value.to::<Role>(), Err(ValueError::WrongType { .. })));
}

#[test]
fn data_without_a_name_serves_any_type_it_fits() {
    let map = Value::Map(vec![("name".into(), "Ann".into()), ("level".into(), 3.into())]);
    assert_eq!(map.to(), Ok(ann()));
    assert_eq!(Value::from(7).to(), Ok(Level(7)));
    assert_eq!(Value::from(vec![1.into(), Value::from(2)]).to(), Ok(Point(1.0, 2.0)));
    assert_eq!(Value::Null.to(), Ok(Ping));
    assert_eq!(Value::from("Guest").to(), Ok(Role::Guest));
    let member = |count| Value::Map(vec![("Member".into(), 5.into()); count]);
    assert_eq!(member(1).to(), Ok(Role::Member(5)));
    assert!(member(2).to::<Role>().is_err());
}

#[test]
fn a_type_without_a_name_takes_any_object_that_fits() {
    let player = Value::object(&ann()).expect("a named type");
    let fields = BTreeMap::from([("name", Value::from("Ann")), ("level", 3.into())]);
    assert_eq!(player.to(), Ok(fields));
    assert_eq!(Value::object(&Level(7)).and_then(|level| level.to()), Ok(7));
    assert_eq!(Value::object(&Point(0.5, 1.0)).and_then(|point| point.to()), Ok((0.5, 1.0)));
    assert_eq!(Value::object(&Role::Guest).and_then(|role| role.to()), Ok("Guest".to_owned()));
}
