//! How long a report's answers are kept, and which are computed before anybody asks.

use std::collections::BTreeSet;
use std::time::Duration;

use super::faults::Faults;
use super::parse::unknown;
use super::{Caching, Param, Route, RouteTenant, Warm, WarmTenants};
use crate::{Fault, Node, TenantId, Value};

/// How long an answer is kept where the pack does not say.
const KEPT_DEFAULT: Duration = Duration::from_secs(300);
const DURATION_MAX: Duration = Duration::from_secs(366 * 86_400);
const DURATION_ALLOWED: &str =
    "a whole number and s, m, h or d, such as \"30s\", \"5m\", \"1h\" or \"1d\", up to a year";
const EVERY_MIN: Duration = Duration::from_secs(1);
const WARM_PARAMS_MAX: usize = 20;
const WARM_TENANTS_MAX: usize = 1_000;

impl Default for Caching {
    fn default() -> Self {
        Self::For(KEPT_DEFAULT)
    }
}

pub(super) fn cache(node: &Node<'_>) -> Result<Caching, Fault> {
    if node.json().as_str() == Some("none") {
        return Ok(Caching::Off);
    }
    let kept = node.json().as_str().and_then(duration);
    kept.map(Caching::For).ok_or_else(|| node.expected(format_args!("\"none\", or {DURATION_ALLOWED}")))
}

/// More than none.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = plain.then(|| number.parse().ok())??;
    let duration = Duration::from_secs(number.checked_mul(seconds)?);
    (Duration::ZERO < duration && duration <= DURATION_MAX).then_some(duration)
}

/// What a report is made of, as far as its schedule has to fit it.
pub(super) struct Warmed<'r> {
    pub(super) cache: Caching,
    pub(super) params: &'r [Param],
    pub(super) routes: &'r [Route],
    /// Names whose values the answer depends on.
    pub(super) names: &'r BTreeSet<String>,
    /// Whether a name has one value for all who ask.
    pub(super) is_constant: &'r dyn Fn(&str) -> bool,
}

pub(super) fn warm(node: &Node<'_>, report: &Warmed<'_>, faults: &mut Faults) -> Option<Warm> {
    let fields = faults.keep(node.clone().fields())?;
    let every = faults.keep(fields.required("every").and_then(|node| every(&node)));
    let tenants = faults.keep(fields.optional("tenants").map_or_else(
        || Ok(if report.reaches_one() { WarmTenants::Each } else { WarmTenants::All }),
        |node| report.tenants(&node),
    ));
    let sets = match fields.optional("params") {
        None => faults.keep(report.set(None, node)).map(|set| vec![set]),
        Some(node) => report.sets(&node, faults),
    };
    faults.unknown(fields);
    if report.cache == Caching::Off {
        faults.add(node.fault("keeps answers of a report whose `cache` is \"none\""));
    }
    Some(Warm { every: every?, tenants: tenants?, params: sets? })
}

fn every(node: &Node<'_>) -> Result<Duration, Fault> {
    let every = node.json().as_str().and_then(duration).filter(|every| *every >= EVERY_MIN);
    every.ok_or_else(|| node.expected(DURATION_ALLOWED))
}

impl Warmed<'_> {
    fn reaches_one(&self) -> bool {
        self.routes.iter().any(|route| route.tenant != RouteTenant::TokenOrAll)
    }

    fn reaches_all(&self) -> bool {
        let all = |tenant: &RouteTenant| matches!(tenant, RouteTenant::TokenOrAll | RouteTenant::AllForAdmin);
        self.routes.iter().any(|route| all(&route.tenant))
    }

    /// The parameter of a path that names the tenant.
    fn names_tenant(&self, name: &str) -> bool {
        self.routes.iter().any(|route| route.tenant == RouteTenant::Param(name.to_owned()))
    }

    fn tenants(&self, node: &Node<'_>) -> Result<WarmTenants, Fault> {
        let allowed = "\"each\", \"all\" (the answer over all tenants), or a list of tenants";
        match node.json().as_str() {
            Some("each") => return Ok(WarmTenants::Each),
            Some("all") if self.reaches_all() => return Ok(WarmTenants::All),
            Some("all") => return Err(node.fault("is \"all\", which no route of the report answers about")),
            Some(_) => return Err(node.expected(allowed)),
            None => {}
        }
        let items = node.items().map_err(|_| node.expected(allowed))?;
        if items.is_empty() || items.len() > WARM_TENANTS_MAX {
            let problem = format!("has {} tenants; allowed are 1 to {WARM_TENANTS_MAX}", items.len());
            return Err(node.fault(problem));
        }
        // A number is the tenant with its text, as in a token.
        let tenant = |item: &Node<'_>| match item.json().as_i64() {
            Some(number) => Ok(TenantId::new(&number.to_string())),
            None => item.text().map(TenantId::new),
        };
        items.iter().map(tenant).collect::<Result<_, _>>().map(WarmTenants::Named)
    }

    fn sets(&self, node: &Node<'_>, faults: &mut Faults) -> Option<Vec<Vec<(String, Value)>>> {
        let items = match node.items() {
            Ok(items) => items,
            Err(_) => vec![node.clone()],
        };
        if items.is_empty() || items.len() > WARM_PARAMS_MAX {
            let problem = format!("has {} sets; allowed are 1 to {WARM_PARAMS_MAX}", items.len());
            faults.add(node.fault(problem));
        }
        items.iter().map(|item| faults.keep(self.set(Some(item), item))).collect()
    }

    /// A value for every parameter of the report: the given one, else its default.
    fn set(&self, given: Option<&Node<'_>>, place: &Node<'_>) -> Result<Vec<(String, Value)>, Fault> {
        let entries = given.map_or(Ok(Vec::new()), Node::entries)?;
        for (name, node) in &entries {
            if !self.params.iter().any(|param| param.name == *name) || self.names_tenant(name) {
                let known = self.params.iter().map(|param| param.name.as_str());
                let problem = unknown("parameter of the report", name, known);
                return Err(node.fault(problem));
            }
        }
        let mut set = Vec::new();
        for param in self.params.iter().filter(|param| !self.names_tenant(&param.name)) {
            let given = entries.iter().find(|(name, _)| *name == param.name);
            let value = match given {
                Some((_, node)) => param.read_json(node)?,
                None => param.absent().map_err(|_| {
                    place.fault(format_args!("lacks the parameter {:?}, which has no default", param.name))
                })?,
            };
            set.push((param.name.clone(), value));
        }
        for name in self.names {
            let known = set.iter().any(|(known, _)| known == name) || self.names_tenant(name);
            if !known && !(self.is_constant)(name) {
                let problem = format_args!("has no value for ${name}, which differs from caller to caller");
                return Err(place.fault(problem));
            }
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::{Pack, Report};

    const PACK: &str = "pack: shop
constants: {rate: 3}
tables:
  shops: {kind: entity, key: id, tenant: id, columns: {id: int}}
reports:
  sold:
    routes:
      - {path: \"/shops/{shop_id}/sold\", tenant: $shop_id}
      - {path: /sold, tenant: token_or_all}
    params: {limit: {type: int, default: 5, max: 9}}
    response: {limit: $limit, rate: $rate, as_of: $as_of}
";

    fn read(more: &str) -> Result<Report, String> {
        let mut parsed = Pack::parse(&format!("{PACK}{more}"))
            .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
        Ok(parsed.reports.remove(0))
    }

    #[test]
    fn a_report_says_how_long_its_answers_are_kept() {
        let seconds = |seconds| Caching::For(Duration::from_secs(seconds));
        let check = |more: &str, want: Caching| assert_eq!(read(more).unwrap().cache, want, "{more}");
        check("", seconds(300));
        check("    cache: 30s\n", seconds(30));
        check("    cache: 5m\n", seconds(300));
        check("    cache: 1h\n", seconds(3_600));
        check("    cache: 1d\n", seconds(86_400));
        check("    cache: none\n", Caching::Off);
        for bad in ["5", "m", "\"\"", "5 m", "-5m", "1.5h", "0s", "5w", "367d", "99999999999999999999d", "5µ"]
        {
            let told = read(&format!("    cache: {bad}\n")).unwrap_err();
            assert!(told.contains("reports.sold.cache: ") && told.contains("allowed is"), "{bad}: {told}");
        }
    }

    #[test]
    fn an_answer_depends_on_the_names_that_its_leaves_use() {
        assert_eq!(read("").unwrap().names, ["as_of", "limit", "rate"]);
    }

    #[test]
    fn a_schedule_says_for_whom_and_with_which_parameters() {
        let check = |more: &str, tenants: WarmTenants, limits: &[i64]| {
            let warm = read(&format!("    warm: {more}\n")).unwrap().warm.unwrap();
            assert_eq!((warm.every, warm.tenants), (Duration::from_secs(60), tenants), "{more}");
            let want: Vec<_> =
                limits.iter().map(|limit| vec![("limit".to_owned(), Value::Int(*limit))]).collect();
            assert_eq!(warm.params, want, "{more}");
        };
        let named =
            |names: &[&str]| WarmTenants::Named(names.iter().map(|name| TenantId::new(name)).collect());
        check("{every: 1m}", WarmTenants::Each, &[5]);
        check("{every: 1m, tenants: all, params: {limit: 2}}", WarmTenants::All, &[2]);
        check("{every: 1m, tenants: [7, main], params: [{limit: 2}, {}]}", named(&["7", "main"]), &[2, 5]);
    }

    #[test]
    fn a_schedule_that_cannot_be_kept_is_a_fault() {
        let check = |more: &str, want: &str| {
            let told = read(more).unwrap_err();
            assert!(told.contains(want), "{more}: {told}");
        };
        check("    warm: {}\n", "warm.every: is missing");
        check("    warm: {every: 0s}\n", "warm.every: \"0s\" was given");
        check("    warm: {every: 1m, tenants: some}\n", "allowed is \"each\", \"all\"");
        check("    warm: {every: 1m, tenants: []}\n", "has 0 tenants; allowed are 1 to 1000");
        check("    warm: {every: 1m, params: {limit: 10}}\n", "params.limit: 10 was given; allowed is");
        check("    warm: {every: 1m, params: {shop_id: 1}}\n", "is no parameter of the report");
        check("    warm: {every: 1m, often: true}\n", "is no field here");
        check("    cache: none\n    warm: {every: 1m}\n", "`cache` is \"none\"");
    }
}
