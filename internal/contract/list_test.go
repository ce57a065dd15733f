package contract

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/site"
)

// A kept consent is one of a list, with what filters look at.
type kept struct {
	id       string
	at       time.Time
	who      string
	source   string
	ip, kind string
	prefs    []string
}

// archive records consents of several months, by both keys, and gives them in
// the order of a list.
func archive(t *testing.T, s *shop) []kept {
	t.Helper()
	s.post(t, "/subjects", `{"id":"ines","email":"Ines.Roca@Example.test","first_name":"Ines","last_name":"Roca","verified":true,
		"phones":[{"number":"+34 600 111 222","label":"mobile"}]}`)
	s.post(t, "/subjects", `{"id":"leo","email":"leo@example.test","full_name":"Leo d'Arc-Müller","phones":[{"number":"0033 1 23 45 67 89"}]}`)
	s.post(t, "/subjects", `{"id":"zoe","email":"zoe.smith+news@mail.example","full_name":"Zoé Smith"}`)

	now := time.Now().UTC().Truncate(time.Second)
	var all []kept
	add := func(k kept, post func(*testing.T, string) acknowledged) {
		body := map[string]any{
			"subject": map[string]any{"id": k.who}, "timestamp": k.at.Format(time.RFC3339Nano),
			"consent_type": k.kind, "ip_address": k.ip, "autodetect_ip_address": false, "preferences": map[string]bool{},
		}
		for _, p := range k.prefs {
			body["preferences"].(map[string]bool)[p] = true
		}
		k.id = post(t, encode(t, body)).ID
		all = append(all, k)
	}
	who := []string{"ines", "leo", "zoe", "anon"}
	for i := range 21 {
		k := kept{at: now.AddDate(0, 0, -9*i), who: who[i%len(who)], source: "private"}
		switch i % 3 {
		case 0:
			k.prefs = []string{"newsletter"}
		case 1:
			k.prefs, k.kind = []string{"newsletter", "profiling"}, "cookie_policy"
		}
		if i%5 == 2 {
			k.ip = "2001:db8::1"
		}
		add(k, s.consent)
	}
	for i := range 4 {
		k := kept{at: now.AddDate(0, 0, -6*i).Add(-time.Hour), who: who[i], source: "public", prefs: []string{"banner"}}
		if i == 3 {
			k.who = "only a page"
		}
		add(k, s.page)
	}
	// Two of one second, and two of one instant.
	add(kept{at: now.AddDate(0, 0, -40).Add(500 * time.Millisecond), who: "leo", source: "private"}, s.consent)
	for _, who := range []string{"ines", "leo"} {
		add(kept{at: now.AddDate(0, 0, -40), who: who, source: "private", prefs: []string{"same"}}, s.consent)
	}
	slices.SortFunc(all, func(a, b kept) int { return strings.Compare(b.id, a.id) })
	for i := 1; i < len(all); i++ {
		if all[i-1].at.Before(all[i].at) {
			t.Fatal("the ids do not follow the timestamps")
		}
	}
	return all
}

func idsOf(all []kept, match func(kept) bool) []string {
	var ids []string
	for _, k := range all {
		if match(k) {
			ids = append(ids, k.id)
		}
	}
	return ids
}

// TestListConsents: every filter, every page, newest first, each record once.
func TestListConsents(t *testing.T) {
	t.Parallel()
	d := start(t)
	s, other := d.shop(t, site.Settings{}), d.shop(t, site.Settings{})
	all := archive(t, s)
	foreign := other.consent(t, `{"subject":{"id":"ines","email":"Ines.Roca@Example.test"},"preferences":{"newsletter":true}}`)
	s.settle(t)
	s = s.on(d.deploy(t, deployOptions{})) // a function remembers a site's months for ten seconds

	is := func(names ...string) func(kept) bool {
		return func(k kept) bool { return slices.Contains(names, k.who) }
	}
	everything := func(kept) bool { return true }
	nothing := func(kept) bool { return false }
	has := func(key string) func(kept) bool {
		return func(k kept) bool { return slices.Contains(k.prefs, key) }
	}
	middle, twin := all[len(all)/2].at, time.Time{}
	for _, k := range all {
		if slices.Contains(k.prefs, "same") {
			twin = k.at
		}
	}
	since := func(at time.Time) func(kept) bool { return func(k kept) bool { return !k.at.Before(at) } }
	until := func(at time.Time) func(kept) bool {
		return func(k kept) bool { return k.at.Before(at.Add(time.Second)) }
	}
	both := func(a, b func(kept) bool) func(kept) bool { return func(k kept) bool { return a(k) && b(k) } }

	for query, want := range map[string]func(kept) bool{
		"":                           everything,
		"fulltext=ines":              everything,
		"unescape_json=true":         everything,
		"source=&ip_address=":        everything,
		"source=public":              func(k kept) bool { return k.source == "public" },
		"source=private":             func(k kept) bool { return k.source == "private" },
		"ip_address=2001:db8::1":     func(k kept) bool { return k.ip != "" },
		"ip_address=2001:DB8:0:0::1": func(k kept) bool { return k.ip != "" },
		"ip_address=none":            func(k kept) bool { return k.ip == "" },
		"ip_address=203.0.113.9":     nothing,
		"consent_type=cookie_policy": func(k kept) bool { return k.kind == "cookie_policy" },
		"consent_type=null":          func(k kept) bool { return k.kind == "" },
		"consent_type=other":         nothing,
		"preference_key=profiling":   has("profiling"),
		"preference_key=Profiling":   nothing,
		"subject_id=ines":            is("ines"),
		"subject_id=Ines":            nothing,
		"subject_id=nobody":          nothing,

		"subject_email_exact=Ines.Roca@Example.test":           is("ines"),
		"subject_email_exact=ines.roca@example.test":           nothing,
		"subject_email_exact=not+an+address":                   nothing,
		"subject_email_exact=leo@example.test&subject_id=leo":  is("leo"),
		"subject_email_exact=leo@example.test&subject_id=ines": nothing,

		// The beginning of a part, in any case.
		"subject_email=roca":               is("ines"),
		"subject_email=ROC":                is("ines"),
		"subject_email=oca":                nothing,
		"subject_email=example":            is("ines", "leo", "zoe"),
		"subject_email=ines.smi":           is("ines", "zoe"),
		"subject_email=leo@exam":           is("leo"),
		"subject_email=news":               is("zoe"),
		"subject_email=roca%20leo":         is("ines", "leo"),
		"subject_email=.":                  nothing,
		"subject_first_name=Ines":          is("ines"),
		"subject_first_name=ines":          nothing,
		"subject_first_name=Ine":           nothing,
		"subject_last_name=Roca":           is("ines"),
		"subject_last_name=Smith":          nothing, // it was never stated as one
		"subject_full_name=smith":          is("zoe"),
		"subject_full_name=mith":           nothing,
		"subject_full_name=arc":            is("leo"),
		"subject_full_name=M%C3%9Cll":      is("leo"),
		"subject_full_name=muller":         nothing,
		"subject_full_name=roca":           is("ines"), // first and last name, where there is no full name
		"subject_full_name=leo%20zo%C3%A9": is("leo", "zoe"),
		"subject_phone=%2B34600111222":     is("ines"),
		"subject_phone=600-111-222":        is("ines"),
		"subject_phone=0033123456789":      is("leo"),
		"subject_phone=600":                nothing,
		"subject_verified=true":            is("ines"),
		"subject_verified=false":           is("leo", "zoe", "anon", "only a page"),

		"from_time=" + esc(middle.Format(time.RFC3339)):                           since(middle),
		"to_time=" + esc(middle.Format("2006-01-02 15:04:05 UTC")):                until(middle),
		"from_time=" + unix(middle) + "&to_time=" + unix(middle):                  both(since(middle), until(middle)),
		"from_time=" + unix(twin) + "&to_time=" + unix(twin):                      both(since(twin), until(twin)),
		"from_time=" + esc(twin.Add(time.Millisecond).Format(time.RFC3339Nano)):   since(twin.Add(time.Millisecond)),
		"to_time=" + esc(twin.Add(499*time.Millisecond).Format(time.RFC3339Nano)): func(k kept) bool { return !k.at.After(twin) },
		"from_time=" + unix(twin.Add(time.Second)):                                since(twin.Add(time.Second)),
		"to_time=" + unix(twin.Add(-time.Second)):                                 until(twin.Add(-time.Second)),
		"from_time=" + unix(middle) + "&to_time=" + unix(middle.Add(-time.Hour)):  nothing,
		"to_time=1519260000":                                                  nothing,
		"subject_id=leo&from_time=" + unix(middle):                            both(is("leo"), since(middle)),
		"subject_id=ines&source=private&preference_key=newsletter":            both(is("ines"), both(has("newsletter"), func(k kept) bool { return k.source == "private" })),
		"source=private&preference_key=newsletter&subject_full_name=zo%C3%A9": both(is("zoe"), has("newsletter")),
		"subject_email=example&subject_verified=false&consent_type=null":      both(is("leo", "zoe"), func(k kept) bool { return k.kind == "" }),
	} {
		ids := idsOf(all, want)
		for _, limit := range []string{"&limit=7", "&limit=100"} {
			if diff := difference(s.follow(t, "/consent?"+query+limit), ids); diff != "" {
				t.Errorf("GET /consent?%s%s: %s", query, limit, diff)
			}
		}
	}

	// A cursor is a position: any consent's, another site's, nobody's.
	ids := idsOf(all, everything)
	for i, id := range ids {
		for _, query := range []string{"", "source=private&", "subject_id=leo&"} {
			want := idsOf(all[i+1:], map[string]func(kept) bool{
				"": everything, "source=private&": func(k kept) bool { return k.source == "private" }, "subject_id=leo&": is("leo"),
			}[query])
			if query != "" && i%5 != 0 {
				continue
			}
			if diff := difference(s.follow(t, "/consent?"+query+"limit=100&starting_after="+id), want); diff != "" {
				t.Errorf("GET /consent?%sstarting_after=%s: %s", query, id, diff)
			}
		}
	}
	equal(t, "after another site's, which is the latest", s.follow(t, "/consent?limit=100&starting_after="+foreign.ID), ids)
	equal(t, "after nobody's", s.follow(t, "/consent?limit=100&starting_after="+keyAt(all[4].at.Add(time.Hour))), idsOf(all, until(all[4].at)))
	equal(t, "after one in upper case", s.follow(t, "/consent?limit=100&starting_after="+strings.ToUpper(ids[3])), ids[4:])

	// What items show.
	var page []record
	a := s.get(t, "/consent?subject_id=ines&limit=1")
	a.into(t, &page)
	equal(t, "owner", page[0].Owner, s.site)
	equal(t, "e-mail", page[0].Subject.Email, ptr("Ines.Roca@Example.test"))
	equal(t, "verified", page[0].Subject.Verified, true)
	if a := s.get(t, "/consent?subject_id=anon&limit=100"); a.header.Get("Link") != "" {
		t.Errorf("the last page has a Link: %s", a.header.Get("Link"))
	}
	var anon []record
	s.get(t, "/consent?subject_id=anon&source=private&limit=1").into(t, &anon)
	if anon[0].Subject.Email != nil || anon[0].Preferences == nil {
		t.Errorf("anon is shown as %+v", anon[0])
	}
	equal(t, "an empty list", string(s.get(t, "/consent?subject_id=nobody").body), "[]")
}

// TestListConsents_limit: 10 unless given, and clamped.
func TestListConsents_limit(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	for i := range 12 {
		s.consent(t, `{"subject":{"id":"ada"},"preferences":{"n":`+strconv.Itoa(i)+`}}`)
	}
	s.settle(t)
	for _, path := range []string{"/consent?", "/consent?subject_id=ada&"} {
		for limit, want := range map[string]int{"": 10, "limit=": 10, "limit=0": 1, "limit=-5": 1, "limit=1": 1, "limit=11": 11, "limit=12": 12, "limit=101": 12, "limit=100000": 12} {
			var page []record
			a := s.get(t, path+limit)
			a.into(t, &page)
			equal(t, path+limit, len(page), want)
			equal(t, path+limit+": Link", a.header.Get("Link") != "", want < 12)
		}
	}
	for _, limit := range []string{"many", "1.5", "99999999999999999999"} {
		for _, path := range []string{"/consent", "/subjects", "/legal_notices", "/documents"} {
			equal(t, path+limit, s.refused(t, 400, "GET", path+"?limit="+limit, "").fields(), []string{"limit"})
		}
	}
}

// TestLists_refused: filters that cannot be read name their field.
func TestLists_refused(t *testing.T) {
	t.Parallel()
	d := start(t)
	s, other := d.shop(t, site.Settings{}), d.shop(t, site.Settings{})
	other.post(t, "/subjects", `{"id":"theirs"}`)
	foreign := other.upload(t, "/documents", "theirs.pdf", "%PDF-1.4")
	other.post(t, "/legal_notices", `{"identifier":"theirs","content":"x"}`)
	s.post(t, "/legal_notices", `{"identifier":"ours","content":"x"}`)
	s.settle(t)
	for query, field := range map[string]string{
		"/consent?source=confirmed":                                                     "source",
		"/consent?ip_address=nowhere":                                                   "ip_address",
		"/consent?subject_verified=maybe":                                               "subject_verified",
		"/consent?from_time=yesterday":                                                  "from_time",
		"/consent?to_time=2018-02-30T00:00:00Z":                                         "to_time",
		"/consent?starting_after=x":                                                     "starting_after",
		"/consent?starting_after=3b0e3c1e-52a4-4d0f-9a55-0d5a9b7c1f10":                  "starting_after",
		"/consent?starting_after=urn:uuid:" + absentID:                                  "starting_after",
		"/consent?starting_after=" + strings.ReplaceAll(absentID, "-", ""):              "starting_after",
		"/consent?subject_id=" + strings.Repeat("i", 1025):                              "subject_id",
		"/consent?preference_key=%00":                                                   "preference_key",
		"/subjects?verified=maybe":                                                      "verified",
		"/subjects?from_time=yesterday":                                                 "from_time",
		"/subjects?starting_after=nobody":                                               "starting_after",
		"/subjects?starting_after=theirs":                                               "starting_after",
		"/legal_notices?version=first":                                                  "version",
		"/legal_notices?to_time=x":                                                      "to_time",
		"/legal_notices?starting_after_version=1":                                       "",
		"/legal_notices?starting_after_identifier=ours":                                 "",
		"/legal_notices?starting_after_version=2&starting_after_identifier=ours":        "starting_after_identifier",
		"/legal_notices?starting_after_version=1&starting_after_identifier=theirs":      "starting_after_identifier",
		"/legal_notices?starting_after_version=x&starting_after_identifier=ours":        "starting_after_version",
		"/legal_notices/ours?starting_after=x":                                          "starting_after",
		"/documents?starting_after_identifier=" + absentID:                              "starting_after_identifier",
		"/documents?starting_after_identifier=" + foreign.ID:                            "starting_after_identifier",
		"/documents?starting_after_identifier=x":                                        "starting_after_identifier",
		"/decide?preference=n":                                                          "",
		"/decide?preference=n&subject_id=a&email=a@example.test":                        "",
		"/decide?subject_id=a":                                                          "preference",
		"/decide?subject_id=a&preference=n&at=soon":                                     "at",
		"/decide?subject_id=a&preference=n&at=" + unix(time.Now().Add(time.Hour)):       "at",
		"/decide?subject_id=a&preference=n&known_at=" + unix(time.Now().Add(time.Hour)): "known_at",
	} {
		p := s.refused(t, 400, "GET", query, "")
		if got := strings.Join(p.fields(), " "); got != field || p.Message == "" {
			t.Errorf("GET %s names %q, want %q (%s)", query, got, field, p.Message)
		}
	}
}

// TestListConsents_shared: an address that many subjects show.
func TestListConsents_shared(t *testing.T) {
	t.Parallel()
	d := start(t)
	s := d.shop(t, site.Settings{})
	var want []string
	oldest := ""
	for i := range 102 {
		ack := s.page(t, fmt.Sprintf(`{"subject":{"id":"p%d","email":"shared@example.test"}}`, i))
		want = append([]string{ack.ID}, want...)
		if i == 0 {
			oldest = ack.ID
		}
	}
	s.page(t, `{"subject":{"id":"other","email":"other@example.test"}}`)
	slices.SortFunc(want, func(a, b string) int { return strings.Compare(b, a) })
	s.settle(t)
	const query = "subject_email_exact=shared@example.test&limit=60"
	equal(t, "consents", s.follow(t, "/consent?"+query), want)
	equal(t, "consents of one of them", s.follow(t, "/consent?subject_id=p0&"+query), []string{oldest})
	equal(t, "consents of another", string(s.get(t, "/consent?subject_id=other&"+query).body), "[]")
	equal(t, "subjects", len(s.follow(t, "/subjects?email_exact=shared@example.test&limit=60")), 102)
}

// TestListConsents_whileWriting: what comes while somebody pages moves nothing.
func TestListConsents_whileWriting(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	var want []string
	now := time.Now().Unix() // once: two consents of the same second have no order that a test could know
	for i := range 9 {
		want = append(want, s.consent(t, fmt.Sprintf(`{"subject":{"id":"ada"},"timestamp":%d}`, now-int64(i)-1)).ID)
	}
	s.settle(t)
	for _, path := range []string{"/consent?limit=2", "/consent?subject_id=ada&limit=2"} {
		path += "&starting_after=" + keyAt(time.Now())
		var got []string
		for path != "" {
			a := s.get(t, path)
			var page []record
			a.into(t, &page)
			for _, r := range page {
				got = append(got, r.ID)
			}
			s.consent(t, `{"subject":{"id":"ada"},"timestamp":`+unix(time.Now())+`}`)
			path = next(t, a)
		}
		known := slices.DeleteFunc(slices.Clone(got), func(id string) bool { return !slices.Contains(want, id) })
		equal(t, "records of before", known, want)
	}
}

// TestListConsents_formerAddress: an address that somebody had before finds them.
func TestListConsents_formerAddress(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	first := s.consent(t, `{"subject":{"id":"ada","email":"old@example.test"},"timestamp":"2026-01-01T00:00:00Z"}`)
	second := s.consent(t, `{"subject":{"id":"ada","email":"new@example.test"},"timestamp":"2026-02-01T00:00:00Z"}`)
	for _, email := range []string{"old@example.test", "new@example.test"} {
		equal(t, email, s.follow(t, "/consent?subject_email_exact="+email), []string{second.ID, first.ID})
	}
	equal(t, "shown", s.subject(t, "ada").Email, ptr("new@example.test"))
}

// TestQueries: what cannot be read is not dropped.
func TestQueries(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	semicolon := s.consent(t, `{"subject":{"id":"a;b"}}`)
	s.consent(t, `{"subject":{"id":"a"}}`)
	equal(t, "semicolon", s.follow(t, "/consent?subject_id=a;b"), []string{semicolon.ID})
	equal(t, "plus", len(s.follow(t, "/consent?subject_id=a+b")), 0)
	for _, path := range []string{"/consent?subject_id=100%", "/subjects?id=%zz", "/legal_notices?%=1", "/decide?subject_id=a&preference=n&at=%2"} {
		a := s.send(t, call{method: "GET", path: path, key: s.private, bad: true})
		if p := a.problem(t, 400); !strings.Contains(p.Message, "query") {
			t.Errorf("%s says %q", path, p.Message)
		}
	}
	// Without a key it says nothing.
	s.send(t, call{method: "GET", path: "/consent?subject_id=100%", bad: true}).problem(t, 401)
}

// TestListConsents_tooLarge: a page that no function could answer with asks for a
// lower limit.
func TestListConsents_tooLarge(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	body := `{"preferences":{"a":"` + strings.Repeat(`\"`, 16_000) + `"}}` // each counts twice in the function's own answer
	for range 100 {
		s.consent(t, body)
	}
	p := s.refused(t, 400, "GET", "/consent?limit=100", "")
	if p.Code != "too_broad" || !strings.Contains(p.Message, "limit") {
		t.Errorf("answered %+v", p)
	}
	equal(t, "consents", len(s.follow(t, "/consent?limit=50")), 100)
}

func esc(s string) string { return url.QueryEscape(s) }

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// difference says where two lists of ids differ, "" when nowhere.
func difference(got, want []string) string {
	if slices.Equal(got, want) {
		return ""
	}
	var missing, extra int
	for _, id := range want {
		if !slices.Contains(got, id) {
			missing++
		}
	}
	for _, id := range got {
		if !slices.Contains(want, id) {
			extra++
		}
	}
	return fmt.Sprintf("%d records, want %d: %d missing, %d too many, or in another order", len(got), len(want), missing, extra)
}
