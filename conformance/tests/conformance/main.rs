//! Whole models and backends against each other, and what holds them to it: one program, since each costs a link.

mod acceptance;
mod arrows;
mod buckets;
mod conform;
mod device_time;
mod devices;
mod folders;
mod fuzz;
mod golden;
mod golden_packs;
mod inputs;
mod localisation;
mod models;
mod mutation;
mod ops;
mod packing;
mod random_folders;
mod replay;
mod reports;
mod repro;
mod sessions;
mod taps;
mod vanishing;
