//! Whether a spine says what the rows say: it is made again, and nothing is written but compared.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::fs::{FsError, WritableFile};

/// A file that is there already, and should have the bytes that are written to it.
#[derive(Debug)]
pub(crate) struct Compared {
    is: Bytes,
    place: usize,
    /// Where it is otherwise.
    differs: Arc<OnceLock<u64>>,
}

impl Compared {
    /// And where the first bytes will be told that differ.
    pub(crate) fn new(is: Bytes) -> (Self, Arc<OnceLock<u64>>) {
        let differs = Arc::new(OnceLock::new());
        (Self { is, place: 0, differs: differs.clone() }, differs)
    }

    fn differ(&self, place: usize) {
        self.differs.get_or_init(|| place as u64);
    }
}

impl WritableFile for Compared {
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), FsError> {
        let end = self.place + bytes.len();
        if self.is.get(self.place..end) != Some(bytes) {
            let is = self.is.get(self.place..).unwrap_or_default();
            let same = bytes.iter().zip(is).take_while(|(a, b)| a == b).count();
            self.differ(self.place + same);
        }
        self.place = end;
        Ok(())
    }

    fn sync_data(&mut self) -> Result<(), FsError> {
        if self.place != self.is.len() {
            self.differ(self.place.min(self.is.len()));
        }
        Ok(())
    }
}
