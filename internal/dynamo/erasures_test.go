package dynamo_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/faulty"
)

func erasures(t testing.TB, e *awstest.Env) *dynamo.Erasures {
	t.Helper()
	return dynamo.NewErasures(e.Config, e.Getenv("ERASURES_TABLE"))
}

func TestErasures(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	s := erasures(t, e)
	later := epoch.Add(time.Hour)
	for range 2 {
		must(t, s.Put(t.Context(), []string{"a", "b", "a", ""}, epoch, "first", "s"))
	}
	must(t, s.Put(t.Context(), []string{"b"}, later, "second", "s"))
	must(t, s.Put(t.Context(), []string{"b", "c"}, epoch.Add(time.Minute), "between", "s")) // comes late
	must(t, s.Put(t.Context(), nil, later, "third", "s"))

	got, err := s.Erased(t.Context(), []string{"c", "b", "a", "b", "none", ""})
	want := map[string]time.Time{"a": epoch, "b": later, "c": epoch.Add(time.Minute)}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if got, err := s.Erased(t.Context(), nil); len(got) != 0 || err != nil {
		t.Errorf("of no key: %v, %v", got, err)
	}
	out, err := dynamodb.NewFromConfig(e.Config).Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String(e.Getenv("ERASURES_TABLE"))})
	must(t, err)
	for _, row := range out.Items {
		if len(row) != 4 {
			t.Errorf("a tombstone holds %s", textOf(row))
		}
	}
}

// TestErasures_racing: in whatever order they arrive, the latest one stays.
func TestErasures_racing(t *testing.T) {
	t.Parallel()
	s := erasures(t, awstest.New(t))
	var wait sync.WaitGroup
	for i := range 30 {
		wait.Go(func() {
			if err := s.Put(context.Background(), []string{"a"}, epoch.Add(time.Duration(i*7%30)*time.Second), fmt.Sprint(i), "s"); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if got, err := s.Erased(t.Context(), []string{"a"}); err != nil || !got["a"].Equal(epoch.Add(29*time.Second)) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestErasures_many(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	net := &faulty.Transport{Capacity: true}
	s := erasures(t, e.With(net.Wrap))
	var keys []string
	for i := range 250 {
		keys = append(keys, fmt.Sprint("key", i))
	}
	must(t, s.Put(t.Context(), keys[:3], epoch, "r", "s"))
	units := 0.0
	for _, c := range net.Calls() {
		units += c.Consumed.Total()
	}
	if len(net.Calls()) != 3 || units != 3 {
		t.Errorf("%d calls, %v units to put 3", len(net.Calls()), units)
	}
	net.Reset()
	got, err := s.Erased(t.Context(), keys)
	if err != nil || len(got) != 3 || len(net.Calls()) != 3 {
		t.Errorf("%d of 250, %v, %d calls", len(got), err, len(net.Calls()))
	}
	none := erasures(t, e.With(func(next http.RoundTripper) http.RoundTripper { return leaveOut{next, 0} }))
	if _, err := none.Erased(t.Context(), keys[:2]); !errs.Is(err, errs.Unavailable) {
		t.Errorf("throttled for good: %v", err)
	}
}

// TestErasures_faults: a broken call is made good, and an error names no key.
func TestErasures_faults(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	for _, fault := range slices.Concat(faulty.Before, faulty.After) {
		t.Run(fault.String(), func(t *testing.T) {
			t.Parallel()
			net := &faulty.Transport{}
			with := e.With(net.Wrap)
			with.Config.Retryer = faulty.Impatient
			s := erasures(t, with)
			net.Break(faulty.Nth("dynamodb.UpdateItem", 1, fault))
			must(t, s.Put(t.Context(), []string{fault.String()}, epoch, "r", "s"))
			net.Break(faulty.Every("dynamodb.UpdateItem", fault))
			if err := s.Put(t.Context(), []string{fault.String(), "x"}, epoch.Add(time.Hour), "r", "s"); !errs.Is(err, errs.Unavailable) {
				t.Errorf("nothing heard: %v", err)
			}
			net.Reset()
			got, err := s.Erased(t.Context(), []string{fault.String()})
			if err != nil || got[fault.String()].IsZero() {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

func TestErasures_revived(t *testing.T) {
	t.Parallel()
	s := erasures(t, awstest.New(t))
	if list, err := s.Revivals(t.Context()); len(list) != 0 || err != nil {
		t.Errorf("%v, %v", list, err)
	}
	for _, subject := range []string{"b", "a", "b"} {
		must(t, s.Revive(t.Context(), "s", subject))
	}
	list, err := s.Revivals(t.Context())
	if diff := cmp.Diff([]consent.Revived{{Site: "s", Subject: "a"}, {Site: "s", Subject: "b"}}, list); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	for range 2 {
		must(t, s.Settled(t.Context(), consent.Revived{Site: "s", Subject: "a"}))
	}
	if list, err := s.Revivals(t.Context()); err != nil || len(list) != 1 || list[0].Subject != "b" {
		t.Errorf("%v, %v", list, err)
	}
}
