//! What comes out: the trait, its contract, its client and its server.

#[cfg(test)]
mod tests;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::{
    FnArg, ItemTrait, LitStr, Pat, Path, ReturnType, TraitItem, TraitItemFn, Type, parse_quote,
};

use crate::method::{Input, InputKind, Method, StreamType};
use crate::options::{Access, Marks, Options};

pub(crate) struct Endpoint<'a> {
    item: &'a ItemTrait,
    methods: &'a [Method],
    krate: &'a Path,
    access: Option<&'a Access>,
    name: LitStr,
    client: Ident,
    server: Ident,
    contract: Ident,
}

impl<'a> Endpoint<'a> {
    pub(crate) fn new(item: &'a ItemTrait, methods: &'a [Method], options: &'a Options) -> Self {
        let ident = &item.ident;
        let name = options.name.clone();
        Self {
            item,
            methods,
            krate: &options.krate,
            access: options.access.as_ref(),
            name: name.unwrap_or_else(|| LitStr::new(&ident.to_string(), ident.span())),
            client: format_ident!("{ident}Client"),
            server: format_ident!("{ident}Server"),
            contract: format_ident!("{ident}Contract"),
        }
    }

    pub(crate) fn expand(&self) -> TokenStream {
        let parts = [self.service(), self.contracts(), self.client(), self.server()];
        parts.into_iter().collect()
    }

    /// The trait, its replies `Send`, its defaults filled in.
    fn service(&self) -> TokenStream {
        let mut item = without_marks(self.item);
        let supertraits: [syn::TypeParamBound; 3] = [
            parse_quote!(::core::marker::Send),
            parse_quote!(::core::marker::Sync),
            parse_quote!('static),
        ];
        item.colon_token.get_or_insert_default();
        item.supertraits.extend(supertraits);
        let functions = item.items.iter_mut().filter_map(|item| match item {
            TraitItem::Fn(function) => Some(function),
            _ => None,
        });
        functions.zip(self.methods).for_each(|(function, method)| self.method(function, method));
        item.into_token_stream()
    }

    fn method(&self, function: &mut TraitItemFn, method: &Method) {
        let krate = self.krate;
        let whole = &method.reply.whole;
        if method.marks.optional {
            let names = argument_names(function);
            function.semi_token = None;
            function.default = Some(parse_quote!({
                let _ = (#(#names,)*);
                #krate::NotImplemented::<#whole>::new()
            }));
        }
        if function.sig.asyncness.take().is_none() {
            if let ReturnType::Type(_, ty) = &mut function.sig.output
                && let Type::ImplTrait(reply) = &mut **ty
            {
                reply.bounds.push(parse_quote!(::core::marker::Send));
            }
            return;
        }
        function.sig.output = parse_quote! {
            -> impl ::core::future::Future<Output = #whole> + ::core::marker::Send
        };
        if let (false, Some(body)) = (method.marks.optional, function.default.take()) {
            // All parameters move into the future, as they do into that of an `async fn`.
            let moves = function.sig.inputs.iter_mut().filter_map(|input| {
                let FnArg::Typed(input) = input else { return None };
                let Pat::Ident(pattern) = &mut *input.pat else { return None };
                let (mutability, ident) = (pattern.mutability.take(), &pattern.ident);
                Some(quote!(let #mutability #ident = #ident;))
            });
            let moves: Vec<_> = moves.collect();
            function.default = Some(parse_quote!({ async move { #(#moves)* #body } }));
        }
    }

    fn contracts(&self) -> TokenStream {
        let Self { item, krate, contract, .. } = self;
        let (vis, trait_name) = (&item.vis, &item.ident);
        let contracts = self.methods.iter().map(|method| {
            let (ident, cfgs) = (&method.ident, &method.cfgs);
            let inputs = method.inputs.iter().map(|input| {
                let name = plain(&input.ident);
                match &input.kind {
                    InputKind::Argument(ty) => quote!(.argument::<#ty>(#name)),
                    InputKind::Stream(stream) => {
                        let (item, error) = self.stream(stream);
                        quote!(.parameter::<#item, #error>(#name))
                    }
                    InputKind::OptionalStream(stream) => {
                        let (item, error) = self.stream(stream);
                        quote!(.optional_parameter::<#item, #error>(#name))
                    }
                }
            });
            let value = &method.reply.value;
            let error = self.error(method.reply.told_error());
            let reply = match method.reply.is_stream {
                true => quote!(.stream::<#value, #error>()),
                false => quote!(.unary::<#value, #error>()),
            };
            let compatible = method
                .marks
                .compatible
                .iter()
                .map(|number| quote!(.compatible_with(#krate::Fingerprint::new(#number))));
            let doc = format!("What both sides of [`{trait_name}::{ident}`] agree on.");
            quote! {
                #(#cfgs)*
                #[doc = #doc]
                #[allow(dead_code)]
                #vis fn #ident() -> &'static #krate::Contract {
                    static CONTRACT: ::std::sync::LazyLock<#krate::Contract> =
                        ::std::sync::LazyLock::new(|| {
                            #krate::Contract::new() #(#inputs)* #reply #(#compatible)*
                        });
                    &CONTRACT
                }
            }
        });
        let doc = format!("What callers and server of [`{trait_name}`] agree on.");
        quote! {
            #[doc = #doc]
            #[derive(Clone, Copy, Debug)]
            #vis struct #contract;

            impl #contract { #(#contracts)* }
        }
    }

    fn client(&self) -> TokenStream {
        let Self { item, krate, client, contract, .. } = self;
        let (vis, trait_name) = (&item.vis, &item.ident);
        let calls = self.methods.iter().map(|method| {
            let Method { ident, docs, cfgs, reply, .. } = method;
            let inputs = method.inputs.iter().map(|input| self.client_input(input));
            let arguments = method.arguments().map(|(name, _)| name);
            let parameters = method.inputs.iter().filter_map(|input| {
                let name = &input.ident;
                match &input.kind {
                    InputKind::Argument(_) => None,
                    InputKind::Stream(_) => Some(quote!(.parameter(#name))),
                    InputKind::OptionalStream(_) => Some(quote!(.optional_parameter(#name))),
                }
            });
            let value = &reply.value;
            let error = reply.told_error().map(|error| quote!(, #error));
            let (returned, last) = match reply.is_stream {
                true => (quote!(Receiver), quote!(stream_with_error)),
                false => (quote!(Unary), quote!(unary_with_error)),
            };
            let anonymous = match self.access(method) {
                Some(Access::Anonymous) => quote!(.anonymous()),
                Some(Access::Public | Access::Login | Access::Scopes(_)) | None => quote!(),
            };
            let full_name = format!("{}.{}", self.name.value(), plain(ident));
            quote! {
                #(#cfgs)*
                #(#docs)*
                #[allow(dead_code, clippy::too_many_arguments)]
                #vis fn #ident(&self, #(#inputs),*) -> #krate::#returned<#value #error> {
                    self.client
                        .call(#full_name)
                        .contract(#contract::#ident())
                        .arguments(&(#(#arguments,)*))
                        #(#parameters)*
                        #anonymous
                        .#last()
                }
            }
        });
        let doc = format!(
            "Calls the methods of [`{trait_name}`] on a server. Each returns at once; nothing \
             waits for the connection to be made. Clones share the connection."
        );
        let new_doc = format!("Calls `{trait_name}` over the connection of `client`.");
        quote! {
            #[doc = #doc]
            #[derive(Clone, Debug)]
            #vis struct #client {
                client: #krate::Client,
            }

            impl #client {
                #[doc = #new_doc]
                #[allow(dead_code)]
                #vis fn new(client: impl ::core::convert::Into<#krate::Client>) -> Self {
                    Self { client: client.into() }
                }

                #(#calls)*
            }
        }
    }

    fn client_input(&self, input: &Input) -> TokenStream {
        let krate = self.krate;
        let name = &input.ident;
        match &input.kind {
            InputKind::Argument(ty) => quote!(#name: #ty),
            InputKind::Stream(stream) => {
                let (item, error) = self.stream(stream);
                quote! {
                    #name: impl #krate::IntoParameter<Item = #item> + #krate::FailsWith<#error>
                }
            }
            // A concrete type, so that `None` says all.
            InputKind::OptionalStream(stream) => {
                let (item, error) = self.stream(stream);
                quote!(#name: ::core::option::Option<#krate::Parameter<#item, #error>>)
            }
        }
    }

    fn server(&self) -> TokenStream {
        let Self { item, krate, server, name, .. } = self;
        let (vis, trait_name) = (&item.vis, &item.ident);
        // Names that no method can see or hide.
        let [service, endpoint] = ["service", "endpoint"].map(local);
        let methods = self.methods.iter().map(|method| self.handler(method, &service, &endpoint));
        let doc = format!(
            "Serves a [`{trait_name}`]: what [`ServerBuilder::endpoint`]\
             ({path}::ServerBuilder::endpoint) takes.",
            path = krate.to_token_stream().to_string().replace(' ', ""),
        );
        quote! {
            #[doc = #doc]
            #[derive(Debug)]
            #vis struct #server<S> {
                service: ::std::sync::Arc<S>,
            }

            impl<S: #trait_name> #server<S> {
                /// Serves `service`.
                #[allow(dead_code)]
                #vis fn new(service: S) -> Self {
                    Self::shared(::std::sync::Arc::new(service))
                }

                /// Serves a `service` that is used elsewhere too.
                #[allow(dead_code)]
                #vis fn shared(service: ::std::sync::Arc<S>) -> Self {
                    Self { service }
                }
            }

            impl<S: #trait_name> ::core::convert::From<#server<S>> for #krate::Endpoint {
                fn from(#server { service: #service }: #server<S>) -> Self {
                    let #endpoint = #krate::Endpoint::new(#name);
                    #(#methods)*
                    ::core::mem::drop(#service);
                    #endpoint
                }
            }
        }
    }

    /// Adds a method to the endpoint.
    fn handler(&self, method: &Method, service: &Ident, endpoint: &Ident) -> TokenStream {
        let Self { krate, contract, .. } = self;
        let Method { ident, cfgs, reply, .. } = method;
        let name = plain(ident);
        let [call, accepted, session] = ["call", "accepted", "session"].map(local);
        let (arguments, types): (Vec<_>, Vec<_>) = method.arguments().unzip();
        let streams = method.inputs.iter().filter_map(|input| {
            let (item, error) = self.stream(input.stream()?);
            let receiver = quote!(#krate::Receiver<#item, #error>);
            let receiver = match &input.kind {
                InputKind::OptionalStream(_) => quote!(::core::option::Option<#receiver>),
                InputKind::Stream(_) | InputKind::Argument(_) => receiver,
            };
            Some((&input.ident, receiver))
        });
        let (parameters, receivers): (Vec<_>, Vec<_>) = streams.unzip();
        let inputs: Vec<_> = method.inputs.iter().map(|input| &input.ident).collect();
        let value = &reply.value;
        let verb = match (reply.is_stream, &reply.error) {
            (true, Some(error)) => quote!(reply_stream::<#value, #error>),
            (true, None) => quote!(reply_items),
            (false, Some(error)) => quote!(reply_value::<#value, #error>),
            (false, None) => quote!(reply_item),
        };
        let access = self.access(method).map(|access| match access {
            Access::Public => quote!(.access(#krate::Access::Public)),
            Access::Anonymous => quote!(.access(#krate::Access::Anonymous)),
            Access::Login => quote!(.access(#krate::Access::Login)),
            Access::Scopes(scopes) => quote!(.access(#krate::Access::scopes([#(#scopes),*]))),
        });
        let added = quote! {
            #endpoint.method(#name, {
                let #service = ::std::sync::Arc::clone(&#service);
                move |#call| {
                    let #service = ::std::sync::Arc::clone(&#service);
                    async move {
                        let ::core::option::Option::Some((
                            #accepted,
                            (#(#arguments,)*),
                            (#(#parameters,)*),
                        )) = #call.prepare::<(#(#types,)*), (#(#receivers,)*)>()
                        else {
                            return;
                        };
                        let #session = #accepted.session().clone();
                        #accepted.#verb(S::#ident(&#service, &#session, #(#inputs),*)).await;
                    }
                }
            })
            .contract(#contract::#ident())
            #access
        };
        if !method.marks.optional {
            return quote!(#(#cfgs)* let #endpoint = #added;);
        }
        let whole = &reply.whole;
        quote! {
            #(#cfgs)*
            let #endpoint = if #krate::NotImplemented::<#whole>::is_returned_by(
                |
                    #service: &'static S,
                    #session: &'static #krate::Session,
                    (#(#arguments,)*): (#(#types,)*),
                    (#(#parameters,)*): (#(#receivers,)*),
                | S::#ident(#service, #session, #(#inputs),*),
            ) {
                #endpoint
            } else {
                #added
            };
        }
    }

    /// Whom a method is for, if anybody said.
    fn access<'t>(&'t self, method: &'t Method) -> Option<&'t Access> {
        method.marks.access.as_ref().or(self.access)
    }

    fn stream<'t>(&self, stream: &'t StreamType) -> (&'t Type, TokenStream) {
        (&stream.item, self.error(stream.error.as_ref()))
    }

    fn error(&self, error: Option<&Type>) -> TokenStream {
        let krate = self.krate;
        error.map_or_else(|| quote!(#krate::NoError), ToTokens::to_token_stream)
    }
}

/// The trait as it was written, without what is for this macro alone.
pub(crate) fn without_marks(item: &ItemTrait) -> ItemTrait {
    let mut item = item.clone();
    for item in &mut item.items {
        if let TraitItem::Fn(function) = item {
            function.attrs.retain(|attribute| !Marks::knows(attribute));
        }
    }
    item
}

fn argument_names(function: &TraitItemFn) -> Vec<Ident> {
    let names = function.sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(input) => match &*input.pat {
            Pat::Ident(pattern) => Some(pattern.ident.clone()),
            _ => None,
        },
        FnArg::Receiver(_) => None,
    });
    names.collect()
}

/// A name of a variable that cannot meet one of the user's.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// A name as it travels: `r#type` is `type`.
fn plain(ident: &Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").map_or(name.clone(), str::to_owned)
}
