//! Which libraries there are and in which order they are searched, for both layouts. Nothing is opened or
//! read here: whoever opens them says what the environment and the folders hold.
//!
//! Every library that is found is opened, globally, and a symbol is taken from the first that has it: CANN
//! 9.x may or may not export everything from the library of 8.x, too. If the installation's own folder has
//! any library of a kind, no other is taken of the loader's path, so that two releases, or a device and its
//! simulator, do not mix.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// A library that exports symbols of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Library {
    /// The runtime and models, up to CANN 8.x; kept beside the split ones in 9.x.
    AscendCl,
    /// The runtime in CANN 9.x.
    AclRt,
    /// Models in CANN 9.x.
    AclMdl,
    /// Tensors and executors, in both.
    NnOpBase,
    /// All operators, up to CANN 8.x.
    OpApi,
    /// Arithmetic, reductions and copies in CANN 9.x.
    OpApiMath,
    /// Products, norms, activations and indexing in CANN 9.x.
    OpApiNn,
    /// Attention in CANN 9.x.
    OpApiTransformer,
    /// One of CANN 9.x's operator libraries; which one is not known.
    AnyOpApi,
}

impl Library {
    /// The file's name, a pattern for [`AnyOpApi`](Self::AnyOpApi).
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::AscendCl => "libascendcl.so",
            Self::AclRt => "libacl_rt.so",
            Self::AclMdl => "libacl_mdl.so",
            Self::NnOpBase => "libnnopbase.so",
            Self::OpApi => "libopapi.so",
            Self::OpApiMath => "libopapi_math.so",
            Self::OpApiNn => "libopapi_nn.so",
            Self::OpApiTransformer => "libopapi_transformer.so",
            Self::AnyOpApi => "libopapi_*.so",
        }
    }
}

/// The runtime and models: the split libraries of CANN 9.x, then the one of 8.x.
pub const ACL: &[&str] = &["libacl_rt.so", "libacl_mdl.so", "libacl_op_executor.so", "libascendcl.so"];
/// Tensors and executors.
pub const NNOPBASE: &str = "libnnopbase.so";
/// The operators: the split libraries of CANN 9.x that are known, then the one of 8.x.
pub const OPERATORS: &[&str] =
    &["libopapi_math.so", "libopapi_nn.so", "libopapi_transformer.so", "libopapi.so"];
/// Operators that users or vendors added, below a package's folder.
pub const CUSTOM_OPERATORS: &str = "op_api/lib/libcust_opapi.so";

/// The folders of an installation, as CANN's `set_env.sh` exports them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installation {
    /// `ASCEND_HOME_PATH`, else `ASCEND_TOOLKIT_HOME`.
    pub home: Option<PathBuf>,
    /// `ASCEND_OPP_PATH`: the operator package.
    pub operators: Option<PathBuf>,
    /// `ASCEND_CUSTOM_OPP_PATH`: packages of users' operators, first ones first.
    pub custom_operators: Vec<PathBuf>,
}

impl Installation {
    /// Of an environment, given as a look-up such as `std::env::var_os`. Empty values count as unset.
    pub fn from_environment(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let folder = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self {
            home: folder("ASCEND_HOME_PATH").or_else(|| folder("ASCEND_TOOLKIT_HOME")),
            operators: folder("ASCEND_OPP_PATH"),
            custom_operators: variable("ASCEND_CUSTOM_OPP_PATH")
                .iter()
                .flat_map(std::env::split_paths)
                .filter(|path| !path.as_os_str().is_empty())
                .collect(),
        }
    }

    /// Where the libraries are.
    pub fn library_folder(&self) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.join("lib64"))
    }

    /// The file that lists the vendors whose operators are built in, for [`vendors`].
    pub fn vendor_list(&self) -> Option<PathBuf> {
        self.operators.as_ref().map(|operators| operators.join("vendors/config.ini"))
    }

    /// The runtime's and models' libraries to open, in the order in which symbols are looked up; `found` are
    /// the names of the files in [`library_folder`](Self::library_folder).
    pub fn acl(&self, found: &[&str]) -> Vec<PathBuf> {
        self.locate(ACL.iter().filter(|name| found.contains(name)).copied(), ACL)
    }

    /// The library of tensors and executors; `found` as for [`acl`](Self::acl).
    pub fn nnopbase(&self, found: &[&str]) -> Vec<PathBuf> {
        self.locate(found.iter().filter(|name| **name == NNOPBASE).copied(), &[NNOPBASE])
    }

    /// The operators' libraries, in the order in which symbols are looked up: users' own, the vendors' of
    /// `vendors`, every `libopapi_*.so` by name, `libopapi.so`; `found` as for [`acl`](Self::acl).
    pub fn operators(&self, vendors: &[&str], found: &[&str]) -> Vec<PathBuf> {
        let vendors = vendors.iter().filter_map(|vendor| {
            Some(self.operators.as_ref()?.join("vendors").join(vendor).join(CUSTOM_OPERATORS))
        });
        let custom = self.custom_operators.iter().map(|package| package.join(CUSTOM_OPERATORS));
        let mut split: Vec<&str> = (found.iter().copied())
            .filter(|name| name.starts_with("libopapi_") && name.ends_with(".so"))
            .collect();
        split.sort_unstable();
        let whole = found.iter().copied().filter(|name| *name == "libopapi.so");
        custom.chain(vendors).chain(self.locate(split.into_iter().chain(whole), OPERATORS)).collect()
    }

    /// What the installation's folder has, or else `names` by the loader's path.
    fn locate<'a>(&self, own: impl Iterator<Item = &'a str>, names: &[&str]) -> Vec<PathBuf> {
        let own: Vec<PathBuf> =
            self.library_folder().map_or_else(Vec::new, |folder| own.map(|name| folder.join(name)).collect());
        if own.is_empty() { names.iter().map(PathBuf::from).collect() } else { own }
    }
}

/// The vendors in a `vendors/config.ini`, first ones first: `load_priority=NAME,NAME`. What is not a plain
/// folder name is left out.
pub fn vendors(config: &str) -> Vec<&str> {
    let list = config
        .lines()
        .find_map(|line| line.trim().strip_prefix("load_priority")?.trim_start().strip_prefix('='));
    list.unwrap_or_default().split(',').map(str::trim).filter(|name| is_folder_name(name)).collect()
}

fn is_folder_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!((components.next(), components.next()), (Some(Component::Normal(first)), None) if first == name)
}
