//! Numbers and addresses on the command line. Each parser returns the end of a sentence that says what is accepted.

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// A type of numbers of which the command line reads some.
pub(super) trait Whole: FromStr + PartialOrd + Copy + Display + Send + Sync + 'static {
    /// All of them.
    const ALL: RangeInclusive<Self>;
}

macro_rules! whole {
    ($($number:ty),+) => { $(impl Whole for $number { const ALL: RangeInclusive<Self> = Self::MIN..=Self::MAX; })+ };
}

whole!(i64, u16, u32, u64, usize);

/// Parses a whole number of any size that the type has.
///
/// # Errors
/// The end of a sentence that says what is accepted.
pub(super) fn whole<N: Whole>(text: &str) -> Result<N, String> {
    parse_within(text, &N::ALL)
}

/// Returns the parser of a whole number in this range.
pub(super) fn whole_in<N: Whole>(
    range: RangeInclusive<N>,
) -> impl Fn(&str) -> Result<N, String> + Clone + Send + Sync + 'static {
    move |text| parse_within(text, &range)
}

fn parse_within<N: Whole>(text: &str, range: &RangeInclusive<N>) -> Result<N, String> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("must be a whole number from {} to {}", range.start(), range.end()))
}

/// Parses an address to listen on.
///
/// # Errors
/// The end of a sentence that says what is accepted.
pub(super) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "must be an IP address and a port, such as 127.0.0.1:9841 or [::1]:9841".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_such_number_is_refused_with_the_range() {
        assert_eq!(whole::<u64>("7"), Ok(7));
        for bad in ["", "x", "-1", "1.5", "65536"] {
            assert_eq!(whole::<u16>(bad), Err("must be a whole number from 0 to 65535".to_owned()), "{bad}");
        }
        assert_eq!(whole_in(1..=1000_u16)("1000"), Ok(1000));
        assert_eq!(whole_in(1..=1000_u16)("0"), Err("must be a whole number from 1 to 1000".to_owned()));
    }

    #[test]
    fn an_address_without_a_port_or_with_a_name_is_refused_with_an_example() {
        assert!(listen_address("0.0.0.0:0").is_ok() && listen_address("[::]:80").is_ok());
        for bad in ["", "1", "127.0.0.1", ":9841", "localhost:9841"] {
            assert!(listen_address(bad).unwrap_err().contains("such as 127.0.0.1:9841"), "{bad}");
        }
    }
}
