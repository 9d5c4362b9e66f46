mod aliases;
mod fixture;
mod functions;
mod limits;
mod scope;
mod values;
