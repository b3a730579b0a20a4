use syn::{ImplItem, Item};

use super::*;

/// The items that come out.
fn expanded(item: &ItemTrait) -> Vec<Item> {
    let methods: syn::Result<Vec<_>> = item
        .items
        .iter()
        .map(|item| match item {
            TraitItem::Fn(function) => Method::parse(function, None),
            _ => panic!("no method"),
        })
        .collect();
    let options = Options::new(parse_quote!(::wirestream));
    let tokens = Endpoint::new(item, &methods.expect("methods"), &options).expand();
    syn::parse2::<syn::File>(tokens).expect("items").items
}

fn said(tokens: &impl ToTokens) -> String {
    tokens.to_token_stream().to_string()
}

#[test]
fn what_a_method_says_of_itself_is_said_by_the_client_too() {
    let item: ItemTrait = parse_quote! {
        trait Example {
            #[cfg(all())]
            /// Adds up.
            ///
            /// To the end.
            async fn sum(&self, session: &Session, numbers: Receiver<i64>) -> i64;
        }
    };
    let TraitItem::Fn(method) = &item.items[0] else { panic!("no method") };
    let client = expanded(&item).into_iter().find_map(|item| match item {
        Item::Impl(item) if said(&item.self_ty) == "ExampleClient" => Some(item),
        _ => None,
    });
    let sum = client.expect("a client").items.into_iter().find_map(|item| match item {
        ImplItem::Fn(function) if function.sig.ident == "sum" => Some(function),
        _ => None,
    });
    let attributes: Vec<_> = sum.expect("the method").attrs.iter().map(said).collect();
    assert_eq!(attributes[..4], method.attrs.iter().map(said).collect::<Vec<_>>());
}
