// Receives webhooks using only Java's standard library. docs/WEBHOOKS.md shows its functions.
//
// It listens on a free local port, prints the port, and then a line for each delivery: its id if the signature is valid,
// `refused` if not.

import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpServer;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.Objects;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Base64;
import java.util.List;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

class WebhookReceiver {

static boolean verify(List<String> secrets, String id, String timestamp, String signatures, byte[] body)
        throws java.security.GeneralSecurityException {
    long now = System.currentTimeMillis() / 1000;
    if (!timestamp.matches("[0-9]{1,18}") || Math.abs(now - Long.parseLong(timestamp)) > 300) return false;
    for (String secret : secrets) {
        byte[] key = Base64.getDecoder().decode(secret.replaceFirst("^whsec_", ""));
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        mac.update((id + "." + timestamp + ".").getBytes(StandardCharsets.UTF_8));
        String expected = "v1," + Base64.getEncoder().encodeToString(mac.doFinal(body));
        for (String given : signatures.split(" ")) {
            if (MessageDigest.isEqual(expected.getBytes(StandardCharsets.UTF_8), given.getBytes(StandardCharsets.UTF_8)))
                return true;
        }
    }
    return false;
}

static String header(Headers headers, String name) {
    return Objects.requireNonNullElse(headers.getFirst(name), "");
}

public static void main(String[] arguments) throws Exception {
    List<String> secrets = List.of(System.getenv("WEBHOOK_SECRETS").split(" "));
    HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext("/", exchange -> {
        byte[] body = exchange.getRequestBody().readAllBytes();
        Headers headers = exchange.getRequestHeaders();
        String id = header(headers, "webhook-id");
        boolean good;
        try {
            good = verify(secrets, id, header(headers, "webhook-timestamp"), header(headers, "webhook-signature"), body);
        } catch (java.security.GeneralSecurityException error) {
            good = false;
        }
        System.out.println(good ? id : "refused");
        exchange.sendResponseHeaders(good ? 204 : 401, -1);
        exchange.close();
    });
    server.start();
    System.out.println(server.getAddress().getPort());
}
}
