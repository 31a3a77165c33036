//! A Meet API to try things on.
