//! What the environment says, read again by each first `aclInit`:
//!
//! | variable `LOCKSTEP_ASCEND_SIM_...` | value |
//! |---|---|
//! | `NUMERICS` | `published` recipes of the operators, or `exact`: float64, one rounding |
//! | `OVERFLOW` | `infnan`, or `saturation`: infinity becomes the largest finite value, NaN 0 |
//! | `SUBNORMALS` | `kept`, or `flushed` to zero |
//! | `SHUFFLE` | a seed: sums that the device adds in no fixed order are added in an order drawn from it |
//! | `DEVICES` | how many there are, 2 |
//! | `MEMORY` | bytes of each, 64 GiB |
//! | `WORKSPACE` | bytes that every operator asks for beside what it needs, 0; they are overwritten |
//! | `LAYOUT` | `8` or `9`: the release of CANN whose version it tells |
//! | `SOC` | its name, `Ascend910B3-SIM` |
//! | `FAIL` | `aclrtMalloc:3:207001;...`: the third call of the symbol fails with the code |
//! | `LATE` | `aclnnMatmul:2:507015;...`: the operator's second launch faults when it runs; so do runs of `aclmdlExecute...` |
//! | `LEAKS` | the file that `aclFinalize` appends its list of leaks to; else standard error |

use std::ffi::CString;
use std::path::PathBuf;
use std::str::FromStr;

/// Which arithmetic the operators follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numerics {
    /// The published recipes, with their roundings.
    Published,
    /// float64 throughout and one rounding at the store.
    Exact,
}

/// What becomes of results that are too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// IEEE's infinities and NaN.
    InfNan,
    /// The largest finite value, and 0 for NaN.
    Saturation,
}

/// What becomes of subnormal results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subnormals {
    /// They stay.
    Kept,
    /// They become zero of the same sign.
    Flushed,
}

/// Which release of CANN it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// 8.x.
    Cann8,
    /// 9.x.
    Cann9,
}

/// The `nth` time that `symbol` is called or runs, it fails with `code`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Injection {
    /// A C name.
    pub symbol: String,
    /// Counted from 1.
    pub nth: u64,
    /// An `aclError` or `aclnnStatus`.
    pub code: i32,
}

/// All of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// `NUMERICS`.
    pub numerics: Numerics,
    /// `OVERFLOW`; of a launch, as its stream was created with.
    pub overflow: Overflow,
    /// `SUBNORMALS`.
    pub subnormals: Subnormals,
    /// `SHUFFLE`.
    pub shuffle: Option<u64>,
    /// `DEVICES` that `ASCEND_RT_VISIBLE_DEVICES` lets through.
    pub devices: u32,
    /// `MEMORY`, bytes.
    pub memory: u64,
    /// `WORKSPACE`, bytes.
    pub workspace: u64,
    /// `LAYOUT`.
    pub layout: Layout,
    /// `SOC`.
    pub soc: CString,
    /// `FAIL`.
    pub failures: Vec<Injection>,
    /// `LATE`.
    pub late: Vec<Injection>,
    /// `LEAKS`.
    pub leaks: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            numerics: Numerics::Published,
            overflow: Overflow::InfNan,
            subnormals: Subnormals::Kept,
            shuffle: None,
            devices: 2,
            memory: 64 << 30,
            workspace: 0,
            layout: Layout::Cann8,
            soc: c"Ascend910B3-SIM".into(),
            failures: Vec::new(),
            late: Vec::new(),
            leaks: None,
        }
    }
}

impl Settings {
    /// Of the process's environment.
    ///
    /// # Errors
    /// Which variable has which value, and what was expected.
    pub(crate) fn from_environment() -> Result<Self, String> {
        Self::read(|name| std::env::var_os(name).and_then(|value| value.into_string().ok()))
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let own =
            |name: &str| variable(&format!("LOCKSTEP_ASCEND_SIM_{name}")).filter(|value| !value.is_empty());
        let unset = Self::default();
        let devices = number(&own, "DEVICES", unset.devices)?;
        let visible = variable("ASCEND_RT_VISIBLE_DEVICES").filter(|value| !value.is_empty());
        Ok(Self {
            numerics: choice(
                &own,
                "NUMERICS",
                &[("published", Numerics::Published), ("exact", Numerics::Exact)],
            )?,
            overflow: choice(
                &own,
                "OVERFLOW",
                &[("infnan", Overflow::InfNan), ("saturation", Overflow::Saturation)],
            )?,
            subnormals: choice(
                &own,
                "SUBNORMALS",
                &[("kept", Subnormals::Kept), ("flushed", Subnormals::Flushed)],
            )?,
            shuffle: own("SHUFFLE").is_some().then(|| number(&own, "SHUFFLE", 0)).transpose()?,
            devices: visible.map_or(devices, |list| visible_devices(&list, devices)),
            memory: number(&own, "MEMORY", unset.memory)?,
            workspace: number(&own, "WORKSPACE", unset.workspace)?,
            layout: choice(&own, "LAYOUT", &[("8", Layout::Cann8), ("9", Layout::Cann9)])?,
            soc: own("SOC").and_then(|name| CString::new(name).ok()).unwrap_or(unset.soc),
            failures: injections(&own, "FAIL")?,
            late: injections(&own, "LATE")?,
            leaks: own("LEAKS").map(PathBuf::from),
        })
    }
}

/// How many of `devices` a list such as `0,2,3` lets through: it ascends, and ends at the first entry that
/// does not or that no device has.
fn visible_devices(list: &str, devices: u32) -> u32 {
    let mut last = None;
    let visible = list.split(',').map_while(|entry| {
        let device: u32 = entry.trim().parse().ok().filter(|device| *device < devices)?;
        if last.is_some_and(|last| last >= device) {
            return None;
        }
        last = Some(device);
        Some(device)
    });
    visible.count() as u32
}

fn choice<T: Copy>(
    own: &impl Fn(&str) -> Option<String>,
    name: &str,
    values: &[(&str, T)],
) -> Result<T, String> {
    let Some(given) = own(name) else { return Ok(values[0].1) };
    let known = values.iter().find(|(text, _)| *text == given);
    known.map(|(_, value)| *value).ok_or_else(|| {
        let expected: Vec<&str> = values.iter().map(|(text, _)| *text).collect();
        format!("LOCKSTEP_ASCEND_SIM_{name} is {given:?}, expected {}", expected.join(" or "))
    })
}

fn number<T: FromStr>(own: &impl Fn(&str) -> Option<String>, name: &str, unset: T) -> Result<T, String> {
    let Some(given) = own(name) else { return Ok(unset) };
    given.parse().map_err(|_| format!("LOCKSTEP_ASCEND_SIM_{name} is {given:?}, expected a number"))
}

fn injections(own: &impl Fn(&str) -> Option<String>, name: &str) -> Result<Vec<Injection>, String> {
    let Some(given) = own(name) else { return Ok(Vec::new()) };
    let entries = given.split(';').filter(|entry| !entry.trim().is_empty());
    let parse = |entry: &str| {
        let [symbol, nth, code] = entry.trim().split(':').collect::<Vec<_>>().try_into().ok()?;
        Some(Injection { symbol: symbol.to_owned(), nth: nth.parse().ok()?, code: code.parse().ok()? })
    };
    entries
        .map(|entry| {
            parse(entry).ok_or_else(|| {
                format!("LOCKSTEP_ASCEND_SIM_{name} holds {entry:?}, expected SYMBOL:NTH:CODE")
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::read(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_set_is_a_pair_of_910b3_with_published_numerics() {
        let settings = read(&[]).expect("defaults");
        assert_eq!((settings.devices, settings.memory), (2, 64 << 30));
        assert_eq!(settings.numerics, Numerics::Published);
        assert_eq!(settings.overflow, Overflow::InfNan);
        assert_eq!(settings.soc.as_c_str(), c"Ascend910B3-SIM");
        assert_eq!((settings.shuffle, settings.leaks), (None, None));
    }

    #[test]
    fn faults_are_listed_by_symbol_count_and_code() {
        let settings = read(&[("LOCKSTEP_ASCEND_SIM_FAIL", "aclrtMalloc:3:207001;aclnnAdd:2:561002")]);
        let expected = [("aclrtMalloc", 3, 207_001), ("aclnnAdd", 2, 561_002)]
            .map(|(symbol, nth, code)| Injection { symbol: symbol.to_owned(), nth, code });
        assert_eq!(settings.expect("well formed").failures, expected);
    }

    #[test]
    fn a_wrong_value_is_refused_by_name() {
        let refused = read(&[("LOCKSTEP_ASCEND_SIM_NUMERICS", "precise")]).expect_err("unknown");
        assert!(refused.contains("NUMERICS") && refused.contains("published or exact"), "{refused}");
        assert!(read(&[("LOCKSTEP_ASCEND_SIM_LATE", "aclnnAdd:x:1")]).is_err());
        assert!(read(&[("LOCKSTEP_ASCEND_SIM_MEMORY", "lots")]).is_err());
    }

    #[test]
    fn visible_devices_end_at_the_first_that_is_unknown_or_does_not_ascend() {
        for (list, expected) in [("0", 1), ("1,2", 2), ("0,1,2,3", 4), ("2,1", 1), ("0,7,1", 1), ("x", 0)] {
            assert_eq!(visible_devices(list, 4), expected, "{list}");
        }
    }
}
