//! The rejects of all tenants: added, found, removed, and the oldest of a tenant let go of where it has too many.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ebbtide_model::{AppName, Instant, Scope, TableName};
use ebbtide_store::{NewRows, Occurrences, Snapshot, Store, StoreError};

use super::rows::{Forgotten, Place, batch_of, for_each_head, for_each_reject, keys_of, tables_of};
use super::text::{ROW_BYTES_MAX, kept_detail};
use super::{Owner, Refused, Reject};

/// How many rejects of one tenant are kept, the newest. They are let go of in bulk, so that there may be an eighth
/// more for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub rows: usize,
    /// Of the rows' texts, as far as they are kept.
    pub bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { rows: 10_000, bytes: 16 << 20 }
    }
}

/// What an owner has.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    rows: usize,
    bytes: u64,
    forgotten: u64,
}

/// Keeps rejects, in the order of time.
#[derive(Debug)]
pub struct RejectBook {
    bounds: Bounds,
    /// Sets ids apart from those of another process.
    seed: u32,
    next: AtomicU32,
    /// Of owners that were written for since the start. Held while one is.
    accounts: Mutex<HashMap<(AppName, Owner), Account>>,
}

/// Which rejects somebody asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) table: Option<String>,
    pub(crate) code: Option<String>,
    /// Those older than this one.
    pub(crate) after: Option<String>,
    /// These alone.
    pub(crate) ids: Option<BTreeSet<String>>,
}

impl Wanted {
    fn holds(&self, id: &str, table: &str, code: &str) -> bool {
        self.table.as_deref().is_none_or(|wanted| wanted == table)
            && self.code.as_deref().is_none_or(|wanted| wanted == code)
            && self.after.as_deref().is_none_or(|after| id < after)
            && self.ids.as_ref().is_none_or(|ids| ids.contains(id))
    }
}

/// Some of the rejects, the newest first.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) rejects: Vec<Reject>,
    /// Whether there are older ones.
    pub(crate) more: bool,
    /// How many there are of each table and code, whatever was asked for.
    pub(crate) counts: BTreeMap<(String, String), u64>,
    /// How many were let go of, of all owners that the scope sees.
    pub(crate) forgotten: u64,
}

impl RejectBook {
    /// `seed` differs from process to process.
    pub fn new(bounds: Bounds, seed: u64) -> Self {
        // The lower half is as random as the whole.
        let seed = u32::try_from(seed & u64::from(u32::MAX)).unwrap_or_default();
        Self { bounds, seed, next: AtomicU32::new(0), accounts: Mutex::default() }
    }

    pub(crate) fn bounds(&self) -> Bounds {
        self.bounds
    }

    fn accounts(&self) -> MutexGuard<'_, HashMap<(AppName, Owner), Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ascends with the moment and, in one process, with each call.
    fn next_id(&self, at: Instant) -> String {
        let micros = u64::try_from(at.micros()).unwrap_or(0);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{micros:016x}{number:08x}{:08x}", self.seed)
    }

    /// Writes rows that were refused, at once for each table that they go to. `lost` are further ones
    /// that are no longer to be had, and only counted. The scope is theirs who sent them. Blocks until they are
    /// durable.
    pub fn keep(
        &self,
        store: &Store,
        scope: &Scope,
        refused: Vec<Refused>,
        lost: &BTreeMap<Owner, u64>,
    ) -> Result<(), StoreError> {
        let mut accounts = self.accounts();
        let mut by_owner: BTreeMap<Owner, (Vec<Reject>, u64)> = BTreeMap::new();
        for one in refused {
            let kept = self.kept(one);
            by_owner.entry(kept.owner.clone()).or_default().0.push(kept);
        }
        for (owner, rows) in lost {
            by_owner.entry(owner.clone()).or_default().1 += rows;
        }
        let mut by_table: BTreeMap<TableName, (Vec<Reject>, Vec<Forgotten>)> = BTreeMap::new();
        let mut grown = Vec::new();
        for (owner, (mut rejects, mut gone)) in by_owner {
            let Some(place) = Place::of(scope, &owner) else { continue };
            let surplus = rejects.len().saturating_sub(self.bounds.rows);
            rejects.drain(..surplus);
            gone += surplus as u64;
            let key = (scope.app().clone(), owner.clone());
            let mut account = match accounts.get(&key) {
                Some(account) => *account,
                None => account_of(&store.snapshot(scope.app())?, &place)?,
            };
            account.rows += rejects.len();
            account.bytes += rejects.iter().map(bytes_of).sum::<u64>();
            account.forgotten += gone;
            let (rows, counters) = by_table.entry(place.table.clone()).or_default();
            rows.extend(rejects);
            if gone > 0 {
                counters.push(Forgotten { owner: owner.clone(), rows: account.forgotten });
            }
            grown.push((key, place, account));
        }
        for (table, (rejects, counters)) in by_table {
            append(store, scope, &table, &rejects, &counters)?;
        }
        for (key, place, mut account) in grown {
            if self.is_past(account) {
                self.let_go(store, &place, &key.1, &mut account)?;
            }
            accounts.insert(key, account);
        }
        Ok(())
    }

    fn kept(&self, refused: Refused) -> Reject {
        Reject {
            id: self.next_id(refused.at),
            at: refused.at,
            owner: refused.owner,
            table: refused.table,
            way: refused.way,
            source: refused.source.to_string(),
            position: refused.position,
            column: refused.column,
            code: refused.code.into_owned(),
            detail: kept_detail(&refused.detail),
            row: refused.row,
        }
    }

    /// Past the bounds by an eighth.
    fn is_past(&self, account: Account) -> bool {
        account.rows > self.bounds.rows + self.bounds.rows / 8
            || account.bytes > self.bounds.bytes + self.bounds.bytes / 8
    }

    /// Deletes the oldest of an owner's that are past the bounds, and says how many in its counter.
    fn let_go(
        &self,
        store: &Store,
        place: &Place,
        owner: &Owner,
        account: &mut Account,
    ) -> Result<(), StoreError> {
        let Place { table, own } = place;
        let snapshot = store.snapshot(own.app())?;
        let mut all: Vec<(String, u64)> = Vec::new();
        for_each_head(&snapshot, own, table, |head| {
            if !head.id.is_empty() {
                all.push((head.id.to_owned(), head.row_bytes.min(ROW_BYTES_MAX as u64)));
            }
        })?;
        all.sort_unstable_by(|one, other| other.0.cmp(&one.0));
        let (mut rows, mut bytes) = (0, 0);
        while let Some((_, own)) = all.get(rows)
            && rows < self.bounds.rows
            && bytes + own <= self.bounds.bytes
        {
            bytes += own;
            rows += 1;
        }
        let gone: Vec<&str> = all[rows..].iter().map(|(id, _)| id.as_str()).collect();
        let schema = snapshot.app().table(table);
        if let Some(schema) = schema.filter(|_| !gone.is_empty()) {
            store.delete_rows(own, table, &keys_of(schema, gone.iter().copied())?)?;
        }
        account.rows = rows;
        account.bytes = bytes;
        account.forgotten += gone.len() as u64;
        let counter = Forgotten { owner: owner.clone(), rows: account.forgotten };
        append(store, own, table, &[], &[counter])
    }

    /// Removes rejects that a scope sees; how many there were.
    pub(crate) fn remove(&self, store: &Store, scope: &Scope, wanted: &Wanted) -> Result<u64, StoreError> {
        let mut accounts = self.accounts();
        let snapshot = store.snapshot(scope.app())?;
        let mut ids: BTreeMap<Owner, Vec<String>> = BTreeMap::new();
        for table in tables_of(scope) {
            for_each_head(&snapshot, scope, &table, |head| {
                if !head.id.is_empty() && wanted.holds(head.id, head.table, head.code) {
                    ids.entry(head.owner.to_owner()).or_default().push(head.id.to_owned());
                }
            })?;
        }
        let mut removed = 0;
        for (owner, ids) in ids {
            let Some(Place { table, own }) = Place::of(scope, &owner) else { continue };
            let Some(schema) = snapshot.app().table(&table) else { continue };
            removed += store.delete_rows(&own, &table, &keys_of(schema, ids.iter().map(String::as_str))?)?;
            // What it has now is counted when it is next written for.
            accounts.remove(&(scope.app().clone(), owner));
        }
        Ok(removed)
    }
}

/// The newest rejects of a scope that are wanted, at most so many.
pub(crate) fn page_of(
    snapshot: &Snapshot,
    scope: &Scope,
    wanted: &Wanted,
    limit: usize,
) -> Result<Page, StoreError> {
    let mut page = Page::default();
    let mut newest: BTreeMap<String, Owner> = BTreeMap::new();
    for table in tables_of(scope) {
        for_each_head(snapshot, scope, &table, |head| {
            if head.id.is_empty() {
                page.forgotten += head.position;
                return;
            }
            *page.counts.entry((head.table.to_owned(), head.code.to_owned())).or_default() += 1;
            let is_newer = newest.len() <= limit
                || newest.first_key_value().is_some_and(|(id, _)| id.as_str() < head.id);
            if is_newer && wanted.holds(head.id, head.table, head.code) {
                newest.insert(head.id.to_owned(), head.owner.to_owner());
                if newest.len() > limit + 1 {
                    newest.pop_first();
                }
            }
        })?;
    }
    if newest.len() > limit {
        newest.pop_first();
        page.more = true;
    }
    let owners: BTreeSet<&Owner> = newest.values().collect();
    for owner in owners {
        let Some(Place { table, own }) = Place::of(scope, owner) else { continue };
        let is_wanted = |id: &str| newest.contains_key(id);
        for_each_reject(snapshot, &own, &table, is_wanted, |reject| page.rejects.push(reject))?;
    }
    page.rejects.sort_unstable_by(|one, other| other.id.cmp(&one.id));
    Ok(page)
}

fn bytes_of(reject: &Reject) -> u64 {
    reject.row.as_ref().map_or(0, |row| row.bytes.min(ROW_BYTES_MAX) as u64)
}

fn account_of(snapshot: &Snapshot, place: &Place) -> Result<Account, StoreError> {
    let mut account = Account::default();
    for_each_head(snapshot, &place.own, &place.table, |head| {
        if head.id.is_empty() {
            account.forgotten = head.position;
        } else {
            account.rows += 1;
            account.bytes += head.row_bytes.min(ROW_BYTES_MAX as u64);
        }
    })?;
    Ok(account)
}

fn append(
    store: &Store,
    scope: &Scope,
    table: &TableName,
    rejects: &[Reject],
    forgotten: &[Forgotten],
) -> Result<(), StoreError> {
    if rejects.is_empty() && forgotten.is_empty() {
        return Ok(());
    }
    let snapshot = store.snapshot(scope.app())?;
    let Some(schema) = snapshot.app().table(table) else { return Ok(()) };
    let batch = batch_of(schema, rejects, forgotten)?;
    let receipt =
        store.append(scope, NewRows { table: table.clone(), batch, occurrences: Occurrences::new() })?;
    if let Some(refused) = receipt.rejected.first() {
        tracing::error!(target: "ebbtide::rejects", code = refused.code.as_str(), "a reject was refused itself");
    }
    Ok(())
}
