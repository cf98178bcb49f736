//! The emulated device against the processor, and what is planted in it: one program, since each costs a link of the emulator.

mod bert_small;
mod conformance;
mod edited;
mod faults;
mod fused_products;
mod plan;
mod planted_faults;
mod same_bits_as_the_cpu;
mod tensor_cores;
