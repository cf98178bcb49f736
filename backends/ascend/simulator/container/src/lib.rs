//! The files in which `atc-sim`, the simulator's compiler, hands models to the simulator's runtime.
//!
//! On a device this is an `.om`, whose kernels are DaVinci machine code that no processor executes. Ours has the same ending and
//! another magic, so that neither is ever taken for the other: a real `.om` is refused here by name, and CANN refuses ours.
//! It holds steps over views of memory, one list per gear, and says nothing of how a device would compile them.

mod file;
mod model;
mod step;

pub use file::{ALIGNMENT, Error, HUAWEI_MAGIC, MAGIC, MOST_ELEMENTS, read, write};
pub use model::{Constant, DType, Dynamic, Gear, Model, Place, Port, Value};
pub use step::{Binary, Comparison, Operand, Operator, Reduction, Step, Unary};
