package erase_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/blob"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/erase"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/setup"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestTidy: what is back of an erased person goes without any request; a request
// goes with its log and certificates once it was kept long enough, and not
// before.
func TestTidy(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	base, err := setup.NewBase(t.Context(), e.Function("erase"))
	must(t, err)
	start := time.Now().UTC().Truncate(time.Millisecond)
	now := start
	base.Config, base.Now = e.Config, func() time.Time { return now }
	function, err := erase.New(t.Context(), base)
	must(t, err)
	tidy := func() {
		t.Helper()
		out, err := function.Invoke(t.Context(), []byte(`{"do":"tidy"}`))
		var r request.Result
		if err != nil || json.Unmarshal(out, &r) != nil || r.State != "done" {
			t.Fatalf("%s, %v", out, err)
		}
	}
	tidy() // nothing to do

	hasher, err := base.Hasher(t.Context())
	must(t, err)
	events, erasures := dynamo.NewEvents(e.Config, e.Getenv("EVENTS_TABLE")), dynamo.NewErasures(e.Config, e.Getenv("ERASURES_TABLE"))
	partition, id := hasher.Subject("s", "back"), hasher.ID(start, "back")
	_, err = events.Append(t.Context(), &consent.Event{
		ID: id, Kind: consent.KindConsent, Site: "s", Subject: partition, SubjectID: "back",
		Source: consent.Public, Act: consent.WebForm, Claimed: start, Received: start, Shards: 4,
	})
	must(t, err)
	must(t, erasures.Put(t.Context(), []string{partition}, start.Add(time.Hour), "r", "s"))
	must(t, erasures.Revive(t.Context(), "s", partition))

	store := dynamo.NewRequests(e.Config, e.Getenv("REQUESTS_TABLE"), hasher, base.Now, base.NewID)
	bucket := blob.NewPackages(e.Config, e.Getenv("PACKAGES_BUCKET"))
	ended := &request.Request{
		ID: base.NewID(start), Site: "s", Type: request.Erasure, Regime: request.GDPR, State: request.Locating,
		Received: start, Since: start, Clock: request.Clock{Due: start},
	}
	must(t, store.Create(t.Context(), ended, request.Entry{At: start, Act: request.Open}, request.Personal{}, nil))
	ended.State = request.Closed // as sweep leaves it: there is no next visit
	must(t, store.Write(t.Context(), request.Change{Request: ended}))
	_, err = bucket.PutCertificate(t.Context(), ended.ID, 1, []byte("{}"))
	must(t, err)

	tidy()
	got, err := events.Get(t.Context(), partition, id)
	if must(t, err); got == nil || got.ErasedAt == nil {
		t.Errorf("what was back is still there: %+v", got)
	}
	if left, err := erasures.Revivals(t.Context()); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
	keep := request.Defaults().Keep
	for _, tt := range []struct {
		after time.Duration
		there bool
	}{{keep - time.Minute, true}, {keep, false}, {keep, false}} {
		now = start.Add(tt.after)
		tidy()
		if _, err := store.Get(t.Context(), ended.ID); errs.Is(err, errs.NotFound) == tt.there {
			t.Errorf("after %s: %v", tt.after, err)
		}
		log, err := store.Log(t.Context(), ended.ID, "", 10)
		if must(t, err); slices.ContainsFunc(log, func(e request.Entry) bool { return e.Act == request.Open }) != tt.there {
			t.Errorf("after %s the log is %v", tt.after, log)
		}
		if _, err := bucket.Certificate(t.Context(), ended.ID, 1); errs.Is(err, errs.NotFound) == tt.there {
			t.Errorf("after %s the certificate: %v", tt.after, err)
		}
	}
}
