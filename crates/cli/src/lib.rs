//! The lockstep command: a thin shell over the libraries.
