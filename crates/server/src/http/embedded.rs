//! Reports that are asked for with a token that is bound to one: what it lets through, and what it fixes.

use ebbtide_model::pack::{AS_OF, Report, Route, RouteTenant};

use super::access::Pairs;
use crate::problem::{Code, Problem, shortened};
use crate::report::Pair;
use crate::sign_in::{Caller, Embed};

/// How an answer is written and whether it is made anew are no matters of the bearer's: parameters, and the only
/// value that each may have.
const LEFT: [(&str, &str); 2] = [("format", "json"), ("refresh", "false")];

/// Refused where a request asks for more than its token's report as the token fixes it.
pub(super) fn check_request(
    caller: &Caller,
    report: &Report,
    route: &Route,
    path: &[Pair],
    query: &[Pair],
) -> Result<(), Problem> {
    let Some(embed) = caller.embed() else {
        return Ok(());
    };
    check_route(caller, embed, report, route)?;
    embed.check(path)?;
    embed.check(query)?;
    for (name, allowed) in LEFT {
        if let Some((_, given)) = query.iter().find(|(given, text)| given == name && text != allowed) {
            let detail = format!(
                "parameter {name}: {:?} was given; the token allows {allowed} alone.",
                shortened(given)
            );
            return Err(Problem::new(Code::Forbidden, detail));
        }
    }
    Ok(())
}

/// Refused where the path has not all parameters that the token fixes, or would let its bearer choose the tenant.
pub(super) fn check_route(
    caller: &Caller,
    embed: &Embed,
    report: &Report,
    route: &Route,
) -> Result<(), Problem> {
    let is_set = |name: &str| route.set.iter().any(|(set, _)| set == name);
    let is_there = |name: &str| {
        let of_report = report.params.iter().any(|param| param.name == name) && !is_set(name);
        of_report || name == AS_OF || route.params.iter().any(|param| param.name == name)
    };
    if let Some((name, _)) = embed.params.iter().find(|(name, _)| !is_there(name)) {
        let detail = format!("The token fixes {:?}, which is no parameter here.", shortened(name));
        return Err(Problem::new(Code::Forbidden, detail));
    }
    match &route.tenant {
        RouteTenant::Param(name)
            if caller.tenant().is_none() && !embed.params.iter().any(|(fixed, _)| fixed == name) =>
        {
            let detail = format!("The token fixes neither a tenant nor {name:?}, which names one here.");
            Err(Problem::new(Code::Forbidden, detail))
        }
        RouteTenant::Param(_)
        | RouteTenant::Token
        | RouteTenant::TokenOrAll
        | RouteTenant::TokenOr(_)
        | RouteTenant::AllForAdmin
        | RouteTenant::Access => Ok(()),
    }
}

/// What is given, with the values that the caller's token fixes.
pub(super) fn with_fixed(caller: &Caller, given: &[Pair]) -> Pairs {
    let fixed = caller.embed().map(|embed| embed.params.as_slice()).unwrap_or_default();
    given.iter().chain(fixed).cloned().collect()
}
