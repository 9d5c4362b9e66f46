//! One table of one app, as the writer holds it: what is in memory, what is being flushed, the segments,
//! and what is known of each key across them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::SchemaRef;
use ebbtide_model::{AppName, TableKind, TableName, TableSchema, TenantId, TenantRule};

use crate::catalog::{CatalogProperties, CatalogTable, Clear, Deletion, Layout};
use crate::changes::Changes;
use crate::columns::DECLARED_INDEX;
use crate::derived::Derived;
use crate::fingerprint::{Fingerprint, FolderSecret, RowHasher};
use crate::memtable::{KeyKind, KeyState, Memtable};
use crate::owners::{Owner, Owners};
use crate::properties::Properties;
use crate::segment::{DecodedColumns, LiveSegment, Segment};
use crate::snapshot::{Run, TableRows};
use crate::statistics::Arrivals;
use crate::waiting::Waiting;
use crate::writer::TableIndex;
use crate::{StoreError, declared_schema, stored_schema};

/// What of a table does not change while the store is open.
#[derive(Debug)]
pub(crate) struct TableInfo {
    pub(crate) app: AppName,
    pub(crate) schema: Arc<TableSchema>,
    pub(crate) layout: Layout,
    pub(crate) declared: SchemaRef,
    /// Without an open table's properties.
    pub(crate) stored: SchemaRef,
    pub(crate) hasher: RowHasher,
    /// Others find their tenant through this table, whose keys are thus unique in the app.
    pub(crate) parent: bool,
    /// How its own rows find theirs, where it is through a parent.
    pub(crate) lineage: Option<Lineage>,
    /// Whether a pack that the store was opened with has it.
    pub(crate) deployed: bool,
}

/// How a row finds its parent.
#[derive(Clone, Debug)]
pub(crate) struct Lineage {
    pub(crate) parent: Arc<TableInfo>,
    /// The column that has the parent's key.
    pub(crate) by: usize,
}

impl Lineage {
    /// The keys of the parents of these rows, which have one each.
    pub(crate) fn parents_of(&self, rows: &RecordBatch) -> Result<Vec<Fingerprint>, StoreError> {
        self.keys_of(&rows.project(&[self.by])?)
    }

    /// The keys of the parents that this one column names.
    pub(crate) fn keys_of(&self, by: &RecordBatch) -> Result<Vec<Fingerprint>, StoreError> {
        self.parent.hasher.hash_keys(&self.parent.schema, by, "")
    }
}

impl TableInfo {
    pub(crate) fn declared(
        secret: &FolderSecret,
        app: &AppName,
        schema: TableSchema,
        parent: bool,
        lineage: Option<Lineage>,
    ) -> Self {
        Self { deployed: true, lineage, ..Self::new(secret, app, Layout::of(&schema, parent), schema) }
    }

    /// The table beside this one whose rows wait for their parent. They are all of the tenant whose
    /// writer has sent them, or of none.
    pub(crate) fn waiting_area(&self, secret: &FolderSecret) -> Self {
        let schema = TableSchema {
            name: waiting_area_name(&self.schema.name),
            tenant: TenantRule::Fixed(TenantId::new("")),
            actor: None,
            time: None,
            event_name: None,
            open: None,
            aliases: None,
            actor_props: None,
            ..(*self.schema).clone()
        };
        Self::new(secret, &self.app, Layout::of(&schema, false), schema)
    }

    /// A table that the manifest knows and no pack declares.
    pub(crate) fn undeployed(
        secret: &FolderSecret,
        app: &AppName,
        layout: Layout,
        schema: TableSchema,
    ) -> Self {
        Self::new(secret, app, layout, schema)
    }

    fn new(secret: &FolderSecret, app: &AppName, layout: Layout, schema: TableSchema) -> Self {
        let parent = layout.is_parent();
        let tenant_in_key = !parent && !is_child(&schema);
        let hasher = RowHasher::new(secret, app.as_str(), &schema, tenant_in_key);
        let (declared, stored) = (declared_schema(&schema), stored_schema(&schema));
        let (app, schema) = (app.clone(), Arc::new(schema));
        Self { app, schema, layout, declared, stored, hasher, parent, lineage: None, deployed: false }
    }

    /// A row's fingerprint, once it is known whose it is: `own` was made without that in a table that
    /// finds its tenants through a parent.
    pub(crate) fn owned(&self, own: Fingerprint, tenant: &str) -> Fingerprint {
        if self.parent || !is_child(&self.schema) { own } else { own ^ self.hasher.salt(tenant) }
    }

    /// Whether rows without a key lie in it that go only with all that their tenant has. What waits for a
    /// parent is found, and goes, row by row.
    pub(crate) fn may_lack_key(&self) -> bool {
        let is_area = matches!(&self.schema.tenant, TenantRule::Fixed(tenant) if tenant.as_str().is_empty());
        !self.is_entity() && !is_area
    }

    /// Which of these stored rows have no key and go only with all that their tenant has, so that nobody
    /// needs to find them one by one; `None` where none are so.
    pub(crate) fn keyless(&self, stored: &RecordBatch) -> Option<BooleanBuffer> {
        self.keyless_of(&stored.columns()[DECLARED_INDEX..], stored.num_rows())
    }

    /// As [`TableInfo::keyless`], of so many rows in declared columns.
    pub(crate) fn keyless_of(&self, columns: &[ArrayRef], rows: usize) -> Option<BooleanBuffer> {
        if !self.may_lack_key() {
            return None;
        }
        if self.schema.key.is_empty() {
            return Some(BooleanBuffer::new_set(rows));
        }
        let key = self.schema.key.iter().map(|&index| &columns[index]);
        let with_nulls: Vec<&ArrayRef> = key.filter(|column| column.null_count() > 0).collect();
        if with_nulls.is_empty() {
            return None;
        }
        let is_keyless = |row: usize| with_nulls.iter().any(|column| column.is_null(row));
        Some(BooleanBuffer::collect_bool(rows, is_keyless))
    }

    pub(crate) fn is_entity(&self) -> bool {
        self.schema.kind == TableKind::Entity
    }
}

/// Whether a table finds its tenants through a parent.
pub(crate) fn is_child(schema: &TableSchema) -> bool {
    matches!(schema.tenant, TenantRule::Parent { .. })
}

/// No table of a pack has such a name.
pub(crate) fn waiting_area_name(table: &TableName) -> TableName {
    TableName::new(&format!("{}#waiting", table.as_str()))
}

#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) info: Arc<TableInfo>,
    pub(crate) kin: Kin,
    /// Which rows wait for which parent; they lie in the table that [`Kin::area`] names.
    pub(crate) waiting: Waiting,
    /// Takes new rows.
    pub(crate) active: Memtable,
    /// Is being written to a segment.
    pub(crate) frozen: Option<Memtable>,
    pub(crate) segments: Vec<LiveSegment>,
    pub(crate) clears: Vec<Clear>,
    pub(crate) changes: Changes,
    /// Of an open table; else there are none.
    pub(crate) properties: Properties,
    /// What readers have made of its rows.
    derived: Arc<Derived>,
    pub(crate) owners: Owners,
    pub(crate) deaths: Deaths,
    /// An import writes its segments, and nothing else may add to the table.
    pub(crate) importing: bool,
    pub(crate) arrived: Arrivals,
}

/// The tables that a table has to do with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kin {
    /// Through which its rows find their tenant.
    pub(crate) parent: Option<TableIndex>,
    /// Whose rows find their tenant through it.
    pub(crate) children: Vec<TableIndex>,
    /// Where rows wait whose parent is unknown.
    pub(crate) area: Option<TableIndex>,
}

/// The live row of a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Live {
    pub(crate) place: Place,
    pub(crate) sequence: u64,
    pub(crate) content: u64,
    pub(crate) owner: Owner,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Active,
    Frozen,
    Segment {
        segment: usize,
        row: u32,
    },
    /// In a segment that does not say in which row: it has no key, and no word on it alone will come.
    Somewhere,
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    pub(crate) live: Option<Live>,
    /// Whether something older than the memory table may hold a row of this key, which a new word on it
    /// has to kill there.
    pub(crate) overrides: bool,
}

/// Rows that died while a job was rewriting them: its result has them as live.
#[derive(Debug, Default)]
pub(crate) struct Deaths {
    jobs: usize,
    noted: Vec<(Fingerprint, u64)>,
}

impl Deaths {
    /// A job begins to read the table; what it hands back to [`Deaths::end`].
    pub(crate) fn begin(&mut self) -> usize {
        self.jobs += 1;
        self.noted.len()
    }

    /// The job ends: what died since, ascending by key.
    pub(crate) fn end(&mut self, begun: usize) -> Vec<(Fingerprint, u64)> {
        let mut deaths = self.noted.get(begun..).unwrap_or_default().to_vec();
        deaths.sort_unstable();
        self.jobs = self.jobs.saturating_sub(1);
        if self.jobs == 0 {
            self.noted.clear();
        }
        deaths
    }

    pub(crate) fn note(&mut self, fingerprint: Fingerprint, sequence: u64) {
        if self.jobs > 0 {
            self.noted.push((fingerprint, sequence));
        }
    }
}

impl Table {
    pub(crate) fn new(info: Arc<TableInfo>) -> Self {
        Self {
            info,
            kin: Kin::default(),
            waiting: Waiting::default(),
            active: Memtable::default(),
            frozen: None,
            segments: Vec::new(),
            clears: Vec::new(),
            changes: Changes::default(),
            properties: Properties::default(),
            derived: Arc::default(),
            owners: Owners::default(),
            deaths: Deaths::default(),
            importing: false,
            arrived: Arrivals::default(),
        }
    }

    /// The live rows in segments of these keys, each at its index.
    pub(crate) fn stored(&self, fingerprints: &[Fingerprint]) -> Vec<Option<Live>> {
        let mut found = vec![None; fingerprints.len()];
        if self.segments.is_empty() {
            return found;
        }
        let mut sorted: Vec<(Fingerprint, u32)> = fingerprints.iter().copied().zip(0..).collect();
        sorted.sort_unstable();
        for (index, live) in self.stored_sorted(&sorted) {
            found[index as usize] = Some(live);
        }
        found
    }

    /// The live rows in segments of these keys, which ascend; each with the number beside its key.
    pub(crate) fn stored_sorted(&self, sorted: &[(Fingerprint, u32)]) -> Vec<(u32, Live)> {
        let mut found = Vec::new();
        for (segment, live) in self.segments.iter().enumerate() {
            live.find_live(segment, sorted, &mut found);
        }
        found
    }

    /// What is known of a key, given its live row in the segments.
    pub(crate) fn known(&self, fingerprint: Fingerprint, stored: Option<Live>) -> Known {
        let live = |state: KeyState, place: Place| {
            (state.kind == KeyKind::Row).then_some(Live {
                place,
                sequence: state.sequence,
                content: state.content,
                owner: state.owner,
            })
        };
        if let Some(state) = self.active.state(fingerprint) {
            return Known { live: live(state, Place::Active), overrides: state.overrides };
        }
        if let Some(state) = self.frozen.as_ref().and_then(|frozen| frozen.state(fingerprint)) {
            return Known { live: live(state, Place::Frozen), overrides: true };
        }
        Known { live: stored, overrides: stored.is_some() }
    }

    /// Takes the newest word on a key, unless nobody will ask for it.
    pub(crate) fn remember(&mut self, fingerprint: Fingerprint, state: KeyState) {
        let may_arrive = state.kind == KeyKind::Row && self.info.may_lack_key();
        if !(may_arrive && self.info.hasher.is_arrival(fingerprint, state.sequence)) {
            self.active.put(fingerprint, state);
        }
    }

    pub(crate) fn kill(&mut self, fingerprint: Fingerprint, live: Live) {
        match live.place {
            Place::Active => return self.active.kill(live.sequence),
            Place::Frozen => {
                if let Some(frozen) = &mut self.frozen {
                    frozen.kill(live.sequence);
                }
            }
            Place::Segment { segment, row } => self.segments[segment].kill(row),
            Place::Somewhere => return,
        }
        self.deaths.note(fingerprint, live.sequence);
    }

    /// A row of a tenant was replaced by one that came with this number.
    pub(crate) fn note_replacement(&mut self, owner: Owner, number: u64) {
        if let Some(tenant) = self.owners.name(owner) {
            self.changes.note_replacement(tenant, number);
        }
    }

    /// A row of a tenant was deleted.
    pub(crate) fn note_deletion(&mut self, owner: Owner, number: u64) {
        if let Some(tenant) = self.owners.name(owner) {
            self.changes.note_deletion(tenant, number);
        }
    }

    /// Kills these rows of segments, named by key and arrival number; they ascend.
    pub(crate) fn kill_stored(&mut self, rows: &[(Fingerprint, u64)]) {
        for segment in &mut self.segments {
            segment.kill_exactly(rows);
        }
        for (fingerprint, sequence) in rows {
            self.deaths.note(*fingerprint, *sequence);
        }
    }

    /// Deletes what a tenant, or everybody, had before this arrival number; how many rows were alive.
    pub(crate) fn clear(&mut self, clear: Clear) -> u64 {
        let (tenant, before) = (clear.tenant.as_deref(), clear.before);
        let mut killed = 0;
        let changes = &mut self.changes;
        let mut note = |own: &Arc<str>, rows: u64| {
            changes.note_deletion(own, before);
            killed += rows;
        };
        for memtable in self.frozen.iter_mut().chain([&mut self.active]) {
            memtable.clear(tenant, before, &mut note);
        }
        for segment in &mut self.segments {
            segment.clear(tenant, before, &mut note);
        }
        self.properties.forget(clear.tenant.as_deref());
        self.clears.push(clear);
        killed
    }

    /// Takes a segment that a job has written: what died meanwhile is dead in it too.
    pub(crate) fn install(&mut self, segment: Arc<Segment>, deaths: &[(Fingerprint, u64)]) {
        let mut live = LiveSegment::new(segment, &mut self.owners);
        live.kill_exactly(deaths);
        for clear in &self.clears {
            live.clear(clear.tenant.as_deref(), clear.before, |_, _| ());
        }
        self.segments.push(live);
    }

    /// Takes a segment that the manifest names.
    pub(crate) fn restore(&mut self, segment: Segment) {
        self.changes.note_rows(&segment.directory);
        self.segments.push(LiveSegment::new(Arc::new(segment), &mut self.owners));
    }

    /// Forgets deletions that no stored row is older than.
    pub(crate) fn forget_clears(&mut self, logged_next: u64) {
        let segments = &self.segments;
        self.clears.retain(|clear| {
            let concerns = |live: &LiveSegment| {
                live.segment.descriptor.sequence_first < clear.before
                    && clear
                        .tenant
                        .as_ref()
                        .is_none_or(|tenant| !live.segment.directory.range(tenant).is_empty())
            };
            clear.before >= logged_next || segments.iter().any(concerns)
        });
    }

    /// Finds again, after a start, which rows of segments are dead.
    pub(crate) fn find_dead(&mut self) {
        for killer in 0..self.segments.len() {
            let segment = self.segments[killer].segment.clone();
            if segment.descriptor.overriding == 0 {
                continue;
            }
            let overriding = segment.keys.iter().filter(|entry| entry.place.is_overriding());
            let killers: Vec<_> = overriding.map(|entry| (entry.fingerprint, entry.sequence)).collect();
            for (index, other) in self.segments.iter_mut().enumerate() {
                if index != killer
                    && other.segment.descriptor.sequence_first < segment.descriptor.sequence_last
                {
                    other.kill_older(&killers);
                }
            }
        }
        for clear in &self.clears {
            for segment in &mut self.segments {
                segment.clear(clear.tenant.as_deref(), clear.before, |_, _| ());
            }
        }
    }

    /// What readers see, with where they keep the columns that they decode.
    pub(crate) fn rows(&self, decoded: &Arc<DecodedColumns>) -> TableRows {
        let mut runs = Vec::new();
        for live in self.segments.iter().filter(|live| live.live_rows() > 0) {
            runs.push(Run::Segment { live: live.clone(), decoded: decoded.clone() });
        }
        for memtable in self.frozen.iter().chain([&self.active]) {
            for chunk in &memtable.chunks {
                runs.push(Run::Memory { chunk: chunk.clone(), dead: memtable.dead.clone() });
            }
        }
        TableRows {
            runs,
            versions: self.changes.versions().clone(),
            properties: self.properties.clone(),
            derived: self.derived.clone(),
        }
    }

    /// Whether its rows may have properties, or had some when it was declared so.
    fn has_properties(&self) -> bool {
        self.info.schema.open.is_some() || !self.properties.columns().is_empty()
    }

    /// What its rows take in memory, or would.
    pub(crate) fn bytes(&self) -> usize {
        let stored: u64 = self.segments.iter().map(|live| live.segment.descriptor.arrow_bytes).sum();
        usize::try_from(stored).unwrap_or(usize::MAX).saturating_add(self.memory_bytes())
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.active.bytes() + self.frozen.as_ref().map_or(0, Memtable::bytes)
    }

    pub(crate) fn catalog(&self) -> CatalogTable {
        CatalogTable {
            app: self.info.app.as_str().to_owned(),
            table: self.info.schema.name.as_str().to_owned(),
            layout: self.info.layout.clone(),
            version: self.changes.versions().of_all(),
            floor: Some(self.changes.floor()),
            deletions: self.changes.deletions().map(Deletion::new).collect(),
            segments: self.segments.iter().map(|live| live.segment.descriptor.clone()).collect(),
            clears: self.clears.clone(),
            properties: self.has_properties().then(|| CatalogProperties::of(&self.properties)),
        }
    }
}
