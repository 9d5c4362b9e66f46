//! What a request gives a report: parameters from its path and query string, each of its type and
//! within its bounds, and the instant as of which is asked.

use std::sync::Arc;

use ebbtide_model::pack::{
    AS_OF, LANG, PLAN, Pack, ParamError, Plan, Report, Route, RouteTenant, SUBJECT, Setting,
};
use ebbtide_model::{ColumnType, Instant, Language, TenantId, Value};
use serde_json::Value as Json;

/// A name and its text, decoded.
pub type Pair = (String, String);

/// What leaves may name of their caller.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asker<'a> {
    /// Its `sub`.
    pub subject: Option<&'a str>,
    /// Its plan; there is none where the pack has no plans.
    pub plan: Option<&'a Plan>,
    /// What it says of languages, as `Accept-Language` does.
    pub languages: Option<&'a str>,
}

/// Checked values for every name that the report's leaves may use.
#[derive(Clone, Debug, PartialEq)]
pub struct Arguments {
    /// Parameters of the report and of the path, then what the leaves name of their caller, then the
    /// pack's constants.
    values: Vec<(String, Value)>,
    as_of: Instant,
    /// Whether the request says as of when, rather than that it is now.
    dated: bool,
}

impl Arguments {
    /// Parameters that the report does not know are passed over; of one that is given several times
    /// the last counts. A parameter of the path, or that the route sets, is never taken from the query
    /// string. Without an `as_of` it is `now`.
    pub fn read(
        pack: &Pack,
        report: &Report,
        route: &Route,
        asker: Asker<'_>,
        path: &[Pair],
        query: &[Pair],
        now: Instant,
    ) -> Result<Self, ParamError> {
        let mut values = Vec::new();
        for param in &route.params {
            let value = last(path, &param.name).map_or_else(|| param.absent(), |text| param.read(text))?;
            values.push((param.name.clone(), value));
        }
        for param in &report.params {
            if route.params.iter().any(|of_path| of_path.name == param.name) {
                continue;
            }
            if let Some((_, setting)) = route.set.iter().find(|(name, _)| *name == param.name) {
                values.push((param.name.clone(), asker.setting(setting, param.column_type)));
                continue;
            }
            let value = match last(query, &param.name) {
                Some(text) => param.read(text)?,
                None if param.name == LANG && report.response.has_insights() => asker.language(),
                None => param.absent()?,
            };
            values.push((param.name.clone(), value));
        }
        values.extend(report.caller_values.iter().map(|name| (name.clone(), asker.value(name))));
        values.extend(pack.constants.iter().cloned());
        let given = last(query, AS_OF).map(|text| read_as_of(pack, text)).transpose()?;
        Ok(Self { values, as_of: given.unwrap_or(now), dated: given.is_some() })
    }

    /// For an answer that nobody asks for yet: with a value for every parameter, but one of a path that
    /// names the tenant, which is this.
    pub fn prepared(
        pack: &Pack,
        report: &Report,
        params: &[(String, Value)],
        tenant: Option<&TenantId>,
        now: Instant,
    ) -> Result<Self, ParamError> {
        let mut values = params.to_vec();
        let tenants = report.routes.iter().filter_map(|route| {
            let RouteTenant::Param(name) = &route.tenant else { return None };
            route.params.iter().find(|param| param.name == *name)
        });
        for param in tenants {
            if let Some(tenant) = tenant.filter(|_| !values.iter().any(|(name, _)| *name == param.name)) {
                values.push((param.name.clone(), param.read(tenant.as_str())?));
            }
        }
        values.extend(pack.constants.iter().cloned());
        Ok(Self { values, as_of: now, dated: false })
    }

    /// The same of a later moment of asking.
    #[must_use]
    pub fn at(&self, now: Instant) -> Self {
        Self { as_of: now, ..self.clone() }
    }

    pub fn as_of(&self) -> Instant {
        self.as_of
    }

    /// The `as_of` that the request itself gives.
    pub fn given_as_of(&self) -> Option<Instant> {
        self.dated.then_some(self.as_of)
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// All but `as_of`.
    pub fn values(&self) -> &[(String, Value)] {
        &self.values
    }

    pub(super) fn json(&self, name: &str) -> Option<Json> {
        match name {
            AS_OF => Some(Json::from(self.as_of.to_string())),
            name => self.get(name).map(Value::to_json),
        }
    }
}

impl Asker<'_> {
    fn language(&self) -> Value {
        Value::Text(Language::accepted(self.languages.unwrap_or_default()).code().into())
    }

    fn value(&self, name: &str) -> Value {
        let text = |text: &str| Value::Text(Arc::from(text));
        match name {
            SUBJECT => self.subject.map_or(Value::Null, text),
            PLAN => self.plan.map_or(Value::Null, |plan| text(&plan.name)),
            name => self.plan.and_then(|plan| plan.get(name)).cloned().unwrap_or(Value::Null),
        }
    }

    /// What a route gives a parameter. A `sub` that is not the canonical text of such a value is
    /// nobody's: null.
    fn setting(&self, setting: &Setting, column_type: ColumnType) -> Value {
        match setting {
            Setting::Value(value) => value.clone(),
            Setting::Name(name) => {
                let Value::Text(text) = self.value(name) else { return Value::Null };
                let value = Value::from_text(&text, column_type).ok();
                value.filter(|value| value.canonical_text().as_deref() == Some(&*text)).unwrap_or(Value::Null)
            }
        }
    }
}

fn read_as_of(pack: &Pack, text: &str) -> Result<Instant, ParamError> {
    let instant = Instant::parse_as_of(text, pack.schema.calendar.zone());
    instant.map_err(|_| {
        ParamError::refused(AS_OF, text, format!("{}, which means its end", Instant::OR_DATE_ALLOWED))
    })
}

fn last<'p>(pairs: &'p [Pair], name: &str) -> Option<&'p str> {
    pairs.iter().rev().find(|(given, _)| given == name).map(|(_, text)| text.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACK: &str = "pack: shop
timezone: Asia/Seoul
constants: {rate: 3}
tables:
  shops: {kind: entity, key: id, tenant: id, columns: {id: int}}
reports:
  sold:
    routes:
      - {path: \"/shops/{shop_id}/sold\", tenant: $shop_id}
      - {path: /sold}
      - {path: /sold/mine, set: {buyer: $sub, limit: 3}}
    params: {limit: {type: int, default: 5, max: 9}, name: {type: text?}, buyer: {type: int?}}
    response: {limit: $limit, name: $name, rate: $rate, as_of: $as_of, buyer: $buyer, by: $sub}
";

    fn read_as(
        subject: Option<&str>,
        route: usize,
        path: &[(&str, &str)],
        query: &[(&str, &str)],
    ) -> Result<Arguments, ParamError> {
        let pack = Pack::parse(PACK).unwrap();
        let report = &pack.reports[0];
        let pairs = |given: &[(&str, &str)]| -> Vec<Pair> {
            given.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
        };
        let now = Instant::from_micros(1);
        let asker = Asker { subject, ..Asker::default() };
        Arguments::read(&pack, report, &report.routes[route], asker, &pairs(path), &pairs(query), now)
    }

    fn read(route: usize, path: &[(&str, &str)], query: &[(&str, &str)]) -> Result<Arguments, ParamError> {
        read_as(Some("7"), route, path, query)
    }

    #[test]
    fn a_route_sets_a_parameter_whatever_the_query_says_and_a_sub_of_another_form_is_nobodys() {
        let query = [("buyer", "8"), ("limit", "9")];
        let check = |subject: Option<&str>, want: Value| {
            let mine = read_as(subject, 2, &[], &query).unwrap();
            assert_eq!(mine.get("buyer"), Some(&want), "{subject:?}");
            assert_eq!(mine.get("limit"), Some(&Value::Int(3)));
            assert_eq!(mine.get("sub"), Some(&subject.map_or(Value::Null, |text| Value::Text(text.into()))));
        };
        check(Some("7"), Value::Int(7));
        for other in ["07", "+7", "7.0", "user-7", " 7", "99999999999999999999"] {
            check(Some(other), Value::Null);
        }
        check(None, Value::Null);
        assert_eq!(read(1, &[], &query).unwrap().get("buyer"), Some(&Value::Int(8)));
    }

    #[test]
    fn a_parameter_comes_from_where_the_route_has_it() {
        let named =
            read(0, &[("shop_id", "7")], &[("shop_id", "8"), ("limit", "1"), ("limit", "2")]).unwrap();
        assert_eq!(named.get("shop_id"), Some(&Value::Int(7)));
        assert_eq!(named.get("limit"), Some(&Value::Int(2)));
        assert_eq!(named.get("name"), Some(&Value::Null));
        assert_eq!(named.get("rate"), Some(&Value::Int(3)));
        assert_eq!(named.as_of(), Instant::from_micros(1));
        let own = read(1, &[], &[("shop_id", "x"), ("elsewhere", "x")]).unwrap();
        assert_eq!(own.get("shop_id"), None);
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_name_and_text() {
        let check = |path: &[(&str, &str)], query: &[(&str, &str)], want: &str| {
            assert_eq!(read(0, path, query).unwrap_err().to_string(), want);
        };
        check(&[("shop_id", "abc")], &[], "parameter shop_id: \"abc\" was given; allowed is a whole number");
        check(
            &[("shop_id", "1")],
            &[("limit", "10")],
            "parameter limit: \"10\" was given; allowed is a whole number up to 9",
        );
        for bad in ["yesterday", "2023-02-29", "1709164800", ""] {
            let told = read(0, &[("shop_id", "1")], &[("as_of", bad)]).unwrap_err().to_string();
            assert!(told.starts_with(&format!("parameter as_of: {bad:?} was given")), "{told}");
        }
    }

    #[test]
    fn a_date_is_the_end_of_that_day_where_the_app_is() {
        let arguments = read(1, &[], &[("as_of", "2024-02-29")]).unwrap();
        assert_eq!(arguments.as_of().to_string(), "2024-02-29T14:59:59.999999Z");
    }
}
