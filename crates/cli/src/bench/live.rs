//! A shop whose summary many listen to while its shoppers click: how long it takes from an event's moment until each
//! listener has been told of it.
//!
//! Each of four senders has a screen of the funnel to itself and numbers its events from one, in the field
//! `system_latency`; their timestamps ascend. What a summary says of the latest latency at that screen is therefore
//! the number of the last event that it counts, and all before it are in it, too. No event is taken to be heard by
//! guess, and none is missed.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant as Stopwatch};

use ebbtide_model::{Clock, Instant};
use serde_json::Value as Json;

use super::figures::{Delays, Figure};
use super::http::{Server, at_once};
use super::machine;
use super::socket::Socket;
use crate::clock::SystemClock;
use crate::failure::Failure;

const APP: &str = "storefront";
const SHOP: &str = "bench";
/// The screens of the funnel, of which each sender has one, with where its events lead.
const SCREENS: [(&str, &str); 4] =
    [("home", "product"), ("product", "cart"), ("cart", "success"), ("success", "home")];
/// How often a sender sends a list.
const PACE: Duration = Duration::from_millis(20);
/// What the pack takes in a list.
const LIST_MAX: u64 = 1_000;
/// Of so many cart events one leads out of the shop.
const EXIT_OF: u64 = 3;
const SHOPPERS: u64 = 20_000;
/// How long listeners wait for the last events, once all were sent.
const PATIENCE: Duration = Duration::from_secs(30);
const SAMPLE: Duration = Duration::from_millis(250);

pub(super) struct Live {
    /// Events a second, of all senders.
    pub(super) rate: u32,
    pub(super) listeners: usize,
    pub(super) time: Duration,
}

/// What senders and listeners share.
struct Run<'r> {
    live: &'r Live,
    server: &'r Server,
    started: Stopwatch,
    /// The clock's moment then.
    start: Instant,
    /// By sender: how many events were acknowledged.
    sent: [AtomicU64; SCREENS.len()],
    all_sent: AtomicBool,
    delays: Mutex<Delays>,
    /// Events that some listener was not told of, over all listeners.
    unheard: AtomicU64,
    messages: AtomicU64,
}

impl Live {
    pub(super) fn run(&self, data: &Path) -> Result<Vec<Figure>, Failure> {
        let server = Server::start(data, APP)?;
        let quiet = machine::anonymous_mib(server.id());
        let sockets = self.connect(&server)?;
        let listening = machine::anonymous_mib(server.id());
        let each_kib = (listening - quiet).max(0.0) * 1_024.0 / self.listeners.max(1) as f64;
        let run = Run {
            live: self,
            server: &server,
            started: Stopwatch::now(),
            start: SystemClock.now(),
            sent: Default::default(),
            all_sent: AtomicBool::new(false),
            delays: Mutex::new(Delays::default()),
            unheard: AtomicU64::new(0),
            messages: AtomicU64::new(0),
        };
        let processor = machine::processor_s(server.id());
        let (seconds, memory) = run.all(sockets)?;
        let processor = machine::processor_s(server.id()) - processor;
        let sent: u64 = run.sent.iter().map(|sent| sent.load(Ordering::SeqCst)).sum();
        let counted = run.counted()?;
        let what = format!("live, {} events/s, {} listeners", self.rate, self.listeners);
        let delays = run.delays.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let messages = run.messages.into_inner() as f64 / self.listeners.max(1) as f64;
        let figures = vec![
            delays.figure(Figure::new(format!("{what}: from event to listener"))),
            Figure::new(format!("{what}: what was sent and told"))
                .with("events_per_s", sent as f64 / seconds)
                .with("lost_events", sent.abs_diff(counted) as f64)
                .with("unheard_events", run.unheard.into_inner() as f64)
                .with("messages_per_s_each", messages / seconds)
                .with("server_processors", processor / seconds),
            memory.figure(&what).with("listener_kib", each_kib),
        ];
        Ok(figures)
    }

    fn connect(&self, server: &Server) -> Result<Vec<Socket>, Failure> {
        let token = server.token(APP, "viewer", Some(SHOP))?;
        let path = format!("/ws/metrics?token={token}");
        let connect = |_| {
            let mut socket = Socket::connect(server.address(), &path)?;
            // The state that is there already.
            socket.text()?;
            Ok(socket)
        };
        (0..self.listeners).map(connect).collect()
    }
}

/// The server's anonymous memory while it is measured.
#[derive(Default)]
struct Memory {
    mib: Vec<f64>,
}

impl Memory {
    fn figure(&self, what: &str) -> Figure {
        let at =
            |part: usize| self.mib.get(self.mib.len().saturating_sub(1) * part / 4).copied().unwrap_or(0.0);
        Figure::new(format!("{what}: anonymous memory of the server"))
            .with("mib_at_start", at(0))
            .with("mib_at_quarter", at(1))
            .with("mib_at_half", at(2))
            .with("mib_at_three_quarters", at(3))
            .with("mib_at_end", at(4))
            .with("mib_max", self.mib.iter().copied().fold(0.0, f64::max))
    }
}

impl Run<'_> {
    /// Senders, listeners and a look at the server's memory, side by side; for how long was sent.
    fn all(&self, sockets: Vec<Socket>) -> Result<(f64, Memory), Failure> {
        let sockets: Vec<Mutex<Option<Socket>>> =
            sockets.into_iter().map(|socket| Mutex::new(Some(socket))).collect();
        std::thread::scope(|scope| {
            let watching = scope.spawn(|| {
                let mut memory = Memory::default();
                while !self.all_sent.load(Ordering::SeqCst) {
                    memory.mib.push(machine::anonymous_mib(self.server.id()));
                    std::thread::sleep(SAMPLE);
                }
                memory
            });
            let listening = scope.spawn(|| {
                at_once(sockets.len(), |listener| {
                    let socket = sockets[listener].lock().ok().and_then(|mut socket| socket.take());
                    socket.map_or(Ok(()), |socket| self.listen(socket))
                })
            });
            let sent = at_once(SCREENS.len(), |sender| self.send(sender));
            let seconds = self.started.elapsed().as_secs_f64();
            self.all_sent.store(true, Ordering::SeqCst);
            let fell = |_| Failure::new("a client fell");
            let memory = watching.join().map_err(fell)?;
            let heard = listening.join().map_err(fell)?;
            sent.and(heard).map(|()| (seconds, memory))
        })
    }

    /// Up to which number a sender's events are due so long after the start.
    fn due(&self, sender: usize, after: Duration) -> u64 {
        let all = u128::from(self.live.rate) * after.as_micros() / 1_000_000;
        let all = u64::try_from(all).unwrap_or(u64::MAX);
        let senders = SCREENS.len() as u64;
        all / senders + u64::from(all % senders > sender as u64)
    }

    /// Sends what is due, whether or not the server keeps up.
    fn send(&self, sender: usize) -> Result<(), Failure> {
        let token = self.server.token(APP, "writer", Some(SHOP))?;
        let mut connection = self.server.connect(&token)?;
        let mut sent = 0;
        let mut tick: u32 = 1;
        loop {
            let due_at = (PACE * tick).min(self.live.time);
            std::thread::sleep(due_at.saturating_sub(self.started.elapsed()));
            let due = self.due(sender, due_at);
            while sent < due {
                let until = due.min(sent + LIST_MAX);
                connection.post("/events", &self.list(sender, sent + 1, until))?;
                sent = until;
                self.sent[sender].store(sent, Ordering::SeqCst);
            }
            if due_at == self.live.time {
                return Ok(());
            }
            tick += 1;
        }
    }

    /// Shopper by shopper: the n-th event of each sender is of the n-th visit.
    fn list(&self, sender: usize, first: u64, last: u64) -> String {
        let (screen, next) = SCREENS[sender];
        let event = |number: u64| {
            let exits = screen == "cart" && number.is_multiple_of(EXIT_OF);
            let (kind, next) = if exits { ("exit", "exit") } else { ("navigate", next) };
            let at = Instant::from_micros(self.start.micros() + self.moment(sender, number));
            let shopper = number % SHOPPERS;
            format!(
                "{{\"user_id\":\"shopper-{shopper} (synthetic)\",\"session_id\":\"visit-{number}\",\"screen\":\"{screen}\",\
                \"next_screen\":\"{next}\",\"event_type\":\"{kind}\",\"system_latency\":{number},\"timestamp\":\"{at}\"}}"
            )
        };
        let events: Vec<String> = (first..=last).map(event).collect();
        format!("[{}]", events.join(","))
    }

    /// When an event is, in microseconds after the start.
    fn moment(&self, sender: usize, number: u64) -> i64 {
        let senders = SCREENS.len() as u64;
        let place = (number.saturating_sub(1) * senders + sender as u64 + 1) * 1_000_000;
        i64::try_from(place / u64::from(self.live.rate.max(1))).unwrap_or(i64::MAX)
    }

    /// The moment of the list that an event was to be sent in.
    fn list_moment(&self, sender: usize, number: u64) -> Duration {
        let moment = u64::try_from(self.moment(sender, number)).unwrap_or(0);
        let pace = u64::try_from(PACE.as_micros()).unwrap_or(1);
        Duration::from_micros(moment.div_ceil(pace).max(1) * pace).min(self.live.time)
    }

    /// Hears until it has been told of all that was sent, or nothing comes any more.
    fn listen(&self, mut socket: Socket) -> Result<(), Failure> {
        let mut heard = [0_u64; SCREENS.len()];
        let mut delays = Delays::default();
        let mut ended: Option<Stopwatch> = None;
        loop {
            if self.all_sent.load(Ordering::SeqCst) {
                let left = self.left(&heard);
                let since = *ended.get_or_insert_with(Stopwatch::now);
                if left == 0 || since.elapsed() > PATIENCE {
                    self.unheard.fetch_add(left, Ordering::SeqCst);
                    break;
                }
            }
            let Some(text) = socket.text_within(SAMPLE)? else { continue };
            let now = self.started.elapsed();
            self.messages.fetch_add(1, Ordering::Relaxed);
            let told: Json = serde_json::from_str(&text).map_err(Failure::new)?;
            for (sender, heard) in heard.iter_mut().enumerate() {
                let latest = told["steps"][sender]["latency"]["system"]["latest"].as_f64().unwrap_or(0.0);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a number of an event"
                )]
                let latest = latest as u64;
                for number in *heard + 1..=latest {
                    delays.add(now.saturating_sub(self.list_moment(sender, number)));
                }
                *heard = latest.max(*heard);
            }
        }
        self.delays.lock().unwrap_or_else(std::sync::PoisonError::into_inner).merge(&delays);
        Ok(())
    }

    fn left(&self, heard: &[u64]) -> u64 {
        let sent = self.sent.iter().map(|sent| sent.load(Ordering::SeqCst));
        sent.zip(heard).map(|(sent, heard)| sent.saturating_sub(*heard)).sum()
    }

    /// How many events the shop has.
    fn counted(&self) -> Result<u64, Failure> {
        let token = self.server.token(APP, "admin", Some(SHOP))?;
        let body = r#"{"sql":"SELECT count(*) AS n FROM events"}"#;
        let answer = self.server.connect(&token)?.post("/v1/sql", body)?;
        let json: Json = serde_json::from_slice(&answer).map_err(Failure::new)?;
        json["rows"][0]["n"].as_u64().ok_or_else(|| Failure::new(format_args!("{json} counts no events")))
    }
}
