//! C's enumerations as newtypes over `i32`, since values come from C and may be newer than this crate.

#![allow(non_camel_case_types)]

mod data;
mod memory;
mod model;
mod process;
mod stream;

pub use data::*;
pub use memory::*;
pub use model::*;
pub use process::*;
pub use stream::*;

/// Of `SHORT = VALUE, "C's name";` lines: a newtype with the values as constants, and a way back to C's name.
macro_rules! enumeration {
    ($(#[$doc:meta])* $name:ident; $($(#[$value_doc:meta])* $short:ident = $value:literal, $c:literal;)*) => {
        $(#[$doc])*
        #[repr(transparent)]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(
            /// C's value.
            pub i32,
        );

        impl $name {
            $(
                #[doc = concat!("C's `", $c, "`.")]
                $(#[$value_doc])*
                pub const $short: Self = Self($value);
            )*

            /// Every value with its name in C.
            pub const ALL: &[(Self, &str)] = &[$((Self($value), $c)),*];

            /// Its name in C, unless it is newer than this crate.
            pub fn name(self) -> Option<&'static str> {
                Self::ALL.iter().find(|(value, _)| *value == self).map(|(_, name)| *name)
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "{}({})", stringify!($name), self.0),
                }
            }
        }
    };
}
use enumeration;
