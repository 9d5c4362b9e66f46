//! What lies under the store: the filesystem's contract, the log and the manifest, on a real disk and on
//! one that crashes.

#[cfg(test)]
mod filesystem;
#[cfg(test)]
mod formats;
#[cfg(test)]
mod log_crash;
#[cfg(test)]
mod log_damage;
#[cfg(test)]
mod log_stop;
#[cfg(test)]
mod manifest;
#[cfg(test)]
mod support;
