//! What kernels take of a GPU, as the assembler says when it is asked to (`--ptxas-options=-v`).

/// What one kernel takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Its name.
    pub kernel: String,
    /// Registers of a thread.
    pub registers: u32,
    /// Bytes of a thread that found no register and are written to memory.
    pub spilled_bytes: u32,
}

/// Of every kernel that the assembler's words name. What a function spills that a kernel calls is the kernel's.
pub fn usages(log: &str) -> Vec<Usage> {
    let mut found: Vec<Usage> = Vec::new();
    for line in log.lines() {
        if let Some((_, rest)) = line.split_once("Compiling entry function '") {
            let kernel = rest.split('\'').next().unwrap_or(rest).to_owned();
            found.push(Usage { kernel, registers: 0, spilled_bytes: 0 });
        } else if let Some(kernel) = found.last_mut() {
            kernel.registers = number_before(line, " registers").unwrap_or(kernel.registers);
            kernel.spilled_bytes += number_before(line, " bytes spill stores").unwrap_or(0);
        }
    }
    found
}

fn number_before(line: &str, words: &str) -> Option<u32> {
    let (before, _) = line.split_once(words)?;
    before.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Usage, usages};

    #[test]
    fn registers_and_spills_are_of_the_kernel_they_follow() {
        let log = "\
ptxas info    : 304 bytes gmem
ptxas info    : Compiling entry function 'cast' for 'sm_90'
ptxas info    : Function properties for cast
ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 24 registers
ptxas info    : Function properties for __internal_accurate_pow
ptxas         .     0 bytes stack frame, 4 bytes spill stores, 0 bytes spill loads
ptxas info    : Compiling entry function 'index_add_sort' for 'sm_90'
ptxas info    : Function properties for index_add_sort
ptxas         .     8 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 32 registers, 16384 bytes smem
";
        let usage = |kernel: &str, registers, spilled_bytes| Usage {
            kernel: kernel.into(),
            registers,
            spilled_bytes,
        };
        assert_eq!(usages(log), [usage("cast", 24, 4), usage("index_add_sort", 32, 8)]);
    }
}
