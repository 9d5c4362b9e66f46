//! Where the chunks of an import are cut, so that no actor is in two of the segments that are made of them.

use std::ops::Range;

use crate::StoreError;
use crate::merge_runs::{Actor, RunReader, seek};
use crate::segment::LiveSegment;
use crate::side_by_side::AT_ONCE;
use crate::table::TableInfo;

/// As many segments as are written side by side.
const PIECES_MIN: u64 = AT_ONCE as u64;
/// Places in each chunk that are looked at.
const CUTS_OF_CHUNK: u32 = 64;

/// By piece its rows of each chunk. There is one piece where the table has no actors to cut between.
pub(super) fn pieces(
    chunks: &[LiveSegment],
    info: &TableInfo,
    rows_max: u32,
) -> Result<Vec<Vec<Range<u32>>>, StoreError> {
    let rows: u64 = chunks.iter().map(LiveSegment::rows).sum();
    let wanted = rows.div_ceil(rows_max.into()).max(PIECES_MIN);
    let readers: Option<Vec<RunReader<'_>>> = chunks.iter().map(|live| RunReader::new(live, info)).collect();
    let Some(readers) = readers else { return Ok(vec![whole(chunks)]) };
    let mut cuts: Vec<(&str, Actor<'_>)> = Vec::new();
    for (live, reader) in chunks.iter().zip(&readers) {
        let apart = (live.segment.descriptor.rows / CUTS_OF_CHUNK).max(1);
        let mut next = apart;
        for &start in reader.starts().iter().filter(|start| **start > 0) {
            if start >= next
                && let Some(tenant) = live.segment.directory.tenant_of(start)
            {
                reader.check(start..start + 1)?;
                cuts.push((tenant, reader.actor(start)));
                next = start.saturating_add(apart);
            }
        }
    }
    cuts.sort_unstable();
    let mut starts = vec![vec![0_u32; chunks.len()]];
    for piece in 1..wanted {
        // About as many rows lie between each two of them.
        let place = cuts.len() as u64 * piece / wanted;
        let Some((tenant, actor)) = usize::try_from(place).ok().and_then(|place| cuts.get(place)) else {
            continue;
        };
        let own = chunks.iter().zip(&readers).map(|(live, reader)| seek(live, reader, tenant, *actor));
        let own: Vec<u32> = own.collect();
        if starts.last() != Some(&own) {
            starts.push(own);
        }
    }
    let ends = starts.iter().skip(1).cloned().chain([whole(chunks).iter().map(|rows| rows.end).collect()]);
    let pieces = starts
        .iter()
        .zip(ends)
        .map(|(starts, ends)| starts.iter().zip(ends).map(|(start, end)| *start..end).collect::<Vec<_>>());
    Ok(pieces.filter(|rows| rows.iter().any(|rows| !rows.is_empty())).collect())
}

fn whole(chunks: &[LiveSegment]) -> Vec<Range<u32>> {
    chunks.iter().map(|live| 0..live.segment.descriptor.rows).collect()
}
