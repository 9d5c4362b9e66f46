//! Lines of a stream, bounded: a line that is too long is passed over without being held.

use std::io::{self, Read};

use memchr::memchr;

use super::reject::excerpt;
use super::window::{RECORD_BYTES_MAX, Window};

pub(crate) struct Lines {
    window: Window,
    /// The number of the last line that was given.
    number: u64,
}

pub(crate) enum Line<'a> {
    /// Without its line ending.
    Whole { number: u64, bytes: &'a [u8] },
    TooLong {
        number: u64,
        /// In all.
        bytes: u64,
        head: String,
    },
}

/// Where the next line ends.
enum Ending {
    /// The window begins with a line of this many bytes, and its ending of this many.
    Found {
        line: usize,
        ending: usize,
    },
    TooLong {
        bytes: u64,
        head: String,
    },
    Nothing,
}

impl Lines {
    pub(crate) fn new(input: Box<dyn Read + Send>) -> io::Result<Self> {
        let mut window = Window::new(input);
        window.skip_byte_order_mark()?;
        Ok(Self { window, number: 0 })
    }

    pub(crate) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        let ending = self.find()?;
        let number = self.number + 1;
        self.number = number;
        match ending {
            Ending::Nothing => Ok(None),
            Ending::TooLong { bytes, head } => Ok(Some(Line::TooLong { number, bytes, head })),
            Ending::Found { line, ending } => Ok(Some(Line::Whole {
                number,
                bytes: {
                    let bytes = self.window.take(line + ending);
                    bytes[..line].strip_suffix(b"\r").unwrap_or(&bytes[..line])
                },
            })),
        }
    }

    fn find(&mut self) -> io::Result<Ending> {
        let mut searched = 0;
        loop {
            let found = memchr(b'\n', &self.window.unread()[searched..]);
            searched = found.map_or(self.window.unread().len(), |index| searched + index);
            if searched > RECORD_BYTES_MAX {
                return self.pass_over();
            }
            if found.is_some() {
                return Ok(Ending::Found { line: searched, ending: 1 });
            }
            if self.window.more()? == 0 {
                let nothing = searched == 0;
                return Ok(if nothing {
                    Ending::Nothing
                } else {
                    Ending::Found { line: searched, ending: 0 }
                });
            }
        }
    }

    fn pass_over(&mut self) -> io::Result<Ending> {
        let head = excerpt(self.window.unread());
        let mut bytes = 0_u64;
        loop {
            let unread = self.window.unread();
            let ending = memchr(b'\n', unread);
            let length = ending.unwrap_or(unread.len());
            bytes += u64::try_from(length).unwrap_or(u64::MAX);
            self.window.consume(length + usize::from(ending.is_some()));
            if ending.is_some() || self.window.more()? == 0 {
                return Ok(Ending::TooLong { bytes, head });
            }
        }
    }
}
