//! What the events of a spine are called: a code for each, in one byte where that is enough.

use std::ops::Range;

use arrow::buffer::ScalarBuffer;

/// Codes by row.
#[derive(Clone, Debug)]
pub enum SpineCodes {
    Byte(ScalarBuffer<u8>),
    Short(ScalarBuffer<u16>),
}

impl SpineCodes {
    pub fn len(&self) -> usize {
        match self {
            Self::Byte(codes) => codes.len(),
            Self::Short(codes) => codes.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The code of a row; `None` past the end.
    #[inline]
    pub fn get(&self, row: usize) -> Option<u16> {
        match self {
            Self::Byte(codes) => codes.get(row).copied().map(u16::from),
            Self::Short(codes) => codes.get(row).copied(),
        }
    }

    /// Those of some rows.
    #[must_use]
    pub fn slice(&self, rows: Range<usize>) -> Self {
        match self {
            Self::Byte(codes) => Self::Byte(codes.slice(rows.start, rows.len())),
            Self::Short(codes) => Self::Short(codes.slice(rows.start, rows.len())),
        }
    }

    /// All of them, in two bytes each.
    pub fn to_short(&self) -> Vec<u16> {
        match self {
            Self::Byte(codes) => codes.iter().copied().map(u16::from).collect(),
            Self::Short(codes) => codes.to_vec(),
        }
    }
}
