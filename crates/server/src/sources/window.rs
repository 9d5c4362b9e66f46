//! The part of a stream that is being looked at. It grows while a record is incomplete, and whoever
//! reads records bounds how far.

use std::io::{self, Read};

/// A record of a text file may have this many bytes; a longer one is passed over and refused.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

const READ_BYTES: usize = 256 * 1024;

pub(crate) struct Window {
    input: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Window {
    pub(crate) fn new(input: Box<dyn Read + Send>) -> Self {
        Self { input, buffer: vec![0; READ_BYTES], start: 0, end: 0 }
    }

    /// What was read and not yet consumed.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Reads on; 0 bytes at the end of the stream.
    pub(crate) fn more(&mut self) -> io::Result<usize> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.buffer.len() - self.end < READ_BYTES / 2 {
            self.buffer.resize(self.buffer.len() + READ_BYTES, 0);
        }
        loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(bytes) => {
                    self.end += bytes;
                    return Ok(bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Consumes the next bytes and gives them.
    pub(crate) fn take(&mut self, bytes: usize) -> &[u8] {
        let start = self.start;
        self.consume(bytes);
        &self.buffer[start..self.start]
    }

    pub(crate) fn consume(&mut self, bytes: usize) {
        self.start = (self.start + bytes).min(self.end);
    }

    /// Passes over a byte-order mark at the stream's beginning.
    pub(crate) fn skip_byte_order_mark(&mut self) -> io::Result<()> {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        while self.unread().len() < MARK.len() && self.more()? > 0 {}
        if self.unread().starts_with(MARK) {
            self.consume(MARK.len());
        }
        Ok(())
    }
}
