//! Lifecycle, stickiness, trend, churn, paths, preceding and dropoff explained.

use ebbtide_model::Fault;
use ebbtide_model::query::{
    BoundQuery, Churn, Dropoff, Interval, Lifecycle, Paths, Scalar, Stickiness, Trend,
};
use serde_json::{Map, Value as Json};

use super::record::{Recorded, Seen};
use super::words::{self, Rule, Words};
use super::{Explained, Verdict};
use crate::answer::{ChurnAnswer, DropoffAnswer, LifecycleAnswer, LifecycleBucket, StickinessAnswer};
use crate::behaviour::ask::Asking;
use crate::behaviour::span::Span;

fn in_place(matched: Vec<String>, name: &str, place: Option<usize>, rule: Rule) -> Verdict {
    let mut counts_in = Map::new();
    counts_in.insert(name.to_owned(), Json::from(place));
    Verdict { matched, counts_in, rule }
}

fn outside() -> Rule {
    Rule::new(words::OUTSIDE)
}

fn bucket_at(span: &Span, time: i64) -> Option<usize> {
    let after = span.bounds.partition_point(|bound| *bound <= time);
    (after > 0 && after < span.bounds.len()).then(|| after - 1)
}

/// What an event does in the bucket of that name.
fn in_bucket(words: &'static Words, bucket: usize, start: Option<String>) -> Rule {
    Rule::new(words).with("bucket", bucket).with("start", start)
}

fn explained(rule: Rule, events: Vec<Verdict>) -> Explained {
    Explained { rule, events, elsewhere: Vec::new() }
}

impl Asking<'_> {
    fn inside(&self, seen: &Seen) -> bool {
        self.query.from.is_none_or(|from| seen.time >= from.micros())
            && self.query.to.is_none_or(|to| seen.time < to.micros())
    }

    /// What a bucket is called; none where it is all of history.
    fn label(&self, span: &Span, interval: Interval, bucket: usize) -> Option<String> {
        let Interval::Unit(unit) = interval else { return None };
        let start = span.starts.get(bucket).copied().flatten()?;
        Some(self.query.calendar.label(unit, start))
    }

    pub(super) fn explain_lifecycle(
        &self,
        lifecycle: &Lifecycle,
        result: &LifecycleAnswer,
        recorded: &Recorded,
    ) -> Result<Explained, Fault> {
        let span = Span::whole(self.query, lifecycle.interval, self.as_of)?;
        let counted = |bucket: usize, of: fn(&LifecycleBucket) -> Option<u64>| {
            result.buckets.get(bucket).and_then(of).is_some_and(|count| count > 0)
        };
        let rule = |bucket: Option<usize>| {
            let Some(bucket) = bucket else {
                return Rule::new(words::HISTORY);
            };
            let words = if counted(bucket, |bucket| bucket.new) {
                words::NEW
            } else if counted(bucket, |bucket| bucket.returning) {
                words::RETURNING
            } else {
                words::RESURRECTING
            };
            in_bucket(words, bucket, self.label(&span, Interval::Unit(lifecycle.interval), bucket))
        };
        let verdict = |seen: &Seen| {
            let bucket = bucket_at(&span, seen.time);
            in_place(vec!["entity".to_owned()], "bucket", bucket, rule(bucket))
        };
        let dormant: Vec<usize> =
            (0..result.buckets.len()).filter(|bucket| counted(*bucket, |bucket| bucket.dormant)).collect();
        let unit = Interval::Unit(lifecycle.interval);
        let starts: Vec<Option<String>> =
            dormant.iter().map(|bucket| self.label(&span, unit, *bucket)).collect();
        let whole = if dormant.is_empty() {
            Rule::new(words::NEVER_DORMANT)
        } else {
            Rule::new(words::DORMANT).with("buckets", dormant).with("starts", starts)
        };
        Ok(explained(whole, recorded.events.iter().map(verdict).collect()))
    }

    pub(super) fn explain_stickiness(
        &self,
        stickiness: &Stickiness,
        result: &StickinessAnswer,
        recorded: &Recorded,
    ) -> Result<Explained, Fault> {
        let span = Span::asked(self.query, Interval::Unit(stickiness.interval), self.as_of)?;
        let span = span.joined(stickiness.interval_count as usize);
        let verdict = |seen: &Seen| {
            let bucket = bucket_at(&span, seen.time);
            let unit = Interval::Unit(stickiness.interval);
            let rule = bucket.map_or_else(outside, |bucket| {
                in_bucket(words::ACTIVE, bucket, self.label(&span, unit, bucket))
            });
            in_place(vec!["entity".to_owned()], "bucket", bucket, rule)
        };
        let active = result.data.iter().position(|actors| *actors > 0).map_or(0, |index| index + 1);
        let whole = Rule::new(words::ACTIVE_IN).with("active", active).with("periods", span.buckets());
        Ok(explained(whole, recorded.events.iter().map(verdict).collect()))
    }

    pub(super) fn explain_trend(&self, trend: &Trend, recorded: &Recorded) -> Result<Explained, Fault> {
        let span = Span::asked(self.query, trend.interval, self.as_of)?;
        let verdict = |seen: &Seen| {
            let bucket = bucket_at(&span, seen.time);
            let rule =
                bucket.map_or_else(outside, |bucket| match self.label(&span, trend.interval, bucket) {
                    None => Rule::new(words::COUNTED_IN_ALL),
                    start => in_bucket(words::COUNTED_IN, bucket, start),
                });
            let matched = match &trend.computed {
                None => "entity".to_owned(),
                Some(_) => format!("entities[{}]", seen.source),
            };
            in_place(vec![matched], "bucket", bucket, rule)
        };
        let events: Vec<Verdict> = recorded.events.iter().map(verdict).collect();
        let counted = events.iter().filter(|verdict| verdict.rule.code() == words::COUNTED_IN.code).count();
        Ok(explained(Rule::new(words::EVENTS).with("counted", counted), events))
    }

    pub(super) fn explain_churn(
        &self,
        churn: &Churn,
        result: &ChurnAnswer,
        recorded: &Recorded,
    ) -> Explained {
        let verdict = |seen: &Seen| {
            let rule = if self.inside(seen) { Rule::new(words::COUNTED_IN_INTERVAL) } else { outside() };
            Verdict { matched: vec!["entity".to_owned()], counts_in: Map::new(), rule }
        };
        let single = recorded.events.iter().filter(|seen| self.inside(seen)).count() == 1;
        let by_default = |words| Rule::new(words).with("days", churn.default_days);
        let by_interval = |words| Rule::new(words).with("times", churn.multiplier());
        let rule = match (result.total > 0, result.at_risk > 0, single) {
            (false, _, _) => Rule::new(words::TOO_FEW_EVENTS).with("least", churn.min_events),
            (true, true, true) => by_default(words::AT_RISK_BY_DEFAULT),
            (true, false, true) => by_default(words::NOT_AT_RISK_BY_DEFAULT),
            (true, true, false) => by_interval(words::AT_RISK_BY_INTERVAL),
            (true, false, false) => by_interval(words::NOT_AT_RISK_BY_INTERVAL),
        };
        explained(rule, recorded.events.iter().map(verdict).collect())
    }

    pub(super) fn explain_paths(&self, paths: &Paths, recorded: &Recorded) -> Explained {
        let gap = paths.session_gap.micros();
        let (mut chain, mut last): (usize, Option<i64>) = (0, None);
        let mut events = Vec::with_capacity(recorded.events.len());
        for seen in &recorded.events {
            let mut matched = vec!["entity".to_owned()];
            if paths.start_at.is_some() && seen.has(BoundQuery::CHAIN_START, 0) {
                matched.push("start_at".to_owned());
            }
            if !self.inside(seen) {
                events.push(in_place(matched, "chain", None, outside()));
                continue;
            }
            if seen.item.is_null() {
                events.push(in_place(matched, "chain", None, Rule::new(words::NO_ITEM)));
                continue;
            }
            let cut = last.is_some_and(|last| seen.time - last > gap);
            chain += usize::from(cut);
            let rule = Rule::new(match (last, cut) {
                (None, _) => words::BEGINS,
                (Some(_), true) => words::CUT,
                (Some(_), false) => words::FOLLOWS,
            });
            last = Some(seen.time);
            events.push(in_place(matched, "chain", Some(chain), rule));
        }
        let chains = if last.is_some() { chain + 1 } else { 0 };
        explained(Rule::new(words::CHAINS).with("chains", chains), events)
    }

    pub(super) fn explain_preceding(&self, recorded: &Recorded) -> Explained {
        let mut counted = 0;
        let mut events = Vec::with_capacity(recorded.events.len());
        for seen in &recorded.events {
            let (before, of) = (seen.has(BoundQuery::BEFORE, 0), seen.has(BoundQuery::OF, 0));
            let named = [(before, "before"), (of, "of")];
            let matched = named.iter().filter(|(is, _)| *is).map(|(_, name)| (*name).to_owned()).collect();
            let counts = before && self.inside(seen);
            counted += usize::from(counts);
            let rule = if counts {
                Rule::new(words::COUNTED_BY_EARLIER)
            } else if of {
                Rule::new(words::MAY_PRECEDE)
            } else {
                outside()
            };
            events.push(Verdict { matched, counts_in: Map::new(), rule });
        }
        explained(Rule::new(words::EVENTS).with("counted", counted), events)
    }

    pub(super) fn explain_dropoff(
        &self,
        dropoff: &Dropoff,
        result: &DropoffAnswer,
        recorded: &Recorded,
    ) -> Explained {
        let step = |seen: &Seen, bit: u8| (0..dropoff.steps.len()).find(|step| seen.has(bit, *step));
        let verdict = |seen: &Seen| {
            let exit = seen.has(BoundQuery::EXIT, 0);
            let (at, to) =
                (step(seen, BoundQuery::STEP), step(seen, BoundQuery::NEXT_STEP).filter(|_| !exit));
            let named = [(at.is_some(), "step"), (to.is_some(), "next_step"), (exit, "exit")];
            let matched = named.iter().filter(|(is, _)| *is).map(|(_, name)| (*name).to_owned()).collect();
            let name = |step: usize| dropoff.steps.get(step).map_or(Json::Null, Scalar::to_json);
            let rule = match (self.inside(seen), exit, to.or(at)) {
                (false, _, _) => outside(),
                (true, true, _) => Rule::new(words::EXIT),
                (true, false, Some(step)) => {
                    Rule::new(words::AT_STEP).with("step", step).with("name", name(step))
                }
                (true, false, None) => Rule::new(words::SHOWS_NO_STEP),
            };
            in_place(matched, "step", to.or(at), rule)
        };
        let whole = Rule::new(words::SESSIONS)
            .with("sessions", result.sessions)
            .with("converted", result.converted)
            .with("ended", result.exits)
            .with("active", result.active);
        explained(whole, recorded.events.iter().map(verdict).collect())
    }
}
