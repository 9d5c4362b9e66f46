//! Where the chunks of an import are cut, so that no actor is in two of the segments that are made of them.

use std::ops::Range;

use crate::StoreError;
use crate::rewrite::PIECES_AT_ONCE;
use crate::segment::{LiveSegment, SpineCut};

/// As many segments as are written side by side.
const PIECES_MIN: u64 = PIECES_AT_ONCE as u64;
/// Places in each chunk that are looked at.
const CUTS_OF_CHUNK: u32 = 64;

/// By piece its rows of each chunk. There is one piece where the table has no actors to cut between.
pub(super) fn pieces(chunks: &[LiveSegment], rows_max: u32) -> Result<Vec<Vec<Range<u32>>>, StoreError> {
    let rows: u64 = chunks.iter().map(LiveSegment::rows).sum();
    let wanted = rows.div_ceil(rows_max.into()).max(PIECES_MIN);
    let scans = chunks.iter().map(|live| live.spine(0..live.segment.descriptor.rows, None));
    let scans: Option<Vec<_>> = scans.collect();
    let Some(scans) = scans else { return Ok(vec![whole(chunks)]) };
    let mut cuts: Vec<SpineCut> = Vec::new();
    for (live, scan) in chunks.iter().zip(&scans) {
        cuts.extend(scan.cuts(live.segment.descriptor.rows / CUTS_OF_CHUNK)?);
    }
    cuts.sort_unstable();
    let mut starts = vec![vec![0_u32; chunks.len()]];
    for piece in 1..wanted {
        // About as many rows lie between each two of them.
        let place = cuts.len() as u64 * piece / wanted;
        let Some(cut) = usize::try_from(place).ok().and_then(|place| cuts.get(place)) else { continue };
        let own =
            scans.iter().map(|scan| scan.seek(&cut.tenant, &cut.actor)).collect::<Result<Vec<u32>, _>>()?;
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
