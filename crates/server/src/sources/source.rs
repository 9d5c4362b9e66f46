//! A file that is being read, whatever its format.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ebbtide_model::pack::FileFormat;

use super::csv::CsvFile;
use super::gathered::{Chunk, Gathered};
use super::gzip::{Bomb, Broken, Counting, Unpacked};
use super::ndjson::NdjsonFile;
use super::parquet_file::ParquetFile;
use super::plan::{FilePlan, Packing};
use super::reject::{Refusal, RejectCode, SourceError};
use super::whitespace::WhitespaceFile;
use super::window::RECORD_BYTES_MAX;

/// One way to read a file; `None` at its end. After an error nothing more is read.
pub(crate) trait ReadChunks: Send {
    fn next_chunk(&mut self) -> Result<Option<Chunk>, SourceError>;
}

/// A text format: reads records one by one.
pub(crate) trait ReadRecords: Send {
    /// Reads the next record into what was gathered.
    fn read_record(&mut self, gathered: &mut Gathered) -> Result<Step, SourceError>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Read,
    End,
}

/// Gathers records into chunks. What was gathered before a failure is handed on before it.
struct TextChunks {
    records: Box<dyn ReadRecords>,
    gathered: Gathered,
    failure: Option<SourceError>,
}

impl ReadChunks for TextChunks {
    fn next_chunk(&mut self) -> Result<Option<Chunk>, SourceError> {
        while self.failure.is_none() && !self.gathered.is_full() {
            match self.records.read_record(&mut self.gathered) {
                Ok(Step::Read) => {}
                Ok(Step::End) => break,
                Err(failure) => self.failure = Some(failure),
            }
        }
        match (self.gathered.take()?, self.failure.take()) {
            (Some(chunk), failure) => {
                self.failure = failure;
                Ok(Some(chunk))
            }
            (None, Some(failure)) => Err(failure),
            (None, None) => Ok(None),
        }
    }
}

/// The chunks of a file, in order. An error is the last that it yields; what it yielded before stands.
pub struct Source {
    chunks: Box<dyn ReadChunks>,
    is_over: bool,
    bytes_total: u64,
    bytes_read: Arc<AtomicU64>,
}

impl Source {
    /// Opens a file and reads its header, so that columns that do not fit are known before a row is.
    pub fn open(path: &Path, plan: &FilePlan) -> Result<Self, SourceError> {
        let file = open_file(path).map_err(|source| read_error(&plan.file, source))?;
        let bytes_total = file.metadata().map_or(0, |metadata| metadata.len());
        let bytes_read = Arc::new(AtomicU64::new(0));
        if plan.format == FileFormat::Parquet {
            let chunks = ParquetFile::open(plan.clone(), file, bytes_total, bytes_read.clone())?;
            return Ok(Self { chunks: Box::new(chunks), is_over: false, bytes_total, bytes_read });
        }
        let counting = Counting { inner: file, count: bytes_read.clone() };
        let input: Box<dyn Read + Send> = match plan.packing {
            Packing::Plain => Box::new(counting),
            Packing::Gzip => Box::new(Unpacked::new(counting)),
        };
        Ok(Self { chunks: text_chunks(plan, input)?, is_over: false, bytes_total, bytes_read })
    }

    /// Reads a text format from a stream that is not packed.
    pub fn from_stream(plan: &FilePlan, input: Box<dyn Read + Send>) -> Result<Self, SourceError> {
        let bytes_read = Arc::new(AtomicU64::new(0));
        let input = Box::new(Counting { inner: input, count: bytes_read.clone() });
        Ok(Self { chunks: text_chunks(plan, input)?, is_over: false, bytes_total: 0, bytes_read })
    }

    /// The size of the file.
    pub fn bytes_total(&self) -> u64 {
        self.bytes_total
    }

    /// How much of it has been read.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }
}

impl Iterator for Source {
    type Item = Result<Chunk, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let next = self.chunks.next_chunk().transpose();
        self.is_over = !matches!(next, Some(Ok(_)));
        next
    }
}

fn text_chunks(plan: &FilePlan, input: Box<dyn Read + Send>) -> Result<Box<dyn ReadChunks>, SourceError> {
    let records: Box<dyn ReadRecords> = match plan.format {
        FileFormat::Csv => Box::new(CsvFile::open(plan.clone(), input)?),
        FileFormat::Ndjson => Box::new(NdjsonFile::open(plan.clone(), input)?),
        FileFormat::Whitespace => Box::new(WhitespaceFile::open(plan.clone(), input)?),
        FileFormat::Parquet => return Err(SourceError::UnknownFormat { file: plan.file.clone() }),
    };
    let gathered = Gathered::new(plan.file.clone(), &plan.table);
    Ok(Box::new(TextChunks { records, gathered, failure: None }))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a source is the user's file, read where it lies; the store's filesystem is for the data folder"
)]
fn open_file(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    Ok(file)
}

/// What a failed read of a file means.
pub(crate) fn read_error(file: &Arc<str>, source: io::Error) -> SourceError {
    let file = file.clone();
    let inner = source.get_ref();
    if let Some(Bomb { ratio_max, produced, consumed }) = inner.and_then(|inner| inner.downcast_ref()) {
        return SourceError::GzipBomb {
            file,
            ratio_max: *ratio_max,
            produced: *produced,
            consumed: *consumed,
        };
    }
    if let Some(broken) = inner.and_then(|inner| inner.downcast_ref::<Broken>()) {
        return SourceError::BrokenGzip { file, detail: broken.to_string() };
    }
    SourceError::Read { file, source }
}

/// The refusal of a line past the bound.
pub(crate) fn line_too_long(bytes: u64) -> Refusal {
    let reason = format!("the line has {bytes} bytes; at most {RECORD_BYTES_MAX} are allowed");
    Refusal::of_row(RejectCode::RecordTooLong, reason)
}
