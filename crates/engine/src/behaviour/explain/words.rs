//! What explanations say: for each rule its code and its sentence in every language, in which names in braces
//! stand for facts. Facts count from zero, as the query's paths do; `{step+1}` is such a number as people count.

use ebbtide_model::Language;
use serde_json::{Map, Value as Json, json};

/// A rule in words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) code: &'static str,
    en: &'static str,
    ko: &'static str,
    ru: &'static str,
}

impl Words {
    pub(super) const fn new(
        code: &'static str,
        en: &'static str,
        ko: &'static str,
        ru: &'static str,
    ) -> Self {
        Self { code, en, ko, ru }
    }

    pub(super) fn text(&self, language: Language) -> &'static str {
        match language {
            Language::English => self.en,
            Language::Korean => self.ko,
            Language::Russian => self.ru,
        }
    }
}

/// A rule that decided: its code and its facts are stable, its text one plain sentence.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    words: &'static Words,
    facts: Vec<(&'static str, Json)>,
}

impl Rule {
    pub(super) fn new(words: &'static Words) -> Self {
        Self { words, facts: Vec::new() }
    }

    pub(super) fn with(mut self, name: &'static str, fact: impl Into<Json>) -> Self {
        self.facts.push((name, fact.into()));
        self
    }

    pub fn code(&self) -> &'static str {
        self.words.code
    }

    pub fn text(&self, language: Language) -> String {
        let mut text = String::new();
        let mut rest = self.words.text(language);
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            text.push_str(before);
            text.push_str(&self.shown(name, language));
            rest = after;
        }
        text + rest
    }

    /// A fact as the sentence has it.
    fn shown(&self, name: &str, language: Language) -> String {
        let (name, from_one) = name.strip_suffix("+1").map_or((name, false), |name| (name, true));
        let fact = self.facts.iter().find(|(known, _)| *known == name).map(|(_, fact)| fact);
        match fact {
            Some(Json::Number(number)) if from_one => {
                number.as_u64().map_or_else(|| number.to_string(), |number| (number + 1).to_string())
            }
            Some(Json::Number(number)) => {
                let float = number.as_f64().filter(|_| number.is_f64());
                let text = float.map_or_else(|| number.to_string(), |float| float.to_string());
                language.number(&text)
            }
            Some(Json::Array(items)) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
            Some(fact) => plain(fact),
            None => String::new(),
        }
    }

    pub(super) fn to_json(&self, language: Language) -> Json {
        let facts: Map<String, Json> =
            self.facts.iter().map(|(name, fact)| ((*name).to_owned(), fact.clone())).collect();
        json!({"code": self.code(), "text": self.text(language), "facts": facts})
    }
}

fn plain(fact: &Json) -> String {
    fact.as_str().map_or_else(|| fact.to_string(), str::to_owned)
}

macro_rules! words {
    ($($name:ident = $code:literal, $en:literal, $ko:literal, $ru:literal;)*) => {
        $(pub(super) const $name: &Words = &Words::new($code, $en, $ko, $ru);)*

        #[cfg(test)]
        const ALL: &[&Words] = &[$($name),*];
    };
}

words! {
    COUNTED = "counted",
        "It is counted as the result says.",
        "결과에 나온 대로 집계됩니다.",
        "Учитывается так, как сказано в результате.";
    OUTSIDE = "outside_range",
        "It lies outside of the time that the query asks about.",
        "질문한 기간 밖에 있습니다.",
        "Не попадает во время, о котором спрашивает запрос.";
    // Funnels.
    SERVED_STEP = "served_step",
        "It is step {step+1} of the attempt that counts.",
        "집계되는 시도의 {step+1}단계입니다.",
        "Это шаг {step+1} засчитанной попытки.";
    EXCLUSION = "exclusion",
        "It matches exclusion {exclusion+1}, which voids every attempt that has reached step {after+1} and not yet step {before+1}.",
        "제외 조건 {exclusion+1}에 해당합니다. {after+1}단계에 이르고 아직 {before+1}단계에 이르지 않은 시도는 모두 무효가 됩니다.",
        "Подходит под исключение {exclusion+1}: оно отменяет каждую попытку, которая дошла до шага {after+1}, но ещё не до шага {before+1}.";
    NO_STEP = "no_step",
        "It matches no step.",
        "어느 단계에도 해당하지 않습니다.",
        "Не подходит ни под один шаг.";
    NOT_FIRST_TIME = "not_first_time",
        "It matches step {step+1}, but is not the first time of it.",
        "{step+1}단계에 해당하지만 처음이 아닙니다.",
        "Подходит под шаг {step+1}, но это не первый раз.";
    VOID_ATTEMPT = "void_attempt",
        "It matches step {step+1}, but every attempt that it could be part of is void.",
        "{step+1}단계에 해당하지만 속할 수 있는 시도가 모두 무효입니다.",
        "Подходит под шаг {step+1}, но все попытки, в которые могло бы войти, отменены.";
    NO_ATTEMPT = "no_attempt",
        "It matches step {step+1}, but no attempt has begun.",
        "{step+1}단계에 해당하지만 시작된 시도가 없습니다.",
        "Подходит под шаг {step+1}, но ни одна попытка не началась.";
    LESSER_ATTEMPT = "lesser_attempt",
        "It matches step {step+1}, but an attempt with it gets no deeper, or is void, than the later one that counts.",
        "{step+1}단계에 해당하지만 이것으로 시작한 시도는 집계되는 나중 시도보다 깊이 가지 못하거나 무효입니다.",
        "Подходит под шаг {step+1}, но попытка с ним отменена или заходит не дальше более поздней, засчитанной.";
    AFTER_WINDOW = "after_window",
        "It matches step {step+1}, but comes later than the window allows after the first step.",
        "{step+1}단계에 해당하지만 첫 단계 이후 허용된 시간이 지났습니다.",
        "Подходит под шаг {step+1}, но случилось позже, чем допускает окно после первого шага.";
    NOT_NEXT = "not_next",
        "It matches step {step+1}, which the attempt that counts had already, or could not have yet.",
        "{step+1}단계에 해당하지만 집계되는 시도가 이미 거쳤거나 아직 거칠 수 없는 단계입니다.",
        "Подходит под шаг {step+1}, который в засчитанной попытке уже был или ещё не мог быть.";
    CONVERTED = "converted",
        "It reached all {steps} steps in time.",
        "{steps}단계를 모두 제때 마쳤습니다.",
        "Все шаги ({steps}) пройдены вовремя.";
    VOIDED = "voided",
        "Each of its attempts is void, so it is counted at no step.",
        "모든 시도가 무효이므로 어느 단계에도 집계되지 않습니다.",
        "Все попытки отменены, поэтому ни на одном шаге не учитывается.";
    NOT_ENTERED = "not_entered",
        "It has no event that begins an attempt, so it is counted at no step.",
        "시도를 시작하는 이벤트가 없으므로 어느 단계에도 집계되지 않습니다.",
        "Нет события, с которого начинается попытка, поэтому ни на одном шаге не учитывается.";
    DROPPED = "dropped",
        "Its deepest attempt reached step {reached+1} and did not reach step {lacking+1} in time.",
        "가장 깊은 시도가 {reached+1}단계까지 갔고 {lacking+1}단계에는 제때 이르지 못했습니다.",
        "Самая глубокая попытка дошла до шага {reached+1} и не дошла вовремя до шага {lacking+1}.";
    // Retentions.
    IN_NO_ROW = "in_no_row",
        "It has no start event that puts it in a row.",
        "어느 줄에 들게 하는 시작 이벤트가 없습니다.",
        "Нет события начала, которое поместило бы в какую-либо строку.";
    IN_ROWS = "in_rows",
        "Its start events put it in {rows} of the rows.",
        "시작 이벤트로 든 줄 수: {rows}.",
        "События начала помещают в строки; их число: {rows}.";
    STARTS_ROW = "starts_row",
        "It is a start event in the period from {start} on, row {row+1}.",
        "{start}에 시작하는 기간({row+1}번째 줄)의 시작 이벤트입니다.",
        "Это событие начала в периоде с {start}, строка {row+1}.";
    RETURNS = "returns",
        "It is a return event in a later period of a row that the actor is in.",
        "이 행위자가 든 줄의 이후 기간에 있는 복귀 이벤트입니다.",
        "Это событие возврата в одном из следующих периодов строки, в которой есть этот участник.";
    NOT_FIRST_START = "not_first_start",
        "It is a start event, but not the actor's first of all history.",
        "시작 이벤트이지만 전체 기록에서 처음이 아닙니다.",
        "Это событие начала, но не первое за всю историю.";
    OUTSIDE_PERIODS = "outside_range",
        "It lies outside of the periods that the query asks about.",
        "질문한 기간들 밖에 있습니다.",
        "Не попадает в периоды, о которых спрашивает запрос.";
    RETURN_IN_NO_ROW = "in_no_row",
        "It is a return event of an actor who is in no row.",
        "어느 줄에도 들지 않은 행위자의 복귀 이벤트입니다.",
        "Это событие возврата участника, которого нет ни в одной строке.";
    TOO_FEW = "too_few",
        "There are fewer return events in its period than the query wants.",
        "이 기간의 복귀 이벤트가 질문이 요구하는 수보다 적습니다.",
        "В этом периоде событий возврата меньше, чем требует запрос.";
    NO_CELL = "no_cell",
        "No row that the actor is in has a cell for its period.",
        "이 행위자가 든 줄 가운데 이 기간의 칸이 있는 줄이 없습니다.",
        "Ни в одной строке с этим участником нет ячейки для этого периода.";
    // Lifecycles and stickiness.
    HISTORY = "history",
        "It lies outside of the periods asked about; it tells whether the actor was there before.",
        "질문한 기간 밖에 있으며, 이전에 활동했는지를 알려 줍니다.",
        "Не попадает в периоды запроса; показывает, был ли участник раньше.";
    NEW = "new",
        "The period from {start} on is the actor's first active one of all history.",
        "{start}에 시작하는 기간이 전체 기록에서 처음 활동한 기간입니다.",
        "Период с {start} — первый активный за всю историю.";
    RETURNING = "returning",
        "The actor is active in the period from {start} on and in the one before.",
        "{start}에 시작하는 기간과 그 이전 기간에 활동했습니다.",
        "Активность есть в периоде с {start} и в предыдущем.";
    RESURRECTING = "resurrecting",
        "The actor is active in the period from {start} on, was before, and not in the one right before it.",
        "{start}에 시작하는 기간에 활동했고, 바로 이전 기간에는 없었으며, 그보다 앞서 활동한 적이 있습니다.",
        "Активность есть в периоде с {start} и была раньше, но не в предыдущем периоде.";
    NEVER_DORMANT = "never_dormant",
        "In no period is it dormant: none without its events follows one with them.",
        "휴면인 기간이 없습니다. 활동한 기간 바로 다음에 활동이 없는 기간이 오지 않습니다.",
        "Неактивных периодов нет: ни один период без событий не идёт за периодом с событиями.";
    DORMANT = "dormant",
        "It is dormant in the periods from {starts} on: active in the one before and not there.",
        "다음 날짜에 시작하는 기간에 휴면입니다: {starts}. 그 이전 기간에는 활동했고 해당 기간에는 없습니다.",
        "Неактивные периоды начинаются: {starts}. В предыдущем активность была, в этом её нет.";
    ACTIVE = "active",
        "It makes the actor active in the period from {start} on.",
        "이 이벤트로 {start}에 시작하는 기간에 활동한 것으로 집계됩니다.",
        "Делает участника активным в периоде с {start}.";
    ACTIVE_IN = "active_in",
        "It is active in exactly {active} of {periods} periods.",
        "{periods}개 기간 가운데 정확히 {active}개 기간에 활동했습니다.",
        "Активных периодов ровно {active} из {periods}.";
    // Trends and what comes before.
    COUNTED_IN = "counted",
        "It counts in the period from {start} on.",
        "{start}에 시작하는 기간에 집계됩니다.",
        "Учитывается в периоде с {start}.";
    COUNTED_IN_ALL = "counted",
        "It counts.",
        "집계됩니다.",
        "Учитывается.";
    EVENTS = "events",
        "{counted} of its events count.",
        "집계되는 이벤트 수: {counted}.",
        "Учтено событий: {counted}.";
    COUNTED_BY_EARLIER = "counted",
        "It counts by the value of the latest `of` event that is strictly earlier.",
        "이보다 앞선 마지막 `of` 이벤트의 값으로 집계됩니다.",
        "Учитывается по значению последнего более раннего события `of`.";
    MAY_PRECEDE = "may_precede",
        "A later `before` event counts by it, unless another `of` event comes between.",
        "다른 `of` 이벤트가 사이에 없으면, 나중의 `before` 이벤트가 이 값으로 집계됩니다.",
        "По нему учитывается более позднее событие `before`, если между ними нет другого события `of`.";
    // Churn.
    COUNTED_IN_INTERVAL = "counted",
        "It is one of the events by which the usual interval is told.",
        "평소 간격을 계산하는 데 쓰인 이벤트입니다.",
        "Одно из событий, по которым определён обычный промежуток.";
    TOO_FEW_EVENTS = "too_few_events",
        "It has fewer than {least} events, so it is not looked at.",
        "이벤트가 {least}개보다 적어 살펴보지 않습니다.",
        "Событий меньше {least}, поэтому не рассматривается.";
    AT_RISK_BY_DEFAULT = "at_risk_by_default",
        "Its only event is more than {days} days ago.",
        "하나뿐인 이벤트가 {days}일보다 더 전에 있었습니다.",
        "Единственное событие было больше {days} дн. назад.";
    NOT_AT_RISK_BY_DEFAULT = "not_at_risk_by_default",
        "Its only event is no more than {days} days ago.",
        "하나뿐인 이벤트가 {days}일 이내에 있었습니다.",
        "Единственное событие было не больше {days} дн. назад.";
    AT_RISK_BY_INTERVAL = "at_risk_by_interval",
        "It has been away for more than {times} times its mean interval.",
        "평균 간격의 {times}배보다 오래 활동이 없습니다.",
        "Событий нет дольше, чем {times} средних промежутка.";
    NOT_AT_RISK_BY_INTERVAL = "not_at_risk_by_interval",
        "It has not been away for more than {times} times its mean interval.",
        "평균 간격의 {times}배보다 오래 활동이 없지는 않았습니다.",
        "Перерыв не дольше, чем {times} средних промежутка.";
    // Paths.
    NO_ITEM = "no_item",
        "It lacks the item, so it is passed over.",
        "항목이 없어 건너뜁니다.",
        "Без нужного свойства, поэтому пропускается.";
    BEGINS = "begins",
        "It is the first of its chain.",
        "경로의 첫 이벤트입니다.",
        "Первое в своей цепочке.";
    CUT = "cut",
        "More than the gap has passed since the one before, so it begins a chain.",
        "이전 이벤트 이후 세션 간격보다 오래 지나 새 경로를 시작합니다.",
        "С предыдущего прошло больше допустимого перерыва, поэтому начинает новую цепочку.";
    FOLLOWS = "follows",
        "It follows the one before, within the gap.",
        "세션 간격 안에서 이전 이벤트에 이어집니다.",
        "Следует за предыдущим, перерыв не превышен.";
    CHAINS = "chains",
        "Its events make {chains} chains, cut where the gap is exceeded.",
        "이벤트로 이루어진 경로 수: {chains}. 세션 간격을 넘는 곳에서 나뉩니다.",
        "Цепочек из событий: {chains}; они разрезаны там, где перерыв превышен.";
    // Sessions.
    EXIT = "exit",
        "It ends its session where that was last, unless an event follows or it converted.",
        "뒤따르는 이벤트나 전환이 없으면 마지막 단계에서 세션을 끝냅니다.",
        "Завершает сеанс там, где он был, если дальше нет событий и не было конверсии.";
    AT_STEP = "at_step",
        "It brings its session to {name}.",
        "세션을 다음 단계로 옮깁니다: {name}.",
        "Переводит сеанс на шаг «{name}».";
    SHOWS_NO_STEP = "no_step",
        "It shows none of the steps; its session stays where it was.",
        "어느 단계도 나타내지 않아 세션은 있던 곳에 머뭅니다.",
        "Не показывает ни одного шага; сеанс остаётся там, где был.";
    SESSIONS = "sessions",
        "Its events make {sessions} sessions: {converted} converted, {ended} ended, {active} are active.",
        "이벤트로 이루어진 세션 {sessions}개: 전환 {converted}, 종료 {ended}, 진행 중 {active}.",
        "Сеансов: {sessions}; с конверсией — {converted}, завершённых — {ended}, активных — {active}.";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let mut names: Vec<String> = text
            .split('{')
            .skip(1)
            .map(|rest| rest.split('}').next().unwrap_or_default().to_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn every_rule_says_the_same_facts_in_every_language() {
        for words in ALL {
            for language in Language::ALL {
                let text = words.text(language);
                assert_eq!(names(text), names(words.en), "{text}");
                assert!(text.ends_with('.'), "{text}");
            }
        }
    }

    #[test]
    fn facts_are_written_as_the_language_does_and_counted_from_one_where_people_do() {
        let rule = Rule::new(AT_RISK_BY_INTERVAL).with("times", 2.5);
        assert_eq!(rule.text(Language::Russian), "Событий нет дольше, чем 2,5 средних промежутка.");
        let rule = Rule::new(SERVED_STEP).with("step", 1);
        assert_eq!(rule.text(Language::English), "It is step 2 of the attempt that counts.");
        let json = rule.to_json(Language::Korean);
        assert_eq!(
            json,
            json!({"code": "served_step", "text": "집계되는 시도의 2단계입니다.", "facts": {"step": 1}})
        );
    }
}
