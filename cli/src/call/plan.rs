//! What a call is made of, by the command line: its arguments in bytes, the types of its streams.

use wirestream_tokio::Fingerprint;

use crate::args::Call;
use crate::failure::Failure;
use crate::json;
use crate::schema::{Schema, parse_arguments, parse_contract, parse_type};

/// A call in bytes and types.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) arguments: Vec<u8>,
    pub(super) fingerprint: Option<Fingerprint>,
    /// The streams that are there, each with its number among those of the method.
    pub(super) streams: Vec<(usize, Schema)>,
    pub(super) reply: Schema,
    pub(super) error: Schema,
}

impl Plan {
    pub(super) fn new(call: &Call) -> Result<Self, Failure> {
        match &call.contract {
            Some(contract) => Self::by_contract(call, contract),
            None => Self::by_options(call),
        }
    }

    fn by_options(call: &Call) -> Result<Self, Failure> {
        let types = match &call.args {
            Some(types) => parse_arguments(types).map_err(|error| wrong("--args", &error))?,
            None => vec![Schema::value(); call.arguments.len()],
        };
        let one = |option, text: &Option<String>| match text {
            Some(text) => parse_type(text).map_err(|error| wrong(option, &error)),
            None => Ok(Schema::value()),
        };
        let mut streams = Vec::new();
        for text in &call.input {
            streams.push(parse_type(text).map_err(|error| wrong("--in", &error))?);
        }
        let count = call.streams.map_or(streams.len(), usize::from);
        if count < streams.len() {
            let words = format!("--in names {} streams, --streams {count}", streams.len());
            return Err(Failure::Usage(words));
        }
        streams.resize(count, Schema::value());
        Ok(Self {
            arguments: encode(&call.arguments, &types)?,
            fingerprint: None,
            streams: (1..).zip(streams).collect(),
            reply: one("--out", &call.out)?,
            error: one("--error", &call.error)?,
        })
    }

    fn by_contract(call: &Call, contract: &str) -> Result<Self, Failure> {
        let contract = contract.trim();
        let method = parse_contract(contract).map_err(|error| wrong("--contract", &error))?;
        let mut arguments = encode(&call.arguments, &method.arguments)?;
        let is_optional = |number: usize| {
            let stream = number.checked_sub(1).and_then(|place| method.streams.get(place));
            stream.is_some_and(|(_, optional)| *optional)
        };
        if let Some(number) = call.without.iter().find(|number| !is_optional(**number)) {
            let words = format!("--without {number}: the contract has no such optional stream");
            return Err(Failure::Usage(words));
        }
        if method.streams.iter().any(|(_, optional)| *optional) {
            arguments.extend(present(&method.streams, &call.without));
        }
        let streams = (1..).zip(method.streams).map(|(number, (of, _))| (number, of));
        Ok(Self {
            arguments,
            fingerprint: Some(Fingerprint::of(contract)),
            streams: streams.filter(|(number, _)| !call.without.contains(number)).collect(),
            reply: method.reply,
            error: method.error,
        })
    }
}

/// Which of the optional streams there are (R-OPEN-12).
fn present(streams: &[(Schema, bool)], without: &[usize]) -> Vec<u8> {
    let mut bits = 0_u16;
    for (place, (_, optional)) in streams.iter().enumerate().take(16) {
        if *optional && !without.contains(&(place + 1)) {
            bits |= 1 << place;
        }
    }
    postcard::to_extend(&bits, Vec::new()).expect("a number is postcard")
}

fn encode(arguments: &[String], types: &[Schema]) -> Result<Vec<u8>, Failure> {
    if arguments.len() != types.len() {
        let (given, wanted) = (arguments.len(), types.len());
        let words = format!("the method takes {wanted} arguments, {given} were given");
        return Err(Failure::Usage(words));
    }
    let mut bytes = Vec::new();
    for (number, (text, of)) in (1..).zip(arguments.iter().zip(types)) {
        let encoded = json::parse(text).and_then(|json| of.encode(json, &mut bytes));
        encoded.map_err(|error| Failure::Usage(format!("argument {number}: {error}")))?;
    }
    Ok(bytes)
}

fn wrong(option: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::Usage(format!("{option}: {error}"))
}
