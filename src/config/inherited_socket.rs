//! Socket activation: the listening socket that systemd passes to the process.

use super::configuration::Config;
use super::problem::{Problem, Problems};
use crate::serve::settings::{Inherited, Socket};

/// Makes the server listen on the socket that systemd passed to the process (`LISTEN_PID`, `LISTEN_FDS`), if there is one.
/// To be called once, because the socket can be taken only once.
///
/// # Errors
/// [`Problems`] if there is more than one socket or one that cannot accept connections, or if other machines can reach it
/// and the configuration has neither a token nor passwords.
pub fn listen_on_inherited_socket(config: &mut Config) -> Result<(), Problems> {
    let mut inherited = listenfd::ListenFd::from_env();
    let problem = |message: &str| {
        let file = "LISTEN_FDS".into();
        Problems::one(Problem {
            file,
            line: None,
            key: String::new(),
            message: message.to_owned(),
            because_missing: false,
        })
    };
    let socket = match inherited.len() {
        0 => return Ok(()),
        1 => match inherited.take_tcp_listener(0) {
            Ok(Some(listener)) => Socket::Tcp(listener),
            _ => match inherited.take_unix_listener(0) {
                Ok(Some(listener)) => Socket::Unix(listener),
                _ => {
                    return Err(problem(
                        "the socket that systemd passed is not a listening stream socket; use `ListenStream=`",
                    ));
                }
            },
        },
        _ => return Err(problem("systemd passed more than one socket; keep one `ListenStream=`")),
    };
    let inherited = Inherited::new(socket);
    let listen = inherited.listens_on().map_err(|_| problem("the socket that systemd passed has no address"))?;
    let server = &mut config.server;
    let all_open = server.expose.metrics && server.expose.health;
    if !listen.is_local() && server.token.is_none() && server.api.is_empty() && !all_open {
        return Err(problem(
            "the socket that systemd passed can be reached from other machines; set `server.token_file`, or \
             `expose = [\"metrics\", \"health\"]`, or listen on 127.0.0.1",
        ));
    }
    (server.listen, server.inherited) = (listen, Some(inherited));
    Ok(())
}
