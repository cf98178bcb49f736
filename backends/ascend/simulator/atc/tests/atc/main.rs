//! What atc-sim compiles, as its command line, its files and their values show it.

mod bert;
mod command;
mod damaged;
mod distance;
mod fusions;
mod heads;
mod interpreter;
mod models;
mod operators;
mod precision;
