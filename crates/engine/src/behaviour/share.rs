//! How the events of a query are shared out: so that all of an actor's are in one share, and no share is
//! much larger than memory's caches.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use ebbtide_store::{SpineActor, SpineCut};

use super::drive::{Cursor, Loaded, PartEvents};
use super::key::Key;
use super::load::Actors;
use super::spine::lost;
use super::stream::Stream;
use crate::EngineError;

/// Rows of streams that are read for a share, about: small enough that what is read is still at
/// hand when it is folded.
pub(super) const SHARE_ROWS: usize = 262_144;

/// Places in the streams that are looked at for each share.
const CUTS_PER_SHARE: usize = 8;

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

/// Where the shares of a query are cut.
pub(super) enum Shares {
    /// Into so many of about one size, where whose the events are does not matter.
    Even(usize),
    At(Vec<Cut>),
}

impl Shares {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Even(shares) => *shares,
            Self::At(cuts) => cuts.len() + 1,
        }
    }

    /// What belongs to a share is found when its turn comes.
    pub(super) fn get<'l>(&self, loaded: &'l Loaded<'_>, share: usize) -> Result<Share<'l>, EngineError> {
        let start = match share.checked_sub(1) {
            None => Bound { runs: vec![0; loaded.parts.len()], rows: vec![0; loaded.streams.len()] },
            Some(before) => self.end(loaded, before)?,
        };
        Ok(loaded.between(&start, &self.end(loaded, share)?))
    }

    fn end(&self, loaded: &Loaded<'_>, share: usize) -> Result<Bound, EngineError> {
        match self {
            Self::Even(shares) if share + 1 < *shares => Ok(loaded.share_of(share + 1, *shares)),
            Self::At(cuts) if share < cuts.len() => loaded.before(&cuts[share]),
            Self::Even(_) | Self::At(_) => Ok(Bound {
                runs: loaded.parts.iter().map(PartEvents::len).collect(),
                rows: vec![u32::MAX; loaded.streams.len()],
            }),
        }
    }
}

impl Loaded<'_> {
    /// Shares of about so many rows of streams, and at least one for each worker. Each share's actors come
    /// after those of the share before it.
    pub(super) fn shares(&self, workers: usize, share_rows: usize) -> Result<Shares, EngineError> {
        let rows: usize = self.streams.iter().map(|stream| stream.part.rows_max()).sum();
        Ok(match self.actors {
            Actors::Ignored => Shares::Even(workers.max(rows / share_rows.max(1))),
            Actors::Required | Actors::Optional => Shares::At(self.cuts(workers, share_rows)?),
        })
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

    /// Where all parts are cut: by actors from all over the streams, or from all over the parts where those
    /// hold more.
    fn cuts(&self, workers: usize, share_rows: usize) -> Result<Vec<Cut>, EngineError> {
        let events: usize = self.parts.iter().map(|part| part.events.times.len()).sum();
        let rows: usize = self.streams.iter().map(|stream| stream.part.rows_max()).sum();
        if rows >= events && rows > 0 {
            return self.stream_cuts((rows / workers.max(1)).min(share_rows).max(1));
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

    fn stream_cuts(&self, share_rows: usize) -> Result<Vec<Cut>, EngineError> {
        let apart = u32::try_from(share_rows / CUTS_PER_SHARE).unwrap_or(u32::MAX);
        let mut places: Vec<SpineCut> = Vec::new();
        for stream in &self.streams {
            let scan = stream.scan(&stream.part).ok_or(EngineError::SpineLost)?;
            places.extend(scan.cuts(apart).map_err(lost)?);
        }
        places.sort_unstable();
        let (mut cuts, mut passed) = (Vec::new(), 0);
        for SpineCut { tenant, actor, rows } in places {
            passed += rows as usize;
            if passed >= share_rows {
                cuts.push((tenant, actor));
                passed = 0;
            }
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
            Some(scan) => scan.seek(tenant, actor).map_err(lost),
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
