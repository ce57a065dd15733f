package contract

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/site"
)

// TestListNotices: every filter, every page, the latest first, each version once.
func TestListNotices(t *testing.T) {
	t.Parallel()
	d := start(t)
	c := newClock(time.Now().AddDate(0, 0, -10))
	s := d.shop(t, site.Settings{}).on(d.deploy(t, deployOptions{now: c.Now}))
	type one struct {
		name      string
		languages string
		at        time.Time
	}
	var all []one
	count := map[string]int{}
	add := func(identifier, content, languages string) {
		c.advance(time.Hour + 137*time.Millisecond)
		s.post(t, "/legal_notices", `{"identifier":`+quote(identifier)+`,"content":`+content+`}`)
		count[identifier]++
		all = append([]one{{fmt.Sprint(identifier, "/", count[identifier]), languages, c.Now()}}, all...)
	}
	for range 3 {
		add("terms", `{"en":"Text","fr":"Texte"}`, "en fr")
		add("privacy_policy", `"A text"`, "")
		add("terms/customers", `{"en":"Text"}`, "en")
	}
	names := func(match func(one) bool) (list []string) {
		for _, o := range all {
			if match(o) {
				list = append(list, o.name)
			}
		}
		return list
	}
	of := func(identifier string) func(one) bool {
		return func(o one) bool {
			return strings.HasPrefix(o.name, identifier+"/") && strings.Count(o.name, "/") == strings.Count(identifier, "/")+1
		}
	}
	middle := all[4]
	for query, want := range map[string][]string{
		"":                                     names(func(one) bool { return true }),
		"fulltext=x":                           names(func(one) bool { return true }),
		"identifier=terms":                     names(of("terms")),
		"identifier=Terms":                     nil,
		"identifier=terms%2Fcustomers":         names(of("terms/customers")),
		"id=" + s.site + "_terms":              names(of("terms")),
		"id=" + s.site + "_terms%2Fcustomers":  names(of("terms/customers")),
		"id=terms":                             nil,
		"id=" + s.site + "_terms&identifier=x": nil,
		"version=2":                            names(func(o one) bool { return strings.HasSuffix(o.name, "/2") }),
		"version=2&identifier=terms":           {"terms/2"},
		"version=9":                            nil,
		"language=fr":                          names(func(o one) bool { return strings.Contains(o.languages, "fr") }),
		"language=en&identifier=terms":         names(of("terms")),
		"language=de":                          nil,
		"from_time=" + unix(middle.at):         names(func(o one) bool { return !o.at.Before(middle.at) }),
		"to_time=" + esc(text(middle.at)):      names(func(o one) bool { return !o.at.After(middle.at) }),
		"from_time=" + esc(middle.at.Format("2006-01-02 15:04:05 UTC")) + "&to_time=" + unix(middle.at): {middle.name},
		"identifier=terms&from_time=" + unix(middle.at):                                                 names(func(o one) bool { return of("terms")(o) && !o.at.Before(middle.at) }),
	} {
		for _, limit := range []string{"&limit=1", "&limit=2", ""} {
			if got := s.follow(t, "/legal_notices?"+query+limit); !slices.Equal(got, want) {
				t.Errorf("GET /legal_notices?%s%s has %q, want %q", query, limit, got, want)
			}
		}
	}
	for i, o := range all {
		slash := strings.LastIndexByte(o.name, '/')
		got := s.follow(t, "/legal_notices?starting_after_identifier="+esc(o.name[:slash])+"&starting_after_version="+o.name[slash+1:])
		if want := names(func(one) bool { return true })[i+1:]; !slices.Equal(got, want) {
			t.Errorf("after %s come %q, want %q", o.name, got, want)
		}
	}
	// By path, a slash in the identifier included.
	for path, want := range map[string][]string{
		"/legal_notices/terms":                           {"terms/3", "terms/2", "terms/1"},
		"/legal_notices/terms?limit=2":                   {"terms/3", "terms/2", "terms/1"},
		"/legal_notices/terms?starting_after=3":          {"terms/2", "terms/1"},
		"/legal_notices/terms?starting_after=1":          nil,
		"/legal_notices/terms%2Fcustomers?limit=1":       {"terms/customers/3", "terms/customers/2", "terms/customers/1"},
		"/beta/legal_notices/terms/customers/?unknown=1": {"terms/customers/3", "terms/customers/2", "terms/customers/1"},
	} {
		if got := s.follow(t, path); !slices.Equal(got, want) {
			t.Errorf("GET %s has %q, want %q", path, got, want)
		}
	}
	var v version
	s.get(t, "/legal_notices/terms%2Fcustomers/2").into(t, &v)
	equal(t, "version", []any{v.Identifier, v.Version, v.ID, v.Content}, []any{"terms/customers", 2, s.site + "_terms/customers", map[string]any{"en": "Text"}})
	s.get(t, "/legal_notices/privacy_policy/1").into(t, &v)
	equal(t, "content", v.Content, any("A text"))
	for _, path := range []string{"/legal_notices/none", "/legal_notices/terms/4", "/legal_notices/terms/0", "/legal_notices/terms/x", "/legal_notices/" + strings.Repeat("i", 1100)} {
		equal(t, path, s.refused(t, http.StatusNotFound, "GET", path, "").Status, "not_found")
	}
}

// TestNotices_inForce: a consent resolves to what was published when it came and
// in effect when it was given; a later version never changes that.
func TestNotices_inForce(t *testing.T) {
	t.Parallel()
	d := start(t)
	c := newClock(time.Now().AddDate(0, 0, -10))
	s := d.shop(t, site.Settings{}).on(d.deploy(t, deployOptions{now: c.Now}))
	consent := func(more string) acknowledged {
		c.advance(time.Minute)
		return s.consent(t, `{"subject":{"id":"ada"},"legal_notices":[{"identifier":"terms"}]`+more+`}`)
	}
	publish := func(more string) {
		c.advance(time.Minute)
		s.post(t, "/legal_notices", `{"identifier":"terms","content":"Text"`+more+`}`)
	}
	none := consent("")
	publish("")
	first := consent("")
	publish(`,"timestamp":"` + text(c.Now().Add(24*time.Hour)) + `"`)
	announced := consent("")
	c.advance(48 * time.Hour)
	second := consent("")
	backdated := consent(`,"timestamp":"` + text(c.Now().Add(-24*time.Hour-30*time.Minute)) + `"`)
	publish("")
	for name, tt := range map[string]struct {
		ack  acknowledged
		want notice
	}{
		"nothing published":            {none, notice{Identifier: "terms"}},
		"the first":                    {first, notice{Identifier: "terms", Version: ptr(1), Resolved: true}},
		"announced, not yet in effect": {announced, notice{Identifier: "terms", Version: ptr(1), Resolved: true}},
		"in effect":                    {second, notice{Identifier: "terms", Version: ptr(2), Resolved: true}},
		"given before it took effect":  {backdated, notice{Identifier: "terms", Version: ptr(1), Resolved: true}},
	} {
		equal(t, name, s.show(t, tt.ack).LegalNotices, []notice{tt.want})
	}
	// A version that was given is shown, and whether there was one.
	c.advance(time.Minute)
	r := s.show(t, s.consent(t, `{"legal_notices":[{"identifier":"terms","version":2},{"identifier":"terms","version":"9"},{"identifier":"terms","version":"2026-05"}]}`))
	equal(t, "given", r.LegalNotices, []notice{
		{Identifier: "terms", Version: ptr(2), Resolved: true}, {Identifier: "terms", Version: ptr(9)}, {Identifier: "terms", VersionGiven: "2026-05"},
	})
}

// TestNotices_refused: a publication that cannot be accepted publishes nothing.
func TestNotices_refused(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	for body, field := range map[string]string{
		`{}`:                                     "content identifier",
		`{"identifier":"a"}`:                     "content",
		`{"identifier":"a","content":""}`:        "content",
		`{"identifier":"a","content":{}}`:        "content",
		`{"identifier":"a","content":5}`:         "content",
		`{"identifier":"a","content":{"en":""}}`: "content.en",
		`{"identifier":"a","content":{"":"x"}}`:  "content",
		`{"identifier":"","content":"x"}`:        "identifier",
		`{"identifier":"` + strings.Repeat("i", 1025) + `","content":"x"}`: "identifier",
		`{"identifier":"a","content":"x","timestamp":"soon"}`:              "timestamp",
		`[{"identifier":"a","content":"x"},{"identifier":"b"}]`:            "[1].content",
		`[5]`: "[0]",
		`[]`:  "",
		`[` + strings.TrimSuffix(strings.Repeat(`{"identifier":"a","content":"x"},`, 51), ",") + `]`: "",
	} {
		p := s.refused(t, 400, "POST", "/legal_notices", body)
		fields := p.fields()
		slices.Sort(fields)
		fields = slices.Compact(fields)
		if got := strings.Join(fields, " "); got != field {
			t.Errorf("%.60s names %q, want %q", body, got, field)
		}
	}
	equal(t, "published", string(s.get(t, "/legal_notices").body), "[]")
	// A form may publish one.
	s.send(t, call{method: "POST", path: "/legal_notices", key: s.private, body: "identifier=terms&content[fr]=Texte", contentType: "application/x-www-form-urlencoded"}).ok(t)
	equal(t, "by a form", s.follow(t, "/legal_notices"), []string{"terms/1"})
}

// TestDocuments: uploads, lists, bytes.
func TestDocuments(t *testing.T) {
	t.Parallel()
	d := start(t)
	c := newClock(time.Now().AddDate(0, 0, -10))
	s := d.shop(t, site.Settings{}).on(d.deploy(t, deployOptions{now: c.Now}))
	var ids []string
	for i := range 5 {
		c.advance(time.Hour)
		u := s.upload(t, []string{"/documents", "/beta/documents/"}[i%2], fmt.Sprintf("%d.pdf", i), fmt.Sprintf("%%PDF-1.4 %d", i))
		equal(t, "timestamp", u.Timestamp, text(c.Now()))
		ids = append([]string{u.ID}, ids...)
	}
	for _, query := range []string{"", "?limit=2", "?limit=1", "?limit=5"} {
		equal(t, query, s.follow(t, "/documents"+query), ids)
	}
	equal(t, "after the second", s.follow(t, "/beta/documents?limit=2&starting_after_identifier="+strings.ToUpper(ids[1])), ids[2:])
	s.post(t, "/legal_notices", `{"identifier":"terms","content":"x","document_ids":["`+ids[0]+`","`+absentID+`"]}`)
	var documents []uploaded
	s.get(t, "/documents").into(t, &documents)
	for i, d := range documents {
		equal(t, d.Name+" referenced", d.Referenced, i == 0)
	}
	var v struct {
		Documents []struct {
			ID      string
			Name    *string
			Missing bool
		}
	}
	s.get(t, "/legal_notices/terms/1").into(t, &v)
	if len(v.Documents) != 2 || *v.Documents[0].Name != "4.pdf" || !v.Documents[1].Missing {
		t.Errorf("documents of a notice: %+v", v.Documents)
	}
	a := s.get(t, "/documents/"+ids[4])
	equal(t, "bytes", string(a.body), "%PDF-1.4 0")
	equal(t, "disposition", a.header.Get("Content-Disposition"), `attachment; filename="0.pdf"; filename*=UTF-8''0.pdf`)
	for _, id := range []string{absentID, "x", "3b0e3c1e-52a4-4d0f-9a55-0d5a9b7c1f10"} {
		equal(t, id, s.refused(t, http.StatusNotFound, "GET", "/documents/"+id, "").Status, "not_found")
	}
	// Bytes that are no text pass the gateway unharmed.
	body, contentType := form(t, "bytes", string([]byte{0, 0xff, 0xfe, '\r', '\n', 0x80}))
	var u uploaded
	s.send(t, call{method: "POST", path: "/documents", key: s.private, body: body, contentType: contentType}).ok(t).into(t, &u)
	equal(t, "bytes", s.get(t, "/documents/"+u.ID).body, []byte{0, 0xff, 0xfe, '\r', '\n', 0x80})
	// What is no file.
	for name, body := range map[string]string{
		"no part":     "--b\r\nContent-Disposition: form-data; name=\"other\"; filename=\"a\"\r\n\r\nx\r\n--b--\r\n",
		"empty":       "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n\r\n--b--\r\n",
		"nameless":    "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nx\r\n--b--\r\n",
		"truncated":   "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nx",
		"no boundary": "x",
	} {
		s.send(t, call{method: "POST", path: "/documents", key: s.private, body: body, contentType: "multipart/form-data; boundary=b", bad: true}).problem(t, 400)
		_ = name
	}
}
