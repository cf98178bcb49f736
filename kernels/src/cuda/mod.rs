//! The CUDA kernels as PTX, which a driver compiles for its GPU.
//!
//! Sources lie beside their CPU sisters (`layer_norm/layer_norm.cu`), headers here. What is compiled from them is committed in
//! `kernels/ptx`, so that neither building nor running needs CUDA's compiler; `cargo xtask kernels` makes it anew, and a test
//! holds it to the sources.

/// The kernels of one source.
#[derive(Clone, Copy, Debug)]
pub struct Module {
    /// The source's name without its ending.
    pub name: &'static str,
    /// Its PTX, for sm_80 and later.
    pub ptx: &'static str,
}

macro_rules! modules {
    ($($name:literal),+ $(,)?) => {
        &[$(Module { name: $name, ptx: include_str!(concat!("../../ptx/", $name, ".ptx")) }),+]
    };
}

const MODULES: &[Module] = modules![
    "attention",
    "attention_f32",
    "attention_mma",
    "cast",
    "checks",
    "elementwise",
    "embed_layer_norm",
    "gather",
    "gelu",
    "index_add",
    "layer_norm",
    "linear_mma",
    "movement",
    "pooling",
    "product",
    "reduce",
    "softmax",
];

/// Every module.
pub fn modules() -> &'static [Module] {
    MODULES
}

/// The kernels of a module, by name.
pub fn entries(ptx: &str) -> impl Iterator<Item = &str> {
    ptx.lines().filter_map(|line| {
        let (_, name) = line.split_once(".entry ")?;
        Some(name.trim_end_matches('('))
    })
}
