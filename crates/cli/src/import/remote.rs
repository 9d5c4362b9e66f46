//! Rows into a running server, in batches over HTTP.

use std::hash::{DefaultHasher, Hash, Hasher};

use ebbtide_model::TableName;
use ebbtide_model::pack::Pack;
use ebbtide_server::sources::Chunk;
use serde_json::Value as Json;

use super::encode::push_row;
use super::kept::Kept;
use super::{Destination, FileOutcome, RefusedRow};
use crate::client::Client;
use crate::failure::Failure;

/// Rows of one request, and bytes of its body.
const BATCH_ROWS_MAX: usize = 5_000;
const BATCH_BYTES_MAX: usize = 4 << 20;
/// A file without a key is held whole, up to this size.
const HELD_BYTES_MAX: usize = 512 << 20;

pub(super) struct Remote {
    client: Client,
    /// Open tables, each with the field of its properties.
    open: Vec<(TableName, String)>,
    /// The key's columns of each table.
    keys: Vec<(TableName, Vec<usize>)>,
    table: TableName,
    /// Of the table at hand.
    key: Vec<usize>,
    /// Rows of the file so far.
    rows: usize,
    batch: Batch,
    /// The file's rows that have no key.
    held: Vec<HeldRow>,
    held_bytes: usize,
    outcome: FileOutcome,
}

/// A request in the making.
#[derive(Default)]
struct Batch {
    body: String,
    /// The number of each row in its file.
    rows: Vec<usize>,
}

struct HeldRow {
    /// The same for the same contents.
    hash: u64,
    row: usize,
    json: String,
}

impl Batch {
    fn push(&mut self, row: usize, json: &str) {
        self.body.push(if self.rows.is_empty() { '[' } else { ',' });
        self.body.push_str(json);
        self.rows.push(row);
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= BATCH_ROWS_MAX || self.body.len() >= BATCH_BYTES_MAX
    }
}

impl Remote {
    pub(super) fn new(server: &str, token: &str, pack: &Pack) -> Result<Self, Failure> {
        let open = pack.schema.tables.iter();
        let open = open.filter_map(|table| Some((table.name.clone(), table.open.as_ref()?.field.clone())));
        let keys = pack.schema.tables.iter().map(|table| (table.name.clone(), table.key.clone()));
        Ok(Self {
            client: Client::new(server, token)?,
            open: open.collect(),
            keys: keys.collect(),
            table: TableName::new(""),
            key: Vec::new(),
            rows: 0,
            batch: Batch::default(),
            held: Vec::new(),
            held_bytes: 0,
            outcome: FileOutcome::default(),
        })
    }

    fn send(&mut self) -> Result<(), Failure> {
        if self.batch.rows.is_empty() {
            return Ok(());
        }
        let Batch { mut body, rows } = std::mem::take(&mut self.batch);
        body.push(']');
        let answer = self.client.post(&format!("/v1/tables/{}/rows", self.table), &body)?.into_json()?;
        let number = |json: &Json| json.as_u64().and_then(|number| usize::try_from(number).ok());
        self.outcome.accepted += number(&answer["accepted"]).unwrap_or(0);
        self.outcome.duplicates += number(&answer["duplicates"]).unwrap_or(0);
        self.outcome.waiting += number(&answer["waiting"]).unwrap_or(0);
        for refused in answer["rejected"].as_array().map(Vec::as_slice).unwrap_or_default() {
            let text = |name: &str| refused[name].as_str().map(str::to_owned);
            let row = number(&refused["index"]).and_then(|index| rows.get(index).copied());
            self.outcome.rejected.push(RefusedRow {
                row: row.unwrap_or(0),
                column: text("column"),
                code: text("code").unwrap_or_default(),
                detail: text("detail").unwrap_or_default(),
            });
        }
        Ok(())
    }

    fn hold(&mut self, row: usize, json: String) -> Result<(), Failure> {
        self.held_bytes += json.len();
        if self.held_bytes > HELD_BYTES_MAX {
            return Err(Failure::new(format_args!(
                "rows of table {} have no key, and the file is too large to be sent so that its repeats are counted right",
                self.table
            ))
            .hint("stop the server and import into its data folder with --data"));
        }
        let mut hasher = DefaultHasher::new();
        json.hash(&mut hasher);
        self.held.push(HeldRow { hash: hasher.finish(), row, json });
        Ok(())
    }

    /// Rows without a key are told apart by how often their contents came in one request, as they are
    /// by how often they came in one file. So rows of the same contents go into the same request.
    fn send_held(&mut self) -> Result<(), Failure> {
        let mut held = std::mem::take(&mut self.held);
        self.held_bytes = 0;
        held.sort_by_key(|held| (held.hash, held.row));
        let mut last = None;
        for HeldRow { hash, row, json } in held {
            if last.replace(hash) != Some(hash) && self.batch.is_full() {
                self.send()?;
            }
            self.batch.push(row, &json);
        }
        self.send()
    }
}

impl Destination for Remote {
    fn begin(&mut self, table: &TableName) -> Result<(), Failure> {
        self.table = table.clone();
        let key = self.keys.iter().find(|(known, _)| known == table);
        self.key = key.map(|(_, key)| key.clone()).unwrap_or_default();
        self.rows = 0;
        Ok(())
    }

    fn push(&mut self, chunk: &Chunk) -> Result<(), Failure> {
        let open = self.open.iter().find(|(table, _)| *table == self.table);
        let open = open.map(|(_, field)| field.clone());
        let batch = &chunk.rows.batch;
        for index in 0..batch.num_rows() {
            let keyless = self.key.is_empty() || self.key.iter().any(|key| batch.column(*key).is_null(index));
            let mut json = String::new();
            push_row(batch, index, open.as_deref(), &mut json);
            let row = self.rows;
            self.rows += 1;
            if keyless {
                self.hold(row, json)?;
                continue;
            }
            self.batch.push(row, &json);
            if self.batch.is_full() {
                self.send()?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<FileOutcome, Failure> {
        self.send_held()?;
        Ok(std::mem::take(&mut self.outcome))
    }

    /// The server keeps what it refused.
    fn keep(&mut self, _refused: Kept) {}

    fn close(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}
