//! The engine beside the naive one: the same random questions over the same random rows.

use ebbtide_engine::Answer;
use ebbtide_model::Value;
use serde_json::Value as Json;

use super::oracle::{Question, same};
use super::random::Random;
use super::world::{Event, app, data_sets, snapshot, try_ask};

/// Two questions of every data set, each answered as the naive engine answers it. `also` looks at what
/// an answer carries besides its result.
pub(crate) fn hold_against(
    random_query: impl Fn(&mut Random) -> Json,
    naive: impl Fn(&Question<'_>, &[Event]) -> Json,
    also: impl Fn(&Answer),
) {
    let app = app();
    for seed in 0..data_sets() {
        let mut random = Random::new(seed);
        let events = random.events();
        let parts = random.pick(&[1, 2, 3]);
        let aliases = if random.one_in(2) { random.aliases() } else { Vec::new() };
        let traits = random.traits();
        let snapshot = snapshot(&app, &[&aliases[..], &traits, &events].concat(), parts);
        let events = with_traits(by_own_names(events, &aliases), &by_own_names(traits, &aliases));
        for _ in 0..2 {
            let (query, tenant, as_of) = (random_query(&mut random), random.tenant(), random.as_of());
            let answer =
                try_ask(&snapshot, tenant, &query, as_of).unwrap_or_else(|error| panic!("{query}: {error}"));
            let want = naive(&Question { query: &query, tenant, as_of }, &events);
            let got = answer.result();
            assert!(
                same(&got, &want),
                "seed {seed} as of {as_of} for {tenant:?}\n{query}\ngot  {got}\nwant {want}"
            );
            also(&answer);
        }
    }
}

/// The same events, each sale with the properties of its card: those that were said last.
fn with_traits(mut events: Vec<Event>, traits: &[Event]) -> Vec<Event> {
    for event in events.iter_mut().filter(|event| event.table == "sales") {
        for (name, place) in [("plan", "actor.plan"), ("level", "actor.level")] {
            let mut said = traits.iter().rev().filter(|row| {
                row.tenant == event.tenant
                    && row.value("card") == event.value("card")
                    && matches!(row.value("name"), Value::Text(own) if **own == *name)
            });
            if let Some(Value::Text(value)) = said.next().map(|row| row.value("value")) {
                event.values.insert(place, Value::of_canonical_json(value));
            }
        }
    }
    events
}

/// The same events, each sale of a card that is another's alias as the other's.
fn by_own_names(mut events: Vec<Event>, aliases: &[Event]) -> Vec<Event> {
    let actor = |tenant: &str, card: &Value| {
        let row = aliases.iter().find(|row| row.tenant == tenant && row.value("name") == card);
        row.map(|row| row.value("card").clone())
    };
    for event in events.iter_mut().filter(|event| matches!(event.table, "sales" | "traits")) {
        while let Some(actor) = actor(event.tenant, event.value("card")) {
            event.values.insert("card", actor);
        }
    }
    events
}
