//! Refused rows of a file, as the server keeps them for the dashboard: the newest, each with as much of it as is to
//! be had. A row that was refused once it had been read is read once more.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use ebbtide_model::{Instant, Scope};
use ebbtide_server::rejects::{Bounds, Extent, KeptRow, Owner, Refused, RejectBook, Way};
use ebbtide_server::sources::{FilePlan, RAW_CHARS_MAX, Reject, Source};
use ebbtide_store::{Store, StoreError};

use super::encode::push_row;
use super::positions::Positions;
use super::{FileOutcome, RefusedRow};

pub(crate) struct Kept {
    at: Instant,
    refused: VecDeque<Refused>,
    /// Those that gave way to newer ones.
    lost: u64,
}

impl Kept {
    pub(super) fn new(at: Instant) -> Self {
        Self { at, refused: VecDeque::new(), lost: 0 }
    }

    fn push(&mut self, refused: Refused) {
        if self.refused.len() >= Bounds::default().rows {
            self.refused.pop_front();
            self.lost += 1;
        }
        self.refused.push_back(refused);
    }

    /// A row that could not be read.
    pub(super) fn unread(&mut self, plan: &FilePlan, reject: &Reject) {
        let is_whole = reject.raw.chars().count() < RAW_CHARS_MAX;
        let row = KeptRow::of_text(&reject.raw, if is_whole { Extent::Whole } else { Extent::Beginning });
        let json = serde_json::from_str(&row.text).unwrap_or_default();
        self.push(Refused {
            owner: Owner::by_row(&plan.table, &json),
            at: self.at,
            table: plan.table.name.clone(),
            way: Way::File,
            source: reject.file.clone(),
            position: reject.line,
            column: reject.column.clone(),
            code: reject.code.as_str().into(),
            detail: reject.reason.clone(),
            row: Some(row),
        });
    }

    /// Rows that were read, and not taken.
    pub(super) fn untaken(
        &mut self,
        plan: &FilePlan,
        outcome: &FileOutcome,
        positions: &Positions,
        path: Option<&Path>,
    ) {
        let most = Bounds::default().rows;
        let newest = &outcome.rejected[outcome.rejected.len().saturating_sub(most)..];
        self.lost += (outcome.rejected.len() - newest.len()) as u64;
        let wanted: BTreeSet<usize> = newest.iter().map(|refused| refused.row).collect();
        let rows = path.map(|path| read_again(path, plan, &wanted)).unwrap_or_default();
        for refused in newest {
            let RefusedRow { row, column, code, detail } = refused;
            let json = rows.get(row);
            self.push(Refused {
                owner: json.map_or(Owner::App, |json| Owner::by_row(&plan.table, json)),
                at: self.at,
                table: plan.table.name.clone(),
                way: Way::File,
                source: Arc::clone(&plan.file),
                position: positions.line(*row),
                column: column.clone(),
                code: code.clone().into(),
                detail: detail.clone(),
                row: json.map(KeptRow::of_json),
            });
        }
    }

    /// Blocks until they are durable.
    pub(super) fn write(self, book: &RejectBook, store: &Store, scope: &Scope) -> Result<(), StoreError> {
        if self.refused.is_empty() {
            return Ok(());
        }
        let lost: BTreeMap<Owner, u64> =
            if self.lost > 0 { [(Owner::App, self.lost)].into() } else { BTreeMap::new() };
        book.keep(store, scope, self.refused.into(), &lost)
    }
}

/// Some of a file's rows, by their number among those that can be read. What cannot be had a second time is left out.
fn read_again(path: &Path, plan: &FilePlan, wanted: &BTreeSet<usize>) -> HashMap<usize, serde_json::Value> {
    let mut found = HashMap::new();
    let (Some(last), Ok(source)) = (wanted.last(), Source::open(path, plan)) else {
        return found;
    };
    let open = plan.table.open.as_ref().map(|open| open.field.as_str());
    let mut first = 0;
    for chunk in source.map_while(Result::ok) {
        let batch = &chunk.rows.batch;
        for row in wanted.range(first..first + batch.num_rows()) {
            let mut json = String::new();
            push_row(batch, row - first, open, &mut json);
            if let Ok(json) = serde_json::from_str(&json) {
                found.insert(*row, json);
            }
        }
        first += batch.num_rows();
        if first > *last {
            break;
        }
    }
    found
}
