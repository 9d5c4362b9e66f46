//! The paths of all apps' reports in one server: which belongs to whom, and that none is there twice.

use std::collections::HashMap;
use std::sync::Arc;

use ebbtide_model::AppName;
use ebbtide_model::pack::{Report, Route};

use crate::server::App;

/// Paths that are the server's own, with all below them.
const RESERVED: [&str; 7] = ["/v1", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/app"];

/// One way to one report of one app.
pub(crate) struct ReportRoute {
    pub(crate) app: Arc<App>,
    pub(crate) report: Report,
    pub(crate) route: Route,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    #[error(
        "the apps {first:?} and {second:?} both declare the route {path}: serve them by two servers, or change one"
    )]
    Twice { path: String, first: AppName, second: AppName },
    #[error(
        "the app {app:?} declares the route {path}, which is the server's own: allowed is any not below {RESERVED:?}"
    )]
    Reserved { path: String, app: AppName },
    #[error(
        "the app {app:?} declares the route {path}: allowed are segments of plain characters, or of one name in braces"
    )]
    Malformed { path: String, app: AppName },
}

/// The report routes of all apps, each checked.
pub(crate) fn report_routes(apps: &[Arc<App>]) -> Result<Vec<Arc<ReportRoute>>, RouteError> {
    let mut routes = Vec::new();
    let mut owners: HashMap<String, AppName> = HashMap::new();
    for app in apps {
        let name = &app.pack.schema.app;
        for report in &app.pack.reports {
            for route in &report.routes {
                let pattern = pattern(&route.path)
                    .ok_or_else(|| RouteError::Malformed { path: route.path.clone(), app: name.clone() })?;
                if RESERVED.iter().any(|own| is_below(&pattern, own)) {
                    return Err(RouteError::Reserved { path: route.path.clone(), app: name.clone() });
                }
                if let Some(first) = owners.insert(pattern, name.clone()) {
                    return Err(RouteError::Twice { path: route.path.clone(), first, second: name.clone() });
                }
                let (report, route) = (report.clone(), route.clone());
                routes.push(Arc::new(ReportRoute { app: app.clone(), report, route }));
            }
        }
    }
    Ok(routes)
}

fn is_below(pattern: &str, own: &str) -> bool {
    pattern.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The path with its parameters' names left out: two paths that meet the same requests are equal. `None`
/// where a segment is neither plain nor one name in braces.
fn pattern(path: &str) -> Option<String> {
    let mut pattern = String::new();
    for segment in path.strip_prefix('/')?.split('/') {
        let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        pattern.push('/');
        match name {
            Some(name) if is_name(name) => pattern.push_str("{}"),
            None if is_plain(segment) => pattern.push_str(segment),
            Some(_) | None => return None,
        }
    }
    Some(pattern)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    !text.is_empty() && text.bytes().all(plain)
}
