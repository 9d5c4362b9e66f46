//! What a terminal shows of whole answers.

use serde_json::{Value as Json, json};

use super::screen::Paint;
use super::*;

#[track_caller]
fn check(of: Json, width: usize, want: &str) {
    let got = answer(&of, &Screen { width, paint: Paint::Plain });
    assert_eq!(got, want, "\n{got}");
    assert!(got.lines().all(|line| unicode_width::UnicodeWidthStr::width(line) <= width), "\n{got}");
}

fn funnel(more: Json) -> Json {
    let mut result = json!({
        "counts": [1204, 451, 160], "avg_seconds": [null, 90.0, 4000.0], "median_seconds": [null, 72.0, 3660.0]
    });
    result.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({
        "result": result,
        "query": {
            "kind": "funnel", "viz": "steps", "order": "ordered", "window": 1_209_600, "time_between": [0, 2],
            "steps": [{"event": "view"}, {"event": "cart", "where": [{"prop": "a"}]}, {"event": null}],
        },
        "meta": {"warnings": []}
    })
}

#[test]
fn a_funnel_is_a_bar_for_each_step() {
    check(
        funnel(json!({})),
        90,
        concat!(
            "Funnel, ordered, within 14d\n",
            "\n",
            "                                                         actors  of all  of before  median\n",
            "  1 view             ██████████████████████████████████   1,204  100.0%\n",
            "  2 cart (filtered)  ████████████▊                          451   37.5%      37.5%  1m 12s\n",
            "  3 any event        ████▌                                  160   13.3%      35.5%   1h 1m\n",
        ),
    );
}

#[test]
fn a_funnel_tells_of_its_groups_and_of_times_and_leaves_out_what_does_not_fit() {
    check(
        funnel(json!({
            "all_actors": 2000, "avg_between_seconds": 5000.0,
            "groups": [
                {"value": ["DE", null], "counts": [4, 0, 0], "median_seconds": [null, null, null]},
                {"value": ["\u{1b}[2J"], "counts": [0, 0, 0], "median_seconds": [null, null, null]}
            ]
        })),
        60,
        concat!(
            "Funnel, ordered, within 14d\n",
            "\n",
            "                                   actors  of all  of before\n",
            "  1 view             ████████████   1,204  100.0%\n",
            "  2 cart (filtered)  ████▌            451   37.5%      37.5%\n",
            "  3 any event        █▋               160   13.3%      35.5%\n",
            "\n",
            "  from step 1 to step 3: 1h 23m on average\n",
            "\n",
            "  actors with any event: 2,000\n",
            "\n",
            "DE, (none)\n",
            "                                   actors  of all  of before\n",
            "  1 view             ████████████       4  100.0%\n",
            "  2 cart (filtered)                     0    0.0%       0.0%\n",
            "  3 any event                           0    0.0%\n",
            "\n",
            "�[2J\n",
            "                                   actors  of all  of before\n",
            "  1 view                                0\n",
            "  2 cart (filtered)                     0\n",
            "  3 any event                           0\n",
        ),
    );
}

#[test]
fn a_funnel_over_time_is_a_bar_for_each_bucket() {
    check(
        json!({
            "result": {
                "starts": ["2026-05-31T22:00:00Z", "2026-06-30T22:00:00Z"], "complete": [true, false],
                "entered": [200, 0], "converted": [50, 0], "percent": [25.0, null]
            },
            "query": {"kind": "funnel", "viz": "trends", "interval": "month", "tz": "Europe/Paris"},
            "meta": {}
        }),
        60,
        concat!(
            "Funnel by month: who entered, and who of them converted\n",
            "\n",
            "  2026-06  ███████████████████████████████  25.0%  50 of 200\n",
            "  2026-07                                             0 of 0\n",
        ),
    );
}

fn retention() -> Json {
    json!({
        "result": {
            "starts": ["2026-06-01T00:00:00Z", "2026-06-08T00:00:00Z", "2026-06-15T00:00:00Z"],
            "sizes": [1000, 40, null],
            "matrix": [[1000, 452, 130], [40, 0], [null]],
            "percent": [[100.0, 45.2, 13.0], [100.0, 0.0], [null]],
            "complete": [[true, true, false], [true, false], [false]],
            "mean_pooled": [100.0, 45.2, null], "mean_simple": [100.0, 45.2, null]
        },
        "query": {"kind": "retention", "type": "first_time", "period": "week", "tz": "UTC"},
        "meta": {"warnings": ["something was cut"]}
    })
}

#[test]
fn a_retention_is_a_heatmap() {
    check(
        retention(),
        80,
        concat!(
            "Retention by week, first-time: % of the members who came back\n",
            "\n",
            "  cohort      members     w 0     w 1     w 2\n",
            "  2026-06-01    1,000  █100.0  ▒ 45.2  ░ 13.0*\n",
            "  2026-06-08       40  █100.0     0.0*\n",
            "  2026-06-15\n",
            "  mean                 █100.0  ▒ 45.2\n",
            "  * has not ended yet\n",
            "\n",
            "Note: something was cut\n",
        ),
    );
}

#[test]
fn a_narrow_screen_has_fewer_columns_of_cells() {
    check(
        retention(),
        40,
        concat!(
            "Retention by week, first-time: % of the…\n",
            "\n",
            "  cohort      members     w 0     w 1\n",
            "  2026-06-01    1,000  █100.0  ▒ 45.2\n",
            "  2026-06-08       40  █100.0     0.0*\n",
            "  2026-06-15\n",
            "  mean                 █100.0  ▒ 45.2\n",
            "  … 1 more: see --json\n",
            "  * has not ended yet\n",
            "\n",
            "Note: something was cut\n",
        ),
    );
}

#[test]
fn colours_only_add_to_what_is_there() {
    let coloured = answer(&retention(), &Screen { width: 80, paint: Paint::Coloured });
    assert!(coloured.contains("\u{1b}[38;5;231;48;5;18m 100.0 \u{1b}[0m"), "{coloured:?}");
    assert!(coloured.contains("\u{1b}[1mRetention by week"), "{coloured:?}");
    let plain = answer(&retention(), &Screen { width: 80, paint: Paint::Plain });
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
}

fn trend(result: Json) -> Json {
    json!({"result": result, "query": {"kind": "trend", "interval": "day", "tz": "UTC"}, "meta": {}})
}

#[test]
fn a_trend_is_a_bar_for_each_bucket() {
    check(
        trend(json!({
            "starts": ["2026-06-01T00:00:00Z", "2026-06-02T00:00:00Z", "2026-06-03T00:00:00Z", "2026-06-04T00:00:00Z"],
            "complete": [true, true, false, false], "data": [12, 1234.5, 3, null]
        })),
        50,
        concat!(
            "Trend by day\n",
            "\n",
            "  2026-06-01  ▎                                 12\n",
            "  2026-06-02  ███████████████████████████  1,234.5\n",
            "  2026-06-03  ▏                                 3*\n",
            "  2026-06-04\n",
            "  * has not ended yet\n",
        ),
    );
}

#[test]
fn several_series_are_a_line_of_blocks_each() {
    let days = |count: usize| {
        (1..=count).map(|day| format!("2026-06-{:02}T00:00:00Z", day % 30 + 1)).collect::<Vec<_>>()
    };
    check(
        trend(json!({
            "starts": days(4), "complete": [true, true, true, true], "data": [6, 3, 0, 9],
            "groups": [{"value": "web", "data": [4, 2, 0, 8]}, {"value": null, "data": [2, 1, 0, null]}],
            "compare": {"starts": days(4), "data": [1, 1, 1, 1]}
        })),
        60,
        concat!(
            "Trend by day\n",
            "\n",
            "                     2026-06-02 … 2026-06-05      most  last\n",
            "  web                ▄▂_█                            8     8\n",
            "  (none)             █▄_                             2     0\n",
            "  the period before  ████                            1     1\n",
        ),
    );
}

#[test]
fn many_buckets_are_a_line_of_blocks_up_to_the_last() {
    let days = |count: usize| {
        (1..=count).map(|day| format!("2026-06-{:02}T00:00:00Z", day % 30 + 1)).collect::<Vec<_>>()
    };
    check(
        trend(json!({
            "starts": days(50), "complete": [], "data": {"total": vec![1; 50], "sum": (0..50).collect::<Vec<_>>()}
        })),
        60,
        concat!(
            "Trend by day\n",
            "\n",
            "         2026-06-13 … 2026-06-21                  most  last\n",
            "  total  ███████████████████████████████████████     1     1\n",
            "  sum    ▂▂▂▂▂▃▃▃▃▃▃▄▄▄▄▄▄▅▅▅▅▅▅▆▆▆▆▆▆▇▇▇▇▇▇████    49    49\n",
            "  … after 11 earlier ones: --json has them all\n",
        ),
    );
}

#[test]
fn a_lifecycle_is_who_is_active_against_who_has_left() {
    check(
        json!({
            "result": {
                "starts": ["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"],
                "new": [20, 10, 1], "returning": [0, 12, 14], "resurrecting": [0, 0, 3], "dormant": [0, -8, -8],
                "active": [20, 22, 18]
            },
            "query": {"kind": "lifecycle", "interval": "month", "tz": "UTC"}, "meta": {}
        }),
        70,
        concat!(
            "Lifecycle by month\n",
            "\n",
            "                                                   new  ret  res  dorm\n",
            "  2026-01            │█████████████████████████     20    0    0     0\n",
            "  2026-02  ░░░░░░░░░░│████████████▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓   10   12    0    -8\n",
            "  2026-03  ░░░░░░░░░░│█▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▒▒▒▒         1   14    3    -8\n",
            "\n",
            "  █ new   ▓ returning   ▒ resurrecting   ░ dormant\n",
        ),
    );
}

#[test]
fn stickiness_is_a_bar_for_each_number_of_buckets() {
    check(
        json!({
            "result": {"data": [30, 0, 7], "at_least": [37, 7, 7], "actors_total": 37},
            "query": {"kind": "stickiness", "interval": "day", "interval_count": 1}, "meta": {}
        }),
        60,
        concat!(
            "Stickiness: actors by how many days they were active in\n",
            "\n",
            "                                            exactly  or more\n",
            "  1 × day  ███████████████████████████████       30       37\n",
            "  2 × day                                         0        7\n",
            "  3 × day  ███████▎                               7        7\n",
            "\n",
            "  actors: 37\n",
        ),
    );
}

#[test]
fn paths_are_edges_with_bars() {
    check(
        json!({
            "result": {"edges": [
                {"step": 1, "from": "/", "to": "/pricing", "count": 20},
                {"step": 1, "from": "/", "to": null, "count": 5},
                {"step": 2, "from": "/pricing", "to": "/a/very/long/path/indeed", "count": 1}
            ]},
            "query": {"kind": "paths"}, "meta": {}
        }),
        60,
        concat!(
            "Paths: from one item to the next\n",
            "\n",
            "  step  from         to               count\n",
            "  1     /         →  /pricing         20     ██████████\n",
            "  1     /         →  (none)           5      ██▌\n",
            "  2     /pricing  →  /a/very/long/p…  1      ▌\n",
        ),
    );
}

#[test]
fn a_drop_off_is_a_bar_for_each_step() {
    let step = |step: &str, sessions: u64, exits: u64| {
        let rate = exits as f64 / sessions as f64 * 100.0;
        json!({"step": step, "sessions": sessions, "exits": exits, "reach_rate": sessions as f64 * 10.0, "step_exit_rate": rate})
    };
    check(
        json!({
            "result": {
                "total_sessions": 10, "converted": 2, "total_exits": 7, "active": 1, "conversion_rate": 20.0,
                "steps": [step("home", 9, 5), step("cart", 4, 2)],
                "sessions": [{"session_id": "s1", "outcome": "exited"}]
            },
            "query": {"kind": "dropoff"}, "meta": {}
        }),
        70,
        concat!(
            "Drop-off: who was at each step, and whose session ended there\n",
            "\n",
            "                                    sessions  of all  exits  exit rate\n",
            "  home  ██████████████████████████         9   90.0%      5      55.6%\n",
            "  cart  ███████████▌                       4   40.0%      2      50.0%\n",
            "\n",
            "  sessions: 10   converted: 2 (20.0%)   exits: 7   active: 1\n",
            "\n",
            "sessions\n",
            "  session_id  outcome\n",
            "          s1   exited\n",
            "\n",
        ),
    );
}

#[test]
fn other_answers_are_tables() {
    check(
        json!({
            "result": {"values": [{"value": "why", "count": 2}], "ratio": 23.261942, "total": 2},
            "query": {"kind": "preceding"}, "meta": {"warnings": []}
        }),
        60,
        concat!("values\n", "  value  count\n", "    why      2\n", "\n", "ratio: 23.2619\n", "total: 2\n",),
    );
}
