package dynamo_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/keys"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	env := awstest.New(t)
	s := dynamo.NewKeys(env.Config, env.Getenv("KEYS_TABLE"))
	public := keys.Key{Hash: keys.Hash("one"), Site: "shop", Class: keys.Public, Label: "page", Origins: []string{"https://shop.example", "null"}, Created: epoch}
	private := keys.Key{Hash: keys.Hash("two"), Site: "shop", Class: keys.Private, Created: epoch}
	foreign := keys.Key{Hash: keys.Hash("three"), Site: "other", Class: keys.Private, Created: epoch}
	role := keys.Key{Hash: keys.Hash("role"), Site: "other", Class: keys.Role, Person: "Ada", Rank: keys.Officer, Created: epoch}
	for _, k := range []keys.Key{public, private, foreign, role} {
		for range 2 { // the same once more: a retry
			if err := s.Create(t.Context(), k); err != nil {
				t.Fatal(err)
			}
		}
		got, exists, err := s.Key(t.Context(), k.Hash)
		if err != nil || !exists {
			t.Fatalf("%v, %v", exists, err)
		}
		if diff := cmp.Diff(k, got); diff != "" {
			t.Errorf("(-put +got):\n%s", diff)
		}
	}
	if err := s.Create(t.Context(), keys.Key{Hash: public.Hash, Site: "other"}); !errs.Is(err, errs.Conflict) {
		t.Errorf("a key that exists: %v", err)
	}
	if got, exists, err := s.Key(t.Context(), keys.Hash("four")); exists || err != nil || !cmp.Equal(got, keys.Key{}) {
		t.Errorf("an unknown key: %+v, %v, %v", got, exists, err)
	}

	list, err := s.List(t.Context(), "shop")
	slices.SortFunc(list, func(a, b keys.Key) int { return strings.Compare(string(b.Class), string(a.Class)) })
	if diff := cmp.Diff([]keys.Key{public, private}, list); diff != "" || err != nil {
		t.Errorf("%v, (-want +got):\n%s", err, diff)
	}
}

// A key that cannot be looked up is not an unknown key.
func TestKeys_unavailable(t *testing.T) {
	t.Parallel()
	env := awstest.New(t)
	net := &faulty.Transport{}
	cfg := env.With(net.Wrap).Config
	cfg.RetryMaxAttempts = 1
	s := dynamo.NewKeys(cfg, env.Getenv("KEYS_TABLE"))
	net.Break(func(faulty.Call) faulty.Fault { return faulty.Refused })
	_, exists, err1 := s.Key(t.Context(), keys.Hash("one"))
	_, err2 := s.List(t.Context(), "shop")
	for i, err := range []error{err1, err2, s.Create(t.Context(), keys.Key{Hash: "h", Site: "s"})} {
		if !errs.Is(err, errs.Unavailable) || exists {
			t.Errorf("call %d: %v", i+1, err)
		}
	}
}
