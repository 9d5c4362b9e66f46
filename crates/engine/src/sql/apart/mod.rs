//! A statement in a process of its own: one that can be killed whatever it does, with a limit to its memory,
//! whose end hurts nobody else. What a caller wrote is parsed, planned and run there and nowhere else.
//!
//! The process opens no file of the data folder and holds no rows but those that it asks for: batch by batch,
//! over its standard input and output, of the tables that the one who started it hands to this statement's
//! scope. It is used for one statement, and killed after it; a pipe that ends is its end, too.

mod conduct;
mod frames;
mod handed;
mod launch;
mod messages;
mod serve_one;

pub(super) use conduct::conduct;
pub(super) use handed::{Handed, HandedRows};
pub use launch::{Launch, ProcessNumbers, ProcessSettings, ProcessTask};
pub(super) use launch::{Processes, StopOnDrop};
pub use serve_one::serve_one;
