use quote::ToTokens;
use syn::meta::ParseNestedMeta;
use syn::{Attribute, LitStr, Path, Result};

/// What stands in `#[endpoint(...)]`.
pub(crate) struct Options {
    pub(crate) name: Option<LitStr>,
    /// Where the generated code finds Wirestream.
    pub(crate) krate: Path,
}

impl Options {
    pub(crate) fn new(krate: Path) -> Self {
        Self { name: None, krate }
    }

    pub(crate) fn take(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if meta.path.is_ident("name") {
            let name: LitStr = meta.value()?.parse()?;
            let text = name.value();
            if text.is_empty() || text.len() > 100 {
                return Err(syn::Error::new(name.span(), "a name has 1 to 100 bytes"));
            }
            self.name = Some(name);
            return Ok(());
        }
        if meta.path.is_ident("crate") {
            self.krate = meta.value()?.parse()?;
            return Ok(());
        }
        let option = meta.path.to_token_stream();
        Err(meta.error(format!("there is no option `{option}`; there are `name` and `crate`")))
    }
}

/// What `#[compatible("...")]` and `#[optional]` say of a method.
#[derive(Default)]
pub(crate) struct Marks {
    pub(crate) compatible: Vec<u64>,
    pub(crate) optional: bool,
}

impl Marks {
    /// Whether `attribute` is one of ours.
    pub(crate) fn knows(attribute: &Attribute) -> bool {
        let path = attribute.path();
        path.is_ident("compatible") || path.is_ident("optional")
    }

    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut marks = Self::default();
        for attribute in attributes.iter().filter(|attribute| Self::knows(attribute)) {
            if attribute.path().is_ident("optional") {
                attribute.meta.require_path_only()?;
                marks.optional = true;
                continue;
            }
            let text: LitStr = attribute.parse_args()?;
            let digits = text.value();
            let number = u64::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 16);
            marks.compatible.push(number.ok_or_else(|| {
                let detail = "a fingerprint is sixteen hexadecimal digits, as a refused caller is \
                              told";
                syn::Error::new(text.span(), detail)
            })?);
        }
        Ok(marks)
    }
}
