//! Questions that are asked again and again, as things happen: what a dropoff needs is kept between two questions,
//! and takes the rows that came since and the time that passed, so that an event costs the same however many there
//! were before it. Batch and standing answers are made of the same sessions, latencies and counts, so they are equal
//! at every moment.
//!
//! What is kept is bounded: it goes when nobody has asked for a while, and where there is no room questions are
//! answered from all rows, as they are the first time.

mod ended;
mod sessions;
mod state;
mod users;
mod wheel;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ebbtide_model::query::BoundQuery;
use ebbtide_model::{AppName, Instant, Scope, Tenants};
use ebbtide_store::Snapshot;
use hashbrown::HashMap;

pub(crate) use self::state::{Shape, SourceKind, StandingDropoff};
pub(crate) use self::users::Prints;
use super::ask::{Asking, Depth, Stood, ask, standing_dropoff, until_spines_hold};
use super::membership::Asked;
use crate::{Answer, EngineError, Interrupt};

/// How long a question stands that nobody asks, in microseconds: as long again it is answered from all rows where
/// there was no room.
const UNASKED_MAX: i64 = 600 * Instant::MICROS_PER_SECOND;

/// How far a clock may be set back until what is kept is made anew.
const BEHIND_MAX: i64 = 60 * Instant::MICROS_PER_SECOND;

/// How often those that nobody asks any more are looked for.
const SWEEP: i64 = 30 * Instant::MICROS_PER_SECOND;

/// Questions that are known at one time, so that the second time is noticed.
const QUESTIONS_MAX: usize = 4_096;

/// The questions that stand, of all apps and scopes.
#[derive(Debug)]
pub struct Standing {
    bytes_max: usize,
    places: Mutex<Places>,
    answered: AtomicU64,
    made: AtomicU64,
}

#[derive(Debug, Default)]
struct Places {
    by_question: HashMap<Question, Place>,
    /// What all of them take.
    bytes: usize,
    swept_at: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Question {
    app: AppName,
    tenants: Tenants,
    /// With the bounds of its time.
    definition: String,
}

#[derive(Debug)]
struct Place {
    asked_at: i64,
    /// Until when it is answered from all rows, since there was no room.
    refused_until: Option<i64>,
    bytes: usize,
    kept: Arc<Mutex<Option<StandingDropoff>>>,
}

/// What stands, and what became of questions since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandingNumbers {
    pub questions: usize,
    pub bytes: usize,
    /// Answers from what was kept.
    pub answered: u64,
    /// How often what is kept was made from all rows.
    pub made: u64,
}

impl Standing {
    /// What is kept takes so many bytes at most, about.
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, places: Mutex::default(), answered: AtomicU64::new(0), made: AtomicU64::new(0) }
    }

    /// As [`ask`](crate::ask), of a question as of now: the second time it is asked it stands.
    pub fn ask(
        &self,
        snapshot: &Snapshot,
        scope: &Scope,
        query: &BoundQuery,
        as_of: Instant,
        interrupt: &dyn Interrupt,
    ) -> Result<Answer, EngineError> {
        if let Some(dropoff) = standing_dropoff(query) {
            let question = Question::of(scope, query);
            if let Some(place) = self.place(&question, as_of.micros()) {
                let mut kept = place.lock().unwrap_or_else(PoisonError::into_inner);
                let asked = Asked { snapshot, scope, as_of, interrupt, depth: Depth::default() };
                let stood = until_spines_hold(|| {
                    Asking::within(&asked, query)?.stand(dropoff, &mut kept, self.bytes_max)
                })?;
                let ahead = kept.as_ref().map_or(0, |kept| kept.now().saturating_sub(as_of.micros()));
                if ahead > BEHIND_MAX {
                    *kept = None;
                }
                let bytes = kept.as_ref().map_or(0, StandingDropoff::bytes);
                drop(kept);
                self.settle(&question, bytes, matches!(stood, Stood::Unfit).then_some(as_of.micros()));
                match stood {
                    Stood::WentOn(answer) => {
                        self.answered.fetch_add(1, Ordering::Relaxed);
                        return Ok(answer);
                    }
                    Stood::Began(answer) => {
                        self.made.fetch_add(1, Ordering::Relaxed);
                        return Ok(answer);
                    }
                    Stood::Behind | Stood::Unfit => {}
                }
            }
        }
        ask(snapshot, scope, query, as_of, interrupt)
    }

    pub fn numbers(&self) -> StandingNumbers {
        let places = self.places();
        StandingNumbers {
            questions: places.by_question.values().filter(|place| place.bytes > 0).count(),
            bytes: places.bytes,
            answered: self.answered.load(Ordering::Relaxed),
            made: self.made.load(Ordering::Relaxed),
        }
    }

    /// What is kept of a question that was asked before, or will be; `None` where it is not to stand.
    fn place(&self, question: &Question, now: i64) -> Option<Arc<Mutex<Option<StandingDropoff>>>> {
        let mut places = self.places();
        places.sweep(now);
        if let Some(place) = places.by_question.get_mut(question) {
            place.asked_at = now;
            place.refused_until = place.refused_until.filter(|until| now < *until);
            return place.refused_until.is_none().then(|| place.kept.clone());
        }
        if places.by_question.len() < QUESTIONS_MAX {
            let place = Place { asked_at: now, refused_until: None, bytes: 0, kept: Arc::default() };
            places.by_question.insert(question.clone(), place);
        }
        None
    }

    /// Notes what a question's place takes; what was asked least lately makes room.
    fn settle(&self, question: &Question, bytes: usize, refused_at: Option<i64>) {
        let mut places = self.places();
        let Places { by_question, bytes: all, .. } = &mut *places;
        if let Some(place) = by_question.get_mut(question) {
            *all = *all + bytes - std::mem::replace(&mut place.bytes, bytes);
            place.refused_until = refused_at.map(|now| now.saturating_add(UNASKED_MAX));
        }
        while *all > self.bytes_max {
            let others = by_question.iter().filter(|(other, place)| place.bytes > 0 && *other != question);
            let oldest = others.min_by_key(|(_, place)| place.asked_at).map(|(other, _)| other.clone());
            let Some(place) = oldest.and_then(|oldest| by_question.remove(&oldest)) else { return };
            *all -= place.bytes;
        }
    }

    /// The map is whole whatever its holder did.
    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    /// Forgets what nobody asks any more.
    fn sweep(&mut self, now: i64) {
        // A clock may be set back.
        if now.saturating_sub(self.swept_at).saturating_abs() < SWEEP {
            return;
        }
        self.swept_at = now;
        self.by_question.retain(|_, place| now.saturating_sub(place.asked_at) <= UNASKED_MAX);
        self.bytes = self.by_question.values().map(|place| place.bytes).sum();
    }
}

impl Question {
    fn of(scope: &Scope, query: &BoundQuery) -> Self {
        let definition = format!("{}{:?}{:?}", query.definition_json(), query.from, query.to);
        Self { app: scope.app().clone(), tenants: scope.tenants().clone(), definition }
    }
}
