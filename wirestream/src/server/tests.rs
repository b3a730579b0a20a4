use std::future::ready;

use super::*;
use crate::{Contract, NoError};

fn with_method(endpoint: Endpoint, name: &str) -> Endpoint {
    endpoint.unary(name, |_: Session, (): (), (): ()| ready(Ok::<(), NoError>(())))
}

fn build(endpoints: impl IntoIterator<Item = Endpoint>) -> Result<(), BuildError> {
    let builder = endpoints.into_iter().fold(Server::builder(), ServerBuilder::endpoint);
    builder.build().map(drop)
}

#[test]
fn two_things_of_one_name_are_told() {
    let (one, other) = (with_method(Endpoint::new("A"), "m"), with_method(Endpoint::new("B"), "m"));
    assert_eq!(build([one, other]), Ok(()));
    let twice = [Endpoint::new("A"), Endpoint::new("B"), Endpoint::new("A")];
    assert_eq!(build(twice), Err(BuildError::DuplicateEndpoint("A".into())));
    let twice = with_method(with_method(Endpoint::new("A"), "m"), "m");
    assert_eq!(build([twice]), Err(BuildError::DuplicateMethod("A.m".into())));
}

#[test]
fn a_contract_before_any_method_is_told() {
    let contract = Contract::new().unary::<(), NoError>();
    let early = with_method(Endpoint::new("A").contract(&contract), "m");
    assert_eq!(build([early]), Err(BuildError::StrayContract("A".into())));
    let alone = Endpoint::new("A").contract(&contract);
    assert_eq!(build([alone]), Err(BuildError::StrayContract("A".into())));
    let late = with_method(Endpoint::new("A"), "m").contract(&contract);
    assert_eq!(build([late]), Ok(()));
}

#[test]
fn limits_that_do_not_agree_are_told() {
    let limits = Limits { message: 0, ..Limits::default() };
    let error = limits.validate().unwrap_err();
    let built = Server::builder().limits(limits).build();
    assert_eq!(built.map(drop), Err(BuildError::Limits(error)));
}
