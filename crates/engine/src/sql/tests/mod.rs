mod aliases;
mod conditions;
mod fixture;
mod functions;
mod limits;
mod scope;
mod values;
