package collect

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/avow-consent/avow/internal/apigw"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/site"
)

// nowhere stands for AWS at the interfaces, so that only the component's own
// work is measured.
type nowhere struct{}

func (nowhere) Append(context.Context, *consent.Event) (*consent.Event, error) { return nil, nil }
func (nowhere) Bind(context.Context, *consent.Binding) error                   { return nil }
func (nowhere) Show(_ context.Context, _, _, _, nonce string) (consent.FormState, error) {
	return consent.FormState{Nonce: nonce, Stored: true, Shared: true}, nil
}
func (nowhere) PutForm(context.Context, string, string, string, []byte) error    { return nil }
func (nowhere) PutContent(context.Context, string, string, string, []byte) error { return nil }
func (nowhere) Key(_ context.Context, hash string) (keys.Key, bool, error) {
	return keys.Key{Hash: hash, Site: "site-bench", Class: keys.Public}, true, nil
}
func (nowhere) Site(context.Context, string) (*site.Site, error) {
	return &site.Site{ID: "site-bench", Shards: 4}, nil
}
func (nowhere) Value(context.Context, string) ([]byte, error) { return nil, nil }

// stringify writes JSON as browsers and API Gateway do, without Go's escapes of
// < and >.
func stringify(b *testing.B, v any) string {
	b.Helper()
	var text strings.Builder
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		b.Fatal(err)
	}
	return text.String()
}

// demoEvent is the consent of the demo page as API Gateway passes it.
func demoEvent(b *testing.B, key string) []byte {
	b.Helper()
	form := "<form>" + strings.Repeat(`<label><input type="checkbox" name="newsletter"> I would like to hear from you</label>`, 20) + "</form>"
	body := stringify(b, map[string]any{
		"subject":       map[string]any{"email": "ines@example.test", "first_name": "Ines", "last_name": "Roca"},
		"preferences":   map[string]any{"newsletter": true, "profiling": false, "terms": true},
		"legal_notices": []any{map[string]any{"identifier": "privacy_policy"}, map[string]any{"identifier": "terms"}},
		"proofs":        []any{map[string]any{"content": `{"email":"ines@example.test","newsletter":true}`, "form": form}},
	})
	return []byte(stringify(b, map[string]any{
		"version": "2.0", "routeKey": "POST /public/{proxy+}", "rawPath": "/public/consent",
		"headers": map[string]string{"apikey": "bench", "content-type": "application/json", "idempotency-key": key, "origin": "https://shop.example"},
		"requestContext": map[string]any{
			"http":      map[string]any{"method": "POST", "path": "/public/consent", "sourceIp": "203.0.113.7"},
			"requestId": "bench", "stage": "$default", "domainName": "api.example.test",
		},
		"body": body,
	}))
}

// cpu is the processor time of this process so far, garbage collection included:
// what other processes do does not change it.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkConsent measures collect's own work for one consent with AWS stubbed
// at the interface. Goal: at most 100 µs (make bench).
func BenchmarkConsent(b *testing.B) {
	hasher, err := pseudonym.New([]byte(strings.Repeat("b", 32)))
	if err != nil {
		b.Fatal(err)
	}
	fresh := func(time.Time) string { return uuid.Must(uuid.NewV7()).String() }
	mux := httpapi.New(slog.New(slog.NewJSONHandler(io.Discard, nil)), time.Now)
	sites := site.NewDirectory(nowhere{}, nowhere{}, time.Now)
	s := &server{sites: sites, recorder: consent.NewRecorder(consent.Options{
		Ledger: nowhere{}, Forms: nowhere{}, Proofs: nowhere{}, Hasher: hasher,
		Now: time.Now, NewID: fresh, Inline: 4096,
	})}
	s.routes(mux, &httpapi.Gate{Ring: keys.NewRing(nowhere{}, time.Now), Sites: sites, Class: keys.Public})
	h := apigw.Handler(mux)
	event := demoEvent(b, fresh(time.Now()))
	b.ReportAllocs()
	before := cpu(b)
	for b.Loop() {
		if _, err := h.Invoke(b.Context(), event); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}
