//! Tokens of every kind, and what each may see by what the pack declares.

use std::collections::BTreeSet;

use ebbtide_model::pack::{Route, RouteTenant};
use serde_json::json;

use crate::random::Random;
use crate::rows::{EVERYBODY, STRANGER, Shape, TENANTS};
use crate::world::{now, token, token_of};

/// Roles besides those that routes name.
const ROLES: [&str; 5] = ["admin", "writer", "analyst", "viewer", "owner"];

#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) token: String,
    pub(crate) tenant: Option<u32>,
    pub(crate) role: String,
    /// The tenant whose user it is.
    pub(crate) user_of: Option<u32>,
    /// Whether a server should take the token at all.
    pub(crate) good: Good,
    pub(crate) opens: Opens,
}

/// How much of the app a token opens at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opens {
    All,
    /// One report: nothing of the server's own paths.
    Report,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Good {
    Yes,
    No,
}

impl Caller {
    pub(crate) fn any(shape: &Shape, random: &mut Random) -> Self {
        match random.below(100) {
            0..70 => Self::of_tenant(shape, *random.pick(&TENANTS), random),
            70..82 => Self::admin(shape, random),
            82..88 => Self::without_tenant(shape, random),
            _ => Self::refused(shape, random),
        }
    }

    /// Of a tenant, by claim and by user alike.
    pub(crate) fn of_tenant(shape: &Shape, tenant: u32, random: &mut Random) -> Self {
        let role = role(shape, random);
        let plan = random.pick(&["free", "starter", "pro", "nonsense"]);
        let mut claims = json!({
            "aud": shape.app(), "tenant": shape.tenant(tenant), "role": role, "sub": shape.subject(tenant), "plan": plan,
        });
        let mut opens = Opens::All;
        if !shape.pack.reports.is_empty() && random.percent(15) {
            let report = &random.pick(&shape.pack.reports).name;
            claims["embed"] = json!({"report": report, "origin": "https://app.example.com"});
            opens = Opens::Report;
        }
        Self {
            token: token(claims),
            tenant: Some(tenant),
            role,
            user_of: Some(tenant),
            good: Good::Yes,
            opens,
        }
    }

    /// The platform's, who may see all; sometimes a user of a tenant besides.
    pub(crate) fn admin(shape: &Shape, random: &mut Random) -> Self {
        let user_of = random.percent(50).then(|| *random.pick(&TENANTS));
        let claims = json!({
            "aud": shape.app(), "role": "admin", "sub": user_of.map(|tenant| shape.subject(tenant)),
        });
        Self {
            token: token(claims),
            tenant: None,
            role: "admin".to_owned(),
            user_of,
            good: Good::Yes,
            opens: Opens::All,
        }
    }

    fn without_tenant(shape: &Shape, random: &mut Random) -> Self {
        let role = role(shape, random);
        let user_of = random.percent(50).then(|| *random.pick(&TENANTS));
        let subject = user_of.map_or_else(|| "nobody".to_owned(), |tenant| shape.subject(tenant));
        let claims = json!({"aud": shape.app(), "role": role, "sub": subject});
        Self { token: token(claims), tenant: None, role, user_of, good: Good::Yes, opens: Opens::All }
    }

    /// Expired, for another app, spoiled, signed by somebody else, of no tenant that there is, or none.
    fn refused(shape: &Shape, random: &mut Random) -> Self {
        let tenant = *random.pick(&TENANTS);
        let (aud, name) = (shape.app(), shape.tenant(tenant));
        let sub = shape.subject(tenant);
        let past = now().micros() / 1_000_000 - 7_200;
        let good = token(json!({"aud": aud, "tenant": name, "role": "admin", "sub": sub}));
        let parts: Vec<&str> = good.split('.').collect();
        let other = token(json!({"aud": aud, "role": "admin"}));
        let token = match random.below(9) {
            0 => String::new(),
            1 => token(json!({"aud": aud, "tenant": name, "role": "admin", "sub": sub, "exp": past})),
            2 => token(json!({"aud": "elsewhere", "tenant": name, "role": "admin", "sub": sub})),
            3 => token_of(b"somebody else's secret of forty bytes....", json!({"aud": aud, "role": "admin"})),
            4 => format!("{}.{}.{}", parts[0], other.split('.').nth(1).unwrap(), parts[2]),
            5 => format!("eyJhbGciOiJub25lIn0.{}.", parts[1]),
            6 => token(json!({"aud": aud, "tenant": [name], "role": "admin"})),
            7 => "not.a.token".to_owned(),
            _ => {
                let stranger =
                    json!({"aud": aud, "tenant": shape.tenant(STRANGER), "role": "admin", "sub": "stranger"});
                let (token, role) = (token(stranger), "admin".to_owned());
                return Self {
                    token,
                    tenant: Some(STRANGER),
                    role,
                    user_of: Some(STRANGER),
                    good: Good::Yes,
                    opens: Opens::All,
                };
            }
        };
        Self { token, tenant: None, role: String::new(), user_of: None, good: Good::No, opens: Opens::All }
    }

    /// Whose canaries an answer by this route may hold.
    pub(crate) fn sees_by(&self, route: &Route) -> BTreeSet<u32> {
        let by_role = route.roles.is_empty() || route.roles.contains(&self.role) || route.own.is_some();
        if self.good == Good::No || !by_role {
            return BTreeSet::new();
        }
        match &route.tenant {
            RouteTenant::Token | RouteTenant::TokenOr(_) => self.own(),
            RouteTenant::TokenOrAll => self.own_or_all(),
            RouteTenant::AllForAdmin if self.role == "admin" => EVERYBODY.into(),
            RouteTenant::AllForAdmin => self.own(),
            RouteTenant::Param(_) => self.tenant.map_or_else(|| EVERYBODY.into(), |own| [own].into()),
            RouteTenant::Access => self.user_of.into_iter().collect(),
        }
    }

    /// Whose canaries an answer of the server's own paths may hold.
    pub(crate) fn own_or_all(&self) -> BTreeSet<u32> {
        if self.opens == Opens::Report {
            return BTreeSet::new();
        }
        let all = self.good == Good::Yes && self.tenant.is_none() && self.role == "admin";
        if all { EVERYBODY.into() } else { self.own() }
    }

    fn own(&self) -> BTreeSet<u32> {
        self.tenant.into_iter().collect()
    }
}

fn role(shape: &Shape, random: &mut Random) -> String {
    let routes = shape.pack.reports.iter().flat_map(|report| &report.routes);
    let named: Vec<&str> = routes.flat_map(|route| &route.roles).map(String::as_str).collect();
    if named.is_empty() || random.percent(30) {
        (*random.pick(&ROLES)).to_owned()
    } else {
        (*random.pick(&named)).to_owned()
    }
}
