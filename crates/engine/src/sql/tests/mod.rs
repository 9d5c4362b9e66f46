mod aliases;
mod conditions;
mod fixture;
mod functions;
mod limits;
mod open;
mod scope;
mod values;
