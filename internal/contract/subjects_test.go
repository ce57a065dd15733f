package contract

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/site"
)

// TestListSubjects: every filter, every page, newest first, each subject once.
func TestListSubjects(t *testing.T) {
	t.Parallel()
	d := start(t)
	c := newClock(time.Now().AddDate(0, 0, -20))
	late := d.deploy(t, deployOptions{now: c.Now})
	s, other := d.shop(t, site.Settings{}).on(late), d.shop(t, site.Settings{}).on(late)

	type one struct {
		id, body string
		public   bool
		at       time.Time
	}
	var all []one
	for _, o := range []one{
		{id: "ines", body: `{"id":"ines","email":"Ines.Roca@Example.test","first_name":"Ines","last_name":"Roca","verified":true,"phones":[{"number":"+34 600 111 222","label":"mobile"}]}`},
		{id: "leo", body: `{"id":"leo","email":"leo@example.test","full_name":"Leo d'Arc-Müller","phones":[{"number":"0033 1 23 45 67 89"},{"number":"12 34"}]}`},
		{id: "zoe", body: `{"id":"zoe","email":"zoe.smith+news@mail.example","full_name":"Zoé Smith"}`},
		{id: "anon", body: `{"id":"anon"}`},
		{id: "a/b 100%?", body: `{"id":"a/b 100%?","first_name":"Slash"}`},
		{id: "page", body: `{"subject":{"id":"page","email":"shown@example.test","full_name":"Only Shown","verified":true}}`, public: true},
		{id: "roca 2", body: `{"id":"roca 2","email":"RocaTwo@example.test","last_name":"Roca"}`},
		{id: "twin", body: `{"id":"twin"}`},
	} {
		o.at = c.advance(24*time.Hour + 137*time.Millisecond)
		switch {
		case o.public:
			s.page(t, o.body)
		default:
			s.post(t, "/subjects", o.body)
		}
		all = append([]one{o}, all...)
	}
	other.post(t, "/subjects", `{"id":"ines","email":"Ines.Roca@Example.test"}`)
	s.settle(t)

	ids := func(names ...string) (list []string) {
		for _, o := range all {
			if slices.Contains(names, o.id) {
				list = append(list, o.id)
			}
		}
		return list
	}
	var everyone []string
	for _, o := range all {
		everyone = append(everyone, o.id)
	}
	at := func(id string) time.Time {
		return all[slices.IndexFunc(all, func(o one) bool { return o.id == id })].at
	}
	for query, want := range map[string][]string{
		"":                                   everyone,
		"fulltext=ines":                      everyone,
		"owner_id=" + s.site:                 everyone,
		"owner_id=" + other.site:             nil,
		"owner_id=nobody&id=ines":            nil,
		"id=ines":                            ids("ines"),
		"id=Ines":                            nil,
		"id=a%2Fb%20100%25%3F":               ids("a/b 100%?"),
		"id=ines&verified=true":              ids("ines"),
		"id=ines&verified=false":             nil,
		"id=ines&starting_after=ines":        nil,
		"id=ines&starting_after=leo":         ids("ines"),
		"id=leo&starting_after=ines":         nil,
		"email_exact=Ines.Roca@Example.test": ids("ines"),
		"email_exact=ines.roca@example.test": nil,
		"email_exact=shown@example.test":     ids("page"),
		"email=roca":                         ids("ines", "roca 2"),
		"email=ROCAT":                        ids("roca 2"),
		"email=oca":                          nil,
		"email=example":                      ids("ines", "leo", "zoe", "page", "roca 2"),
		"email=ines.zo":                      ids("ines", "zoe"),
		"email=leo%20smith":                  ids("leo", "zoe"),
		"email=@exam":                        ids("ines", "leo", "page", "roca 2", "zoe"),
		"first_name=Ines":                    ids("ines"),
		"first_name=ines":                    nil,
		"last_name=Roca":                     ids("ines", "roca 2"),
		"last_name=Roc":                      nil,
		"full_name=smith":                    ids("zoe"),
		"full_name=sm%20leo":                 ids("leo", "zoe"),
		"full_name=arc":                      ids("leo"),
		"full_name=m%C3%BCl":                 ids("leo"),
		"full_name=roca":                     ids("ines", "roca 2"),
		"full_name=oca":                      nil,
		"phone=34600111222":                  ids("ines"),
		"phone=600111222":                    ids("ines"),
		"phone=%2B33%20123456789":            ids("leo"),
		"phone=1234":                         ids("leo"),
		"phone=600":                          nil,
		"verified=true":                      ids("ines"),
		"verified=false":                     ids("leo", "zoe", "anon", "a/b 100%?", "page", "roca 2", "twin"),
		"verified=0&email=roca":              ids("roca 2"),
		"from_time=" + unix(at("anon")):      everyone[:slices.Index(everyone, "anon")+1],
		"to_time=" + esc(text(at("anon"))):   everyone[slices.Index(everyone, "anon"):],
		"from_time=" + esc(at("leo").Format("2006-01-02 15:04:05 UTC")) + "&to_time=" + unix(at("leo")): ids("leo"),
		"email=example&from_time=" + unix(at("leo")) + "&to_time=" + unix(at("zoe")):                    ids("leo", "zoe"),
		"from_time=" + unix(at("twin").Add(time.Second)):                                                nil,
	} {
		for _, limit := range []string{"&limit=2", "&limit=100"} {
			if got := s.follow(t, "/subjects?"+query+limit); !slices.Equal(got, want) {
				t.Errorf("GET /subjects?%s%s has %q, want %q", query, limit, got, want)
			}
		}
	}
	for i, id := range everyone {
		if got := s.follow(t, "/subjects?limit=100&starting_after="+esc(id)); !slices.Equal(got, everyone[i+1:]) {
			t.Errorf("after %s come %q", id, got)
		}
	}

	// The list shows what the single read shows.
	var list []map[string]any
	s.get(t, "/subjects?limit=100").into(t, &list)
	for _, item := range list {
		var single []map[string]any
		s.get(t, "/subjects?id="+esc(item["id"].(string))).into(t, &single)
		equal(t, "in a list and alone", item, single[0])
	}
	if page := s.subject(t, "page"); page.Verified || *page.Email != "shown@example.test" {
		t.Errorf("a subject of a page is shown as %+v", page)
	}
}

// TestProfile: who said what about a subject decides what is shown.
func TestProfile(t *testing.T) {
	t.Parallel()
	d := start(t)
	c := newClock(time.Now().AddDate(0, 0, -1))
	s := d.shop(t, site.Settings{}).on(d.deploy(t, deployOptions{now: c.Now}))
	then := func() { c.advance(time.Minute) }
	patch := func(body string) {
		s.send(t, call{method: "PATCH", path: "/subjects/ada", key: s.private, body: body}).ok(t)
		then()
	}
	is := func(what string, email, first, full string, verified bool) {
		t.Helper()
		p := s.subject(t, "ada")
		for name, tt := range map[string]struct {
			got  *string
			want string
		}{"email": {p.Email, email}, "first_name": {p.FirstName, first}, "full_name": {p.FullName, full}} {
			if tt.got == nil && tt.want != "" || tt.got != nil && *tt.got != tt.want {
				t.Errorf("%s: %s is %v, want %q", what, name, tt.got, tt.want)
			}
		}
		equal(t, what+": verified", p.Verified, verified)
	}
	s.page(t, `{"subject":{"id":"ada","email":"page@example.test","first_name":"Page","full_name":"Page Name","verified":true,"phones":[{"number":"1"}]}}`)
	then()
	is("a page fills what is empty", "page@example.test", "Page", "Page Name", false)
	patch(`{"email":"ada@example.test","verified":true}`)
	is("a back end overwrites, and verifies", "ada@example.test", "Page", "Page Name", true)
	s.page(t, `{"subject":{"id":"ada","email":"evil@example.test","first_name":"Newer","verified":false,"phones":[]}}`)
	then()
	is("a page overwrites a page only", "ada@example.test", "Newer", "Page Name", true)
	patch(`{"full_name":null,"first_name":""}`)
	is("null clears, an empty text says nothing", "ada@example.test", "Newer", "", true)
	s.page(t, `{"subject":{"id":"ada","full_name":"Again"}}`)
	then()
	is("what a back end cleared, a page does not fill", "ada@example.test", "Newer", "", true)
	s.consent(t, `{"subject":{"id":"ada","email":"old@example.test","first_name":"Old"},"timestamp":"2001-01-01T00:00:00Z"}`)
	then()
	is("the latest word of a back end stays", "ada@example.test", "Old", "", true)
	patch(`{"verified":false}`)
	patch(`{"phones":[{"number":"+33 1","label":"home"},{"number":"2"}]}`)
	is("verified is taken back", "ada@example.test", "Old", "", false)
	equal(t, "phones", s.subject(t, "ada").Phones, []struct{ Number, Label string }{{"+33 1", "home"}, {"2", ""}})
	patch(`{"phones":null}`)
	equal(t, "phones cleared", len(s.subject(t, "ada").Phones), 0)
	// An update may be written at once under any of the verbs, and changes only what it states.
	s.put(t, "/subjects/ada/", `{"last_name":"Byron"}`)
	p := s.subject(t, "ada")
	equal(t, "e-mail after PUT", p.Email, ptr("ada@example.test"))
	equal(t, "last_name after PUT", p.LastName, ptr("Byron"))
	// The id in the body is not another subject.
	s.put(t, "/subjects/ada", `{"id":"eve","full_name":"Ada"}`)
	s.refused(t, 404, "GET", "/subjects/eve", "")
	then()
	// POST /subjects with the id of one that exists updates it.
	s.post(t, "/subjects", `{"id":"ada","full_name":"Ada Byron"}`)
	equal(t, "full_name after POST", s.subject(t, "ada").FullName, ptr("Ada Byron"))
}

// TestOtherSites: what belongs to another site is not there.
func TestOtherSites(t *testing.T) {
	t.Parallel()
	d := start(t)
	s, other := d.shop(t, site.Settings{}), d.shop(t, site.Settings{})
	theirs := other.consent(t, `{"subject":{"id":"ada","email":"ada@example.test"},"preferences":{"newsletter":true}}`)
	other.post(t, "/legal_notices", `{"identifier":"terms","content":"x"}`)
	document := other.upload(t, "/documents", "a.pdf", "%PDF-1.4")
	s.settle(t)
	for _, path := range []string{
		"/consent/" + theirs.ID, "/consent/" + theirs.ID + "?subject_id=ada", "/subjects/ada", "/subjects/ada/consent/last",
		"/legal_notices/terms", "/legal_notices/terms/1", "/documents/" + document.ID,
	} {
		p := s.refused(t, http.StatusNotFound, "GET", path, "")
		equal(t, path, p.Status, "not_found")
		if strings.Contains(p.Message, "site") {
			t.Errorf("%s says %q", path, p.Message)
		}
	}
	s.refused(t, http.StatusNotFound, "PATCH", "/subjects/ada", `{"verified":true}`)
	for _, path := range []string{"/consent", "/consent?subject_id=ada", "/consent?subject_email_exact=ada@example.test", "/subjects", "/subjects?id=ada",
		"/subjects?email=ada", "/legal_notices", "/legal_notices?identifier=terms", "/legal_notices?id=" + other.site + "_terms", "/documents"} {
		equal(t, path, string(s.get(t, path).body), "[]")
	}
	for _, who := range []string{"subject_id=ada", "email=ada@example.test"} {
		equal(t, who, s.decide(t, who, "newsletter").Reason, "never_asked")
	}
	ours := s.show(t, s.consent(t, `{"subject":{"id":"ada"},"proof_document_ids":["`+document.ID+`"],"legal_notices":[{"identifier":"terms"},{"identifier":"terms","version":1}]}`))
	if len(ours.ProofDocuments) != 1 || !ours.ProofDocuments[0].Missing || ours.ProofDocuments[0].Name != nil {
		t.Errorf("another site's document is shown as %+v", ours.ProofDocuments)
	}
	if ours.LegalNotices[0].Resolved || ours.LegalNotices[0].Version != nil || ours.LegalNotices[1].Resolved || *ours.LegalNotices[1].Version != 1 {
		t.Errorf("another site's notices are shown as %+v", ours.LegalNotices)
	}
	// The same e-mail is another subject elsewhere.
	a, b := s.page(t, `{"subject":{"email":"leo@example.test"}}`), other.page(t, `{"subject":{"email":"leo@example.test"}}`)
	if a.SubjectID == b.SubjectID {
		t.Error("two sites share a subject id")
	}
}

// TestPublicTellsNothing: a page gets the same answer for somebody known and
// somebody unknown, but for ids and time.
func TestPublicTellsNothing(t *testing.T) {
	t.Parallel()
	d := start(t)
	s := d.shop(t, site.Settings{})
	known := s.consent(t, `{"subject":{"id":"cust-1","email":"known@example.test","full_name":"Known"},"preferences":{"newsletter":false}}`)
	s.post(t, "/subjects", `{"id":"cust-2","email":"alsoin@example.test","verified":true}`)
	own := s.page(t, `{"subject":{"email":"byPage@example.test"},"preferences":{"newsletter":true}}`)
	masked := func(body string, header map[string]string) string {
		a := s.send(t, call{method: "POST", path: "/public/consent", key: s.public, body: body, header: header})
		var ack acknowledged
		a.into(t, &ack)
		text := strings.NewReplacer(ack.ID, "<id>", ack.Timestamp, "<time>", ack.SubjectID, "<subject>").Replace(string(a.body))
		var names []string
		for name, values := range a.header {
			if name != "Apigw-Requestid" && name != "Date" {
				names = append(names, name+": "+strings.Join(values, ","))
			}
		}
		slices.Sort(names)
		return text + "\n" + strings.Join(names, "\n")
	}
	for name, pair := range map[string][2]string{
		"by e-mail":      {`{"subject":{"email":"known@example.test"},"preferences":{"newsletter":true}}`, `{"subject":{"email":"never@example.test"},"preferences":{"newsletter":true}}`},
		"by id":          {`{"subject":{"id":"cust-1"},"preferences":{"newsletter":true}}`, `{"subject":{"id":"cust-9"},"preferences":{"newsletter":true}}`},
		"by both":        {`{"subject":{"id":"cust-1","email":"known@example.test"}}`, `{"subject":{"id":"cust-8","email":"other@example.test"}}`},
		"verified":       {`{"subject":{"email":"alsoin@example.test"}}`, `{"subject":{"email":"nobody@example.test"}}`},
		"a page's own":   {`{"subject":{"email":"byPage@example.test"}}`, `{"subject":{"email":"byNone@example.test"}}`},
		"with a token":   {`{"subject":{"id":"cust-1"},"subject_token":"v1.x.1.y"}`, `{"subject":{"id":"cust-7"},"subject_token":"v1.x.1.y"}`},
		"a withdrawal":   {`{"subject":{"email":"known@example.test"},"preferences":{"newsletter":false}}`, `{"subject":{"email":"never2@example.test"},"preferences":{"newsletter":false}}`},
		"old, and wrong": {`{"subject":{"id":"cust-1"},"timestamp":"` + text(time.Now().AddDate(0, 0, -3)) + `"}`, `{"subject":{"id":"cust-6"},"timestamp":"` + text(time.Now().AddDate(0, 0, -3)) + `"}`},
	} {
		if a, b := masked(pair[0], nil), masked(pair[1], nil); a != b {
			t.Errorf("%s: a known one is answered\n%s\nan unknown one\n%s", name, a, b)
		}
	}
	// The subject of an e-mail has the same id whoever asks first, and it is not the back end's.
	again := s.page(t, `{"subject":{"email":" BYPAGE@example.test "}}`)
	equal(t, "the e-mail's own subject", again.SubjectID, own.SubjectID)
	if byMail := s.page(t, `{"subject":{"email":"known@example.test"}}`); byMail.SubjectID == known.SubjectID {
		t.Error("a page learned the back end's id of a person")
	}
	// With the idempotency key of a consent that exists, a page learns nothing that it has not sent.
	key := map[string]string{"Idempotency-Key": newKey()}
	s.send(t, call{method: "POST", path: "/consent", key: s.private, body: `{"subject":{"id":"cust-1"}}`, header: key}).ok(t)
	a := s.send(t, call{method: "POST", path: "/public/consent", key: s.public, body: `{"subject":{"id":"cust-1"}}`, header: key, bad: true})
	equal(t, "conflict", a.problem(t, http.StatusConflict).Errors, nil)
}

// TestReadYourWrite: what was acknowledged can be shown and counts at once.
func TestReadYourWrite(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	for range 5 {
		for _, ack := range []acknowledged{
			s.consent(t, `{"subject":{"id":"ada"},"preferences":{"newsletter":true}}`),
			s.consent(t, `{"subject":{"id":"ada"},"preferences":{"newsletter":false},"timestamp":"2020-01-01T00:00:00Z"}`),
			s.page(t, `{"subject":{"email":"leo@example.test"},"preferences":{"newsletter":true}}`),
		} {
			var r record
			s.get(t, "/consent/"+ack.ID).into(t, &r)
			equal(t, "id", r.ID, ack.ID)
			equal(t, "subject", s.show(t, ack).Subject.ID, ack.SubjectID)
			var last []record
			s.get(t, "/consent?subject_id="+ack.SubjectID+"&limit=100").into(t, &last)
			if !slices.ContainsFunc(last, func(r record) bool { return r.ID == ack.ID }) {
				t.Errorf("the list of the subject lacks %s", ack.ID)
			}
			s.get(t, "/subjects/"+ack.SubjectID)
		}
		equal(t, "granted", s.decide(t, "subject_id=ada", "newsletter").Granted, true)
	}
	// Everything is dated by its claim, so the last consent is not the last that came.
	var last record
	s.get(t, "/subjects/ada/consent/last").into(t, &last)
	equal(t, "last consent", string(last.Preferences["newsletter"]), "true")
}
