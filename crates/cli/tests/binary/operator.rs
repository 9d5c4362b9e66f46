//! `ebbtide serve` and `ebbtide token`, as an operator meets them.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, ChildStderr, Command, Stdio};

use serde_json::Value as Json;

use crate::ebbtide::Folder;

const SECRET: &str = "a secret for tests, longer than 32 bytes";

struct Server {
    process: Child,
    url: String,
    /// What it said of its secret.
    secret: String,
    log: ChildStderr,
}

impl Server {
    fn start(folder: &Folder, secret: Option<&str>, arguments: &[&str]) -> Self {
        let mut command = folder.command(&["serve", "--data", "data", "--listen", "127.0.0.1:0"]);
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(secret) = secret {
            command.env("EBBTIDE_JWT_SECRET", secret);
        }
        let mut process = command.spawn().unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        let listening = said.next().expect("it says where it listens").unwrap();
        let url = listening.strip_prefix("listening on ").expect("an address").to_owned();
        let secret = said.next().expect("it says what signs").unwrap();
        let log = process.stderr.take().unwrap();
        Self { process, url, secret, log }
    }

    fn until_ready(&self) {
        while self.get("/readyz", "").0 != 200 {
            std::thread::yield_now();
        }
    }

    fn get(&self, path: &str, token: &str) -> (u16, Json) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request =
            agent.get(format!("{}{path}", self.url)).header("Authorization", format!("Bearer {token}"));
        let mut response = request.call().unwrap();
        let body = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&body).unwrap_or_default())
    }

    /// Ends it by a signal; gives its exit code and its log.
    fn end(mut self, signal: &str) -> (Option<i32>, String) {
        let killed =
            Command::new("kill").args(["-s", signal, &self.process.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let mut log = String::new();
        self.log.read_to_string(&mut log).unwrap();
        (self.process.wait().unwrap().code(), log)
    }
}

#[test]
fn without_a_secret_one_is_made_that_only_its_owner_reads_and_that_signs_tokens() {
    let folder = Folder::with_shop();
    let mut secrets = Vec::new();
    for start in ["first", "second"] {
        let server = Server::start(&folder, None, &["--app", "shop"]);
        assert!(server.secret.contains("data/jwt-secret"), "{start}: {}", server.secret);
        let file = folder.path("data/jwt-secret");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        secrets.push(std::fs::read_to_string(&file).unwrap());
        server.until_ready();
        let token = folder.run(&["token", "--data", "data", "--app", "shop", "--role", "admin"]);
        let (status, schema) = server.get("/v1/schema", token.stdout.trim());
        assert_eq!((status, &schema["app"]), (200, &Json::from("shop")));
        let (code, log) = server.end("TERM");
        assert_eq!(code, Some(0), "{log}");
        for secret in [secrets[0].trim(), token.stdout.trim()] {
            assert!(!log.contains(secret), "{log}");
        }
    }
    assert_eq!(secrets[0], secrets[1], "the secret stays");
}

#[test]
fn either_signal_ends_it_in_order_and_the_log_has_a_line_for_each_request() {
    for signal in ["TERM", "INT"] {
        let folder = Folder::with_shop();
        let server = Server::start(&folder, Some(SECRET), &["--app", "shop", "--log-format", "json"]);
        assert_eq!(server.secret, "tokens are signed with EBBTIDE_JWT_SECRET");
        server.until_ready();
        assert_eq!(server.get("/nowhere", "").0, 404);
        let (code, log) = server.end(signal);
        assert_eq!(code, Some(0), "{signal}: {log}");
        let lines: Vec<Json> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let request = lines.iter().find(|line| line["fields"]["status"] == 404).unwrap();
        assert_eq!(request["fields"]["route"], "(none)");
        assert!(
            request["fields"]["request_id"].is_string() && request["fields"]["ms"].is_number(),
            "{request}"
        );
        let last = lines.last().unwrap();
        assert_eq!(last["fields"]["message"], "stopped", "{last}");
        assert!(!folder.path("data/jwt-secret").exists());
    }
}

#[test]
fn what_cannot_be_served_is_refused_with_what_to_do_about_it() {
    let folder = Folder::with_shop();
    let check = |secret: Option<&str>, arguments: &[&str], code: i32, told: &[&str]| {
        let mut command = folder.command(&["serve", "--data", "data"]);
        command.args(arguments);
        if let Some(secret) = secret {
            command.env("EBBTIDE_JWT_SECRET", secret);
        }
        let output = command.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        for text in told {
            assert!(stderr.contains(text), "{arguments:?}: {stderr}");
        }
        assert!(output.stdout.is_empty(), "{arguments:?}: it did not listen");
    };
    let everywhere = ["--app", "shop", "--listen", "0.0.0.0:0"];
    check(None, &everywhere, 2, &["EBBTIDE_JWT_SECRET is not set", "hint: set EBBTIDE_JWT_SECRET"]);
    let local = ["--app", "shop", "--listen", "127.0.0.1:0"];
    check(Some("short"), &local, 2, &["the secret has 5 bytes, and needs at least 32"]);
    check(Some(""), &everywhere, 2, &["EBBTIDE_JWT_SECRET is not set"]);
    check(
        Some(SECRET),
        &["--app", "shop", "--listen", "nowhere"],
        2,
        &["--listen: listen: \"nowhere\" was given"],
    );
    check(Some(SECRET), &["--app", "shop", "--listen", "nowhere:http:1"], 2, &["is no address"]);
    check(Some(SECRET), &[], 2, &["--app"]);
    check(
        Some(SECRET),
        &["--app", "loyalty", "--app", "club=loyalty"],
        2,
        &["\"loyalty\"", "\"club\"", "/analytics/"],
    );
    check(Some(SECRET), &["--app", "shop", "--app", "shop"], 2, &["two apps have the name"]);
    check(Some(SECRET), &["--app", "loyalti"], 1, &["did you mean \"loyalty\"?"]);
    check(Some(SECRET), &["--app", "shop", "--token-leeway", "61"], 2, &["61"]);
}

#[test]
fn two_servers_do_not_share_a_folder() {
    let folder = Folder::with_shop();
    let first = Server::start(&folder, Some(SECRET), &["--app", "shop"]);
    first.until_ready();
    let mut second = folder.command(&["serve", "--data", "data", "--listen", "127.0.0.1:0", "--app", "shop"]);
    let output = second.env("EBBTIDE_JWT_SECRET", SECRET).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("error: ") && told.contains("hint: "), "{told}");
    assert!(output.stdout.is_empty(), "it does not say that it listens");
    assert_eq!(first.get("/readyz", "").0, 200, "the first one is not harmed");
    assert_eq!(first.end("TERM").0, Some(0));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let folder = Folder::with_shop();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = folder.command(&["serve", "--data", "data", "--listen", &address, "--app", "shop"]);
    let output = command.env("EBBTIDE_JWT_SECRET", SECRET).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains(&address), "{told}");
}

#[test]
fn a_token_needs_a_secret_to_sign_with() {
    let folder = Folder::new();
    for arguments in [&[][..], &["--data", "data"], &["--data", "data", "--expires", "soon"]] {
        let run = folder.run(&[&["token", "--app", "shop", "--role", "admin"], arguments].concat());
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run:?}");
    }
}

#[test]
fn a_token_that_is_empty_is_none() {
    let folder = Folder::with_shop();
    let mut query = folder.command(&["query", "--server", "http://127.0.0.1:1", "{\"kind\": \"churn\"}"]);
    let output = query.env("EBBTIDE_TOKEN", "").output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("there is no token"), "{told}");
}
