//! Socket activation: the listening socket that systemd passes to the process.

use super::configuration::Config;
use super::problem::{Problem, Problems};
use crate::serve::settings::{Inherited, Socket};

/// Has the server listen on the socket that systemd handed over, if it did: `LISTEN_PID` and `LISTEN_FDS`. To be called once, for
/// what was handed over is there to be taken once.
///
/// # Errors
/// [`Problems`] if more than one was handed over, or one that no server can listen on; or if it can be reached from other
/// machines and nothing says who may ask.
pub fn listen_on_inherited_socket(config: &mut Config) -> Result<(), Problems> {
    let mut handed = listenfd::ListenFd::from_env();
    let wrong = |message: &str| {
        let file = "LISTEN_FDS".into();
        Problems::one(Problem { file, line: None, key: String::new(), message: message.to_owned(), by_absence: false })
    };
    let socket = match handed.len() {
        0 => return Ok(()),
        1 => match handed.take_tcp_listener(0) {
            Ok(Some(listener)) => Socket::Tcp(listener),
            _ => match handed.take_unix_listener(0) {
                Ok(Some(listener)) => Socket::Unix(listener),
                _ => return Err(wrong("the socket that was handed over is no listening stream; use `ListenStream=`")),
            },
        },
        _ => return Err(wrong("more than one socket was handed over; keep one `ListenStream=`")),
    };
    let inherited = Inherited::new(socket);
    let listen = inherited.listens_on().map_err(|_| wrong("the socket that was handed over has no address"))?;
    let server = &mut config.server;
    let all_open = server.expose.metrics && server.expose.health;
    if !listen.is_local() && server.token.is_none() && server.api.is_empty() && !all_open {
        return Err(wrong(
            "the socket that was handed over can be reached from other machines; set `server.token_file`, or \
             `expose = [\"metrics\", \"health\"]`, or listen on 127.0.0.1",
        ));
    }
    (server.listen, server.inherited) = (listen, Some(inherited));
    Ok(())
}
