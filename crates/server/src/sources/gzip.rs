//! Unpacking of gzip as a stream, with a bound on how far it may swell: a small file made to fill a
//! disk or an afternoon is refused, not followed.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;

/// Unpacked bytes per packed byte. Logs and CSV reach 5 to 50; the format's own limit is 1032.
const RATIO_MAX: u64 = 200;
/// Below this size the ratio does not matter: a short file of one repeated line is honest.
const RATIO_FREE_BYTES: u64 = 64 << 20;

/// Counts the bytes that are read through it.
pub(crate) struct Counting<R> {
    pub(crate) inner: R,
    pub(crate) count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.inner.read(buffer)?;
        self.count.fetch_add(u64::try_from(bytes).unwrap_or(0), Ordering::Relaxed);
        Ok(bytes)
    }
}

/// A stream that swells beyond all likelihood.
#[derive(Debug, thiserror::Error)]
#[error("unpacks to more than {ratio_max} times its size")]
pub(crate) struct Bomb {
    pub(crate) ratio_max: u64,
    pub(crate) produced: u64,
    pub(crate) consumed: u64,
}

/// What gzip itself finds wrong with a stream: its end is missing, or a checksum does not fit.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Broken(String);

pub(crate) struct Unpacked<R> {
    decoder: MultiGzDecoder<Counting<R>>,
    consumed: Arc<AtomicU64>,
    produced: u64,
}

impl<R: Read> Unpacked<R> {
    pub(crate) fn new(packed: Counting<R>) -> Self {
        let consumed = packed.count.clone();
        Self { decoder: MultiGzDecoder::new(packed), consumed, produced: 0 }
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.decoder.read(buffer).map_err(|error| {
            let broken = matches!(
                error.kind(),
                io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
            );
            if broken { io::Error::other(Broken(error.to_string())) } else { error }
        })?;
        self.produced += u64::try_from(bytes).unwrap_or(0);
        let consumed = self.consumed.load(Ordering::Relaxed);
        if self.produced > RATIO_FREE_BYTES && self.produced / consumed.max(1) > RATIO_MAX {
            let bomb = Bomb { ratio_max: RATIO_MAX, produced: self.produced, consumed };
            return Err(io::Error::other(bomb));
        }
        Ok(bytes)
    }
}
