//! `/v1/rejects`: rows that were refused, for the admins of their tenant: to look at, to send again, to be rid of.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Uri};
use ebbtide_model::{Fault, Node, Scope, read_json};
use serde_json::{Value as JsonValue, json};

use super::access::{self, Pairs};
use super::answer::WrittenJson;
use super::body::read_body;
use super::resend::{Correction, Resending};
use crate::problem::{Code, Problem, shortened};
use crate::rejects::{Owner, Page, Reject, Wanted, Way, page_of};
use crate::server::Server;
use crate::sign_in::{ADMIN, Caller};

/// Rejects of one answer.
const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1_000;

/// Rejects that are sent again by one request.
const RESENT_MAX: usize = 10_000;

/// `GET /v1/rejects`.
pub(super) async fn list(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<WrittenJson, Problem> {
    let (_, scope) = admin(&server, &headers, &uri)?;
    let pairs = access::query_pairs(&uri)?;
    let mut wanted = filter_of(&pairs);
    wanted.after = access::last(&pairs, "after").map(str::to_owned);
    let limit = limit_of(&pairs)?;
    let page = read(&server, &scope, wanted, limit).await?;
    let bounds = server.rejects.book.bounds();
    let counts = page.counts.iter();
    let counts = counts.map(|((table, code), rows)| json!({"table": table, "code": code, "rows": rows}));
    let next = page.rejects.last().filter(|_| page.more).map(|last| last.id.clone());
    Ok(WrittenJson(json!({
        "counts": counts.collect::<Vec<_>>(),
        "forgotten": page.forgotten,
        "rows_max": bounds.rows,
        "rejects": page.rejects.iter().map(told).collect::<Vec<_>>(),
        "next": next,
    })))
}

/// `DELETE /v1/rejects`.
pub(super) async fn delete(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<WrittenJson, Problem> {
    let (_, scope) = admin(&server, &headers, &uri)?;
    let pairs = access::query_pairs(&uri)?;
    let mut wanted = filter_of(&pairs);
    wanted.ids = access::last(&pairs, "ids").map(|ids| ids.split(',').map(str::to_owned).collect());
    let removing = tokio::task::spawn_blocking(move || {
        server.rejects.settle();
        Ok::<_, Problem>(server.rejects.book.remove(server.store()?, &scope, &wanted)?)
    });
    let deleted = removing.await.map_err(|error| Problem::hidden(Code::Internal, error))??;
    Ok(WrittenJson(json!({"deleted": deleted})))
}

/// `POST /v1/rejects/retry`.
pub(super) async fn retry(
    State(server): State<Arc<Server>>,
    request: Request,
) -> Result<WrittenJson, Problem> {
    let (caller, scope) = admin(&server, request.headers(), request.uri())?;
    let app = server.app_of(&caller)?.clone();
    let settings = &server.settings;
    let body = read_body(request, settings.body_bytes_max, settings, &server.bodies).await?;
    let Asked { wanted, corrections } =
        asked(&body.json()?).map_err(|fault| Problem::new(Code::BodyInvalid, fault.to_string()))?;
    let now = server.now();
    // Typing is work, and the store waits for the disk. A request that is given up meanwhile does not
    // undo it.
    let sending = tokio::task::spawn_blocking(move || {
        let rejects = &server.rejects;
        let _alone = rejects.retrying();
        rejects.settle();
        let store = server.store()?;
        let page = page_of(&store.snapshot(scope.app())?, &scope, &wanted, RESENT_MAX)?;
        let known: BTreeSet<&str> = page.rejects.iter().map(|reject| reject.id.as_str()).collect();
        let unknown: Vec<String> =
            wanted.ids.iter().flatten().filter(|id| !known.contains(id.as_str())).cloned().collect();
        let more = page.more;
        let resending = Resending { server: &server, app: &app, scope: &scope, now };
        let resent = resending.send(page.rejects, corrections);
        let taken = Wanted { ids: Some(resent.taken), ..Wanted::default() };
        rejects.book.remove(store, &scope, &taken)?;
        Ok::<_, Problem>(json!({
            "accepted": resent.accepted,
            "duplicates": resent.duplicates,
            "waiting": resent.waiting,
            "rejected": resent.rejected,
            "unknown": unknown,
            "more": more,
        }))
    });
    let answer = sending.await.map_err(|error| Problem::hidden(Code::Internal, error))??;
    Ok(WrittenJson(answer))
}

fn admin(server: &Server, headers: &HeaderMap, uri: &Uri) -> Result<(Caller, Scope), Problem> {
    let caller = access::sign_in(server, headers, uri)?;
    caller.require_role(&[ADMIN])?;
    let scope = caller.widest_scope()?;
    Ok((caller, scope))
}

async fn read(server: &Arc<Server>, scope: &Scope, wanted: Wanted, limit: usize) -> Result<Page, Problem> {
    let (server, scope) = (server.clone(), scope.clone());
    let reading = tokio::task::spawn_blocking(move || {
        // What was refused before this was asked is told.
        server.rejects.settle();
        let snapshot = server.store()?.snapshot(scope.app())?;
        Ok::<_, Problem>(page_of(&snapshot, &scope, &wanted, limit)?)
    });
    reading.await.map_err(|error| Problem::hidden(Code::Internal, error))?
}

fn filter_of(pairs: &Pairs) -> Wanted {
    let given = |name: &str| access::last(pairs, name).filter(|text| !text.is_empty()).map(str::to_owned);
    Wanted { table: given("table"), code: given("code"), ..Wanted::default() }
}

fn limit_of(pairs: &Pairs) -> Result<usize, Problem> {
    let Some(given) = access::last(pairs, "limit") else { return Ok(LIMIT_DEFAULT) };
    let limit = given.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| {
        let detail =
            format!("limit: {:?} was given; allowed is a number from 1 to {LIMIT_MAX}.", shortened(given));
        Problem::new(Code::ParameterInvalid, detail)
    })
}

struct Asked {
    wanted: Wanted,
    corrections: Vec<Correction>,
}

/// `{"ids"?, "rows"?}`, or a filter: `{"table"?, "code"?}`.
fn asked(body: &JsonValue) -> Result<Asked, Fault> {
    let fields = Node::root(body).fields()?;
    let text = |name| fields.optional(name).map(|node| node.text().map(str::to_owned)).transpose();
    let (table, code) = (text("table")?, text("code")?);
    let mut ids = BTreeSet::new();
    let given = fields.optional("ids");
    for node in given.iter().map(Node::items).collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
        ids.insert(node.text()?.to_owned());
    }
    let mut corrections = Vec::new();
    let rows = fields.optional("rows");
    for node in rows.iter().map(Node::items).collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
        let fields = node.fields()?;
        let id = fields.required("id")?.text()?.to_owned();
        let row = fields.required("row")?.json().clone();
        fields.finish()?;
        ids.insert(id.clone());
        corrections.push(Correction { id, row });
    }
    let (by_id, by_filter) = (given.is_some() || rows.is_some(), table.is_some() || code.is_some());
    let problem = match (by_id, by_filter) {
        (true, true) => Some("names rejects and filters them; allowed is one of both"),
        (false, false) => Some(
            "names no rejects; allowed are `ids`, `rows` with corrected rows, or a filter by `table` and `code`",
        ),
        (true, false) | (false, true) => None,
    };
    if let Some(problem) = problem {
        return Err(fields.fault(problem));
    }
    if ids.len() > RESENT_MAX {
        return Err(fields.fault(format_args!("names {} rejects; allowed are {RESENT_MAX}", ids.len())));
    }
    fields.finish()?;
    let wanted = Wanted { table, code, after: None, ids: by_id.then_some(ids) };
    Ok(Asked { wanted, corrections })
}

/// A reject as it is answered.
fn told(reject: &Reject) -> JsonValue {
    let row = reject.row.as_ref();
    let json = row.and_then(|row| read_json(row.text.as_bytes()).ok());
    let tenant = match &reject.owner {
        Owner::Tenant(tenant) => json!(tenant.as_str()),
        Owner::App => JsonValue::Null,
    };
    let (index, line) = match reject.way {
        Way::File => (None, Some(reject.position)),
        // It came alone.
        Way::Message => (None, None),
        Way::Rows | Way::Events | Way::Actors | Way::Aliases | Way::Path => (Some(reject.position), None),
    };
    json!({
        "id": reject.id,
        "at": reject.at.to_string(),
        "tenant": tenant,
        "table": reject.table.as_str(),
        "way": reject.way.name(),
        "source": reject.source,
        "index": index,
        "line": line,
        "column": reject.column,
        "code": reject.code,
        "detail": reject.detail,
        "row": json,
        "text": row.filter(|_| json.is_none()).map(|row| row.text.as_str()),
        "row_bytes": row.map_or(0, |row| row.bytes),
        "whole": row.is_some_and(|row| row.whole),
    })
}
