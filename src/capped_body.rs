//! Reads the body of an HTTP response piece by piece, up to a cap.

use reqwest::Response;

/// Why a body could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The body is larger than the cap.
    #[error("the body is larger than is read")]
    TooLarge,
    /// The connection failed, or the time for the request ran out. The text of the source may repeat the address.
    #[error("the body broke off")]
    Broken(#[source] reqwest::Error),
}

/// Reads a whole body of at most `cap` bytes. A larger one is given up as soon as its announced or actual length shows it.
///
/// # Errors
/// [`BodyError`]
pub async fn read(mut response: Response, cap: usize) -> Result<Vec<u8>, BodyError> {
    let announced = response.content_length().unwrap_or(0);
    if announced > cap as u64 {
        return Err(BodyError::TooLarge);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(announced).unwrap_or(0));
    read_start(&mut response, cap, cap, &mut bytes).await?;
    Ok(bytes)
}

/// Reads a body of at most `cap` bytes to its end, so that the connection can be used again, and appends the first `keep`
/// bytes of it to `start`. What was read before an error stays in `start`.
///
/// # Errors
/// [`BodyError`]
pub async fn read_start(
    response: &mut Response,
    cap: usize,
    keep: usize,
    start: &mut Vec<u8>,
) -> Result<(), BodyError> {
    let mut length = 0_usize;
    while let Some(chunk) = response.chunk().await.map_err(BodyError::Broken)? {
        length += chunk.len();
        start.extend_from_slice(&chunk[..chunk.len().min(keep.saturating_sub(start.len()))]);
        if length > cap {
            return Err(BodyError::TooLarge);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// The response of a server that sends these bytes after the status line.
    async fn response(rest: &'static str) -> Response {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let mut stream = listener.accept().await.unwrap().0;
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut request).await.unwrap();
            }
            stream.write_all(format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{rest}").as_bytes()).await.unwrap();
        });
        reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await.unwrap()
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_cap_announced_or_not() {
        for head in ["content-length: 5\r\n\r\nhello", "\r\nhello"] {
            assert_eq!(read(response(head).await, 5).await.unwrap(), b"hello");
            assert!(matches!(read(response(head).await, 4).await, Err(BodyError::TooLarge)), "{head}");
        }
    }

    #[tokio::test]
    async fn the_start_is_kept_and_the_rest_is_read() {
        let mut start = Vec::new();
        read_start(&mut response("\r\nhello").await, 5, 2, &mut start).await.unwrap();
        assert_eq!(start, b"he");
        let mut start = Vec::new();
        let cut = read_start(&mut response("content-length: 9\r\n\r\nhello").await, 9, 2, &mut start).await;
        assert!(matches!(cut, Err(BodyError::Broken(_))));
        assert_eq!(start, b"he", "what was read before the error is kept");
    }
}
