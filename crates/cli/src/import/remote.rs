//! Rows into a running server, in batches over HTTP.

use ebbtide_model::pack::Pack;
use ebbtide_model::{TableName, TableSchema};
use ebbtide_server::sources::Chunk;
use serde_json::Value as Json;

use super::encode::push_row;
use super::{Destination, FileOutcome, RefusedRow};
use crate::client::Client;
use crate::failure::Failure;

/// Rows of one request, and bytes of its body.
const BATCH_ROWS_MAX: usize = 5_000;
const BATCH_BYTES_MAX: usize = 4 << 20;

pub(super) struct Remote {
    client: Client,
    tables: Vec<TableSchema>,
    table: TableName,
    outcome: FileOutcome,
    /// Rows of the file that were sent.
    rows: usize,
}

impl Remote {
    pub(super) fn new(server: &str, token: &str, pack: &Pack) -> Result<Self, Failure> {
        Ok(Self {
            client: Client::new(server, token)?,
            tables: pack.schema.tables.clone(),
            table: TableName::new(""),
            outcome: FileOutcome::default(),
            rows: 0,
        })
    }

    fn send(&mut self, rows: usize, body: &str) -> Result<(), Failure> {
        let path = format!("/v1/tables/{}/rows", self.table);
        let answer = self.client.post(&path, body)?.into_json()?;
        let count =
            |name: &str| answer[name].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
        self.outcome.accepted += count("accepted");
        self.outcome.duplicates += count("duplicates");
        self.outcome.waiting += count("waiting");
        let rejected = answer["rejected"].as_array().map(Vec::as_slice).unwrap_or_default();
        self.outcome.rejected.extend(rejected.iter().map(|row| refused(row, self.rows)));
        self.rows += rows;
        Ok(())
    }
}

fn refused(row: &Json, rows_before: usize) -> RefusedRow {
    let index = row["index"].as_u64().and_then(|index| usize::try_from(index).ok()).unwrap_or(0);
    let text = |name: &str| row[name].as_str().map(str::to_owned);
    RefusedRow {
        row: rows_before + index,
        column: text("column"),
        code: text("code").unwrap_or_default(),
        detail: text("detail").unwrap_or_default(),
    }
}

impl Destination for Remote {
    fn begin(&mut self, table: &TableName) -> Result<(), Failure> {
        let keyless = self.tables.iter().any(|known| known.name == *table && known.key.is_empty());
        if keyless {
            return Err(Failure::new(format_args!(
                "table {table} has no key, so repeats in its file can be told from a second loading only where the file is loaded whole"
            ))
            .hint("stop the server and import into its data folder with --data"));
        }
        self.table = table.clone();
        self.rows = 0;
        Ok(())
    }

    fn push(&mut self, chunk: &Chunk) -> Result<(), Failure> {
        let batch = &chunk.rows.batch;
        let mut body = String::from("[");
        let mut rows = 0;
        for row in 0..batch.num_rows() {
            if rows > 0 {
                body.push(',');
            }
            push_row(batch, row, &mut body);
            rows += 1;
            if rows == BATCH_ROWS_MAX || body.len() >= BATCH_BYTES_MAX || row + 1 == batch.num_rows() {
                body.push(']');
                self.send(rows, &body)?;
                body.truncate(1);
                rows = 0;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<FileOutcome, Failure> {
        Ok(std::mem::take(&mut self.outcome))
    }
}
