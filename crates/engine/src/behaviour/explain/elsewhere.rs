//! The same events under the rules of others, and why their numbers differ.

use ebbtide_model::query::{CellZero, Cohorts, Funnel, Retention, StepOrder, Window};
use ebbtide_model::{Language, Unit, WeekStart};
use serde_json::{Value as Json, json};

use super::words::{Rule, Words};
use crate::behaviour::funnel::Best;
use crate::sql::window_funnel_level;

/// How the number would read elsewhere.
#[derive(Clone, Debug)]
pub struct Elsewhere {
    pub engine: &'static str,
    pub rules: &'static str,
    /// Null: there is no such question there.
    pub reads: Json,
    pub same: bool,
    pub(super) why: Rule,
    /// In what those rules are other ones; named by `why`.
    pub(super) differences: Vec<&'static Words>,
}

impl Elsewhere {
    pub(super) fn to_json(&self, language: Language) -> Json {
        let told: Vec<&str> = self.differences.iter().map(|words| words.text(language)).collect();
        let why = self.why.clone().with("differences", told.join("; "));
        let codes: Vec<&str> = self.differences.iter().map(|words| words.code).collect();
        json!({
            "engine": self.engine, "rules": self.rules, "reads": self.reads, "same": self.same,
            "why": why.text(language), "differences": codes,
        })
    }
}

pub(super) const SAME_RULES: &Words = &Words::new(
    "same_rules",
    "The rules are the same for this question.",
    "이 질문에서는 규칙이 같습니다.",
    "Для этого запроса правила те же.",
);
pub(super) const SAME_HERE: &Words = &Words::new(
    "same_here",
    "The same for this actor; in general {differences}.",
    "이 경우에는 같습니다. 일반적으로는 다릅니다: {differences}.",
    "Здесь то же самое; в общем случае {differences}.",
);
pub(super) const OTHERWISE: &Words = &Words::new(
    "otherwise",
    "It reads otherwise, since {differences}.",
    "다르게 나옵니다: {differences}.",
    "Получается иначе: {differences}.",
);
const OTHER_STEPS: &Words = &Words::new(
    "otherwise",
    "It reads {reads} steps, not {steps}: {differences}.",
    "{steps}단계가 아니라 {reads}단계로 나옵니다: {differences}.",
    "Получается шагов: {reads}, а не {steps}: {differences}.",
);
const NO_SUCH_QUESTION: &Words = &Words::new(
    "no_such_question",
    "There is no such question: {differences}.",
    "그런 질문이 없습니다: {differences}.",
    "Такого вопроса там нет: {differences}.",
);

/// `ClickHouse`'s modes, and what each does otherwise than a funnel here.
const MODES: [(&str, &Words); 5] = [
    (
        "",
        &Words::new(
            "shared_events",
            "one event may serve several steps in a row, and there are no exclusions",
            "이벤트 하나가 잇따른 여러 단계에 쓰일 수 있고 제외 조건이 없습니다",
            "одно событие может служить нескольким шагам подряд, и исключений нет",
        ),
    ),
    (
        "strict_once",
        &Words::new(
            "no_exclusions",
            "each step needs an event of its own, as here, and there are no exclusions",
            "여기처럼 단계마다 이벤트가 하나씩 필요하고 제외 조건이 없습니다",
            "каждому шагу нужно своё событие, как и здесь, и исключений нет",
        ),
    ),
    (
        "strict_increase",
        &Words::new(
            "later_steps",
            "each step must be later than the one before, where here they may be of one time",
            "각 단계는 이전 단계보다 나중이어야 하지만 여기서는 같은 시각이어도 됩니다",
            "каждый шаг должен быть позже предыдущего, а здесь они могут быть одновременными",
        ),
    ),
    (
        "strict_deduplication",
        &Words::new(
            "repeats_end",
            "a repeated event of a later step ends the search",
            "나중 단계의 이벤트가 되풀이되면 찾기를 멈춥니다",
            "повторное событие одного из следующих шагов прекращает поиск",
        ),
    ),
    (
        "strict_order",
        &Words::new(
            "others_end",
            "another event between two steps ends the search",
            "두 단계 사이에 다른 이벤트가 있으면 찾기를 멈춥니다",
            "другое событие между двумя шагами прекращает поиск",
        ),
    ),
];
const ORDERED_ONLY: &Words = &Words::new(
    "ordered_only",
    "windowFunnel has no steps in any order",
    "windowFunnel에는 순서 없는 단계가 없습니다",
    "в windowFunnel нет шагов в любом порядке",
);
const LEFT_OUT: &Words = &Words::new(
    "left_out",
    "an excluded event between the steps leaves the actor out wholly, where here only that attempt is void",
    "단계 사이에 제외 이벤트가 있으면 그 대상이 아예 빠지지만 여기서는 그 시도만 무효가 됩니다",
    "исключённое событие между шагами убирает участника совсем, а здесь отменяет только эту попытку",
);

pub(super) fn of_funnel(funnel: &Funnel, best: &Best, rows: &[(i64, u32)]) -> Vec<Elsewhere> {
    let depth = best.times.len();
    let told = |engine, rules, level: Option<usize>, difference: &'static Words| {
        let same = level == Some(depth);
        let why = match level {
            None => Rule::new(NO_SUCH_QUESTION),
            Some(_) if same => Rule::new(SAME_HERE),
            Some(level) => Rule::new(OTHER_STEPS).with("reads", level).with("steps", depth),
        };
        Elsewhere { engine, rules, reads: Json::from(level), same, why, differences: vec![difference] }
    };
    let mut found = Vec::new();
    for (mode, difference) in MODES {
        let rules = if mode.is_empty() { "windowFunnel" } else { mode };
        let level = match funnel.order {
            StepOrder::Unordered => None,
            StepOrder::Ordered | StepOrder::Strict => {
                window_funnel_level(mode, funnel.window.micros(), funnel.steps.len(), rows)
            }
        };
        found.push(told("clickhouse", rules, level, if level.is_none() { ORDERED_ONLY } else { difference }));
    }
    // Who did what is excluded is left out wholly, not just the attempt.
    found.push(told("posthog", "funnel", Some(if best.voided { 0 } else { depth }), LEFT_OUT));
    found
}

/// A retention as others would define it, with what is other about that.
pub(super) struct Variant {
    pub(super) engine: &'static str,
    pub(super) rules: &'static str,
    pub(super) retention: Retention,
    pub(super) week_start: Option<WeekStart>,
    pub(super) differences: Vec<&'static Words>,
}

const OWN_PERIODS: &Words = &Words::new(
    "no_first_time",
    "each condition is asked of its own period, so a first time is unknown",
    "조건마다 자기 기간만 보므로 처음인지 알 수 없습니다",
    "каждое условие проверяется в своём периоде, поэтому первый раз неизвестен",
);
const ONE_EVENT: &Words = &Words::new(
    "one_event",
    "one event meets a condition, so min_occurrences plays no part",
    "이벤트 하나로 조건이 충족되므로 min_occurrences는 쓰이지 않습니다",
    "условие выполняется одним событием, поэтому min_occurrences не играет роли",
);
const NOT_CUMULATIVE: &Words = &Words::new(
    "not_cumulative",
    "a condition is of one period, so later ones do not count for it",
    "조건은 한 기간에 대한 것이므로 이후 기간은 세지 않습니다",
    "условие относится к одному периоду, поэтому более поздние для него не учитываются",
);
const FIRST_IS_START: &Words = &Words::new(
    "first_is_start",
    "the first value is that the actor started",
    "첫 값은 시작했다는 뜻입니다",
    "первое значение означает, что участник начал",
);
const SHARED_PERIODS: &Words = &Words::new(
    "shared_periods",
    "periods are those that the conditions name, the same for every actor",
    "기간은 조건에 적힌 대로이며 모두에게 같습니다",
    "периоды заданы условиями и одинаковы для всех",
);
const FIRST_IS_SIZE: &Words = &Words::new(
    "first_is_size",
    "the first cell is always the size of the cohort",
    "첫 칸은 늘 코호트의 크기입니다",
    "первая ячейка — всегда размер когорты",
);
const SUNDAY: &Words = &Words::new(
    "sunday",
    "a week begins on Sunday unless the project says otherwise",
    "프로젝트에서 달리 정하지 않으면 한 주는 일요일에 시작합니다",
    "неделя начинается в воскресенье, если в проекте не указано иначе",
);

pub(super) fn of_retention(retention: &Retention, week_start: WeekStart) -> [Variant; 2] {
    let mut clickhouse = Variant {
        engine: "clickhouse",
        rules: "retention",
        retention: Retention {
            cohorts: Cohorts::Recurring,
            min_occurrences: 1,
            cumulative: false,
            cell_zero: CellZero::Size,
            window: Window::Calendar,
            ..retention.clone()
        },
        week_start: None,
        differences: Vec::new(),
    };
    let mut tell = |differs: bool, told: &'static Words| {
        if differs {
            clickhouse.differences.push(told);
        }
    };
    tell(retention.cohorts == Cohorts::FirstTime, OWN_PERIODS);
    tell(retention.min_occurrences > 1, ONE_EVENT);
    tell(retention.cumulative, NOT_CUMULATIVE);
    tell(retention.cell_zero == CellZero::Returned, FIRST_IS_START);
    tell(retention.window == Window::Rolling, SHARED_PERIODS);
    let mut posthog = Variant {
        engine: "posthog",
        rules: "retention",
        retention: Retention { cell_zero: CellZero::Size, ..retention.clone() },
        week_start: None,
        differences: Vec::new(),
    };
    if retention.cell_zero == CellZero::Returned {
        posthog.differences.push(FIRST_IS_SIZE);
    }
    if retention.period == Unit::Week && week_start == WeekStart::Monday {
        posthog.week_start = Some(WeekStart::Sunday);
        posthog.differences.push(SUNDAY);
    }
    [clickhouse, posthog]
}
