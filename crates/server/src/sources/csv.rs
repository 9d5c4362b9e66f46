//! CSV: cells between commas, quotes where a cell holds a comma, a quote or a line break.

use std::io::{self, Read};

use csv_core::ReadRecordResult;
use memchr::memchr_iter;

use super::gathered::Gathered;
use super::plan::{FilePlan, Place};
use super::reject::{Refusal, RejectCode, SourceError, excerpt};
use super::source::{ReadRecords, Step, read_error};
use super::window::{RECORD_BYTES_MAX, Window};

pub(crate) struct CsvFile {
    plan: FilePlan,
    records: Records,
    bound: Vec<Place>,
}

impl CsvFile {
    pub(crate) fn open(plan: FilePlan, input: Box<dyn Read + Send>) -> Result<Self, SourceError> {
        let error = |source| read_error(&plan.file, source);
        let mut records = Records::new(input).map_err(error)?;
        let mut names = plan.columns.clone();
        if plan.header {
            let header = header(&plan, &mut records)?;
            names = names.or(Some(header));
        }
        let bound = plan.bind(&names.unwrap_or_default())?;
        Ok(Self { plan, records, bound })
    }
}

fn header(plan: &FilePlan, records: &mut Records) -> Result<Vec<String>, SourceError> {
    let broken =
        |problem: &str| SourceError::BrokenHeader { file: plan.file.clone(), problem: problem.to_owned() };
    match records.next().map_err(|source| read_error(&plan.file, source))? {
        Next::End => Err(SourceError::NoHeader { file: plan.file.clone() }),
        Next::TooLong { .. } => Err(broken("it is longer than a record may be")),
        Next::UnclosedQuote { .. } => Err(broken("a quote is never closed")),
        Next::Record(record) => match record.text() {
            Some(text) => Ok(record.cells(text).map(|name| name.trim().to_owned()).collect()),
            None => Err(broken("it is not UTF-8")),
        },
    }
}

impl ReadRecords for CsvFile {
    fn read_record(&mut self, gathered: &mut Gathered) -> Result<Step, SourceError> {
        let next = self.records.next().map_err(|source| read_error(&self.plan.file, source))?;
        match next {
            Next::End => return Ok(Step::End),
            Next::Record(record) => {
                let outcome = write(&self.plan, &self.bound, &record, gathered);
                gathered.close(outcome, record.line, record.raw);
            }
            Next::TooLong { line, bytes, head } => {
                let reason = format!("the record has {bytes} bytes; at most {RECORD_BYTES_MAX} are allowed");
                gathered.reject(Refusal::of_row(RejectCode::RecordTooLong, reason), line, head);
            }
            Next::UnclosedQuote { line, last_line, head } => {
                let reason = format!(
                    "a quoted cell is never closed, so all up to line {last_line} belongs to this record"
                );
                gathered.reject(Refusal::of_row(RejectCode::UnclosedQuote, reason), line, head);
            }
        }
        Ok(Step::Read)
    }
}

fn write(
    plan: &FilePlan,
    bound: &[Place],
    record: &Record<'_>,
    gathered: &mut Gathered,
) -> Result<(), Refusal> {
    let (fields, expected) = (record.ends.len(), bound.len());
    if fields != expected {
        let code = if fields < expected { RejectCode::TooFewFields } else { RejectCode::TooManyFields };
        return Err(Refusal::of_row(
            code,
            format!("the row has {fields} fields; the file has {expected} columns"),
        ));
    }
    let Some(text) = record.text() else {
        return Err(Refusal::of_row(RejectCode::BrokenUtf8, "the row is not UTF-8"));
    };
    plan.write_cells(bound, record.cells(text), &mut gathered.builder)
}

/// The records of a stream of CSV.
struct Records {
    window: Window,
    parser: csv_core::Reader,
    /// The record's cells, unquoted and joined.
    text: Vec<u8>,
    /// Where each cell ends in them.
    ends: Vec<usize>,
    /// The line that the window begins with.
    line: u64,
}

enum Next<'a> {
    Record(Record<'a>),
    TooLong { line: u64, bytes: u64, head: String },
    UnclosedQuote { line: u64, last_line: u64, head: String },
    End,
}

struct Record<'a> {
    line: u64,
    raw: &'a [u8],
    text: &'a [u8],
    ends: &'a [usize],
}

impl<'a> Record<'a> {
    /// The cells joined, where they are UTF-8 each: a character may not reach from one into the next.
    fn text(&self) -> Option<&'a str> {
        let text = std::str::from_utf8(self.text).ok()?;
        self.ends.iter().all(|end| text.is_char_boundary(*end)).then_some(text)
    }

    fn cells<'t>(&self, text: &'t str) -> impl Iterator<Item = &'t str> + use<'a, 't> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let cell = text.get(start..*end).unwrap_or("");
            start = *end;
            cell
        })
    }
}

/// How far a record has been read.
#[derive(Default)]
struct Extent {
    /// Bytes of the window that were parsed and are kept.
    parsed: usize,
    /// Bytes that were passed over before them, since the record is too long to keep.
    passed: u64,
    text: usize,
    ends: usize,
    /// The beginning of a record that is too long.
    head: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Record,
    InQuotes,
    Nothing,
}

impl Records {
    fn new(input: Box<dyn Read + Send>) -> io::Result<Self> {
        let mut window = Window::new(input);
        window.skip_byte_order_mark()?;
        let parser = csv_core::Reader::new();
        Ok(Self { window, parser, text: vec![0; 4096], ends: vec![0; 64], line: 1 })
    }

    fn next(&mut self) -> io::Result<Next<'_>> {
        self.skip_blank_lines()?;
        let line = self.line;
        let mut extent = Extent::default();
        let ended = self.parse(&mut extent)?;
        let Extent { parsed, passed, text, ends, head } = extent;
        let breaks = memchr_iter(b'\n', &self.window.unread()[..parsed]).count();
        self.line += u64::try_from(breaks).unwrap_or(0);
        let last_line = self.line;
        let raw = self.window.take(parsed);
        Ok(match (ended, head) {
            (Ended::Nothing, _) => Next::End,
            (Ended::InQuotes, head) => {
                Next::UnclosedQuote { line, last_line, head: head.unwrap_or_else(|| excerpt(raw)) }
            }
            (Ended::Record, None) if raw.trim_ascii_end().len() <= RECORD_BYTES_MAX => {
                Next::Record(Record { line, raw, text: &self.text[..text], ends: &self.ends[..ends] })
            }
            (Ended::Record, head) => {
                let bytes = passed + u64::try_from(raw.len()).unwrap_or(0);
                Next::TooLong { line, bytes, head: head.unwrap_or_else(|| excerpt(raw)) }
            }
        })
    }

    /// The parser passes over blank lines by itself, but then a record's line would be the blank one's.
    fn skip_blank_lines(&mut self) -> io::Result<()> {
        loop {
            let unread = self.window.unread();
            let blank = unread.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            let breaks = memchr_iter(b'\n', &unread[..blank]).count();
            let stop = blank < unread.len();
            self.line += u64::try_from(breaks).unwrap_or(0);
            self.window.consume(blank);
            if stop || self.window.more()? == 0 {
                return Ok(());
            }
        }
    }

    /// Parses on to the end of a record, reading as needed. What is past the bound is parsed but not
    /// kept.
    fn parse(&mut self, extent: &mut Extent) -> io::Result<Ended> {
        loop {
            if self.window.unread().len() == extent.parsed && self.window.more()? == 0 {
                return Ok(self.parse_end(extent));
            }
            let input = &self.window.unread()[extent.parsed..];
            let (result, read, wrote, ended) =
                self.parser.read_record(input, &mut self.text[extent.text..], &mut self.ends[extent.ends..]);
            extent.parsed += read;
            extent.text += wrote;
            extent.ends += ended;
            if self.grow(result) {
                return Ok(Ended::Record);
            }
            if extent.parsed > RECORD_BYTES_MAX || extent.head.is_some() {
                self.pass_over(extent);
            }
        }
    }

    /// The stream is over: a line break ends the record, unless a quote is open.
    fn parse_end(&mut self, extent: &mut Extent) -> Ended {
        if extent.parsed == 0 && extent.head.is_none() {
            return Ended::Nothing;
        }
        let mut line_break: &[u8] = b"\n";
        loop {
            let (result, read, wrote, ended) = self.parser.read_record(
                line_break,
                &mut self.text[extent.text..],
                &mut self.ends[extent.ends..],
            );
            extent.text += wrote;
            extent.ends += ended;
            line_break = &line_break[read..];
            if self.grow(result) {
                return Ended::Record;
            }
            if line_break.is_empty() {
                return Ended::InQuotes;
            }
        }
    }

    /// Makes the room that the parser asks for; whether the record is complete.
    fn grow(&mut self, result: ReadRecordResult) -> bool {
        match result {
            ReadRecordResult::OutputFull => self.text.resize(self.text.len() * 2, 0),
            ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
            ReadRecordResult::InputEmpty => {}
            ReadRecordResult::Record | ReadRecordResult::End => return true,
        }
        false
    }

    /// Lets go of what was parsed of a record that is too long.
    fn pass_over(&mut self, extent: &mut Extent) {
        let raw = &self.window.unread()[..extent.parsed];
        extent.head.get_or_insert_with(|| excerpt(raw));
        extent.passed += u64::try_from(raw.len()).unwrap_or(0);
        let breaks = memchr_iter(b'\n', raw).count();
        self.line += u64::try_from(breaks).unwrap_or(0);
        self.window.consume(extent.parsed);
        (extent.parsed, extent.text, extent.ends) = (0, 0, 0);
    }
}
