//! `POST /v1/capture`, `/v1/actors` and `/v1/alias`: what pages and apps say of their users, durable before it is
//! answered for. Of a list each object is taken or refused by itself.

use std::sync::{Arc, PoisonError};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use axum::extract::{Request, State};
use axum::{Json, http};
use ebbtide_engine::AliasSets;
use ebbtide_model::{Instant, Scope, TableName, TenantId};
use ebbtide_store::{NewRows, Occurrences, Receipt};
use serde_json::{Value as JsonValue, json};

use super::access;
use super::body::{WholeBody, read_body};
use crate::capture::{self, CaptureStream, ItemRejection, Json as Captured};
use crate::metrics::RowCounts;
use crate::problem::{Code, Problem};
use crate::rejects::{KeptRow, Owner, Refused, RejectKeeper, Way};
use crate::server::{App, Server};
use crate::sign_in::{ADMIN, WRITER};

/// The roles that may capture; a write key is a writer.
const WRITERS: [&str; 2] = [ADMIN, WRITER];

pub(super) async fn events(
    State(server): State<Arc<Server>>,
    request: Request,
) -> Result<Json<JsonValue>, Problem> {
    take(server, request, Way::Events).await
}

pub(super) async fn actors(
    State(server): State<Arc<Server>>,
    request: Request,
) -> Result<Json<JsonValue>, Problem> {
    take(server, request, Way::Actors).await
}

pub(super) async fn aliases(
    State(server): State<Arc<Server>>,
    request: Request,
) -> Result<Json<JsonValue>, Problem> {
    take(server, request, Way::Aliases).await
}

async fn take(server: Arc<Server>, request: Request, way: Way) -> Result<Json<JsonValue>, Problem> {
    let now = server.now();
    let delivery = Delivery::of(server.clone(), request.headers(), request.uri(), now)?;
    let settings = &server.settings;
    let body = read_body(request, settings.body_bytes_max, settings, &server.bodies).await?;
    // Typing is work, and the store waits for the disk. A request that is given up meanwhile does not
    // undo it.
    let stored = tokio::task::spawn_blocking(move || delivery.store(&body, way)).await;
    let counted = stored.map_err(|error| Problem::hidden(Code::Internal, error))??;
    Ok(Json(counted.to_json()))
}

/// Who captures into which tenant of which app.
pub(super) struct Delivery {
    pub(super) server: Arc<Server>,
    pub(super) app: Arc<App>,
    /// Of this tenant.
    pub(super) scope: Scope,
    pub(super) tenant: TenantId,
    pub(super) now: Instant,
}

impl Delivery {
    pub(super) fn of(
        server: Arc<Server>,
        headers: &http::HeaderMap,
        uri: &http::Uri,
        now: Instant,
    ) -> Result<Self, Problem> {
        let caller = access::sign_in_to_capture(&server, headers, uri)?;
        caller.require_role(&WRITERS)?;
        let scope = caller.tenant_scope()?;
        let tenant = caller.tenant().cloned().unwrap_or_else(|| TenantId::new(""));
        let app = server.app_of(&caller)?.clone();
        Ok(Self { server, app, scope, tenant, now })
    }

    fn store(&self, body: &WholeBody, way: Way) -> Result<Counted, Problem> {
        let items = match body.borrowed_json()? {
            Captured::List(items) => items,
            one @ Captured::Object(_) => vec![one],
            other @ (Captured::Null
            | Captured::Bool(_)
            | Captured::Int(_)
            | Captured::Unsigned(_)
            | Captured::Float(_)
            | Captured::Text(_)) => {
                let detail = format!("The body is {}; allowed is an object or a list of them.", other.kind());
                return Err(Problem::new(Code::BodyInvalid, detail));
            }
        };
        self.store_items(&items, way)
    }

    /// What became of each.
    pub(super) fn store_items(&self, items: &[Captured<'_>], way: Way) -> Result<Counted, Problem> {
        let items_max = self.server.settings.rows_max;
        if items.len() > items_max {
            let detail = format!("The list has {} objects; allowed are at most {items_max}.", items.len());
            return Err(Problem::new(Code::BodyTooLarge, detail));
        }
        let counted = self.admit(way, items)?;
        self.keep(way, items, &counted);
        Ok(counted)
    }

    /// Takes each object, or refuses it.
    pub(super) fn admit(&self, way: Way, items: &[Captured<'_>]) -> Result<Counted, Problem> {
        let mut counted = match way {
            Way::Actors => self.actors(items),
            Way::Aliases => self.aliases(items),
            Way::Events | Way::Rows | Way::Path | Way::Message | Way::File => self.events(items),
        }?;
        counted.rejected.sort_by_key(|rejection| rejection.index);
        Ok(counted)
    }

    /// What was refused is kept.
    fn keep(&self, way: Way, items: &[Captured<'_>], counted: &Counted) {
        if counted.rejected.is_empty() {
            return;
        }
        let source: Arc<str> = Arc::from(format!("/v1/{}", way.name()));
        let refused = counted.rejected.iter().map(|rejection| Refused {
            owner: Owner::Tenant(self.tenant.clone()),
            at: self.now,
            table: counted.table.clone(),
            way,
            source: source.clone(),
            position: rejection.index as u64,
            column: None,
            code: rejection.code.into(),
            detail: rejection.detail.clone(),
            row: items.get(rejection.index).map(|item| KeptRow::of_json(&item.to_value())),
        });
        RejectKeeper::push(&self.server, &self.scope, refused.collect());
    }

    /// An event without an id is one of its own, however often it is sent.
    fn events(&self, items: &[Captured<'_>]) -> Result<Counted, Problem> {
        let stream = self.stream()?;
        let typed = stream.type_events(items, self.tenant.as_str(), self.now).map_err(layout)?;
        let mut counted = Counted::of(&stream.table.name, typed.rejected);
        for rows in typed.batches {
            let receipt = self.append(&stream.table.name, rows.batch, Occurrences::uncounted())?;
            counted.add(receipt, &rows.indexes);
        }
        self.tell(&counted);
        Ok(counted)
    }

    fn actors(&self, items: &[Captured<'_>]) -> Result<Counted, Problem> {
        let stream = self.stream()?;
        let by = stream.table.actor_props.as_ref().ok_or_else(|| self.takes_none("properties of actors"))?;
        let schema = &self.app.pack.schema;
        let table = schema.table(&by.table).ok_or_else(|| self.takes_none("properties of actors"))?;
        let typed = capture::type_actors(table, by, items, self.tenant.as_str()).map_err(layout)?;
        let mut counted = Counted::of(&table.name, typed.rejected);
        if typed.batch.num_rows() > 0 {
            let receipt = self.append(&table.name, typed.batch, Occurrences::new())?;
            counted.add(receipt, &typed.indexes);
        }
        // An actor is told of once, with however many properties.
        let refused = counted.rejected.len();
        counted.accepted = items.len().saturating_sub(refused).min(typed.accepted);
        counted.duplicates = 0;
        self.tell(&counted);
        Ok(counted)
    }

    fn aliases(&self, items: &[Captured<'_>]) -> Result<Counted, Problem> {
        let stream = self.stream()?;
        let by = stream.table.aliases.as_ref().ok_or_else(|| self.takes_none("aliases"))?;
        let schema = &self.app.pack.schema;
        let table = schema.table(&by.table).ok_or_else(|| self.takes_none("aliases"))?;
        // What joins is decided by what has joined: one request of a tenant at a time, until it is stored.
        let place = self.server.joining.of(self.app.name(), &self.tenant);
        let _joining = place.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = self.server.store()?.snapshot(self.app.name())?;
        let mut sets = AliasSets::load(&snapshot, &self.scope, by, &self.tenant)?;
        let joined = capture::join(table, by, items, self.tenant.as_str(), &mut sets).map_err(layout)?;
        if let Some(batch) = joined.batch {
            let refused = self.append(&table.name, batch, Occurrences::new())?.rejected;
            if let Some(refused) = refused.first() {
                return Err(Problem::hidden(Code::Internal, format!("a decided alias: {}", refused.detail)));
            }
        }
        let mut counted = Counted::of(&table.name, joined.rejected);
        (counted.accepted, counted.duplicates) = (joined.accepted, joined.duplicates);
        self.tell(&counted);
        Ok(counted)
    }

    fn stream(&self) -> Result<CaptureStream<'_>, Problem> {
        CaptureStream::of(&self.app.pack.schema).ok_or_else(|| self.takes_none("events of any shape"))
    }

    fn takes_none(&self, what: &str) -> Problem {
        let detail = format!("The app {} has no table that takes {what}.", self.app.name());
        Problem::new(Code::NotFound, detail)
    }

    fn append(
        &self,
        table: &TableName,
        batch: RecordBatch,
        occurrences: Occurrences,
    ) -> Result<Receipt, Problem> {
        let rows = NewRows { table: table.clone(), batch, occurrences };
        Ok(self.server.store()?.append(&self.scope, rows)?)
    }

    fn tell(&self, counted: &Counted) {
        self.server.metrics.rows(self.app.name().as_str(), counted.table.as_str(), counted.counts());
    }
}

fn layout(error: ArrowError) -> Problem {
    Problem::hidden(Code::Internal, error)
}

/// What became of each object of a list: the counts and the rejected ones add up to it.
#[derive(Debug)]
pub(super) struct Counted {
    /// Where the objects go.
    table: TableName,
    pub(super) accepted: usize,
    pub(super) duplicates: usize,
    pub(super) rejected: Vec<ItemRejection>,
}

impl Counted {
    fn of(table: &TableName, rejected: Vec<ItemRejection>) -> Self {
        Self { table: table.clone(), accepted: 0, duplicates: 0, rejected }
    }

    /// `indexes`: of each row's object in the list.
    fn add(&mut self, receipt: Receipt, indexes: &[usize]) {
        self.accepted += receipt.accepted + receipt.waiting;
        self.duplicates += receipt.duplicates;
        for refused in receipt.rejected {
            let index = indexes.get(refused.row).copied().unwrap_or(refused.row);
            if self.rejected.last().is_none_or(|last| last.index != index) {
                self.rejected.push(ItemRejection {
                    index,
                    code: refused.code.as_str(),
                    detail: refused.detail,
                });
            }
        }
    }

    fn counts(&self) -> RowCounts {
        let count = |rows: usize| u64::try_from(rows).unwrap_or(u64::MAX);
        RowCounts {
            accepted: count(self.accepted),
            duplicates: count(self.duplicates),
            waiting: 0,
            rejected: count(self.rejected.len()),
        }
    }

    pub(super) fn to_json(&self) -> JsonValue {
        json!({"accepted": self.accepted, "duplicates": self.duplicates, "rejected": self.rejected})
    }
}
