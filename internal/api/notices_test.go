package api_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/avow-consent/avow/internal/api"
	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/setup"
	"github.com/avow-consent/avow/internal/site"
)

// A desk is a company's back end with a private key, and the API before it.
type desk struct {
	t    *testing.T
	site string
	key  string
	api  lambda.Handler
	env  *awstest.Env
	wire *wiretap

	mu  sync.Mutex
	now time.Time
}

const (
	ownSite   = "40412"
	otherSite = "50505"
)

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, site: ownSite, wire: &wiretap{next: http.DefaultTransport}, now: time.Date(2026, 2, 4, 0, 0, 0, 0, time.UTC)}
	d.env = awstest.New(t).With(func(next http.RoundTripper) http.RoundTripper { d.wire.next = next; return d.wire })
	d.env.Config.Retryer = cloud.Retryer
	d.key = d.open(ownSite)
	d.api = d.start()
	return d
}

// open makes a site and returns a private key of it.
func (d *desk) open(id string) string {
	d.t.Helper()
	ctx, getenv := d.t.Context(), d.env.Getenv
	key := keys.New()
	if err := errors.Join(
		dynamo.NewSites(d.env.Config, getenv("SITES_TABLE")).Create(ctx, &site.Site{ID: id, Name: id, Shards: 2}),
		dynamo.NewKeys(d.env.Config, getenv("KEYS_TABLE")).Create(ctx, keys.Key{Hash: keys.Hash(key), Site: id, Class: keys.Private}),
	); err != nil {
		d.t.Fatal(err)
	}
	return key
}

// start makes one more instance of the function.
func (d *desk) start() lambda.Handler {
	d.t.Helper()
	base, err := setup.NewBase(d.t.Context(), d.env.Function("api"))
	if err != nil {
		d.t.Fatal(err)
	}
	base.Config, base.Now = d.env.Config, d.clock
	base.Log = slog.New(slog.NewJSONHandler(io.Discard, nil))
	h, err := api.New(d.t.Context(), base)
	if err != nil {
		d.t.Fatal(err)
	}
	return h
}

func (d *desk) clock() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

func (d *desk) pass(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = d.now.Add(by)
}

// idempotencyKey is a fresh key of the present.
func (d *desk) idempotencyKey() string {
	id := uuid.New()
	ms := uint64(d.clock().UnixMilli())
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6] = id[6]&0x0f | 0x70
	return id.String()
}

type reply struct {
	status int
	header map[string]string
	body   []byte
}

type call struct {
	method, path, query, body string
	header                    map[string]string
}

// do sends a request as API Gateway would pass it.
func (d *desk) do(c call) reply {
	d.t.Helper()
	r, err := d.send(d.t.Context(), d.api, c)
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

func (d *desk) send(ctx context.Context, h lambda.Handler, c call) (reply, error) {
	header := map[string]string{"apikey": d.key, "content-type": "application/json", "host": "consent.example.test"}
	maps.Copy(header, c.header)
	event := map[string]any{
		"version": "2.0", "rawPath": c.path, "rawQueryString": c.query, "headers": header,
		"requestContext": map[string]any{
			"requestId": "test", "routeKey": "$default", "stage": "$default",
			"http": map[string]any{"method": c.method, "sourceIp": "203.0.113.7"},
		},
		"body": base64.StdEncoding.EncodeToString([]byte(c.body)), "isBase64Encoded": true,
	}
	payload, err := json.Marshal(event)
	if err != nil {
		return reply{}, err
	}
	out, err := h.Invoke(ctx, payload)
	if err != nil {
		return reply{}, err
	}
	var answer struct {
		Status   int               `json:"statusCode"`
		Headers  map[string]string `json:"headers"`
		Body     string            `json:"body"`
		IsBase64 bool              `json:"isBase64Encoded"`
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		return reply{}, err
	}
	r := reply{answer.Status, answer.Headers, []byte(answer.Body)}
	if answer.IsBase64 {
		r.body, err = base64.StdEncoding.DecodeString(answer.Body)
	}
	return r, err
}

func (d *desk) get(path, query string) reply {
	d.t.Helper()
	return d.do(call{method: "GET", path: path, query: query})
}

func (d *desk) publish(body string, header ...string) reply {
	d.t.Helper()
	c := call{method: "POST", path: "/legal_notices", body: body, header: map[string]string{}}
	for i := 0; i+1 < len(header); i += 2 {
		c.header[header[i]] = header[i+1]
	}
	return d.do(c)
}

// want fails unless a reply has a status and, as JSON, a body. Fields of the
// wanted objects that are absent may have any value.
func (d *desk) want(r reply, status int, body string) {
	d.t.Helper()
	var got, want any
	if r.status != status {
		d.t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	if body == "" {
		return
	}
	if err := json.Unmarshal(r.body, &got); err != nil {
		d.t.Fatalf("%v in %s", err, r.body)
	}
	if err := json.Unmarshal([]byte(body), &want); err != nil {
		d.t.Fatalf("%v in %s", err, body)
	}
	if diff := cmp.Diff(want, within(got, want)); diff != "" {
		d.t.Fatalf("body (-want +got):\n%s", diff)
	}
}

// within leaves of an answer what is wanted.
func within(got, want any) any {
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			return got
		}
		cut := map[string]any{}
		for name, value := range want {
			if have, ok := object[name]; ok {
				cut[name] = within(have, value)
			}
		}
		return cut
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return got
		}
		cut := make([]any, len(list))
		for i := range list {
			cut[i] = within(list[i], want[i])
		}
		return cut
	}
	return got
}

// names lists what a list answers with, as "identifier 2".
func (d *desk) names(r reply) []string {
	d.t.Helper()
	var items []struct {
		Identifier string
		Version    int
	}
	if r.status != 200 || json.Unmarshal(r.body, &items) != nil {
		d.t.Fatalf("status %d: %s", r.status, r.body)
	}
	list := []string{}
	for _, item := range items {
		list = append(list, item.Identifier+" "+strconv.Itoa(item.Version))
	}
	return list
}

// walk follows the links of a list to its end.
func (d *desk) walk(path, query string) (pages [][]string) {
	d.t.Helper()
	for range 100 {
		r := d.get(path, query)
		pages = append(pages, d.names(r))
		link, ok := r.header["Link"]
		if !ok {
			return pages
		}
		target, _, _ := strings.Cut(strings.TrimPrefix(link, "<"), ">")
		next, err := url.Parse(target)
		if err != nil || !strings.HasSuffix(link, `>; rel="next"`) || next.Path != path {
			d.t.Fatalf("Link: %s", link)
		}
		query = next.RawQuery
	}
	d.t.Fatal("the list has no end")
	return nil
}

// A wiretap counts the calls to AWS and may drop replies.
type wiretap struct {
	next  http.RoundTripper
	mu    sync.Mutex
	calls map[string]int
	fault func(operation string, n int) fate
}

type fate int

const (
	passes fate = iota
	lostBefore
	lostAfter // applied, but nobody learns of it
)

func (w *wiretap) RoundTrip(r *http.Request) (*http.Response, error) {
	operation := "S3." + r.Method
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		operation = target[strings.LastIndexByte(target, '.')+1:]
	}
	w.mu.Lock()
	if w.calls == nil {
		w.calls = map[string]int{}
	}
	w.calls[operation]++
	n, fault := w.calls[operation], w.fault
	w.mu.Unlock()
	end := passes
	if fault != nil {
		end = fault(operation, n)
	}
	if end == lostBefore {
		return nil, errors.New("connection reset before the request")
	}
	response, err := w.next.RoundTrip(r)
	if end == lostAfter && err == nil {
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		return nil, errors.New("connection reset before the reply")
	}
	return response, err
}

// count runs f and tells which calls it made.
func (w *wiretap) count(f func()) map[string]int {
	w.mu.Lock()
	w.calls = map[string]int{}
	w.mu.Unlock()
	f()
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.calls)
}

func (w *wiretap) set(fault func(operation string, n int) fate) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls, w.fault = map[string]int{}, fault
}

// The examples of the reference API.
func TestNotices_examples(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.want(d.publish(`{"identifier":"terms","content":{"en":"Terms"},"timestamp":"2025-06-01T00:00:00Z"}`), 200,
		`{"identifier":"terms","version":1,"timestamp":"2025-06-01T00:00:00Z"}`)
	d.want(d.publish(`{"identifier":"terms","content":{"en":"Text"},"timestamp":"2026-01-01T00:00:00Z"}`), 200,
		`{"identifier":"terms","version":2,"timestamp":"2026-01-01T00:00:00Z"}`)
	d.want(d.publish(`{"identifier":"terms","content":{"en":"Text","fr":"Texte"}}`), 200,
		`{"identifier":"terms","version":3,"timestamp":"2026-02-04T00:00:00Z"}`)
	d.want(d.publish(`[{"identifier":"a","content":"x"},{"identifier":"b","content":"y"}]`), 200,
		`[{"identifier":"a","version":1,"timestamp":"2026-02-04T00:00:00Z"},{"identifier":"b","version":1}]`)
	d.want(d.get("/legal_notices/terms", "limit=1&starting_after=3"), 200,
		`[{"identifier":"terms","version":2,"timestamp":"2026-01-01T00:00:00Z","id":"40412_terms","owner_id":"40412","content":{"en":"Text"}}]`)
	d.want(d.get("/legal_notices/terms/3", ""), 200,
		`{"identifier":"terms","version":3,"timestamp":"2026-02-04T00:00:00Z","content":{"en":"Text","fr":"Texte"},"documents":[]}`)
	d.want(d.get("/beta//legal_notices/a/1/", "unescape_json=true"), 200, `{"identifier":"a","version":1,"content":"x"}`)
	d.want(d.get("/legal_notices/terms/4", ""), 404, `{"status":"not_found"}`)
	d.want(d.get("/legal_notices/none", ""), 404, `{"status":"not_found"}`)
	d.want(d.get("/legal_notices/none", "starting_after=7"), 404, `{"status":"not_found"}`)
	d.want(d.get("/legal_notices/terms", "starting_after=1"), 200, `[]`)
	if r := d.get("/legal_notices/a/b", ""); !strings.Contains(string(r.body), "GET /legal_notices?identifier=") {
		t.Errorf("the 404 does not name the safe form: %s", r.body)
	}
	d.want(d.publish("identifier=form&content[en]=A%20%26%20B&content[fr]=%C3%A9", "content-type", "application/x-www-form-urlencoded"), 200, `{"version":1}`)
	d.want(d.get("/legal_notices/form/1", ""), 200, `{"content":{"en":"A & B","fr":"é"}}`)
}

func TestNotices_foreignKeys(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.want(d.publish(`{"identifier":"terms","content":"ours"}`), 200, `{"version":1}`)
	d.want(d.publish(`{"identifier":"none","content":"ours"}`, "apikey", ""), 401, `{"message":"No API key found in request"}`)
	d.want(d.publish(`{"identifier":"none","content":"ours"}`, "apikey", "wrong"), 403, `{"message":"Invalid authentication credentials"}`)

	d.key = d.open(otherSite)
	d.want(d.get("/legal_notices", ""), 200, `[]`)
	d.want(d.get("/legal_notices", "identifier=terms"), 200, `[]`)
	d.want(d.get("/legal_notices", "id=40412_terms"), 200, `[]`)
	d.want(d.get("/legal_notices/terms", ""), 404, "")
	d.want(d.get("/legal_notices/terms/1", ""), 404, "")
	d.want(d.get("/legal_notices", "starting_after_identifier=terms&starting_after_version=1"), 400, "")
	d.want(d.publish(`{"identifier":"terms","content":"theirs"}`), 200, `{"version":1}`)
	d.want(d.get("/legal_notices/terms/1", ""), 200, `{"owner_id":"50505","content":"theirs"}`)
}

// Identifiers may hold anything; a path may be ambiguous, the query is not.
func TestNotices_identifiers(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	long := strings.Repeat("é", 512)
	for _, identifier := range []string{"a/b", "a/b/7", "100%", "a b", "é", "a?b", "a#b", "2024", "3.0", long, `"\`} {
		body, _ := json.Marshal(map[string]any{"identifier": identifier, "content": "of " + identifier})
		d.want(d.publish(string(body)), 200, `{"version":1}`)
		want, _ := json.Marshal([]any{map[string]any{"identifier": identifier, "content": "of " + identifier, "id": "40412_" + identifier}})
		d.want(d.get("/legal_notices", "identifier="+url.QueryEscape(identifier)), 200, string(want))
		d.want(d.get("/legal_notices", "id="+url.QueryEscape("40412_"+identifier)), 200, string(want))
		d.want(d.get("/legal_notices/"+identifier, ""), 200, string(want))
		one, _ := json.Marshal(map[string]any{"identifier": identifier, "version": 1})
		d.want(d.get("/legal_notices/"+identifier+"/1", ""), 200, string(one))
	}
	if got := len(d.walk("/legal_notices", "limit=3")); got != 4 {
		t.Errorf("%d pages of 3 notices, want 4", got)
	}
	// The version comes first, and hides an identifier of the same text.
	d.want(d.publish(`[{"identifier":"terms","content":"1"},{"identifier":"terms/1","content":"other"}]`), 200, "")
	d.want(d.get("/legal_notices/terms/1", ""), 200, `{"identifier":"terms","content":"1"}`)
	d.want(d.get("/legal_notices", "identifier=terms/1"), 200, `[{"identifier":"terms/1","content":"other"}]`)
	d.want(d.get("/legal_notices/"+strings.Repeat("x", 1025), ""), 404, "")
	d.want(d.get("/legal_notices", "identifier="+strings.Repeat("x", 1025)), 200, "[]")
}

func TestNotices_lists(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for i := range 12 {
		d.pass(time.Hour)
		d.want(d.publish(fmt.Sprintf(`{"identifier":"%c","content":{"en":"t%d","fr":"t"}}`, 'a'+i%3, i)), 200, "")
	}
	d.pass(time.Hour)
	d.want(d.publish(`[{"identifier":"bulk","content":"1"},{"identifier":"bulk","content":{"it":"2"}},{"identifier":"c","content":"3"}]`), 200,
		`[{"version":1},{"version":2},{"version":5}]`)
	d.want(d.publish(`{"identifier":"old","content":{"en":"imported"},"timestamp":"2018-02-22 00:40:00 UTC"}`), 200, "")
	all := []string{"c 5", "bulk 2", "bulk 1", "c 4", "b 4", "a 4", "c 3", "b 3", "a 3", "c 2", "b 2", "a 2", "c 1", "b 1", "a 1", "old 1"}

	for name, tt := range map[string]struct {
		query string
		want  []string
	}{
		"all":                {"limit=100", all},
		"ten by default":     {"", all[:10]},
		"limit too low":      {"limit=0", all[:1]},
		"identifier":         {"identifier=a", []string{"a 4", "a 3", "a 2", "a 1"}},
		"case matters":       {"identifier=A", []string{}},
		"id":                 {"id=40412_a&limit=1", []string{"a 4"}},
		"id and identifier":  {"id=40412_a&identifier=a&version=2", []string{"a 2"}},
		"id or identifier":   {"id=40412_a&identifier=b", []string{}},
		"id of another site": {"id=50505_a", []string{}},
		"version":            {"version=4", []string{"c 4", "b 4", "a 4"}},
		"version as a text":  {"version=4.0&identifier=b", []string{"b 4"}},
		"no such version":    {"version=9&identifier=b", []string{}},
		"language":           {"language=it", []string{"bulk 2"}},
		"language and limit": {"language=fr&limit=2", []string{"c 4", "b 4"}},
		"from":               {"from_time=2026-02-04T11:00:00Z&limit=100", all[:5]},
		"to":                 {"to_time=2026-02-04T01:00:00Z", all[14:]},
		"from and to":        {"from_time=2026-02-04+02:00:00+UTC&to_time=1770174000", all[12:14]},
		"old times":          {"from_time=2018-01-01T00:00:00Z&to_time=2018-12-31T00:00:00Z", []string{"old 1"}},
		"times of one":       {"identifier=a&from_time=2026-02-04T02:00:00Z&to_time=2026-02-04T09:00:00Z", []string{"a 3", "a 2"}},
		"after":              {"starting_after_identifier=bulk&starting_after_version=2&limit=2", []string{"bulk 1", "c 4"}},
		"after, of one":      {"identifier=a&starting_after_identifier=a&starting_after_version=3", []string{"a 2", "a 1"}},
		"after, one version": {"identifier=a&version=2&starting_after_identifier=a&starting_after_version=2", []string{}},
		"after, later times": {"starting_after_identifier=a&starting_after_version=1&from_time=2026-02-04T05:00:00Z", []string{}},
		"unknown parameters": {"fulltext=x&unescape_json=true&limit=1", all[:1]},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, d.names(d.get("/legal_notices", tt.query))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.query, diff)
			}
		})
	}
	for name, query := range map[string]string{
		"only the identifier":   "starting_after_identifier=a",
		"only the version":      "starting_after_version=1",
		"unknown version":       "starting_after_identifier=a&starting_after_version=9",
		"unknown identifier":    "starting_after_identifier=z&starting_after_version=1",
		"another identifier":    "identifier=b&starting_after_identifier=a&starting_after_version=1",
		"a version that is not": "version=x",
		"version 0":             "version=0",
		"a limit that is not":   "limit=x",
		"a time that is not":    "from_time=yesterday",
	} {
		t.Run(name, func(t *testing.T) { d.want(d.get("/legal_notices", query), 400, "") })
	}
	for _, query := range []string{"limit=3", "limit=3&language=en", "limit=5&from_time=2026-02-04T02:00:00Z", "limit=1&identifier=a", "limit=16"} {
		plain := slices.Concat(d.walk("/legal_notices", strings.Replace(query, "limit=", "limit=100&was=", 1))...)
		pages := d.walk("/legal_notices", query)
		if diff := cmp.Diff(plain, slices.Concat(pages...)); diff != "" || len(pages[len(pages)-1]) == 0 {
			t.Errorf("%s in pages %v (-one page +pages):\n%s", query, pages, diff)
		}
	}
	if diff := cmp.Diff([][]string{{"a 4", "a 3"}, {"a 2", "a 1"}}, d.walk("/legal_notices/a", "limit=2")); diff != "" {
		t.Error(diff)
	}
	d.want(d.get("/legal_notices/a", "starting_after=x"), 400, "")
}

func TestNotices_replay(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	key := d.idempotencyKey()
	const request = `[{"identifier":"a","content":{"en":"x","fr":"y"}},{"identifier":"a","content":"z"}]`
	first := d.publish(request, "idempotency-key", key)
	d.want(first, 200, `[{"version":1},{"version":2}]`)
	d.pass(10 * time.Minute)
	d.want(d.publish(`{"identifier":"a","content":"between"}`), 200, `{"version":3}`)
	for _, same := range []string{request, ` [{"content":{"fr":"y","en":"x"},"identifier":"a","unknown":1},{"identifier":"a","content":"z","document_ids":null}]`} {
		if again := d.publish(same, "idempotency-key", strings.ToUpper(key)); !bytes.Equal(again.body, first.body) {
			t.Errorf("the retry got %s, the first call %s", again.body, first.body)
		}
	}
	for _, other := range []string{
		`[{"identifier":"a","content":{"en":"x","fr":"y"}}]`,
		`[{"identifier":"a","content":{"en":"x","fr":"Y"}},{"identifier":"a","content":"z"}]`,
		`[{"identifier":"b","content":{"en":"x","fr":"y"}},{"identifier":"a","content":"z"}]`,
		`[{"identifier":"a","content":{"en":"x","fr":"y"},"timestamp":0},{"identifier":"a","content":"z"}]`,
		`[{"identifier":"a","content":{"en":"x","fr":"y"},"document_ids":["d"]},{"identifier":"a","content":"z"}]`,
	} {
		d.want(d.publish(other, "idempotency-key", key), 409, "")
	}
	if diff := cmp.Diff([]string{"a 3", "a 2", "a 1"}, d.names(d.get("/legal_notices", "limit=100"))); diff != "" {
		t.Error(diff)
	}
	// The key of another site is another key.
	d.key = d.open(otherSite)
	d.want(d.publish(`{"identifier":"a","content":"other"}`, "idempotency-key", key), 200, `{"version":1}`)

	for _, bad := range []string{"x", uuid.NewString(), "{" + key + "}"} {
		d.want(d.publish(`{"identifier":"a","content":"x"}`, "idempotency-key", bad), 400, "")
	}
	d.pass(40 * 24 * time.Hour)
	d.want(d.publish(request, "idempotency-key", key), 400, `{"code":"clock"}`)
}

// Fifty publishers of the same identifier, in five instances, race: every
// version exists once, and each answer names the text that was sent.
func TestNotices_race(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	const racers = 50
	instances := []lambda.Handler{d.api}
	for range 4 {
		instances = append(instances, d.start())
	}
	versions := make([]int, racers)
	var wg sync.WaitGroup
	for i := range racers {
		wg.Go(func() {
			r, err := d.send(t.Context(), instances[i%len(instances)], call{method: "POST", path: "/legal_notices",
				body: fmt.Sprintf(`{"identifier":"terms","content":"text %d"}`, i)})
			var answer struct{ Version int }
			if err != nil || r.status != 200 || json.Unmarshal(r.body, &answer) != nil {
				t.Errorf("%d: %d %s %v", i, r.status, r.body, err)
			}
			versions[i] = answer.Version
		})
	}
	calls := d.wire.count(wg.Wait)
	t.Logf("calls of %d racing publishers: %v", racers, calls)
	var items []struct {
		Version int
		Content string
	}
	if r := d.get("/legal_notices/terms", "limit=100"); json.Unmarshal(r.body, &items) != nil || len(items) != racers {
		t.Fatalf("%d versions, want %d: %s", len(items), racers, r.body)
	}
	for i, item := range items {
		if item.Version != racers-i {
			t.Errorf("place %d has version %d", i, item.Version)
		}
	}
	for i, v := range versions {
		if v < 1 || v > racers || items[racers-v].Content != fmt.Sprintf("text %d", i) {
			t.Errorf("publisher %d was told version %d", i, v)
		}
	}
}

// The same call, racing against itself, publishes once.
func TestNotices_raceOfRetries(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	key := d.idempotencyKey()
	var bodies sync.Map
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			r, err := d.send(t.Context(), d.api, call{method: "POST", path: "/legal_notices",
				header: map[string]string{"idempotency-key": key}, body: `[{"identifier":"a","content":"x"},{"identifier":"b","content":"y"}]`})
			if err != nil || r.status != 200 {
				t.Errorf("%d %s %v", r.status, r.body, err)
			}
			bodies.Store(string(r.body), true)
		})
	}
	wg.Wait()
	bodies.Range(func(body, _ any) bool {
		d.want(reply{status: 200, body: []byte(body.(string))}, 200, `[{"identifier":"a","version":1},{"identifier":"b","version":1}]`)
		return true
	})
	if got := d.names(d.get("/legal_notices", "limit=100")); len(got) != 2 {
		t.Errorf("published %v", got)
	}
}

// Whatever is lost, before or after it was applied, a publication that was
// acknowledged exists once, and one that was not can be sent again.
func TestNotices_lostReplies(t *testing.T) {
	t.Parallel()
	for _, operation := range []string{"TransactWriteItems", "Query", "S3.PUT", "UpdateItem"} {
		for end, how := range map[fate]string{lostBefore: "before", lostAfter: "after"} {
			for _, often := range []int{1, 4, 5} {
				t.Run(fmt.Sprintf("%s lost %s, %d times", operation, how, often), func(t *testing.T) {
					t.Parallel()
					d := newDesk(t)
					document := d.upload("a.txt", "", []byte("a document"))
					key := d.idempotencyKey()
					request := `{"identifier":"terms","content":"x","document_ids":["` + document + `"]}`
					d.wire.set(func(called string, n int) fate {
						if called == operation && n <= often {
							return end
						}
						return passes
					})
					r := d.publish(request, "idempotency-key", key)
					if often < cloud.Attempts && r.status != 200 || often >= cloud.Attempts && r.status != 503 {
						t.Errorf("status %d: %s", r.status, r.body)
					}
					d.want(d.publish(request, "idempotency-key", key), 200, `{"version":1}`)
					d.want(d.get("/legal_notices", ""), 200, `[{"version":1,"content":"x","documents":[{"name":"a.txt"}]}]`)
					d.want(d.get("/documents", ""), 200, `[{"referenced":true}]`)
				})
			}
		}
	}
}

func TestNotices_badInput(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	languages := func(n int) string {
		texts := map[string]string{}
		for i := range n {
			texts[fmt.Sprint("l", i)] = "x"
		}
		body, _ := json.Marshal(texts)
		return string(body)
	}
	many := func(n int) string {
		return "[" + strings.TrimSuffix(strings.Repeat(`{"identifier":"a","content":"x"},`, n), ",") + "]"
	}
	for name, tt := range map[string]struct {
		body   string
		status int
		field  string
	}{
		"nothing":                 {``, 400, ""},
		"null":                    {`null`, 400, ""},
		"a text":                  {`"x"`, 400, ""},
		"truncated":               {`{"identifier":"a","content":"x"`, 400, ""},
		"lone surrogate":          {`{"identifier":"a","content":"\ud800"}`, 400, ""},
		"NUL":                     {`{"identifier":"a\u0000","content":"x"}`, 400, ""},
		"not UTF-8":               {"{\"identifier\":\"a\",\"content\":\"\xff\"}", 400, ""},
		"twice the same name":     {`{"identifier":"a","content":{"en":"x","en":"y"}}`, 400, ""},
		"no identifier":           {`{"content":"x"}`, 400, "identifier"},
		"identifier null":         {`{"identifier":null,"content":"x"}`, 400, "identifier"},
		"identifier an object":    {`{"identifier":{},"content":"x"}`, 400, "identifier"},
		"identifier too long":     {`{"identifier":"` + strings.Repeat("x", 1025) + `","content":"x"}`, 400, "identifier"},
		"no content":              {`{"identifier":"a"}`, 400, "content"},
		"content empty":           {`{"identifier":"a","content":" "}`, 400, "content"},
		"content false":           {`{"identifier":"a","content":false}`, 400, "content"},
		"content a list":          {`{"identifier":"a","content":["x"]}`, 400, "content"},
		"no language":             {`{"identifier":"a","content":{}}`, 400, "content"},
		"a language without name": {`{"identifier":"a","content":{"":"x"}}`, 400, "content"},
		"a language too long":     {`{"identifier":"a","content":{"` + strings.Repeat("x", 36) + `":"x"}}`, 400, "content"},
		"too many languages":      {`{"identifier":"a","content":` + languages(65) + `}`, 400, "content"},
		"a text null":             {`{"identifier":"a","content":{"en":"x","fr":null}}`, 400, "content.fr"},
		"a text that is none":     {`{"identifier":"a","content":{"en":{"x":"y"}}}`, 400, "content.en"},
		"a time that is none":     {`{"identifier":"a","content":"x","timestamp":"soon"}`, 400, "timestamp"},
		"year 10000":              {`{"identifier":"a","content":"x","timestamp":253402300800}`, 400, "timestamp"},
		"documents no list":       {`{"identifier":"a","content":"x","document_ids":{"a":1}}`, 400, "document_ids"},
		"too many documents":      {`{"identifier":"a","content":"x","document_ids":[` + strings.Repeat(`"d",`, 32) + `"d"]}`, 400, "document_ids"},
		"empty bulk":              {`[]`, 400, ""},
		"bulk of something else":  {`[{"identifier":"a","content":"x"},null,[]]`, 400, "[1]"},
		"bulk with a bad one":     {`[{"identifier":"a","content":"x"},{"identifier":"b","content":{"en":""}}]`, 400, "[1].content.en"},
		"bulk too large":          {many(51), 400, ""},
		"over 1 MB":               {`{"identifier":"a","content":"` + strings.Repeat("x", 1<<20) + `"}`, 413, ""},
		"too deep":                {`{"identifier":"a","content":"x","y":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `}`, 400, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := d.publish(tt.body)
			var answer struct {
				Message string
				Errors  []struct{ Field string }
			}
			if r.status != tt.status || json.Unmarshal(r.body, &answer) != nil || answer.Message == "" {
				t.Fatalf("status %d, want %d: %s", r.status, tt.status, r.body)
			}
			if tt.field != "" && (len(answer.Errors) == 0 || answer.Errors[0].Field != tt.field) {
				t.Errorf("want an error of %s: %s", tt.field, r.body)
			}
		})
	}
	d.want(d.publish(`{"identifier":"a","content":"x"}`, "content-type", "application/json; charset=iso-8859-1"), 400, "")
	d.want(d.publish(`<a/>`, "content-type", "application/xml"), 415, "")
	d.want(d.do(call{method: "DELETE", path: "/legal_notices/a"}), 405, "")
	d.want(d.get("/legal_notices", ""), 200, `[]`) // nothing of all this was published

	// At the limits.
	d.want(d.publish(many(50)), 200, "")
	d.want(d.publish(`{"identifier":7,"content":`+languages(64)+`,"document_ids":[`+strings.Repeat(`"d",`, 31)+`"d"]}`), 200, `{"identifier":"7","version":1}`)
	for _, at := range []string{"0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"} {
		d.want(d.publish(`{"identifier":"far","content":"x","timestamp":"`+at+`"}`), 200, `{"timestamp":"`+at+`"}`)
	}
	if diff := cmp.Diff([]string{"far 2"}, d.names(d.get("/legal_notices", "limit=1"))); diff != "" {
		t.Error(diff)
	}
	d.want(d.get("/legal_notices", "identifier=7"), 200, "")
}

// Texts come back as they were sent.
func TestNotices_texts(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	large := strings.Repeat("<p>Grüße & \"мир\" \u2028\r\n\t😀</p>", 17_000)
	texts := map[string]string{"en": large, "fr": "short", "de-CH-1996": "\u0001 x"}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(map[string]any{"identifier": "terms", "content": texts}); err != nil {
		t.Fatal(err)
	}
	d.want(d.publish(body.String()), 200, `{"version":1}`)
	var got struct{ Content map[string]string }
	if r := d.get("/legal_notices/terms/1", ""); json.Unmarshal(r.body, &got) != nil {
		t.Fatal("unreadable answer")
	}
	if diff := cmp.Diff(texts, got.Content); diff != "" {
		t.Error("the texts came back changed")
	}
	if calls := d.wire.count(func() { d.want(d.publish(body.String()), 200, `{"version":2}`) }); calls["S3.PUT"] != len(texts) {
		t.Errorf("calls: %v", calls)
	}
	// Ten versions of nearly 1 MB do not fit into one answer; fewer do.
	for range 8 {
		d.want(d.publish(body.String()), 200, "")
	}
	calls := d.wire.count(func() { d.want(d.get("/legal_notices/terms", "limit=100"), 400, `{"code":"too_broad"}`) })
	if calls["S3.GET"] != 0 {
		t.Errorf("read %d texts to say that they are too large", calls["S3.GET"])
	}
	d.want(d.get("/legal_notices/terms", "limit=3"), 200, "")
}

// A filter that would read the whole site asks for a time range.
func TestNotices_tooBroad(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("makes 3,100 notices")
	}
	d := newDesk(t)
	store := dynamo.NewNotices(d.env.Config, d.env.Getenv("NOTICES_TABLE"))
	for i := range 62 {
		d.pass(time.Hour)
		var list []consent.Notice
		for j := range 50 {
			list = append(list, consent.Notice{Site: ownSite, Identifier: fmt.Sprint("n", i*50+j), Version: 1, Effective: d.clock()})
		}
		if _, err := store.Publish(t.Context(), fmt.Sprint("seed ", i), consent.Publication{}, list); err != nil {
			t.Fatal(err)
		}
	}
	for _, query := range []string{"version=2", "language=xx"} {
		d.want(d.get("/legal_notices", query), 400, `{"code":"too_broad"}`)
		d.want(d.get("/legal_notices", query+"&from_time=2026-02-05T00:00:00Z"), 200, "[]")
	}
	for _, query := range []string{"", "version=1", "identifier=n7", "limit=10&from_time=2026-02-04T10:00:00Z", "id=40412_n7&version=1"} {
		calls := d.wire.count(func() { d.want(d.get("/legal_notices", query), 200, "") })
		if calls["Query"]+calls["GetItem"] > 1 {
			t.Errorf("%q: %v", query, calls)
		}
	}
}

// What a publication costs; the fake clock keeps the caches warm.
func TestNotices_calls(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	document := d.upload("a.txt", "", []byte("a document"))
	for _, tt := range []struct {
		name, body string
		want       map[string]int
	}{
		{"one text", `{"identifier":"a","content":"x"}`, map[string]int{"S3.PUT": 1, "Query": 1, "TransactWriteItems": 1}},
		{"two languages", `{"identifier":"a","content":{"en":"x","fr":"y"}}`, map[string]int{"S3.PUT": 2, "Query": 1, "TransactWriteItems": 1}},
		{"bulk", `[{"identifier":"a","content":"x"},{"identifier":"a","content":"x"},{"identifier":"b","content":"z"}]`, map[string]int{"S3.PUT": 2, "Query": 2, "TransactWriteItems": 1}},
		{"with a document", `{"identifier":"a","content":"x","document_ids":["` + document + `"]}`, map[string]int{"S3.PUT": 1, "Query": 1, "TransactWriteItems": 1, "UpdateItem": 1}},
	} {
		got := d.wire.count(func() { d.want(d.publish(tt.body), 200, "") })
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// A consent shows the version that was in force when the person acted, and goes
// on showing it.
func TestNotices_inForce(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	post := func(body string) string {
		t.Helper()
		r := d.do(call{method: "POST", path: "/consent", body: body})
		var answer struct{ ID string }
		if r.status != 200 || json.Unmarshal(r.body, &answer) != nil {
			t.Fatalf("status %d: %s", r.status, r.body)
		}
		return answer.ID
	}
	const names = `"legal_notices":[{"identifier":"terms"},{"identifier":"terms","version":1},{"identifier":"terms","version":"2.0"},{"identifier":"none"},{"identifier":"terms","version":"draft"}]`
	const unresolved = `{"identifier":"none","version":null,"resolved":false},{"identifier":"terms","version":null,"resolved":false,"version_given":"draft"}`
	check := func(id, subject, terms, one, two string) {
		t.Helper()
		d.want(d.get("/consent/"+id, "subject_id="+subject), 200, `{"legal_notices":[`+
			`{"identifier":"terms","version":`+terms+`},{"identifier":"terms","version":1,"resolved":`+one+`},{"version":2,"resolved":`+two+`},`+unresolved+`]}`)
	}
	before := post(`{"subject":{"id":"s1"},` + names + `}`)
	d.pass(time.Minute)
	d.want(d.publish(`{"identifier":"terms","content":"1"}`), 200, "")
	first := post(`{"subject":{"id":"s1"},` + names + `}`)
	d.pass(time.Minute)
	d.want(d.publish(`{"identifier":"terms","content":"2","timestamp":"2026-02-04T00:10:00Z"}`), 200, "")
	early := post(`{"subject":{"id":"s1"},` + names + `}`)
	d.pass(20 * time.Minute)
	later := post(`{"subject":{"id":"s1"},` + names + `}`)
	paper := post(`{"subject":{"id":"s1"},"timestamp":"2026-02-04T00:05:00Z",` + names + `}`)
	d.pass(time.Minute)
	d.want(d.publish(`{"identifier":"terms","content":"3","timestamp":"2020-01-01T00:00:00Z"}`), 200, `{"version":3}`)
	import_ := post(`{"subject":{"id":"s1"},"timestamp":"2021-01-01T00:00:00Z",` + names + `}`)
	for range 2 {
		check(before, "s1", "null", "false", "false")
		check(first, "s1", "1", "true", "false")
		check(early, "s1", "1", "true", "true")
		check(later, "s1", "2", "true", "true")
		check(paper, "s1", "1", "true", "true")
		check(import_, "s1", "3", "true", "true")
		d.pass(time.Hour)
		d.want(d.publish(`[{"identifier":"terms","content":"x"},{"identifier":"terms","content":"y","timestamp":0}]`), 200, "")
	}
}

// Notices show their documents, those that the site does not have included.
func TestNotices_documents(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	one, two := d.upload("one.pdf", "", []byte("%PDF-1.7 one")), d.upload("two.pdf", "", []byte("%PDF-1.7 two"))
	d.want(d.get("/documents", ""), 200, `[{"referenced":false},{"referenced":false}]`)
	d.want(d.publish(`{"identifier":"terms","content":"x","document_ids":["`+one+`","unknown",7]}`), 200, "")
	d.want(d.get("/legal_notices/terms/1", ""), 200,
		`{"documents":[{"id":"`+one+`","name":"one.pdf","mime_type":"application/pdf"},{"id":"unknown","name":null,"missing":true},{"id":"7","missing":true}]}`)
	d.want(d.get("/documents/"+two, ""), 200, "")
	var items []struct {
		ID         string
		Referenced bool
	}
	if r := d.get("/documents", ""); json.Unmarshal(r.body, &items) != nil || len(items) != 2 {
		t.Fatalf("%s", r.body)
	}
	for _, item := range items {
		if item.Referenced != (item.ID == one) {
			t.Errorf("document %s: referenced %v", item.ID, item.Referenced)
		}
	}
}
