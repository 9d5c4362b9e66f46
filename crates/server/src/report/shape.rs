//! The result of a behavioural query as a list of objects: one row per cohort, bucket or actor, with
//! the names, cells and decimals that the pack asks for. Fractions are exact until here.

use ebbtide_engine::answer::{
    ActorId, Bucket, ChurnActor, CohortCell, CohortRow, DropoffAnswer, DropoffSession, DropoffSplit,
    DropoffStep, Edge, FunnelAnswer, FunnelCounts, FunnelStepCount, GroupValue, LifecycleBucket,
    PrecedingAnswer, Quantity, StickinessAnswer, TrendAnswer,
};
use ebbtide_engine::{Outcome, Ratio};
use ebbtide_model::pack::{Cells, EmptyRows, Shape};
use ebbtide_model::query::Scalar;
use ebbtide_model::{ColumnType, Value};
use serde_json::{Map, Value as Json, json};

/// Means of latencies, where shares are rounded.
const LATENCY_DECIMALS: u8 = 1;

/// A result's rows as the shape has them.
pub(super) fn rows(outcome: &Outcome, shape: &Shape) -> Vec<Json> {
    match outcome {
        Outcome::Retention(retention) => {
            let shown =
                |row: &&CohortRow| shape.empty == EmptyRows::Keep || row.size.is_some_and(|size| size > 0);
            retention.all.rows.iter().filter(shown).map(|row| cohort(row, shape)).collect()
        }
        Outcome::Trend(trend) => {
            let shown = |bucket: &usize| shape.empty == EmptyRows::Keep || !is_empty(trend, *bucket);
            (0..trend.buckets.len()).filter(shown).map(|index| bucket(trend, index, shape)).collect()
        }
        Outcome::Churn(churn) => churn.actors.iter().map(|row| actor(row, shape)).collect(),
        Outcome::Preceding(preceding) => counted(preceding, shape),
        Outcome::Funnel(funnel) => passed(funnel, shape),
        Outcome::Lifecycle(lifecycle) => {
            let shown = |row: &&LifecycleBucket| shape.empty == EmptyRows::Keep || row.active() > Some(0);
            lifecycle.buckets.iter().filter(shown).map(|row| lives(row, shape)).collect()
        }
        Outcome::Stickiness(stickiness) => sticking(stickiness, shape),
        Outcome::Dropoff(dropoff) => dropping(dropoff, shape),
        Outcome::Paths(paths) => paths.edges.iter().map(|edge| followed(edge, shape)).collect(),
    }
}

/// What a result says of all its rows together, as the shape has it.
pub(super) fn whole(outcome: &Outcome, shape: &Shape) -> Json {
    let share = |ratio: Ratio| share_json(&ratio, shape.decimals);
    object(shape, |field| match (outcome, field) {
        (Outcome::Dropoff(dropoff), "total_sessions") => Json::from(dropoff.sessions),
        (Outcome::Dropoff(dropoff), "total_users") => Json::from(dropoff.users),
        (Outcome::Dropoff(dropoff), "total_exits") => Json::from(dropoff.exits),
        (Outcome::Dropoff(dropoff), "converted") => Json::from(dropoff.converted),
        (Outcome::Dropoff(dropoff), "active") => Json::from(dropoff.active),
        (Outcome::Dropoff(dropoff), "conversion_rate") => share(dropoff.conversion_rate()),
        (Outcome::Dropoff(dropoff), "worst_step") => dropoff.worst_step().map_or(Json::Null, Scalar::to_json),
        (Outcome::Churn(churn), "total") => Json::from(churn.total),
        (Outcome::Churn(churn), "at_risk") => Json::from(churn.at_risk),
        (_, _) => Json::Null,
    })
}

/// A row for each step, or over time for each bucket.
fn passed(funnel: &FunnelAnswer, shape: &Shape) -> Vec<Json> {
    let share = |ratio: Option<Ratio>| ratio.map_or(Json::Null, |ratio| share_json(&ratio, shape.decimals));
    match &funnel.all {
        FunnelCounts::Steps { steps, .. } => {
            let count = |step: usize| steps.get(step).map_or(0, |step| step.count);
            let of = |step: usize, whole: usize| Ratio::new(u128::from(count(step)) * 100, count(whole));
            let row = |(index, step): (usize, &FunnelStepCount)| {
                object(shape, |field| match field {
                    "step" => Json::from(index),
                    "count" => Json::from(step.count),
                    "rate" => share(of(index, 0)),
                    "rate_of_previous" => share(index.checked_sub(1).and_then(|before| of(index, before))),
                    "avg_seconds" => share(step.avg_seconds.clone()),
                    "median_seconds" => share(step.median_seconds.clone()),
                    _ => Json::Null,
                })
            };
            steps.iter().enumerate().map(row).collect()
        }
        FunnelCounts::Trends(series) => {
            let entered = |index: usize| series.entered.get(index).copied().flatten();
            let shown = |(index, _): &(usize, &Bucket)| {
                shape.empty == EmptyRows::Keep || entered(*index).is_some_and(|entered| entered > 0)
            };
            let row = |(index, bucket): (usize, &Bucket)| {
                object(shape, |field| match field {
                    "start" => Json::from(bucket.label.as_str()),
                    "entered" => Json::from(entered(index)),
                    "converted" => Json::from(series.converted.get(index).copied().flatten()),
                    "rate" => share(series.percent(index)),
                    _ => Json::Null,
                })
            };
            funnel.buckets.iter().flatten().enumerate().filter(shown).map(row).collect()
        }
    }
}

fn lives(row: &LifecycleBucket, shape: &Shape) -> Json {
    object(shape, |field| match field {
        "start" => Json::from(row.bucket.label.as_str()),
        "active" => Json::from(row.active()),
        "new" => Json::from(row.new),
        "returning" => Json::from(row.returning),
        "resurrecting" => Json::from(row.resurrecting),
        "dormant" => Json::from(row.dormant_signed()),
        _ => Json::Null,
    })
}

/// A row for each number of periods.
fn sticking(stickiness: &StickinessAnswer, shape: &Shape) -> Vec<Json> {
    let counts = stickiness.data.iter().zip(&stickiness.at_least).zip(1_u64..);
    let shown = counts.filter(|((actors, _), _)| shape.empty == EmptyRows::Keep || **actors > 0);
    let row = |((actors, at_least), periods): ((&u64, &u64), u64)| {
        object(shape, |field| match field {
            "periods" => Json::from(periods),
            "actors" => Json::from(*actors),
            "at_least" => Json::from(*at_least),
            _ => Json::Null,
        })
    };
    shown.map(row).collect()
}

/// A row for each session where those are listed, else for each step.
fn dropping(dropoff: &DropoffAnswer, shape: &Shape) -> Vec<Json> {
    if let Some(splits) = &dropoff.splits {
        return splits.iter().map(|split| split_row(split, shape)).collect();
    }
    if let Some(sessions) = &dropoff.listed {
        return sessions.iter().map(|session| ended(session, shape)).collect();
    }
    let share = |ratio: Ratio| share_json(&ratio, shape.decimals);
    let latency = |step: &DropoffStep| {
        let decimals = shape.decimals.map(|_| LATENCY_DECIMALS);
        let of = step.latency.iter().map(|latency| {
            let avg = latency.avg.as_ref().map_or(Json::Null, |avg| share_json(avg, decimals));
            (latency.name.clone(), json!({"latest": number(&latency.latest), "avg": avg}))
        });
        Json::Object(of.collect())
    };
    let row = |step: &DropoffStep| {
        object(shape, |field| match field {
            "step" => step.step.to_json(),
            "sessions" => Json::from(step.sessions),
            "users" => Json::from(step.users),
            "exits" => Json::from(step.exits),
            "reach_rate" => share(dropoff.reach_rate(step)),
            "exit_share" => share(dropoff.exit_share(step)),
            "step_exit_rate" => share(step.exit_rate()),
            "latency" => latency(step),
            field => latency_part(step, field, shape),
        })
    };
    let shown = |step: &&DropoffStep| shape.empty == EmptyRows::Keep || step.sessions > 0;
    dropoff.steps.iter().filter(shown).map(row).collect()
}

/// A number as short as it can be written: a whole one has no point, whatever its column's type.
fn number(value: &Value) -> Json {
    let short = |number: &f64| Value::from_json(&Json::from(*number), ColumnType::Int).ok();
    match value {
        Value::Float(float) => short(float).unwrap_or_else(|| value.clone()).to_json(),
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Decimal(_)
        | Value::Text(_)
        | Value::Timestamp(_)
        | Value::Date(_)
        | Value::Json(_) => value.to_json(),
    }
}

/// `latency.NAME.latest`, `latency.NAME.avg`.
fn latency_part(step: &DropoffStep, field: &str, shape: &Shape) -> Json {
    let part = field.strip_prefix("latency.").and_then(|rest| rest.rsplit_once('.'));
    let Some((name, part)) = part else { return Json::Null };
    let Some(latency) = step.latency.iter().find(|latency| latency.name == name) else { return Json::Null };
    let decimals = shape.decimals.map(|_| LATENCY_DECIMALS);
    match part {
        "latest" => number(&latency.latest),
        _ => latency.avg.as_ref().map_or(Json::Null, |avg| share_json(avg, decimals)),
    }
}

fn split_row(split: &DropoffSplit, shape: &Shape) -> Json {
    object(shape, |field| match field {
        "split" => Json::from(split.split.as_str()),
        "value" => split.value.to_json(),
        "step" => split.step.as_ref().map_or(Json::Null, Scalar::to_json),
        "sessions" => Json::from(split.sessions),
        "lost" => Json::from(split.lost),
        _ => Json::Null,
    })
}

fn ended(session: &DropoffSession, shape: &Shape) -> Json {
    object(shape, |field| match field {
        "session_id" => Json::from(session.id.as_str()),
        "actor" => session.actor.to_json(),
        "started_at" => Json::from(session.started.to_string()),
        "last_event_at" => Json::from(session.last.to_string()),
        "path" => session.path_json(),
        "outcome" => Json::from(session.outcome.name()),
        "exit_step" => session.exit_step.as_ref().map_or(Json::Null, Scalar::to_json),
        _ => Json::Null,
    })
}

fn followed(edge: &Edge, shape: &Shape) -> Json {
    object(shape, |field| match field {
        "step" => Json::from(edge.step),
        "from" => edge.from.to_json(),
        "to" => edge.to.to_json(),
        "count" => Json::from(edge.count),
        _ => Json::Null,
    })
}

/// Values with their counts; by actor, or by what actors' own rows have, where that was asked for.
fn counted(preceding: &PrecedingAnswer, shape: &Shape) -> Vec<Json> {
    if let Some(groups) = &preceding.groups {
        let row = |row: &GroupValue| {
            object(shape, |field| match field {
                "by" => row.by.to_json(),
                "value" => row.value.to_json(),
                "count" => Json::from(row.count),
                _ => Json::Null,
            })
        };
        return groups.iter().map(row).collect();
    }
    let row = |actor: Option<&ActorId>, value: &Value, count: u64| {
        object(shape, |field| match field {
            "actor" => actor.map_or(Json::Null, ActorId::to_json),
            "value" => value.to_json(),
            "count" => Json::from(count),
            _ => Json::Null,
        })
    };
    match &preceding.actors {
        Some(actors) => actors.iter().map(|one| row(Some(&one.id), &one.value, one.count)).collect(),
        None => preceding.values.iter().map(|one| row(None, &one.value, one.count)).collect(),
    }
}

/// An object with the shape's names, in their order.
fn object(shape: &Shape, value: impl Fn(&str) -> Json) -> Json {
    let field = |(name, field): &(String, String)| (name.clone(), value(field));
    Json::Object(shape.fields.iter().map(field).collect::<Map<String, Json>>())
}

fn cohort(row: &CohortRow, shape: &Shape) -> Json {
    let cells = shown(&row.cells, shape.cells);
    let percent = |index| row.percent(index).map_or(Json::Null, |share| share_json(&share, shape.decimals));
    // `counts.1`: of one period, where it is shown.
    let of_period = |field: &str| {
        let (list, period) = field.split_once('.')?;
        let period: usize = period.parse().ok()?;
        let cell = cells.get(period)?;
        Some(if list == "counts" { Json::from(cell.count) } else { percent(period) })
    };
    object(shape, |field| match field {
        "start" => Json::from(row.label.as_str()),
        "size" => Json::from(row.size),
        "counts" => cells.iter().map(|cell| Json::from(cell.count)).collect(),
        "percent" => (0..cells.len()).map(percent).collect(),
        field => of_period(field).unwrap_or_default(),
    })
}

/// The cells of a cohort that are shown: its own, and those after it as long as they fit.
fn shown(cells: &[CohortCell], which: Cells) -> &[CohortCell] {
    let fits = |cell: &&CohortCell| match which {
        Cells::All => true,
        Cells::Begun => cell.count.is_some(),
        Cells::Complete => cell.complete,
    };
    let after = cells.iter().skip(1).take_while(fits).count();
    cells.get(..=after).unwrap_or_default()
}

/// A bucket in which nothing was, or about which nothing is to be said.
fn is_empty(trend: &TrendAnswer, bucket: usize) -> bool {
    let nothing = |quantity: &Quantity| quantity.ratio().to_i64() == Some(0);
    trend.data.iter().all(|series| series.values.get(bucket).and_then(Option::as_ref).is_none_or(nothing))
}

fn bucket(trend: &TrendAnswer, index: usize, shape: &Shape) -> Json {
    object(shape, |field| {
        if field == "start" {
            return trend.buckets.get(index).map_or(Json::Null, |bucket| Json::from(bucket.label.as_str()));
        }
        // `value` is the measure where there is one.
        let series = trend
            .data
            .iter()
            .find(|series| field == "value" || series.measure.is_some_and(|measure| measure.name() == field));
        let quantity = series.and_then(|series| series.values.get(index)?.as_ref());
        quantity.map_or(Json::Null, |quantity| match (quantity, shape.decimals) {
            (Quantity::Count(_), _) | (_, None) => quantity.to_json(),
            (Quantity::Exact(ratio) | Quantity::Float(ratio), Some(decimals)) => rounded(ratio, decimals),
        })
    })
}

fn actor(row: &ChurnActor, shape: &Shape) -> Json {
    let number = |ratio: Option<&Ratio>| ratio.map_or(Json::Null, |ratio| share_json(ratio, shape.decimals));
    object(shape, |field| match field {
        "actor" => row.id.to_json(),
        "events" => Json::from(row.events),
        "first" => Json::from(row.first.to_string()),
        "last" => Json::from(row.last.to_string()),
        "days_inactive" => Json::from(row.days_inactive),
        "interval_days" => number(row.interval_days.as_ref()),
        "ratio" => number(row.ratio.as_ref()),
        "at_risk" => Json::from(row.at_risk),
        "alive" => Json::from(row.alive),
        "expected" => Json::from(row.expected),
        _ => Json::Null,
    })
}

fn share_json(ratio: &Ratio, decimals: Option<u8>) -> Json {
    decimals.map_or_else(|| Json::from(ratio.to_f64()), |decimals| rounded(ratio, decimals))
}

/// A whole number where no decimals are asked for, else a float.
fn rounded(ratio: &Ratio, decimals: u8) -> Json {
    let rounded = ratio.rounded(decimals);
    if decimals == 0 { rounded.to_json() } else { Json::from(rounded.to_f64()) }
}

#[cfg(test)]
mod tests {
    use ebbtide_engine::answer::{
        ActorValue, ChurnAnswer, Cohorts, DropoffLatency, Ending, FunnelSeries, LifecycleAnswer, PathsAnswer,
        RetentionAnswer, Series, StatusMembers, ValueCount,
    };
    use ebbtide_model::Instant;
    use ebbtide_model::pack::ShapeOf;
    use ebbtide_model::query::{Measure, Measures};

    use super::*;

    fn shape(fields: &[&str], decimals: Option<u8>, cells: Cells, empty: EmptyRows) -> Shape {
        let fields = fields.iter().map(|field| ((*field).to_owned(), (*field).to_owned())).collect();
        Shape { of: ShapeOf::Rows, fields, decimals, cells, empty }
    }

    /// Rows of a size and counts; a cell is complete from `complete_until` on backwards, and has no count
    /// where its period has not begun.
    fn cohorts() -> Outcome {
        let row = |label: &str, size: u64, counts: &[Option<u64>], complete: usize| CohortRow {
            start: Instant::from_micros(0),
            label: label.to_owned(),
            size: Some(size),
            cells: counts
                .iter()
                .enumerate()
                .map(|(index, count)| CohortCell { count: *count, complete: index < complete })
                .collect(),
            members: None,
        };
        let rows = vec![
            row("2024-01", 8, &[Some(4), Some(1), Some(0), None], 2),
            row("2024-02", 0, &[Some(0), Some(0), None], 1),
            row("2024-03", 3, &[Some(2), Some(1)], 1),
            row("2024-04", 2, &[Some(2)], 0),
        ];
        let all = Cohorts { rows, mean_pooled: Vec::new(), mean_simple: Vec::new() };
        Outcome::Retention(RetentionAnswer { all, groups: None })
    }

    #[test]
    fn cohorts_show_the_cells_that_are_asked_for_and_their_own_always() {
        let check = |cells, decimals, want: Json| {
            let shape = shape(&["start", "size", "percent"], decimals, cells, EmptyRows::Skip);
            assert_eq!(Json::from(rows(&cohorts(), &shape)).to_string(), want.to_string(), "{cells:?}");
        };
        check(
            Cells::Complete,
            Some(0),
            json!([
                {"start": "2024-01", "size": 8, "percent": [50, 13]},
                {"start": "2024-03", "size": 3, "percent": [67]},
                {"start": "2024-04", "size": 2, "percent": [100]},
            ]),
        );
        check(
            Cells::Begun,
            Some(1),
            json!([
                {"start": "2024-01", "size": 8, "percent": [50.0, 12.5, 0.0]},
                {"start": "2024-03", "size": 3, "percent": [66.7, 33.3]},
                {"start": "2024-04", "size": 2, "percent": [100.0]},
            ]),
        );
        check(
            Cells::All,
            None,
            json!([
                {"start": "2024-01", "size": 8, "percent": [50.0, 12.5, 0.0, null]},
                {"start": "2024-03", "size": 3, "percent": [200.0 / 3.0, 100.0 / 3.0]},
                {"start": "2024-04", "size": 2, "percent": [100.0]},
            ]),
        );
    }

    #[test]
    fn an_empty_cohort_has_counts_and_no_shares() {
        let shape = shape(&["size", "percent", "counts"], Some(1), Cells::All, EmptyRows::Keep);
        let row = &rows(&cohorts(), &shape)[1];
        assert_eq!(*row, json!({"size": 0, "percent": [null, null, null], "counts": [0, 0, null]}));
    }

    #[test]
    fn buckets_have_their_name_and_each_measure_by_its_own() {
        let bucket = |label: &str| Bucket { start: None, label: label.to_owned(), complete: true };
        let half = Ratio::new(5, 2_u32).unwrap();
        let values = |first, second| vec![first, second, None];
        let trend = Outcome::Trend(TrendAnswer {
            buckets: vec![bucket("a"), bucket("b"), bucket("c")],
            measures: Measures::Many(vec![Measure::Total, Measure::Avg]),
            data: vec![
                Series {
                    measure: Some(Measure::Total),
                    values: values(Some(Quantity::Count(2)), Some(Quantity::Count(0))),
                },
                Series { measure: Some(Measure::Avg), values: values(Some(Quantity::Float(half)), None) },
            ],
            groups: None,
            compare: None,
            entities: Vec::new(),
        });
        let check = |decimals, empty, want: Json| {
            let shape = shape(&["avg", "start", "total"], decimals, Cells::All, empty);
            assert_eq!(Json::from(rows(&trend, &shape)).to_string(), want.to_string());
        };
        check(None, EmptyRows::Skip, json!([{"avg": 2.5, "start": "a", "total": 2}]));
        check(
            Some(0),
            EmptyRows::Keep,
            json!([
                {"avg": 3, "start": "a", "total": 2},
                {"avg": null, "start": "b", "total": 0},
                {"avg": null, "start": "c", "total": null},
            ]),
        );
    }

    #[test]
    fn actors_at_risk_have_their_fields() {
        let row = ChurnActor {
            id: ActorId { tenant: None, actor: Value::Int(7) },
            events: 3,
            first: Instant::from_micros(0),
            last: Instant::from_micros(Instant::MICROS_PER_DAY),
            days_inactive: 9,
            interval_days: Ratio::new(1, 2_u32),
            ratio: None,
            at_risk: true,
            alive: None,
            expected: None,
        };
        let churn = Outcome::Churn(ChurnAnswer { actors: vec![row], at_risk: 1, total: 1, model: None });
        let fields =
            ["actor", "last", "days_inactive", "interval_days", "ratio", "at_risk", "events", "first"];
        let shape = shape(&fields, Some(0), Cells::All, EmptyRows::Keep);
        let want = json!([{
            "actor": 7, "last": "1970-01-02T00:00:00Z", "days_inactive": 9, "interval_days": 1, "ratio": null,
            "at_risk": true, "events": 3, "first": "1970-01-01T00:00:00Z",
        }]);
        assert_eq!(Json::from(rows(&churn, &shape)), want);
    }

    fn check(outcome: &Outcome, fields: &[&str], empty: EmptyRows, want: Json) {
        let shape = shape(fields, Some(1), Cells::All, empty);
        assert_eq!(Json::from(rows(outcome, &shape)).to_string(), want.to_string());
    }

    fn named(label: &str) -> Bucket {
        Bucket { start: None, label: label.to_owned(), complete: true }
    }

    #[test]
    fn a_funnel_has_a_row_for_each_step_and_over_time_for_each_bucket() {
        let step = |count, seconds: Option<u64>| FunnelStepCount {
            count,
            avg_seconds: seconds.map(Ratio::count),
            median_seconds: None,
        };
        let funnel = |all, buckets| {
            Outcome::Funnel(FunnelAnswer {
                all,
                groups: None,
                actors_at_step: None,
                all_actors: None,
                buckets,
            })
        };
        let steps = vec![step(3, None), step(2, Some(5)), step(0, None)];
        check(
            &funnel(FunnelCounts::Steps { steps, avg_between_seconds: None }, None),
            &["step", "count", "rate", "rate_of_previous", "avg_seconds"],
            EmptyRows::Keep,
            json!([
                {"step": 0, "count": 3, "rate": 100.0, "rate_of_previous": null, "avg_seconds": null},
                {"step": 1, "count": 2, "rate": 66.7, "rate_of_previous": 66.7, "avg_seconds": 5.0},
                {"step": 2, "count": 0, "rate": 0.0, "rate_of_previous": 0.0, "avg_seconds": null},
            ]),
        );
        let series =
            FunnelSeries { entered: vec![Some(0), Some(8), None], converted: vec![Some(0), Some(1), None] };
        check(
            &funnel(FunnelCounts::Trends(series), Some(["a", "b", "c"].map(named).into())),
            &["start", "entered", "converted", "rate"],
            EmptyRows::Skip,
            json!([{"start": "b", "entered": 8, "converted": 1, "rate": 12.5}]),
        );
    }

    #[test]
    fn values_that_precede_have_their_actors_where_those_are_asked_for() {
        let value = |value: &str, count| ValueCount { value: Value::Text(value.into()), count };
        let values = vec![value("x", 2), value("", 1)];
        let mut preceding = PrecedingAnswer { total: 3, values, actors: None, groups: None };
        let of = |preceding: &PrecedingAnswer| Outcome::Preceding(preceding.clone());
        let want = json!([{"value": "x", "count": 2}, {"value": "", "count": 1}]);
        check(&of(&preceding), &["value", "count"], EmptyRows::Keep, want);
        let id = ActorId { tenant: None, actor: Value::Int(7) };
        preceding.actors = Some(vec![ActorValue { id, value: Value::Null, count: 3 }]);
        let want = json!([{"actor": 7, "value": null, "count": 3}]);
        check(&of(&preceding), &["actor", "value", "count"], EmptyRows::Keep, want);
        let by = Value::Text("a".into());
        preceding.groups = Some(vec![GroupValue { by, value: Value::Null, count: 4 }]);
        let want = json!([{"by": "a", "value": null, "count": 4}]);
        check(&of(&preceding), &["by", "value", "count"], EmptyRows::Keep, want);
    }

    #[test]
    fn a_dropoff_has_a_row_for_each_step_or_session() {
        let step = |name: &str, sessions, exits| DropoffStep {
            step: Scalar::Text(name.to_owned()),
            sessions,
            users: sessions,
            exits,
            latency: vec![DropoffLatency {
                name: "system".to_owned(),
                latest: if sessions > 0 { Value::Int(35) } else { Value::Null },
                avg: Ratio::new(82_444_u32, sessions * 1_000),
            }],
        };
        let mut dropoff = DropoffAnswer {
            splits: None,
            sessions: 3,
            users: 3,
            exits: 1,
            converted: 0,
            active: 2,
            idle_at: None,
            steps: vec![step("home", 2, 1), step("cart", 0, 0)],
            listed: None,
        };
        let fields = ["step", "reach_rate", "exit_share", "latency", "latency.system.avg"];
        let want = json!([
            {"step": "home", "reach_rate": 66.7, "exit_share": 100.0, "latency": {"system": {"latest": 35, "avg": 41.2}}, "latency.system.avg": 41.2},
            {"step": "cart", "reach_rate": 0.0, "exit_share": 0.0, "latency": {"system": {"latest": null, "avg": null}}, "latency.system.avg": null},
        ]);
        check(&Outcome::Dropoff(dropoff.clone()), &fields, EmptyRows::Keep, want);
        let fields = ["total_sessions", "total_exits", "active", "conversion_rate", "worst_step"];
        let of_whole = shape(&fields, Some(2), Cells::All, EmptyRows::Keep);
        let want = json!({
            "total_sessions": 3, "total_exits": 1, "active": 2, "conversion_rate": 0.0, "worst_step": "home",
        });
        assert_eq!(whole(&Outcome::Dropoff(dropoff.clone()), &of_whole), want);
        let id = ActorId { tenant: None, actor: Value::Text("u".into()) };
        dropoff.listed = Some(vec![DropoffSession {
            id: "s1".to_owned(),
            actor: id,
            started: Instant::from_micros(0),
            last: Instant::from_micros(1_000_000),
            path: vec![Scalar::Text("home".to_owned())],
            outcome: Ending::Exited(0),
            exit_step: Some(Scalar::Text("home".to_owned())),
        }]);
        let fields = ["session_id", "actor", "last_event_at", "path", "outcome", "exit_step"];
        let want = json!([{
            "session_id": "s1", "actor": "u", "last_event_at": "1970-01-01T00:00:01Z", "path": ["home"],
            "outcome": "exited", "exit_step": "home",
        }]);
        check(&Outcome::Dropoff(dropoff), &fields, EmptyRows::Skip, want);
    }

    #[test]
    fn lifecycles_stickiness_and_paths_have_their_rows() {
        let none = StatusMembers {
            new: Vec::new(),
            returning: Vec::new(),
            resurrecting: Vec::new(),
            dormant: Vec::new(),
        };
        let bucket = |label: &str, new: Option<u64>| LifecycleBucket {
            bucket: named(label),
            new,
            returning: new,
            resurrecting: new,
            dormant: Some(4),
            members: none.clone(),
        };
        let buckets = vec![bucket("a", Some(0)), bucket("b", Some(2)), bucket("c", None)];
        check(
            &Outcome::Lifecycle(LifecycleAnswer { buckets }),
            &["start", "active", "new", "returning", "resurrecting", "dormant"],
            EmptyRows::Skip,
            json!([{"start": "b", "active": 6, "new": 2, "returning": 2, "resurrecting": 2, "dormant": -4}]),
        );
        let sticky = StickinessAnswer { data: vec![5, 0, 1], at_least: vec![6, 1, 1], actors_total: 6 };
        check(
            &Outcome::Stickiness(sticky),
            &["periods", "actors", "at_least"],
            EmptyRows::Skip,
            json!([{"periods": 1, "actors": 5, "at_least": 6}, {"periods": 3, "actors": 1, "at_least": 1}]),
        );
        let edge = Edge { step: 1, from: Value::Text("/".into()), to: Value::Int(5), count: 3 };
        check(
            &Outcome::Paths(PathsAnswer { edges: vec![edge] }),
            &["step", "from", "to", "count"],
            EmptyRows::Keep,
            json!([{"step": 1, "from": "/", "to": 5, "count": 3}]),
        );
    }
}
