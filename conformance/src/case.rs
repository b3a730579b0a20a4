use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::bytes::{Hex, body, number, shown};
use crate::peer::{CREDIT, HELLO, Heard, PONG, Peer};

const REJECT: u8 = 0x04;
const STOP: u8 = 0x0a;
const PING: u8 = 0x0c;
const GO_AWAY: u8 = 0x0e;

/// R-WS-2.
const NORMAL: u16 = 1000;

/// All cases.
#[derive(Debug)]
pub struct Suite {
    cases: Vec<Case>,
}

/// What a server is sent in some situation, and what it has to do then.
#[derive(Clone, Debug)]
pub struct Case {
    name: String,
    rule: String,
    setup: Vec<Step>,
    sent: Sent,
    /// Whether the client has said `Hello` by then, and what it says.
    greeted: bool,
    hello: Hex,
    expected: Expected,
    probe: Probe,
}

/// What the file `server.json` holds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Matrix {
    hello: Hex,
    probe: Probe,
    frames: Vec<Named>,
    situations: Vec<Situation>,
}

/// What `bad-frames.json` of the test vectors holds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bad {
    name: String,
    hex: Hex,
    rule: String,
}

/// A call that is answered, by which it is seen that the connection lives.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Probe {
    sends: Hex,
    answer: Vec<Hex>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
    packet: Option<Hex>,
    text: Option<String>,
    #[serde(default)]
    answer: Vec<Hex>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Situation {
    name: String,
    hello: bool,
    steps: Vec<Step>,
    cells: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    Sends(Hex),
    Comes(Hex),
    /// A call is rejected, for whatever reason.
    Rejects(u64),
    /// The first parameter of call 1 is sent on until it has no credit.
    Exhausts,
}

#[derive(Clone, Debug)]
enum Sent {
    Packet(Hex),
    Text(String),
}

#[derive(Clone, Debug)]
enum Expected {
    /// The connection goes on, as if nothing had been sent.
    Alive,
    /// It does, and goes on waiting for the client's `Hello`.
    Waits,
    /// It does, and this comes.
    Answer(Vec<Hex>),
    /// It ends with `GoAway` Violation, which names the rule.
    Violation,
    /// It ends without a word.
    End,
}

impl Suite {
    /// The cases for servers.
    ///
    /// # Panics
    /// If the data is at fault, which a test keeps from happening.
    pub fn new() -> Self {
        let matrix = serde_json::from_str(include_str!("../cases/server.json"));
        let bad = serde_json::from_str(include_str!("../../spec/vectors/bad-frames.json"));
        Self::of(matrix.expect("sound cases"), bad.expect("sound cases"))
    }

    fn of(matrix: Matrix, bad: Vec<Bad>) -> Self {
        let Matrix { hello, probe, frames, mut situations } = matrix;
        let mut cases = Vec::new();
        for situation in &mut situations {
            for frame in &frames {
                let cell = situation.cells.remove(&frame.name);
                let cell = cell.unwrap_or_else(|| panic!("{}: {}?", situation.name, frame.name));
                let (what, rule) = cell.split_once(' ').expect("what is to happen, and a rule");
                let expected = match what {
                    "alive" => Expected::Alive,
                    "waits" => Expected::Waits,
                    "pong" => Expected::Answer(vec![Hex(PONG.into())]),
                    "answer" => Expected::Answer(frame.answer.clone()),
                    "violation" => Expected::Violation,
                    "end" => Expected::End,
                    other => panic!("{}: {}: {other}?", situation.name, frame.name),
                };
                let sent = match (&frame.packet, &frame.text) {
                    (Some(packet), None) => Sent::Packet(packet.clone()),
                    (None, Some(text)) => Sent::Text(text.clone()),
                    _ => panic!("{}: a packet or a text", frame.name),
                };
                cases.push(Case {
                    name: format!("{}: {}", situation.name, frame.name),
                    rule: rule.into(),
                    setup: situation.steps.clone(),
                    sent,
                    greeted: situation.hello,
                    hello: hello.clone(),
                    expected,
                    probe: probe.clone(),
                });
            }
            let unknown = situation.cells.keys().next();
            assert_eq!(unknown, None, "{}: no frame is called so", situation.name);
        }
        cases.extend(bad.into_iter().map(|Bad { name, hex, rule }| Case {
            name: format!("a packet that breaks a rule by itself: {name}"),
            rule,
            setup: Vec::new(),
            sent: Sent::Packet(hex),
            greeted: true,
            hello: hello.clone(),
            expected: Expected::Violation,
            probe: probe.clone(),
        }));
        Self { cases }
    }

    /// All of them, in the order of the data.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }
}

impl Default for Suite {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.rule)
    }
}

impl Case {
    /// The rule of the specification that says what has to happen.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// Runs it against the server at a URL, on a connection of its own.
    ///
    /// # Errors
    /// What the server did otherwise, or that there is none.
    pub fn run(&self, url: &str) -> Result<(), String> {
        let mut peer = Peer::connect(url)?;
        if self.greeted {
            peer.packet(&self.hello.0)?;
        }
        for step in &self.setup {
            let reached = match step {
                Step::Sends(packet) => peer.packet(&packet.0),
                Step::Comes(frame) => comes(&mut peer, &frame.0),
                Step::Rejects(call) => rejects(&mut peer, *call),
                Step::Exhausts => peer.exhaust(),
            };
            reached.map_err(|why| format!("on the way there: {why}"))?;
        }
        match &self.sent {
            Sent::Packet(packet) => peer.packet(&packet.0)?,
            Sent::Text(text) => peer.text(text)?,
        }
        match &self.expected {
            Expected::Alive => self.lives(&mut peer),
            Expected::Waits => {
                peer.packet(&self.hello.0)?;
                self.lives(&mut peer)
            }
            Expected::Answer(frames) => {
                frames.iter().try_for_each(|frame| comes(&mut peer, &frame.0))?;
                self.lives(&mut peer)
            }
            Expected::Violation => breaks(&mut peer, &self.rule),
            Expected::End => is_closed(&mut peer),
        }
    }

    /// Another call is answered, and nothing comes before that.
    fn lives(&self, peer: &mut Peer) -> Result<(), String> {
        peer.packet(&self.probe.sends.0)?;
        self.probe.answer.iter().try_for_each(|frame| comes(peer, &frame.0))
    }
}

/// The next frame, but for those that an endpoint sends when it likes.
fn next(peer: &mut Peer) -> Result<Heard, String> {
    loop {
        match peer.next()? {
            Heard::Frame(frame) if [HELLO, CREDIT, PING].contains(&frame[0]) => {}
            heard => return Ok(heard),
        }
    }
}

fn comes(peer: &mut Peer, expected: &[u8]) -> Result<(), String> {
    loop {
        match next(peer)? {
            Heard::Frame(frame) if frame == expected => return Ok(()),
            // A callee may stop what it does not read.
            Heard::Frame(frame) if frame[0] == STOP && expected[0] != STOP => {}
            other => return Err(format!("instead of {}: {}", shown(expected), told(&other))),
        }
    }
}

fn rejects(peer: &mut Peer, call: u64) -> Result<(), String> {
    match next(peer)? {
        Heard::Frame(frame) if frame[0] == REJECT && number(&mut body(&frame)) == Some(call) => {
            Ok(())
        }
        other => Err(format!("instead of a rejection of call {call}: {}", told(&other))),
    }
}

/// R-AWAY-5.
fn breaks(peer: &mut Peer, rule: &str) -> Result<(), String> {
    loop {
        match next(peer)? {
            Heard::Frame(frame) if frame[0] == GO_AWAY => {
                let mut rest = body(&frame);
                let code = number(&mut rest);
                let length = number(&mut rest);
                let detail = String::from_utf8_lossy(rest);
                let is_it = code == Some(2)
                    && length == Some(rest.len() as u64)
                    && detail.starts_with(&format!("{rule}: "));
                return match is_it {
                    true => is_closed(peer),
                    false => Err(format!("GoAway with code {code:?}: {detail}")),
                };
            }
            // What the frames before that one asked for.
            Heard::Frame(_) => {}
            Heard::Closed(code) => {
                return Err(format!("closed with code {code:?}, without a GoAway"));
            }
        }
    }
}

/// R-WS-2, R-AWAY-2.
fn is_closed(peer: &mut Peer) -> Result<(), String> {
    match next(peer)? {
        Heard::Closed(Some(NORMAL)) => Ok(()),
        other => Err(format!("instead of an end with code {NORMAL}: {}", told(&other))),
    }
}

fn told(heard: &Heard) -> String {
    match heard {
        Heard::Frame(frame) if frame[0] == GO_AWAY => {
            format!("GoAway: {}", String::from_utf8_lossy(body(frame).get(2..).unwrap_or_default()))
        }
        Heard::Frame(frame) => format!("a frame, {}", shown(frame)),
        Heard::Closed(code) => format!("an end with code {code:?}"),
    }
}
