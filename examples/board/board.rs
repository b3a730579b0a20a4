//! The board: which colour is where. Servers that share it tell each other their strokes, in whatever
//! order; on each pixel the latest one counts, everywhere the same one.

use serde::{Deserialize, Serialize};

/// How many pixels it has each way.
pub(crate) const SIDE: u8 = 64;
/// How many colours there are.
pub(crate) const COLOURS: u8 = 16;

/// When a pixel was painted, in the count of strokes that the servers have in common, and where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Stamp {
    count: u64,
    server: u32,
}

/// A pixel that was painted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stroke {
    pub(crate) x: u8,
    pub(crate) y: u8,
    pub(crate) colour: u8,
    at: Stamp,
}

/// Why a pixel is not painted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub(crate) enum PaintError {
    /// The board does not reach so far.
    #[error("there is no pixel at {x}, {y}")]
    Outside { x: u8, y: u8 },
    /// There is no such colour.
    #[error("there is no colour {0}")]
    NoColour(u8),
}

pub(crate) struct Board {
    pixels: Vec<(u8, Stamp)>,
    server: u32,
    count: u64,
}

impl Board {
    /// An empty board, on the server of this number.
    pub(crate) fn new(server: u32) -> Self {
        let size = usize::from(SIDE) * usize::from(SIDE);
        Self { pixels: vec![(0, Stamp::default()); size], server, count: 0 }
    }

    /// Paints a pixel here, later than all that is known.
    pub(crate) fn paint(&mut self, x: u8, y: u8, colour: u8) -> Result<Stroke, PaintError> {
        let at = Stamp { count: self.count + 1, server: self.server };
        let stroke = Stroke { x, y, colour, at };
        check(stroke)?;
        self.take(stroke);
        Ok(stroke)
    }

    /// Takes a stroke in, made here or elsewhere. Whether it shows.
    pub(crate) fn take(&mut self, stroke: Stroke) -> bool {
        if check(stroke).is_err() {
            return false;
        }
        self.count = self.count.max(stroke.at.count);
        let pixel = &mut self.pixels[index(stroke.x, stroke.y)];
        let is_later = stroke.at > pixel.1;
        if is_later {
            *pixel = (stroke.colour, stroke.at);
        }
        is_later
    }

    /// All colours, line by line from the top.
    pub(crate) fn colours(&self) -> Vec<u8> {
        self.pixels.iter().map(|(colour, _)| *colour).collect()
    }

    /// All pixels that were ever painted.
    pub(crate) fn strokes(&self) -> Vec<Stroke> {
        let all = (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (x, y)));
        let strokes =
            all.zip(&self.pixels).map(|((x, y), &(colour, at))| Stroke { x, y, colour, at });
        strokes.filter(|stroke| stroke.at != Stamp::default()).collect()
    }
}

fn check(Stroke { x, y, colour, .. }: Stroke) -> Result<(), PaintError> {
    if x >= SIDE || y >= SIDE {
        return Err(PaintError::Outside { x, y });
    }
    if colour >= COLOURS { Err(PaintError::NoColour(colour)) } else { Ok(()) }
}

fn index(x: u8, y: u8) -> usize {
    usize::from(y) * usize::from(SIDE) + usize::from(x)
}
