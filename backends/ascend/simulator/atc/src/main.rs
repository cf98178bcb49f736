//! `atc-sim`: see `atc-sim --help`.

fn main() {}
