//! The real binary, as its users run it.

mod cdnow;
mod ebbtide;
mod import;
mod kill;
mod serve;
