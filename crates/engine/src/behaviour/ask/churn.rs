//! Churn: histories into an answer.

use ebbtide_model::Instant;
use ebbtide_model::query::Churn;
use num_bigint::BigInt;

use super::Asking;
use crate::EngineError;
use crate::answer::{ChurnActor, ChurnAnswer};
use crate::behaviour::churn::{ChurnFold, History};
use crate::behaviour::load::{Actors, Times};
use crate::exact::Ratio;

impl Asking<'_> {
    pub(super) fn churn(&self, churn: &Churn) -> Result<ChurnAnswer, EngineError> {
        let since = self.query.from.map_or(i64::MIN, Instant::micros);
        let end = self.query.to.map_or(i64::MAX, |to| to.micros().saturating_sub(1));
        let times = Times { since: vec![since], until: self.as_of.micros().min(end) };
        let loaded = self.load(&times, Actors::Required)?;
        let fold = ChurnFold::new(churn, self.as_of);
        let mut state = loaded.fold(&fold)?;
        fold.cut(&mut state);
        Ok(ChurnAnswer {
            actors: state.histories.iter().map(|history| self.churn_actor(&fold, history)).collect(),
            at_risk: state.at_risk,
            total: state.total,
        })
    }

    fn churn_actor(&self, fold: &ChurnFold, history: &History) -> ChurnActor {
        let span = history.last.abs_diff(history.first);
        let day = Instant::MICROS_PER_DAY.unsigned_abs();
        let ratio = fold.ratio(history).and_then(|(away, usual)| Ratio::new(BigInt::from(away), usual));
        ChurnActor {
            id: self.actor_id(&history.tenant, &history.actor),
            events: history.events,
            first: Instant::from_micros(history.first),
            last: Instant::from_micros(history.last),
            days_inactive: fold.days_inactive(history),
            interval_days: Ratio::new(span, day).and_then(|days| days.over(history.events - 1)),
            ratio,
            at_risk: history.at_risk,
        }
    }
}
