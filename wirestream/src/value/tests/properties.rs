use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i8>().prop_map(Value::from),
        any::<i128>().prop_map(Value::from),
        any::<u128>().prop_map(Value::from),
        any::<f32>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        any::<Vec<u8>>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |value| {
        let fields = prop_oneof![
            Just(Fields::Unit),
            vec(value.clone(), 0..4).prop_map(Fields::Tuple),
            vec((any::<String>(), value.clone()), 0..4).prop_map(Fields::Named),
        ];
        prop_oneof![
            vec(value.clone(), 0..6).prop_map(Value::from),
            vec((value.clone(), value.clone()), 0..6).prop_map(Value::Map),
            (any::<String>(), any::<Option<String>>(), fields)
                .prop_map(|(name, variant, fields)| Object { name, variant, fields }.into()),
            value.prop_map(|content| Value::Some(Box::new(content))),
        ]
    })
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Account {
    id: u128,
    initial: char,
    position: Option<(f32, f64)>,
    roles: Vec<Role>,
    settings: BTreeMap<(i8, String), Option<Option<bool>>>,
    parent: Option<Box<Account>>,
    extra: Value,
}

fn any_role() -> impl Strategy<Value = Role> {
    let leaf = prop_oneof![
        Just(Role::Guest),
        any::<u32>().prop_map(Role::Member),
        any::<(i8, u64)>().prop_map(|(from, to)| Role::Span(from, to)),
    ];
    leaf.prop_recursive(3, 8, 3, |role| {
        (any::<i128>(), vec(role, 0..3)).prop_map(|(since, over)| Role::Admin { since, over })
    })
}

fn any_account() -> impl Strategy<Value = Account> {
    let alone = (
        any::<(u128, char, Option<(f32, f64)>)>(),
        vec(any_role(), 0..3),
        btree_map(any::<(i8, String)>(), any::<Option<Option<bool>>>(), 0..4),
        any_value(),
    );
    let alone = alone.prop_map(|((id, initial, position), roles, settings, extra)| Account {
        id,
        initial,
        position,
        roles,
        settings,
        parent: None,
        extra,
    });
    vec(alone, 1..3).prop_map(|generations| {
        let parent_of = |parent, child| Some(Box::new(Account { parent, ..child }));
        *generations.into_iter().fold(None, parent_of).expect("at least one")
    })
}

proptest! {
    #[test]
    fn any_value_comes_back_over_the_wire(value in any_value()) {
        prop_assert_eq!(decode(&encode(&value)), Ok(value));
    }

    #[test]
    fn any_user_type_comes_back_through_a_value(account in any_account()) {
        let value = Value::object(&account).expect("a named type");
        let received = decode(&encode(&value)).expect("what was sent");
        prop_assert_eq!(received.to(), Ok(account));
    }

    #[test]
    fn whatever_bytes_hold_is_a_value_or_an_error(
        bytes in vec(prop_oneof![0_u8..16, any::<u8>()], 0..400),
    ) {
        if let Ok(value) = decode(&bytes) {
            let sent = encode(&value);
            prop_assert_eq!(encode(&decode(&sent).expect("what was sent")), sent);
            let _ = value.to_string();
            let _ = value.to::<Account>();
        }
    }
}
