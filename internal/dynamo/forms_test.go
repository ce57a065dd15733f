package dynamo_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/faulty"
)

func formTable(t testing.TB) (*awstest.Env, *dynamo.Forms) {
	t.Helper()
	env := awstest.New(t)
	return env, dynamo.NewForms(env.Config, env.Getenv("FORMS_TABLE"))
}

// The life of a form: one subject, a second one, and shared for good.
func TestForms_life(t *testing.T) {
	t.Parallel()
	env, s := formTable(t)
	show := func(step, subject, nonce string, want consent.FormState) {
		t.Helper()
		got, err := s.Show(t.Context(), "shop", "digest", subject, nonce)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step, diff)
		}
	}
	mark := func(nonce string) {
		t.Helper()
		if err := s.MarkStored(t.Context(), "shop", "digest", nonce); err != nil {
			t.Fatal(err)
		}
	}
	mark("n1") // of a form that is gone: nothing is made
	if n := count(t, env, "FORMS_TABLE"); n != 0 {
		t.Errorf("%d rows after marking a form that was never shown", n)
	}
	show("first", "p1", "n1", consent.FormState{Nonce: "n1"})
	show("again to the first", "p1", "n2", consent.FormState{Nonce: "n1"})
	mark("n2")
	show("marked under another nonce", "p1", "n3", consent.FormState{Nonce: "n1"})
	mark("n1")
	mark("n1")
	show("marked", "p1", "n4", consent.FormState{Nonce: "n1", Stored: true})
	show("to a second", "p2", "n5", consent.FormState{Nonce: "n1", Stored: true, Shared: true})
	show("to a third", "p3", "n6", consent.FormState{Nonce: "n1", Stored: true, Shared: true})
	show("to the first, once shared", "p1", "n7", consent.FormState{Nonce: "n1", Stored: true, Shared: true})
	if n := count(t, env, "FORMS_TABLE"); n != 1 {
		t.Errorf("%d rows", n)
	}
	if other, err := s.Show(t.Context(), "other", "digest", "p9", "n8"); err != nil || other.Nonce != "n8" || other.Shared {
		t.Errorf("the same form on another site: %+v, %v", other, err)
	}
}

func TestForms_race(t *testing.T) {
	t.Parallel()
	_, s := formTable(t)
	states := make([]consent.FormState, 40)
	var wg sync.WaitGroup
	for i := range states {
		wg.Go(func() {
			var err error
			if states[i], err = s.Show(t.Context(), "shop", "digest", fmt.Sprint("p", i), fmt.Sprint("n", i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	alone := 0
	for _, state := range states {
		if state.Nonce != states[0].Nonce {
			t.Fatalf("two nonces: %v", states)
		}
		if !state.Shared {
			alone++
		}
	}
	if alone != 1 {
		t.Errorf("%d of 40 subjects were told that nobody else was shown the form, want 1", alone)
	}
}

// A lost reply changes neither the nonce nor who was shown the form.
func TestForms_lostReply(t *testing.T) {
	t.Parallel()
	for _, fault := range faulty.After {
		env, _ := formTable(t)
		net := &faulty.Transport{}
		cfg := env.With(net.Wrap).Config
		cfg.Retryer = faulty.Impatient
		s := dynamo.NewForms(cfg, env.Getenv("FORMS_TABLE"))
		net.Break(faulty.Nth("dynamodb.UpdateItem", 1, fault))
		state, err := s.Show(t.Context(), "shop", "digest", "p1", "n1")
		if err != nil || state != (consent.FormState{Nonce: "n1"}) {
			t.Errorf("%v: %+v, %v", fault, state, err)
		}
		net.Break(faulty.Every("dynamodb.UpdateItem", fault))
		if state, err = s.Show(t.Context(), "shop", "digest", "p1", "n1"); !errs.Is(err, errs.Unavailable) || state != (consent.FormState{}) {
			t.Errorf("%v, for good: %+v, %v", fault, state, err)
		}
		if err := s.MarkStored(t.Context(), "shop", "digest", "n1"); !errs.Is(err, errs.Unavailable) {
			t.Errorf("%v, marking: %v", fault, err)
		}
	}
}
