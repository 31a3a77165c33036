//! A macro for enums whose variants each have one fixed name in rows, labels, filters and JSON.

/// Defines an enum with one string per variant, and from that list:
///
/// - `ALL`, every variant in the order of declaration;
/// - `as_str`, the string of a variant;
/// - `parse`, the variant of a string, or `None`.
///
/// Attributes, doc comments and derives are kept. Serde's names are not derived from the strings, because not every such
/// enum is serialized: derive and rename as for any other enum.
///
/// ```
/// meetwatch::string_enum! {
///     /// Which way.
///     #[derive(Debug, Clone, Copy, PartialEq, Eq)]
///     pub enum Direction {
///         In = "in",
///         Out = "out",
///     }
/// }
/// assert_eq!(Direction::ALL.map(Direction::as_str), ["in", "out"]);
/// assert_eq!(Direction::parse("out"), Some(Direction::Out));
/// assert_eq!(Direction::parse("Out"), None);
/// ```
#[macro_export]
macro_rules! string_enum {
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $name:ident {
            $($(#[$variant_attribute:meta])* $variant:ident = $text:literal),+ $(,)?
        }
    ) => {
        $(#[$attribute])*
        $visibility enum $name {
            $($(#[$variant_attribute])* $variant),+
        }

        impl $name {
            /// Every variant, in the order of declaration.
            $visibility const ALL: [Self; [$($text),+].len()] = [$(Self::$variant),+];

            /// Returns the name of the variant in rows, labels, filters and JSON.
            #[must_use]
            $visibility const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }

            /// Returns the variant of that name, or `None`.
            #[must_use]
            $visibility fn parse(text: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|variant| variant.as_str() == text)
            }
        }
    };
}
