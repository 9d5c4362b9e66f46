//! One table of one app, as the writer holds it: what is in memory, what is being flushed, the segments,
//! and what is known of each key across them.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use ebbtide_model::{AppName, TableKind, TableSchema, TenantRule};

use crate::admission::unsupported_parent;
use crate::catalog::{CatalogTable, Clear, Deletion, Layout};
use crate::changes::Changes;
use crate::fingerprint::{Fingerprint, FolderSecret, RowHasher};
use crate::memtable::{KeyKind, KeyState, Memtable};
use crate::owners::{Owner, Owners};
use crate::segment::{EntryPlace, LiveSegment, Segment};
use crate::snapshot::{Run, TableRows};
use crate::{StoreError, stored_schema};

/// What of a table does not change while the store is open.
#[derive(Debug)]
pub(crate) struct TableInfo {
    pub(crate) app: AppName,
    pub(crate) schema: Arc<TableSchema>,
    pub(crate) layout: Layout,
    pub(crate) stored: SchemaRef,
    pub(crate) hasher: RowHasher,
    /// Others find their tenant through this table, whose keys are thus unique in the app.
    pub(crate) parent: bool,
    /// Whether a pack that the store was opened with has it.
    pub(crate) deployed: bool,
}

impl TableInfo {
    pub(crate) fn declared(
        secret: &FolderSecret,
        app: &AppName,
        schema: TableSchema,
        parent: bool,
    ) -> Result<Self, StoreError> {
        if matches!(schema.tenant, TenantRule::Parent { .. }) {
            return Err(unsupported_parent(&schema));
        }
        Ok(Self::new(secret, app, Layout::of(&schema, parent), schema, true))
    }

    /// A table that the manifest knows and no pack declares.
    pub(crate) fn undeployed(
        secret: &FolderSecret,
        app: &AppName,
        layout: Layout,
        schema: TableSchema,
    ) -> Self {
        Self::new(secret, app, layout, schema, false)
    }

    fn new(
        secret: &FolderSecret,
        app: &AppName,
        layout: Layout,
        schema: TableSchema,
        deployed: bool,
    ) -> Self {
        let parent = layout.is_parent();
        let hasher = RowHasher::new(secret, app.as_str(), &schema, !parent);
        let stored = stored_schema(&schema);
        Self { app: app.clone(), schema: Arc::new(schema), layout, stored, hasher, parent, deployed }
    }

    pub(crate) fn is_entity(&self) -> bool {
        self.schema.kind == TableKind::Entity
    }
}

#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) info: Arc<TableInfo>,
    /// Takes new rows.
    pub(crate) active: Memtable,
    /// Is being written to a segment.
    pub(crate) frozen: Option<Memtable>,
    pub(crate) segments: Vec<LiveSegment>,
    pub(crate) clears: Vec<Clear>,
    pub(crate) changes: Changes,
    pub(crate) owners: Owners,
    pub(crate) deaths: Deaths,
    /// An import writes its segments, and nothing else may add to the table.
    pub(crate) importing: bool,
}

/// The live row of a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Live {
    place: Place,
    pub(crate) sequence: u64,
    pub(crate) content: u64,
    pub(crate) owner: Owner,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Active,
    Frozen,
    Segment { segment: usize, row: u32 },
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
            active: Memtable::default(),
            frozen: None,
            segments: Vec::new(),
            clears: Vec::new(),
            changes: Changes::default(),
            owners: Owners::default(),
            deaths: Deaths::default(),
            importing: false,
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
            live.segment.keys.matches(
                sorted,
                |(fingerprint, _)| fingerprint,
                |position, entry| {
                    let EntryPlace::Row { row, .. } = entry.place else { return };
                    if live.dead.contains(row) {
                        return;
                    }
                    let Some(owner) = live.owner_of(row) else { return };
                    let (sequence, content) = (entry.sequence, entry.content);
                    let place = Place::Segment { segment, row };
                    found.push((sorted[position].1, Live { place, sequence, content, owner }));
                },
            );
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

    pub(crate) fn kill(&mut self, fingerprint: Fingerprint, live: Live) {
        match live.place {
            Place::Active => return self.active.kill(live.sequence),
            Place::Frozen => {
                if let Some(frozen) = &mut self.frozen {
                    frozen.kill(live.sequence);
                }
            }
            Place::Segment { segment, row } => self.segments[segment].kill(row),
        }
        self.deaths.note(fingerprint, live.sequence);
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
        self.clears.push(clear);
        killed
    }

    /// Takes a segment that a job has written: what died meanwhile is dead in it too.
    pub(crate) fn install(&mut self, segment: Segment, deaths: &[(Fingerprint, u64)]) {
        let mut live = LiveSegment::new(Arc::new(segment), &mut self.owners);
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

    /// What readers see.
    pub(crate) fn rows(&self) -> TableRows {
        let mut runs = Vec::new();
        for live in self.segments.iter().filter(|live| live.live_rows() > 0) {
            runs.push(Run::Segment { live: live.clone(), stored: self.info.stored.clone() });
        }
        for memtable in self.frozen.iter().chain([&self.active]) {
            for chunk in &memtable.chunks {
                runs.push(Run::Memory { chunk: chunk.clone(), dead: memtable.dead.clone() });
            }
        }
        TableRows { runs, versions: self.changes.versions().clone() }
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
        }
    }
}
