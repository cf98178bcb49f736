//! What a symbol is, and the two macros that make types, tables and loaders of a list of C signatures.

use crate::libraries::Library;
use core::ffi::{CStr, c_void};

/// A function that one of the vendor's libraries exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Its name, unmangled.
    pub name: &'static CStr,
    /// Who exports it in CANN 8.x; `None` where it does not exist there.
    pub library_8: Option<Library>,
    /// Who exports it in CANN 9.x.
    pub library_9: Library,
}

/// The first releases that declare a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Since {
    /// In 8.1 already.
    Cann8,
    /// In 9.x only.
    Cann9,
}

impl Symbol {
    /// The first releases that declare it.
    pub const fn since(&self) -> Since {
        match self.library_8 {
            Some(_) => Since::Cann8,
            None => Since::Cann9,
        }
    }

    /// Of a name that ends in NUL and the libraries of 8.x, if any, and 9.x. Evaluated at compile time only.
    pub(crate) const fn new(name: &'static str, libraries: &[Library]) -> Self {
        let Ok(name) = CStr::from_bytes_with_nul(name.as_bytes()) else { panic!("a name ends in NUL") };
        match *libraries {
            [library_9] => Self { name, library_8: None, library_9 },
            [library_8, library_9] => Self { name, library_8: Some(library_8), library_9 },
            _ => panic!("one library for 9.x, or one for 8.x and one for 9.x"),
        }
    }
}

/// Phase 2 of every operator: submits it to `stream` and consumes `executor` unless that was made repeatable.
///
/// `workspace` is device memory of the size that phase 1 asked for, and may be null if that is 0. The status
/// tells of the submission alone; what goes wrong on the device is told when the stream is waited for.
pub type ExecuteOp = unsafe extern "C" fn(
    workspace: *mut c_void,
    workspace_size: u64,
    executor: *mut crate::aclOpExecutor,
    stream: crate::aclrtStream,
) -> crate::aclnnStatus;

/// Both phases of an operator; there only if both symbols are.
///
/// Take both from one library: an executor is made for its own phase 2.
#[derive(Clone, Copy, Debug)]
pub struct Op<Prepare> {
    /// Phase 1: checks the arguments, tells the workspace's size in bytes and makes an executor.
    pub prepare: Prepare,
    /// Phase 2: runs it.
    pub execute: ExecuteOp,
}

/// Of `[LIBRARIES] fn NAME(PARAMETERS) -> RESULT;` lines: a function type per name, a struct of optional
/// functions, and the symbols.
macro_rules! functions {
    (
        $(#[$group_doc:meta])* $group:ident;
        $(
            $(#[$doc:meta])*
            [$($library:ident)+] fn $name:ident($($param:ident: $type:ty),* $(,)?) $(-> $result:ty)?;
        )*
    ) => {
        $(
            #[doc = concat!("The type of `", stringify!($name), "`.")]
            #[doc = ""]
            $(#[$doc])*
            pub type $name = unsafe extern "C" fn($($param: $type),*) $(-> $result)?;
        )*

        $(#[$group_doc])*
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $group {
            $(
                #[doc = concat!("`", stringify!($name), "`, if a library has it.")]
                pub $name: Option<$name>,
            )*
        }

        impl $group {
            /// Asks `resolve` for each symbol. What it returns must be the address of a function of that name
            /// with the documented signature; whoever calls the function answers for that.
            pub fn load(
                resolve: &mut dyn FnMut(&$crate::Symbol) -> Option<core::ptr::NonNull<core::ffi::c_void>>,
            ) -> Self {
                use core::{ffi::c_void, ptr::NonNull};
                let mut symbols = SYMBOLS.iter();
                let mut next = || symbols.next().and_then(&mut *resolve);
                Self {
                    $(
                        // SAFETY: a function pointer is a non-null address of the same size; the table gives
                        // its signature.
                        $name: next().map(|address| unsafe {
                            core::mem::transmute::<NonNull<c_void>, $name>(address)
                        }),
                    )*
                }
            }
        }

        /// The group's symbols, in the order of the fields.
        pub const SYMBOLS: &[$crate::Symbol] = &[$(
            $crate::Symbol::new(concat!(stringify!($name), "\0"), &[$($crate::Library::$library),+]),
        )*];
    };
}

/// Of `[LIBRARIES] fn NAMEGetWorkspaceSize(PARAMETERS) then NAME;` lines: a type per phase, a struct of
/// optional [`Op`]s, and the symbols.
///
/// Phase 1 gets the two parameters that all operators end in: where to write the workspace's size and the
/// executor.
macro_rules! operators {
    (
        $(#[$group_doc:meta])* $group:ident;
        $(
            $(#[$doc:meta])*
            [$($library:ident)+] fn $prepare:ident($($param:ident: $type:ty),* $(,)?) then $execute:ident;
        )*
    ) => {
        $(
            #[doc = concat!("Phase 1 of `", stringify!($execute), "`.")]
            #[doc = ""]
            $(#[$doc])*
            pub type $prepare = unsafe extern "C" fn(
                $($param: $type,)*
                workspace_size: *mut u64,
                executor: *mut *mut $crate::aclOpExecutor,
            ) -> $crate::aclnnStatus;

            #[doc = concat!("Phase 2 of `", stringify!($execute), "`.")]
            pub type $execute = $crate::ExecuteOp;
        )*

        $(#[$group_doc])*
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $group {
            $(
                #[doc = concat!("`", stringify!($execute), "`, if a library has both phases.")]
                pub $execute: Option<$crate::Op<$prepare>>,
            )*
        }

        impl $group {
            /// Asks `resolve` for both symbols of each operator. What it returns must be the address of a
            /// function of that name with the documented signature; whoever calls the function answers for
            /// that.
            pub fn load(
                resolve: &mut dyn FnMut(&$crate::Symbol) -> Option<core::ptr::NonNull<core::ffi::c_void>>,
            ) -> Self {
                use core::{ffi::c_void, ptr::NonNull};
                let mut symbols = SYMBOLS.iter();
                let mut next = || symbols.next().and_then(&mut *resolve);
                Self {
                    $(
                        $execute: match (next(), next()) {
                            // SAFETY: a function pointer is a non-null address of the same size; the table
                            // gives both signatures.
                            (Some(prepare), Some(execute)) => Some(unsafe {
                                $crate::Op {
                                    prepare: core::mem::transmute::<NonNull<c_void>, $prepare>(prepare),
                                    execute: core::mem::transmute::<NonNull<c_void>, $execute>(execute),
                                }
                            }),
                            _ => None,
                        },
                    )*
                }
            }
        }

        /// The group's symbols, phase 1 before phase 2, in the order of the fields.
        pub const SYMBOLS: &[$crate::Symbol] = &[$(
            $crate::Symbol::new(concat!(stringify!($prepare), "\0"), &[$($crate::Library::$library),+]),
            $crate::Symbol::new(concat!(stringify!($execute), "\0"), &[$($crate::Library::$library),+]),
        )*];
    };
}

pub(crate) use {functions, operators};
