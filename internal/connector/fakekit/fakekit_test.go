package fakekit_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector/fakekit"
)

var start = time.Date(2026, 4, 5, 12, 0, 0, 0, time.UTC)

// counter is a vendor that counts.
type counter struct {
	*fakekit.Server
	data struct {
		N    int
		Seen map[string]bool
	}
}

func newCounter(limits ...fakekit.Limit) *counter {
	c := &counter{}
	c.data.Seen = map[string]bool{"before": true}
	c.Server = fakekit.New(fakekit.Options{Now: func() time.Time { return start }, Day: 12 * time.Hour}, fakekit.Rules{
		Prefix: "/v1", Data: &c.data, Limits: limits, Forms: []string{"seconds"},
		Busy: func(status int) any { return map[string]int{"busy": status} },
	})
	c.API("POST /v1/count/{what}", func(*http.Request) (int, any) { c.data.N++; return 200, c.data })
	c.API("GET /v1/count", func(*http.Request) (int, any) { return 200, c.data })
	return c
}

func (c *counter) do(method, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	c.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w
}

// A vendor goes on after a restart where it was: its data, its clock, its ids.
func TestSave(t *testing.T) {
	t.Parallel()
	c := newCounter()
	c.do("POST", "/v1/count/sheep", "")
	c.data.Seen = map[string]bool{"x": true}
	c.Advance(time.Hour)
	id := c.Number()
	text, err := c.Save()
	if err != nil {
		t.Fatal(err)
	}
	again := newCounter()
	if err := again.Restore(text); err != nil {
		t.Fatal(err)
	}
	if again.data.N != 1 || len(again.data.Seen) != 1 || !again.data.Seen["x"] || !again.Now().Equal(start.Add(time.Hour)) || again.Number() == id {
		t.Errorf("%+v at %s", again.data, again.Now())
	}
	for _, broken := range []string{"", "{", `{"data":[]}`, `{"data":{"N":1,"Seen":{},"More":2}}`, `{"data":{"N":7}}`} {
		if err := again.Restore([]byte(broken)); err == nil || again.data.N != 1 {
			t.Errorf("%q is a state, %v", broken, err)
		}
	}
	if before := again.Served(); again.do("GET", "/v1/count", "").Code != 200 || again.Served() != before+1 {
		t.Errorf("%d calls", again.Served())
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	c := newCounter(fakekit.Limit{Name: "all", Calls: 3, Per: time.Hour}, fakekit.Limit{Name: "each", Each: true, Calls: 2, Per: time.Minute})
	for n, want := range []int{200, 200, 429} {
		if got := c.do("GET", "/v1/count", ""); got.Code != want || want == 429 && got.Header().Get("Retry-After") != "60" {
			t.Fatalf("call %d: %d %v", n, got.Code, got.Header())
		}
	}
	if got := c.do("POST", "/v1/count/x", ""); got.Code != 429 || got.Header().Get("Retry-After") != "3600" { // the third counted, too
		t.Fatalf("%d %v", got.Code, got.Header())
	}
	c.Advance(time.Hour)
	if got := c.do("GET", "/v1/count", ""); got.Code != 200 || c.Beyond() != 2 {
		t.Fatalf("%d, %d beyond", got.Code, c.Beyond())
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	c := newCounter()
	if w := c.do("POST", "/_fake/fail", `{"method":"POST","route":"/count/{what}","status":503,"times":1,"applied":true,"seconds":2}`); w.Code != 204 {
		t.Fatal(w.Code)
	}
	if w := c.do("POST", "/v1/count/x", ""); w.Code != 503 || w.Header().Get("Retry-After") != "2" || c.data.N != 1 {
		t.Errorf("%d, %+v", w.Code, c.data)
	}
	c.Fail(fakekit.Failure{Status: 500, HTML: true})
	if w := c.do("POST", "/v1/count/x", ""); w.Code != 500 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") || c.data.N != 1 {
		t.Errorf("%d, %+v", w.Code, c.data)
	}
	if w := c.do("POST", "/_fake/mend", ""); w.Code != 204 || c.do("POST", "/v1/count/x", "").Code != 200 {
		t.Error("it is not mended")
	}
	calls := c.Calls()
	if len(calls) != 3 || calls[0].Route != "/count/{what}" || !calls[0].Applied || calls[1].Applied || !calls[2].Applied {
		t.Errorf("%+v", calls)
	}
	for path, body := range map[string]string{"/_fake/fail": `{}`, "/_fake/advance": `{"seconds":-1}`} {
		if w := c.do("POST", path, body); w.Code != 400 {
			t.Errorf("%s %s: %d", path, body, w.Code)
		}
	}
	if w := c.do("GET", "/_fake/state", ""); !strings.Contains(w.Body.String(), `"N":2`) {
		t.Error(w.Body)
	}
}

// Tokens end, a restart ends them, and a day is as long as it is told.
func TestTokens(t *testing.T) {
	t.Parallel()
	c := newCounter()
	r := httptest.NewRequest("GET", "/v1/count", nil)
	c.Settled(func() {
		r.Header.Set("Authorization", "Bearer "+c.Grant(time.Minute))
		if !c.Valid(r) {
			t.Error("a fresh token")
		}
	})
	c.Advance(time.Minute)
	if c.Valid(r) || c.Lasts(24*time.Hour) != 12*time.Hour {
		t.Error("an old token")
	}
}
