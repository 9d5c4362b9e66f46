//! How the events of a query are shared out: so that all of an actor's are in one share, and no share is
//! much larger than memory's caches.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use ebbtide_store::SpineActor;

use super::drive::{Cursor, Loaded, PartEvents};
use super::key::Key;
use super::load::Actors;
use super::spine::Stream;
use crate::EngineError;

/// Rows of the largest stream that are read for a share, about: small enough that what is read is still at
/// hand when it is folded.
const SHARE_ROWS: usize = 262_144;

/// Runs of a part that are looked at to find where the actors are cut.
const SAMPLES_PER_PART: usize = 64;

/// What is folded at once.
pub(super) struct Share<'a> {
    pub(super) cursors: Vec<Cursor<'a>>,
    /// By stream: its rows.
    pub(super) streamed: Vec<Range<u32>>,
}

/// Whose events come first after a cut.
type Cut = (Arc<str>, SpineActor);

/// Where a share ends: by part its next run, by stream its next row.
struct Bound {
    runs: Vec<usize>,
    rows: Vec<u32>,
}

impl Loaded<'_> {
    pub(super) fn shares(&self, workers: usize) -> Result<Vec<Share<'_>>, EngineError> {
        let mut bounds = vec![Bound { runs: vec![0; self.parts.len()], rows: vec![0; self.streams.len()] }];
        match self.actors {
            Actors::Ignored => {
                let rows: usize = self.streams.iter().map(|stream| stream.part.rows_max()).sum();
                let shares = workers.max(rows / SHARE_ROWS);
                bounds.extend((1..shares).map(|share| self.share_of(share, shares)));
            }
            Actors::Required | Actors::Optional => {
                for cut in self.cuts(workers)? {
                    bounds.push(self.before(&cut)?);
                }
            }
        }
        bounds.push(Bound {
            runs: self.parts.iter().map(PartEvents::len).collect(),
            rows: vec![u32::MAX; self.streams.len()],
        });
        Ok(bounds.windows(2).map(|pair| self.between(&pair[0], &pair[1])).collect())
    }

    fn between(&self, start: &Bound, end: &Bound) -> Share<'_> {
        let runs = self.parts.iter().zip(start.runs.iter().zip(&end.runs));
        let rows = start.rows.iter().zip(&end.rows);
        Share {
            cursors: runs.map(|(part, (next, end))| Cursor { part, next: *next, end: *end }).collect(),
            streamed: rows.map(|(start, end)| *start..*end).collect(),
        }
    }

    /// The same share of every part and stream, where whose the events are does not matter.
    fn share_of(&self, share: usize, shares: usize) -> Bound {
        let row = |stream: &Stream| {
            let piece = stream.part.split(shares).into_iter().nth(share);
            piece.map_or(u32::MAX, |piece| piece.run_rows().start)
        };
        Bound {
            runs: self.parts.iter().map(|part| part.len() * share / shares).collect(),
            rows: self.streams.iter().map(row).collect(),
        }
    }

    /// Where all parts are cut: by actors from the largest stream, or from all over the parts where those
    /// hold more.
    fn cuts(&self, workers: usize) -> Result<Vec<Cut>, EngineError> {
        let stream = self.streams.iter().max_by_key(|stream| stream.part.rows_max());
        let events: usize = self.parts.iter().map(|part| part.events.times.len()).sum();
        if let Some(stream) = stream.filter(|stream| stream.part.rows_max() >= events)
            && let Some(scan) = stream.scan(&stream.part)
        {
            let rows = (stream.part.rows_max() / workers.max(1)).min(SHARE_ROWS);
            return Ok(scan.cuts(u32::try_from(rows).unwrap_or(u32::MAX))?);
        }
        let mut samples: Vec<((u32, Key<'_>), usize)> = Vec::new();
        for part in &self.parts {
            let step = part.len().div_ceil(SAMPLES_PER_PART).max(1);
            samples.extend(part.order.iter().step_by(step).map(|run| (part.id(*run), step)));
        }
        samples.sort_unstable();
        let all: usize = samples.iter().map(|(_, runs)| runs).sum();
        let (mut cuts, mut passed) = (Vec::new(), 0);
        for ((tenant, key), runs) in samples {
            if cuts.len() + 1 < workers
                && passed >= all * (cuts.len() + 1) / workers
                && let (Some(tenant), Some(actor)) = (self.tenants.get(tenant as usize), actor_of(key))
            {
                cuts.push((Arc::from(&**tenant), actor));
            }
            passed += runs;
        }
        Ok(cuts)
    }

    /// The ends of what comes before a cut.
    fn before(&self, (tenant, actor): &Cut) -> Result<Bound, EngineError> {
        let is_before = |part: &PartEvents, run: u32| {
            let (rank, key) = part.id(run);
            let name = self.tenants.get(rank as usize).map_or("", |name| name);
            name.cmp(tenant).then_with(|| key.cmp(&key_of(actor))) == Ordering::Less
        };
        let run = |part: &PartEvents| part.order.partition_point(|run| is_before(part, *run));
        let row = |stream: &Stream| match stream.scan(&stream.part) {
            Some(scan) => Ok(scan.seek(tenant, actor)?),
            None => Err(EngineError::SpineLost),
        };
        Ok(Bound {
            runs: self.parts.iter().map(run).collect(),
            rows: self.streams.iter().map(row).collect::<Result<_, EngineError>>()?,
        })
    }
}

fn key_of(actor: &SpineActor) -> Key<'_> {
    match actor {
        SpineActor::Nobody => Key::Null,
        SpineActor::Int(actor) => Key::Int(*actor),
        SpineActor::Text(actor) => Key::Text(actor),
    }
}

/// `None` for an actor that no spine can have: nothing is cut there.
fn actor_of(key: Key<'_>) -> Option<SpineActor> {
    match key {
        Key::Null => Some(SpineActor::Nobody),
        Key::Int(actor) => Some(SpineActor::Int(actor)),
        Key::Text(actor) => Some(SpineActor::Text(Box::from(actor))),
        Key::Decimal(_) => None,
    }
}
