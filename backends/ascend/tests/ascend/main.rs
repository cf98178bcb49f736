//! The backend over the simulator, in one program: what the libraries keep is a process's own, so that what needs it for itself runs
//! this program again ([`child`]).

mod bert_small;
mod child;
mod conformance;
mod counts;
mod faults;
mod layouts;
mod memory;
mod offline;
mod porting;
mod products;
