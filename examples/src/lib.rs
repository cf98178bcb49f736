//! Four short programs for those who embed Lockstep; see the folder. This library is empty.
