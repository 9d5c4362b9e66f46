//! The real binary, as its users run it.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "these tests make, break and fill files themselves")]

mod cdnow;
mod ebbtide;
mod import;
mod kill;
mod serve;
