//! Lifecycle, stickiness, trend, churn, paths, preceding and dropoff explained.

use ebbtide_model::Fault;
use ebbtide_model::query::{
    BoundQuery, Churn, Dropoff, Interval, Lifecycle, Paths, Scalar, Stickiness, Trend,
};
use serde_json::{Map, Value as Json};

use super::record::{Recorded, Seen};
use super::{Explained, Rule, Verdict};
use crate::answer::{ChurnAnswer, DropoffAnswer, LifecycleAnswer, LifecycleBucket, StickinessAnswer};
use crate::behaviour::ask::Asking;
use crate::behaviour::span::Span;

fn in_place(matched: Vec<String>, name: &str, place: Option<usize>, rule: Rule) -> Verdict {
    let mut counts_in = Map::new();
    counts_in.insert(name.to_owned(), Json::from(place));
    Verdict { matched, counts_in, rule }
}

fn outside() -> Rule {
    Rule::new("outside_range", "It lies outside of the time that the query asks about.")
}

fn bucket_at(span: &Span, time: i64) -> Option<usize> {
    let after = span.bounds.partition_point(|bound| *bound <= time);
    (after > 0 && after < span.bounds.len()).then(|| after - 1)
}

fn explained(rule: Rule, events: Vec<Verdict>) -> Explained {
    Explained { rule, events, elsewhere: Vec::new() }
}

impl Asking<'_> {
    fn inside(&self, seen: &Seen) -> bool {
        self.query.from.is_none_or(|from| seen.time >= from.micros())
            && self.query.to.is_none_or(|to| seen.time < to.micros())
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
                return Rule::new(
                    "history",
                    "It lies outside of the buckets; it tells whether the actor was there before.",
                );
            };
            if counted(bucket, |bucket| bucket.new) {
                Rule::new(
                    "new",
                    format!("Bucket {bucket} is the actor's first active period of all history."),
                )
            } else if counted(bucket, |bucket| bucket.returning) {
                Rule::new(
                    "returning",
                    format!("The actor is active in bucket {bucket} and in the period before."),
                )
            } else {
                Rule::new(
                    "resurrecting",
                    format!(
                        "The actor is active in bucket {bucket}, was before, and not in the period before it."
                    ),
                )
            }
        };
        let verdict = |seen: &Seen| {
            let bucket = bucket_at(&span, seen.time);
            in_place(vec!["entity".to_owned()], "bucket", bucket, rule(bucket))
        };
        let dormant: Vec<String> = (0..result.buckets.len())
            .filter(|bucket| counted(*bucket, |bucket| bucket.dormant))
            .map(|bucket| bucket.to_string())
            .collect();
        let whole = if dormant.is_empty() {
            Rule::new(
                "never_dormant",
                "In no bucket is it dormant: none without its events follows one with them.",
            )
        } else {
            Rule::new(
                "dormant",
                format!(
                    "It is dormant in the buckets {}: active in the period before and not there.",
                    dormant.join(", ")
                ),
            )
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
            let rule = bucket.map_or_else(outside, |bucket| {
                Rule::new("active", format!("It makes the actor active in bucket {bucket}."))
            });
            in_place(vec!["entity".to_owned()], "bucket", bucket, rule)
        };
        let active = result.data.iter().position(|actors| *actors > 0).map_or(0, |index| index + 1);
        let whole = Rule::new(
            "active_in",
            format!("It is active in exactly {active} of {} buckets.", span.buckets()),
        );
        Ok(explained(whole, recorded.events.iter().map(verdict).collect()))
    }

    pub(super) fn explain_trend(&self, trend: &Trend, recorded: &Recorded) -> Result<Explained, Fault> {
        let span = Span::asked(self.query, trend.interval, self.as_of)?;
        let verdict = |seen: &Seen| {
            let bucket = bucket_at(&span, seen.time);
            let rule = bucket.map_or_else(outside, |bucket| {
                Rule::new("counted", format!("It counts in bucket {bucket}."))
            });
            let matched = match &trend.computed {
                None => "entity".to_owned(),
                Some(_) => format!("entities[{}]", seen.source),
            };
            in_place(vec![matched], "bucket", bucket, rule)
        };
        let events: Vec<Verdict> = recorded.events.iter().map(verdict).collect();
        let counted = events.iter().filter(|verdict| verdict.rule.code == "counted").count();
        Ok(explained(Rule::new("events", format!("{counted} of its events count.")), events))
    }

    pub(super) fn explain_churn(
        &self,
        churn: &Churn,
        result: &ChurnAnswer,
        recorded: &Recorded,
    ) -> Explained {
        let verdict = |seen: &Seen| {
            let rule = if self.inside(seen) {
                Rule::new("counted", "It is one of the events by which the usual interval is told.")
            } else {
                outside()
            };
            Verdict { matched: vec!["entity".to_owned()], counts_in: Map::new(), rule }
        };
        let multiplier = churn.multiplier_millionths;
        let (whole, part) = (multiplier / 1_000_000, multiplier % 1_000_000);
        let times = if part == 0 {
            whole.to_string()
        } else {
            format!("{whole}.{part:06}").trim_end_matches('0').to_owned()
        };
        let single = recorded.events.iter().filter(|seen| self.inside(seen)).count() == 1;
        let rule = match (result.total > 0, result.at_risk > 0, single) {
            (false, _, _) => Rule::new(
                "too_few_events",
                format!("It has fewer than {} events, so it is not looked at.", churn.min_events),
            ),
            (true, true, true) => Rule::new(
                "at_risk_by_default",
                format!("Its only event is more than {} days ago.", churn.default_days),
            ),
            (true, false, true) => Rule::new(
                "not_at_risk_by_default",
                format!("Its only event is no more than {} days ago.", churn.default_days),
            ),
            (true, true, false) => Rule::new(
                "at_risk_by_interval",
                format!("It has been away for more than {times} times its mean interval."),
            ),
            (true, false, false) => Rule::new(
                "not_at_risk_by_interval",
                format!("It has not been away for more than {times} times its mean interval."),
            ),
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
                let rule = Rule::new("no_item", "It lacks the item, so it is passed over.");
                events.push(in_place(matched, "chain", None, rule));
                continue;
            }
            let cut = last.is_some_and(|last| seen.time - last > gap);
            chain += usize::from(cut);
            let rule = match (last, cut) {
                (None, _) => Rule::new("begins", "It is the first of its chain."),
                (Some(_), true) => Rule::new(
                    "cut",
                    "More than the gap has passed since the one before, so it begins a chain.",
                ),
                (Some(_), false) => Rule::new("follows", "It follows the one before, within the gap."),
            };
            last = Some(seen.time);
            events.push(in_place(matched, "chain", Some(chain), rule));
        }
        let chains = if last.is_some() { chain + 1 } else { 0 };
        let whole =
            Rule::new("chains", format!("Its events make {chains} chains, cut where the gap is exceeded."));
        explained(whole, events)
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
                Rule::new(
                    "counted",
                    "It counts by the value of the latest `of` event that is strictly earlier.",
                )
            } else if of {
                Rule::new(
                    "may_precede",
                    "A later `before` event counts by it, unless another `of` event comes between.",
                )
            } else {
                outside()
            };
            events.push(Verdict { matched, counts_in: Map::new(), rule });
        }
        explained(Rule::new("events", format!("{counted} of its events count.")), events)
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
            let told = |step: usize| dropoff.steps.get(step).map_or(Json::Null, Scalar::to_json).to_string();
            let rule = match (self.inside(seen), exit, to.or(at)) {
                (false, _, _) => outside(),
                (true, true, _) => Rule::new(
                    "exit",
                    "It ends its session where that was last, unless an event follows or it converted.",
                ),
                (true, false, Some(step)) => {
                    Rule::new("at_step", format!("It brings its session to {}.", told(step)))
                }
                (true, false, None) => {
                    Rule::new("no_step", "It shows none of the steps; its session stays where it was.")
                }
            };
            in_place(matched, "step", to.or(at), rule)
        };
        let whole = Rule::new(
            "sessions",
            format!(
                "Its events make {} sessions: {} converted, {} ended, {} are active.",
                result.sessions, result.converted, result.exits, result.active
            ),
        );
        explained(whole, recorded.events.iter().map(verdict).collect())
    }
}
