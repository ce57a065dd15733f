package refdesk_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/refdesk/fake"
)

// world is a fresh vendor with Ines in it. between stands between the connector
// and the vendor.
func world(between func(http.RoundTripper) http.RoundTripper) func(testing.TB) *conformance.World {
	return func(t testing.TB) *conformance.World {
		d := &desk{Server: fake.New(fake.Options{Options: fakekit.Options{Now: func() time.Time { return start }}}), t: t}
		d.secret = `{"client_id":"avow","client_secret":"refdesk-secret"}`
		return &conformance.World{
			Vendor:  conformance.Local(d.Server),
			Connect: func(r http.RoundTripper) (connector.Connector, error) { return d.connect(between(r)), nil },
			Subject: conformance.Person(fake.Ines), Now: d.Now, Advance: d.Advance,
			Changes: []connector.Change{{Field: "name", Old: "Inès Martin", New: "Inès Durand"}},
			State:   func() any { return timeless(d.State()) },
			Harm:    func() []string { return harm(d.Calls()) },
		}
	}
}

// The connector under every fault of every call.
func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.Run(t, world(func(r http.RoundTripper) http.RoundTripper { return r }))
}

// A connector that does not look before it creates, or that believes a deletion
// of which it has not heard, is found.
func TestConformance_catches(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		op   connector.Operation
		lies func(*http.Request) (status int, body string)
		want string
	}{
		"creates without looking": {connector.Export, func(r *http.Request) (int, string) {
			if r.Method == http.MethodGet && r.URL.Path == "/api/v1/exports" {
				return 200, `{"jobs":[]}`
			}
			return 0, ""
		}, "is applied and the function dies leads elsewhere"},
		"does not delete": {connector.Erase, func(r *http.Request) (int, string) {
			if r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/tickets/") {
				return 404, `{"error":"RecordNotFound"}`
			}
			return 0, ""
		}, "new tickets appear as fast as they are deleted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			between := func(r http.RoundTripper) http.RoundTripper { return liar{r, tt.lies} }
			findings, _ := conformance.Check(t, world(between), tt.op)
			if testing.Short() && tt.op == connector.Export {
				return // the schedule may not be in the sample
			}
			if !strings.Contains(strings.Join(findings, "\n"), tt.want) {
				t.Errorf("not found: %d findings", len(findings))
			}
		})
	}
}

// liar answers some calls itself.
type liar struct {
	next http.RoundTripper
	lies func(*http.Request) (int, string)
}

func (l liar) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body := l.lies(r)
	if status == 0 {
		return l.next.RoundTrip(r)
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// timeless is a state without what the clock has written.
func timeless(s fake.State) fake.State {
	for i := range s.Users {
		s.Users[i].PurgeAsked, s.Users[i].PurgedAt = nil, nil
	}
	for i := range s.Jobs {
		s.Jobs[i].CreatedAt, s.Jobs[i].ReadyAt, s.Jobs[i].Status = time.Time{}, time.Time{}, ""
	}
	return s
}

// harm are the calls that must not be applied twice: those that create.
func harm(calls []fakekit.Call) []string {
	var list []string
	for _, c := range calls {
		if c.Applied && c.Method == http.MethodPost {
			list = append(list, c.Method+" "+c.Path)
		}
	}
	return list
}
