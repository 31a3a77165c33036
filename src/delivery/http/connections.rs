//! The connections to one endpoint. They have a greatest age: a receiver's name may come to mean another address while the
//! old one still answers, and a connection that is used all the time would stay with the old one for good. After a 5xx
//! response other than 503, too, the next attempt gets a new connection.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::Client;

use crate::clock::Mono;
use crate::tls_roots::ClientError;

/// The greatest age of a connection, from when its client was made.
const GREATEST_AGE: Duration = Duration::from_secs(90);

/// The shortest time between two clients, so that a receiver that fails all the time does not cost a client each time.
const LEAST_AGE: Duration = Duration::from_secs(1);

type Make = Box<dyn Fn() -> Result<Client, ClientError> + Send + Sync>;

/// Hands out a client, whose pool holds the connections, and another one once that is worn. What is under way on the old
/// client's connections is finished; they are closed when they are idle.
pub(super) struct Connections {
    make: Make,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    client: Client,
    made_at: Mono,
    /// An answer said that whoever is at the other end is not well.
    distrusted: bool,
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").finish_non_exhaustive()
    }
}

impl Connections {
    /// Makes the first client.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub(super) fn new(make: Make, now: Mono) -> Result<Self, ClientError> {
        let client = make()?;
        Ok(Self { make, current: Mutex::new(Current { client, made_at: now, distrusted: false }) })
    }

    /// Returns the client for a request at `now`.
    pub(super) fn client(&self, now: Mono) -> Client {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.is_worn(now) {
            match (self.make)() {
                Ok(client) => *current = Current { client, made_at: now, distrusted: false },
                // For example because no file can be opened at the moment. The old one still works.
                Err(_) => current.made_at = now,
            }
        }
        current.client.clone()
    }

    /// Has the next request use a new connection.
    pub(super) fn distrust(&self) {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).distrusted = true;
    }
}

impl Current {
    fn is_worn(&self, now: Mono) -> bool {
        now.saturating_sub(self.made_at) >= if self.distrusted { LEAST_AGE } else { GREATEST_AGE }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};
    use std::sync::Arc;

    use reqwest::dns::{Addrs, Name, Resolve, Resolving};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// A name that leads to one address, until it leads to another.
    #[derive(Debug, Clone)]
    struct Moving(Arc<Mutex<IpAddr>>);

    impl Resolve for Moving {
        fn resolve(&self, _: Name) -> Resolving {
            let address = SocketAddr::new(*self.0.lock().unwrap(), 0);
            Box::pin(async move { Ok(Box::new(std::iter::once(address)) as Addrs) })
        }
    }

    /// Answers every request on every connection with this word, and keeps the connections open.
    fn serve(listener: TcpListener, word: &'static str) {
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{word}", word.len());
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                });
            }
        });
    }

    const OLD: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));
    const NEW: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

    /// Two addresses with a receiver on the same port, the name of both, and the connections to it.
    async fn moving() -> (Moving, Connections, String) {
        let (old, new) = loop {
            let old = TcpListener::bind((OLD, 0)).await.unwrap();
            // Somebody else may have this port at the other address.
            if let Ok(new) = TcpListener::bind((NEW, old.local_addr().unwrap().port())).await {
                break (old, new);
            }
        };
        let url = format!("http://receiver.test:{}/", old.local_addr().unwrap().port());
        serve(old, "old");
        serve(new, "new");
        let name = Moving(Arc::new(Mutex::new(OLD)));
        let resolver = Arc::new(name.clone());
        let make = move || {
            Client::builder().no_proxy().dns_resolver(Arc::clone(&resolver)).build().map_err(ClientError::Setup)
        };
        (name, Connections::new(Box::new(make), Mono::ZERO).unwrap(), url)
    }

    #[tokio::test]
    async fn a_name_that_moves_is_followed_while_the_old_address_lives_on() {
        let (name, connections, url) = moving().await;
        let answer = async |at: u64| {
            let client = connections.client(Duration::from_secs(at));
            client.get(&url).send().await.unwrap().text().await.unwrap()
        };
        assert_eq!(answer(0).await, "old");
        *name.0.lock().unwrap() = NEW;
        assert_eq!(answer(60).await, "old", "the connection is used again");
        assert_eq!(answer(89).await, "old", "however often it was used");
        assert_eq!(answer(90).await, "new");
        *name.0.lock().unwrap() = OLD;
        assert_eq!(answer(91).await, "new");
        connections.distrust();
        assert_eq!(answer(91).await, "old", "a new connection after an answer of trouble");
    }

    #[tokio::test]
    async fn a_receiver_that_fails_all_the_time_costs_one_client_a_second() {
        let made = Arc::new(Mutex::new(0));
        let count = Arc::clone(&made);
        let make = move || {
            *count.lock().unwrap() += 1;
            Client::builder().no_proxy().build().map_err(ClientError::Setup)
        };
        let connections = Connections::new(Box::new(make), Mono::ZERO).unwrap();
        for tenth in 0..=30 {
            connections.client(Duration::from_millis(100 * tenth));
            connections.distrust();
        }
        assert_eq!(*made.lock().unwrap(), 1 + 3);
    }
}
