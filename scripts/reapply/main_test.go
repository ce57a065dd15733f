package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/setup"
)

// TestRun: a restored row of an erased person goes, once, and its view with it;
// others stay.
func TestRun(t *testing.T) {
	e := awstest.New(t)
	for _, n := range []string{"EVENTS_TABLE", "SUBJECTS_TABLE", "FORMS_TABLE", "SITES_TABLE", "DOCUMENTS_TABLE", "NOTICES_TABLE", "ERASURES_TABLE", "PROOFS_BUCKET", "PSEUDONYM_SECRET"} {
		t.Setenv(n, e.Getenv(n))
	}
	hasher, err := (&setup.Base{Config: e.Config, Getenv: e.Getenv}).Hasher(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	events := dynamo.NewEvents(e.Config, e.Getenv("EVENTS_TABLE"))
	for _, who := range []string{"erased", "other"} {
		if _, err := events.Append(t.Context(), &consent.Event{
			ID: hasher.ID(at, who), Kind: consent.KindConsent, Site: "s", Subject: hasher.Subject("s", who), SubjectID: "1",
			Source: consent.Public, Act: consent.WebForm, Claimed: at, Received: at, Shards: 4,
		}); err != nil {
			t.Fatal(err)
		}
	}
	erasures := dynamo.NewErasures(e.Config, e.Getenv("ERASURES_TABLE"))
	if err := erasures.Put(t.Context(), []string{hasher.Subject("s", "erased")}, at.Add(time.Hour), "r", "s"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-dry"}, "1 rows of 1 subjects would be erased again; 2 subjects looked at."},
		{nil, "1 rows of 1 subjects erased again; 2 subjects looked at.\n1 views made"},
		{nil, "0 rows of 0 subjects erased again; 2 subjects looked at.\n0 views made"},
	} {
		var out bytes.Buffer
		if err := run(t.Context(), tt.args, &out); err != nil || !strings.Contains(out.String(), tt.want) {
			t.Errorf("%v: %v, printed:\n%s", tt.args, err, out.String())
		}
	}
	if _, err := events.Get(t.Context(), hasher.Subject("s", "other"), hasher.ID(at, "other")); err != nil {
		t.Error(err)
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
	} {
		var out bytes.Buffer
		if err := run(t.Context(), tt.args, &out); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q in it", name, err, tt.want)
		}
	}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"--help"}, &out); err != nil || !strings.Contains(out.String(), "usage:") {
		t.Errorf("--help: %v", err)
	}
}
