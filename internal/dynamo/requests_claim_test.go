package dynamo_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/faulty"
)

// Whoever comes first is told to everybody, to itself again after a lost reply,
// and to all who come at once.
func TestClaim(t *testing.T) {
	t.Parallel()
	env := awstest.New(t)
	s := requests(t, env)
	ctx := t.Context()
	for _, value := range []string{"one", "two", "one"} {
		if first, err := s.Claim(ctx, "a", value, epoch.Add(time.Hour)); err != nil || first != "one" {
			t.Errorf("%s: %q, %v", value, first, err)
		}
	}
	if first, err := s.Claim(ctx, "b", "two", epoch.Add(time.Hour)); err != nil || first != "two" {
		t.Errorf("of another name: %q, %v", first, err)
	}
	firsts := make([]string, 20)
	var wg sync.WaitGroup
	for i := range firsts {
		wg.Go(func() { firsts[i], _ = s.Claim(ctx, "race", fmt.Sprint(i), epoch.Add(time.Hour)) })
	}
	wg.Wait()
	for _, first := range firsts {
		if first == "" || first != firsts[0] {
			t.Errorf("first were %v", firsts)
		}
	}
	net := &faulty.Transport{}
	failing := requests(t, env.With(net.Wrap))
	for _, f := range []faulty.Fault{faulty.Lost, faulty.Cut, faulty.FailedYet} {
		net.Reset()
		net.Break(faulty.Nth("dynamodb.PutItem", 1, f))
		name := f.String()
		if first, err := failing.Claim(ctx, name, "mine", epoch.Add(time.Hour)); first != "mine" && !errs.Is(err, errs.Unavailable) {
			t.Errorf("%s: %q, %v", name, first, err)
		}
		if first, err := s.Claim(ctx, name, "late", epoch.Add(time.Hour)); err != nil || first != "mine" {
			t.Errorf("%s, and then: %q, %v", name, first, err)
		}
	}
}
