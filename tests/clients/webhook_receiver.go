// Receives webhooks using only Go's standard library. docs/WEBHOOKS.md shows its functions.
//
// It listens on a free local port, prints the port, and then a line for each delivery: its id if the signature is valid,
// `refused` if not.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
)

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"
)

func verify(secrets []string, header http.Header, body []byte) bool {
	id, timestamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return false
	}
	for _, secret := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil {
			continue
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + timestamp + "."))
		mac.Write(body)
		expected := mac.Sum(nil)
		for _, part := range strings.Split(header.Get("webhook-signature"), " ") {
			given, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(part, "v1,"))
			if err == nil && strings.HasPrefix(part, "v1,") && hmac.Equal(expected, given) {
				return true
			}
		}
	}
	return false
}

func main() {
	secrets := strings.Fields(os.Getenv("WEBHOOK_SECRETS"))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	panic(http.Serve(listener, http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil || !verify(secrets, request.Header, body) {
			fmt.Println("refused")
			answer.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Println(request.Header.Get("webhook-id"))
		answer.WriteHeader(http.StatusNoContent)
	})))
}
