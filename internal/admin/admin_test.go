package admin_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/google/uuid"

	"github.com/avow-consent/avow/internal/admin"
	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/office"
	"github.com/avow-consent/avow/internal/secret"
	"github.com/avow-consent/avow/internal/setup"
	"github.com/avow-consent/avow/internal/site"
)

var noon = time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)

// door is the component over fresh tables with two sites, each with its people.
type door struct {
	lambda.Handler
	t     testing.TB
	env   *awstest.Env
	net   *faulty.Transport
	now   *time.Time
	log   *strings.Builder
	store *dynamo.Office
	keys  map[string]string // by who has them
}

func newDoor(t testing.TB) *door {
	t.Helper()
	d := &door{t: t, env: awstest.New(t), net: &faulty.Transport{}, now: new(noon), log: &strings.Builder{}, keys: map[string]string{}}
	sites, ring := dynamo.NewSites(d.env.Config, d.env.Getenv("SITES_TABLE")), dynamo.NewKeys(d.env.Config, d.env.Getenv("KEYS_TABLE"))
	d.store = dynamo.NewOffice(d.env.Config, d.env.Getenv("AUDIT_TABLE"), d.env.Getenv("KEYS_TABLE"), d.env.Getenv("SITES_TABLE"))
	for _, id := range []string{"shop", "other"} {
		if err := sites.Create(t.Context(), &site.Site{ID: id, Name: "The " + id, Shards: 2}); err != nil {
			t.Fatal(err)
		}
		for _, rank := range keys.Ranks {
			text := keys.New()
			k := keys.Key{Hash: keys.Hash(text), Site: id, Class: keys.Role, Person: "The " + string(rank) + " of " + id, Rank: rank, Created: noon}
			if err := ring.Create(t.Context(), k); err != nil {
				t.Fatal(err)
			}
			d.keys[string(rank)+"@"+id] = text
		}
	}
	d.Handler = d.instance()
	return d
}

// instance is another instance of the function over the same tables.
func (d *door) instance() lambda.Handler {
	d.t.Helper()
	base, err := setup.NewBase(d.t.Context(), d.env.Getenv)
	if err != nil {
		d.t.Fatal(err)
	}
	base.Config = d.env.With(d.net.Wrap).Config
	base.Config.Retryer = faulty.Impatient
	base.Now = func() time.Time { return *d.now }
	base.Log = slog.New(slog.NewJSONHandler(d.log, nil))
	h, err := admin.New(d.t.Context(), base)
	if err != nil {
		d.t.Fatal(err)
	}
	return h
}

type answer struct {
	Status  int               `json:"statusCode"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
	t       testing.TB
}

// ask makes a call with a key. More are header names and values.
func (d *door) ask(key, method, path, body string, more ...string) answer {
	d.t.Helper()
	headers := map[string]string{"content-type": "application/json", "content-length": fmt.Sprint(len(body))}
	if text, ok := d.keys[key]; ok {
		key = text
	}
	if key != "" {
		headers["apikey"] = key
	}
	for i := 0; i+1 < len(more); i += 2 {
		headers[strings.ToLower(more[i])] = more[i+1]
	}
	path, query, _ := strings.Cut(path, "?")
	event, err := json.Marshal(map[string]any{
		"version": "2.0", "rawPath": path, "rawQueryString": query, "headers": headers, "body": body,
		"requestContext": map[string]any{
			"http": map[string]any{"method": method, "path": path, "sourceIp": "203.0.113.7"}, "requestId": "request-1", "stage": "$default", "domainName": "api.shop.example",
		},
	})
	if err != nil {
		d.t.Fatal(err)
	}
	out, err := d.Invoke(d.t.Context(), event)
	if err != nil {
		d.t.Fatal(err)
	}
	a := answer{t: d.t}
	if err := json.Unmarshal(out, &a); err != nil {
		d.t.Fatal(err)
	}
	return a
}

func (a answer) want(status int, says ...string) answer {
	a.t.Helper()
	if a.Status != status {
		a.t.Fatalf("%d %s, want %d", a.Status, a.Body, status)
	}
	for _, text := range says {
		if !strings.Contains(a.Body, text) {
			a.t.Errorf("%s does not say %q", a.Body, text)
		}
	}
	return a
}

func (a answer) at(name string) string {
	a.t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.Body), &v); err != nil {
		a.t.Fatalf("%v: %s", err, a.Body)
	}
	return fmt.Sprint(v[name])
}

// acts are the entries of a log, the oldest first.
func (d *door) acts(of string) []office.Entry {
	d.t.Helper()
	list, err := d.store.Log(d.t.Context(), of, "", 100)
	if err != nil {
		d.t.Fatal(err)
	}
	slices.Reverse(list)
	return list
}

func (d *door) live(text string) bool {
	d.t.Helper()
	k, ok, err := d.store.Key(d.t.Context(), keys.Hash(text))
	if err != nil {
		d.t.Fatal(err)
	}
	return ok && !k.Revoked
}

const master = "admin@shop"

// Each door opens to the rank admin alone, and to nobody's log.
func TestDoors_rank(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	for _, path := range []string{
		"GET /admin/keys", "POST /admin/keys", "POST /admin/keys/x/revoke", "GET /admin/sites", "POST /admin/sites", "PUT /admin/sites/shop/settings",
		"GET /admin/systems", "PUT /admin/systems", "GET /admin/log", "GET /admin/nothing",
	} {
		method, target, _ := strings.Cut(path, " ")
		for _, rank := range []string{"viewer", "operator", "officer"} {
			d.ask(rank+"@shop", method, target, `{}`).want(403, "this needs a key of the role admin")
		}
		d.ask("", method, target, `{}`).want(401)
		d.ask(keys.New(), method, target, `{}`).want(403, "Invalid authentication credentials")
		if a := d.ask(master, method, target, `{"nonsense":1}`); a.Status == 403 || a.Status == 401 || method == "POST" && a.Status != 400 {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	if n := len(d.acts("shop")) + len(d.acts(office.Stack)); n != 0 {
		t.Errorf("%d entries of what did not happen", n)
	}
}

// A key is shown once, works, is in the log before anybody has it, and ends.
func TestKeys(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	made := d.ask(master, "POST", "/admin/keys", `{"class":"role","person":" Ada Lovelace ","role":"admin"}`).want(200)
	text, id := made.at("key"), made.at("id")
	if len(text) != keys.Length || id != keys.Hash(text) || made.at("person") != "Ada Lovelace" || made.at("site") != "shop" {
		t.Errorf("%s", made.Body)
	}
	*d.now = d.now.Add(time.Second) // entries of one millisecond are in no order
	public := d.ask(text, "POST", "/admin/keys", `{"class":"public","label":"page","origins":["https://shop.example"]}`).want(200)
	entries := d.acts("shop")
	if len(entries) != 2 || entries[0].Act != office.MakeKey || entries[0].Who != "The admin of shop" || entries[0].Role != "admin" || entries[0].Detail["key"] != id ||
		!entries[0].At.Equal(noon) || entries[1].Who != "Ada Lovelace" {
		t.Errorf("%+v", entries)
	}
	list := d.ask(master, "GET", "/admin/keys", "").want(200, id, public.at("id"))
	log := d.ask(master, "GET", "/admin/log?limit=1", "").want(200, `"act":"make_key"`, `"who":"Ada Lovelace"`)
	if next := log.Headers["Link"]; !strings.Contains(next, "starting_after=") {
		t.Errorf("no next page: %v", log.Headers)
	} else if u, err := url.Parse(strings.Trim(strings.Split(next, ";")[0], "<>")); err != nil {
		t.Error(err)
	} else {
		d.ask(master, "GET", "/admin/log?"+u.RawQuery, "").want(200, `"who":"The admin of shop"`)
	}
	for _, a := range []answer{list, log} {
		if strings.Contains(a.Body, text) || strings.Contains(a.Body, public.at("key")) || strings.Contains(a.Body, keys.Hash(d.keys["admin@other"])) {
			t.Errorf("shown again, or another site's: %s", a.Body)
		}
	}
	for range 2 {
		d.ask(text, "POST", "/admin/keys/"+public.at("id")+"/revoke", "").want(200, `"revoked":true`)
	}
	if n := len(d.acts("shop")); n != 3 || d.live(public.at("key")) {
		t.Errorf("%d entries", n)
	}
	for _, secret := range []string{text, public.at("key"), "Lovelace"} {
		if strings.Contains(d.log.String(), secret) {
			t.Errorf("%q was logged", secret)
		}
	}
}

func TestKeys_refused(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	for body, says := range map[string]string{
		`{}`: "the class of a key", `{"class":"root"}`: "the class of a key",
		`{"class":"role","role":"admin"}`: "named person", `{"class":"role","person":"Ada","role":"root"}`: "a role is one of",
		`{"class":"role","person":"A\nda","role":"viewer"}`:             "control characters",
		`{"class":"role","person":"Ada","role":"viewer","label":"x"}`:   "in place of a label",
		`{"class":"private","person":"Ada"}`:                            "only a role key",
		`{"class":"private","origins":["https://shop.example"]}`:        "only a public key",
		`{"class":"public","origins":["https://shop.example/path"]}`:    "without a path",
		`{"class":"public","label":"` + strings.Repeat("x", 129) + `"}`: "a label has up to",
		`{"class":"private","site":"other"}`:                            `"site"`,
		`{"class":"role","person":"Ada","role":"admin","site":"other"}`: `"site"`,
	} {
		d.ask(master, "POST", "/admin/keys", body).want(400, says)
	}
	d.ask(master, "POST", "/admin/keys", `{"class":"private"}`, "content-type", "text/plain").want(415)
	d.ask(master, "POST", "/admin/keys", `{"class":"private"}`+strings.Repeat(" ", 64<<10)).want(413)
	for _, id := range []string{keys.Hash(d.keys["admin@other"]), keys.Hash(d.keys["viewer@other"]), keys.Hash("none"), "x"} {
		d.ask(master, "POST", "/admin/keys/"+id+"/revoke", "{}").want(404, "there is no such key")
	}
	if !d.live(d.keys["admin@other"]) || len(d.acts("shop"))+len(d.acts("other")) != 0 {
		t.Errorf("%+v", d.acts("shop"))
	}
}

// An idempotency key makes one key: what it was shown as is not shown again.
func TestKeys_again(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	const body, again = `{"class":"private","label":"back end"}`, "019c2300-0648-7aaa-8000-000000000001"
	first := d.ask(master, "POST", "/admin/keys", body, "Idempotency-Key", again).want(200)
	d.ask(master, "POST", "/admin/keys", body, "Idempotency-Key", again).want(409, first.at("id"), "shown once")
	d.ask(master, "POST", "/admin/keys", `{"class":"public"}`, "Idempotency-Key", again).want(409, "another request")
	d.ask("admin@other", "POST", "/admin/keys", body, "Idempotency-Key", again).want(200) // another site's is another one
	if n := len(d.acts("shop")); n != 1 {
		t.Errorf("%d entries", n)
	}
}

// Somebody always stays who can make keys, also when two revoke each other at
// the same time; and who was revoked does nothing more, although instances
// remember a key for a while.
func TestKeys_last(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	own := keys.Hash(d.keys[master])
	d.ask(master, "POST", "/admin/keys/"+own+"/revoke", "{}").want(409, "the last admin key")
	second := d.ask(master, "POST", "/admin/keys", `{"class":"role","person":"Ada","role":"admin"}`).want(200)
	d.ask(second.at("key"), "GET", "/admin/keys", "").want(200) // now this instance knows it
	var statuses [2]int
	var both sync.WaitGroup
	both.Go(func() { statuses[0] = d.ask(master, "POST", "/admin/keys/"+second.at("id")+"/revoke", "{}").Status })
	both.Go(func() { statuses[1] = d.ask(second.at("key"), "POST", "/admin/keys/"+own+"/revoke", "{}").Status })
	both.Wait()
	if d.live(d.keys[master]) == d.live(second.at("key")) || statuses[0] == statuses[1] {
		t.Fatalf("answered %v; live: %v, %v", statuses, d.live(d.keys[master]), d.live(second.at("key")))
	}
	lost, left := master, second.at("key")
	if d.live(d.keys[master]) {
		lost, left = left, lost
	}
	for path, body := range map[string]string{
		"POST /admin/keys": `{"class":"private"}`, "POST /admin/sites": `{"name":"mine"}`, "PUT /admin/sites/shop/settings": `{}`,
	} {
		method, target, _ := strings.Cut(path, " ")
		d.ask(lost, method, target, body).want(403, "Invalid authentication credentials")
	}
	version := d.ask(lost, "GET", "/admin/systems", "").want(200).Headers["Etag"]
	d.ask(lost, "PUT", "/admin/systems", `{"policy":{}}`, "If-Match", version).want(403)
	if n := len(d.acts("shop")); n != 2 || len(d.acts(office.Stack)) != 0 {
		t.Errorf("%d entries", n)
	}
	*d.now = d.now.Add(keys.TTL)
	d.ask(lost, "GET", "/admin/keys", "").want(403)
	d.ask(left, "GET", "/admin/keys", "").want(200)
}

// Who revokes their own key leaves another admin behind.
func TestKeys_own(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	second := d.ask(master, "POST", "/admin/keys", `{"class":"role","person":"Ada","role":"admin"}`).want(200)
	d.ask(master, "POST", "/admin/keys/"+keys.Hash(d.keys[master])+"/revoke", "{}").want(200)
	if d.live(d.keys[master]) || !d.live(second.at("key")) {
		t.Error("the wrong key has ended")
	}
	d.ask(second.at("key"), "POST", "/admin/keys/"+second.at("id")+"/revoke", "{}").want(409, "the last admin key")
}

func TestSites(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	list := d.ask(master, "GET", "/admin/sites", "").want(200, `"id":"shop"`, `"public_grants":"guarded"`, `"backdate_days":30`, `"double_opt_in_days":7`)
	if strings.Contains(list.Body, "other") {
		t.Errorf("another site: %s", list.Body)
	}
	for range 2 {
		d.ask(master, "PUT", "/admin/sites/shop/settings", `{"public_grants":"latest","backdate_days":7,"double_opt_in_days":3}`).want(200, `"public_grants":"latest"`, `"backdate_days":7`, `"double_opt_in_days":3`)
	}
	d.ask(master, "PUT", "/admin/sites/other/settings", `{}`).want(404)
	for body, says := range map[string]string{`{"backdate_days":366}`: "backdate_days", `{"double_opt_in_days":31}`: "double_opt_in_days", `{"public_grants":"all"}`: "public_grants", `{"days":1}`: `"days"`} {
		d.ask(master, "PUT", "/admin/sites/shop/settings", body).want(400, says)
	}
	for body, says := range map[string]string{`{}`: "name", `{"name":"x","id":"a#b"}`: "a site id", `{"name":"x","shards":65}`: "shards", `{"name":"x","settings":{"backdate_days":-1}}`: "backdate_days"} {
		d.ask(master, "POST", "/admin/sites", body).want(400, says)
	}
	d.ask(master, "POST", "/admin/sites", `{"id":"other","name":"mine now"}`).want(409, "exists already")
	const again = "019c2300-0648-7aaa-8000-000000000002"
	d.ask(master, "POST", "/admin/sites", `{"name":"Blog"}`, "Idempotency-Key", "k").want(400, "version 7")
	made := d.ask(master, "POST", "/admin/sites", `{"id":"blog","name":"Blog","shards":1,"settings":{"backdate_days":3}}`, "Idempotency-Key", again).want(200)
	d.ask(master, "POST", "/admin/sites", `{"id":"blog","name":"Blog","shards":1,"settings":{"backdate_days":3}}`, "Idempotency-Key", again).want(409, "blog", "shown once")
	d.ask(made.at("admin_key"), "GET", "/admin/sites", "").want(200, `"id":"blog"`, `"backdate_days":3`)
	d.ask(made.at("admin_key"), "GET", "/admin/keys", "").want(200, `"person":"The admin of shop"`)
	if a := d.ask(master, "GET", "/admin/keys", "").want(200); strings.Contains(a.Body, `"site":"blog"`) {
		t.Errorf("the new site's keys are seen from the old one: %s", a.Body)
	}
	if s, err := d.store.Site(t.Context(), "other"); err != nil || s.Name != "The other" {
		t.Errorf("%+v, %v", s, err)
	}
	var acts []office.Action
	for _, e := range d.acts("shop") {
		acts = append(acts, e.Act)
	}
	slices.Sort(acts) // entries of one millisecond are in no order
	if !slices.Equal(acts, []office.Action{office.MakeSite, office.SetSettings, office.SetSettings}) {
		t.Errorf("%v", acts)
	}
}

const systems = `{"policy":{"links":4},"systems":[{"name":"helpdesk","kind":"refdesk","secret":"helpdesk","config":{"base_url":"https://example.refdesk.test"},
	"processor":{"name":"Refdesk","dpa":"2025-03-01","review":"2026-03-01"},"region":"DE"}]}`

// systems.json is refused in one sentence and then unchanged, or takes the place
// of the version that was read.
func TestSystems(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	fresh := d.ask(master, "GET", "/admin/systems", "").want(200, `{"systems":[]}`)
	version := fresh.Headers["Etag"]
	for body, says := range map[string]string{
		`{"system":[]}`: `unknown key \"system\"`,
		strings.Replace(systems, `"secret":"helpdesk",`, "", 1): `secret is missing`,
		strings.Replace(systems, `"DE"`, `"US"`, 1):             `outside the European Economic Area`,
		strings.Replace(systems, `"dpa":"2025-03-01",`, "", 1):  `processor.dpa is missing`,
		strings.Replace(systems, `base_url`, `url`, 1):          `config has an unknown field`,
		`[]`:                          "must be a JSON object",
		`{"systems":[],"systems":[]}`: "not valid JSON",
	} {
		d.ask(master, "PUT", "/admin/systems", body, "If-Match", version).want(400, says)
	}
	d.ask(master, "PUT", "/admin/systems", "", "If-Match", version).want(400, "the body must be a systems.json")
	d.ask(master, "PUT", "/admin/systems", `{"letters":{"x":"`+strings.Repeat("x", 60_000)+`"}}`, "If-Match", version).want(413)
	for _, header := range []string{"", "*", "x", `""`} {
		d.ask(master, "PUT", "/admin/systems", systems, "If-Match", header).want(400, "If-Match")
	}
	d.ask(master, "PUT", "/admin/systems", systems, "If-Match", `"another"`).want(409, "read it again")
	if again := d.ask(master, "GET", "/admin/systems", "").want(200); again.Body != fresh.Body || again.Headers["Etag"] != version || len(d.acts(office.Stack)) != 0 {
		t.Errorf("changed: %s", again.Body)
	}
	var put answer
	for range 2 { // the same once more: a retry
		put = d.ask(master, "PUT", "/admin/systems", systems, "If-Match", version).want(200, "the review of the processor's DPA is due on 2026-03-01")
	}
	shown := d.ask("admin@other", "GET", "/admin/systems", "").want(200)
	if shown.Body != systems || shown.Headers["Etag"] != put.Headers["Etag"] || shown.Headers["Etag"] == version || strings.Trim(shown.Headers["Etag"], `"`) != put.at("version") {
		t.Errorf("%s %v", shown.Body, shown.Headers)
	}
	d.ask(master, "PUT", "/admin/systems", `{"systems":[]}`, "If-Match", version).want(409)
	d.ask("admin@other", "GET", "/admin/log?about=systems", "").want(200, `"act":"put_systems"`, "The admin of shop")
	d.ask(master, "GET", "/admin/log?about=nothing", "").want(400)
	if n := len(d.acts(office.Stack)); n != 1 {
		t.Errorf("%d entries", n)
	}
	// One that does not hold any more is shown, so that it can be mended.
	if err := secret.NewStore(d.env.Config).Put(t.Context(), d.env.Getenv("SYSTEMS_SECRET"), []byte(`{"broken":`)); err != nil {
		t.Fatal(err)
	}
	broken := d.ask(master, "GET", "/admin/systems", "").want(200, `{"broken":`)
	d.ask(master, "PUT", "/admin/systems", systems, "If-Match", broken.Headers["Etag"]).want(200)
}

// What cannot be written down does not happen; what a lost reply has hidden is
// there once, and said again harmless.
func TestDoors_faults(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	for _, fault := range append(slices.Clone(faulty.Before), faulty.After...) {
		for name, call := range map[string]struct{ method, path, body string }{
			"key":      {"POST", "/admin/keys", `{"class":"private","label":"` + fault.String() + `"}`},
			"site":     {"POST", "/admin/sites", `{"name":"` + fault.String() + `"}`},
			"settings": {"PUT", "/admin/sites/shop/settings", `{"backdate_days":` + fmt.Sprint(int(fault)+1) + `}`},
			"systems":  {"PUT", "/admin/systems", `{"policy":{"links":` + fmt.Sprint(int(fault)+1) + `}}`},
		} {
			d.Handler = d.instance()
			version := d.ask(master, "GET", "/admin/systems", "").want(200)
			d.net.Break(faulty.Every("dynamodb.TransactWriteItems", fault))
			before, keysBefore := len(d.acts("shop"))+len(d.acts(office.Stack)), d.count("shop")
			a := d.ask(master, call.method, call.path, call.body, "If-Match", version.Headers["Etag"])
			d.net.Reset()
			after, keysAfter := len(d.acts("shop"))+len(d.acts(office.Stack)), d.count("shop")
			if a.Status == 200 && after == before {
				t.Errorf("%s, %s: acknowledged without an entry", name, fault)
			}
			if a.Status != 200 && a.Status != 503 && a.Status != 409 {
				t.Errorf("%s, %s: %d %s", name, fault, a.Status, a.Body)
			}
			if !fault.Applied() && (after != before || keysAfter != keysBefore) {
				t.Errorf("%s, %s: %d entries, %d keys more", name, fault, after-before, keysAfter-keysBefore)
			}
			if name == "key" && after-before != keysAfter-keysBefore {
				t.Errorf("%s, %s: %d entries and %d keys", name, fault, after-before, keysAfter-keysBefore)
			}
			if now := d.ask(master, "GET", "/admin/systems", "").want(200); name == "systems" && a.Status != 200 && now.Body != version.Body {
				t.Errorf("%s, %s: put without an entry", name, fault)
			}
		}
		// systems.json itself: whatever becomes of the call, the same once more ends well.
		version := d.ask(master, "GET", "/admin/systems", "").want(200)
		body := `{"policy":{"links":` + fmt.Sprint(int(fault)+10) + `}}`
		d.net.Break(faulty.Every("secretsmanager.PutSecretValue", fault))
		if a := d.ask(master, "PUT", "/admin/systems", body, "If-Match", version.Headers["Etag"]); a.Status != 200 && a.Status != 503 {
			t.Errorf("%s: %d %s", fault, a.Status, a.Body)
		}
		d.net.Reset()
		d.ask(master, "PUT", "/admin/systems", body, "If-Match", version.Headers["Etag"]).want(200)
		if now := d.ask(master, "GET", "/admin/systems", "").want(200); now.Body != body {
			t.Errorf("%s: %s", fault, now.Body)
		}
	}
}

func (d *door) count(siteID string) int {
	d.t.Helper()
	list, err := d.store.Keys(d.t.Context(), siteID)
	if err != nil {
		d.t.Fatal(err)
	}
	return len(list)
}

// A script has AWS rights: it may end the last admin key, and is in the log.
func TestDesk_script(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	id := uuid.NewString() // the same for each entry
	desk := office.Desk{Store: d.store, Now: func() time.Time { return noon }, NewID: func(time.Time) string { return id }}
	script := office.Actor{Who: "a script", Role: "aws"}
	if k, err := desk.Revoke(t.Context(), script, "shop", keys.Hash(d.keys[master])); err != nil || !k.Revoked || d.live(d.keys[master]) {
		t.Errorf("%+v, %v", k, err)
	}
	if _, err := desk.Revoke(t.Context(), script, "other", keys.Hash(d.keys["viewer@shop"])); !errs.Is(err, errs.NotFound) {
		t.Errorf("by another site: %v", err)
	}
	// An id that exists: no entry is overwritten, and nothing happens.
	if _, err := desk.Revoke(t.Context(), script, "shop", keys.Hash(d.keys["viewer@shop"])); err == nil || !d.live(d.keys["viewer@shop"]) {
		t.Errorf("an entry that exists: %v", err)
	}
	if acts := d.acts("shop"); len(acts) != 1 || acts[0].Detail["key"] != keys.Hash(d.keys[master]) || acts[0].Who != script.Who {
		t.Errorf("%+v", acts)
	}
}
