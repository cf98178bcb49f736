//! The backend to clone when the next chip comes. It compiles, opens as `template:0` and refuses every op.
//!
//! What to do, in order:
//! 1. Copy this folder to `backends/NAME`; in its `Cargo.toml` rename the package, in the root's add it to `members` and
//!    `[workspace.dependencies]`.
//! 2. Rename `Template` to your chip's name throughout, and the two names at the top of `device.rs`.
//! 3. `device.rs`: find the chip and open it. `error.rs`: say it well when the driver is not there.
//! 4. `kernels.rs`: the first op. Start with `Reshape`, `Binary(Add)` and `MatMul`; decomposition gives you the rest.
//! 5. `support.rs`: say which dtypes and shapes your kernels take. Refusing is fine; guessing is not.
//! 6. `tests/conformance.rs` runs the conformance suite on `NAME:0`: with each kernel, take the op out of `tests/expectations.toml`.
//!    Hand `NAMEBackend` to the `lockstep` command's list of backends, and `lockstep conform --device NAME` shows the table.
//! 7. Add a `buffer.rs` when the chip has memory of its own; until then host memory does.
//!
//! A backend whose tensors live in a library of their own may implement [`Interpreter`](lockstep_hal::Interpreter)
//! instead of an [`Executable`](lockstep_hal::Executable): the candle backend is the example.

mod device;
mod error;
mod kernels;
mod support;

pub use device::TemplateBackend;
