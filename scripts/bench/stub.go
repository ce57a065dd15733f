package main

import (
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
)

// stubAWS answers what collect asks of AWS at once and with nothing behind it,
// so that only the function and the SDK are measured.
func stubAWS() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		answer := func(format string, args ...any) {
			text := fmt.Sprintf(format, args...)
			w.Header().Set("Content-Type", "application/x-amz-json-1.0")
			w.Header().Set("X-Amz-Crc32", fmt.Sprint(crc32.ChecksumIEEE([]byte(text))))
			_, _ = io.WriteString(w, text)
		}
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		switch operation {
		case "GetSecretValue":
			answer(`{"SecretString":%q}`, strings.Repeat("s", 64))
		case "GetItem":
			if strings.Contains(string(body), `"keys"`) {
				answer(`{"Item":{"key":{"S":"x"},"site":{"S":"site-bench"},"class":{"S":"public"},"created":{"N":"0"}}}`)
				return
			}
			answer(`{"Item":{"site":{"S":"site-bench"},"shards":{"N":"4"},"registerVersion":{"N":"0"}}}`)
		case "UpdateItem":
			answer(`{"Attributes":{"nonce":{"S":"n"},"stored":{"BOOL":true},"shownTo":{"SS":["a","b"]}}}`)
		default:
			answer(`{}`)
		}
	}))
}

// stubEnv is the environment of a collect that speaks with the stub.
func stubEnv(endpoint string) map[string]string {
	return map[string]string{
		"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "eu-central-1",
		"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": hex.EncodeToString([]byte("bench")),
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true",
		"EVENTS_TABLE": "events", "SUBJECTS_TABLE": "subjects", "NOTICES_TABLE": "notices", "DOCUMENTS_TABLE": "documents",
		"FORMS_TABLE": "forms", "SITES_TABLE": "sites", "KEYS_TABLE": "keys", "PROOFS_BUCKET": "proofs",
		"PSEUDONYM_SECRET": "pseudonym", "CONTENT_INLINE_BYTES": "4096",
	}
}
