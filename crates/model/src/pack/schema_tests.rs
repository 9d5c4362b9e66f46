//! `docs/pack.schema.json` says what the reader takes: the packs of the project fit it, and at every
//! place it has the very fields that the reader knows.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value as Json;

use super::Pack;
use super::yaml::Document;

const PACKS: [(&str, &str); 3] = [
    ("storefront", include_str!("../../../../packs/storefront/pack.yaml")),
    ("loyalty", include_str!("../../../../packs/loyalty/pack.yaml")),
    ("cdnow", include_str!("../../../../examples/cdnow/pack.yaml")),
];

fn schema() -> Json {
    serde_json::from_str(include_str!("../../../../docs/pack.schema.json")).unwrap()
}

/// Just as much of JSON Schema as the schema uses; a keyword that is not here fails the test.
fn fits(root: &Json, rule: &Json, json: &Json) -> Result<(), String> {
    for (keyword, want) in rule.as_object().unwrap() {
        let holds = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" => true,
            "$ref" => {
                let target = root.pointer(want.as_str().unwrap().strip_prefix('#').unwrap()).unwrap();
                fits(root, target, json)?;
                true
            }
            "type" => match want {
                Json::Array(types) => types.iter().any(|name| is_of(json, name)),
                name => is_of(json, name),
            },
            "enum" => want.as_array().unwrap().contains(json),
            "not" => fits(root, want, json).is_err(),
            "pattern" => {
                json.as_str().is_none_or(|text| Regex::new(want.as_str().unwrap()).unwrap().is_match(text))
            }
            "minimum" => json.as_f64().is_none_or(|number| number >= want.as_f64().unwrap()),
            "maximum" => json.as_f64().is_none_or(|number| number <= want.as_f64().unwrap()),
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" => {
                size(json).is_none_or(|size| match keyword.starts_with("min") {
                    true => size >= want.as_u64().unwrap(),
                    false => size <= want.as_u64().unwrap(),
                })
            }
            "uniqueItems" => json.as_array().is_none_or(|items| {
                items.iter().enumerate().all(|(index, item)| !items[..index].contains(item))
            }),
            "required" => json.as_object().is_none_or(|map| {
                want.as_array().unwrap().iter().all(|name| map.contains_key(name.as_str().unwrap()))
            }),
            "properties" | "additionalProperties" => {
                fits_fields(root, rule, keyword, json)?;
                true
            }
            "propertyNames" => json
                .as_object()
                .into_iter()
                .flatten()
                .all(|(name, _)| fits(root, want, &Json::from(name.as_str())).is_ok()),
            "items" => {
                for item in json.as_array().into_iter().flatten() {
                    fits(root, want, item)?;
                }
                true
            }
            "oneOf" => {
                let of: Vec<Result<(), String>> =
                    want.as_array().unwrap().iter().map(|rule| fits(root, rule, json)).collect();
                let met = of.iter().filter(|fit| fit.is_ok()).count();
                if met != 1 {
                    return Err(format!("{json} meets {met} of oneOf: {of:?}"));
                }
                true
            }
            other => panic!("the test knows no keyword {other}"),
        };
        if !holds {
            return Err(format!("{json} against {keyword} {want}"));
        }
    }
    Ok(())
}

fn fits_fields(root: &Json, rule: &Json, keyword: &str, json: &Json) -> Result<(), String> {
    let declared = rule.get("properties");
    for (name, value) in json.as_object().into_iter().flatten() {
        let of_name = declared.and_then(|known| known.get(name));
        let wanted = match keyword {
            "properties" => of_name,
            _ => rule.get(keyword).filter(|_| of_name.is_none()),
        };
        match wanted {
            Some(Json::Bool(false)) => return Err(format!("{name} is no property")),
            Some(wanted) => fits(root, wanted, value).map_err(|problem| format!("{name}: {problem}"))?,
            None => {}
        }
    }
    Ok(())
}

fn size(json: &Json) -> Option<u64> {
    match json {
        Json::String(text) => Some(text.chars().count() as u64),
        Json::Array(items) => Some(items.len() as u64),
        Json::Object(map) => Some(map.len() as u64),
        _ => None,
    }
}

fn is_of(json: &Json, type_name: &Json) -> bool {
    match type_name.as_str().unwrap() {
        "object" => json.is_object(),
        "array" => json.is_array(),
        "string" => json.is_string(),
        "boolean" => json.is_boolean(),
        "null" => json.is_null(),
        "number" => json.is_number(),
        "integer" => json.is_i64(),
        other => panic!("the test knows no type {other}"),
    }
}

fn json_of(yaml: &str) -> Json {
    let (document, faults) = Document::read(yaml);
    assert_eq!(faults, []);
    document.json
}

#[test]
fn the_packs_of_the_project_fit_the_schema_and_the_reader() {
    for (name, yaml) in PACKS {
        assert_eq!(fits(&schema(), &schema(), &json_of(yaml)), Ok(()), "{name}");
        let pack =
            Pack::parse(yaml).unwrap_or_else(|faults| panic!("{}", super::render_faults(name, &faults)));
        assert_eq!(pack.schema.app.as_str(), name);
    }
}

/// The text in a block of `docs/packs.md` that begins as given.
fn block(begins: &str) -> &'static str {
    const DOC: &str = include_str!("../../../../docs/packs.md");
    let begin = DOC.find(begins).unwrap();
    DOC[begin..].split_once("```").unwrap().0
}

#[test]
fn the_pack_in_the_docs_is_sound_and_its_faults_are_told_as_shown() {
    let yaml = block("pack: kiosk");
    assert_eq!(fits(&schema(), &schema(), &json_of(yaml)), Ok(()));
    assert!(Pack::parse(yaml).is_ok());
    let faulty = yaml
        .replace("tenant: shop_id", "tenant: shopid")
        .replace("default: 10", "default: 0")
        .replace("LIMIT $limit", "LIMIT $limt");
    let told = super::render_faults("pack.yaml", &Pack::parse(&faulty).unwrap_err());
    assert_eq!(told, block("pack.yaml:11: "));
}

/// A pack with `zzz` as a field at every place where fields are known; each place is at a pointer into
/// the schema.
const UNKNOWN_EVERYWHERE: &str = "
pack: x
zzz: 1
access: {zzz: 1}
with: {w: {once: SELECT 1, zzz: 1}}
fragments: {f: {by: id, response: {}}, g: {zzz: 1}}
tables:
  a:
    zzz: 1
    kind: events
    tenant: {fixed: b, zzz: 1}
    time: at
    columns: {at: timestamp}
    aliases: {zzz: 1}
    actor_props: {zzz: 1}
    source: {file: a.csv, cast: {at: {pattern: '%Y%m%d', zzz: 1}}, zzz: 1}
  b: {kind: entity, key: id, tenant: id, columns: {id: int}}
reports:
  r:
    zzz: 1
    routes: [{path: /r, zzz: 1}, {path: /s, tenant: {default: a, zzz: 1}}]
    params: {p: {type: int, zzz: 1}}
    response:
      p: $p
      q: {query: {kind: trend}, zzz: 1}
      v: {value: SELECT 1, zzz: 1}
      e: {each: SELECT 1, with: f, zzz: 1}
      o: {one: SELECT 1, with: f, zzz: 1}
      w: {when: $p, then: 1, else: 2, zzz: 1}
      i:
        zzz: 1
        few: {of: {row: SELECT 1}, count: n, texts: {en: {zzz: 1}}, zzz: 1}
        rules:
          l: {kind: largest, part: a, severity: {zzz: 1}, zzz: 1}
          s: {kind: slow, value: a, against: b, zzz: 1}
          d: {kind: differs, group: g, part: a, whole: b, when: more, zzz: 1}
          c: {kind: changed, part: a, whole: b, before: {part: a, whole: b}, when: less, zzz: 1}
          e: {kind: changed, part: a, whole: b, before: {part: a, whole: b, zzz: 1}, when: less}
    warm: {every: 1m, zzz: 1}
capture: {c: {path: /c, table: b, fields: {id: {zzz: 1}}, zzz: 1}}
clear: {c: {path: /d, zzz: 1}}
live: {l: {path: /l, report: r, receive: {m: {table: b, row: {}, zzz: 1}}, zzz: 1}}
";
const PLACES: [(&str, &[&str]); 34] = [
    ("zzz", &["/properties"]),
    ("access.zzz", &["/properties/access/properties"]),
    (
        "with.w.zzz",
        &[
            "/$defs/with/additionalProperties/oneOf/1/properties",
            "/$defs/with/additionalProperties/oneOf/2/properties",
        ],
    ),
    ("fragments.g.zzz", &["/$defs/fragment/properties"]),
    ("reports.r.response.v.zzz", &["/$defs/tree/oneOf/2/properties"]),
    ("reports.r.response.e.zzz", &["/$defs/tree/oneOf/10/properties"]),
    ("reports.r.response.o.zzz", &["/$defs/tree/oneOf/11/properties"]),
    ("reports.r.response.w.zzz", &["/$defs/tree/oneOf/12/properties"]),
    ("reports.r.response.i.zzz", &["/$defs/insights/properties"]),
    ("reports.r.response.i.few.zzz", &["/$defs/insights/properties/few/properties"]),
    ("reports.r.response.i.few.texts.en.zzz", &["/$defs/wording/properties"]),
    ("reports.r.response.i.rules.l.zzz", &["/$defs/largest/properties"]),
    ("reports.r.response.i.rules.l.severity.zzz", &["/$defs/severity/properties"]),
    ("reports.r.response.i.rules.s.zzz", &["/$defs/slow/properties"]),
    ("reports.r.response.i.rules.d.zzz", &["/$defs/differs/properties"]),
    ("reports.r.response.i.rules.c.zzz", &["/$defs/changed/properties"]),
    ("reports.r.response.i.rules.e.before.zzz", &["/$defs/changed/properties/before/properties"]),
    ("tables.a.zzz", &["/$defs/table/properties"]),
    (
        "tables.a.tenant.zzz",
        &[
            "/$defs/table/properties/tenant/oneOf/1/properties",
            "/$defs/table/properties/tenant/oneOf/2/properties",
            "/$defs/table/properties/tenant/oneOf/3/properties",
        ],
    ),
    ("tables.a.aliases.zzz", &["/$defs/table/properties/aliases/properties"]),
    ("tables.a.actor_props.zzz", &["/$defs/table/properties/actor_props/properties"]),
    ("tables.a.source.zzz", &["/$defs/source/properties"]),
    (
        "tables.a.source.cast.at.zzz",
        &["/$defs/source/properties/cast/additionalProperties/oneOf/1/properties"],
    ),
    ("reports.r.zzz", &["/$defs/report/properties"]),
    ("reports.r.warm.zzz", &["/$defs/report/properties/warm/properties"]),
    ("reports.r.routes[0].zzz", &["/$defs/route/properties"]),
    ("reports.r.routes[1].tenant.zzz", &["/$defs/route/properties/tenant/oneOf/1/properties"]),
    ("reports.r.params.p.zzz", &["/$defs/param/properties"]),
    ("capture.c.zzz", &["/$defs/capture/properties"]),
    ("capture.c.fields.id.zzz", &["/$defs/capture/properties/fields/additionalProperties/properties"]),
    ("clear.c.zzz", &["/$defs/clear/properties"]),
    ("live.l.zzz", &["/$defs/live/properties"]),
    ("live.l.receive.m.zzz", &["/$defs/live/properties/receive/additionalProperties/properties"]),
    ("reports.r.response.q.zzz", &["/$defs/tree/oneOf/9/properties"]),
];

#[test]
fn the_schema_has_the_fields_that_the_reader_knows() {
    let faults = Pack::parse(UNKNOWN_EVERYWHERE).unwrap_err();
    let quoted = Regex::new("\"([a-z_]+)\"").unwrap();
    for (path, pointers) in PLACES {
        let fault = faults.iter().find(|fault| fault.path == path);
        let fault = fault.unwrap_or_else(|| panic!("no fault at {path}: {faults:#?}"));
        let known: BTreeSet<&str> =
            quoted.captures_iter(&fault.problem).map(|found| found.extract::<1>().1[0]).collect();
        let schema = schema();
        let in_schema: BTreeSet<&str> = pointers
            .iter()
            .flat_map(|pointer| schema.pointer(pointer).unwrap().as_object().unwrap().keys())
            .map(String::as_str)
            .collect();
        assert_eq!(known, in_schema, "{path}");
    }
}

#[test]
fn what_the_reader_refuses_by_its_form_the_schema_refuses_too() {
    let sound = "pack: x\ntables: {a: {kind: entity, key: id, tenant: id, columns: {id: int}}}\nreports: {r: {routes: [{path: /r}], response: {n: {value: SELECT 1}}}}\n";
    let check = |from: &str, to: &str| {
        let yaml = sound.replace(from, to);
        assert!(fits(&schema(), &schema(), &json_of(&yaml)).is_err(), "{yaml}");
        assert!(Pack::parse(&yaml).is_err(), "{yaml}");
    };
    assert_eq!(fits(&schema(), &schema(), &json_of(sound)), Ok(()));
    check("pack: x", "pack: X");
    check("kind: entity", "kind: thing");
    check("tenant: id", "tenant: {parent: a}");
    check("id: int}", "id: integer}");
    check("key: id", "key: []");
    check("path: /r", "path: r");
    check("value: SELECT 1", "value: 1");
    check("value: SELECT 1", "value: SELECT 1, x: 2");
    check("response: {n", "respons: {n");
}
