//! A method of the trait, as callers and server see it.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    Attribute, Error, FnArg, GenericArgument, GenericParam, Ident, Pat, PatType, PathArguments,
    PathSegment, Receiver, ReceiverKind, Result, ReturnType, Signature, TraitItemFn, Type,
    TypeImplTrait, TypeParamBound, TypeReference,
};

use crate::options::Marks;

/// How many parameter streams a call has at most.
const MAX_STREAMS: usize = 16;

pub(crate) struct Method {
    pub(crate) ident: Ident,
    pub(crate) docs: Vec<Attribute>,
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) marks: Marks,
    pub(crate) inputs: Vec<Input>,
    pub(crate) reply: Reply,
}

/// One of the method's parameters, behind the session.
pub(crate) struct Input {
    pub(crate) ident: Ident,
    pub(crate) kind: InputKind,
}

pub(crate) enum InputKind {
    /// A plain value.
    Argument(Type),
    Stream(StreamType),
    /// A stream that the caller may leave away.
    OptionalStream(StreamType),
}

/// `Receiver<T, E>`.
#[derive(Clone)]
pub(crate) struct StreamType {
    pub(crate) item: Type,
    pub(crate) error: Option<Type>,
}

pub(crate) struct Reply {
    pub(crate) is_stream: bool,
    /// What the stream's items, or the future's output, are.
    pub(crate) whole: Type,
    pub(crate) value: Type,
    /// `None` if it cannot fail.
    pub(crate) error: Option<Type>,
}

impl Method {
    /// A method of a trait that says what a `Result<T>` fails with, or does not.
    pub(crate) fn parse(method: &TraitItemFn, error: Option<&Type>) -> Result<Self> {
        let marks = Marks::parse(&method.attrs)?;
        if let (true, Some(body)) = (marks.optional, &method.default) {
            let detail = "an optional method has no body: services may leave it out";
            return Err(Error::new(body.span(), detail));
        }
        let signature = &method.sig;
        check_signature(signature)?;
        let inputs = inputs(signature)?;
        let mut streams = inputs.iter().filter(|input| input.stream().is_some());
        if let Some(input) = streams.nth(MAX_STREAMS) {
            let detail = format!("a method takes at most {MAX_STREAMS} streams");
            return Err(Error::new(input.ident.span(), detail));
        }
        let of = |name: &str| {
            let named = method.attrs.iter().filter(|attribute| attribute.path().is_ident(name));
            named.cloned().collect()
        };
        Ok(Self {
            ident: signature.ident.clone(),
            docs: of("doc"),
            cfgs: of("cfg"),
            marks,
            inputs,
            reply: Reply::parse(signature, error)?,
        })
    }

    pub(crate) fn arguments(&self) -> impl Iterator<Item = (&Ident, &Type)> {
        self.inputs.iter().filter_map(|input| match &input.kind {
            InputKind::Argument(ty) => Some((&input.ident, ty)),
            InputKind::Stream(_) | InputKind::OptionalStream(_) => None,
        })
    }
}

impl Input {
    pub(crate) fn stream(&self) -> Option<&StreamType> {
        match &self.kind {
            InputKind::Argument(_) => None,
            InputKind::Stream(stream) | InputKind::OptionalStream(stream) => Some(stream),
        }
    }
}

fn check_signature(signature: &Signature) -> Result<()> {
    if signature.ident == "new" {
        let detail = "`new` makes the client: this method needs another name";
        return Err(Error::new(signature.ident.span(), detail));
    }
    for parameter in &signature.generics.params {
        if !matches!(parameter, GenericParam::Lifetime(_)) {
            let detail = "a method is not generic: caller and server must mean the same types";
            return Err(Error::new(parameter.span(), detail));
        }
    }
    Ok(())
}

fn inputs(signature: &Signature) -> Result<Vec<Input>> {
    let mut inputs = signature.inputs.iter();
    match inputs.next() {
        Some(FnArg::Receiver(receiver)) if is_shared(receiver) => {}
        first => {
            let span = first.map_or(signature.ident.span(), Spanned::span);
            let detail = "a method takes `&self`: one service answers many calls at a time";
            return Err(Error::new(span, detail));
        }
    }
    match inputs.next() {
        Some(FnArg::Typed(session)) if is_session(&session.ty) => {}
        second => {
            let span = second.map_or(signature.ident.span(), Spanned::span);
            let detail = "a method takes its session behind `&self`: `session: &Session`";
            return Err(Error::new(span, detail));
        }
    }
    inputs
        .filter_map(|input| if let FnArg::Typed(input) = input { Some(input) } else { None })
        .map(input)
        .collect()
}

fn is_shared(receiver: &Receiver) -> bool {
    matches!(receiver.kind, ReceiverKind::Reference(_, _, None))
}

fn is_session(ty: &Type) -> bool {
    let Type::Reference(reference) = ty else { return false };
    reference.mutability.is_none() && segment(&reference.elem, "Session").is_some()
}

fn input(input: &PatType) -> Result<Input> {
    let Pat::Ident(pattern) = &*input.pat else {
        let detail = "a parameter has a name, which callers see";
        return Err(Error::new(input.pat.span(), detail));
    };
    let kind = match (stream(&input.ty)?, optional_stream(&input.ty)?) {
        (Some(stream), _) => InputKind::Stream(stream),
        (None, Some(stream)) => InputKind::OptionalStream(stream),
        (None, None) => {
            check_travels(&input.ty)?;
            InputKind::Argument((*input.ty).clone())
        }
    };
    Ok(Input { ident: pattern.ident.clone(), kind })
}

/// `Receiver<T>` or `Receiver<T, E>`.
fn stream(ty: &Type) -> Result<Option<StreamType>> {
    let Some(segment) = segment(ty, "Receiver") else { return Ok(None) };
    let mut types = type_arguments(segment).into_iter();
    let Some(item) = types.next() else {
        return Err(Error::new(ty.span(), "a stream says of what: `Receiver<T>`"));
    };
    let error = types.next();
    check_travels(item)?;
    error.map_or(Ok(()), check_travels)?;
    Ok(Some(StreamType { item: item.clone(), error: error.cloned() }))
}

/// `Option<Receiver<T, E>>`.
fn optional_stream(ty: &Type) -> Result<Option<StreamType>> {
    let Some(segment) = segment(ty, "Option") else { return Ok(None) };
    type_arguments(segment).first().map_or(Ok(None), |content| stream(content))
}

impl Reply {
    fn parse(signature: &Signature, error: Option<&Type>) -> Result<Self> {
        let unit: Type = syn::parse_quote!(());
        let returned = match &signature.output {
            ReturnType::Default => &unit,
            ReturnType::Type(_, ty) => &**ty,
        };
        if signature.asyncness.is_some() {
            if let Type::ImplTrait(returned) = returned
                && associated(returned, "Stream", "Item").is_some()
            {
                let detail = "a method that returns a stream returns it at once: not `async`";
                return Err(Error::new(signature.asyncness.span(), detail));
            }
            return Self::new(false, returned, error);
        }
        if let Type::ImplTrait(returned) = returned {
            if let Some(item) = associated(returned, "Stream", "Item") {
                return Self::new(true, item, error);
            }
            if let Some(output) = associated(returned, "Future", "Output") {
                return Self::new(false, output, error);
            }
        }
        let span = match &signature.output {
            ReturnType::Default => signature.ident.span(),
            ReturnType::Type(_, ty) => ty.span(),
        };
        let detail = "a method is `async`, or returns `impl Stream<Item = ...>`";
        Err(Error::new(span, detail))
    }

    fn new(is_stream: bool, whole: &Type, default: Option<&Type>) -> Result<Self> {
        check_travels(whole)?;
        let (value, error) = match segment(whole, "Result") {
            None => (whole.clone(), None),
            Some(result) => match (&type_arguments(result)[..], default) {
                (&[value, error], _) | (&[value], Some(error)) => {
                    (value.clone(), Some(error.clone()))
                }
                _ => {
                    let detail = "callers must know the error: `Result<T, E>`, or `endpoint(error = \
                                  E)` for an alias";
                    return Err(Error::new(whole.span(), detail));
                }
            },
        };
        Ok(Self { is_stream, whole: whole.clone(), value, error })
    }

    /// The error that callers get: of `Failed`, no detail is told.
    pub(crate) fn told_error(&self) -> Option<&Type> {
        self.error.as_ref().filter(|error| segment(error, "Failed").is_none())
    }
}

/// The last segment of a path, if that is its name.
fn segment<'t>(ty: &'t Type, name: &str) -> Option<&'t PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last().filter(|segment| segment.ident == name),
        Type::Group(group) => segment(&group.elem, name),
        Type::Paren(paren) => segment(&paren.elem, name),
        _ => None,
    }
}

fn type_arguments(segment: &PathSegment) -> Vec<&Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return Vec::new() };
    let types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.collect()
}

/// `Item` of `impl Stream<Item = ...>`.
fn associated<'t>(ty: &'t TypeImplTrait, name: &str, item: &str) -> Option<&'t Type> {
    ty.bounds.iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else { return None };
        let segment = bound.path.segments.last().filter(|segment| segment.ident == name)?;
        let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
        arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(assoc) if assoc.ident == item => Some(&assoc.ty),
            _ => None,
        })
    })
}

/// Refuses types of which values cannot travel, where their spelling tells.
fn check_travels(ty: &Type) -> Result<()> {
    let mut found = Untravelled(None);
    found.visit_type(ty);
    found.0.map_or(Ok(()), |(span, detail)| Err(Error::new(span, detail)))
}

struct Untravelled(Option<(Span, &'static str)>);

impl Untravelled {
    fn found(&mut self, span: Span, detail: &'static str) {
        self.0.get_or_insert((span, detail));
    }
}

impl<'t> Visit<'t> for Untravelled {
    fn visit_type_reference(&mut self, ty: &'t TypeReference) {
        self.found(ty.span(), "a reference does not travel: what is sent owns its content");
    }

    fn visit_lifetime(&mut self, lifetime: &'t syn::Lifetime) {
        if lifetime.ident != "static" {
            let detail = "what borrows does not travel: what is sent owns its content";
            self.found(lifetime.span(), detail);
        }
    }

    fn visit_type_impl_trait(&mut self, ty: &'t TypeImplTrait) {
        let detail = "a type that is not named does not travel: the other side must know it; a \
                      stream to receive is a `Receiver<T>`";
        self.found(ty.span(), detail);
    }

    fn visit_path_segment(&mut self, segment: &'t PathSegment) {
        if segment.ident == "Receiver" {
            let detail = "a stream does not travel within something else: make it a parameter of \
                          its own, or send its items";
            self.found(segment.span(), detail);
        }
        visit::visit_path_segment(self, segment);
    }
}
