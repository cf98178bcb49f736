//! Arrays of integers, floats and booleans, and lists of scalars; all are copied when they are created.

use crate::exports::exports;
use crate::meta::executor::Refusal;
use crate::meta::scalar::{SCALARS, Scalar};
use crate::meta::tensor::values;
use crate::registry::{Registry, as_pointer};
use crate::runtime::errors::Failure;
use lockstep_ascend_abi::{aclBoolArray, aclFloatArray, aclIntArray, aclScalar, aclScalarList};

static INT_ARRAYS: Registry<Vec<i64>> = Registry::new(4);
static FLOAT_ARRAYS: Registry<Vec<f32>> = Registry::new(5);
static BOOL_ARRAYS: Registry<Vec<bool>> = Registry::new(6);
static SCALAR_LISTS: Registry<ScalarList> = Registry::new(7);

/// Scalars of a list, which destroys them.
struct ScalarList(Vec<usize>);

/// The integers of the parameter `name`, for an operator's plan.
///
/// # Errors
/// 161001 if it is null or not alive.
pub(crate) fn integers_of(array: *const aclIntArray, name: &str) -> Result<Vec<i64>, Refusal> {
    if array.is_null() {
        return Err(Refusal::null(name));
    }
    let alive = INT_ARRAYS.get(array).map(|array| array.as_ref().clone());
    alive.ok_or_else(|| Refusal::new(161_001, format!("{name} is not an array that is alive")))
}

/// Live arrays and lists of scalars.
pub(crate) fn count() -> usize {
    INT_ARRAYS.count() + FLOAT_ARRAYS.count() + BOOL_ARRAYS.count() + SCALAR_LISTS.count()
}

/// The live ones, one line each.
pub(crate) fn leaks() -> Vec<String> {
    let integers = INT_ARRAYS.all().into_iter().map(|array| format!("{array:?} by aclCreateIntArray"));
    let floats = FLOAT_ARRAYS.all().into_iter().map(|array| format!("{array:?} by aclCreateFloatArray"));
    let booleans = BOOL_ARRAYS.all().into_iter().map(|array| format!("{array:?} by aclCreateBoolArray"));
    let lists = SCALAR_LISTS.all().into_iter();
    let lists = lists.map(|list| format!("a list of {} scalars by aclCreateScalarList", list.0.len()));
    integers.chain(floats).chain(booleans).chain(lists).collect()
}

/// The length of a live array.
fn length<T, P>(registry: &Registry<Vec<T>>, array: *const P) -> Result<u64, Failure> {
    if array.is_null() {
        return Err(Failure::new(161_001, "parameter array is NULL"));
    }
    let alive = registry.get(array).map(|array| array.len() as u64);
    alive.ok_or_else(|| Failure::new(561_103, "array is not one that is alive"))
}

fn destroy<T, P>(registry: &Registry<T>, array: *const P) -> Result<(), Failure> {
    if array.is_null() {
        return Err(Failure::new(161_001, "parameter array is NULL"));
    }
    let removed = registry.remove(array);
    removed.map(drop).ok_or_else(|| Failure::new(561_103, "array is not one that is alive"))
}

exports! { meta;
    fn aclCreateIntArray(value: *const i64, size: u64) -> *mut aclIntArray, or core::ptr::null_mut(), {
        // SAFETY: ACL's contract on the array.
        Ok(as_pointer(INT_ARRAYS.add(unsafe { values(value, size, "value") }?)))
    }

    fn aclCreateFloatArray(value: *const f32, size: u64) -> *mut aclFloatArray, or core::ptr::null_mut(), {
        // SAFETY: ACL's contract on the array.
        Ok(as_pointer(FLOAT_ARRAYS.add(unsafe { values(value, size, "value") }?)))
    }

    fn aclCreateBoolArray(value: *const bool, size: u64) -> *mut aclBoolArray, or core::ptr::null_mut(), {
        // SAFETY: ACL's contract on the array; as bytes, since C may hold any value in a bool.
        let bytes = unsafe { values(value.cast::<u8>(), size, "value") }?;
        Ok(as_pointer(BOOL_ARRAYS.add(bytes.into_iter().map(|byte| byte != 0).collect())))
    }

    fn aclDestroyIntArray(array: *const aclIntArray) {
        destroy(&INT_ARRAYS, array)
    }

    fn aclDestroyFloatArray(array: *const aclFloatArray) {
        destroy(&FLOAT_ARRAYS, array)
    }

    fn aclDestroyBoolArray(array: *const aclBoolArray) {
        destroy(&BOOL_ARRAYS, array)
    }

    fn aclGetIntArraySize(array: *const aclIntArray, size: *mut u64) writes(size) {
        size.write(length(&INT_ARRAYS, array)?);
        Ok(())
    }

    fn aclGetFloatArraySize(array: *const aclFloatArray, size: *mut u64) writes(size) {
        size.write(length(&FLOAT_ARRAYS, array)?);
        Ok(())
    }

    fn aclGetBoolArraySize(array: *const aclBoolArray, size: *mut u64) writes(size) {
        size.write(length(&BOOL_ARRAYS, array)?);
        Ok(())
    }

    fn aclCreateScalarList(
        value: *const *const aclScalar, size: u64,
    ) -> *mut aclScalarList, or core::ptr::null_mut(), {
        // SAFETY: ACL's contract on the array.
        let scalars = unsafe { values(value, size, "value") }?;
        if scalars.iter().any(|scalar| SCALARS.get(*scalar).is_none()) {
            return Err(Failure::new(561_103, "value holds a scalar that is not alive"));
        }
        let handles = scalars.iter().map(|scalar| scalar.addr()).collect();
        Ok(as_pointer(SCALAR_LISTS.add(ScalarList(handles))))
    }

    fn aclDestroyScalarList(list: *const aclScalarList) {
        let list = SCALAR_LISTS.remove(list);
        let list = list.ok_or_else(|| Failure::new(561_103, "list is not a scalar list that is alive"))?;
        for handle in &list.0 {
            SCALARS.remove(as_pointer::<Scalar>(*handle));
        }
        Ok(())
    }

    fn aclGetScalarListSize(list: *const aclScalarList, size: *mut u64) writes(size) {
        let list = SCALAR_LISTS.get(list);
        let list = list.ok_or_else(|| Failure::new(561_103, "list is not a scalar list that is alive"))?;
        size.write(list.0.len() as u64);
        Ok(())
    }
}
