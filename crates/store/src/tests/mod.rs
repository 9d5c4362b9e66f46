//! The store against a naive model, through restarts, crashes, damage and full disks.

mod crash;
mod damage;
mod family;
mod fixture;
mod harness;
mod kept_columns;
mod model;
mod open;
mod random_operations;
mod rules;
mod threads;
