//! The model family to clone.
