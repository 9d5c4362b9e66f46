//! Tokens of a host that signs with keys of its own, from the command line to a server's answer.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value as Json, json};

use crate::ebbtide::{Folder, Server, post};

const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../server/tests/keys");
const SECRET: &str = "a secret for tests, longer than 32 bytes";
const OLD_SECRET: &str = "the secret before it, as long as that";

fn key(name: &str) -> String {
    format!("{KEYS}/{name}")
}

/// Serves the shop with these variables.
fn serve(folder: &Folder, variables: &[(&str, &str)]) -> Server {
    let mut command =
        folder.command(&["serve", "--data", "data", "--listen", "127.0.0.1:0", "--app", "shop"]);
    command.envs(variables.iter().copied());
    Server::start_by(command)
}

fn token(folder: &Folder, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = folder.command(&["token", "--app", "shop", "--role", "admin"]);
    let output = command.args(arguments).envs(variables.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The code of the answer's problem; none where the token is good.
fn code(server: &Server, token: &str) -> Option<String> {
    let answer = post(&server.url, token, "/v1/sql", &json!({"sql": "SELECT 1 AS one"})).unwrap();
    answer["code"].as_str().map(str::to_owned)
}

#[test]
fn a_public_key_checks_what_its_private_key_signs() {
    let folder = Folder::with_shop();
    let server = serve(&folder, &[("EBBTIDE_JWT_PUBLIC_KEYS", &key("ed25519.pub.pem"))]);
    assert!(!folder.path("data/jwt-secret").exists(), "no secret is made beside the operator's own key");
    let invalid = Some("token_invalid".to_owned());
    assert_eq!(code(&server, &token(&folder, &["--key", &key("ed25519.pem")], &[])), None);
    assert_eq!(code(&server, &token(&folder, &["--key", &key("ed25519.pem"), "--kid", "any"], &[])), None);
    assert_eq!(code(&server, &token(&folder, &["--key", &key("other-ed25519.pem")], &[])), invalid);
    assert_eq!(code(&server, &token(&folder, &[], &[("EBBTIDE_JWT_SECRET", SECRET)])), invalid);
    server.stop();
}

#[test]
fn two_secrets_hold_while_one_is_rotated() {
    let folder = Folder::with_shop();
    let with = |secret: &str| token(&folder, &[], &[("EBBTIDE_JWT_SECRET", secret)]);
    let both = [("EBBTIDE_JWT_SECRET", SECRET), ("EBBTIDE_JWT_SECRET_PREVIOUS", OLD_SECRET)];
    let server = serve(&folder, &both);
    assert_eq!((code(&server, &with(SECRET)), code(&server, &with(OLD_SECRET))), (None, None));
    assert_eq!(code(&server, &token(&folder, &[], &both)), None);
    server.stop();
    let server = serve(&folder, &both[..1]);
    assert_eq!(code(&server, &with(SECRET)), None);
    assert_eq!(code(&server, &with(OLD_SECRET)), Some("token_invalid".to_owned()));
    server.stop();
}

#[test]
fn an_issuer_that_is_configured_is_looked_at() {
    let folder = Folder::with_shop();
    let secret = ("EBBTIDE_JWT_SECRET", SECRET);
    let server = serve(&folder, &[secret, ("EBBTIDE_JWT_ISSUERS", "https://host,https://host2")]);
    assert_eq!(code(&server, &token(&folder, &["--iss", "https://host2"], &[secret])), None);
    assert_eq!(
        code(&server, &token(&folder, &["--iss", "other"], &[secret])),
        Some("token_issuer".to_owned())
    );
    assert_eq!(code(&server, &token(&folder, &[], &[secret])), Some("token_issuer".to_owned()));
    server.stop();
}

/// Answers every request with what it holds, on a port of its own, as long as the test runs.
struct Host {
    url: String,
    answer: Arc<Mutex<(u16, String)>>,
}

impl Host {
    fn start(answer: (u16, String)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let answer = Arc::new(Mutex::new(answer));
        let shared = answer.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                let (status, body) = shared.lock().unwrap().clone();
                let head = format!(
                    "HTTP/1.1 {status} x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                // Whoever asked may have gone.
                _ = stream.write_all(format!("{head}{body}").as_bytes());
            }
        });
        Self { url, answer }
    }
}

/// The JWK of a key in `tests/keys`, by the 32 bytes at the end of its file.
fn jwk(name: &str, id: &str) -> Json {
    let pem = std::fs::read_to_string(key(name)).unwrap();
    let base64: String = pem.lines().filter(|line| !line.starts_with("---")).collect();
    // 12 bytes come before the point: 16 letters of base64, which end where it begins.
    let x = base64[16..].trim_end_matches('=').replace('+', "-").replace('/', "_");
    json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": x})
}

#[test]
fn a_key_set_is_fetched_and_fetched_anew_for_a_key_that_it_lacks() {
    let folder = Folder::with_shop();
    let set = |keys: &[Json]| json!({"keys": keys}).to_string();
    let host = Host::start((200, set(&[jwk("ed25519.pub.pem", "a")])));
    let server = serve(&folder, &[("EBBTIDE_JWT_JWKS_URL", &host.url), ("EBBTIDE_JWT_JWKS_PAUSE", "1s")]);
    let first = token(&folder, &["--key", &key("ed25519.pem"), "--kid", "a"], &[]);
    let second = token(&folder, &["--key", &key("other-ed25519.pem"), "--kid", "b"], &[]);
    assert_eq!(code(&server, &first), None);
    assert_eq!(code(&server, &second), Some("token_invalid".to_owned()));
    *host.answer.lock().unwrap() =
        (200, set(&[jwk("other-ed25519.pub.pem", "b"), jwk("ed25519.pub.pem", "a")]));
    // Once the pause is over the new key is there, without a restart.
    while code(&server, &second).is_some() {
        thread::yield_now();
    }
    *host.answer.lock().unwrap() = (503, String::new());
    let third = token(&folder, &["--key", &key("other-ed25519.pem"), "--kid", "c"], &[]);
    let failures = || {
        let mut metrics = ureq::get(format!("{}/metrics", server.url)).call().unwrap();
        let text = metrics.body_mut().read_to_string().unwrap();
        let line =
            text.lines().find(|line| line.starts_with("ebbtide_key_fetches_total{outcome=\"failed\"}"));
        line.unwrap().rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    while failures() == 0 {
        assert_eq!(code(&server, &third), Some("token_invalid".to_owned()));
    }
    assert_eq!((code(&server, &first), code(&server, &second)), (None, None), "the last good set stays");
    server.stop();
}

#[test]
fn a_server_whose_key_set_does_not_come_says_that_it_cannot_tell() {
    let folder = Folder::with_shop();
    let host = Host::start((404, String::new()));
    let server = serve(&folder, &[("EBBTIDE_JWT_JWKS_URL", &host.url)]);
    let good = token(&folder, &["--key", &key("ed25519.pem"), "--kid", "a"], &[]);
    assert_eq!(code(&server, &good), Some("keys_unavailable".to_owned()));
    server.stop();
}

#[test]
fn tokens_are_minted_where_the_server_holds_the_secret_that_signs() {
    let folder = Folder::with_shop();
    let minted = |server: &Server, token: &str| {
        post(&server.url, token, "/v1/tokens", &json!({"role": "admin", "ttl": "5m"})).unwrap()
    };
    let server = serve(&folder, &[("EBBTIDE_JWT_PUBLIC_KEYS", &key("ed25519.pub.pem"))]);
    let refused = minted(&server, &token(&folder, &["--key", &key("ed25519.pem")], &[]));
    assert_eq!(refused["code"], json!("minting_unavailable"), "{refused}");
    server.stop();
    // With a secret of its own choosing, and with one that it has made.
    for variables in [&[("EBBTIDE_JWT_SECRET", SECRET)][..], &[]] {
        let server = serve(&folder, variables);
        let by = token(&folder, &["--data", "data"], variables);
        let answer = minted(&server, &by);
        let made = answer["token"].as_str().unwrap_or_else(|| panic!("{answer}"));
        assert_eq!(code(&server, made), None);
        server.stop();
    }
}

#[test]
fn a_token_of_the_command_line_may_be_bound_to_a_report() {
    let folder = Folder::with_shop();
    let secret = [("EBBTIDE_JWT_SECRET", SECRET)];
    let server = serve(&folder, &secret);
    let bound = token(
        &folder,
        &["--embed", "sold", "--param", "days=30", "--param", "where=a=b", "--origin", "https://a.example"],
        &secret,
    );
    assert_eq!(code(&server, &bound), Some("forbidden".to_owned()));
    server.stop();
    let check = |arguments: &[&str], told: &str| {
        let mut command = folder.command(&["token", "--app", "shop", "--role", "admin"]);
        let output = command.args(arguments).envs(secret).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(told), "{arguments:?}: {error}");
    };
    check(&["--embed", "sold"], "--origin");
    check(&["--origin", "https://a.example"], "--embed");
    check(&["--embed", "sold", "--origin", "*"], "origin: \"*\" was given; allowed is one origin");
    check(&["--embed", "sold", "--origin", "https://a.example/page"], "no path");
    check(&["--embed", "", "--origin", "https://a.example"], "report: \"\" was given");
    check(&["--embed", "sold", "--origin", "https://a.example", "--param", "days"], "allowed is NAME=VALUE");
}
