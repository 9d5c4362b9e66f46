//! Columns apart by runs of white space, one row a line.

use std::io::Read;

use super::gathered::Gathered;
use super::lines::{Line, Lines};
use super::plan::{FilePlan, Place};
use super::reject::{Refusal, RejectCode, SourceError};
use super::source::{ReadRecords, Step, line_too_long, read_error};

pub(crate) struct WhitespaceFile {
    plan: FilePlan,
    lines: Lines,
    bound: Vec<Place>,
}

impl WhitespaceFile {
    pub(crate) fn open(plan: FilePlan, input: Box<dyn Read + Send>) -> Result<Self, SourceError> {
        let error = |source| read_error(&plan.file, source);
        let mut lines = Lines::new(input).map_err(error)?;
        let mut names = plan.columns.clone();
        if plan.header {
            let header = header(&plan, &mut lines)?;
            names = names.or(Some(header));
        }
        let bound = plan.bind(&names.unwrap_or_default())?;
        Ok(Self { plan, lines, bound })
    }
}

/// The first line that is not blank.
fn header(plan: &FilePlan, lines: &mut Lines) -> Result<Vec<String>, SourceError> {
    let broken =
        |problem: &str| SourceError::BrokenHeader { file: plan.file.clone(), problem: problem.to_owned() };
    loop {
        match lines.next().map_err(|source| read_error(&plan.file, source))? {
            None => return Err(SourceError::NoHeader { file: plan.file.clone() }),
            Some(Line::TooLong { .. }) => return Err(broken("it is longer than a record may be")),
            Some(Line::Whole { bytes, .. }) if bytes.trim_ascii().is_empty() => {}
            Some(Line::Whole { bytes, .. }) => {
                let text = std::str::from_utf8(bytes).map_err(|_| broken("it is not UTF-8"))?;
                return Ok(text.split_whitespace().map(str::to_owned).collect());
            }
        }
    }
}

impl ReadRecords for WhitespaceFile {
    fn read_record(&mut self, gathered: &mut Gathered) -> Result<Step, SourceError> {
        let next = self.lines.next().map_err(|source| read_error(&self.plan.file, source))?;
        match next {
            None => return Ok(Step::End),
            Some(Line::TooLong { number, bytes, head }) => {
                gathered.reject(line_too_long(bytes), number, head);
            }
            Some(Line::Whole { bytes, .. }) if bytes.trim_ascii().is_empty() => {}
            Some(Line::Whole { number, bytes }) => {
                let outcome = write(&self.plan, &self.bound, bytes, gathered);
                gathered.close(outcome, number, bytes);
            }
        }
        Ok(Step::Read)
    }
}

fn write(plan: &FilePlan, bound: &[Place], line: &[u8], gathered: &mut Gathered) -> Result<(), Refusal> {
    let Ok(text) = std::str::from_utf8(line) else {
        return Err(Refusal::of_row(RejectCode::BrokenUtf8, "the row is not UTF-8"));
    };
    let (fields, expected) = (text.split_whitespace().count(), bound.len());
    if fields != expected {
        let code = if fields < expected { RejectCode::TooFewFields } else { RejectCode::TooManyFields };
        return Err(Refusal::of_row(
            code,
            format!("the row has {fields} fields; the file has {expected} columns"),
        ));
    }
    plan.write_cells(bound, text.split_whitespace(), &mut gathered.builder)
}
