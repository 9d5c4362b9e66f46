//! Behavioural queries against a naive engine over plain vectors, and against cases with known answers.

#[cfg(test)]
mod cases;
#[cfg(test)]
mod churn;
#[cfg(test)]
mod driver;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod preceding;
#[cfg(test)]
mod random;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod stop;
#[cfg(test)]
mod trend;
#[cfg(test)]
mod world;
