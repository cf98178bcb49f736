//! Options of the process and of contexts, and what half precision does when it overflows.

use crate::exports::exports;
use crate::runtime::errors::Failure;
use crate::runtime::settings::Overflow;
use crate::runtime::{context, device, lock};
use lockstep_ascend_abi::{aclSysParamOpt, aclrtFloatOverflowMode};
use std::collections::BTreeMap;
use std::sync::Mutex;

static OPTIONS: Mutex<BTreeMap<aclSysParamOpt, i64>> = Mutex::new(BTreeMap::new());

/// An option of the process, if it was set.
pub(crate) fn of_process(option: aclSysParamOpt) -> Option<i64> {
    lock(&OPTIONS).get(&option).copied()
}

fn check(option: aclSysParamOpt, value: i64) -> Result<(), Failure> {
    let allowed = match option {
        aclSysParamOpt::DETERMINISTIC => 0..=3,
        aclSysParamOpt::ENABLE_DEBUG_KERNEL | aclSysParamOpt::STRONG_CONSISTENCY => 0..=1,
        _ => return Err(Failure::refused(format!("opt is {option:?}, which does not exist"))),
    };
    match allowed.contains(&value) {
        true => Ok(()),
        false => Err(Failure::refused(format!("{option:?} is {value}, expected {allowed:?}"))),
    }
}

fn unset(option: aclSysParamOpt) -> Failure {
    Failure::new(107_021, format!("{option:?} was not set"))
}

exports! { runtime;
    fn aclrtSetSysParamOpt(opt: aclSysParamOpt, value: i64) {
        check(opt, value)?;
        lock(&OPTIONS).insert(opt, value);
        Ok(())
    }

    fn aclrtGetSysParamOpt(opt: aclSysParamOpt, value: *mut i64) writes(value) {
        check(opt, 0)?;
        value.write(of_process(opt).ok_or_else(|| unset(opt))?);
        Ok(())
    }

    fn aclrtCtxSetSysParamOpt(opt: aclSysParamOpt, value: i64) {
        let context = context::current()?;
        check(opt, value)?;
        lock(&context.options).insert(opt, value);
        Ok(())
    }

    fn aclrtCtxGetSysParamOpt(opt: aclSysParamOpt, value: *mut i64) writes(value) {
        let context = context::current()?;
        check(opt, 0)?;
        let set = lock(&context.options).get(&opt).copied();
        value.write(set.ok_or_else(|| unset(opt))?);
        Ok(())
    }

    fn aclrtSetDeviceSatMode(mode: aclrtFloatOverflowMode) {
        let context = context::current()?;
        let overflow = match mode {
            aclrtFloatOverflowMode::SATURATION => Overflow::Saturation,
            aclrtFloatOverflowMode::INFNAN => Overflow::InfNan,
            _ => return Err(Failure::refused(format!("mode is {mode:?}, expected saturation or inf/nan"))),
        };
        device::set_overflow(context.device, overflow);
        Ok(())
    }

    fn aclrtGetDeviceSatMode(mode: *mut aclrtFloatOverflowMode) writes(mode) {
        mode.write(match device::overflow(context::current()?.device) {
            Overflow::Saturation => aclrtFloatOverflowMode::SATURATION,
            Overflow::InfNan => aclrtFloatOverflowMode::INFNAN,
        });
        Ok(())
    }
}
