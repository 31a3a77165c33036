//! Load, validate, and hand each room its settings.
