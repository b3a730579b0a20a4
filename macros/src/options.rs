use proc_macro2::Span;
use quote::ToTokens;
use syn::meta::ParseNestedMeta;
use syn::punctuated::Punctuated;
use syn::{Attribute, Error, LitStr, Meta, Path, Result, Token, Type, parenthesized, token};

/// What stands in `#[endpoint(...)]`.
pub(crate) struct Options {
    pub(crate) name: Option<LitStr>,
    /// Where the generated code finds Wirestream.
    pub(crate) krate: Path,
    /// Whom its methods are for, where they do not say otherwise.
    pub(crate) access: Option<Access>,
    /// What a `Result<T>` that names no error fails with.
    pub(crate) error: Option<Type>,
}

/// Whom a method is for.
#[derive(Clone)]
pub(crate) enum Access {
    Public,
    Anonymous,
    Login,
    Scopes(Vec<LitStr>),
}

impl Access {
    /// That which a word stands for, but for `scopes`.
    fn named(path: &Path) -> Option<Self> {
        let words =
            [("public", Self::Public), ("anonymous", Self::Anonymous), ("login", Self::Login)];
        words.into_iter().find_map(|(word, access)| path.is_ident(word).then_some(access))
    }

    fn scopes(span: Span, scopes: Punctuated<LitStr, Token![,]>) -> Result<Self> {
        if scopes.is_empty() {
            let detail = "which scopes? `scopes(\"...\")`; or `login` for all who are signed in";
            return Err(Error::new(span, detail));
        }
        if let Some(nameless) = scopes.iter().find(|scope| scope.value().is_empty()) {
            return Err(Error::new(nameless.span(), "a scope has a name"));
        }
        Ok(Self::Scopes(scopes.into_iter().collect()))
    }

    /// Says it, where it was not said before.
    fn say(self, place: &mut Option<Self>, span: Span) -> Result<()> {
        match place.replace(self) {
            None => Ok(()),
            Some(_) => Err(Error::new(span, "whom it is for was said before")),
        }
    }
}

impl Options {
    pub(crate) fn new(krate: Path) -> Self {
        Self { name: None, krate, access: None, error: None }
    }

    pub(crate) fn take(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if meta.path.is_ident("name") {
            let name: LitStr = meta.value()?.parse()?;
            let text = name.value();
            if text.is_empty() || text.len() > 100 {
                return Err(Error::new(name.span(), "a name has 1 to 100 bytes"));
            }
            self.name = Some(name);
            return Ok(());
        }
        if meta.path.is_ident("crate") {
            self.krate = meta.value()?.parse()?;
            return Ok(());
        }
        if meta.path.is_ident("error") {
            self.error = Some(meta.value()?.parse()?);
            return Ok(());
        }
        let span = syn::spanned::Spanned::span(&meta.path);
        if let Some(access) = Access::named(&meta.path) {
            return access.say(&mut self.access, span);
        }
        if meta.path.is_ident("scopes") {
            let scopes = if meta.input.peek(token::Paren) {
                let content;
                parenthesized!(content in meta.input);
                Punctuated::parse_terminated(&content)?
            } else {
                Punctuated::new()
            };
            return Access::scopes(span, scopes)?.say(&mut self.access, span);
        }
        let option = meta.path.to_token_stream();
        let detail =
            "there are `name`, `error`, `crate`, `public`, `anonymous`, `login` and `scopes`";
        Err(meta.error(format!("there is no option `{option}`; {detail}")))
    }
}

/// What `#[compatible("...")]`, `#[optional]` and whom it is for say of a method.
#[derive(Default)]
pub(crate) struct Marks {
    pub(crate) compatible: Vec<u64>,
    pub(crate) optional: bool,
    pub(crate) access: Option<Access>,
}

impl Marks {
    /// Whether `attribute` is one of ours.
    pub(crate) fn knows(attribute: &Attribute) -> bool {
        let path = attribute.path();
        let marks = ["compatible", "optional", "scopes"];
        marks.iter().any(|mark| path.is_ident(mark)) || Access::named(path).is_some()
    }

    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut marks = Self::default();
        for attribute in attributes.iter().filter(|attribute| Self::knows(attribute)) {
            if attribute.path().is_ident("optional") {
                attribute.meta.require_path_only()?;
                marks.optional = true;
                continue;
            }
            let span = syn::spanned::Spanned::span(attribute.path());
            if let Some(access) = Access::named(attribute.path()) {
                attribute.meta.require_path_only()?;
                access.say(&mut marks.access, span)?;
                continue;
            }
            if attribute.path().is_ident("scopes") {
                let scopes = match &attribute.meta {
                    Meta::Path(_) => Punctuated::new(),
                    _ => attribute.parse_args_with(Punctuated::parse_terminated)?,
                };
                Access::scopes(span, scopes)?.say(&mut marks.access, span)?;
                continue;
            }
            let text: LitStr = attribute.parse_args()?;
            let digits = text.value();
            let number = u64::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 16);
            marks.compatible.push(number.ok_or_else(|| {
                let detail = "a fingerprint is sixteen hexadecimal digits, as a refused caller is \
                              told";
                Error::new(text.span(), detail)
            })?);
        }
        Ok(marks)
    }
}
