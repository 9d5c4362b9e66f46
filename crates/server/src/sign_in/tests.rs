use axum::http::HeaderValue;
use serde_json::json;

use super::*;

const SECRET: &[u8] = b"a secret of forty bytes for these tests.";

fn now() -> Instant {
    Instant::parse("2026-11-20T12:00:00Z").unwrap()
}

fn rules(leeway_s: u8) -> TokenRules {
    TokenRules { leeway_s, issuers: Vec::new() }
}

fn now_s() -> i64 {
    now().micros() / Instant::MICROS_PER_SECOND
}

fn sign(claims: Json) -> String {
    let Json::Object(claims) = claims else { panic!("claims are an object") };
    SigningKey::hs256(SECRET).unwrap().sign(&claims).unwrap()
}

fn bearing(token: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).unwrap());
    headers
}

fn verified(token: &str) -> Result<Verified, Problem> {
    verify(&bearing(token), &Keys::hs256(SECRET).unwrap(), now(), &rules(30))
}

fn caller(claims: Json) -> Caller {
    verified(&sign(claims)).unwrap().into_caller_of(&AppName::new("shop")).unwrap()
}

#[test]
fn a_request_without_a_bearer_token_is_told_so() {
    let check = |authorization: Option<&str>| {
        let mut headers = HeaderMap::new();
        if let Some(text) = authorization {
            headers.insert(header::AUTHORIZATION, HeaderValue::from_str(text).unwrap());
        }
        let problem = verify(&headers, &Keys::hs256(SECRET).unwrap(), now(), &rules(0)).unwrap_err();
        assert_eq!(problem.code(), Code::TokenMissing, "{authorization:?}");
    };
    check(None);
    check(Some(""));
    check(Some("Bearer"));
    check(Some("Bearer  "));
    check(Some("Basic dXNlcjpwYXNz"));
}

#[test]
fn what_the_secret_did_not_sign_is_refused() {
    let good = sign(json!({"aud": "shop", "exp": now_s() + 60}));
    let parts: Vec<&str> = good.split('.').collect();
    let other_secret = {
        let key = SigningKey::hs256(b"another secret of forty bytes, or nearly.").unwrap();
        key.sign(json!({"aud": "shop", "exp": now_s() + 60}).as_object().unwrap()).unwrap()
    };
    let other_claims = sign(json!({"aud": "shop", "exp": now_s() + 61, "role": "admin"}));
    let swapped = format!("{}.{}.{}", parts[0], other_claims.split('.').nth(1).unwrap(), parts[2]);
    // The headers {"alg":"none"}, {"alg":"HS512","typ":"JWT"} and {"alg":"RS256"}.
    let none = format!("eyJhbGciOiJub25lIn0.{}.", parts[1]);
    let none_signed = format!("eyJhbGciOiJub25lIn0.{}.{}", parts[1], parts[2]);
    let hs512 = format!("eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.{}.{}", parts[1], parts[2]);
    let rs256 = format!("eyJhbGciOiJSUzI1NiJ9.{}.{}", parts[1], parts[2]);
    let unsigned = format!("{}.{}.", parts[0], parts[1]);
    let long = format!("{good}{}", "a".repeat(9_000));
    for bad in [
        "not.a.token",
        "x",
        "..",
        &other_secret,
        &swapped,
        &none,
        &none_signed,
        &hs512,
        &rs256,
        &unsigned,
        &long,
    ] {
        assert_eq!(verified(bad).unwrap_err().code(), Code::TokenInvalid, "{bad}");
    }
    assert!(verified(&good).is_ok());
}

#[test]
fn two_authorization_headers_are_refused_whatever_they_hold() {
    let good = sign(json!({"aud": "shop", "exp": now_s() + 60}));
    let mut headers = bearing(&good);
    headers.append(header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {good}")).unwrap());
    let problem = verify(&headers, &Keys::hs256(SECRET).unwrap(), now(), &rules(0)).unwrap_err();
    assert_eq!(problem.code(), Code::TokenInvalid);
}

#[test]
fn claims_are_checked_one_by_one() {
    let check = |change: Json, want: Option<Code>| {
        let mut claims = json!({"aud": "shop", "exp": now_s() + 60, "sub": "u1", "role": "admin"});
        for (name, value) in change.as_object().unwrap() {
            claims[name.as_str()] = value.clone();
        }
        let got = verified(&sign(claims)).and_then(|token| token.into_caller_of(&AppName::new("shop")));
        assert_eq!(got.err().map(|problem| problem.code()), want, "{change}");
    };
    check(json!({}), None);
    check(json!({"exp": null}), Some(Code::TokenClaims));
    check(json!({"exp": "soon"}), Some(Code::TokenClaims));
    check(json!({"exp": now_s() - 29}), None);
    check(json!({"exp": now_s() - 30}), Some(Code::TokenExpired));
    check(json!({"exp": now_s() - 7_200}), Some(Code::TokenExpired));
    check(json!({"exp": -1}), Some(Code::TokenExpired));
    check(json!({"exp": 1e300}), None);
    check(json!({"nbf": now_s() + 30}), None);
    check(json!({"nbf": now_s() + 31}), Some(Code::TokenEarly));
    check(json!({"nbf": []}), Some(Code::TokenClaims));
    check(json!({"aud": null}), Some(Code::TokenAudience));
    check(json!({"aud": "other"}), Some(Code::TokenAudience));
    check(json!({"aud": "Shop"}), Some(Code::TokenAudience));
    check(json!({"aud": ["other", "shop"]}), None);
    check(json!({"aud": []}), Some(Code::TokenAudience));
    check(json!({"aud": [1]}), Some(Code::TokenClaims));
    check(json!({"aud": 1}), Some(Code::TokenClaims));
    check(json!({"tenant": 7}), None);
    check(json!({"tenant": 1.5}), Some(Code::TokenClaims));
    check(json!({"tenant": ""}), Some(Code::TokenClaims));
    check(json!({"tenant": ["1"]}), Some(Code::TokenClaims));
    check(json!({"tenant": true}), Some(Code::TokenClaims));
    check(json!({"role": ["admin"]}), Some(Code::TokenClaims));
    check(json!({"plan": 1}), Some(Code::TokenClaims));
    check(json!({"sub": 12}), None);
}

#[test]
fn a_numbered_tenant_is_its_canonical_text() {
    let check = |tenant: Json, want: &str| {
        let caller = caller(json!({"aud": "shop", "exp": now_s() + 60, "tenant": tenant}));
        assert_eq!(caller.tenant(), Some(&TenantId::new(want)));
    };
    check(json!(1), "1");
    check(json!(-1), "-1");
    check(json!("1"), "1");
    check(json!("01"), "01");
    check(json!(u64::MAX), "18446744073709551615");
}

#[test]
fn the_scope_is_that_of_the_token_and_all_for_an_admin_alone() {
    let exp = now_s() + 60;
    let scope = |claims: Json| {
        let caller = caller(claims);
        (
            caller.tenant_scope().map(|scope| scope.tenants().clone()).map_err(|problem| problem.code()),
            caller.widest_scope().map(|scope| scope.tenants().clone()).map_err(|problem| problem.code()),
        )
    };
    let one = Tenants::One(TenantId::new("1"));
    let check = |claims: Json, want| assert_eq!(scope(claims.clone()), want, "{claims}");
    check(
        json!({"aud": "shop", "exp": exp, "role": "admin", "tenant": 1}),
        (Ok(one.clone()), Ok(one.clone())),
    );
    check(json!({"aud": "shop", "exp": exp, "role": "store", "tenant": "1"}), (Ok(one.clone()), Ok(one)));
    check(json!({"aud": "shop", "exp": exp, "role": "admin"}), (Err(Code::TenantRequired), Ok(Tenants::All)));
    check(
        json!({"aud": "shop", "exp": exp, "role": "store"}),
        (Err(Code::TenantRequired), Err(Code::TenantRequired)),
    );
    check(json!({"aud": "shop", "exp": exp}), (Err(Code::TenantRequired), Err(Code::TenantRequired)));
}

#[test]
fn a_token_with_a_tenant_reaches_no_other_by_a_path() {
    let exp = now_s() + 60;
    let check = |tenant: Option<&str>, named: &str, want: Option<Code>| {
        let caller = caller(json!({"aud": "shop", "exp": exp, "role": "admin", "tenant": tenant}));
        let got = caller.named_scope(TenantId::new(named));
        if let Ok(scope) = &got {
            assert_eq!(scope.tenants(), &Tenants::One(TenantId::new(named)));
        }
        assert_eq!(got.err().map(|problem| problem.code()), want, "{tenant:?} {named}");
    };
    check(None, "2", None);
    check(Some("1"), "1", None);
    check(Some("1"), "2", Some(Code::TenantUnknown));
}

#[test]
fn a_role_must_be_among_those_that_are_allowed() {
    let check = |role: Json, allowed: &[&str], want: Option<Code>| {
        let caller = caller(json!({"aud": "shop", "exp": now_s() + 60, "role": role}));
        let got = caller.require_role(allowed).err().map(|problem| problem.code());
        assert_eq!(got, want, "{role} {allowed:?}");
    };
    check(json!("admin"), &["admin", "writer"], None);
    check(json!("viewer"), &["admin", "writer"], Some(Code::RoleForbidden));
    check(json!("Admin"), &["admin"], Some(Code::RoleForbidden));
    check(json!(null), &["admin"], Some(Code::RoleForbidden));
    check(json!(null), &[], None);
}

#[test]
fn a_token_for_several_apps_says_which_by_a_parameter() {
    let apps = [AppName::new("shop"), AppName::new("desk"), AppName::new("third")];
    let check = |aud: Json, named: Option<&str>, want: Result<&str, Code>| {
        let token = verified(&sign(json!({"aud": aud, "exp": now_s() + 60}))).unwrap();
        let got = token.into_caller_among(apps.iter(), named);
        let got = got.as_ref().map(|caller| caller.app().as_str()).map_err(Problem::code);
        assert_eq!(got, want, "{aud} {named:?}");
    };
    check(json!("desk"), None, Ok("desk"));
    check(json!(["elsewhere", "desk"]), None, Ok("desk"));
    check(json!("elsewhere"), None, Err(Code::TokenAudience));
    check(json!(["shop", "desk"]), None, Err(Code::AppAmbiguous));
    check(json!(["shop", "desk"]), Some("desk"), Ok("desk"));
    check(json!(["shop", "desk"]), Some("third"), Err(Code::TokenAudience));
    check(json!("shop"), Some("desk"), Err(Code::TokenAudience));
}

#[test]
fn a_short_secret_is_refused_when_verifying_and_when_signing() {
    for bytes in [0, 1, 31] {
        let secret = vec![b's'; bytes];
        assert_eq!(Keys::hs256(&secret).err(), Some(KeyError::SecretShort { bytes }));
        assert_eq!(SigningKey::hs256(&secret).err(), Some(KeyError::SecretShort { bytes }));
    }
    assert!(Keys::hs256(&[b's'; 32]).is_ok());
}

#[test]
fn a_minted_token_signs_in_until_it_expires() {
    let claims = Claims {
        app: "shop".to_owned(),
        role: "store".to_owned(),
        tenant: Some("1".to_owned()),
        subject: Some("u1".to_owned()),
        plan: Some("free".to_owned()),
        embed: None,
        issuer: None,
        expires: now(),
    };
    let token = claims.sign(&SigningKey::hs256(SECRET).unwrap()).unwrap();
    let at = |instant: Instant| verify(&bearing(&token), &Keys::hs256(SECRET).unwrap(), instant, &rules(0));
    let before = Instant::from_micros(now().micros() - Instant::MICROS_PER_SECOND);
    let caller = at(before).unwrap().into_caller_of(&AppName::new("shop")).unwrap();
    assert_eq!((caller.subject(), caller.plan()), (Some("u1"), Some("free")));
    assert_eq!(caller.tenant(), Some(&TenantId::new("1")));
    assert!(caller.has_role("store"));
    assert_eq!(at(now()).unwrap_err().code(), Code::TokenExpired);
}

#[test]
fn a_problem_says_nothing_of_the_token_but_the_claim_that_is_wrong() {
    let token = sign(json!({"aud": "shop", "exp": now_s() + 60, "tenant": [1], "sub": "secret-user"}));
    let problem = verified(&token).unwrap_err();
    assert!(problem.detail().contains("`tenant` is [1]"), "{}", problem.detail());
    assert!(!problem.detail().contains("secret-user"));
}

#[test]
fn where_issuers_are_named_a_token_is_of_one_of_them() {
    let check = |issuers: &[&str], given: Json, want: Option<Code>| {
        let token = sign(json!({"aud": "shop", "exp": now_s() + 60, "iss": given}));
        let rules =
            TokenRules { leeway_s: 0, issuers: issuers.iter().map(|text| (*text).to_owned()).collect() };
        let got = verify(&bearing(&token), &Keys::hs256(SECRET).unwrap(), now(), &rules);
        assert_eq!(got.err().map(|problem| problem.code()), want, "{issuers:?} {given}");
    };
    check(&[], json!(null), None);
    check(&[], json!("anybody"), None);
    check(&["https://host"], json!("https://host"), None);
    check(&["https://old", "https://host"], json!("https://host"), None);
    check(&["https://host"], json!("https://host/"), Some(Code::TokenIssuer));
    check(&["https://host"], json!(null), Some(Code::TokenIssuer));
    check(&["https://host"], json!(["https://host"]), Some(Code::TokenIssuer));
}
