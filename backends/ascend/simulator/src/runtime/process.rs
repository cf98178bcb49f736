//! The process: its settings.

use crate::runtime::lock;
use crate::runtime::settings::Settings;
use std::sync::{Arc, LazyLock, Mutex};

static SETTINGS: LazyLock<Mutex<Result<Arc<Settings>, String>>> =
    LazyLock::new(|| Mutex::new(Settings::from_environment().map(Arc::new)));

/// What the environment said; the defaults' values if it was wrong, which `aclInit` refuses.
pub(crate) fn settings() -> Arc<Settings> {
    match &*lock(&SETTINGS) {
        Ok(settings) => settings.clone(),
        Err(_) => Arc::new(Settings::default()),
    }
}
