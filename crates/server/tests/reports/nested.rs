//! Objects within objects: fragments asked once for all rows, what several statements read asked once,
//! behavioural rows read by SQL, and branches.

use ebbtide_model::pack::Pack;
use ebbtide_server::report::{Answer, Pair};
use serde_json::{Value as Json, json};

use super::data::{App, Request, wait};

const PACK: &str = r#"
pack: shop
tables:
  shops: {kind: entity, key: id, tenant: owner, columns: {id: int, owner: text, name: text}}
  sales:
    kind: events
    key: id
    tenant: owner
    actor: buyer
    time: at
    columns: {id: int, owner: text, shop: int, buyer: text, product: text?, euros: decimal, at: timestamp}
with:
  by_shop: SELECT shop, count(*) AS sold, sum(euros) AS euros FROM sales GROUP BY shop
  visitors: {query: {kind: churn, stream: sales, inactivity_multiplier: $multiplier, list: all, limit: 1000}}
constants: {multiplier: 1000}
fragments:
  shop:
    by: shop
    params: {top: {type: int}, label: {type: text, default: none}}
    response:
      "*": {row: "SELECT shop, sold, euros FROM shop JOIN by_shop USING (shop)"}
      last_day: {value: "SELECT shop, bucket_label('day', max(at)) AS day FROM sales JOIN shop USING (shop) GROUP BY shop", default: never}
      best:
        rows: |
          WITH ranked AS (
            SELECT shop, product, count(*) AS sold, row_number() OVER (PARTITION BY shop ORDER BY count(*) DESC, product) AS place
            FROM sales JOIN shop USING (shop) GROUP BY shop, product)
          SELECT shop, product, sold FROM ranked WHERE place <= $top ORDER BY place
      products: {map: "SELECT shop, coalesce(product, 'none') AS p, count(*) AS n FROM sales JOIN shop USING (shop) GROUP BY shop, p ORDER BY p"}
      buyers: {column: "SELECT DISTINCT shop, buyer FROM sales JOIN shop USING (shop) ORDER BY buyer"}
      label: $label
      nested: {of: $top, events: {value: "SELECT shop, sum(events) AS n FROM visitors JOIN sales ON buyer = actor JOIN shop USING (shop) GROUP BY shop"}}
reports:
  all:
    routes: [{path: /shops}]
    params: {top: {type: int, default: 1}}
    response:
      shops: {each: "SELECT id AS shop, name FROM shops ORDER BY name DESC", with: shop, set: {top: $top, label: of all}}
      top: $top
  one:
    routes: [{path: "/shops/{shop_id}"}]
    params: {shop_id: {type: int}}
    response: {one: "SELECT id AS shop, name FROM shops WHERE id = $shop_id", with: shop, set: {top: 2}}
  shared:
    routes: [{path: /shared}]
    with:
      big: {once: SELECT * FROM sales WHERE euros > 2}
      bigger: {once: SELECT * FROM big WHERE euros > 3}
      names: SELECT DISTINCT product FROM bigger
    response:
      big: {value: SELECT count(*) FROM big}
      bigger: {value: SELECT count(*) FROM bigger}
      names: {column: SELECT product FROM names ORDER BY product}
      both: {value: SELECT count(*) FROM big JOIN bigger USING (id)}
  visits:
    routes: [{path: /visits}]
    response:
      buyers: {rows: "SELECT actor, events, days_inactive, tenant FROM visitors ORDER BY actor"}
      events: {value: SELECT sum(events) FROM visitors}
  folds:
    routes: [{path: /folds}]
    with:
      cohorts: {query: {kind: retention, start: {table: sales}, return: {table: sales}, period: month, periods: 2}}
      monthly: {query: {kind: trend, stream: sales, measure: [total, unique], interval: month, from: "2026-01-01", to: "2026-03-01"}}
      before: {query: {kind: preceding, stream: sales, before: {}, of: {}, show: product}}
    response:
      cohorts: {rows: "SELECT label, size, period, count, complete FROM cohorts ORDER BY start, period"}
      monthly: {rows: 'SELECT start, label, total, "unique" AS actors, complete FROM monthly ORDER BY start'}
      before: {rows: "SELECT value, count FROM before ORDER BY count DESC, value"}
  branches:
    routes: [{path: /branches}]
    params: {shop_id: {type: int?}}
    response:
      when: $shop_id
      then: {row: "SELECT id, name FROM shops WHERE id = $shop_id"}
      else: {shops: {rows: "SELECT id, name FROM shops ORDER BY id"}}
"#;

fn app() -> App {
    let app = App::new(PACK);
    app.load_rows("shops", "id,owner,name", "1,ann,Amber 2,ann,Birch 3,ann,Cedar 9,bob,Secret");
    app.load_rows(
        "sales",
        "id,owner,shop,buyer,product,euros,at",
        "1,ann,1,x,tea,1.5,2026-01-01 2,ann,1,y,tea,2.5,2026-01-02 3,ann,1,x,cake,3.5,2026-01-03 4,ann,2,z,,4,2026-02-01
         5,bob,9,x,secret,9,2026-01-01 6,bob,1,s,secret,9,2026-01-01 7,ann,1,late,secret,9,2099-01-01",
    );
    app
}

fn ask(app: &App, path: &str, query: &[(&str, &str)]) -> Answer {
    let query: Vec<Pair> =
        query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    wait(app.ask(&Request { path, query: &query, tenant: Some("ann") })).unwrap()
}

fn amber(top: i64, label: &str, best: Json) -> Json {
    json!({
        "shop": 1, "name": "Amber", "sold": 3, "euros": 7.5, "last_day": "2026-01-03",
        "best": best, "products": {"cake": 1, "tea": 2}, "buyers": ["x", "y"], "label": label,
        "nested": {"of": top, "events": 5},
    })
}

#[test]
fn each_row_has_its_own_columns_and_then_the_fragments_fields_in_the_order_of_the_rows() {
    let answer = ask(&app(), "/shops", &[]);
    let cedar = json!({
        "shop": 3, "name": "Cedar", "last_day": "never", "best": [], "products": {}, "buyers": [],
        "label": "of all", "nested": {"of": 1, "events": null},
    });
    let birch = json!({
        "shop": 2, "name": "Birch", "sold": 1, "euros": 4, "last_day": "2026-02-01",
        "best": [{"product": null, "sold": 1}], "products": {"none": 1}, "buyers": ["z"],
        "label": "of all", "nested": {"of": 1, "events": 1},
    });
    let best = json!([{"product": "tea", "sold": 2}]);
    let want = json!({"shops": [cedar, birch, amber(1, "of all", best)], "top": 1});
    assert_eq!(
        answer.body.to_string(),
        want.to_string(),
        "to the byte: fields are in the declaration's order"
    );
    // A list in a row of a list is no list of the answer, and a list has its columns without a row too.
    let lists: Vec<&str> = answer.lists.iter().map(|list| list.path.as_str()).collect();
    assert_eq!(lists, ["shops"]);
    let columns =
        ["shop", "name", "sold", "euros", "last_day", "best", "products", "buyers", "label", "nested"];
    let got: Vec<&str> = answer.lists[0].columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(got, columns);
}

#[test]
fn a_fragment_serves_one_object_too_with_parameters_of_its_own() {
    let app = app();
    let one = ask(&app, "/shops/1", &[]);
    let best = json!([{"product": "tea", "sold": 2}, {"product": "cake", "sold": 1}]);
    assert_eq!(one.body, amber(2, "none", best));
    let lists: Vec<&str> = one.lists.iter().map(|list| list.path.as_str()).collect();
    assert_eq!(lists, ["best"]);
    assert_eq!(one.rows(&one.lists[0]).len(), 2);
    for unknown in ["/shops/9", "/shops/77"] {
        assert_eq!(ask(&app, unknown, &[]).body, Json::Null, "another's is as unknown as none");
    }
}

#[test]
fn a_fragment_is_asked_once_for_all_rows() {
    let app = app();
    let statements = |path: &str| {
        let before = app.statements_begun();
        ask(&app, path, &[]);
        app.statements_begun() - before
    };
    let (of_three, of_one, of_none) = (statements("/shops"), statements("/shops/1"), statements("/shops/77"));
    let more: Vec<String> = (100..300).map(|id| format!("{id},ann,Shop-{id}")).collect();
    app.load_rows("shops", "id,owner,name", &more.join(" "));
    assert_eq!(ask(&app, "/shops", &[]).body["shops"].as_array().unwrap().len(), 203);
    // The rows, and a statement for each of the fragment's leaves.
    assert_eq!([of_three, of_one, of_none, statements("/shops")], [7, 7, 7, 7]);
}

#[test]
fn what_is_asked_once_is_one_statement_whatever_reads_it() {
    let app = app();
    let before = app.statements_begun();
    let answer = ask(&app, "/shared", &[]);
    assert_eq!(answer.body, json!({"big": 3, "bigger": 2, "names": ["cake", null], "both": 2}));
    assert_eq!(app.statements_begun() - before, 6, "two that are kept, and four leaves");
}

#[test]
fn the_rows_of_a_behavioural_query_are_a_table() {
    let body = ask(&app(), "/visits", &[("as_of", "2026-02-11T00:00:00Z")]).body;
    let buyer = |actor: &str, events: i64, days: i64| json!({"actor": actor, "events": events, "days_inactive": days, "tenant": null});
    assert_eq!(
        body,
        json!({"buyers": [buyer("x", 2, 39), buyer("y", 1, 40), buyer("z", 1, 10)], "events": 4})
    );
}

#[test]
fn every_kind_of_query_has_rows_of_its_own() {
    let body = ask(&app(), "/folds", &[("as_of", "2026-02-11T00:00:00Z")]).body;
    let cell = |label: &str, size: i64, period: i64, count: Json, complete: bool| json!({"label": label, "size": size, "period": period, "count": count, "complete": complete});
    let cohorts = json!([
        cell("2026-01", 2, 0, json!(2), true),
        cell("2026-01", 2, 1, json!(0), false),
        cell("2026-02", 1, 0, json!(1), false),
    ]);
    assert_eq!(body["cohorts"], cohorts);
    let month = |start: &str, total: f64, actors: f64, complete: bool| json!({"start": format!("{start}-01T00:00:00Z"), "label": start, "total": total, "actors": actors, "complete": complete});
    assert_eq!(body["monthly"], json!([month("2026-01", 3.0, 2.0, true), month("2026-02", 1.0, 1.0, false)]));
    assert_eq!(body["before"], json!([{"value": null, "count": 3}, {"value": "tea", "count": 1}]));
}

#[test]
fn of_two_branches_the_one_is_asked_whose_time_it_is() {
    let app = app();
    let listed = ask(&app, "/branches", &[]);
    assert_eq!(listed.body["shops"].as_array().unwrap().len(), 3);
    assert_eq!(listed.lists.iter().map(|list| list.path.as_str()).collect::<Vec<_>>(), ["shops"]);
    let before = app.statements_begun();
    let named = ask(&app, "/branches", &[("shop_id", "2")]);
    assert_eq!(named.body, json!({"id": 2, "name": "Birch"}));
    assert_eq!((named.lists, app.statements_begun() - before), (Vec::new(), 1));
}

#[test]
fn a_report_depends_on_all_that_its_fragments_and_kept_rows_read() {
    let pack = Pack::parse(PACK).unwrap();
    let names = |report: usize| pack.reports[report].names.join(" ");
    assert_eq!(names(0), "multiplier top");
    assert_eq!(names(1), "multiplier shop_id");
    let app = App::new(PACK);
    let tables = |report: usize| {
        app.pack.reports[report].tables.iter().map(|table| table.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(tables(0), ["shops", "sales"]);
    assert_eq!(tables(2), ["sales"]);
    assert_eq!(tables(3), ["sales"]);
}
