package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/project"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/setup"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestRun: a restriction ends with an event of its own, and the request that led
// to it says so in its log.
func TestRun(t *testing.T) {
	e := awstest.New(t)
	for _, n := range []string{"EVENTS_TABLE", "SUBJECTS_TABLE", "REQUESTS_TABLE", "FORMS_TABLE", "PROOFS_BUCKET", "PSEUDONYM_SECRET"} {
		t.Setenv(n, e.Getenv(n))
	}
	base, err := setup.NewBase(t.Context(), e.Getenv)
	must(t, err)
	hasher, err := base.Hasher(t.Context())
	must(t, err)
	now := time.Now().UTC().Truncate(time.Millisecond).Add(-time.Hour)
	events, store := dynamo.NewEvents(base.Config, e.Getenv("EVENTS_TABLE")), dynamo.NewRequests(base.Config, e.Getenv("REQUESTS_TABLE"), hasher, base.Now, base.NewID)
	_, err = events.Append(t.Context(), &consent.Event{
		ID: hasher.ID(now, "1"), Kind: consent.KindConsent, Site: "s", Subject: hasher.Subject("s", "planted"), SubjectID: "planted",
		Source: consent.Public, Act: consent.WebForm, Claimed: now, Received: now, Shards: 4,
	})
	must(t, err)
	ids := map[request.Type]string{}
	for _, kind := range []request.Type{request.Restriction, request.Access} {
		r := &request.Request{
			ID: base.NewID(now), Site: "s", Type: kind, State: request.Closed, Received: now, Since: now, Clock: request.Clock{Due: now}, Next: now.AddDate(3, 0, 0),
		}
		must(t, store.Create(t.Context(), r, request.Entry{At: now, Act: request.Open}, request.Personal{}, nil))
		ids[kind] = r.ID
	}
	_, err = (&consent.Amender{Ledger: events, Hasher: hasher, Now: func() time.Time { return now }}).Append(t.Context(), consent.Amendment{
		Site: "s", SubjectID: "planted", Case: ids[request.Restriction], Kind: consent.KindRestriction, Source: consent.Confirmed,
	})
	must(t, err)
	_, err = project.Rebuild(t.Context(), e.Function("project"), nil)
	must(t, err)
	lift := func(id, who string) (string, error) {
		var out bytes.Buffer
		err := run(t.Context(), []string{"-request", id, "-by", "Ada", "-why", "the dispute is settled"}, strings.NewReader(who+"\n"), &out)
		return out.String(), err
	}
	for name, tt := range map[string]struct{ id, who, want string }{
		"another type": {ids[request.Access], "planted", "none of the type"},
		"nobody":       {ids[request.Restriction], "", "standard input"},
		"a stranger":   {ids[request.Restriction], "stranger", "no such subject"},
	} {
		if _, err := lift(tt.id, tt.who); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if out, err := lift(ids[request.Restriction], "planted"); err != nil || !strings.Contains(out, "has ended") {
		t.Fatalf("%q, %v", out, err)
	}
	restrictions, lifted := 0, 0
	page, _, err := events.Page(t.Context(), hasher.Subject("s", "planted"), "", 100)
	must(t, err)
	for _, r := range page {
		if r.Event != nil && r.Event.Kind == consent.KindRestriction {
			if restrictions++; r.Event.Lifted {
				lifted++
			}
		}
	}
	if restrictions != 2 || lifted != 1 {
		t.Errorf("%d restrictions, %d of them lifted", restrictions, lifted)
	}
	log, err := store.Log(t.Context(), ids[request.Restriction], "", 10)
	if must(t, err); len(log) != 2 || log[1].By.Who != "Ada" || log[1].Detail["operation"] != "lift" || strings.Contains(log[1].Detail["subject"], "planted") {
		t.Errorf("%+v", log)
	}
}

func TestRun_refuses(t *testing.T) {
	t.Chdir(t.TempDir())
	all := []string{"-request", "r", "-by", "a", "-why", "w"}
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"no stack": {all, "make run"}, "nothing": {nil, "-request"}, "too much": {append(all, "x"), "nothing else"}, "unknown": {[]string{"-x"}, "-x"},
	} {
		if err := run(t.Context(), tt.args, strings.NewReader("x"), &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-help"}, strings.NewReader(""), &out); err != nil || !strings.Contains(out.String(), "usage:") {
		t.Errorf("-help: %v", err)
	}
}
