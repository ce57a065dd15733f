package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/project"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/setup"
)

// TestRun: the report changes nothing; a run erases who lapsed and nobody else,
// and leaves its record.
func TestRun(t *testing.T) {
	e := awstest.New(t)
	base := &setup.Base{Config: e.Config, Getenv: e.Getenv, Now: time.Now}
	env := e.Function("erase")
	for _, n := range []string{
		"EVENTS_TABLE", "SUBJECTS_TABLE", "FORMS_TABLE", "SITES_TABLE", "DOCUMENTS_TABLE", "NOTICES_TABLE", "ERASURES_TABLE", "REQUESTS_TABLE",
		"PROOFS_BUCKET", "PACKAGES_BUCKET", "PSEUDONYM_SECRET", "SYSTEMS_SECRET", "SYSTEM_SECRET_PREFIX", "KEYS_TABLE", "MESSAGES_TABLE",
	} {
		t.Setenv(n, env(n))
	}
	hasher, err := base.Hasher(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	events := dynamo.NewEvents(e.Config, e.Getenv("EVENTS_TABLE"))
	put := func(who string, age time.Duration) {
		t.Helper()
		at := now.Add(-age)
		if _, err := events.Append(t.Context(), &consent.Event{
			ID: hasher.ID(at, who), Kind: consent.KindConsent, Site: "s", Subject: hasher.Subject("s", who), SubjectID: redact.String(who),
			Source: consent.Public, Act: consent.WebForm, Claimed: at, Received: at, Shards: 4,
		}); err != nil {
			t.Fatal(err)
		}
	}
	const day = 24 * time.Hour
	put("planted-1", 1200*day)
	put("active", 1200*day)
	put("active", 10*day)
	if _, err := project.Rebuild(t.Context(), env, nil); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-site", "s"}, "s: 1 people with 1 events would be erased"},
		{nil, "s: 1 people with 1 events would be erased"},
		{[]string{"-days", "1300"}, "s: 0 people with 0 events would be erased"},
		{[]string{"-apply", "-by", "Ada Admin"}, "s: 1 people with 1 events erased"},
		{[]string{"-apply", "-by", "Ada Admin"}, "s: 0 people with 0 events erased"},
	} {
		var out bytes.Buffer
		if err := run(t.Context(), tt.args, &out, func() time.Time { return now }); err != nil || !strings.Contains(out.String(), tt.want) {
			t.Errorf("%v: %v, printed:\n%s", tt.args, err, out.String())
		}
		if strings.Contains(out.String(), "planted") {
			t.Errorf("%v prints who: %s", tt.args, out.String())
		}
	}
	if err := run(t.Context(), []string{"-days", "364"}, &bytes.Buffer{}, func() time.Time { return now }); err == nil || !strings.Contains(err.Error(), "floor") {
		t.Errorf("below the floor: %v", err)
	}
	for who, age := range map[string]time.Duration{"planted-1": 1200 * day, "active": 1200 * day} {
		got, err := events.Get(t.Context(), hasher.Subject("s", who), hasher.ID(now.Add(-age), who))
		if err != nil || got == nil || (got.ErasedAt != nil) != (who == "planted-1") {
			t.Errorf("%s: %+v, %v", who, got, err)
		}
	}
	wantRecord(t, dynamo.NewRequests(e.Config, e.Getenv("REQUESTS_TABLE"), hasher, time.Now, nil), hasher.Subject("s", "planted-1"))
}

// wantRecord: one run has left a closed request whose log says what was done.
func wantRecord(t *testing.T, store request.Store, subject string) {
	t.Helper()
	list, _, err := store.List(t.Context(), request.Query{Site: "s"})
	if err != nil || len(list) != 1 || list[0].State != request.Closed || list[0].Type != request.Erasure {
		t.Fatalf("%+v, %v", list, err)
	}
	log, err := store.Log(t.Context(), list[0].ID, "", 10)
	if err != nil {
		t.Fatal(err)
	}
	acts := map[request.Act]request.Entry{}
	for _, e := range log {
		acts[e.Act] = e
	}
	if len(log) != 4 || acts[request.Open].By.Who != "Ada Admin" || acts[request.Start].Detail["subject"] != subject ||
		acts[request.Finish].Detail["consents"] != "1" || acts[request.Close].Detail["people"] != "1" {
		t.Errorf("%+v", log)
	}
}

func TestRequested(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	base, err := setup.NewBase(context.Background(), e.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	base.Config = e.Config
	hasher, err := base.Hasher(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	store := dynamo.NewRequests(e.Config, e.Getenv("REQUESTS_TABLE"), hasher, base.Now, base.NewID)
	now := time.Now().UTC()
	who := identity.Identifier{Kind: identity.SubjectID, Value: "1", Trust: identity.Company}
	normal, _ := who.Normal()
	r := &request.Request{ID: base.NewID(now), Site: "s", Type: request.Erasure, State: request.OnHold, Received: now, Since: now, Clock: request.Clock{Due: now}}
	if err := store.Create(t.Context(), r, request.Entry{At: now, Act: request.Open}, request.Personal{}, []request.Known{
		{Identifier: who, Key: hasher.Identifier("s", string(who.Kind), normal)},
	}); err != nil {
		t.Fatal(err)
	}
	tool := &tool{store: store}
	for _, state := range []request.State{request.OnHold, request.Closed} {
		r.State = state
		if err := store.Write(t.Context(), request.Change{Request: r}); err != nil {
			t.Fatal(err)
		}
		if open, err := tool.requested("s")(t.Context(), who); err != nil || open != (state == request.OnHold) {
			t.Errorf("%s: %v, %v", state, open, err)
		}
	}
}

func TestRun_refuses(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"no stack":        {nil, "make run"},
		"unknown flag":    {[]string{"-x"}, "-x"},
		"unknown command": {[]string{"all"}, `"all"`},
		"nobody":          {[]string{"-apply"}, "-by"},
	} {
		var out bytes.Buffer
		if err := run(t.Context(), tt.args, &out, time.Now); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q in it", name, err, tt.want)
		}
	}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"--help"}, &out, time.Now); err != nil || !strings.Contains(out.String(), "usage:") {
		t.Errorf("--help: %v", err)
	}
}
