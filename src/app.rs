//! Everything put together.
