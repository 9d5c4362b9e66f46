//! As much of a WebSocket's client as it takes to listen: RFC 6455.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::failure::Failure;

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
/// How long a message that has begun may take to come.
const REST_MAX: Duration = Duration::from_secs(60);
/// A server's message is read up to this size.
const MESSAGE_BYTES_MAX: u64 = 16 << 20;

pub(super) struct Socket {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::new(format_args!("a socket to the server broke: {error}"))
}

impl Socket {
    pub(super) fn connect(address: &str, path: &str) -> Result<Self, Failure> {
        let mut stream = TcpStream::connect(address).map_err(broken)?;
        stream.set_nodelay(true).map_err(broken)?;
        stream.set_read_timeout(Some(REST_MAX)).map_err(broken)?;
        // The key proves nothing here: nobody stands between.
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ZWJidGlkZSBiZW5jaCBsaQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).map_err(broken)?;
        let mut reader = BufReader::with_capacity(4 << 10, stream.try_clone().map_err(broken)?);
        let mut line = String::new();
        reader.read_line(&mut line).map_err(broken)?;
        if line.split_whitespace().nth(1) != Some("101") {
            return Err(Failure::new(format_args!("a listener was answered {}", line.trim())));
        }
        while !line.trim().is_empty() {
            line.clear();
            reader.read_line(&mut line).map_err(broken)?;
        }
        Ok(Self { stream, reader })
    }

    /// The next message.
    pub(super) fn text(&mut self) -> Result<String, Failure> {
        loop {
            if let Some(text) = self.text_within(REST_MAX)? {
                return Ok(text);
            }
        }
    }

    /// The next message; `None` where none begins within this time.
    pub(super) fn text_within(&mut self, time: Duration) -> Result<Option<String>, Failure> {
        loop {
            self.stream.set_read_timeout(Some(time)).map_err(broken)?;
            match self.reader.fill_buf() {
                Ok([]) => return Err(broken("it was closed")),
                Ok(_) => {}
                Err(error) if is_timeout(&error) => return Ok(None),
                Err(error) => return Err(broken(error)),
            }
            self.stream.set_read_timeout(Some(REST_MAX)).map_err(broken)?;
            match self.frame().map_err(broken)? {
                (TEXT, payload) => return String::from_utf8(payload).map(Some).map_err(broken),
                (PING, payload) => self.pong(&payload).map_err(broken)?,
                (CLOSE, payload) => {
                    let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default()).into_owned();
                    return Err(broken(format_args!("the server closed it: {reason}")));
                }
                _ => {}
            }
        }
    }

    /// What kind of frame it is, and what is in it. A server's are whole, and not masked.
    fn frame(&mut self) -> std::io::Result<(u8, Vec<u8>)> {
        let [first, second] = self.bytes()?;
        let length = match second & 0x7f {
            126 => u64::from(u16::from_be_bytes(self.bytes()?)),
            127 => u64::from_be_bytes(self.bytes()?),
            short => u64::from(short),
        };
        let length = usize::try_from(length.min(MESSAGE_BYTES_MAX)).unwrap_or(0);
        let mut payload = vec![0; length];
        self.reader.read_exact(&mut payload)?;
        Ok((first & 0x0f, payload))
    }

    fn bytes<const N: usize>(&mut self) -> std::io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// A client's frames are masked; with zeros they stay as they are.
    fn pong(&mut self, payload: &[u8]) -> std::io::Result<()> {
        let length = u8::try_from(payload.len().min(125)).unwrap_or(0);
        let mut frame = vec![0x80 | PONG, 0x80 | length, 0, 0, 0, 0];
        frame.extend_from_slice(&payload[..usize::from(length)]);
        self.stream.write_all(&frame)
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}
