mod fixture;
mod limits;
mod scope;
mod values;
