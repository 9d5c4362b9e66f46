//! XLSX, a sheet for each list and as many more as its rows need. A text is always written as a text, never as
//! a formula, and one that begins like a formula is marked as a text (its quote prefix) so that it stays
//! one when somebody edits it: its characters are those of the answer. Instants are dates of UTC.
//!
//! Rows wait in temporary files, since the format's container wants whole sheets one after the other.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ebbtide_model::{Instant, Written};
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, Workbook, Worksheet};
use serde_json::{Number, Value as Json};

use super::rows::RowSource;
use super::sheets::{CELL_UNITS_MAX, SHEET_COLUMNS_MAX, SheetNames};
use super::{Export, ExportError, runs_as_formula};
use crate::report::columns::{CellType, Column, days_of, micros_of};

/// Whole numbers past it are texts: a spreadsheet counts in floats, and would change their last digits.
const EXACT_MAX: u64 = 1 << 53;
/// From here on a sheet's text may be larger than what the container counts in 32 bits.
const CELLS_OF_A_LARGE_FILE: u64 = 20_000_000;
/// 1970-01-01 as a spreadsheet counts days.
const EPOCH_DAY: i64 = 25_569;
/// 1900-03-01 and 10000-01-01: before them and from it on spreadsheets disagree, or have no days.
const FIRST_DAY: i64 = 61;
const END_DAY: i64 = 2_958_466;
/// Rows below this one stay in sight.
const HEADER_ROWS: u32 = 1;
const TIMESTAMP_WIDTH: f64 = 23.0;
const DATE_WIDTH: f64 = 11.0;

/// `sheet_rows_max` is the format's limit, or less in tests; the header is one of them.
pub(super) fn write(
    export: Export,
    sheet_rows_max: u32,
    out: &mut (dyn Write + Send),
) -> Result<u64, ExportError> {
    // The library panics where a temporary file cannot be written: a full disk, above all.
    let written = catch_unwind(AssertUnwindSafe(|| write_book(export, sheet_rows_max, out)));
    written.unwrap_or_else(|_| Err(ExportError::Storage("a temporary file of a spreadsheet".into())))
}

fn write_book(export: Export, sheet_rows_max: u32, out: &mut (dyn Write + Send)) -> Result<u64, ExportError> {
    let mut book = Book::new(&export, sheet_rows_max)?;
    let mut written = 0;
    for list in export.lists {
        let name = list.name.clone();
        let mut rows = list.open()?;
        written += book.list(&name, &mut *rows)?;
    }
    book.workbook.use_zip_large_file(book.cells_of_largest > CELLS_OF_A_LARGE_FILE);
    book.workbook.save_to_writer(out)?;
    Ok(written)
}

struct Book {
    workbook: Workbook,
    names: SheetNames,
    formats: Formats,
    sheet_rows_max: u32,
    cells_of_largest: u64,
}

struct Formats {
    header: Format,
    text: Format,
    timestamp: Format,
    date: Format,
}

/// A sheet that is being filled.
struct Sheet {
    sheet: Worksheet,
    next_row: u32,
}

impl Book {
    fn new(export: &Export, sheet_rows_max: u32) -> Result<Self, ExportError> {
        let mut workbook = Workbook::new();
        workbook.set_tempdir(&export.temporary_folder)?;
        // The same question gives the same bytes: the book was made as of then.
        let made = export.as_of.micros().div_euclid(Instant::MICROS_PER_SECOND);
        if let Ok(made) = ExcelDateTime::from_timestamp(made) {
            workbook.set_properties(&DocProperties::new().set_creation_datetime(&made));
        }
        let formats = Formats {
            header: Format::new().set_bold().set_quote_prefix(),
            text: Format::new().set_quote_prefix(),
            timestamp: Format::new().set_num_format("yyyy-mm-dd hh:mm:ss.000"),
            date: Format::new().set_num_format("yyyy-mm-dd"),
        };
        let names = SheetNames::default();
        Ok(Self { workbook, names, formats, sheet_rows_max, cells_of_largest: 0 })
    }

    /// A list's rows, on its sheet and as many more as it takes.
    fn list(&mut self, name: &str, rows: &mut dyn RowSource) -> Result<u64, ExportError> {
        let columns = rows.columns().to_vec();
        if columns.len() > SHEET_COLUMNS_MAX {
            return Err(ExportError::TooManyColumns { given: columns.len(), allowed: SHEET_COLUMNS_MAX });
        }
        let mut written = 0;
        let mut sheet = self.begin(name, &columns)?;
        while let Some(batch) = rows.next()? {
            for row in batch.iter() {
                if sheet.next_row == self.sheet_rows_max {
                    let full = std::mem::replace(&mut sheet, self.begin(name, &columns)?);
                    self.end(full, columns.len());
                }
                self.row(&mut sheet, &columns, row)?;
                written += 1;
            }
        }
        self.end(sheet, columns.len());
        Ok(written)
    }

    fn begin(&mut self, name: &str, columns: &[Column]) -> Result<Sheet, ExportError> {
        let mut sheet = self.workbook.new_worksheet_with_constant_memory()?;
        sheet.set_name(self.names.name(name))?;
        sheet.set_freeze_panes(HEADER_ROWS, 0)?;
        for (index, column) in (0_u16..).zip(columns) {
            sheet.write_string_with_format(0, index, fitting(&column.name, column)?, &self.formats.header)?;
            match column.cell_type {
                CellType::Timestamp => _ = sheet.set_column_width(index, TIMESTAMP_WIDTH)?,
                CellType::Date => _ = sheet.set_column_width(index, DATE_WIDTH)?,
                CellType::Bool
                | CellType::Int
                | CellType::Unsigned
                | CellType::Float
                | CellType::Decimal { .. }
                | CellType::Text => {}
            }
        }
        Ok(Sheet { sheet, next_row: HEADER_ROWS })
    }

    fn end(&mut self, sheet: Sheet, columns: usize) {
        let cells = u64::from(sheet.next_row) * super::count(columns);
        self.cells_of_largest = self.cells_of_largest.max(cells);
        self.workbook.push_worksheet(sheet.sheet);
    }

    fn row(&self, sheet: &mut Sheet, columns: &[Column], row: &Json) -> Result<(), ExportError> {
        for (index, column) in (0_u16..).zip(columns) {
            let cell = row.get(&column.name).unwrap_or(&Json::Null);
            self.cell(&mut sheet.sheet, (sheet.next_row, index), column, cell)?;
        }
        sheet.next_row += 1;
        Ok(())
    }

    fn cell(
        &self,
        sheet: &mut Worksheet,
        (row, index): (u32, u16),
        column: &Column,
        cell: &Json,
    ) -> Result<(), ExportError> {
        let written = match cell {
            Json::Null => return Ok(()),
            Json::Bool(value) => sheet.write_boolean(row, index, *value),
            Json::Number(number) => match exact(number) {
                Some(number) => sheet.write_number(row, index, number),
                None => sheet.write_string(row, index, number.to_string()),
            },
            Json::String(text) => match (day(column.cell_type, cell), column.cell_type) {
                (Some(day), CellType::Date) => {
                    sheet.write_number_with_format(row, index, day, &self.formats.date)
                }
                (Some(day), _) => sheet.write_number_with_format(row, index, day, &self.formats.timestamp),
                (None, _) if runs_as_formula(text) => {
                    let text = fitting(text, column)?;
                    sheet.write_string_with_format(row, index, text, &self.formats.text)
                }
                (None, _) => sheet.write_string(row, index, fitting(text, column)?),
            },
            nested @ (Json::Array(_) | Json::Object(_)) => {
                sheet.write_string(row, index, fitting(&Written(nested).to_string(), column)?)
            }
        };
        written?;
        Ok(())
    }
}

/// A text that a cell holds.
fn fitting<'t>(text: &'t str, column: &Column) -> Result<&'t str, ExportError> {
    // A text has no more UTF-16 units than bytes.
    if text.len() > CELL_UNITS_MAX {
        let given = text.chars().map(char::len_utf16).sum();
        if given > CELL_UNITS_MAX {
            let column = column.name.clone();
            return Err(ExportError::CellTooLong { column, given, allowed: CELL_UNITS_MAX });
        }
    }
    Ok(text)
}

/// The number as a spreadsheet has it, where that is the same.
fn exact(number: &Number) -> Option<f64> {
    let magnitude = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
    if magnitude.is_some_and(|magnitude| magnitude > EXACT_MAX) { None } else { number.as_f64() }
}

/// A timestamp or date as a spreadsheet counts days, where it can.
fn day(cell_type: CellType, cell: &Json) -> Option<f64> {
    let (days, micros_of_day) = match cell_type {
        CellType::Timestamp => {
            let micros = micros_of(cell)?;
            (micros.div_euclid(Instant::MICROS_PER_DAY), micros.rem_euclid(Instant::MICROS_PER_DAY))
        }
        CellType::Date => (i64::from(days_of(cell)?), 0),
        CellType::Bool
        | CellType::Int
        | CellType::Unsigned
        | CellType::Float
        | CellType::Decimal { .. }
        | CellType::Text => return None,
    };
    let day = days + EPOCH_DAY;
    #[expect(clippy::cast_precision_loss, reason = "both are far below 2^53")]
    let fraction = micros_of_day as f64 / Instant::MICROS_PER_DAY as f64;
    #[expect(clippy::cast_precision_loss, reason = "within the days of a spreadsheet")]
    (FIRST_DAY..END_DAY).contains(&day).then_some(day as f64 + fraction)
}
