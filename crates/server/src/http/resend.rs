//! Rejects sent again: each by the way that it came, into the tenant that it is of, under the same admission.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ebbtide_model::pack::Absent;
use ebbtide_model::{Instant, Scope, TableName, TenantId, Tenants, read_json};
use serde_json::{Value as JsonValue, json};

use super::{capture, rows};
use crate::capture::{Json as Captured, Misfit};
use crate::delivery::{Admitted, Delivery};
use crate::live;
use crate::problem::Problem;
use crate::rejects::{Owner, Reject, Way};
use crate::server::{App, Server};

/// A row that somebody mended.
#[derive(Debug)]
pub(super) struct Correction {
    pub(super) id: String,
    pub(super) row: JsonValue,
}

/// Who sends again.
pub(super) struct Resending<'r> {
    pub(super) server: &'r Arc<Server>,
    pub(super) app: &'r Arc<App>,
    pub(super) scope: &'r Scope,
    pub(super) now: Instant,
}

/// What became of rejects that were sent again.
#[derive(Debug, Default)]
pub(super) struct Resent {
    pub(super) accepted: usize,
    pub(super) duplicates: usize,
    pub(super) waiting: usize,
    pub(super) rejected: Vec<JsonValue>,
    /// Those that are rejects no more.
    pub(super) taken: BTreeSet<String>,
}

/// Rows that are sent together: in the order of their arrival.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    way: Way,
    source: String,
    table: TableName,
    /// `None` where each row says whose it is.
    tenant: Option<TenantId>,
}

/// Why a reject is refused again.
struct Again {
    column: Option<String>,
    code: String,
    detail: String,
}

impl Again {
    fn new(code: &str, detail: impl Into<String>) -> Self {
        Self { column: None, code: code.to_owned(), detail: detail.into() }
    }
}

impl From<Problem> for Again {
    fn from(problem: Problem) -> Self {
        Self::new(problem.code().as_str(), problem.detail())
    }
}

impl From<Misfit> for Again {
    fn from(misfit: Misfit) -> Self {
        Self { column: misfit.column, code: misfit.code.to_owned(), detail: misfit.problem }
    }
}

impl Resent {
    fn refuse(&mut self, id: &str, again: &Again) {
        let Again { column, code, detail } = again;
        self.rejected.push(json!({"id": id, "column": column, "code": code, "detail": detail}));
    }
}

impl Resending<'_> {
    pub(super) fn send(&self, rejects: Vec<Reject>, corrections: Vec<Correction>) -> Resent {
        let mut mended: BTreeMap<String, JsonValue> =
            corrections.into_iter().map(|correction| (correction.id, correction.row)).collect();
        let mut resent = Resent::default();
        let mut groups: BTreeMap<Group, Vec<(String, JsonValue)>> = BTreeMap::new();
        // The oldest first, as they came.
        for reject in rejects.into_iter().rev() {
            let row = match mended.remove(&reject.id) {
                Some(row) => Ok(row),
                None => kept_row(&reject),
            };
            match row.and_then(|row| Ok((self.group_of(&reject, &row)?, row))) {
                Ok((group, row)) => groups.entry(group).or_default().push((reject.id, row)),
                Err(again) => resent.refuse(&reject.id, &again),
            }
        }
        for (group, rows) in groups {
            self.send_group(&group, &rows, &mut resent);
        }
        resent
    }

    /// By which way a row goes, and into which tenant: that of the reject, whatever the row says and whoever sends
    /// it again, so that nobody gets a row into another's tenant by way of somebody who may write there.
    fn group_of(&self, reject: &Reject, row: &JsonValue) -> Result<Group, Again> {
        let tenant = match reject.way {
            Way::Rows | Way::File => self.tenant_of_row(reject, row)?,
            Way::Events | Way::Actors | Way::Aliases | Way::Path | Way::Message => match &reject.owner {
                Owner::Tenant(tenant) => Some(tenant.clone()),
                Owner::App => None,
            },
        };
        Ok(Group { way: reject.way, source: reject.source.clone(), table: reject.table.clone(), tenant })
    }

    fn tenant_of_row(&self, reject: &Reject, row: &JsonValue) -> Result<Option<TenantId>, Again> {
        let schema = &self.app.pack.schema;
        let Some(table) = schema.table(&reject.table) else {
            let detail = format!("the app has no table {} any more", reject.table);
            return Err(Again::new("table_unknown", detail));
        };
        let Owner::Tenant(tenant) = &reject.owner else {
            return Ok(None);
        };
        if !schema.is_parent(&reject.table) {
            return Ok(Some(tenant.clone()));
        }
        if *self.scope.tenants() != Tenants::All {
            let detail =
                "other tables find their tenant through this one: an admin without a tenant writes it";
            return Err(Again::new("forbidden", detail));
        }
        if Owner::by_row(table, row) != reject.owner {
            let detail =
                format!("the row is of another tenant than {:?}, of whom it was refused", tenant.as_str());
            return Err(Again::new("tenant_foreign", detail));
        }
        // Such a table is written by who sees all.
        Ok(None)
    }

    fn send_group(&self, group: &Group, rows: &[(String, JsonValue)], resent: &mut Resent) {
        let sent = match group.way {
            Way::Rows | Way::File => self.send_rows(group, rows, resent),
            Way::Events | Way::Actors | Way::Aliases => self.send_captured(group, rows, resent),
            Way::Path => self.send_by_path(group, rows, resent),
            Way::Message => self.send_messages(group, rows, resent),
        };
        if let Err(again) = sent {
            rows.iter().for_each(|(id, _)| resent.refuse(id, &again));
        }
    }

    fn scope_of(&self, group: &Group) -> Result<Scope, Again> {
        let scope = match &group.tenant {
            Some(tenant) => self.scope.narrowed_to(tenant),
            None => Some(self.scope.clone()),
        };
        scope.ok_or_else(|| Again::new("forbidden", "the row is of another tenant"))
    }

    fn send_rows(
        &self,
        group: &Group,
        rows: &[(String, JsonValue)],
        resent: &mut Resent,
    ) -> Result<(), Again> {
        let table = self.app.pack.schema.table(&group.table);
        let table = table.ok_or_else(|| Again::new("table_unknown", "the app has no such table any more"))?;
        let list: Vec<JsonValue> = rows.iter().map(|(_, row)| row.clone()).collect();
        let accounted = rows::admit(self.server, &self.scope_of(group)?, table, &list)?;
        let refused: BTreeMap<usize, Again> = accounted
            .rejected
            .into_iter()
            .map(|one| {
                (one.index, Again { column: one.column, code: one.code.to_owned(), detail: one.detail })
            })
            .collect();
        resent.accepted += accounted.receipt.accepted;
        resent.duplicates += accounted.receipt.duplicates;
        resent.waiting += accounted.receipt.waiting;
        account(rows, &refused, resent);
        Ok(())
    }

    fn send_captured(
        &self,
        group: &Group,
        rows: &[(String, JsonValue)],
        resent: &mut Resent,
    ) -> Result<(), Again> {
        let delivery = capture::Delivery {
            server: self.server.clone(),
            app: self.app.clone(),
            scope: self.scope_of(group)?,
            tenant: self.tenant_of(group)?,
            now: self.now,
        };
        let named: Vec<JsonValue> = rows.iter().map(|(id, row)| with_event_id(group.way, row, id)).collect();
        let items: Vec<Captured<'_>> = named.iter().map(Captured::from).collect();
        let counted = delivery.admit(group.way, &items)?;
        let refused = counted.rejected.into_iter();
        let refused: BTreeMap<usize, Again> =
            refused.map(|one| (one.index, Again::new(one.code, one.detail))).collect();
        resent.accepted += counted.accepted;
        resent.duplicates += counted.duplicates;
        account(rows, &refused, resent);
        Ok(())
    }

    /// One by one: a pack's path takes a list wholly or not at all.
    fn send_by_path(
        &self,
        group: &Group,
        rows: &[(String, JsonValue)],
        resent: &mut Resent,
    ) -> Result<(), Again> {
        let mut routes = self.server.routes.captures.iter();
        let route = routes
            .find(|route| route.capture.path == group.source && route.app.name() == self.app.name())
            .ok_or_else(|| gone(group))?;
        self.tenant_of(group)?;
        let delivery = Delivery {
            server: self.server.clone(),
            route: route.clone(),
            scope: self.scope_of(group)?,
            now: self.now,
        };
        let new_ids: Vec<&str> = route
            .capture
            .fields
            .iter()
            .filter(|field| matches!(field.absent, Some(Absent::NewId)))
            .filter_map(|field| {
                Some(route.app.pack.schema.table(&group.table)?.columns.get(field.column)?.name.as_str())
            })
            .collect();
        for (id, row) in rows {
            let mut row = row.clone();
            new_ids.iter().for_each(|name| name_row(&mut row, name, id));
            match delivery.admit(vec![row]) {
                Ok(Admitted::All(_)) => {
                    resent.accepted += 1;
                    resent.taken.insert(id.clone());
                }
                Ok(Admitted::Refused(misfits)) => {
                    let refused = || Again::new("internal", "the row was refused");
                    resent.refuse(id, &misfits.into_iter().next().map_or_else(refused, Again::from));
                }
                Err(problem) => resent.refuse(id, &Again::from(problem)),
            }
        }
        Ok(())
    }

    /// As somebody said them who listens.
    fn send_messages(
        &self,
        group: &Group,
        rows: &[(String, JsonValue)],
        resent: &mut Resent,
    ) -> Result<(), Again> {
        let mut ways = self.server.routes.lives.iter();
        let way = ways
            .find(|way| way.live.route.path == group.source && way.report.app.name() == self.app.name())
            .ok_or_else(|| gone(group))?;
        self.tenant_of(group)?;
        let conversation = live::Conversation {
            server: self.server.clone(),
            way: way.clone(),
            scope: self.scope_of(group)?,
        };
        // Who sends again may block.
        let runtime = tokio::runtime::Handle::current();
        for (id, row) in rows {
            match runtime.block_on(conversation.take(row, self.now)) {
                Ok(Ok(())) => {
                    resent.accepted += 1;
                    resent.taken.insert(id.clone());
                }
                Ok(Err(misfit)) => resent.refuse(id, &Again::from(misfit)),
                Err(problem) => resent.refuse(id, &Again::from(problem)),
            }
        }
        Ok(())
    }

    fn tenant_of(&self, group: &Group) -> Result<TenantId, Again> {
        let unknown = || Again::new("tenant_required", "nobody can tell whose the row is");
        group.tenant.clone().ok_or_else(unknown)
    }
}

/// The path that the rows came by is not there.
fn gone(group: &Group) -> Again {
    Again::new("path_unknown", format!("there is no path {} any more", group.source))
}

/// The row as it came, where all of it is kept.
fn kept_row(reject: &Reject) -> Result<JsonValue, Again> {
    let whole = reject.row.as_ref().filter(|row| row.whole);
    let row = whole.and_then(|row| read_json(row.text.as_bytes()).ok());
    row.ok_or_else(|| {
        let detail = "the row is not kept as an object, or not all of it; give it in `rows`, mended";
        Again::new("row_needed", detail)
    })
}

/// Those that were not refused are rejects no more.
fn account(rows: &[(String, JsonValue)], refused: &BTreeMap<usize, Again>, resent: &mut Resent) {
    for (index, (id, _)) in rows.iter().enumerate() {
        match refused.get(&index) {
            Some(again) => resent.refuse(id, again),
            None => _ = resent.taken.insert(id.clone()),
        }
    }
}

/// An event that has no name of its own has that of its reject, so that sent twice it is there once.
fn with_event_id(way: Way, row: &JsonValue, id: &str) -> JsonValue {
    let mut row = row.clone();
    if way == Way::Events {
        name_row(&mut row, "event_id", id);
    }
    row
}

fn name_row(row: &mut JsonValue, field: &str, id: &str) {
    if let Some(fields) = row.as_object_mut()
        && fields.get(field).is_none_or(JsonValue::is_null)
    {
        fields.insert(field.to_owned(), JsonValue::from(id));
    }
}
