//! The rules that the simulator keeps, one test each, driven wrongly in the fashion of C.
//!
//! A test whose comment says "our choice" holds a rule that no document states.

mod blocked;
mod buffers;
mod captures;
mod contexts;
mod copies;
mod events;
mod executors;
mod faults;
mod harness;
mod identity;
mod leaks;
mod names;
mod offline;
mod start;
mod streams;
