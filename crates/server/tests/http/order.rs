//! 401, 403, 402, 422, 404: of all that is wrong with a request the first in this order is told, whatever
//! else is wrong.

use ebbtide_model::pack::Pack;
use ebbtide_server::Settings;
use serde_json::json;

use crate::support::*;

const PACK: &str = r#"
pack: club
tenant_table: clubs
access:
  default_plan: free
  upgrade: {analytics: This needs Pro.}
plans:
  free: {analytics: false}
  pro: {analytics: true}
tables:
  clubs: {kind: entity, key: id, tenant: id, columns: {id: int}}
  members: {kind: entity, key: id, tenant: club_id, columns: {id: int, club_id: int}}
reports:
  member:
    requires: analytics
    routes:
      - {path: "/club/members/{member}", roles: [owner]}
      - {path: "/clubs/{club}/members/{member}", roles: [owner], tenant: $club}
    params:
      member: {type: int, key_of: members, missing: Member not found}
      limit: {type: int, default: 5, min: 1, max: 9}
    response: {id: $member, limit: $limit}
"#;

/// What may be wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Token,
    Role,
    Plan,
    Parameter,
    Tenant,
    Member,
}

impl Wrong {
    /// In the order of the checks.
    const ALL: [Self; 6] = [Self::Token, Self::Role, Self::Plan, Self::Parameter, Self::Tenant, Self::Member];

    fn told(self) -> (u16, &'static str) {
        match self {
            Self::Token => (401, "token_expired"),
            Self::Role => (403, "role_forbidden"),
            Self::Plan => (402, "plan_required"),
            Self::Parameter => (422, "parameter_invalid"),
            Self::Tenant => (404, "tenant_unknown"),
            Self::Member => (404, "not_found"),
        }
    }
}

async fn served() -> Club {
    let pack = Pack::parse(PACK).unwrap_or_else(|faults| panic!("{faults:#?}"));
    let server = start(vec![pack.clone()], Settings::default()).unwrap();
    assert!(server.opened(memory_store(&[pack])).is_ok());
    let club = Club::of(server);
    for (table, rows) in [("clubs", json!([{"id": 1}])), ("members", json!([{"id": 11, "club_id": 1}]))] {
        let sent = club.post(&format!("/v1/tables/{table}/rows"), &admin(), &rows).await;
        assert_eq!(sent.json()["accepted"], 1, "{}", sent.text());
    }
    club
}

/// A request of which these things are wrong, and no others.
fn request_with(wrong: &[Wrong], by_path: bool) -> (String, String) {
    let is = |one: Wrong| wrong.contains(&one);
    let tenant = if is(Wrong::Tenant) { 999 } else { 1 };
    let mut claims = json!({
        "role": if is(Wrong::Role) { "viewer" } else { "owner" },
        "plan": if is(Wrong::Plan) { "free" } else { "pro" },
    });
    if !by_path {
        claims["tenant"] = json!(tenant);
    }
    if is(Wrong::Token) {
        claims["exp"] = json!(1);
    }
    let member = if is(Wrong::Member) { 99 } else { 11 };
    let query = if is(Wrong::Parameter) { "?limit=0" } else { "" };
    let path = if by_path {
        format!("/clubs/{tenant}/members/{member}{query}")
    } else {
        format!("/club/members/{member}{query}")
    };
    (path, token(claims))
}

#[tokio::test]
async fn of_all_that_is_wrong_the_first_in_order_is_told() {
    let club = served().await;
    for by_path in [false, true] {
        for bits in 0..1_u32 << Wrong::ALL.len() {
            let wrong: Vec<Wrong> =
                (0..).zip(Wrong::ALL).filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, one)| one).collect();
            let (path, token) = request_with(&wrong, by_path);
            let answer = club.get(&path, &token).await;
            match wrong.first() {
                Some(first) => {
                    assert_eq!(
                        answer.problem(),
                        {
                            let (status, code) = first.told();
                            (status, code.to_owned())
                        },
                        "{wrong:?} {path}"
                    );
                }
                None => assert_eq!(answer.json(), json!({"id": 11, "limit": 5}), "{path}"),
            }
        }
    }
}
