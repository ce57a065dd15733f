package contract

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/site"
)

// A consent that waits for its confirmation says no until then, and for good
// when it does not come.
func TestDecide_doubleOptIn(t *testing.T) {
	t.Parallel()
	d := start(t)
	c := newClock(time.Now().AddDate(0, 0, -2))
	s := d.shop(t, site.Settings{OptInDays: 1}).on(d.deploy(t, deployOptions{now: c.Now}))
	posted := c.Now()
	ack := s.page(t, `{"subject":{"email":"Zoe@example.test"},"preferences":{"newsletter":true,"ads":false},"double_opt_in":{"channel":"email","language":"fr"}}`)
	ads := s.decide(t, "email=zoe@example.test", "ads")
	equal(t, "a refusal counts at once", []any{ads.Granted, ads.Reason}, []any{false, "refused"})
	answer := s.decide(t, "email=zoe@example.test", "newsletter")
	equal(t, "pending", []any{answer.Granted, answer.Reason, answer.ConsentIDs}, []any{false, "pending", []string{ack.ID}})
	waits := s.show(t, ack)
	equal(t, "record", []string{waits.OptIn.Channel, waits.OptIn.Language, waits.OptIn.State, waits.OptIn.LapsesAt}, []string{"email", "fr", "pending", text(posted.AddDate(0, 0, 1))})
	shown := s.subject(t, ack.SubjectID).Preferences["newsletter"]
	equal(t, "subject", []any{string(shown.Value), shown.Granted, shown.Reason, shown.ConsentID}, []any{"false", false, "pending", ack.ID})
	s.settle(t)
	var list []record
	s.get(t, "/consent").into(t, &list)
	equal(t, "list", []any{len(list), list[0].OptIn.Channel}, []any{1, "email"})

	phone := s.consent(t, `{"subject":{"phones":[{"number":"+41 79 555 01 01"}]},"preferences":{"newsletter":true},"double_opt_in":{"channel":"whatsapp"}}`)
	answer = s.decide(t, "phone=%2B41795550101", "newsletter")
	equal(t, "by telephone", []any{answer.Granted, answer.Reason, answer.ConsentIDs}, []any{false, "pending", []string{phone.ID}})
	equal(t, "somebody else's number", s.decide(t, "phone=%2B41795550102", "newsletter").Reason, "never_asked")

	c.advance(24*time.Hour + time.Second)
	answer = s.decide(t, "email=zoe@example.test", "newsletter")
	equal(t, "lapsed", []any{answer.Granted, answer.Reason}, []any{false, "lapsed"})
	equal(t, "record", s.show(t, ack).OptIn.State, "lapsed")
	equal(t, "subject", s.subject(t, ack.SubjectID).Preferences["newsletter"].Reason, "lapsed")
}

// TestDecide: every reason, by id, in the subject and in the list of subjects.
func TestDecide(t *testing.T) {
	t.Parallel()
	d := start(t)
	c := newClock(time.Now().AddDate(0, 0, -2))
	s := d.shop(t, site.Settings{}, site.Purpose{Key: "short", ValidityDays: 1}).on(d.deploy(t, deployOptions{now: c.Now}))
	private := func(preference, value string) acknowledged {
		c.advance(time.Minute)
		return s.consent(t, `{"subject":{"id":"ada"},"preferences":{"`+preference+`":`+value+`}}`)
	}
	public := func(preference, value string) acknowledged {
		c.advance(time.Minute)
		return s.page(t, `{"subject":{"id":"ada"},"preferences":{"`+preference+`":`+value+`}}`)
	}
	type answer struct {
		reason string
		ids    []string
		value  string // in the subject; "" when it is not there
	}
	want := map[string]answer{"never": {"never_asked", []string{}, ""}}
	want["granted"] = answer{"granted", []string{public("granted", "true").ID}, "true"}
	want["refused"] = answer{"refused", []string{public("refused", "false").ID}, "false"}
	private("withdrawn", `"yes"`)
	want["withdrawn"] = answer{"withdrawn", []string{public("withdrawn", `"no"`).ID}, `"no"`}
	no := private("unconfirmed", "0")
	yes := public("unconfirmed", "1")
	want["unconfirmed"] = answer{"unconfirmed", []string{no.ID, yes.ID}, "0"}
	want["not_boolean"] = answer{"not_boolean", []string{private("not_boolean", `{"a":1}`).ID}, `{"a":1}`}
	short := private("short", "true")
	want["short"] = answer{"expired", []string{short.ID}, "false"}
	c.advance(time.Minute)
	ownEnds := c.Now().Add(time.Hour)
	own := s.consent(t, `{"subject":{"id":"ada"},"preferences":{"own":true,"own_no":false},"expires_at":"`+text(ownEnds)+`"}`)
	want["own"] = answer{"expired", []string{own.ID}, "false"}
	want["own_no"] = answer{"refused", []string{own.ID}, "false"}
	private("null", "true")
	want["null"] = answer{"granted", []string{private("null", "true").ID}, "true"}
	private("null", "null") // states nothing

	equal(t, "before it expires", s.decide(t, "subject_id=ada", "own").ExpiresAt, text(ownEnds))
	equal(t, "before it expires", s.decide(t, "subject_id=ada", "short").Reason, "granted")
	// The moment itself is over.
	c.advance(ownEnds.Sub(c.Now()) - time.Second)
	equal(t, "a second before", s.decide(t, "subject_id=ada", "own").Granted, true)
	c.advance(time.Second)
	equal(t, "at the end", s.decide(t, "subject_id=ada", "own").Reason, "expired")
	c.advance(25 * time.Hour)
	s.settle(t)

	single := s.subject(t, "ada")
	var list []person
	s.get(t, "/subjects").into(t, &list)
	if len(list) != 1 {
		t.Fatalf("%d subjects", len(list))
	}
	for preference, w := range want {
		got := s.decide(t, "subject_id=ada", preference)
		equal(t, preference, []any{got.Granted, got.Reason, got.ConsentIDs, got.At}, []any{w.reason == "granted", w.reason, w.ids, text(c.Now())})
		for where, p := range map[string]person{"alone": single, "in the list": list[0]} {
			state, ok := p.Preferences[preference]
			if w.value == "" {
				equal(t, preference+" "+where, ok, false)
				continue
			}
			equal(t, preference+" "+where, []any{state.Granted, state.Reason, state.ConsentID, string(state.Value)}, []any{w.reason == "granted", w.reason, w.ids[0], w.value})
			equal(t, preference+" "+where+": expires_at", state.ExpiresAt != "", w.reason == "expired")
		}
	}
	// An expired one can be given again, and taken back.
	private("short", "true")
	equal(t, "again", s.decide(t, "subject_id=ada", "short").Granted, true)
	public("short", "false")
	equal(t, "taken back", s.decide(t, "subject_id=ada", "short").Reason, "withdrawn")
	// Who is nobody was never asked.
	for _, who := range []string{"subject_id=nobody", "email=nobody@example.test", "email=not%20an%20address"} {
		equal(t, who, s.decide(t, who, "granted").Reason, "never_asked")
	}
	equal(t, "never asked", s.decide(t, "subject_id=ada", "never").ConsentIDs, []string{})
}

// TestDecide_past: as of an instant, and as it was known at one.
func TestDecide_past(t *testing.T) {
	t.Parallel()
	d := start(t)
	c := newClock(time.Now().AddDate(0, 0, -2))
	s := d.shop(t, site.Settings{}).on(d.deploy(t, deployOptions{now: c.Now}))
	t0 := c.advance(120 * time.Millisecond) // what is shown has whole seconds
	yes := s.consent(t, `{"subject":{"id":"ada"},"preferences":{"newsletter":true}}`)
	c.advance(2 * time.Hour)
	no := s.consent(t, `{"subject":{"id":"ada"},"preferences":{"newsletter":false},"timestamp":"`+text(t0.Add(10*time.Minute))+`"}`)
	c.advance(time.Hour)
	for name, tt := range map[string]struct {
		at, knownAt time.Time
		reason      string
	}{
		"now":                      {time.Time{}, time.Time{}, "withdrawn"},
		"before all":               {t0.Add(-time.Second), time.Time{}, "never_asked"},
		"when it was given":        {t0.Truncate(time.Second), time.Time{}, "granted"},
		"between":                  {t0.Add(5 * time.Minute), time.Time{}, "granted"},
		"when it was withdrawn":    {t0.Add(10 * time.Minute).Truncate(time.Second), time.Time{}, "withdrawn"},
		"between, as known then":   {t0.Add(20 * time.Minute), t0.Add(30 * time.Minute), "granted"},
		"between, as known now":    {t0.Add(20 * time.Minute), time.Time{}, "withdrawn"},
		"as known when given":      {time.Time{}, t0.Truncate(time.Second), "granted"},
		"as known before all":      {time.Time{}, t0.Add(-time.Hour), "never_asked"},
		"as known when it was not": {time.Time{}, t0.Add(119 * time.Minute), "granted"},
	} {
		var more []string
		at := c.Now()
		if !tt.at.IsZero() {
			more, at = append(more, "at", tt.at.Format(time.RFC3339)), tt.at
		}
		if !tt.knownAt.IsZero() {
			more = append(more, "known_at", unix(tt.knownAt))
		}
		got := s.decide(t, "subject_id=ada", "newsletter", more...)
		equal(t, name, got.Reason, tt.reason)
		equal(t, name+": at", got.At, text(at))
	}
	// The instants that a record shows name it.
	r := s.show(t, yes)
	equal(t, "its timestamp", s.decide(t, "subject_id=ada", "newsletter", "at", r.Timestamp).ConsentIDs, []string{yes.ID})
	equal(t, "its received_at", s.decide(t, "subject_id=ada", "newsletter", "known_at", s.show(t, no).ReceivedAt).ConsentIDs, []string{no.ID})
	equal(t, "this very second", s.decide(t, "subject_id=ada", "newsletter", "at", text(c.Now())).Reason, "withdrawn")
	equal(t, "in three formats", []string{
		s.decide(t, "subject_id=ada", "newsletter", "at", text(t0)).Reason,
		s.decide(t, "subject_id=ada", "newsletter", "at", t0.Format("2006-01-02 15:04:05 UTC")).Reason,
		s.decide(t, "subject_id=ada", "newsletter", "at", unix(t0)).Reason,
	}, []string{"granted", "granted", "granted"})
}

// TestDecide_person: by id and by e-mail, over two forms.
func TestDecide_person(t *testing.T) {
	t.Parallel()
	d := start(t)
	c := newClock(time.Now().AddDate(0, 0, -2))
	s := d.shop(t, site.Settings{}).on(d.deploy(t, deployOptions{now: c.Now}))
	all := func(what, reason string, ids ...string) {
		t.Helper()
		for _, who := range []string{"subject_id=form-a", "subject_id=form-b", "email=ada@example.test", "email=ADA@EXAMPLE.test"} {
			got := s.decide(t, who, "newsletter")
			if got.Reason != reason || !slices.Equal(got.ConsentIDs, ids) {
				t.Errorf("%s, by %s: %+v; want %s by %v", what, who, got, reason, ids)
			}
		}
		c.advance(time.Minute)
	}
	// Two customer numbers of one person.
	yes := s.consent(t, `{"subject":{"id":"form-a","email":"ada@example.test"},"preferences":{"newsletter":true}}`)
	s.post(t, "/subjects", `{"id":"form-b","email":" Ada@Example.test"}`)
	all("given in one", "granted", yes.ID)
	no := s.consent(t, `{"subject":{"id":"form-b"},"preferences":{"newsletter":false}}`)
	all("taken back in the other", "withdrawn", no.ID)
	again := s.consent(t, `{"subject":{"email":"ada@example.test"},"preferences":{"newsletter":true}}`)
	all("given again by e-mail", "granted", again.ID)
	byPage := s.page(t, `{"subject":{"email":"ADA@example.test"},"preferences":{"newsletter":false}}`)
	all("taken back by a page that knows the e-mail", "withdrawn", byPage.ID)

	// A page cannot join anybody to this person, nor say yes after a proven no.
	proven := s.consent(t, `{"subject":{"id":"form-a"},"preferences":{"newsletter":false}}`)
	claimed := s.page(t, `{"subject":{"id":"form-a","email":"eve@example.test"},"preferences":{"newsletter":true}}`)
	all("a page's yes after a proven no", "unconfirmed", proven.ID, claimed.ID)
	equal(t, "eve", s.decide(t, "email=eve@example.test", "newsletter").Reason, "never_asked")

	// Laundering through a public no does not help.
	laundered := s.page(t, `{"subject":{"id":"form-b"},"preferences":{"newsletter":false}}`)
	c.advance(time.Minute)
	second := s.page(t, `{"subject":{"id":"form-b"},"preferences":{"newsletter":true}}`)
	all("a page's no and yes after a proven no", "unconfirmed", laundered.ID, second.ID)

	// A token of the back end vouches for the person.
	keyID, secret, err := d.admin.CreateTokenKey(t.Context(), s.site)
	if err != nil {
		t.Fatal(err)
	}
	c.advance(time.Minute) // past what the function remembers of the site
	post := func(token, state string) acknowledged {
		t.Helper()
		ack := s.page(t, `{"subject":{"id":"form-a"},"preferences":{"newsletter":true},"subject_token":"`+token+`"}`)
		equal(t, "subject_token", s.show(t, ack).SubjectToken, ptr(state))
		c.advance(time.Minute)
		return ack
	}
	// The tool's clock is the real one; the function's is two days behind.
	token := func(subject string, valid time.Duration) string {
		return site.SignToken(keyID, []byte(secret), s.site, subject, c.Now().Add(valid))
	}
	post(token("form-a", -time.Second), "expired")
	post(token("somebody", time.Hour), "invalid")
	post("rubbish", "invalid")
	last := post(token("form-a", time.Hour)+"x", "invalid")
	all("tokens that do not hold", "unconfirmed", laundered.ID, last.ID)
	valid := post(token("form-a", time.Hour), "valid")
	all("a valid token", "granted", valid.ID)
}

// TestDecide_latest: a site may let the latest word count, whoever said it.
func TestDecide_latest(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{PublicGrants: site.Latest})
	s.consent(t, `{"subject":{"id":"ada"},"preferences":{"newsletter":false},"timestamp":"2026-01-01T00:00:00Z"}`)
	yes := s.page(t, `{"subject":{"id":"ada"},"preferences":{"newsletter":true}}`)
	equal(t, "decide", s.decide(t, "subject_id=ada", "newsletter").ConsentIDs, []string{yes.ID})
	equal(t, "subject", s.subject(t, "ada").Preferences["newsletter"].Granted, true)
}

// TestGPC: a privacy signal beats a tick in the same post.
func TestGPC(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{}, site.Purpose{Key: "profiling", SaleOrSharing: true}, site.Purpose{Key: "resale", SaleOrSharing: true}, site.Purpose{Key: "newsletter"})
	const ticked = `"preferences":{"newsletter":true,"profiling":true}`
	for name, tt := range map[string]struct {
		call
		gpc bool
	}{
		"header, page":      {call{path: "/public/consent", key: s.public, header: map[string]string{"Sec-GPC": "1"}}, true},
		"header, back end":  {call{path: "/consent", key: s.private, header: map[string]string{"Sec-GPC": "1"}}, true},
		"body, page":        {call{path: "/public/consent", key: s.public, body: `,"gpc":true,"act":"signal"`}, true},
		"body, back end":    {call{path: "/consent", key: s.private, body: `,"gpc":"true"`}, true},
		"no signal":         {call{path: "/public/consent", key: s.public}, false},
		"header of nothing": {call{path: "/public/consent", key: s.public, header: map[string]string{"Sec-GPC": "0"}}, false},
	} {
		tt.method = "POST"
		tt.body = `{"subject":{"id":"` + name + `"},` + ticked + tt.body + `}`
		var ack acknowledged
		s.send(t, tt.call).ok(t).into(t, &ack)
		r := s.show(t, ack)
		equal(t, name+": gpc", r.GPC, tt.gpc)
		equal(t, name+": as stated", string(r.Preferences["profiling"]), "true")
		who := "subject_id=" + esc(name)
		equal(t, name+": newsletter", s.decide(t, who, "newsletter").Granted, true)
		equal(t, name+": profiling", s.decide(t, who, "profiling").Granted, !tt.gpc)
		equal(t, name+": resale", s.decide(t, who, "resale").Reason, map[bool]string{true: "refused", false: "never_asked"}[tt.gpc])
		shown := s.subject(t, name).Preferences["profiling"]
		equal(t, name+": subject", []any{string(shown.Value), shown.Granted, shown.ConsentID}, []any{fmt.Sprint(!tt.gpc), !tt.gpc, ack.ID})
	}
}

// TestPaper: a consent on paper, recorded years later by the back end.
func TestPaper(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	scan := s.upload(t, "/documents", "scan of é.pdf", "%PDF-1.4 scan")
	const at = "2019-05-04T09:00:00+02:00"
	for name, proof := range map[string]string{
		"document":     `"proof_document_ids":["` + scan.ID + `"]`,
		"content only": `"proofs":[{"content":"signed by hand"}]`,
		"form only":    `"proofs":[{"form":"<p>I agree …</p>"}]`,
		"all":          `"proofs":[{"content":"signed by hand","form":"<p>I agree …</p>"}],"proof_document_ids":["` + scan.ID + `"]`,
	} {
		ack := s.consent(t, `{"subject":{"id":"`+name+`","full_name":"Ada Byron"},"timestamp":"`+at+`","act":"paper","preferences":{"newsletter":true},`+proof+`}`)
		r := s.show(t, ack)
		equal(t, name, []string{r.Timestamp, r.Act, r.Source, string(r.Preferences["newsletter"])}, []string{"2019-05-04T07:00:00Z", "paper", "private", "true"})
		if r.ReceivedAt <= r.Timestamp {
			t.Errorf("%s: received_at %s", name, r.ReceivedAt)
		}
		if strings.Contains(proof, scan.ID) {
			if len(r.ProofDocuments) != 1 || r.ProofDocuments[0].ID != scan.ID || *r.ProofDocuments[0].Name != "scan of é.pdf" {
				t.Errorf("%s: proof_documents %+v", name, r.ProofDocuments)
			}
			a := s.get(t, "/documents/"+scan.ID)
			equal(t, "bytes", string(a.body), "%PDF-1.4 scan")
			equal(t, "type", a.header.Get("Content-Type"), "application/pdf")
		}
		if content := strings.Contains(proof, "content"); content != (len(r.Proofs) > 0 && r.Proofs[0].Content != nil) {
			t.Errorf("%s: proofs %+v", name, r.Proofs)
		}
		if form := strings.Contains(proof, "form"); form != (len(r.Proofs) > 0 && r.Proofs[0].Form != nil) {
			t.Errorf("%s: proofs %+v", name, r.Proofs)
		}
		equal(t, name+": then", s.decide(t, "subject_id="+esc(name), "newsletter", "at", "2019-05-04T07:00:00Z").Granted, true)
		equal(t, name+": before", s.decide(t, "subject_id="+esc(name), "newsletter", "at", "2019-05-04T06:59:59Z").Reason, "never_asked")
		equal(t, name+": as known then", s.decide(t, "subject_id="+esc(name), "newsletter", "known_at", "2020-01-01T00:00:00Z").Reason, "never_asked")
	}
	// The document is referenced now; large proofs come back equal.
	s.settle(t)
	var documents []uploaded
	s.get(t, "/documents").into(t, &documents)
	equal(t, "referenced", documents[0].Referenced, true)
	large := strings.Repeat("é<>\"\\\n", 20_000)
	r := s.show(t, s.consent(t, `{"proofs":[{"content":`+quote(large)+`,"form":`+quote("form "+large)+`},{"content":"small"}]}`))
	if *r.Proofs[0].Content != large || *r.Proofs[0].Form != "form "+large || *r.Proofs[1].Content != "small" {
		t.Error("a large proof came back changed")
	}
	// A document that nobody has is shown as missing.
	r = s.show(t, s.consent(t, `{"proof_document_ids":["`+absentID+`","x"]}`))
	if len(r.ProofDocuments) != 2 || !r.ProofDocuments[0].Missing || r.ProofDocuments[1].ID != "x" || !r.ProofDocuments[1].Missing {
		t.Errorf("proof_documents: %+v", r.ProofDocuments)
	}
}

// TestImport: what another system had recorded counts as it did there.
func TestImport(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	s.consent(t, `{"subject":{"id":"ada"},"preferences":{"newsletter":false},"timestamp":"2021-01-01T00:00:00Z"}`)
	public := s.consent(t, `{"act":"import","source":"public","subject":{"id":"ada"},"preferences":{"newsletter":true},"timestamp":"2022-01-01T00:00:00Z"}`)
	equal(t, "public", []string{s.show(t, public).Source, s.decide(t, "subject_id=ada", "newsletter").Reason}, []string{"public", "unconfirmed"})
	private := s.consent(t, `{"act":"import","source":"private","subject":{"id":"ada"},"preferences":{"newsletter":true},"timestamp":"2023-01-01T00:00:00Z"}`)
	equal(t, "private", []string{s.show(t, private).Source, s.decide(t, "subject_id=ada", "newsletter").Reason}, []string{"private", "granted"})
	// Without the act, source says nothing.
	equal(t, "no import", s.show(t, s.consent(t, `{"source":"public"}`)).Source, "private")
}

// TestTooManyEvents: who is more than one read may take gets a no everywhere.
func TestTooManyEvents(t *testing.T) {
	t.Parallel()
	start(t)
	w := newWorldWithoutProjection(t)
	s := w.deploy(t, deployOptions{}).shop(t, site.Settings{})
	var last acknowledged
	for i := range 101 {
		last = s.consent(t, fmt.Sprintf(`{"subject":{"id":"c%d","email":"many@example.test"},"preferences":{"newsletter":true}}`, i))
	}
	for _, who := range []string{"subject_id=c7", "email=many@example.test"} {
		got := s.decide(t, who, "newsletter")
		equal(t, who, []any{got.Granted, got.Reason, got.ConsentIDs}, []any{false, "too_many_events", []string{}})
	}
	for _, path := range []string{"/subjects/c7", "/subjects?id=c7"} {
		equal(t, path, s.refused(t, 400, "GET", path, "").Code, "too_broad")
	}
	// A consent of theirs is shown, the person by id alone.
	r := s.show(t, last)
	equal(t, "subject", []any{r.Subject.ID, r.Subject.Email}, []any{"c100", (*string)(nil)})
	equal(t, "the list of one subject", len(s.follow(t, "/consent?subject_id=c7")), 1)
}

// TestRegister: strict, and nobody overwrites somebody else's change.
func TestRegister(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	type register struct {
		Preferences []json.RawMessage
		Version     int
	}
	put := func(body string) (r register) {
		t.Helper()
		s.put(t, "/preferences", body).into(t, &r)
		return r
	}
	equal(t, "at first", string(s.get(t, "/preferences").body), `{"preferences":[],"version":0}`)
	r := put(`{"preferences":[{"key":"newsletter","purpose":{"en":"News","fr":"Nouvelles"},"legal_basis":"consent","channel":"email","validity_days":365,"sale_or_sharing":true}]}`)
	equal(t, "version", r.Version, 1)
	a := s.get(t, "/beta//preferences/")
	equal(t, "as it was put", string(a.body), `{"preferences":[{"key":"newsletter","purpose":{"en":"News","fr":"Nouvelles"},"legal_basis":"consent","channel":"email","validity_days":365,"sale_or_sharing":true}],"version":1}`)
	equal(t, "next", put(`{"preferences":[{"key":"a"},{"key":"b"}],"version":1}`).Version, 2)
	p := s.refused(t, http.StatusConflict, "PUT", "/preferences", `{"preferences":[],"version":1}`)
	if !strings.Contains(p.Message, "read it again") {
		t.Errorf("409 says %q", p.Message)
	}
	s.refused(t, http.StatusConflict, "PUT", "/preferences", `{"preferences":[],"version":9}`)
	equal(t, "unchanged", len(put(`{"preferences":[{"key":"a"},{"key":"b"}],"version":null}`).Preferences), 2)
	for body, field := range map[string]string{
		`{"preferences":[{"key":"a","colour":"red"}]}`:      "",
		`{"preferences":[],"more":1}`:                       "",
		`{"preference":[]}`:                                 "",
		`{"preferences":null}`:                              "",
		`{"preferences":{}}`:                                "",
		`{"preferences":["a"]}`:                             "",
		`{"preferences":[{"key":1}]}`:                       "",
		`{"preferences":[{"key":"a","validity_days":"1"}]}`: "",
		`{"preferences":[],"version":"1"}`:                  "",
		`[]`:                                                "",
		`{"preferences":[{"key":""}]}`:                      "preferences[0].key",
		`{"preferences":[{}]}`:                              "preferences[0].key",
		`{"preferences":[{"key":"` + strings.Repeat("k", 129) + `"}]}`:                           "preferences[0].key",
		`{"preferences":[{"key":"a"},{"key":"a"}]}`:                                              "preferences[1].key",
		`{"preferences":[{"key":"a","validity_days":-1}]}`:                                       "preferences[0].validity_days",
		`{"preferences":[{"key":"a","validity_days":36501}]}`:                                    "preferences[0].validity_days",
		`{"preferences":[{"key":"a","purpose":{"":"x"}}]}`:                                       "preferences[0].purpose",
		`{"preferences":[{"key":"a","purpose":{"en":"` + strings.Repeat("x", 4097) + `"}}]}`:     "preferences[0].purpose",
		`{"preferences":[` + strings.TrimSuffix(strings.Repeat(`{"key":"k"},`, 101), ",") + `]}`: "preferences",
	} {
		p := s.refused(t, 400, "PUT", "/preferences", body)
		if got := strings.Join(p.fields(), " "); got != field {
			t.Errorf("%.60s: names %q, want %q", body, got, field)
		}
	}
	// What it says counts: from the next read of the same function at once.
	s.consent(t, `{"subject":{"id":"ada"},"preferences":{"news":true},"timestamp":"2020-01-01T00:00:00Z"}`)
	equal(t, "without validity", s.decide(t, "subject_id=ada", "news").Granted, true)
	put(`{"preferences":[{"key":"news","validity_days":30}]}`)
	got := s.decide(t, "subject_id=ada", "news")
	equal(t, "with validity", []string{got.Reason, got.ExpiresAt}, []string{"expired", "2020-01-31T00:00:00Z"})
	// A preference that it does not name is accepted.
	s.consent(t, `{"subject":{"id":"ada"},"preferences":{"unheard of":true}}`)
	equal(t, "unknown to the register", s.decide(t, "subject_id=ada", "unheard of").Granted, true)
}
