package preferences_test

import (
	"encoding/json"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/preferences"
	"github.com/avow-consent/avow/internal/site"
)

// What nobody has said anything about: consents are off, the rest is on, and only
// what the person decides can be switched.
func TestShow_unknown(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	v := d.show(ines)
	email := "email"
	want := preferences.View{SubjectID: ines, Language: "en", Version: v.Version, Preferences: []preferences.Preference{
		{Key: "newsletter", Purpose: "News by e-mail", LegalBasis: "consent", Channel: &email, Reason: consent.NeverAsked, Changeable: true},
		{Key: "ads", Purpose: "Advertising", LegalBasis: "consent", Reason: consent.NeverAsked, Changeable: true},
		{Key: "statistics", Purpose: "What is read on our pages", LegalBasis: "legitimate_interest", Granted: true, Reason: consent.NeverAsked, Changeable: true},
		{Key: "terms", Purpose: "Your orders", LegalBasis: "contract", Granted: true, Reason: consent.NeverAsked},
		{Key: "books", Purpose: "Our accounts", LegalBasis: "legal_obligation", Granted: true, Reason: consent.NeverAsked},
	}}
	if diff := cmp.Diff(want, v); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(d.said(ines)) > 0 {
		t.Error("looking has written")
	}
}

// Yes and no, as they stand and since when; and a preference that the register
// has dropped.
func TestShow_states(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	at := noon.Add(-48 * time.Hour)
	d.record(consent.Submission{Source: consent.Private, SubjectID: ines, Timestamp: &at, Preferences: []consent.Preference{
		{Key: "newsletter", Value: "true"}, {Key: "ads", Value: "false"}, {Key: "statistics", Value: "false"}, {Key: "old", Value: "true"},
	}})
	v := d.show(ines)
	since, expires := "2026-02-01T12:00:00Z", "2027-02-01T12:00:00Z"
	for key, want := range map[string]preferences.Preference{
		"newsletter": {Granted: true, Reason: consent.Granted, Since: &since, ExpiresAt: &expires},
		"ads":        {Reason: consent.Refused, Since: &since},
		"statistics": {Reason: consent.Refused, Since: &since},
		"old":        {Purpose: "old", LegalBasis: "consent", Granted: true, Reason: consent.Granted, Since: &since, Changeable: true},
	} {
		got := of(t, v, key)
		if got.Granted != want.Granted || got.Reason != want.Reason || !cmp.Equal(got.Since, want.Since) || !cmp.Equal(got.ExpiresAt, want.ExpiresAt) {
			t.Errorf("%s: %+v, want %+v", key, got, want)
		}
	}
	if last := v.Preferences[len(v.Preferences)-1]; last.Key != "old" || !last.Changeable || last.Purpose != "old" {
		t.Errorf("the last is %+v", last)
	}
	if v := d.save(ines, map[string]bool{"old": false}); of(t, v, "old").Reason != consent.Withdrawn {
		t.Errorf("what the register does not know cannot be withdrawn: %+v", v)
	}
}

// The language of the page, of the body before that of the browser.
func TestShow_language(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	for name, tt := range map[string]struct{ language, accept, told, purpose string }{
		"stated":          {"fr", "", "fr", "Nos nouvelles par e-mail"},
		"of a country":    {"fr-CA", "en", "fr-CA", "Nos nouvelles par e-mail"},
		"of the browser":  {"", "fr-FR,fr;q=0.9", "fr", "Nos nouvelles par e-mail"},
		"of nobody":       {"", "", "en", "News by e-mail"},
		"one without one": {"de", "fr", "de", "News by e-mail"},
	} {
		v := d.view(d.ask("POST", showPath, d.body(ines, map[string]any{"language": tt.language}), "accept-language", tt.accept))
		if got := of(t, v, "newsletter").Purpose; v.Language != tt.told || got != tt.purpose {
			t.Errorf("%s: %s, %q", name, v.Language, got)
		}
	}
}

// One event with what was chosen and what was shown; the answer has it already.
func TestSave(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	at := noon.Add(-time.Hour)
	d.record(consent.Submission{Source: consent.Private, SubjectID: ines, Timestamp: &at, Preferences: []consent.Preference{{Key: "newsletter", Value: "true"}}})
	before := d.show(ines)
	a := d.ask("POST", savePath, d.body(ines, map[string]any{
		"preferences": map[string]bool{"newsletter": false, "ads": true, "statistics": false}, "purposes_version": before.Version,
		"legal_notices": []any{map[string]any{"identifier": "privacy_policy", "version": "2"}},
	}))
	v := d.view(a)
	for key, want := range map[string]consent.Reason{"newsletter": consent.Withdrawn, "ads": consent.Granted, "statistics": consent.Objected} {
		if got := of(t, v, key); got.Reason != want || got.Granted != (want == consent.Granted) {
			t.Errorf("%s: %+v, want %s", key, got, want)
		}
	}
	events := d.said(ines)
	if len(events) != 2 {
		t.Fatalf("%d events", len(events))
	}
	e := events[1]
	if e.ID != v.ID || e.Act != consent.PreferenceCentre || e.Source != consent.Public || e.Token != consent.TokenValid || e.IP != "" {
		t.Errorf("%+v", e)
	}
	if diff := cmp.Diff([]consent.Preference{{Key: "newsletter", Value: "false"}, {Key: "ads", Value: "true"}, {Key: "statistics", Value: "false"}}, e.Preferences); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]consent.NoticeRef{{Identifier: "privacy_policy", Version: "2"}}, e.LegalNotices); diff != "" {
		t.Error(diff)
	}
	if len(e.Proofs) != 1 || e.Proofs[0].FormDigest != before.Version || e.Proofs[0].Content.Reveal() != `{"preferences":{"ads":true,"newsletter":false,"statistics":false}}` {
		t.Errorf("the proof is %+v", e.Proofs)
	}
	if form := d.form(e.Proofs[0]); form != `{"purposes":[`+
		`{"key":"newsletter","purpose":"News by e-mail","legal_basis":"consent","channel":"email"},`+
		`{"key":"ads","purpose":"Advertising","legal_basis":"consent"},`+
		`{"key":"statistics","purpose":"What is read on our pages","legal_basis":"legitimate_interest"},`+
		`{"key":"terms","purpose":"Your orders","legal_basis":"contract"},`+
		`{"key":"books","purpose":"Our accounts","legal_basis":"legal_obligation"}]}` {
		t.Errorf("the form is %s", form)
	}
	if after := d.show(ines); !cmp.Equal(after.Preferences, v.Preferences) || after.ID != "" {
		t.Errorf("%+v, and then %+v", v, after)
	}
}

// A yes by this way counts after a no that somebody trusted has recorded; one of
// a web page that nobody vouches for does not.
func TestSave_grantAfterNo(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	at := noon.Add(-time.Hour)
	d.record(consent.Submission{Source: consent.Private, SubjectID: ines, Timestamp: &at, Preferences: []consent.Preference{{Key: "newsletter", Value: "false"}}})
	d.record(consent.Submission{Source: consent.Public, SubjectID: ines, Preferences: []consent.Preference{{Key: "newsletter", Value: "true"}}})
	if got := of(t, d.show(ines), "newsletter"); got.Granted || got.Reason != consent.Unconfirmed {
		t.Fatalf("%+v", got)
	}
	if got := of(t, d.save(ines, map[string]bool{"newsletter": true}), "newsletter"); !got.Granted || got.Reason != consent.Granted {
		t.Errorf("%+v", got)
	}
}

// The last of several switches wins, whatever the clock of the browser shows.
func TestSave_clocks(t *testing.T) {
	t.Parallel()
	for name, skew := range map[string]time.Duration{"right": 0, "slow": -3 * time.Hour, "fast": 4 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDoor(t)
			for i, yes := range []bool{true, false, true, false, true} {
				*d.now = noon.Add(time.Duration(i) * time.Minute)
				v := d.save(ines, map[string]bool{"newsletter": yes}, "idempotency-key", keyAt(d.now.Add(skew)))
				if got := of(t, v, "newsletter"); got.Granted != yes {
					t.Errorf("switch %d: %+v", i, got)
				}
			}
		})
	}
}

// The same request again is the same event, also under another register; another
// request under its key is a conflict.
func TestSave_again(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	body := d.body(ines, map[string]any{"preferences": map[string]bool{"newsletter": true, "statistics": false}})
	key := keyAt(noon)
	first := d.view(d.ask("POST", savePath, body, "idempotency-key", key))
	*d.now = noon.Add(time.Minute)
	again := d.instance().ask("POST", savePath, body, "idempotency-key", key, "sec-gpc", "1")
	if v := d.view(again); v.ID != first.ID || !cmp.Equal(v, first) {
		t.Errorf("%+v, then %+v", first, v)
	}
	_, err := dynamo.NewSites(d.env.Config, d.env.Getenv("SITES_TABLE")).PutRegister(t.Context(), "shop", []site.Purpose{{Key: "newsletter", Purpose: map[string]string{"en": "Other news"}}, {Key: "statistics"}}, 0)
	d.must(err)
	*d.now = noon.Add(2 * time.Minute)
	if v := d.view(d.instance().ask("POST", savePath, body, "idempotency-key", key)); v.ID != first.ID || v.Version == first.Version {
		t.Errorf("%+v, then %+v", first, v)
	}
	other := d.ask("POST", savePath, d.body(ines, map[string]any{"preferences": map[string]bool{"newsletter": false}}), "idempotency-key", key)
	if other.Status != 409 || len(d.said(ines)) != 1 {
		t.Errorf("%d %s, %d events", other.Status, other.Body, len(d.said(ines)))
	}
}

// Who has seen other purposes than those of now gives no consent to these, but
// may always say no.
func TestSave_purposesChanged(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	stale := strings.Repeat("0", 64)
	a := d.ask("POST", savePath, d.body(ines, map[string]any{"preferences": map[string]bool{"newsletter": true, "ads": false}, "purposes_version": stale}))
	if a.Status != 409 || !strings.Contains(a.Body, "show them again") || len(d.said(ines)) != 0 {
		t.Errorf("%d %s, %d events", a.Status, a.Body, len(d.said(ines)))
	}
	a = d.ask("POST", savePath, d.body(ines, map[string]any{"preferences": map[string]bool{"newsletter": false}, "purposes_version": stale}))
	if a.Status != 200 || len(d.said(ines)) != 1 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

// A browser's privacy signal objects here as everywhere.
func TestSave_signal(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	v := d.save(ines, map[string]bool{"newsletter": true, "ads": true}, "sec-gpc", "1")
	if of(t, v, "ads").Granted || !of(t, v, "newsletter").Granted {
		t.Errorf("%+v", v)
	}
}

// Nothing that is refused changes anything, and what is wrong is named.
func TestSave_refuses(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	with := func(more map[string]any) string {
		all := map[string]any{"preferences": map[string]bool{"newsletter": false}}
		maps.Copy(all, more)
		return d.body(ines, all)
	}
	for name, tt := range map[string]struct {
		body    string
		headers []string
		status  int
		says    string
	}{
		"no JSON":              {"{", nil, 400, "JSON"},
		"a list":               {"[]", nil, 400, "object"},
		"nothing":              {"", nil, 400, "subject_id"},
		"another field":        {with(map[string]any{"act": "paper"}), nil, 400, "act"},
		"no subject":           {with(map[string]any{"subject_id": ""}), nil, 400, "subject_id"},
		"long subject":         {with(map[string]any{"subject_id": strings.Repeat("a", 257)}), nil, 400, "subject_id"},
		"no token":             {with(map[string]any{"subject_token": ""}), nil, 400, "subject_token"},
		"long token":           {with(map[string]any{"subject_token": strings.Repeat("a", 1025)}), nil, 400, "subject_token"},
		"no language":          {with(map[string]any{"language": "<fr>"}), nil, 400, "language"},
		"nothing chosen":       {with(map[string]any{"preferences": map[string]bool{}}), nil, 400, "preferences"},
		"no truth value":       {with(map[string]any{"preferences": map[string]any{"newsletter": "yes"}}), nil, 400, "preferences"},
		"unknown":              {with(map[string]any{"preferences": map[string]bool{"newsletter": false, "nonsense": true}}), nil, 400, "preferences.nonsense"},
		"of a contract":        {with(map[string]any{"preferences": map[string]bool{"terms": false}}), nil, 400, "rests on contract"},
		"of a law":             {with(map[string]any{"preferences": map[string]bool{"books": false}}), nil, 400, "rests on legal_obligation"},
		"an empty notice":      {with(map[string]any{"legal_notices": []any{map[string]any{}}}), nil, 400, "legal_notices[0]"},
		"many notices":         {with(map[string]any{"legal_notices": make([]struct{}, 33)}), nil, 400, "legal_notices"},
		"too large":            {with(map[string]any{"purposes_version": strings.Repeat("a", 70<<10)}), nil, 413, ""},
		"another type":         {with(nil), []string{"content-type", "text/plain"}, 415, "application/json"},
		"a bad key":            {with(nil), []string{"idempotency-key", "1"}, 400, "Idempotency-Key"},
		"an old key":           {with(nil), []string{"idempotency-key", keyAt(noon.Add(-31 * 24 * time.Hour))}, 400, "clock"},
		"no API key":           {with(nil), []string{"apikey", ""}, 401, "API key"},
		"unknown API key":      {with(nil), []string{"apikey", "nonsense"}, 403, ""},
		"private API key":      {with(nil), []string{"apikey", privateKey}, 403, ""},
		"no origin":            {with(nil), []string{"apikey", listedKey}, 403, ""},
		"another origin":       {with(nil), []string{"apikey", listedKey, "origin", "https://evil.example"}, 403, ""},
		"token of another":     {with(map[string]any{"subject_token": d.token("cust-882")}), nil, 401, `"code":"token"`},
		"subject of another":   {with(map[string]any{"subject_id": "cust-882"}), nil, 401, `"code":"token"`},
		"nonsense for a token": {with(map[string]any{"subject_token": "v1.k1.9999999999.AAAA"}), nil, 401, `"code":"token"`},
		"of an unknown key":    {with(map[string]any{"subject_token": site.SignToken("k2", []byte(tokenSecret), "shop", ines, noon.Add(time.Hour))}), nil, 401, `"code":"token"`},
		"of another site":      {with(map[string]any{"subject_token": site.SignToken("k1", []byte(tokenSecret), "other", ines, noon.Add(time.Hour))}), nil, 401, `"code":"token"`},
		"an expired token":     {with(map[string]any{"subject_token": site.SignToken("k1", []byte(tokenSecret), "shop", ines, noon)}), nil, 401, "expired"},
	} {
		a := d.ask("POST", savePath, tt.body, tt.headers...)
		if a.Status != tt.status || !strings.Contains(a.Body, tt.says) {
			t.Errorf("%s: %d %s, want %d and %s", name, a.Status, a.Body, tt.status, tt.says)
		}
	}
	if len(d.said(ines))+len(d.said("cust-882")) != 0 {
		t.Error("a refused request has written")
	}
	if a := d.ask("POST", savePath, with(nil), "apikey", listedKey, "origin", "https://shop.example"); a.Status != 200 {
		t.Errorf("the right origin: %d %s", a.Status, a.Body)
	}
}

// Looking with another's token shows nothing of anybody.
func TestShow_refuses(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	for name, body := range map[string]string{
		"token of another": d.body(ines, map[string]any{"subject_token": d.token("cust-882")}),
		"expired":          d.body(ines, map[string]any{"subject_token": site.SignToken("k1", []byte(tokenSecret), "shop", ines, noon.Add(-1))}),
		"revoked":          d.body(ines, map[string]any{"subject_token": site.SignToken("k0", []byte(tokenSecret), "shop", ines, noon.Add(time.Hour))}),
	} {
		if a := d.ask("POST", showPath, body); a.Status != 401 || !strings.Contains(a.Body, `"code":"token"`) || strings.Contains(a.Body, "newsletter") {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	if a := d.ask("GET", showPath, ""); a.Status == 200 {
		t.Errorf("GET: %d %s", a.Status, a.Body)
	}
}

// Who tries tokens is stopped; the network of those who have a good one, too,
// only for the bad ones.
func TestShow_throttle(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	bad := d.body(ines, map[string]any{"subject_token": "nonsense"})
	for range 60 {
		if a := d.ask("POST", showPath, bad); a.Status != 401 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
	}
	if a := d.ask("POST", showPath, bad); a.Status != 429 || a.Headers["Retry-After"] == "" {
		t.Errorf("%d %v %s", a.Status, a.Headers, a.Body)
	}
	d.show(ines)
	*d.now = noon.Add(time.Hour)
	if a := d.ask("POST", showPath, bad); a.Status != 401 {
		t.Errorf("an hour later: %d %s", a.Status, a.Body)
	}
}

// The whole person is shown: what was said under an e-mail that a trusted writer
// has bound to the subject, too. What a stranger says of the id binds nobody.
func TestShow_wholePerson(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	email := &consent.Text{Value: "ines@example.test"}
	d.record(consent.Submission{Source: consent.Public, Profile: consent.Profile{Email: email}, Preferences: []consent.Preference{{Key: "newsletter", Value: "true"}}})
	d.record(consent.Submission{Source: consent.Public, SubjectID: "stranger", Profile: consent.Profile{Email: email}, Preferences: []consent.Preference{{Key: "ads", Value: "true"}}})
	if of(t, d.show(ines), "newsletter").Granted {
		t.Fatal("nobody has bound the address yet")
	}
	d.record(consent.Submission{Source: consent.Private, SubjectID: ines, Profile: consent.Profile{Email: email}})
	v := d.show(ines)
	if !of(t, v, "newsletter").Granted || of(t, v, "ads").Granted {
		t.Errorf("%+v", v)
	}
	if v := d.save(ines, map[string]bool{"newsletter": false}); of(t, v, "newsletter").Granted {
		t.Errorf("the withdrawal does not reach what was given by e-mail: %+v", v)
	}
}

// A restriction and a general objection show in every switch.
func TestShow_requests(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	amend := &consent.Amender{Ledger: d.events, Hasher: d.hasher, Now: func() time.Time { return *d.now }}
	general := consent.Amendment{Kind: consent.KindObjection, Site: "shop", SubjectID: ines, Source: consent.Private, Case: keyAt(noon)}
	if _, err := amend.Append(t.Context(), general); err != nil {
		t.Fatal(err)
	}
	v := d.show(ines)
	if got := of(t, v, "statistics"); got.Granted || got.Reason != consent.Objected {
		t.Errorf("%+v", got)
	}
	if got := of(t, v, "books"); !got.Granted || got.Reason != consent.Objected { // nobody objects to a duty
		t.Errorf("%+v", got)
	}
	*d.now = noon.Add(time.Minute)
	if got := of(t, d.save(ines, map[string]bool{"statistics": true}), "statistics"); !got.Granted {
		t.Errorf("an objection cannot be taken back: %+v", got)
	}
}

// Whichever call fails, or is applied and its reply lost: nothing is acknowledged
// that is not stored, and a repetition ends with one event.
func TestSave_faults(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	d.save(ines, map[string]bool{"newsletter": true})
	calls := d.net.Calls()
	if len(calls) < 5 {
		t.Fatalf("%d calls", len(calls))
	}
	n := 0
	for _, c := range calls {
		for _, f := range []faulty.Fault{faulty.Refused, faulty.Failed, faulty.Lost, faulty.Cut} {
			n++
			subject := "cust-" + strconv.Itoa(n)
			one := d.instance() // with nothing in its caches
			one.net.Reset()
			one.net.Break(faulty.Nth(c.Operation, c.Nth, f))
			body := d.body(subject, map[string]any{"preferences": map[string]bool{"newsletter": true}})
			key := keyAt(noon)
			first := one.ask("POST", savePath, body, "idempotency-key", key)
			if first.Status != 200 && first.Status != 503 || first.Status == 200 && len(d.said(subject)) != 1 {
				t.Errorf("%s %d, %s: %d %s, %d events", c.Operation, c.Nth, f, first.Status, first.Body, len(d.said(subject)))
			}
			one.net.Reset()
			if v := d.view(one.ask("POST", savePath, body, "idempotency-key", key)); len(d.said(subject)) != 1 || d.said(subject)[0].ID != v.ID {
				t.Errorf("%s %d, %s, again: %+v, %d events", c.Operation, c.Nth, f, v, len(d.said(subject)))
			}
		}
	}
}

// Nothing of anybody is logged.
func TestLog(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	d.show(ines)
	d.save(ines, map[string]bool{"newsletter": true})
	d.ask("POST", savePath, d.body(ines, map[string]any{"preferences": map[string]bool{"nonsense": true}}))
	d.ask("POST", showPath, d.body(ines, map[string]any{"subject_token": d.token("cust-882")}))
	log := d.log.String()
	for _, secret := range []string{ines, "cust-882", d.token(ines), network, publicKey, url.QueryEscape(d.token(ines))} {
		if strings.Contains(log, secret) {
			t.Errorf("%q was logged:\n%s", secret, log)
		}
	}
	if strings.Count(log, `"route":"POST /public/preferences`) != 4 {
		t.Errorf("logged:\n%s", log)
	}
	for line := range strings.Lines(log) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
}
