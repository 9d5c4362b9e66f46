//! The paths of all apps' packs in one server: which belongs to whom, and that none is there twice.

use std::collections::HashMap;
use std::sync::Arc;

use ebbtide_model::AppName;
use ebbtide_model::pack::{Capture, Clear, Live, Report, Route};

use crate::server::App;

/// Paths that are the server's own, with all below them.
const RESERVED: [&str; 10] = [
    "/v1",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/app",
    "/embed",
    "/embed.js",
    "/tracker.js",
];

/// One way to one report of one app.
pub(crate) struct ReportRoute {
    pub(crate) app: Arc<App>,
    pub(crate) report: Report,
    pub(crate) route: Route,
}

/// A path by which rows of one app come in.
pub(crate) struct CaptureRoute {
    pub(crate) app: Arc<App>,
    pub(crate) capture: Capture,
}

/// A path by which rows of one app are deleted.
pub(crate) struct ClearRoute {
    pub(crate) app: Arc<App>,
    pub(crate) clear: Clear,
}

/// A path at which a report of one app is listened to.
pub(crate) struct LiveRoute {
    pub(crate) live: Live,
    /// The report by this very route.
    pub(crate) report: Arc<ReportRoute>,
}

/// The paths of all packs.
#[derive(Default)]
pub(crate) struct Routes {
    pub(crate) reports: Vec<Arc<ReportRoute>>,
    pub(crate) captures: Vec<Arc<CaptureRoute>>,
    pub(crate) clears: Vec<Arc<ClearRoute>>,
    pub(crate) lives: Vec<Arc<LiveRoute>>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    #[error(
        "the apps {:?} and {:?} both declare the route {path}: serve them by two servers, or change one",
        first.as_str(),
        second.as_str()
    )]
    Twice { path: String, first: AppName, second: AppName },
    #[error(
        "the app {:?} declares the route {path}, which is the server's own: allowed is any not below {RESERVED:?}",
        app.as_str()
    )]
    Reserved { path: String, app: AppName },
    #[error(
        "the app {:?} declares the route {path}: allowed are segments of plain characters, or of one name in braces",
        app.as_str()
    )]
    Malformed { path: String, app: AppName },
}

impl Routes {
    /// The routes of all apps, each checked.
    pub(crate) fn of(apps: &[Arc<App>]) -> Result<Self, RouteError> {
        let mut routes = Self::default();
        let mut owners = Owners::default();
        for app in apps {
            for report in &app.pack.reports {
                for route in &report.routes {
                    owners.add(&route.path, app)?;
                    let (report, route) = (report.clone(), route.clone());
                    routes.reports.push(Arc::new(ReportRoute { app: app.clone(), report, route }));
                }
            }
            for capture in &app.pack.captures {
                owners.add(&capture.path, app)?;
                let capture = capture.clone();
                routes.captures.push(Arc::new(CaptureRoute { app: app.clone(), capture }));
            }
            for live in &app.pack.lives {
                owners.add(&live.route.path, app)?;
                let Some(report) = app.pack.reports.iter().find(|report| report.name == live.report) else {
                    continue;
                };
                let (report, route) = (report.clone(), live.route.clone());
                let report = Arc::new(ReportRoute { app: app.clone(), report, route });
                routes.lives.push(Arc::new(LiveRoute { live: live.clone(), report }));
            }
            for clear in &app.pack.clears {
                owners.add(&clear.path, app)?;
                let clear = clear.clone();
                routes.clears.push(Arc::new(ClearRoute { app: app.clone(), clear }));
            }
        }
        Ok(routes)
    }

    /// Whether no path of a pack or of the server's own begins with the segment, or may.
    pub(crate) fn is_free(&self, first: &str) -> bool {
        let reports = self.reports.iter().map(|way| &way.route.path);
        let captures = self.captures.iter().map(|way| &way.capture.path);
        let clears = self.clears.iter().map(|way| &way.clear.path);
        let lives = self.lives.iter().map(|way| &way.live.route.path);
        let declared = reports.chain(captures).chain(clears).chain(lives).map(String::as_str);
        let mut firsts = declared.chain(RESERVED).filter_map(|path| path.split('/').nth(1));
        !first.is_empty() && is_plain(first) && !firsts.any(|other| other == first || other.starts_with('{'))
    }
}

/// Whose each path is, by its pattern.
#[derive(Default)]
struct Owners(HashMap<String, AppName>);

impl Owners {
    fn add(&mut self, path: &str, app: &App) -> Result<(), RouteError> {
        let (path, name) = (path.to_owned(), app.name().clone());
        let Some(pattern) = pattern(&path) else {
            return Err(RouteError::Malformed { path, app: name });
        };
        if RESERVED.iter().any(|own| is_below(&pattern, own)) {
            return Err(RouteError::Reserved { path, app: name });
        }
        match self.0.insert(pattern, name.clone()) {
            Some(first) => Err(RouteError::Twice { path, first, second: name }),
            None => Ok(()),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_that_is_refused_is_told_with_the_apps_name() {
        let (path, app) = ("/v1/mine".to_owned(), AppName::new("learning"));
        for error in [
            RouteError::Reserved { path: path.clone(), app: app.clone() },
            RouteError::Malformed { path: path.clone(), app: app.clone() },
            RouteError::Twice { path, first: AppName::new("loyalty"), second: app },
        ] {
            let told = error.to_string();
            assert!(told.contains("\"learning\"") && !told.contains("AppName"), "{told}");
        }
    }
}
