//! A server of this very binary, and connections to it that stay open: as little client as can be, so that
//! what is measured is the server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant as Stopwatch};

use ebbtide_model::{Clock, Instant};
use ebbtide_server::sign_in::{Claims, SigningKey};

use crate::clock::SystemClock;
use crate::failure::Failure;
use crate::sql_process::launch;

const READY_MAX: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(5);
/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(600);
const TOKEN_LIFE_MICROS: i64 = Instant::MICROS_PER_DAY;

/// This binary, with no settings of the environment.
pub(super) fn own() -> Result<Command, Failure> {
    let mut command = Command::new(launch()?.program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("EBBTIDE_")) {
        command.env_remove(name);
    }
    Ok(command)
}

/// Lets so many clients do the same side by side, each by its number; ends when all have.
pub(super) fn at_once(
    clients: usize,
    work: impl Fn(usize) -> Result<(), Failure> + Sync,
) -> Result<(), Failure> {
    let results: Vec<Result<(), Failure>> = std::thread::scope(|scope| {
        let work = &work;
        let clients: Vec<_> = (0..clients).map(|client| scope.spawn(move || work(client))).collect();
        let ended = |client: std::thread::ScopedJoinHandle<'_, _>| {
            client.join().unwrap_or_else(|_| Err(Failure::new("a client fell")))
        };
        clients.into_iter().map(ended).collect()
    });
    results.into_iter().collect()
}

/// Who asks.
pub(super) struct Visitor<'v> {
    pub(super) app: &'v str,
    pub(super) role: &'v str,
    pub(super) tenant: Option<&'v str>,
    pub(super) subject: &'v str,
}

/// A server, ended when it is dropped.
pub(super) struct Server {
    process: Child,
    address: String,
    secret: String,
}

impl Server {
    /// Serves a folder on a free port of this machine.
    pub(super) fn start(data: &Path, app: &str) -> Result<Self, Failure> {
        Self::start_with(data, app, &[])
    }

    /// The same, with these variables set.
    pub(super) fn start_with(data: &Path, app: &str, settings: &[(&str, &str)]) -> Result<Self, Failure> {
        let random = || getrandom::u64().map_err(Failure::new);
        let secret = format!("{:016x}{:016x}{:016x}{:016x}", random()?, random()?, random()?, random()?);
        let mut command = own()?;
        command.args(["serve", "--app", app, "--listen", "127.0.0.1:0", "--log", "warn", "--data"]).arg(data);
        command.envs(settings.iter().copied()).env("EBBTIDE_JWT_SECRET", &secret).stdout(Stdio::piped());
        let mut process = command.spawn().map_err(Failure::new)?;
        let said = process.stdout.take().map(|stdout| BufReader::new(stdout).lines());
        let line = said.and_then(|mut lines| lines.next()).and_then(Result::ok).unwrap_or_default();
        let Some(address) = line.strip_prefix("listening on http://") else {
            // It has said on standard error why not.
            _ = process.kill();
            _ = process.wait();
            return Err(Failure::new("the server to measure did not start"));
        };
        let server = Self { process, address: address.to_owned(), secret };
        let started = Stopwatch::now();
        loop {
            match server.connect("").and_then(|mut connection| connection.get("/readyz")) {
                Ok((200, _)) => return Ok(server),
                Ok(_) | Err(_) if started.elapsed() < READY_MAX => std::thread::sleep(POLL),
                Ok((status, _)) => {
                    return Err(Failure::new(format_args!("the server is not ready: {status}")));
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(super) fn token(&self, visitor: &Visitor<'_>) -> Result<String, Failure> {
        let claims = Claims {
            app: visitor.app.to_owned(),
            role: visitor.role.to_owned(),
            tenant: visitor.tenant.map(str::to_owned),
            subject: Some(visitor.subject.to_owned()),
            plan: None,
            issuer: None,
            embed: None,
            expires: Instant::from_micros(SystemClock.now().micros() + TOKEN_LIFE_MICROS),
        };
        let key = SigningKey::hs256(self.secret.as_bytes()).map_err(Failure::new)?;
        claims.sign(&key).map_err(Failure::new)
    }

    pub(super) fn connect(&self, token: &str) -> Result<Connection, Failure> {
        let stream = TcpStream::connect(&self.address).map_err(broken)?;
        stream.set_nodelay(true).map_err(broken)?;
        stream.set_read_timeout(Some(ANSWER_MAX)).map_err(broken)?;
        let reader = BufReader::new(stream.try_clone().map_err(broken)?);
        Ok(Connection { stream, reader, host: self.address.clone(), token: token.to_owned() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

fn broken(error: std::io::Error) -> Failure {
    Failure::new(format_args!("the connection to the server broke: {error}"))
}

/// A connection that is kept for one request after the other.
pub(super) struct Connection {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
    host: String,
    token: String,
}

impl Connection {
    /// The status and the body.
    pub(super) fn get(&mut self, path: &str) -> Result<(u16, Vec<u8>), Failure> {
        self.send("GET", path, "")
    }

    /// The body of an answer that must be good.
    pub(super) fn post(&mut self, path: &str, body: &str) -> Result<Vec<u8>, Failure> {
        good(self.send("POST", path, body)?)
    }

    fn send(&mut self, method: &str, path: &str, body: &str) -> Result<(u16, Vec<u8>), Failure> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
            Content-Length: {}\r\n\r\n{body}",
            self.host,
            self.token,
            body.len()
        );
        self.stream.write_all(request.as_bytes()).map_err(broken)?;
        self.answer().map_err(broken)
    }

    fn answer(&mut self) -> std::io::Result<(u16, Vec<u8>)> {
        let cut = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let status = line.split_whitespace().nth(1).and_then(|status| status.parse().ok()).ok_or_else(cut)?;
        let mut length = 0;
        loop {
            line.clear();
            self.reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().map_err(|_| cut())?;
            }
        }
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body)?;
        Ok((status, body))
    }
}

/// The body of a good answer.
pub(super) fn good((status, body): (u16, Vec<u8>)) -> Result<Vec<u8>, Failure> {
    if (200..300).contains(&status) {
        return Ok(body);
    }
    let text: String = String::from_utf8_lossy(&body).chars().take(500).collect();
    Err(Failure::new(format_args!("the server answered {status}: {text}")))
}
