//! What the demo shows of each pack: its data, who may ask, and what is worth asking.

use ebbtide_model::Instant;

use super::{Size, chatbot, itsm, learning, loyalty, product, storefront};

/// A pack of the demo.
pub(super) struct Tour {
    pub(super) app: &'static str,
    /// What its data is of.
    pub(super) about: &'static str,
    /// The tables as CSV, parents first, up to an instant.
    pub(super) tables: fn(Instant, Size) -> Vec<(&'static str, String)>,
    /// About how many of the rows are those of the first tenant.
    pub(super) rows: usize,
    pub(super) callers: &'static [Caller],
    pub(super) asks: &'static [Ask],
}

/// Somebody with a token.
pub(super) struct Caller {
    /// The shell's variable that holds the token.
    pub(super) variable: &'static str,
    pub(super) who: &'static str,
    pub(super) role: &'static str,
    pub(super) tenant: Option<&'static str>,
    pub(super) subject: &'static str,
}

/// A request that is answered with something worth looking at.
pub(super) struct Ask {
    /// Whose token it has.
    pub(super) variable: &'static str,
    pub(super) path: &'static str,
    /// What is posted, where it is a question of one's own.
    pub(super) body: Option<&'static str>,
}

const fn get(variable: &'static str, path: &'static str) -> Ask {
    Ask { variable, path, body: None }
}

pub(super) const TOURS: [Tour; 6] = [
    Tour {
        app: "loyalty",
        about: "a loyalty programme of three merchants, some 5,000 cards and 100,000 transactions",
        tables: loyalty::tables,
        rows: 62_000,
        callers: &[
            Caller {
                variable: "LOYALTY_ADMIN",
                who: "the platform's admin",
                role: "admin",
                tenant: None,
                subject: "demo",
            },
            Caller {
                variable: "MERCHANT",
                who: "merchant 1",
                role: "merchant",
                tenant: Some("1"),
                subject: "demo",
            },
        ],
        asks: &[
            get("MERCHANT", "/store/loyalty/analytics/cohorts?months_back=12"),
            get("MERCHANT", "/store/loyalty/analytics/churn?limit=10"),
            get("MERCHANT", "/store/loyalty/analytics/revenue?months_back=6"),
            get("LOYALTY_ADMIN", "/admin/loyalty/merchants/2/analytics/revenue?format=csv&table=monthly"),
            Ask {
                variable: "LOYALTY_ADMIN",
                path: "/v1/query",
                body: Some(r#"{"kind": "trend", "interval": "month", "measure": ["total", "unique"]}"#),
            },
        ],
    },
    Tour {
        app: "itsm",
        about: "a service desk of 14 institutions, their users, requests and logins",
        tables: itsm::tables,
        rows: 3_300,
        callers: &[
            Caller {
                variable: "DESK_ADMIN",
                who: "the platform's admin, who sees all institutions",
                role: "admin",
                tenant: None,
                subject: "demo",
            },
            Caller {
                variable: "DESK_MANAGER",
                who: "a manager of institution 5",
                role: "manager",
                tenant: Some("5"),
                subject: "demo",
            },
        ],
        asks: &[
            get("DESK_ADMIN", "/api/cohort/tenant-growth?cohort_months=9"),
            get("DESK_ADMIN", "/api/cohort/user-retention"),
            get("DESK_MANAGER", "/api/cohort/sr-resolution"),
            get("DESK_ADMIN", "/api/cohort/feature-adoption"),
        ],
    },
    Tour {
        app: "chatbot",
        about: "three companies with five chatbots and some 6,000 conversations",
        tables: chatbot::tables,
        rows: 28_000,
        callers: &[
            Caller {
                variable: "OWNER",
                who: "the owner of company 1, whose plan is pro",
                role: "owner",
                tenant: None,
                subject: "owner-1",
            },
            Caller {
                variable: "FREE_OWNER",
                who: "the owner of company 3, whose plan has no analytics: 402",
                role: "owner",
                tenant: None,
                subject: "owner-3",
            },
        ],
        asks: &[
            get("OWNER", "/analytics/overview"),
            get("OWNER", "/analytics/chatbot/bot-1"),
            get("OWNER", "/analytics/chatbot/bot-1/gaps"),
            get("FREE_OWNER", "/analytics/overview"),
        ],
    },
    Tour {
        app: "learning",
        about: "a site for mentoring and courses with 1,400 students",
        tables: learning::tables,
        rows: 13_400,
        callers: &[
            Caller {
                variable: "SITE_ADMIN",
                who: "the site's admin",
                role: "admin",
                tenant: None,
                subject: "1",
            },
            Caller {
                variable: "STUDENT",
                who: "student 160, who sees nobody else",
                role: "student",
                tenant: None,
                subject: "160",
            },
        ],
        asks: &[
            get("SITE_ADMIN", "/api/v1/analytics/platform"),
            get("SITE_ADMIN", "/api/v1/analytics/user-growth?days=30"),
            get("SITE_ADMIN", "/api/v1/analytics/sessions?days=90"),
            get("SITE_ADMIN", "/api/v1/analytics/courses"),
            get("SITE_ADMIN", "/api/v1/analytics/revenue?days=7"),
            get("STUDENT", "/api/v1/analytics/me/engagement"),
        ],
    },
    Tour {
        app: "storefront",
        about: "two shops, and at which of their screens people leave",
        tables: storefront::tables,
        rows: 13_000,
        callers: &[
            Caller {
                variable: "SHOP_ADMIN",
                who: "the admin of the shop north",
                role: "admin",
                tenant: Some("north"),
                subject: "demo",
            },
            Caller {
                variable: "SHOP_VIEWER",
                who: "who only looks at the shop south",
                role: "viewer",
                tenant: Some("south"),
                subject: "demo",
            },
        ],
        asks: &[
            get("SHOP_ADMIN", "/funnel/summary"),
            get("SHOP_ADMIN", "/sessions?limit=10"),
            get("SHOP_VIEWER", "/funnel/summary"),
            Ask {
                variable: "SHOP_ADMIN",
                path: "/events",
                body: Some(
                    r#"{"user_id": "you", "screen": "home", "next_screen": "product", "event_type": "navigate"}"#,
                ),
            },
        ],
    },
    Tour {
        app: "product",
        about: "two products whose visitors look around, sign up and buy, captured without a schema",
        tables: product::tables,
        rows: 20_000,
        callers: &[
            Caller {
                variable: "PRODUCT_ADMIN",
                who: "an admin of the tenant acme",
                role: "admin",
                tenant: Some("acme"),
                subject: "demo",
            },
            Caller {
                variable: "PRODUCT_WRITER",
                who: "what writes acme's events",
                role: "writer",
                tenant: Some("acme"),
                subject: "demo",
            },
        ],
        asks: &[
            Ask {
                variable: "PRODUCT_ADMIN",
                path: "/v1/query",
                body: Some(
                    r#"{"kind": "funnel", "window": "14d", "steps": [{"event": "view", "where": [{"prop": "url", "value": "/pricing"}]}, {"event": "signup"}, {"event": "purchase"}]}"#,
                ),
            },
            Ask {
                variable: "PRODUCT_ADMIN",
                path: "/v1/query",
                body: Some(
                    r#"{"kind": "trend", "interval": "week", "measure": "sum", "prop": "amount", "entity": {"event": "purchase"}, "breakdown": {"prop": "plan", "scope": "actor"}}"#,
                ),
            },
            Ask {
                variable: "PRODUCT_WRITER",
                path: "/v1/capture",
                body: Some(r#"{"event": "view", "actor": "you", "props": {"url": "/demo"}}"#),
            },
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_is_asked_by_somebody_of_its_pack() {
        let mut variables: Vec<&str> = Vec::new();
        for tour in &TOURS {
            for ask in tour.asks {
                assert!(tour.callers.iter().any(|caller| caller.variable == ask.variable), "{}", ask.path);
            }
            variables.extend(tour.callers.iter().map(|caller| caller.variable));
        }
        let all = variables.len();
        variables.sort_unstable();
        variables.dedup();
        assert_eq!(variables.len(), all, "no two tokens have one name");
    }
}
