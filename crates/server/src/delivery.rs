//! Rows that a pack's clients send, on their way into a table: typed and admitted, or refused and kept with the
//! reasons.

use std::sync::Arc;

use ebbtide_model::{Instant, Scope, TableSchema, TenantId, Tenants};
use ebbtide_store::{NewRows, Occurrences, Receipt, Rejection, TableRead};
use serde_json::Value as Json;

use crate::capture::{Arrival, Misfit, type_rows};
use crate::metrics::RowCounts;
use crate::problem::{Code, Problem};
use crate::rejects::{KeptRow, Owner, Refused, RejectKeeper, Way};
use crate::routes::CaptureRoute;
use crate::server::Server;
use crate::sources::TypedRows;

pub(crate) struct Delivery {
    pub(crate) server: Arc<Server>,
    pub(crate) route: Arc<CaptureRoute>,
    /// Of one tenant.
    pub(crate) scope: Scope,
    pub(crate) now: Instant,
}

/// What became of a list.
pub(crate) enum Admitted {
    /// What is answered of each row.
    All(Vec<Json>),
    /// The rows at fault, one at least. None of the list was taken, save where the store refused these alone.
    Refused(Vec<Misfit>),
}

impl Delivery {
    /// Blocks until the rows are durable.
    pub(crate) fn admit(&self, items: Vec<Json>) -> Result<Admitted, Problem> {
        let (app, capture) = (&self.route.app, &self.route.capture);
        let table = app.pack.schema.table(&capture.table);
        let table = table.ok_or_else(|| Problem::hidden(Code::Internal, "a table that the app lacks"))?;
        let tenant = self.tenant();
        let arrival = Arrival { tenant: tenant.as_str(), now: self.now, ids: &self.server.row_ids };
        let typed = type_rows(table, capture, items, arrival);
        let fitting = match typed.map_err(|error| Problem::hidden(Code::Internal, error))? {
            Ok(fitting) => fitting,
            Err(misfit) => return Ok(Admitted::Refused(vec![misfit])),
        };
        let (mut receipt, mut refused) = (Receipt::default(), Vec::new());
        for rows in fitting.rows.into_iter().filter(|rows| rows.batch.num_rows() > 0) {
            let TypedRows { batch, positions } = rows;
            let before = self.read_before(table)?;
            let occurrences = Occurrences::uncounted();
            let new = NewRows { table: table.name.clone(), batch: batch.clone(), occurrences };
            let stored = self.server.store()?.append(&self.scope, new)?;
            if let Some(before) = before
                && stored.accepted == batch.num_rows()
            {
                self.server.handed.hand_over(&self.scope, table, &batch, before);
            }
            refused.extend(stored.rejected.iter().map(|rejection| misfit_of(rejection, &positions)));
            receipt.add(stored);
        }
        let count = |rows: usize| u64::try_from(rows).unwrap_or(u64::MAX);
        let counts = RowCounts {
            accepted: count(receipt.accepted),
            duplicates: count(receipt.duplicates),
            waiting: count(receipt.waiting),
            rejected: count(receipt.rejected.len()),
        };
        self.server.metrics.rows(app.name().as_str(), table.name.as_str(), counts);
        Ok(if refused.is_empty() { Admitted::All(fitting.answers) } else { Admitted::Refused(refused) })
    }

    /// How far the table is read, where its events are handed to who asks for them soon.
    fn read_before(&self, table: &TableSchema) -> Result<Option<TableRead>, Problem> {
        let app = self.route.app.name();
        if !self.server.handed.wants(app, &table.name) {
            return Ok(None);
        }
        Ok(Some(self.server.store()?.snapshot(app)?.table(&self.scope, &table.name)?.read()))
    }

    /// Keeps what was refused of these rows, as they came by this way from this source.
    pub(crate) fn keep(&self, way: Way, source: &str, misfits: &[Misfit], items: &[Json]) {
        let source: Arc<str> = Arc::from(source);
        let refused = misfits.iter().map(|misfit| Refused {
            owner: Owner::Tenant(self.tenant()),
            at: self.now,
            table: self.route.capture.table.clone(),
            way,
            source: source.clone(),
            position: misfit.index as u64,
            column: misfit.column.clone(),
            code: misfit.code.into(),
            detail: misfit.problem.clone(),
            row: items.get(misfit.index).map(KeptRow::of_json),
        });
        RejectKeeper::push(&self.server, &self.scope, refused.collect());
    }

    fn tenant(&self) -> TenantId {
        match self.scope.tenants() {
            Tenants::One(tenant) => tenant.clone(),
            Tenants::All => TenantId::new(""),
        }
    }
}

/// A row that the store did not take.
fn misfit_of(rejection: &Rejection, positions: &[u64]) -> Misfit {
    let position = positions.get(rejection.row).and_then(|position| usize::try_from(*position).ok());
    Misfit {
        index: position.unwrap_or(rejection.row),
        column: rejection.column.clone(),
        code: rejection.code.as_str(),
        problem: rejection.detail.clone(),
    }
}
