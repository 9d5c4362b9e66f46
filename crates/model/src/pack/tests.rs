//! Packs as a whole: what a sound one becomes, and how each fault is told.

use super::*;
use crate::{Open, TableKind, TenantId, TenantRule};

const LOYALTY: &str = include_str!("../../../../packs/loyalty/pack.yaml");

/// A small sound pack; each case puts something else in the place of one of its lines.
const SMALL: &str = r#"pack: shop
tables:
  shops:
    kind: entity
    key: id
    tenant: id
    columns: {id: int, name: text?}
  sales:
    kind: events
    key: id
    tenant: shop_id
    actor: buyer
    time: at
    name: kind
    columns: {id: int, shop_id: int, buyer: text, kind: text, at: timestamp, euros: decimal?}
reports:
  sold:
    routes: [{path: "/shops/{shop_id}/sold", roles: [admin], tenant: $shop_id}]
    params: {limit: {type: int, default: 5, min: 1, max: 9}}
    response:
      limit: $limit
      top: {rows: "SELECT buyer FROM sales LIMIT $limit"}
"#;

fn parse(yaml: &str) -> Pack {
    Pack::parse(yaml).unwrap_or_else(|faults| panic!("{}", render_faults("pack.yaml", &faults)))
}

/// `SMALL` with one line replaced by others is told of exactly these faults, by the beginnings of
/// their lines.
#[track_caller]
fn check(line: &str, instead: &str, want: &[&str]) {
    assert!(SMALL.lines().any(|own| own.trim() == line), "no line {line:?}");
    let yaml: Vec<String> = SMALL
        .lines()
        .map(|own| if own.trim() == line { own.replace(line, instead) } else { own.to_owned() })
        .collect();
    let told = match Pack::parse(&yaml.join("\n")) {
        Ok(_) => String::new(),
        Err(faults) => render_faults("pack.yaml", &faults),
    };
    let lines: Vec<&str> = told.lines().collect();
    let fits = lines.len() == want.len() && lines.iter().zip(want).all(|(got, want)| got.contains(want));
    assert!(fits, "{instead}\ngot:\n{told}\nwant:\n{}", want.join("\n"));
}

#[test]
fn the_loyalty_pack_is_what_its_contract_says() {
    let pack = parse(LOYALTY);
    let names: Vec<&str> = pack.schema.tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["merchants", "stores", "cards", "transactions"]);
    assert_eq!(pack.tenant_table, Some(TableName::new("merchants")));
    let cards = pack.schema.table(&TableName::new("cards")).unwrap();
    assert_eq!(cards.time, cards.column_index("created_at"));
    assert!(cards.columns[cards.column_index("customer_name").unwrap()].nullable);
    let transactions = pack.schema.table(&TableName::new("transactions")).unwrap();
    assert_eq!(transactions.kind, TableKind::Events);
    assert_eq!(transactions.actor, transactions.column_index("card_id"));
    for report in &pack.reports {
        let [admin, store] = report.routes.as_slice() else { panic!("{} has other routes", report.name) };
        assert_eq!(admin.path, format!("/admin/loyalty/merchants/{{merchant_id}}/analytics/{}", report.name));
        assert_eq!((admin.params.len(), admin.params[0].column_type), (1, ColumnType::Int));
        assert_eq!(
            (admin.roles.as_slice(), &admin.tenant),
            (["admin".to_owned()].as_slice(), &RouteTenant::Param("merchant_id".to_owned()))
        );
        assert_eq!(store.path, format!("/store/loyalty/analytics/{}", report.name));
        assert_eq!((store.roles.len(), &store.tenant), (3, &RouteTenant::Token));
    }
    let lists: Vec<&[String]> = pack.reports.iter().map(|report| report.lists.as_slice()).collect();
    assert_eq!(
        lists,
        [&["cohorts".to_owned()][..], &["cards".to_owned()], &["monthly".to_owned(), "by_store".to_owned()]]
    );
    assert_eq!(pack.reports[0].tables, [TableName::new("cards"), TableName::new("transactions")]);
}

#[test]
fn parents_go_before_children_and_tenants_are_found_in_four_ways() {
    let pack = parse(
        "pack: chat
tables:
  messages: {kind: events, key: id, tenant: {parent: talks, by: talk}, columns: {id: text, talk: text, created_at: timestamp}}
  talks: {kind: entity, key: id, tenant: {parent: bots, by: bot}, columns: {id: text, bot: text}}
  bots: {kind: entity, key: id, tenant: company, columns: {id: text, company: text}}
  users: {kind: entity, key: [id], tenant: {column: tenant, default: main}, columns: {id: int, tenant: text?}}
  notes: {kind: events, tenant: {fixed: 7}, time: at, columns: {at: timestamp}}
",
    );
    let names: Vec<&str> = pack.schema.tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["bots", "users", "notes", "talks", "messages"]);
    let rules: Vec<&TenantRule> = pack.schema.tables.iter().map(|table| &table.tenant).collect();
    assert_eq!(rules[1], &TenantRule::Column { column: 1, default: Some(TenantId::new("main")) });
    assert_eq!(rules[2], &TenantRule::Fixed(TenantId::new("7")));
    assert_eq!(rules[4], &TenantRule::Parent { parent: TableName::new("talks"), by: 1 });
    let messages = &pack.schema.tables[4];
    assert_eq!(messages.time, messages.column_index("created_at"), "an undeclared time is created_at");
    assert!(pack.schema.tables[2].key.is_empty());
}

#[test]
fn every_fault_of_a_file_is_told_at_once_with_its_line() {
    let faults = Pack::parse(
        "pack: Shop
timezone: Mars/Olympus
tables:
  sales:
    kind: event
    tenant: shop
    colums: {id: int}
    columns: {id: integer, at: ts, Name: text}
reports:
  sold: {routes: [], response: $limt}
",
    );
    let told = render_faults("pack.yaml", &faults.unwrap_err());
    let want = [
        "pack.yaml:1: pack: \"Shop\" was given; allowed is a name",
        "pack.yaml:2: timezone: \"Mars/Olympus\" was given; allowed is an IANA time zone",
        "pack.yaml:5: tables.sales.kind: \"event\" was given; allowed is \"events\" or \"entity\" (did you mean \"events\"?)",
        "pack.yaml:6: tables.sales.tenant: \"shop\" is no column here; there is id, at, Name",
        "pack.yaml:7: tables.sales.colums: is no field here",
        "pack.yaml:8: tables.sales.columns.id: \"integer\" was given",
        "pack.yaml:8: tables.sales.columns.at: \"ts\" was given",
        "pack.yaml:8: tables.sales.columns.Name: \"Name\" is no name",
        "pack.yaml:10: reports.sold.routes: has 0 routes",
        "pack.yaml:10: reports.sold.response: $\"limt\" is no parameter or constant",
    ];
    for line in want {
        assert!(told.lines().any(|told| told.starts_with(line)), "{line}\nis not in\n{told}");
    }
    assert!(told.contains("(did you mean \"int\"?)"), "{told}");
    assert!(told.contains("(did you mean \"timestamp\"?)"), "{told}");
}

#[test]
fn a_table_names_columns_that_it_has_and_that_fit() {
    parse(SMALL);
    check(
        "actor: buyer",
        "actor: byer",
        &[
            "tables.sales.actor: \"byer\" is no column here; there is id, shop_id, buyer, kind, at, euros (did you mean \"buyer\"?)",
        ],
    );
    check("actor: buyer", "actor: euros", &["is of type decimal; allowed is int or text"]);
    check("time: at", "time: kind", &["is of type text; allowed is timestamp"]);
    check("time: at", "", &["tables.sales.time: is missing"]);
    check("name: kind", "name: at", &["allowed is text"]);
    check("tenant: shop_id", "tenant: at", &["allowed is int or text"]);
    check("tenant: shop_id", "tenant: euros", &["allowed is int or text"]);
    check(
        "tenant: shop_id",
        "tenant: {column: shop_id, by: id}",
        &["allowed is a column, {column, default}"],
    );
    check("tenant: shop_id", "tenant: {fixed: \"\"}", &["allowed is a tenant's name"]);
    check(
        "key: id",
        "key: [id, id]",
        &["shops.key[1]: is in the key already", "sales.key[1]: is in the key already"],
    );
}

#[test]
fn an_event_stream_with_a_tenant_of_its_own_may_be_open_and_lack_keys() {
    let pack = parse(
        "pack: kiosk
tables:
  events: {kind: events, open: props, key: id, tenant: shop, time: at, columns: {id: text?, shop: text, at: timestamp}}
",
    );
    let events = &pack.schema.tables[0];
    assert_eq!(events.open, Some(Open { field: "props".to_owned(), declared: 3, known: 3 }));
    assert!(events.properties().is_empty() && events.columns[0].nullable);
    let open = |rest: &str| {
        format!(
            "tables: {{a: {{open: props, {rest}}}, b: {{kind: entity, key: id, tenant: id, columns: {{id: int}}}}}}"
        )
    };
    let check = |rest: &str, want: &str| {
        let faults = Pack::parse(&format!("pack: kiosk\n{}\n", open(rest))).unwrap_err();
        assert!(render_faults("p", &faults).contains(want), "{rest}: {faults:?}");
    };
    check("kind: entity, key: id, tenant: id, columns: {id: int}", "tables.a.open: an entity is not open");
    check(
        "kind: entity, key: id, tenant: shop, columns: {id: int?, shop: int}",
        "tables.a.key: column \"id\" may be null, and a key may not",
    );
    check(
        "kind: events, key: id, tenant: {parent: b, by: up}, time: at, columns: {id: int?, up: int, at: timestamp}",
        "tables.a.key: column \"id\" may be null, and a key may not",
    );
    check(
        "kind: events, tenant: {parent: b, by: up}, time: at, columns: {up: int, at: timestamp}",
        "tables.a.open: an open table has a tenant of its own",
    );
    check(
        "kind: events, tenant: props, time: at, columns: {props: int, at: timestamp}",
        "tables.a.open: \"props\" is a column; the properties need a name of their own",
    );
}

#[test]
fn parents_must_exist_fit_and_not_go_round() {
    let parent = |rule: &str| format!("tenant: {{{rule}}}");
    check("tenant: shop_id", &parent("parent: shops, by: shop_id"), &[]);
    check(
        "tenant: shop_id",
        &parent("parent: shop, by: shop_id"),
        &[
            "tables.sales.tenant.parent: \"shop\" is no table; there is shops, sales (did you mean \"shops\"?)",
        ],
    );
    check(
        "tenant: shop_id",
        &parent("parent: shops, by: buyer"),
        &["column \"buyer\" is of type text, and the key of shops of type int"],
    );
    check(
        "tenant: shop_id",
        &parent("parent: sales, by: id"),
        &["sales is an event stream; a parent is an entity"],
    );
    let faults = Pack::parse(
        "pack: round
tables:
  a: {kind: entity, key: id, tenant: {parent: b, by: up}, columns: {id: int, up: int}}
  b: {kind: entity, key: id, tenant: {parent: c, by: up}, columns: {id: int, up: int}}
  c: {kind: entity, key: id, tenant: {parent: a, by: up}, columns: {id: int, up: int}}
  d: {kind: entity, key: id, tenant: {parent: a, by: up}, columns: {id: int, up: int}}
",
    );
    let told = render_faults("pack.yaml", &faults.unwrap_err());
    assert!(
        told.starts_with(
            "pack.yaml:3: tables.a.tenant.parent: the tenant is looked for in a circle: a → b → c → a"
        ),
        "{told}"
    );
    assert_eq!(told.lines().count(), 3, "{told}");
}

#[test]
fn routes_are_paths_of_their_own_with_known_parameters() {
    let route = "routes: [{path: \"/shops/{shop_id}/sold\", roles: [admin], tenant: $shop_id}]";
    let with = |routes: &str| format!("routes: [{routes}]");
    let check = |routes: &str, want: &[&str]| check(route, &with(routes), want);
    check("{path: /sold}", &[]);
    check("{path: /sold, tenant: token_or_all}", &[]);
    check("{path: sold}", &["it does not begin with /"]);
    check("{path: /sold/}", &["between slashes"]);
    check("{path: \"/so ld\"}", &["between slashes"]);
    check("{path: /v1/sold}", &["the server has this path for itself"]);
    check("{path: \"/{limit}/{limit}\"}", &["twice"]);
    check("{path: \"/{Limit}\"}", &["\"Limit\" is no name"]);
    check(
        "{path: \"/{limt}\"}",
        &["\"limt\" is no parameter of the report; there is limit (did you mean \"limit\"?)"],
    );
    check("{path: /sold, tenant: $shop_id}", &["lacks {shop_id}"]);
    check(
        "{path: /sold, tenant: shop_id}",
        &["allowed is \"token\", \"token_or_all\", \"all_for_admin\", \"access\""],
    );
    check("{path: /sold, tenant: all_for_admin}, {path: /mine, tenant: {default: main}}", &[]);
    check("{path: /sold, tenant: {default: \"\"}}", &["routes[0].tenant.default: \"\" was given"]);
    check("{path: /sold, tenant: access}", &["routes[0].tenant: is what the pack's `access.tenant` finds"]);
    check("{path: \"/{limit}\", self: $limit}", &[]);
    check(
        "{path: /sold, self: $limit}",
        &["routes[0].self: \"$limit\" was given; allowed is a parameter of the path"],
    );
    check("{path: /sold, set: {limit: 3}}, {path: /mine, set: {limit: $sub}}", &[]);
    check(
        "{path: /sold, set: {limit: 10}}",
        &["set.limit: 10 was given; allowed is a whole number from 1 to 9"],
    );
    check(
        "{path: /sold, set: {limit: $as_of}}",
        &["set.limit: \"$as_of\" was given; allowed is $sub or a value"],
    );
    check("{path: /sold, set: {limt: 1}}", &["\"limt\" is no parameter of the report"]);
    check("{path: \"/{limit}\", set: {limit: 1}}", &["is a parameter of the path"]);
    check("{path: /sold, roles: []}", &["has 0 roles"]);
    check("{path: /sold}, {path: /sold}", &["is a path of \"sold\" already"]);
    check(
        "{path: \"/a/{limit}\"}, {path: \"/a/{shop_id}\", tenant: $shop_id}",
        &["is a path of \"sold\" already"],
    );
}

#[test]
fn parameters_are_declared_used_and_within_their_bounds() {
    let line = "params: {limit: {type: int, default: 5, min: 1, max: 9}}";
    let check = |params: &str, want: &[&str]| super::tests::check(line, params, want);
    check(
        "params: {limit: {type: int, default: 10, min: 1, max: 9}}",
        &["params.limit.default: 10 was given; allowed is a whole number from 1 to 9"],
    );
    check("params: {limit: {type: int, default: x}}", &["is no int"]);
    check("params: {limit: {type: text, min: 1}}", &["is for numbers and times; the type is text"]);
    check("params: {limit: {type: int}, page: {type: int}}", &["params.page: is used nowhere"]);
    check(
        "params: {limit: {type: int}, as_of: {type: timestamp}}",
        &["\"as_of\" is a parameter of every report", "used nowhere"],
    );
    check("params: {limt: {type: int}}", &["(did you mean \"limt\"?)", "(did you mean \"limt\"?)"]);
}

#[test]
fn a_parameter_may_be_the_key_of_a_table() {
    let line = "params: {limit: {type: int, default: 5, min: 1, max: 9}}";
    let check = |param: &str, want: &[&str]| {
        let params = format!("params: {{limit: {{type: int, default: 5}}, shop: {{{param}}}}}");
        super::tests::check(line, &params, want);
    };
    check("type: int, key_of: shops, missing: No such shop", &[]);
    check("type: \"int?\", key_of: shops", &[]);
    check(
        "type: int, key_of: shop",
        &["params.shop.key_of: \"shop\" is no table; there is shops, sales (did you mean", "used nowhere"],
    );
    check(
        "type: text, key_of: shops",
        &["the key of shops is of type int, and the parameter of text", "used nowhere"],
    );
    check(
        "type: int, missing: No such shop",
        &["params.shop.missing: is told where `key_of`", "used nowhere"],
    );
    let pack = parse(&SMALL.replace(line, "params: {limit: {type: int}, shop: {type: int, key_of: shops}}"));
    let key_of = pack.reports[0].params[1].key_of.clone().unwrap();
    assert_eq!(&*key_of.statement, "SELECT 1 AS found FROM \"shops\" WHERE \"id\" = $shop LIMIT 1");
    assert!(pack.reports[0].tables.contains(&TableName::new("shops")));
}

#[test]
fn an_access_finds_tenants_and_plans_by_statements_and_says_what_plans_have() {
    let access = |access: &str| format!("pack: shop\n{access}");
    let check = |text: &str, want: &[&str]| super::tests::check("pack: shop", &access(text), want);
    let plans = "plans: {free: {csv: false, rows: 1}, pro: {csv: true, rows: 9}}";
    check("access: {tenant: SELECT id FROM shops WHERE name = $sub, unknown: No shop}", &[]);
    check(&format!("access: {{default_plan: free, upgrade: {{csv: Pay}}}}\n{plans}"), &[]);
    check(
        "access: {tenant: SELECT $limit}",
        &["access.tenant: $\"limit\" is no value that is known here; there is sub"],
    );
    check("access: {tenant: \"SELECT 'a\"}", &["access.tenant: a quote is never closed"]);
    check("access: {unknown: No shop}", &["access.unknown: is told where `tenant` finds none"]);
    check(
        "access: {default_plan: free}",
        &["access.default_plan: is about plans, and the pack has no `plans`"],
    );
    check(plans, &["access.default_plan: is missing"]);
    check(&format!("access: {{}}\n{plans}"), &["access.default_plan: is missing"]);
    check(
        &format!("access: {{default_plan: fre}}\n{plans}"),
        &["\"fre\" is no plan; there is free, pro (did you mean \"free\"?)"],
    );
    check(
        &format!("access: {{default_plan: pro, upgrade: {{rows: Pay}}}}\n{plans}"),
        &["access.upgrade.rows: \"rows\" is no feature of the plans; there is csv"],
    );
    let uneven = |pro: &str, want: &str| {
        check(
            &format!(
                "access: {{default_plan: pro}}\nplans: {{free: {{csv: false, rows: 1}}, pro: {{{pro}}}}}"
            ),
            &[want],
        );
    };
    uneven("csv: true", "plans.pro: lacks rows, which plan \"free\" has");
    uneven("csv: true, rows: 1, more: 1", "plans.pro: has more, which plan \"free\" lacks");
    uneven("csv: true, rows: many", "plans.pro: rows is of another type than in plan \"free\"");
    uneven("csv: true, rows: [1]", "plans.pro.rows: [1] was given");
}

#[test]
fn reports_say_in_which_currency_their_money_is() {
    let report = |line: &str| {
        let with = SMALL.replace("    response:", &format!("    {line}\n    response:"));
        with.replace("tables:", "constants: {own: RUB, few: 3}\ntables:")
            .replace("limit: $limit", "limit: [$limit, $few]")
    };
    let of = |line: &str| parse(&report(line)).reports[0].currency.clone();
    assert_eq!(of("currency: $own").as_deref(), Some("RUB"));
    let literal = parse(&report("currency: EUR").replace("own: RUB, ", ""));
    assert_eq!(literal.reports[0].currency.as_deref(), Some("EUR"));
    for wrong in ["eur", "$few", "$none", "euro"] {
        let faults = Pack::parse(&report(&format!("currency: {wrong}"))).unwrap_err();
        let told = render_faults("pack.yaml", &faults);
        assert!(told.contains("reports.sold.currency: ") && told.contains("ISO 4217"), "{told}");
    }
}

#[test]
fn reports_name_their_caller_and_require_features_that_plans_have() {
    let yaml = SMALL.replace(
        "pack: shop",
        "pack: shop\naccess: {default_plan: free}\nplans: {free: {csv: false, rows: 1}, pro: {csv: true, rows: 9}}",
    );
    let report = |line: &str| {
        yaml.replace("    response:", &format!("    {line}\n    response:\n      of: [$sub, $rows]"))
    };
    let pack = parse(&report("requires: csv"));
    assert_eq!(pack.reports[0].requires.as_deref(), Some("csv"));
    assert_eq!(pack.reports[0].caller_values, ["sub", "rows"]);
    let plans = pack.plans.unwrap();
    let names = [Some("pro"), Some("free"), Some("gold"), None].map(|name| plans.of(name).name.as_str());
    assert_eq!(names, ["pro", "free", "free", "free"], "an unknown plan counts as the default one");
    assert!(
        plans.of(Some("pro")).has("csv") && !plans.of(None).has("csv") && !plans.of(Some("pro")).has("rows")
    );
    assert_eq!(plans.upgrade("csv", plans.of(None)), "The plan \"free\" has no csv.");
    let told = |yaml: &str| render_faults("pack.yaml", &Pack::parse(yaml).unwrap_err());
    assert!(
        told(&report("requires: rows"))
            .contains("requires: \"rows\" is no feature of the plans; there is csv")
    );
    assert!(
        told(&SMALL.replace("    response:", "    requires: csv\n    response:")).contains("there is none")
    );
    let taken = yaml.replace("limit: {type", "rows: {type: int}, limit: {type");
    assert!(told(&taken).contains("params.rows: is a value of the pack's plans too"));
}

#[test]
fn leaves_name_what_there_is() {
    let line = "top: {rows: \"SELECT buyer FROM sales LIMIT $limit\"}";
    let check = |leaf: &str, want: &[&str]| super::tests::check(line, leaf, want);
    check("top: {rows: \"SELECT '$x' FROM sales WHERE at < $as_of\"}", &[]);
    check(
        "top: {rows: \"SELECT $x\"}",
        &["response.top.rows: $\"x\" is no parameter or constant; there is as_of, limit"],
    );
    check("top: {rows: \"SELECT 'x\"}", &["a quote is never closed"]);
    check("top: {rows: \"  \"}", &["allowed is SQL"]);
    check("top: {rows: [1]}", &["allowed is text"]);
    check("top: {rows: SELECT 1, more: 1}", &["has rows, more; a leaf stands alone"]);
    check("top: {object: {rows: {value: SELECT 1}}}", &[]);
    check("top: {literal: $x}", &[]);
    check("top: $x", &["`literal: \"$…\"`"]);
    check(
        "top: {query: {kind: retention}, as: {month: strt}}",
        &[
            "\"strt\" is no field of a retention's rows; there is start, size, counts, percent, counts.0, percent.0 (did you mean \"start\"?)",
        ],
    );
    check("top: {query: {kind: trend, measure: [total]}, as: {a: value}}", &["there is start, total"]);
    check("top: {query: {kind: funel}, as: {a: start}}", &["top.query.kind: \"funel\" was given"]);
    check("top: {query: {kind: trend, interval: mont}}", &["top.query.interval: \"mont\" was given"]);
    check("top: {query: {kind: trend, as_of: 2024-01-01}}", &["has an `as_of`"]);
    check("top: {query: {kind: churn, limit: $limit, entity: {event: x}}}", &[]);
    check("top: {query: {kind: retention}, decimals: 1}", &["top.as: is missing"]);
    check("top: {query: {kind: retention, periods: $x}}", &["query.periods: $\"x\" is no parameter"]);
}

#[test]
fn lists_are_those_of_the_response() {
    let lists = |yaml: &str| parse(yaml).reports[0].lists.clone();
    assert_eq!(lists(SMALL), ["top"]);
    assert_eq!(lists(&SMALL.replace("response:", "lists: [top]\n    response:")), ["top"]);
    let whole = SMALL.replace("      limit: $limit\n      top: {rows", "      {rows");
    assert_eq!(lists(&whole), ["."]);
    check(
        "response:",
        "lists: [tops]
    response:",
        &["\"tops\" is no list of objects in the response; there is top (did you mean \"top\"?)"],
    );
}

#[test]
fn a_with_is_written_before_the_statements_that_come_by_it() {
    let yaml = SMALL.replace(
        "    response:",
        "    with:\n      a: SELECT 1 AS x\n      b: SELECT x FROM a -- c\n      c: SELECT 2\n    response:\n      n: {value: WITH own AS (SELECT 3) SELECT * FROM own JOIN b}\n      m: {value: SELECT * FROM c}",
    );
    let pack = parse(&yaml);
    let Tree::Object(entries) = &pack.reports[0].response else { panic!("no object") };
    let statement = |name: &str| match entries.iter().find(|(own, _)| own == name) {
        Some((_, Tree::Sql { statement, .. })) => statement.statement.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        statement("n"),
        "WITH a AS (\nSELECT 1 AS x\n), b AS (\nSELECT x FROM a -- c\n), own AS (SELECT 3) SELECT * FROM own JOIN b"
    );
    assert_eq!(statement("m"), "WITH c AS (\nSELECT 2\n) SELECT * FROM c");
    assert_eq!(statement("top"), "SELECT buyer FROM sales LIMIT $limit");
    let unknown = yaml.replace("SELECT 1 AS x", "SELECT $y AS x");
    let told = render_faults("pack.yaml", &Pack::parse(&unknown).unwrap_err());
    assert!(told.contains("with.a: $\"y\" is no parameter") && told.lines().count() == 1, "{told}");
    let unused = yaml.replace("FROM c}", "FROM sales}");
    let told = render_faults("pack.yaml", &Pack::parse(&unused).unwrap_err());
    assert!(told.contains("with.c: is read by no statement"), "{told}");
}

/// `SMALL` with a fragment; each case replaces something in it.
fn nested() -> String {
    SMALL
        .replace("reports:", "with:\n  all: SELECT id FROM shops\nfragments:\n  shop:\n    by: id\n    params: {top: {type: int, default: 3, max: 5}, of: {type: text}}\n    response: {names: {rows: \"SELECT id, $of AS o FROM shop JOIN all USING (id) LIMIT $top\"}}\nreports:")
        .replace("      limit: $limit\n", "      limit: $limit\n      shops: {each: SELECT id FROM all, with: shop, set: {of: x}}\n")
}

#[track_caller]
fn check_nested(from: &str, to: &str, want: &[&str]) {
    assert!(nested().contains(from), "{from}");
    let told = match Pack::parse(&nested().replace(from, to)) {
        Ok(_) => String::new(),
        Err(faults) => render_faults("pack.yaml", &faults),
    };
    let lines: Vec<&str> = told.lines().collect();
    let fits = lines.len() == want.len() && lines.iter().zip(want).all(|(got, want)| got.contains(want));
    assert!(fits, "{to}\ngot:\n{told}\nwant:\n{}", want.join("\n"));
}

#[test]
fn fragments_are_read_for_the_rows_that_they_stand_in() {
    let pack = parse(&nested());
    let report = &pack.reports[0];
    let Tree::Object(entries) = &report.response else { panic!("no object") };
    let Some((_, Tree::Each(each))) = entries.iter().find(|(name, _)| name == "shops") else {
        panic!("no each")
    };
    assert_eq!((each.one, each.by.as_str(), each.rows), (false, "id", 0));
    let set = [("top", Setting::Value(Value::Int(3))), ("of", Setting::Value(Value::Text("x".into())))];
    assert_eq!(each.set, set.map(|(name, value)| (name.to_owned(), value)));
    let RelationRows::Sql(rows) = &report.relations[0].rows else { panic!("no statement") };
    assert_eq!(&*report.relations[0].name, "shop");
    assert_eq!(&*rows.statement, "WITH all AS (\nSELECT id FROM shops\n) SELECT id FROM all");
    let Tree::Object(fields) = &each.fields else { panic!("no object") };
    let (_, Tree::Sql { statement, .. }) = &fields[0] else { panic!("no statement") };
    assert_eq!(statement.reads, [0], "the rows are read as they are, not asked again");
    assert!(statement.statement.starts_with("WITH all AS ("), "{}", statement.statement);
    assert_eq!(report.lists, ["shops", "top"]);
    assert_eq!(report.names, ["limit"]);
}

#[test]
fn what_is_wrong_with_a_fragment_is_told_where_it_stands() {
    check_nested("set: {of: x}", "set: {of: $limit, top: 5}", &[]);
    check_nested(
        "with: shop",
        "with: shp",
        &["shops.with: \"shp\" is no fragment of the pack; there is shop (did you mean"],
    );
    check_nested(", with: shop, set: {of: x}", "", &["shops.with: is missing"]);
    check_nested(", set: {of: x}", "", &["shops.with: lacks \"of\" in its `set`, which the fragment takes"]);
    check_nested(
        "{of: x}",
        "{of: x, tp: 1}",
        &["set.tp: \"tp\" is no parameter of the fragment; there is top, of"],
    );
    check_nested("{of: x}", "{of: x, top: 6}", &["set.top: 6 was given; allowed is a whole number up to 5"]);
    check_nested("{of: x}", "{of: $limt}", &["set.of: $\"limt\" is no parameter or constant"]);
    check_nested(
        "LIMIT $top",
        "LIMIT $limit",
        &["fragments.shop.response.names.rows: $\"limit\" is no parameter or constant"],
    );
    check_nested(
        "by: id",
        "by: [id]",
        &[
            "fragments.shop.by: [\"id\"] was given; allowed is text",
            "is no fragment of the pack; there is none",
        ],
    );
    check_nested(
        "  shop:\n    by",
        "  shops:\n    by",
        &["fragments.shops: is a table of the pack", "is no fragment of the pack"],
    );
    check_nested("{names: {rows", "{names: {each", &["stands in a fragment"]);
    check_nested(
        "response: {names: {rows: \"SELECT id, $of AS o FROM shop JOIN all USING (id) LIMIT $top\"}}",
        "response: {names: {query: {kind: churn}}, of: [$of, $top]}",
        &["names.query: stands in a fragment"],
    );
    check_nested(
        "{each: SELECT id FROM all, with: shop, set: {of: x}}",
        "1",
        &["with.all: is read by no report", "fragments.shop: is used by no `each` or `one`"],
    );
}

#[test]
fn parts_of_a_with_may_be_asked_once_or_be_a_behavioural_query() {
    let with = |part: &str, leaf: &str| {
        SMALL.replace("    response:", &format!("    with:\n      a: SELECT 1 AS x\n      b: {part}\n    response:\n      n: {{value: \"{leaf}\"}}"))
    };
    let report = |part: &str, leaf: &str| parse(&with(part, leaf)).reports.remove(0);
    let once = report("{once: SELECT x FROM a}", "SELECT count(*) FROM b JOIN b AS c USING (x)");
    assert_eq!(once.relations.len(), 1);
    let RelationRows::Sql(rows) = &once.relations[0].rows else { panic!("no statement") };
    assert_eq!((&*rows.statement, rows.reads.len()), ("WITH a AS (\nSELECT 1 AS x\n) SELECT x FROM a", 0));
    let Tree::Object(entries) = &once.response else { panic!("no object") };
    let (_, Tree::Sql { statement, .. }) = &entries[0] else { panic!("no statement") };
    assert_eq!(&*statement.statement, "SELECT count(*) FROM b JOIN b AS c USING (x)");
    assert_eq!(statement.reads, [0]);
    let query =
        report("{query: {kind: churn, stream: sales, limit: $limit}}", "SELECT actor FROM b, a LIMIT $limit");
    assert!(matches!(&query.relations[0].rows, RelationRows::Query(_)));
    assert!(query.tables.contains(&TableName::new("sales")), "{:?}", query.tables);
    let told = |part: &str| render_faults("p", &Pack::parse(&with(part, "SELECT 1 FROM b, a")).unwrap_err());
    assert!(told("{twice: SELECT 1}").contains("with.b.twice: is no field here"));
    assert!(
        told("{once: SELECT 1, query: {kind: churn}}")
            .contains("allowed is SQL, {once: SQL} or {query: {…}}")
    );
    assert!(told("{query: {kind: chrn}}").contains("with.b.query.kind: \"chrn\" was given"));
    assert!(told("{query: {kind: churn, limit: $lmit}}").contains("$\"lmit\" is no parameter or constant"));
}

#[test]
fn branches_defaults_and_merged_rows_are_written_as_they_may_be() {
    let line = "top: {rows: \"SELECT buyer FROM sales LIMIT $limit\"}";
    let check = |leaf: &str, want: &[&str]| super::tests::check(line, leaf, want);
    check("top: {when: $limit, then: {a: {rows: SELECT 1}}, else: [1]}", &[]);
    check("top: {when: limit, then: 1, else: 2}", &["top.when: \"limit\" was given; allowed is a parameter"]);
    check("top: {when: $limt, then: 1, else: 2}", &["top.when: $\"limt\" is no parameter"]);
    check("top: {when: $limit, then: 1}", &["top.else: is missing"]);
    check("top: {value: SELECT 1, default: 0}", &[]);
    check("top: {row: SELECT 1, default: 0}", &["has row, default; a leaf stands alone"]);
    check("\"*\": {row: SELECT 1 AS a}", &[]);
    check(
        "\"*\": {rows: SELECT 1 AS a}",
        &["allowed is a `row`, or a `query` with `whole`, whose fields stand in the place of \"*\""],
    );
}

#[test]
fn sources_name_columns_of_their_table_and_patterns_that_read_back() {
    let source = |source: &str| format!("kind: events\n    source: {{{source}}}");
    let kind = "kind: events";
    let check = |fields: &str, want: &[&str]| super::tests::check(kind, &source(fields), want);
    check("file: \"sales*.csv\"", &[]);
    check(
        "file: sales.txt",
        &["source.format: is missing; allowed is one of csv, ndjson, parquet, whitespace"],
    );
    check("file: sales.txt, format: tsv", &["allowed is \"csv\""]);
    check("file: ../sales.csv", &["without a folder"]);
    check("file: s.csv, rename: {Buyer: byer}", &["\"byer\" is no column of sales"]);
    check("file: s.csv, rename: {A: at, B: at}", &["has another file column already"]);
    check("file: s.csv, cast: {att: epoch_s}", &["\"att\" is no column of sales"]);
    check("file: s.csv, cast: {at: epoch_s}", &[]);
    check("file: s.csv, cast: {at: {pattern: \"%d/%m/%Y %H:%M\", zone: Europe/London}}", &[]);
    check("file: s.csv, cast: {at: {pattern: \"%Y%m%d\", zone: Nowhere}}", &["allowed is an IANA time zone"]);
    check("file: s.csv, cast: {at: \"%Y-%m\"}", &["is no pattern for a time"]);
    check("file: s.csv, cast: {at: \"%Q!\"}", &["is no pattern for a time"]);
    check("file: s.csv, cast: {at: \"day\"}", &["is no pattern for a time"]);
    check("file: s.csv, cast: {kind: \"%Y%m%d\"}", &["the column is of type text"]);
    check("file: s.csv, header: false", &["leaves the columns without names"]);
    check("file: s.csv, header: false, columns: [id, buyer, kind, at]", &[]);
    check("file: s.csv, columns: [id, buyer, kind]", &["lacks column \"at\" of sales"]);
    check("file: s.csv, columns: [id, buyer, kind, when], rename: {when: at}", &[]);
    check("file: s.csv, columns: [id, buyer, kind, at, x]", &["\"x\" is no column of sales"]);
    check("file: s.csv, columns: [id, buyer, kind, at, x], ignore_unknown: true", &[]);
    check("file: s.parquet, header: true", &["this format names its columns itself"]);
}

#[test]
fn a_tenant_table_is_an_entity_whose_key_is_the_tenant() {
    check("pack: shop", "pack: shop\ntenant_table: shops", &[]);
    check("pack: shop", "pack: shop\ntenant_table: shop", &["\"shop\" is no table; there is shops, sales"]);
    check("pack: shop", "pack: shop\ntenant_table: sales", &["allowed is an entity whose tenant is its key"]);
}

#[test]
fn constants_are_values_that_some_statement_names() {
    check("pack: shop", "pack: shop\nconstants: {rate: 2}", &["constants.rate: is used nowhere"]);
    check("pack: shop", "pack: shop\nconstants: {limit: 2}", &["is a constant of the pack too"]);
    check("pack: shop", "pack: shop\nconstants: {rate: [2]}", &["allowed is a number, a text"]);
    let pack = parse(
        &SMALL
            .replace("pack: shop", "pack: shop\nconstants: {rate: 2.5}")
            .replace("SELECT buyer", "SELECT $rate"),
    );
    assert_eq!(pack.constants, [("rate".to_owned(), Value::Decimal(2_500_000_000))]);
}

#[test]
fn a_pack_cut_anywhere_is_read_or_told_of_with_lines_that_it_has() {
    let told = |yaml: &str| {
        if let Err(faults) = Pack::parse(yaml) {
            let lines = yaml.lines().count().max(1) + 1;
            assert!(
                !faults.is_empty() && faults.iter().all(|fault| (1..=lines).contains(&fault.line)),
                "{faults:?}"
            );
        }
    };
    // Every prefix, and every line left out: what an editor sees while a pack is being written.
    for end in LOYALTY.char_indices().map(|(index, _)| index).step_by(7) {
        told(&LOYALTY[..end]);
    }
    let lines: Vec<&str> = LOYALTY.lines().collect();
    for skipped in 0..lines.len() {
        let kept: Vec<&str> =
            lines.iter().enumerate().filter(|(index, _)| *index != skipped).map(|(_, line)| *line).collect();
        told(&kept.join("\n"));
    }
}

#[test]
fn paths_by_which_rows_come_in_and_go_are_checked_against_their_tables() {
    const SALES: &str =
        "capture: {c: {path: /c, table: sales, fields: {euros: {min: 0}}, answer: {id: $id}}}";
    let with = |more: &str| format!("{SMALL}{more}");
    let pack = parse(&with(SALES));
    assert_eq!(pack.captures[0].fields[0].allowed.min, Some(Value::Decimal(0)));
    let pack = parse(&with("clear: {c: {path: /c, roles: [admin], tables: [sales, shops], count: [sales]}}"));
    assert_eq!((pack.clears[0].tables.len(), pack.clears[0].count.len()), (2, 1));
    let check = |more: &str, want: &str| {
        let told = render_faults("pack.yaml", &Pack::parse(&with(more)).unwrap_err());
        assert!(told.contains(want), "{more}: {told}");
    };
    check("capture: {c: {path: /c, table: sale}}", "\"sale\" is no table; there is shops, sales");
    check("capture: {c: {path: \"/c/{id}\", table: sales}}", "has parameters");
    check("capture: {c: {path: \"/shops/{shop_id}/sold\", table: sales}}", "is a path of \"sold\" already");
    check("capture: {c: {path: /c, table: sales, fields: {euro: {}}}}", "\"euro\" is no column of sales");
    check("capture: {c: {path: /c, table: sales, fields: {kind: {min: 1}}}}", "is for numbers and times");
    check("capture: {c: {path: /c, table: sales, fields: {kind: {default: $now}}}}", "$now for a timestamp");
    check(
        "capture: {c: {path: /c, table: sales, fields: {id: {min: 1, default: 0}}}}",
        "a whole number from 1",
    );
    check("capture: {c: {path: /c, table: sales, answer: {id: $idd}}}", "\"idd\" is no column of sales");
    check("clear: {c: {path: /c, tables: [sales]}}", "clear.c.roles: is missing");
    check(
        "clear: {c: {path: /c, roles: [a], tables: [sales], count: [shops]}}",
        "table that is cleared here",
    );
}

#[test]
fn live_paths_tell_a_report_and_take_messages_that_become_rows() {
    const LIVE: &str = "live: {l: {path: /l, report: sold, add: {type: sold}, set: {limit: 3}, receive: {m: {table: sales, fields: {who: {type: text}}, find: {at: SELECT max(at) FROM sales WHERE buyer = $who}, row: {buyer: $who, at: $now, id: 1, kind: $at}}}}}";
    let pack = parse(&format!("{SMALL}{LIVE}"));
    let live = &pack.lives[0];
    assert_eq!((live.report.as_str(), live.route.path.as_str()), ("sold", "/l"));
    assert_eq!(live.receive[0].row[2], ("id".to_owned(), RowValue::Value(Json::from(1))));
    let check = |from: &str, to: &str, want: &str| {
        assert!(LIVE.contains(from), "{from}");
        let yaml = format!("{SMALL}{}", LIVE.replace(from, to));
        let told = render_faults("pack.yaml", &Pack::parse(&yaml).unwrap_err());
        assert!(told.contains(want), "{to}: {told}");
    };
    check("report: sold", "report: sole", "\"sole\" is no report; there is sold");
    check("path: /l", "path: \"/l/{x}\"", "\"x\" is no parameter of the report");
    check("set: {limit: 3}", "set: {limit: 30}", "a whole number from 1 to 9");
    check("add: {type: sold}", "add: 5", "an object of fields");
    check("table: sales", "table: sale", "\"sale\" is no table");
    check("buyer = $who", "buyer = $whom", "\"whom\" is no field of the message");
    check("find: {at:", "find: {who:", "is a field of the message too");
    check("buyer: $who", "buyer: $whom", "\"whom\" is no field or statement of the message");
    check("{buyer: $who", "{buyers: $who", "\"buyers\" is no column of sales");
}
