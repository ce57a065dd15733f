package collect_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/avow-consent/avow/internal/collect"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/office"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/setup"
	"github.com/avow-consent/avow/internal/site"
)

var reveal = cmp.Transformer("reveal", redact.String.Reveal)

// keyAt is an idempotency key of an instant.
func keyAt(at time.Time) string {
	id := uuid.New()
	for i, ms := 5, at.UnixMilli(); i >= 0; i, ms = i-1, ms>>8 {
		id[i] = byte(ms)
	}
	id[6] = id[6]&0x0f | 0x70
	return id.String()
}

// The same consent by every way in which a page can send it.
func TestPost_encodings(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	const phone = "+34600123987"
	form := url.Values{
		"subject[id]": {planted["subject id"]}, "subject[email]": {planted["e-mail"]}, "subject[first_name]": {planted["first name"]}, "subject[last_name]": {planted["last name"]},
		"subject[phones][][number]": {phone}, "subject[phones][][label]": {"home"}, "preferences[newsletter]": {"true"}, "proofs[][content]": {planted["content"]},
	}
	key := func() string { return keyAt(noon) }
	for name, tt := range map[string]struct {
		request request
		value   string // of the preference, as it came
	}{
		"JSON":               {post(person(nil)), "true"},
		"JSON in base64":     {request{body: person(nil), headers: post("").headers, binary: true}, "true"},
		"JSON, no type":      {post(person(nil)).with("content-type", ""), "true"},
		"JSON, with charset": {post(person(nil)).with("content-type", "application/json; charset=UTF-8"), "true"},
		"form":               {request{body: form.Encode(), headers: post("").with("content-type", "application/x-www-form-urlencoded").headers}, `"true"`},
		"form in base64":     {request{body: form.Encode(), headers: post("").with("content-type", "application/x-www-form-urlencoded").headers, binary: true}, `"true"`},
		"numbered form": {request{body: strings.NewReplacer("%5B%5D", "%5B0%5D").Replace(form.Encode()),
			headers: post("").with("content-type", "application/x-www-form-urlencoded; charset=utf-8").headers}, `"true"`},
		"beacon":      {request{query: "key=" + publicKey, body: person(nil), headers: map[string]string{"content-type": "text/plain;charset=UTF-8"}}, "true"},
		"beta":        {request{path: "/beta/public/consent", body: person(nil), headers: post("").headers}, "true"},
		"slashes":     {request{path: "//public//consent/", body: person(nil), headers: post("").headers}, "true"},
		"with a key":  {post(person(nil)).with("idempotency-key", key()), "true"},
		"beacon, key": {request{query: "key=" + publicKey + "&idempotency_key=" + key(), body: person(nil), headers: map[string]string{"content-type": "text/plain"}}, "true"},
		"unknown":     {post(person(map[string]any{"unescape_json": true, "x": map[string]any{"y": []any{1}}, "Subject": "z"})), "true"},
	} {
		t.Run(name, func(t *testing.T) {
			told, e := d.record(t, tt.request)
			text := func(s string) *consent.Text { return &consent.Text{Value: redact.String(s)} }
			want := consent.Event{
				Source: consent.Public, Act: consent.WebForm, Site: "shop", SubjectID: redact.String(planted["subject id"]), IP: redact.String(planted["address"]),
				Profile: consent.Profile{Email: text(planted["e-mail"]), FirstName: text(planted["first name"]), LastName: text(planted["last name"]),
					Phones: &consent.Phones{List: []consent.Phone{{Number: phone, Label: "home"}}}},
				Preferences: []consent.Preference{{Key: "newsletter", Value: tt.value}},
				Proofs:      []consent.Proof{{HasContent: true, Content: redact.String(planted["content"]), ContentBytes: len(planted["content"])}},
				Claimed:     noon, Received: noon, Kind: consent.KindConsent,
				ID: e.ID, Subject: e.Subject, KeyID: e.KeyID, Request: e.Request,
			}
			if diff := cmp.Diff(&want, e, reveal); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if told.SubjectID != planted["subject id"] || told.Timestamp != "2026-02-03T12:00:00Z" {
				t.Errorf("told %+v", told)
			}
		})
	}
}

// What a public key says of addresses, documents and sources is ignored.
func TestPost_addresses(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	for name, tt := range map[string]struct {
		body string
		ip   string
	}{
		"by itself":         {`{}`, planted["address"]},
		"another one":       {`{"ip_address":"198.51.100.9","proof_document_ids":["d1"],"source":"private"}`, planted["address"]},
		"no address at all": {`{"ip_address":{"not":"one"},"proof_document_ids":{"a":1}}`, planted["address"]},
		"none wanted":       {`{"autodetect_ip_address":false,"ip_address":"198.51.100.9"}`, ""},
		"none wanted, text": {`{"autodetect_ip_address":"false"}`, ""},
		"wanted":            {`{"autodetect_ip_address":"true"}`, planted["address"]},
		"no word":           {`{"autodetect_ip_address":""}`, planted["address"]},
	} {
		if _, e := d.record(t, post(tt.body).with("x-forwarded-for", "198.51.100.9")); e.IP.Reveal() != tt.ip || e.DocumentIDs != nil || e.Source != consent.Public {
			t.Errorf("%s: address %q, documents %v, source %s", name, e.IP.Reveal(), e.DocumentIDs, e.Source)
		}
	}
}

// The privacy signal of the browser, and that of the page.
func TestPost_signal(t *testing.T) {
	t.Parallel()
	d := newDoor(t, func(s *site.Site) { s.Register = []site.Purpose{{Key: "sale", SaleOrSharing: true}, {Key: "news"}} })
	for name, tt := range map[string]struct {
		request request
		gpc     bool
	}{
		"none":          {post(`{"preferences":{"sale":true}}`), false},
		"header":        {post(`{"preferences":{"sale":true}}`).with("sec-gpc", "1"), true},
		"another value": {post(`{"preferences":{"sale":true}}`).with("sec-gpc", "0"), false},
		"body":          {post(`{"preferences":{"sale":true},"gpc":true}`), true},
	} {
		_, e := d.record(t, tt.request)
		state := consent.Decide([]consent.Event{*e}, "sale", consent.View{Now: noon}, consent.Rules{})
		if e.GPC != tt.gpc || state.Granted == tt.gpc {
			t.Errorf("%s: signal %v, sale %s", name, e.GPC, state.Reason)
		}
	}
}

// A retry gets the same answer, byte by byte; another request under the key a
// conflict that says nothing of the first.
func TestPost_retry(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	r := post(person(nil)).with("idempotency-key", keyAt(noon.Add(-time.Minute)))
	first := d.ask(t, r)
	*d.now = noon.Add(time.Hour)
	for _, instance := range []*door{d, d.instance(t)} {
		if again := instance.ask(t, r.with("user-agent", "another", "sec-gpc", "1")); again.Status != 200 || again.Body != first.Body {
			t.Errorf("%d %s, want %s", again.Status, again.Body, first.Body)
		}
	}
	other := r
	other.body = person(map[string]any{"preferences": map[string]any{"newsletter": false}})
	if a := d.ask(t, other); a.Status != 409 || strings.Contains(a.Body, planted["subject id"]) {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if events, _, _ := d.stored(t); events != 1 {
		t.Errorf("%d rows", events)
	}
}

// 200 racing identical posts give one record and one answer.
func TestPost_race(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	instances := []*door{d, d.instance(t), d.instance(t)}
	r := post(person(map[string]any{"proofs": []any{map[string]any{"content": strings.Repeat("large", 2000), "form": "<form>"}}})).with("idempotency-key", keyAt(noon))
	answers := make([]answer, 200)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = instances[i%3].ask(t, r) })
	}
	wg.Wait()
	for _, a := range answers {
		if a.Status != 200 || a.Body != answers[0].Body {
			t.Fatalf("%d %s, and %s", a.Status, a.Body, answers[0].Body)
		}
	}
	if events, forms, objects := d.stored(t); events != 1 || forms != 1 || objects != 2 {
		t.Errorf("%d rows, %d forms, %d objects", events, forms, objects)
	}
}

// A key that is revoked ends within the time that instances remember it.
func TestPost_revokedKey(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	d.record(t, post(`{}`))
	store := dynamo.NewOffice(d.env.Config, d.env.Getenv("AUDIT_TABLE"), d.env.Getenv("KEYS_TABLE"), d.env.Getenv("SITES_TABLE"))
	desk := office.Desk{Store: store, Now: time.Now, NewID: func(time.Time) string { return uuid.NewString() }}
	if key, err := desk.Revoke(t.Context(), office.Actor{Who: "a test"}, "shop", keys.Hash(publicKey)); err != nil || !key.Revoked {
		t.Fatal(err)
	}
	if a := d.instance(t).ask(t, post(`{}`)); a.Status != 403 {
		t.Errorf("an instance that has not seen it: %d", a.Status)
	}
	*d.now = noon.Add(keys.TTL)
	if a := d.ask(t, post(`{}`)); a.Status != 403 || a.Body != `{"message":"Invalid authentication credentials"}` {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if events, _, _ := d.stored(t); events != 1 {
		t.Errorf("%d rows", events)
	}
}

// demo is the consent of the demo page, as avow.js posts it.
func demo(email string) string {
	content, _ := json.Marshal(map[string]any{"first_name": "Inès", "last_name": "Roca", "email": email, "newsletter": true, "profiling": false, "terms": true})
	form := "<form>" + strings.Repeat(`<p class="choice"><input type="checkbox" name="newsletter"><label>Send me letters</label></p>`, 25) + "</form>"
	body, _ := json.Marshal(map[string]any{
		"timestamp": noon.Format("2006-01-02T15:04:05.000Z"), "sent_at": noon.Format("2006-01-02T15:04:05.000Z"),
		"subject":       map[string]any{"first_name": "Inès", "last_name": "Roca", "email": email},
		"preferences":   map[string]any{"newsletter": true, "profiling": false, "terms": true},
		"legal_notices": []any{map[string]any{"identifier": "privacy_policy"}, map[string]any{"identifier": "terms"}},
		"proofs":        []any{map[string]any{"content": string(content), "form": form}},
	})
	return string(body)
}

// What AWS is asked for, and what it costs.
func TestPost_callsAndCapacity(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	d.net.Capacity = true
	const put, object, form, get = "dynamodb.PutItem", "s3.PutObject", "dynamodb.UpdateItem", "dynamodb.GetItem"
	demoPost := func(n int) request {
		return post(demo(fmt.Sprintf("ines%d@example.test", n))).with("idempotency-key", keyAt(noon))
	}
	want := func(step string, d *door, r request, calls map[string]int) {
		t.Helper()
		d.net.Reset()
		if a := d.ask(t, r); a.Status != 200 {
			t.Fatalf("%s: %d %s", step, a.Status, a.Body)
		}
		if diff := cmp.Diff(calls, d.net.Counts()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step, diff)
		}
	}
	want("the first of an instance", d, post(`{}`), map[string]int{get: 2, put: 1})
	want("a form never seen", d, demoPost(1), map[string]int{form: 1, object: 1, put: 1})
	want("a second person", d, demoPost(2), map[string]int{form: 1, put: 1})
	want("warm, form known to be shared", d, demoPost(3), map[string]int{put: 1})
	for _, c := range d.net.Calls() {
		t.Logf("the demo consent: %.0f write units of the row, %v of indexes, %d bytes sent", c.Consumed.Table, c.Consumed.Indexes, len(c.Body))
		if c.Consumed.Total() > 3 || c.Consumed.Table > 2 || c.Consumed.Table < 1 || c.Consumed.Indexes["Listing"] != 1 {
			t.Errorf("the demo consent consumes %+v, want at most 2 units of the table and 1 of the index", c.Consumed)
		}
	}
	want("no proof", d, post(`{"preferences":{"a":true}}`), map[string]int{put: 1})
	want("large content", d, post(`{"proofs":[{"content":"`+strings.Repeat("x", 5000)+`"}]}`), map[string]int{object: 1, put: 1})
	d.ask(t, demoPost(4))
	other := d.instance(t)
	other.ask(t, post(`{}`))
	forms := dynamo.NewForms(d.env.Config, d.env.Getenv("FORMS_TABLE"))
	_, e := d.record(t, demoPost(5))
	if err := forms.MarkStored(t.Context(), "shop", e.Proofs[0].FormDigest, e.Proofs[0].FormNonce); err != nil {
		t.Fatal(err)
	}
	want("an instance that does not know yet that the form is shared", other, demoPost(6), map[string]int{form: 1, put: 1})
	d.net.Reset()
	if a := d.ask(t, post(`{"proofs":[{"content":{}}]}`)); a.Status != 400 || len(d.net.Counts()) != 0 {
		t.Errorf("a refusal: %d, %v", a.Status, d.net.Counts())
	}
}

// A failing service is a 503 that asks to try again and acknowledges nothing;
// the same post is whole when the service is back.
func TestPost_faults(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		script faulty.Script
		rows   int // that may be left behind
	}{
		"ledger, before":       {faulty.Every("dynamodb.PutItem", faulty.Throttled), 0},
		"ledger, after":        {faulty.Every("dynamodb.PutItem", faulty.Lost), 1},
		"content":              {faulty.Every("s3.PutObject", faulty.Failed), 0},
		"content, after":       {faulty.Every("s3.PutObject", faulty.LateReply), 0},
		"content, conflict":    {faulty.Every("s3.PutObject", faulty.Conflict), 0},
		"form":                 {faulty.Every("dynamodb.UpdateItem", faulty.TimedOut), 0},
		"form, after":          {faulty.Every("dynamodb.UpdateItem", faulty.FailedYet), 0},
		"keys and sites":       {faulty.Every("dynamodb.GetItem", faulty.Refused), 0},
		"keys and sites, late": {faulty.Every("dynamodb.GetItem", faulty.LateReply), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDoor(t)
			r := post(person(map[string]any{"proofs": []any{map[string]any{"content": strings.Repeat("Plantada", 1000), "form": "<form>"}}})).with("idempotency-key", keyAt(noon))
			d.net.Break(tt.script)
			a := d.ask(t, r)
			if a.Status != 503 || a.Headers["Retry-After"] == "" || !strings.Contains(a.Body, "nothing was acknowledged") {
				t.Errorf("%d %v %s", a.Status, a.Headers, a.Body)
			}
			if events, _, _ := d.stored(t); events != tt.rows {
				t.Errorf("%d rows, want %d", events, tt.rows)
			}
			d.net.Reset()
			d.record(t, r)
			if events, forms, objects := d.stored(t); events != 1 || forms != 1 || objects != 2 {
				t.Errorf("%d rows, %d forms, %d objects", events, forms, objects)
			}
		})
	}
}

// Any one call of a cold instance may fail once, in any way: the page does not
// notice.
func TestPost_oneFault(t *testing.T) {
	t.Parallel()
	body := person(map[string]any{"proofs": []any{map[string]any{"content": strings.Repeat("Plantada", 1000), "form": "<form>"}}})
	for _, call := range []struct {
		operation string
		nth       int
	}{{"dynamodb.GetItem", 1}, {"dynamodb.GetItem", 2}, {"s3.PutObject", 1}, {"dynamodb.UpdateItem", 1}, {"s3.PutObject", 2}, {"dynamodb.PutItem", 1}} {
		t.Run(fmt.Sprint(call.operation, " ", call.nth), func(t *testing.T) {
			t.Parallel()
			d := newDoor(t)
			for i, fault := range slices.Concat(faulty.Before, faulty.After) {
				d := d.instance(t)
				d.net.Break(faulty.Nth(call.operation, call.nth, fault))
				d.record(t, post(body).with("idempotency-key", keyAt(noon)))
				if events, forms, objects := d.stored(t); events != i+1 || forms != 1 || objects != i+2 {
					t.Errorf("%v: %d rows, %d forms, %d objects after %d posts", fault, events, forms, objects, i+1)
				}
			}
		})
	}
}

// Without its settings or its secret the component does not start.
func TestNew_missing(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	for _, name := range []string{"EVENTS_TABLE", "FORMS_TABLE", "SITES_TABLE", "KEYS_TABLE", "PROOFS_BUCKET", "CONTENT_INLINE_BYTES", "PSEUDONYM_SECRET"} {
		if err := d.start(t, name, ""); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	for name, value := range map[string]string{"CONTENT_INLINE_BYTES": "-1", "PSEUDONYM_SECRET": "no-such-secret"} {
		if err := d.start(t, name, value); err == nil {
			t.Errorf("started with %s=%s", name, value)
		}
	}
	if err := d.start(t, "", ""); err != nil {
		t.Errorf("with everything: %v", err)
	}
}

// start builds the component with one variable of its environment changed.
func (d *door) start(t testing.TB, name, value string) error {
	t.Helper()
	base, err := setup.NewBase(t.Context(), func(n string) string {
		if n == name {
			return value
		}
		return d.env.Getenv(n)
	})
	if err != nil {
		t.Fatal(err)
	}
	base.Config = d.env.Config
	_, err = collect.New(t.Context(), base)
	return err
}
