package contract

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/centre"
	"github.com/avow-consent/avow/internal/site"
	"github.com/avow-consent/avow/scripts/local/edge"
)

// counter is a shop whose back end signs tokens.
type counter struct {
	*shop
	keyID  string
	secret []byte
}

func openCounter(t *testing.T, d *deployment) *counter {
	t.Helper()
	s := d.shop(t, site.Settings{}, site.Purpose{Key: "news", Purpose: map[string]string{"en": "News", "fr": "Nouvelles"}, Channel: "email"},
		site.Purpose{Key: "statistics", LegalBasis: "legitimate_interest"}, site.Purpose{Key: "orders", LegalBasis: "contract"})
	id, text, err := d.admin.CreateTokenKey(t.Context(), s.site)
	if err != nil {
		t.Fatal(err)
	}
	return &counter{s, id, []byte(text)}
}

// body holds for a subject.
func (c *counter) body(t *testing.T, subject string, more map[string]any) string {
	t.Helper()
	body := map[string]any{"subject_id": subject, "subject_token": site.SignToken(c.keyID, c.secret, c.site, subject, time.Now().Add(time.Hour)), "language": "fr"}
	maps.Copy(body, more)
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// ofPreferences reports whether the component preferences serves an operation.
func ofPreferences(op operation) bool { return strings.HasPrefix(op.path, "/public/preferences") }

// doors are the paths that take a key, each with a body that holds.
func (c *counter) doors(t *testing.T, subject string) map[string]string {
	return map[string]string{
		"/public/preferences/show": c.body(t, subject, nil),
		"/public/preferences":      c.body(t, subject, map[string]any{"preferences": map[string]bool{"news": true}}),
		"/public/preferences/link": `{"email":"ines@example.test","language":"fr"}`,
	}
}

// TestPreferences: a person looks, says yes, says no, and looks again.
func TestPreferences(t *testing.T) {
	t.Parallel()
	c := openCounter(t, start(t))
	ask := func(path, body string, headers map[string]string) preferencesView {
		t.Helper()
		var v preferencesView
		if err := c.send(t, call{method: "POST", path: path, key: c.public, body: body, header: headers}).ok(t).decode(&v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	before := ask("/public/preferences/show", c.body(t, "ines", nil), nil)
	equal(t, "before", before.said(), map[string]bool{"news": false, "statistics": true, "orders": true})
	key := map[string]string{"Idempotency-Key": newKey()}
	yes := c.body(t, "ines", map[string]any{"preferences": map[string]bool{"news": true}, "purposes_version": before.Version})
	first := ask("/public/preferences", yes, key)
	equal(t, "again", ask("/public/preferences", yes, key), first)
	c.send(t, call{method: "POST", path: "/public/preferences", key: c.public, header: key, body: c.body(t, "ines", map[string]any{"preferences": map[string]bool{"news": false}})}).problem(t, 409)
	after := ask("/public/preferences", c.body(t, "ines", map[string]any{"preferences": map[string]bool{"news": false, "statistics": false}}), nil)
	equal(t, "after", after.said(), map[string]bool{"news": false, "statistics": false, "orders": true})

	// The back end sees the same, and the proof.
	var decision struct {
		Granted    bool
		Reason     string
		ConsentIDs []string `json:"consent_ids"`
	}
	for key, reason := range map[string]string{"news": "withdrawn", "statistics": "objected"} {
		if err := c.get(t, "/decide?subject_id=ines&preference="+key).decode(&decision); err != nil {
			t.Fatal(err)
		}
		if decision.Granted || decision.Reason != reason || len(decision.ConsentIDs) != 1 || decision.ConsentIDs[0] != after.ID {
			t.Errorf("%s: %+v", key, decision)
		}
	}
	var record struct {
		Act, Source string
		Proofs      []struct{ Content, Form string }
	}
	if err := c.get(t, "/consent/"+after.ID).decode(&record); err != nil {
		t.Fatal(err)
	}
	if record.Act != "preference_centre" || record.Source != "public" || len(record.Proofs) != 1 || !strings.Contains(record.Proofs[0].Form, "Nouvelles") || !strings.Contains(record.Proofs[0].Content, `"news":false`) {
		t.Errorf("%+v", record)
	}
}

type preferencesView struct {
	ID          string
	Version     string `json:"purposes_version"`
	Preferences []struct {
		Key     string
		Granted bool
	}
}

func (v preferencesView) said() map[string]bool {
	said := map[string]bool{}
	for _, p := range v.Preferences {
		said[p.Key] = p.Granted
	}
	return said
}

// TestPreferences_refusals: what each door refuses.
func TestPreferences_refusals(t *testing.T) {
	t.Parallel()
	c := openCounter(t, start(t))
	closed := c.on(c.deploy(t, deployOptions{throttle: &edge.Throttle{Rate: 1, Burst: 0}}))
	failing := failures(t, c.shop)
	for path, body := range c.doors(t, "ines") {
		door := call{method: "POST", path: path, key: c.public, body: body, bad: true}
		for name, tt := range map[string]struct {
			status int
			change func(*call)
		}{
			"malformed":        {400, func(c *call) { c.body = `{"nonsense":1}` }},
			"no key":           {401, func(c *call) { c.key = "" }},
			"token of another": {401, func(d *call) { d.body = strings.Replace(body, `"ines"`, `"leo"`, 1) }},
			"private key":      {403, func(d *call) { d.key = c.private }},
			"too large":        {413, func(c *call) { c.body += strings.Repeat(" ", 1<<20) }},
			"another type":     {415, func(c *call) { c.contentType = "application/xml" }},
		} {
			if name == "token of another" && path == "/public/preferences/link" {
				continue
			}
			bad := door
			tt.change(&bad)
			p := c.send(t, bad).problem(t, tt.status)
			if name == "token of another" {
				equal(t, "code", p.Code, "token")
			}
		}
		closed.send(t, door).problem(t, 429)
		for status, shop := range failing {
			shop.send(t, door).problem(t, status)
		}
	}
	equal(t, "consents", string(c.get(t, "/consent?subject_id=ines").body), "[]")
}

// TestPreferences_mailed: the page behind a link, from its button to the end.
func TestPreferences_mailed(t *testing.T) {
	t.Parallel()
	c := openCounter(t, start(t))
	c.consent(t, `{"subject":{"email":"zoe@example.test"},"preferences":{"news":true}}`)
	ask := call{method: "POST", path: "/public/preferences/link", key: c.public, body: `{"email":"zoe@example.test","language":"fr"}`}
	if a := c.send(t, ask); a.status != http.StatusAccepted || string(a.body) != `{"status":"received"}` {
		t.Fatalf("answered %v", a)
	}
	hasher, err := c.base(t, "preferences", deployOptions{}).Hasher(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l, _ := centre.Ask(hasher, c.site, "zoe@example.test", "fr", time.Now())
	good := "/public/preferences/" + l.Token(hasher)
	press := func(path string, form url.Values) answer {
		return c.send(t, call{method: "POST", path: path, body: form.Encode(), contentType: "application/x-www-form-urlencoded"})
	}
	page := c.send(t, call{method: "GET", path: good})
	form := fieldsOf(page.body)
	form.Set("action", "open")
	opened := press(good, form)
	saving := fieldsOf(opened.body)
	saving.Set("action", "save") // no box is ticked: everything off
	saved := press(good, saving)
	for _, a := range []answer{page, opened, saved} {
		if a.status != 200 || !strings.Contains(string(a.body), `lang="fr"`) {
			t.Errorf("answered %v", a)
		}
	}
	var decision struct{ Reason string }
	if err := c.get(t, "/decide?email=zoe@example.test&preference=news").decode(&decision); err != nil || decision.Reason != "withdrawn" {
		t.Errorf("%+v, %v", decision, err)
	}
	for _, wrong := range []string{"/public/preferences/nonsense", good + "A"} {
		if a := c.send(t, call{method: "GET", path: wrong}); a.status != 404 {
			t.Errorf("answered %v", a)
		}
		if a := press(wrong, form); a.status != 404 {
			t.Errorf("answered %v", a)
		}
	}
	if a := press(good, url.Values{"action": {"open"}, "visit": {"another page"}}); a.status != 404 {
		t.Errorf("answered %v", a)
	}
	closed := c.on(c.deploy(t, deployOptions{throttle: &edge.Throttle{Rate: 1, Burst: 0}}))
	closed.send(t, call{method: "GET", path: good, bad: true}).problem(t, 429)
	closed.send(t, call{method: "POST", path: good, body: form.Encode(), contentType: "application/x-www-form-urlencoded", bad: true}).problem(t, 429)
	for status, broken := range failures(t, c.shop) {
		c.withoutSettings(t, status).send(t, call{method: "GET", path: good, bad: true}).problem(t, status)
		broken.send(t, call{method: "POST", path: good, body: form.Encode(), contentType: "application/x-www-form-urlencoded", bad: true}).problem(t, status)
	}
}

// withoutSettings is a deployment whose systems.json cannot be read once it has
// started: Secrets Manager does not answer, or what it says makes no sense.
func (c *counter) withoutSettings(t *testing.T, status int) *shop {
	t.Helper()
	var started atomic.Bool
	d := c.deploy(t, deployOptions{wrap: func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			switch {
			case !started.Load() || !strings.HasPrefix(r.Header.Get("X-Amz-Target"), "secretsmanager."):
				return next.RoundTrip(r)
			case status == http.StatusServiceUnavailable:
				return nil, syscall.ECONNREFUSED
			}
			body := `{"SecretString":"{\"nonsense\":1}"}`
			return &http.Response{StatusCode: 200, Request: r, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}},
				Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), ProtoMajor: 1, ProtoMinor: 1}, nil
		})
	}})
	started.Store(true)
	return c.on(d)
}

var hiddenField = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)

// fieldsOf are the hidden fields of a page.
func fieldsOf(body []byte) url.Values {
	form := url.Values{}
	for _, found := range hiddenField.FindAllStringSubmatch(string(body), -1) {
		form.Add(found[1], found[2])
	}
	return form
}
