//! Churn: histories into an answer.

use ebbtide_model::Instant;
use ebbtide_model::query::Churn;
use num_bigint::BigInt;

use super::Asking;
use crate::EngineError;
use crate::answer::{ChurnActor, ChurnAnswer, ChurnModel};
use crate::behaviour::bg_nbd::{self, Fitted, Params};
use crate::behaviour::churn::{ChurnFold, History};
use crate::behaviour::load::{Actors, Times};
use crate::exact::Ratio;

impl Asking<'_> {
    pub(super) fn churn(&mut self, churn: &Churn) -> Result<ChurnAnswer, EngineError> {
        let since = self.query.from.map_or(i64::MIN, Instant::micros);
        let end = self.query.to.map_or(i64::MAX, |to| to.micros().saturating_sub(1));
        let times = Times { since: vec![since], until: self.as_of.micros().min(end) };
        let loaded = self.load(&times, Actors::Required)?;
        let fold = ChurnFold::new(churn, &self.query.calendar, self.as_of);
        let mut state = loaded.fold_codes(&fold)?;
        fold.cut(&mut state);
        let model = match churn.model {
            None => None,
            Some(model) => Some((model, bg_nbd::fit(&state.recencies, model.unit_days(), self.interrupt)?)),
        };
        if let Some((_, Err(unfit))) = &model {
            self.warnings.push(format!("there is no model: {unfit}"));
        }
        let actor = |history: &History| {
            let fitted = model.as_ref().and_then(|(model, fitted)| Some((model, fitted.as_ref().ok()?)));
            ChurnActor {
                alive: fitted.map(|(_, fitted)| fitted.alive(history.recency)),
                expected: fitted.map(|(model, fitted)| fitted.expected(history.recency, model.horizon)),
                ..self.churn_actor(&fold, history)
            }
        };
        Ok(ChurnAnswer {
            actors: state.histories.iter().map(actor).collect(),
            at_risk: state.at_risk,
            total: state.total,
            model: model.as_ref().map(|(_, fitted)| fitted.as_ref().ok().map(churn_model)),
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
            alive: None,
            expected: None,
        }
    }
}

fn churn_model(fitted: &Fitted) -> ChurnModel {
    let Params { r, alpha, a, b } = fitted.params;
    ChurnModel { r, alpha, a, b, log_likelihood: fitted.log_likelihood }
}
