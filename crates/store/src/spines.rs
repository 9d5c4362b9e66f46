//! Spines that are missing or damaged are made again in the background.

use std::sync::Arc;

use crate::fs::FileSystem;
use crate::segment::{Segment, SpineColumns};
use crate::table::TableInfo;
use crate::writer::Writer;

/// Segments, and what they are of.
pub(crate) type OfTables = Vec<(Arc<Segment>, Arc<TableInfo>)>;

impl Writer {
    /// The segments whose spine is to be made, and where.
    pub(crate) fn segments_wanting_spines(&self) -> (Arc<dyn FileSystem>, OfTables) {
        let tables = self.tables.iter().filter(|table| SpineColumns::of(&table.info.schema).is_some());
        let segments = tables.flat_map(|table| {
            let wanting = table.segments.iter().filter(|live| live.segment.wants_spine());
            wanting.map(|live| (live.segment.clone(), table.info.clone()))
        });
        (self.fs.clone(), segments.collect())
    }
}
