//! Restricts endpoints with `allow_private = false` to addresses of the public internet. The check runs between the name
//! look-up and the connection, so the address that is checked is the one that is dialled.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Returns whether an address may be dialled.
pub type Permit = fn(IpAddr) -> bool;

/// None of the addresses of a name may be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRefused;

impl fmt::Display for AddressRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the host has no address of the public internet")
    }
}

impl Error for AddressRefused {}

/// A resolver that returns only permitted addresses.
pub struct GuardedResolver {
    inner: Arc<dyn Resolve>,
    permit: Permit,
}

impl fmt::Debug for GuardedResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedResolver").finish_non_exhaustive()
    }
}

impl GuardedResolver {
    /// Filters the addresses that `inner` finds.
    #[must_use]
    pub fn new(inner: Arc<dyn Resolve>, permit: Permit) -> Self {
        Self { inner, permit }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (looking, permit) = (self.inner.resolve(name), self.permit);
        Box::pin(async move {
            let permitted: Vec<SocketAddr> = looking.await?.filter(|address| permit(address.ip())).collect();
            if permitted.is_empty() {
                return Err(AddressRefused.into());
            }
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

/// The resolver of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: io::Result<Vec<_>> = tokio::net::lookup_host((name.as_str(), 0)).await.map(Iterator::collect);
            Ok(Box::new(found?.into_iter()) as Addrs)
        })
    }
}

/// Returns whether the URL holds a literal address that is not permitted. A literal address is not looked up, so
/// [`GuardedResolver`] does not see it.
#[must_use]
pub fn refuses_literal(url: &Url, permit: Permit) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host.parse::<IpAddr>().is_ok_and(|address| !permit(address))
}

/// Returns whether an address belongs to the public internet: not private, loopback, link-local, shared (CGNAT), reserved,
/// for documentation or multicast, and not an IPv6 address that leads to an IPv4 address (NAT64, 6to4, Teredo, mapped).
///
/// Source: the special-purpose address registries of IANA (RFC 6890).
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127, ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
            | (224..=255, ..)
    )
}

/// Only 2000::/3 is allocated for general use, except some prefixes within it.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let allocated = a & 0xe000 == 0x2000;
    let protocols_and_teredo = a == 0x2001 && b < 0x0200;
    let documentation = (a == 0x2001 && b == 0x0db8) || (a == 0x3fff && b < 0x1000);
    let six_to_four = a == 0x2002;
    allocated && !protocols_and_teredo && !documentation && !six_to_four
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_outside_the_public_internet_are_refused() {
        for refused in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:8.8.8.8",
            "::ffff:127.0.0.1",
            "::8.8.8.8",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:0:4136:e378::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:808:808::1",
            "3fff::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(refused.parse().unwrap()), "{refused}");
        }
        for public in
            ["8.8.8.8", "100.63.0.1", "100.128.0.1", "172.32.0.1", "192.0.1.1", "2a00:1450::1", "2001:4860::1"]
        {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn a_literal_address_is_checked_in_every_notation() {
        let refused = |url: &str| refuses_literal(&Url::parse(url).unwrap(), is_public);
        for url in
            ["http://127.1/", "http://0x7f000001/", "http://2130706433/", "http://[::1]:8/", "http://[::ffff:a00:1]/"]
        {
            assert!(refused(url), "{url}");
        }
        assert!(!refused("https://8.8.8.8/") && !refused("https://example.com/"));
    }

    struct Fixed(Vec<IpAddr>);

    impl Resolve for Fixed {
        fn resolve(&self, _: Name) -> Resolving {
            let found: Vec<_> = self.0.iter().map(|ip| SocketAddr::new(*ip, 0)).collect();
            Box::pin(async move { Ok(Box::new(found.into_iter()) as Addrs) })
        }
    }

    async fn resolved(found: &[&str]) -> Result<Vec<String>, bool> {
        let inner = Fixed(found.iter().map(|text| text.parse().unwrap()).collect());
        let guarded = GuardedResolver::new(Arc::new(inner), is_public);
        match guarded.resolve("example.com".parse().unwrap()).await {
            Ok(addresses) => Ok(addresses.map(|address| address.ip().to_string()).collect()),
            Err(error) => Err(error.is::<AddressRefused>()),
        }
    }

    #[tokio::test]
    async fn only_permitted_addresses_are_returned() {
        assert_eq!(resolved(&["8.8.8.8", "10.0.0.1", "::1"]).await, Ok(vec!["8.8.8.8".to_owned()]));
        assert_eq!(resolved(&["10.0.0.1", "fe80::1"]).await, Err(true));
    }

    proptest! {
        #[test]
        fn no_ipv4_address_passes_inside_an_ipv6_address(inner: u32) {
            let inner = Ipv4Addr::from(inner);
            prop_assert!(!is_public(inner.to_ipv6_mapped().into()));
            prop_assert!(!is_public(inner.to_ipv6_compatible().into()));
            let [a, b, c, d] = inner.octets().map(u16::from);
            let (high, low) = (a << 8 | b, c << 8 | d);
            prop_assert!(!is_public(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low).into()));
            prop_assert!(!is_public(Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1).into()));
        }
    }
}
