//! Routes: where a report is answered, who may call, and whose rows it answers about.

use super::faults::Faults;
use super::parse::{name, unknown};
use super::reports::Context;
use super::{Param, Route, RouteTenant, SUBJECT, Setting, params, tables, words};
use crate::{Fault, Fields, Node};

const ROUTES_MAX: usize = 20;
const ROLES_MAX: usize = 50;
const PATH_CHARS_MAX: usize = 300;
/// First parts of paths that are the server's own.
const RESERVED_PATHS: [&str; 7] = ["v1", "healthz", "readyz", "metrics", "openapi.json", "docs", "app"];

/// A path that was declared: its pattern, and the name of what is there.
pub(super) type Declared = (String, String);

pub(super) fn read(
    node: &Node<'_>,
    report: &str,
    params: &[Param],
    context: &Context<'_>,
    declared: &mut Vec<Declared>,
    faults: &mut Faults,
) -> Vec<Route> {
    let items = faults.keep(node.items()).unwrap_or_default();
    if items.is_empty() || items.len() > ROUTES_MAX {
        faults.add(node.fault(format_args!("has {} routes; allowed are 1 to {ROUTES_MAX}", items.len())));
    }
    let mut routes = Vec::new();
    for item in items.into_iter().take(ROUTES_MAX) {
        routes.extend(route(item, report, params, context, declared, faults));
    }
    routes
}

fn route(
    node: Node<'_>,
    report: &str,
    params: &[Param],
    context: &Context<'_>,
    declared: &mut Vec<Declared>,
    faults: &mut Faults,
) -> Option<Route> {
    let fields = faults.keep(node.fields())?;
    let route = of_fields(&fields, report, params, context, declared, faults);
    faults.unknown(fields);
    route
}

/// The route that these fields say; `owner` is what is there.
pub(super) fn of_fields(
    fields: &Fields<'_>,
    owner: &str,
    params: &[Param],
    context: &Context<'_>,
    declared: &mut Vec<Declared>,
    faults: &mut Faults,
) -> Option<Route> {
    let path_node = faults.keep(fields.required("path"));
    let roles = faults.keep(roles_of(fields));
    let tenant = faults.keep(tenant(fields, context));
    let own_node = fields.optional("self");
    let set_node = fields.optional("set");
    let path_node = path_node?;
    let names = faults.keep(path_names(&path_node))?;
    let path = faults.keep(path_node.text())?;
    declare(&path_node, path, owner, declared, faults);
    let (roles, tenant) = (roles?, tenant?);
    if let RouteTenant::Param(name) = &tenant
        && !names.contains(&name.as_str())
    {
        faults.add(path_node.fault(format_args!(
            "lacks {{{name}}}, which names the tenant; a tenant is named by the path, never by the query"
        )));
    }
    let own = own_node.map(|node| faults.keep(own(&node, &names)));
    let set = set_node.map(|node| set(&node, params, &names, faults)).unwrap_or_default();
    let path_params = path_params(&path_node, names, params, &tenant, context, faults);
    let own = own.map_or(Some(None), |own| own.map(Some))?;
    Some(Route { path: path.to_owned(), params: path_params, roles, own, tenant, set })
}

/// Notes a path, which may be there once.
fn declare(node: &Node<'_>, path: &str, owner: &str, declared: &mut Vec<Declared>, faults: &mut Faults) {
    let pattern = pattern(path);
    if let Some((_, other)) = declared.iter().find(|(known, _)| *known == pattern) {
        faults.add(node.fault(format_args!("is a path of {other:?} already")));
    }
    declared.push((pattern, owner.to_owned()));
}

/// The `path` of what is no report: one without parameters.
pub(super) fn plain_path(
    fields: &Fields<'_>,
    owner: &str,
    declared: &mut Vec<Declared>,
    faults: &mut Faults,
) -> Option<String> {
    let node = faults.keep(fields.required("path"))?;
    let names = faults.keep(path_names(&node))?;
    let path = faults.keep(node.text())?;
    if !names.is_empty() {
        faults.add(node.fault("has parameters; a path that rows come in by has none"));
    }
    declare(&node, path, owner, declared, faults);
    Some(path.to_owned())
}

/// The `roles`; empty where there is no such field.
pub(super) fn roles_of(fields: &Fields<'_>) -> Result<Vec<String>, Fault> {
    fields.optional("roles").map_or(Ok(Vec::new()), |node| roles(&node))
}

fn path_params(
    path_node: &Node<'_>,
    names: Vec<&str>,
    params: &[Param],
    tenant: &RouteTenant,
    context: &Context<'_>,
    faults: &mut Faults,
) -> Vec<Param> {
    let mut path_params = Vec::new();
    for name in names {
        let known = params.iter().find(|param| param.name == name).cloned();
        let is_tenant = *tenant == RouteTenant::Param(name.to_owned());
        match known.or_else(|| is_tenant.then(|| Param::plain(name, context.tenant_type()))) {
            Some(param) => path_params.push(Param { default: None, ..param }),
            None => {
                let names = params.iter().map(|param| param.name.as_str());
                faults.add(path_node.fault(unknown("parameter of the report", name, names)));
            }
        }
    }
    path_params
}

/// The parameter of the path that is the caller's own `sub`.
fn own(node: &Node<'_>, names: &[&str]) -> Result<String, Fault> {
    let given = node.text()?;
    match words::in_text(given).filter(|name| names.contains(name)) {
        Some(name) => Ok(name.to_owned()),
        None => Err(node.expected("a parameter of the path, such as \"$user_id\"")),
    }
}

/// Parameters that the route gives itself: the caller's `sub`, or a value.
fn set(node: &Node<'_>, params: &[Param], in_path: &[&str], faults: &mut Faults) -> Vec<(String, Setting)> {
    let mut set = Vec::new();
    for (given, node) in faults.keep(node.entries()).unwrap_or_default() {
        let Some(param) = params.iter().find(|param| param.name == given) else {
            let names = params.iter().map(|param| param.name.as_str());
            faults.add(node.fault(unknown("parameter of the report", given, names)));
            continue;
        };
        if in_path.contains(&given) {
            faults.add(node.fault("is a parameter of the path"));
        }
        let setting = match node.json().as_str().and_then(words::in_text) {
            Some(SUBJECT) => Ok(Setting::Name(SUBJECT.to_owned())),
            Some(_) => Err(node.expected(format_args!("${SUBJECT} or a value"))),
            None => params::set_value(&node, param).map(Setting::Value),
        };
        set.extend(faults.keep(setting).map(|setting| (given.to_owned(), setting)));
    }
    set
}

pub(super) fn roles(node: &Node<'_>) -> Result<Vec<String>, Fault> {
    let items = node.items()?;
    if items.is_empty() || items.len() > ROLES_MAX {
        return Err(node.fault(format_args!(
            "has {} roles; allowed are 1 to {ROLES_MAX}, and without the field any role may call",
            items.len()
        )));
    }
    items.iter().map(|item| item.text().map(str::to_owned)).collect()
}

fn tenant(fields: &Fields<'_>, context: &Context<'_>) -> Result<RouteTenant, Fault> {
    const FORMS: &str = "\"token\", \"token_or_all\", \"all_for_admin\", \"access\", {default: TENANT} or a parameter of the path, such as \"$merchant_id\"";
    let Some(node) = fields.optional("tenant") else {
        return Ok(RouteTenant::Token);
    };
    if node.json().is_object() {
        let fields = node.clone().fields()?;
        let default = tables::tenant_id(&fields.required("default")?)?;
        fields.finish()?;
        return Ok(RouteTenant::TokenOr(default));
    }
    match node.text().map_err(|_| node.expected(FORMS))? {
        "token" => Ok(RouteTenant::Token),
        "token_or_all" => Ok(RouteTenant::TokenOrAll),
        "all_for_admin" => Ok(RouteTenant::AllForAdmin),
        "access" if context.finds_tenants => Ok(RouteTenant::Access),
        "access" => Err(node.fault("is what the pack's `access.tenant` finds, and there is none")),
        text => match words::in_text(text) {
            Some(name) => Ok(RouteTenant::Param(name.to_owned())),
            None => Err(node.expected(FORMS)),
        },
    }
}

/// The parameters of a path, in its order.
fn path_names<'a>(node: &Node<'a>) -> Result<Vec<&'a str>, Fault> {
    let path = node.text()?;
    let bad = |why: &str| {
        node.fault(format_args!(
            "{path:?} is no path ({why}); a path is such as \"/shops/{{shop_id}}/sales\""
        ))
    };
    let Some(inner) = path.strip_prefix('/') else {
        return Err(bad("it does not begin with /"));
    };
    if path.chars().count() > PATH_CHARS_MAX {
        return Err(bad("it is too long"));
    }
    let mut names = Vec::new();
    for (index, part) in inner.split('/').enumerate() {
        if let Some(given) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            name(node, given)?;
            if names.contains(&given) {
                return Err(bad("a parameter is in it twice"));
            }
            names.push(given);
            continue;
        }
        let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
        if part.is_empty() || !part.chars().all(sound) || part.chars().all(|c| c == '.') {
            return Err(bad("between slashes there are letters, digits, -, _, . and ~, or a {parameter}"));
        }
        if index == 0 && RESERVED_PATHS.contains(&part) {
            return Err(bad("the server has this path for itself"));
        }
    }
    Ok(names)
}

/// A path without the names of its parameters: two that are equal here are one route.
pub(super) fn pattern(path: &str) -> String {
    let part = |part: &str| if part.starts_with('{') { "{}".to_owned() } else { part.to_owned() };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

impl Route {
    /// The path without the names of its parameters: two routes with one pattern are one route.
    pub fn pattern(&self) -> String {
        pattern(&self.path)
    }
}
