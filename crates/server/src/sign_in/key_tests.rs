//! Keys of every kind, how they are chosen, and the attacks on the choice.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ed25519_dalek::pkcs8::DecodePrivateKey;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rsa::pkcs1::EncodeRsaPrivateKey;
use serde_json::json;

use super::keys::Unproven;
use super::*;

const SECRET: &[u8] = b"a secret of forty bytes for these tests.";
const OLD_SECRET: &[u8] = b"the secret of last month, which still is.";

const RSA: &str = include_str!("../../tests/keys/rsa.pem");
const RSA_PUBLIC: &str = include_str!("../../tests/keys/rsa.pub.pem");
const RSA_PUBLIC_PKCS1: &str = include_str!("../../tests/keys/rsa.pkcs1.pub.pem");
const RSA_SHORT: &str = include_str!("../../tests/keys/rsa-1024.pub.pem");
const ED: &str = include_str!("../../tests/keys/ed25519.pem");
const ED_PUBLIC: &str = include_str!("../../tests/keys/ed25519.pub.pem");
const OTHER_ED: &str = include_str!("../../tests/keys/other-ed25519.pem");
const OTHER_ED_PUBLIC: &str = include_str!("../../tests/keys/other-ed25519.pub.pem");
const P256_PUBLIC: &str = include_str!("../../tests/keys/p256.pub.pem");

fn claims() -> Map<String, Json> {
    json!({"aud": "shop", "exp": 4_102_444_800_u64}).as_object().unwrap().clone()
}

fn encode(header: &Header, key: &EncodingKey) -> String {
    jsonwebtoken::encode(header, &claims(), key).unwrap()
}

fn header(algorithm: Algorithm, id: Option<&str>) -> Header {
    Header { kid: id.map(str::to_owned), ..Header::new(algorithm) }
}

fn rsa_key() -> EncodingKey {
    let key = rsa::RsaPrivateKey::from_pkcs8_pem(RSA).unwrap();
    EncodingKey::from_rsa_der(key.to_pkcs1_der().unwrap().as_bytes())
}

fn rs256(id: Option<&str>) -> String {
    encode(&header(Algorithm::RS256, id), &rsa_key())
}

fn eddsa(pem: &str, id: Option<&str>) -> String {
    let key = SigningKey::eddsa_pem(pem.as_bytes()).unwrap();
    let key = match id {
        Some(id) => key.with_id(id.to_owned()),
        None => key,
    };
    key.sign(&claims()).unwrap()
}

fn hs256(secret: &[u8]) -> String {
    SigningKey::hs256(secret).unwrap().sign(&claims()).unwrap()
}

fn file(text: &str) -> Vec<VerifyingKey> {
    KeyFile::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}")).keys
}

fn keys(all: Vec<Vec<VerifyingKey>>) -> Keys {
    Keys::new(all.concat(), None).unwrap()
}

/// The `x` of the key in a PEM file, for a JWK.
fn point(pem: &str) -> String {
    let key = ed25519_dalek::SigningKey::from_pkcs8_pem(pem).unwrap();
    let jwk = jsonwebtoken::jwk::Jwk::from_decoding_key(
        &jsonwebtoken::DecodingKey::from_ed_der(key.verifying_key().as_bytes()),
        None,
    );
    serde_json::to_value(jwk.unwrap()).unwrap()["x"].as_str().unwrap().to_owned()
}

fn ed_jwk(pem: &str, id: &str) -> Json {
    json!({"kty": "OKP", "crv": "Ed25519", "x": point(pem), "kid": id, "alg": "EdDSA", "use": "sig"})
}

fn rsa_jwk(id: &str) -> Json {
    let jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&rsa_key(), Algorithm::RS256).unwrap();
    let mut jwk = serde_json::to_value(jwk).unwrap();
    jwk["kid"] = json!(id);
    jwk
}

fn set(keys: &[Json]) -> String {
    json!({"keys": keys}).to_string()
}

#[test]
fn each_kind_of_key_verifies_what_it_signed_and_nothing_else() {
    let tokens = [
        ("hs256", hs256(SECRET)),
        ("old hs256", hs256(OLD_SECRET)),
        ("rs256", rs256(None)),
        ("eddsa", eddsa(ED, None)),
        ("other eddsa", eddsa(OTHER_ED, None)),
    ];
    let check = |name: &str, keys: &Keys, fits: &[&str]| {
        for (token, text) in &tokens {
            assert_eq!(keys.verify(text).is_ok(), fits.contains(token), "{name} and {token}");
        }
    };
    let secret = |secret| vec![VerifyingKey::hs256(secret).unwrap()];
    check("secret", &keys(vec![secret(SECRET)]), &["hs256"]);
    check("two secrets", &keys(vec![secret(SECRET), secret(OLD_SECRET)]), &["hs256", "old hs256"]);
    check("rsa", &keys(vec![file(RSA_PUBLIC)]), &["rs256"]);
    check("rsa, PKCS#1", &keys(vec![file(RSA_PUBLIC_PKCS1)]), &["rs256"]);
    check("rsa, JWK", &keys(vec![file(&rsa_jwk("a").to_string())]), &["rs256"]);
    check("ed25519", &keys(vec![file(ED_PUBLIC)]), &["eddsa"]);
    check("ed25519, JWK", &keys(vec![file(&ed_jwk(ED, "a").to_string())]), &["eddsa"]);
    check("JWKS", &keys(vec![file(&set(&[ed_jwk(ED, "a"), rsa_jwk("b")]))]), &["eddsa", "rs256"]);
    check(
        "all",
        &keys(vec![secret(SECRET), file(RSA_PUBLIC), file(ED_PUBLIC), file(OTHER_ED_PUBLIC)]),
        &["hs256", "rs256", "eddsa", "other eddsa"],
    );
}

#[test]
fn a_key_with_a_name_is_for_tokens_that_give_it_or_none() {
    let named = keys(vec![file(&set(&[ed_jwk(ED, "a"), ed_jwk(OTHER_ED, "b")]))]);
    let check = |token: &str, want: Option<Unproven>| assert_eq!(named.verify(token).err(), want);
    check(&eddsa(ED, Some("a")), None);
    check(&eddsa(OTHER_ED, Some("b")), None);
    check(&eddsa(ED, None), None);
    check(&eddsa(ED, Some("b")), Some(Unproven::Signature));
    check(&eddsa(ED, Some("c")), Some(Unproven::KeyId));
    let unnamed = keys(vec![file(ED_PUBLIC)]);
    assert!(unnamed.verify(&eddsa(ED, Some("whatever"))).is_ok());
}

#[test]
fn an_algorithm_is_bound_to_its_key() {
    let asymmetric = keys(vec![file(RSA_PUBLIC), file(ED_PUBLIC)]);
    let check = |keys: &Keys, token: &str, want: Unproven| {
        assert_eq!(keys.verify(token).err(), Some(want), "{token}");
    };
    // A public key, in every form in which a library may take it, as the secret of HS256.
    for secret in [
        RSA_PUBLIC.as_bytes(),
        RSA_PUBLIC.trim().as_bytes(),
        RSA_PUBLIC_PKCS1.as_bytes(),
        ED_PUBLIC.as_bytes(),
    ] {
        let forged = encode(&header(Algorithm::HS256, None), &EncodingKey::from_secret(secret));
        check(&asymmetric, &forged, Unproven::Algorithm);
        check(
            &keys(vec![file(RSA_PUBLIC), vec![VerifyingKey::hs256(SECRET).unwrap()]]),
            &forged,
            Unproven::Signature,
        );
    }
    // Neighbouring algorithms of the same key.
    check(&asymmetric, &encode(&header(Algorithm::RS384, None), &rsa_key()), Unproven::Algorithm);
    check(&asymmetric, &encode(&header(Algorithm::PS256, None), &rsa_key()), Unproven::Algorithm);
    let hs512 = encode(&header(Algorithm::HS512, None), &EncodingKey::from_secret(SECRET));
    check(&Keys::hs256(SECRET).unwrap(), &hs512, Unproven::Algorithm);
    check(&Keys::hs256(SECRET).unwrap(), &rs256(None), Unproven::Algorithm);
    // No signature at all.
    let payload = hs256(SECRET).split('.').nth(1).unwrap().to_owned();
    for none in ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJOb05lIn0", "eyJ0eXAiOiJKV1QifQ"] {
        check(&asymmetric, &format!("{none}.{payload}."), Unproven::Malformed);
    }
}

#[test]
fn a_token_brings_no_key_of_its_own() {
    let trusted = keys(vec![file(ED_PUBLIC)]);
    let own = jsonwebtoken::jwk::Jwk::from_decoding_key(
        &jsonwebtoken::DecodingKey::from_ed_components(&point(OTHER_ED)).unwrap(),
        Some(Algorithm::EdDSA),
    );
    let forged = Header {
        jwk: Some(own.unwrap()),
        jku: Some("https://attacker.example/keys".to_owned()),
        x5u: Some("https://attacker.example/cert".to_owned()),
        ..Header::new(Algorithm::EdDSA)
    };
    let der = {
        use ed25519_dalek::pkcs8::EncodePrivateKey;
        ed25519_dalek::SigningKey::from_pkcs8_pem(OTHER_ED).unwrap().to_pkcs8_der().unwrap()
    };
    let forged = encode(&forged, &EncodingKey::from_ed_der(der.as_bytes()));
    assert_eq!(trusted.verify(&forged).err(), Some(Unproven::Signature));
    let critical = Header { crit: Some(vec!["b64".to_owned()]), ..Header::new(Algorithm::HS256) };
    let critical = encode(&critical, &EncodingKey::from_secret(SECRET));
    assert_eq!(Keys::hs256(SECRET).unwrap().verify(&critical).err(), Some(Unproven::Malformed));
}

#[test]
fn a_public_key_is_taken_for_no_secret() {
    let jwk = rsa_jwk("a").to_string();
    for text in [RSA_PUBLIC, ED_PUBLIC, RSA, &format!("\n{RSA_PUBLIC}"), &jwk, &set(&[ed_jwk(ED, "a")])] {
        assert_eq!(VerifyingKey::hs256(text.as_bytes()).err(), Some(KeyError::SecretIsKey), "{text}");
        assert_eq!(SigningKey::hs256(text.as_bytes()).err(), Some(KeyError::SecretIsKey), "{text}");
    }
    assert!(VerifyingKey::hs256(b"{a brace is a fine start of a secret.}").is_ok());
}

#[test]
fn what_is_no_key_to_check_with_is_refused_with_its_reason() {
    let check = |text: &str, want: &str| {
        let told = KeyFile::parse(text.as_bytes()).err().expect(text).to_string();
        assert!(told.contains(want), "{want}: {told}");
    };
    check("", "no JSON Web Key");
    check("hello", "no JSON Web Key");
    check("{}", "neither `keys` nor `kty`");
    check("{\"keys\": 1}", "`keys` is no list");
    check("{\"keys\": []}", "it has none");
    check(RSA, "private key");
    check(ED, "private key");
    check("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----", "certificate");
    check("-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----", "no Ed25519 or RSA public key");
    check("-----BEGIN PUBLIC KEY-----", "no Ed25519 or RSA public key");
    check(P256_PUBLIC, "no Ed25519 or RSA public key");
    check(RSA_SHORT, "it has 1024 bits");
    check(&json!({"kty": "oct", "k": "c2VjcmV0"}).to_string(), "it is a secret");
    check(&json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}).to_string(), "neither Ed25519 nor RSA");
    check(&json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"}).to_string(), "1 bytes, not 32");
    check(&json!({"kty": "OKP", "crv": "Ed25519", "x": "A".repeat(43)}).to_string(), "small order");
    check(&json!({"kty": "RSA", "n": "_".repeat(100), "e": "AQAB"}).to_string(), "allowed are 2048 to 4096");
    check(&json!({"kty": "RSA", "n": "_".repeat(2_000), "e": "AQAB"}).to_string(), "more than 4096 bits");
    check(&set(&vec![rsa_jwk("a"); 65]), "65 keys; allowed are at most 64");
    check(&" ".repeat(KEY_FILE_BYTES_MAX + 1), "more than 262144 bytes");
    let mut other = rsa_jwk("a");
    other["alg"] = json!("RS512");
    check(&other.to_string(), "it is for RS512; allowed is RS256");
    other["alg"] = json!("HS256");
    check(&other.to_string(), "it is for HS256; allowed is RS256");
    let mut private = ed_jwk(ED, "a");
    private["d"] = json!("AA");
    check(&private.to_string(), "private part");
    assert!(SigningKey::eddsa_pem(RSA.as_bytes()).is_err());
    assert!(SigningKey::eddsa_pem(ED_PUBLIC.as_bytes()).is_err());
    assert_eq!(Keys::new(Vec::new(), None).err(), Some(KeyError::NoKey));
}

#[test]
fn a_sets_other_keys_are_passed_over() {
    let mut encryption = rsa_jwk("b");
    encryption["use"] = json!("enc");
    let curve = json!({"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA", "kid": "c"});
    let text = set(&[encryption, ed_jwk(ED, "a"), curve, json!(7)]);
    let file = KeyFile::parse(text.as_bytes()).unwrap();
    assert_eq!(file.keys.len(), 1);
    let ids: Vec<Option<&str>> = file.skipped.iter().map(|key| key.id.as_deref()).collect();
    assert_eq!(ids, [Some("b"), Some("c"), None]);
}

/// Gives its answers one by one, the last one for ever.
struct Scripted {
    answers: Mutex<VecDeque<Result<String, FetchError>>>,
    asked: AtomicUsize,
}

impl KeySource for &'static Scripted {
    fn fetch(&self) -> Result<Vec<u8>, FetchError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        answer.unwrap().map(String::into_bytes)
    }
}

fn scripted(answers: &[Result<String, FetchError>]) -> &'static Scripted {
    let answers = Mutex::new(answers.iter().cloned().collect());
    Box::leak(Box::new(Scripted { answers, asked: AtomicUsize::new(0) }))
}

fn down() -> Result<String, FetchError> {
    Err(FetchError::Status { status: 503 })
}

/// A set that is kept fresh, and what its fetches come to.
async fn kept(
    source: &'static Scripted,
    settings: KeySetSettings,
) -> (Keys, tokio::sync::mpsc::Receiver<Result<usize, FetchError>>, tokio::task::JoinHandle<()>) {
    let set = KeySet::new(Box::new(source), settings);
    let keys = Keys::new(vec![VerifyingKey::hs256(SECRET).unwrap()], Some(set.clone())).unwrap();
    let (told, outcomes) = tokio::sync::mpsc::channel(64);
    let task = tokio::spawn(set.keep_fresh(move |outcome| {
        // More outcomes than a test looks at are of no interest.
        _ = told.try_send(outcome.clone());
    }));
    (keys, outcomes, task)
}

/// Fetches only when asked, as often as asked.
fn on_demand() -> KeySetSettings {
    KeySetSettings {
        refresh: Duration::from_secs(3_600),
        pause: Duration::ZERO,
        wait_max: Duration::from_secs(60),
    }
}

#[tokio::test]
async fn a_fetched_set_is_asked_anew_for_a_key_that_it_lacks() {
    let source = scripted(&[Ok(set(&[ed_jwk(ED, "a")])), Ok(set(&[ed_jwk(ED, "a"), ed_jwk(OTHER_ED, "b")]))]);
    let (keys, mut outcomes, task) = kept(source, on_demand()).await;
    assert_eq!(outcomes.recv().await, Some(Ok(1)));
    let (known, rotated) = (bearing(&eddsa(ED, Some("a"))), bearing(&eddsa(OTHER_ED, Some("b"))));
    wait_for_key(&known, &keys).await;
    assert_eq!(source.asked.load(Ordering::SeqCst), 1, "a known key needs no fetch");
    assert_eq!(keys.verify(bearer(&rotated).unwrap()).err(), Some(Unproven::KeyId));
    wait_for_key(&rotated, &keys).await;
    assert_eq!(source.asked.load(Ordering::SeqCst), 2);
    for headers in [known, rotated] {
        assert!(keys.verify(bearer(&headers).unwrap()).is_ok());
    }
    // Tokens that no fetch can help ask for none.
    for token in [
        hs256(OLD_SECRET),
        "not.a.token".to_owned(),
        encode(&header(Algorithm::RS512, Some("z")), &rsa_key()),
    ] {
        wait_for_key(&bearing(&token), &keys).await;
    }
    assert_eq!(source.asked.load(Ordering::SeqCst), 2);
    task.abort();
}

#[tokio::test]
async fn the_last_good_set_stays_while_fetches_fail() {
    let good = Ok(set(&[ed_jwk(ED, "a")]));
    for bad in [down(), Ok("no keys".to_owned()), Ok(set(&[])), Ok("x".repeat(KEY_FILE_BYTES_MAX + 1))] {
        let source = scripted(&[good.clone(), bad]);
        let (keys, mut outcomes, task) = kept(source, on_demand()).await;
        assert_eq!(outcomes.recv().await, Some(Ok(1)));
        wait_for_key(&bearing(&eddsa(OTHER_ED, Some("b"))), &keys).await;
        assert!(outcomes.recv().await.unwrap().is_err());
        assert!(keys.verify(&eddsa(ED, Some("a"))).is_ok());
        assert_eq!(keys.verify(&eddsa(OTHER_ED, Some("b"))).err(), Some(Unproven::KeyId));
        task.abort();
    }
}

#[tokio::test]
async fn before_the_first_set_a_token_of_public_keys_may_be_good_and_a_secrets_is_known() {
    let (keys, mut outcomes, task) = kept(scripted(&[down()]), on_demand()).await;
    assert!(outcomes.recv().await.unwrap().is_err());
    let code = |token: &str| {
        let rules = TokenRules::default();
        let now = Instant::parse("2026-11-20T12:00:00Z").unwrap();
        verify(&bearing(token), &keys, now, &rules).err().map(|problem| problem.code())
    };
    assert_eq!(code(&eddsa(ED, Some("a"))), Some(Code::KeysUnavailable));
    assert_eq!(code(&rs256(None)), Some(Code::KeysUnavailable));
    assert_eq!(code(&hs256(SECRET)), None);
    assert_eq!(code(&hs256(OLD_SECRET)), Some(Code::TokenInvalid));
    assert_eq!(code(&encode(&header(Algorithm::RS512, None), &rsa_key())), Some(Code::TokenInvalid));
    task.abort();
}

#[tokio::test]
async fn tokens_that_make_names_up_do_not_bring_about_fetches() {
    let settings = KeySetSettings { pause: Duration::from_secs(3_600), ..on_demand() };
    let source = scripted(&[Ok(set(&[ed_jwk(ED, "a")]))]);
    let (keys, mut outcomes, task) = kept(source, settings).await;
    assert_eq!(outcomes.recv().await, Some(Ok(1)));
    for number in 0..100 {
        wait_for_key(&bearing(&eddsa(ED, Some(&format!("made-up-{number}")))), &keys).await;
    }
    assert_eq!(source.asked.load(Ordering::SeqCst), 1);
    task.abort();
}

#[tokio::test]
async fn a_request_waits_no_longer_than_a_moment_for_a_fetch() {
    // Nothing fetches: the answer comes all the same.
    let settings = KeySetSettings { wait_max: Duration::from_millis(1), ..on_demand() };
    let set = KeySet::new(Box::new(scripted(&[down()])), settings);
    let keys = Keys::new(Vec::new(), Some(set)).unwrap();
    wait_for_key(&bearing(&eddsa(ED, None)), &keys).await;
    assert_eq!(keys.verify(&eddsa(ED, None)).err(), Some(Unproven::NotFetched));
}

#[test]
fn an_address_is_https_or_of_this_machine() {
    let check = |address: &str, good: bool| assert_eq!(KeyAddress::new(address).is_ok(), good, "{address}");
    check("https://login.example.com/.well-known/jwks.json", true);
    check("http://127.0.0.1:8081/jwks", true);
    check("http://[::1]:8081/jwks", true);
    check("http://localhost/jwks", true);
    check("http://login.example.com/jwks", false);
    check("http://localhost.example.com/jwks", false);
    check("http://127.0.0.1@example.com/jwks", false);
    check("https://user:pass@login.example.com/jwks", false);
    check("file:///etc/passwd", false);
    check("/jwks.json", false);
    check("", false);
}

fn bearing(token: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    headers
}
