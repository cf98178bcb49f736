//! The operators: each checks in phase 1 as documented and computes in phase 2.

mod elementwise;
