//! The two macros that write exports: each checks its signature against the declared type, keeps panics from
//! crossing into C, and lets `LOCKSTEP_ASCEND_SIM_FAIL` make a call fail.

use crate::runtime::errors::Failure;
use core::mem::MaybeUninit;
use lockstep_ascend_abi as abi;

/// Where C's caller wants a result.
///
/// # Errors
/// 100000 naming `name` if it is null.
///
/// # Safety
/// If not null, `pointer` is valid for one write of `T` until the call returns.
pub(crate) unsafe fn result_place<'a, T>(
    pointer: *mut T,
    name: &str,
) -> Result<&'a mut MaybeUninit<T>, Failure> {
    // SAFETY: the caller's promise; `MaybeUninit` asks for no initialised content.
    let place = unsafe { pointer.cast::<MaybeUninit<T>>().as_mut() };
    place.ok_or_else(|| Failure::null(name))
}

/// Functions of a group of `lockstep-ascend-abi`. `fn NAME(PARAMETERS) writes(RESULTS) { BODY }`: the body
/// gives `Result<(), Failure>`, and the results are places that are not null. With `-> T or DEFAULT`, the body
/// gives `Result<T, Failure>`, and a failure returns the default.
macro_rules! exports {
    ($group:ident;) => {};
    (
        $group:ident;
        $(#[$attribute:meta])*
        fn $name:ident($($param:ident: $type:ty),* $(,)?) $(writes($($result:ident),+))? $body:block
        $($rest:tt)*
    ) => {
        $(#[$attribute])*
        #[unsafe(no_mangle)]
        #[allow(non_snake_case)]
        unsafe extern "C" fn $name($($param: $type),*) -> lockstep_ascend_abi::aclError {
            let outcome = $crate::runtime::errors::call(stringify!($name), move || {
                $($(
                    // SAFETY: ACL's contract: a result's pointer is null or valid for the call.
                    let $result = unsafe {
                        $crate::exports::result_place($result, stringify!($result))
                    }?;
                )+)?
                $body
            });
            match outcome {
                Ok(()) => 0,
                Err(code) => code,
            }
        }
        const _: lockstep_ascend_abi::$group::$name = $name;
        exports! { $group; $($rest)* }
    };
    (
        $group:ident;
        $(#[$attribute:meta])*
        fn $name:ident($($param:ident: $type:ty),* $(,)?) -> $returns:ty, or $default:expr, $body:block
        $($rest:tt)*
    ) => {
        $(#[$attribute])*
        #[unsafe(no_mangle)]
        #[allow(non_snake_case)]
        unsafe extern "C" fn $name($($param: $type),*) -> $returns {
            let outcome: Result<$returns, i32> =
                $crate::runtime::errors::call(stringify!($name), move || $body);
            outcome.unwrap_or($default)
        }
        const _: lockstep_ascend_abi::$group::$name = $name;
        exports! { $group; $($rest)* }
    };
}

/// Both phases of operators of a group of `lockstep_ascend_abi::ops`:
/// `fn NAMEGetWorkspaceSize(PARAMETERS) then NAME takes [OPERANDS] plans |tensors| { PLAN }`. The operands are
/// the tensors in the order of phase 1; the plan checks them and gives `Result<Planned, Refusal>`.
macro_rules! operators {
    ($group:ident; $(
        $(#[$attribute:meta])*
        fn $prepare:ident($($param:ident: $type:ty),* $(,)?) then $execute:ident
        takes [$($operand:expr),* $(,)?] plans |$tensors:pat_param| $plan:block
    )*) => {$(
        $(#[$attribute])*
        #[unsafe(no_mangle)]
        #[allow(non_snake_case, clippy::too_many_arguments)]
        unsafe extern "C" fn $prepare(
            $($param: $type,)*
            workspace_size: *mut u64,
            executor: *mut *mut lockstep_ascend_abi::aclOpExecutor,
        ) -> lockstep_ascend_abi::aclnnStatus {
            $crate::meta::executor::prepare(
                stringify!($prepare),
                &[$($operand),*],
                workspace_size,
                executor,
                |$tensors| $plan,
            )
        }
        const _: lockstep_ascend_abi::ops::$group::$prepare = $prepare;

        #[unsafe(no_mangle)]
        #[allow(non_snake_case)]
        unsafe extern "C" fn $execute(
            workspace: *mut core::ffi::c_void,
            workspace_size: u64,
            executor: *mut lockstep_ascend_abi::aclOpExecutor,
            stream: lockstep_ascend_abi::aclrtStream,
        ) -> lockstep_ascend_abi::aclnnStatus {
            $crate::meta::executor::execute(stringify!($execute), workspace, workspace_size, executor, stream)
        }
        const _: lockstep_ascend_abi::ops::$group::$execute = $execute;
    )*};
}

pub(crate) use {exports, operators};

/// What a panic inside a call becomes.
pub(crate) fn panic_code(symbol: &str) -> i32 {
    let is_meta = abi::meta::SYMBOLS.iter().any(|known| known.name.to_bytes() == symbol.as_bytes());
    if is_meta || symbol.starts_with("aclnn") { 561_000 } else { 500_000 }
}
