//! What clients meet: every way to be refused, and every answer's shape.

#[cfg(test)]
mod access;
#[cfg(test)]
mod answers;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod inputs;
#[cfg(test)]
mod kept;
#[cfg(test)]
mod kept_random;
#[cfg(test)]
mod lifetime;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod rows;
#[cfg(test)]
mod support;
