<?php
// Receives webhooks using only PHP's standard library. docs/WEBHOOKS.md shows its functions.
//
// It listens on a free local port, prints the port, and then a line for each delivery: its id if the signature is valid,
// `refused` if not. Behind a web server, PHP's own `$_SERVER` has the headers.

function verify(array $secrets, string $id, string $timestamp, string $signatures, string $body): bool {
    if (!preg_match('/^\d{1,18}$/D', $timestamp) || abs(time() - (int) $timestamp) > 300) return false;
    foreach ($secrets as $secret) {
        $key = base64_decode(preg_replace('/^whsec_/', '', $secret));
        $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $key, true));
        foreach (explode(' ', $signatures) as $given) {
            if (hash_equals($expected, $given)) return true;
        }
    }
    return false;
}

$secrets = explode(' ', getenv('WEBHOOK_SECRETS'));
$listener = stream_socket_server('tcp://127.0.0.1:0');
echo substr(strrchr(stream_socket_get_name($listener, false), ':'), 1), "\n";
while ($stream = stream_socket_accept($listener, 600)) {
    $server = [];
    fgets($stream);
    while (($line = trim((string) fgets($stream))) !== '') {
        [$name, $value] = explode(':', $line, 2);
        $server['HTTP_' . strtoupper(strtr($name, '-', '_'))] = trim($value);
    }
    $body = (string) stream_get_contents($stream, (int) ($server['HTTP_CONTENT_LENGTH'] ?? 0));
    $good = verify($secrets, $server['HTTP_WEBHOOK_ID'] ?? '', $server['HTTP_WEBHOOK_TIMESTAMP'] ?? '',
        $server['HTTP_WEBHOOK_SIGNATURE'] ?? '', $body);
    echo $good ? $server['HTTP_WEBHOOK_ID'] : 'refused', "\n";
    fwrite($stream, 'HTTP/1.1 ' . ($good ? '204 No Content' : '401 Unauthorized') . "\r\nconnection: close\r\n\r\n");
    fclose($stream);
}
