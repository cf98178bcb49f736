//! The conformance suite on any number of devices, with what was not run.

use super::html::{self, Error, Page};
use super::junit;
use crate::conform::Conformance;
use minijinja::{Value, context, value::Serde};
use serde::Serialize;

/// A device that was asked for and is not there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Absent {
    /// The backend.
    pub backend: String,
    /// Always NOT-RUN: an absent device passes nothing.
    pub verdict: &'static str,
    /// Why it is not there.
    pub reason: String,
}

/// Everything that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SuiteReport {
    /// Counts changes that break the readers of its JSON.
    pub schema: &'static str,
    /// The version of Lockstep.
    pub version: &'static str,
    /// The command line that does it again.
    pub command: String,
    /// The devices that were tested.
    pub devices: Vec<Conformance>,
    /// Those that were not.
    pub not_run: Vec<Absent>,
    /// Expectations that nothing met.
    pub stale_expectations: Vec<String>,
}

impl SuiteReport {
    /// The version of its JSON.
    pub const SCHEMA: &'static str = "lockstep-conform/2";

    /// The report of a run; `absent` are backends with the reason why they are not there.
    pub fn new(
        devices: Vec<Conformance>,
        absent: Vec<(String, String)>,
        stale_expectations: Vec<String>,
        command: String,
    ) -> Self {
        let not_run =
            absent.into_iter().map(|(backend, reason)| Absent { backend, verdict: "NOT-RUN", reason });
        Self {
            schema: Self::SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            command,
            devices,
            not_run: not_run.collect(),
            stale_expectations,
        }
    }

    /// A suite for each device, absent ones among them.
    pub fn suites(&self) -> Vec<junit::Suite> {
        let absent = self.not_run.iter().map(|absent| junit::Suite::absent(&absent.backend, &absent.reason));
        self.devices.iter().map(Conformance::suite).chain(absent).collect()
    }
}

impl Page for SuiteReport {
    fn html(&self) -> Result<String, Error> {
        let devices = self.devices.iter().map(|device| {
            let rows = device.by_op().into_iter().map(|((op, dtype), summary)| {
                let colour = super::charts::colour(Some(summary.of_worst_case));
                context! { op, dtype => dtype.to_string(), colour, summary => Value::from(Serde(summary)) }
            });
            let headline = device.headline();
            context! {
                holds => headline.starts_with("CONFORMS"),
                fails => headline.starts_with("FAILS"),
                headline,
                failures => device.failures(),
                rows => rows.collect::<Vec<Value>>(),
                all => Value::from(Serde(device.overall())),
            }
        });
        html::render("conform.html", self, context! { devices => devices.collect::<Vec<Value>>() })
    }
}
