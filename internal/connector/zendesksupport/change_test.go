package zendesksupport_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/zendesksupport"
	"github.com/avow-consent/avow/internal/connector/zendesksupport/fake"
	"github.com/avow-consent/avow/internal/errs"
)

func rectify(s connector.Subject, changes ...connector.Change) connector.Call {
	return connector.Call{Key: "k", Operation: connector.Rectify, Subject: s, Changes: changes}
}

func TestRectify(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	ines := d.Find(company.Ines)
	call := rectify(d.located(conformance.Person(company.Ines)),
		connector.Change{Field: "name", Old: "Inès Martin", New: "Inès Durand"},
		connector.Change{Field: "external_id", Old: "customer-1001", New: "customer-9"},
		connector.Change{Field: "user_fields.birthday", Old: "1990-02-03", New: "1991-02-03"},
		connector.Change{Field: "email", Old: "INES@example.test", New: "ines.durand@example.test"},
		connector.Change{Field: "phone", Old: "+33 6 55 00 01 01", New: "+33655000202"},
	)
	for time, want := range []int{1, 0} { // repeated, there is nothing to do
		if p := d.must(call); p.Counts["users"] != want {
			t.Errorf("time %d: %+v", time, p)
		}
	}
	u := d.user(ines)
	if u.Name != "Inès Durand" || u.ExternalID != "customer-9" || u.Fields["birthday"] != "1991-02-03" || u.Alias != "" || u.Phone != "+33655000202" {
		t.Errorf("%+v", u)
	}
	var left []string
	for _, i := range u.Identities {
		left = append(left, i.Value)
		if i.Primary != (i.Value == "ines.durand@example.test") {
			t.Errorf("%+v", i)
		}
	}
	if diff := cmp.Diff([]string{fake.Older, "ines.durand@example.test"}, left); diff != "" {
		t.Error(diff)
	}
	for _, c := range d.Calls() {
		if c.Route == "MAIL SENT" {
			t.Error("Zendesk has written to the new address")
		}
	}
}

// After the identity of a telephone was deleted the profile still has the number.
func TestRectify_phoneSurvives(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	s := d.located(conformance.Person(company.Ines))
	d.must(rectify(s, connector.Change{Field: "phone", Old: "+33655000101", New: ""}))
	u := d.user(d.Find(company.Ines))
	if u.Phone != "" || slices.ContainsFunc(u.Identities, func(i fake.Identity) bool { return i.Type == "phone_number" }) {
		t.Errorf("%+v", u)
	}
}

// Two numbers of a record are two places: the new one is written before the old
// one is dropped, and a repetition writes it once.
func TestRectify_phoneIdentity(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	ines := d.Find(company.Ines)
	d.Update(ines, func(u *fake.User) { u.Phone = "+33655000999" })
	s := d.located(conformance.Person(company.Ines))
	change := connector.Change{Field: "phone", Old: "+33655000101", New: "+33655000202"}
	d.Fail(fakekit.Failure{Method: "DELETE", Route: "/users/{user_id}/identities/{user_identity_id}", Times: 1, Status: 403})
	if _, err := d.drive(rectify(s, change)); !errs.Is(err, errs.Forbidden) {
		t.Fatal(err)
	}
	for time, want := range []int{1, 0} {
		if p := d.must(rectify(s, change)); p.Counts["users"] != want {
			t.Errorf("time %d: %+v", time, p)
		}
	}
	var numbers []string
	for _, i := range d.user(ines).Identities {
		if i.Type == "phone_number" {
			numbers = append(numbers, i.Value)
		}
	}
	if !slices.Equal(numbers, []string{"+33655000202"}) || d.user(ines).Phone != "+33655000999" {
		t.Errorf("%v, %+v", numbers, d.user(ines))
	}
}

// Fields of the company's may be numbers and boxes.
func TestRectify_typedFields(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	ines := d.Find(company.Ines)
	d.Update(ines, func(u *fake.User) {
		u.Fields = map[string]any{"shoe": 38.0, "club": true, "left": 12.0, "empty": nil}
	})
	p := d.must(rectify(d.located(conformance.Person(company.Ines)),
		connector.Change{Field: "user_fields.shoe", Old: "38", New: "39.5"},
		connector.Change{Field: "user_fields.club", Old: "true", New: "false"},
		connector.Change{Field: "user_fields.left", Old: "12", New: ""},
		connector.Change{Field: "user_fields.empty", Old: "", New: "text"},
	))
	if diff := cmp.Diff(map[string]any{"shoe": 39.5, "club": false, "left": nil, "empty": "text"}, d.user(ines).Fields); diff != "" || p.Counts["users"] != 1 {
		t.Errorf("%s, %+v", diff, p)
	}
}

// A value that stands nowhere, or that a field does not take, is a person's
// matter; what can be corrected is.
func TestRectify_noMatch(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	ines := d.Find(company.Ines)
	d.Update(ines, func(u *fake.User) { u.Fields["shoe"] = 38.0 })
	s := d.located(conformance.Person(company.Ines))
	for _, change := range []connector.Change{
		{Field: "alias", Old: "somebody else's", New: "x"}, {Field: "email", Old: "other@example.test", New: "x@example.test"},
		{Field: "phone", Old: "+33655000999", New: "+33655000998"}, {Field: "user_fields.shoe", Old: "38", New: "large"},
		{Field: "user_fields.none", Old: "a", New: "b"},
	} {
		p, err := d.drive(rectify(s, change, connector.Change{Field: "name", Old: "Inès Martin", New: "Inès Durand"}))
		if err != nil || p.Done || p.Ask == nil || p.Ask.Retry || d.user(ines).Name != "Inès Durand" {
			t.Errorf("%s: %+v, %v", change.Field, p, err)
		}
	}
}

// An e-mail that another user has already is a person's matter: the old one stays.
func TestRectify_emailTaken(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	s := d.located(conformance.Person(company.Ines))
	p, err := d.drive(rectify(s, connector.Change{Field: "email", Old: company.Ines, New: company.Leo}))
	if err != nil || p.Ask == nil || !p.Ask.Retry || d.Find(company.Ines) == 0 {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestRectify_more(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	s := d.located(conformance.Person(company.Ines))
	d.must(rectify(s, connector.Change{Field: "email", New: "more@example.test"}))
	if d.Find("more@example.test") != d.Find(company.Ines) {
		t.Error("an address that is added")
	}
	d.must(rectify(s, connector.Change{Field: "email", Old: fake.Older, New: ""}))
	if d.Find(fake.Older) != 0 {
		t.Error("an address that is taken away")
	}
	for _, field := range []string{"birthday", "user_fields.", "role", "id"} {
		if p, err := d.drive(rectify(s, connector.Change{Field: field, New: "2000-01-01"})); err != nil || p.Ask == nil || p.Ask.Retry {
			t.Errorf("%s, which Zendesk does not have: %+v, %v", field, p, err)
		}
	}
}

func TestMark(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]struct {
		suspended bool
		tags      []string
	}{
		"":                   {true, []string{"avow-objected"}},
		`"restrict":"tag"`:   {false, []string{"avow-restricted", "avow-objected"}},
		`"object":"suspend"`: {true, []string{}},
	} {
		d := small(t, config)
		s := d.located(conformance.Person(company.Ines))
		for _, op := range []connector.Operation{connector.Restrict, connector.Object, connector.Restrict} {
			d.must(connector.Call{Operation: op, Subject: s})
		}
		if u := d.user(d.Find(company.Ines)); u.Suspended != want.suspended || !slices.Equal(u.Tags, want.tags) {
			t.Errorf("%s: %v, %v", config, u.Suspended, u.Tags)
		}
	}
	d := small(t, "")
	agent := conformance.Person(company.Agent)
	agent.Agent = true
	d.must(connector.Call{Operation: connector.Restrict, Subject: d.located(agent)})
	if u := d.user(d.Find(company.Agent)); u.Suspended || len(u.Tags) != 1 {
		t.Errorf("an agent's account is their workplace: %+v", u)
	}
}

// Replaced credentials work in the middle of an erasure; wrong ones are a matter
// for a person.
func TestCredentials(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	s := d.located(conformance.Person(company.Ines))
	replaced := false
	d.c = d.connect(hook{conformance.Local(d.Server), func(r *http.Request) {
		if r.Method == http.MethodDelete && !replaced {
			replaced = true
			d.SetSecret("another")
			d.secret = `{"client_id":"avow","client_secret":"another"}`
		}
	}})
	d.must(erase(s))
	d.SetSecret("a third")
	if _, err := d.c.Locate(t.Context(), conformance.Person(company.Leo)); !errs.Is(err, errs.Forbidden) || strings.Contains(err.Error(), "another") {
		t.Errorf("%v", err)
	}
	d.secret = "not JSON"
	if _, err := d.c.Locate(t.Context(), conformance.Person(company.Leo)); !errs.Is(err, errs.Forbidden) {
		t.Errorf("%v", err)
	}
}

// Tokens of five minutes are replaced before they end: nothing is ever refused.
// They are OAuth tokens; API tokens and passwords are not used.
func TestToken_fiveMinutes(t *testing.T) {
	t.Parallel()
	d := small(t, `"token_seconds":301`)
	s := d.located(conformance.Person(company.Ines))
	asked := 0
	d.c = d.connect(hook{conformance.Local(d.Server), func(r *http.Request) {
		if r.URL.Path == "/oauth/tokens" {
			asked++
		} else if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
			t.Errorf("%s %s has no bearer token", r.Method, r.URL.Path)
		}
	}})
	d.must(erase(s))
	if asked < 5 {
		t.Errorf("%d tokens in some days", asked)
	}
	for _, c := range d.Calls() {
		if c.Status == http.StatusUnauthorized {
			t.Errorf("%+v", c)
		}
	}
}

func TestNew_refuses(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	base := `"base_url":"https://example.zendesk.com"`
	for config, want := range map[string]string{
		``:                                        "base_url is no address",
		`{"base_url":"http://example.test"}`:      "must begin with https://",
		`{` + base + `,"ticket":"delete"}`:        `unknown field "ticket"`,
		`{` + base + `,"tickets":"keep"}`:         "config.tickets must be one of",
		`{` + base + `,"tickets":"redact"}`:       "config.ground must say",
		`{` + base + `,"restrict":"x"}`:           "config.restrict must be one of",
		`{` + base + `,"object":""}`:              "config.object must be one of",
		`{` + base + `,"token_seconds":300}`:      "config.token_seconds must lie between",
		`{` + base + `,"token_seconds":172800}`:   "config.token_seconds must lie between",
		`{` + base + `,"calls_per_minute":0}`:     "config.calls_per_minute must be",
		`{` + base + `,"settle":"a day"}`:         "config.settle is no duration",
		`{"base_url":"https://u:p@example.test"}`: "base_url is no address",
	} {
		o := d.options(nil)
		o.Config = json.RawMessage(config)
		if _, err := zendesksupport.New(o); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `system "support"`) {
			t.Errorf("%s: %v", config, err)
		}
	}
}
