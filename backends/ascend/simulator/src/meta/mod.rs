//! What operators take, and the executors that they make.

pub(crate) mod arrays;
pub(crate) mod executor;
mod launch;
mod repeat;
pub(crate) mod scalar;
pub(crate) mod tensor;
#[cfg(test)]
mod tests;

use crate::exports::exports;
use core::ffi::c_char;

exports! { meta;
    fn aclnnInit(_config_path: *const c_char) {
        Ok(())
    }

    fn aclnnFinalize() {
        Ok(())
    }
}
