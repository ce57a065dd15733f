package dynamo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
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
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func hasher(t testing.TB) *pseudonym.Hasher {
	t.Helper()
	h, err := pseudonym.New([]byte(strings.Repeat("k", pseudonym.MinSecret)))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// viewOf projects a subject of one event.
func viewOf(t testing.TB, id string, minute int, profile consent.Profile) *consent.SubjectView {
	t.Helper()
	h := hasher(t)
	at := epoch.Add(time.Duration(minute) * time.Minute)
	partition := h.Subject("s", id)
	v := consent.Project(h, partition, &consent.Union{Partitions: []string{partition, "other"}, Events: []consent.Event{{
		ID: id, Kind: consent.KindConsent, Site: "s", Subject: partition, SubjectID: redact.String(id), Source: consent.Private,
		Claimed: at, Received: at, ExpiresAt: new(at.Add(time.Hour)), Profile: profile,
		Preferences: []consent.Preference{{Key: "newsletter", Value: "true"}, {Key: "<x>", Value: `{"a":"é"}`}},
	}, {
		ID: id + "'", Kind: consent.KindConsent, Site: "s", Subject: partition, SubjectID: redact.String(id), Source: consent.Private,
		Claimed: at, Received: at, Preferences: []consent.Preference{{Key: "profiling", Value: "false"}},
	}, {
		ID: id + "''", Kind: consent.KindConsent, Site: "s", Subject: partition, SubjectID: redact.String(id), Source: consent.Public,
		Claimed: at.Add(time.Minute), Received: at.Add(time.Minute), Preferences: []consent.Preference{{Key: "profiling", Value: "true"}},
	}}})
	if v == nil {
		t.Fatal("no view")
	}
	return v
}

func profile(email, name string, phones ...string) consent.Profile {
	p := consent.Profile{Email: &consent.Text{Value: redact.String(email)}, FullName: &consent.Text{Value: redact.String(name)}, Verified: &consent.Flag{Value: true}}
	if phones != nil {
		p.Phones = &consent.Phones{}
		for _, n := range phones {
			p.Phones.List = append(p.Phones.List, consent.Phone{Number: redact.String(n), Label: "home"})
		}
	}
	return p
}

func subjects(t testing.TB, e *awstest.Env) *dynamo.Subjects {
	t.Helper()
	return dynamo.NewSubjects(e.Config, e.Getenv("SUBJECTS_TABLE"))
}

// rows counts what the table of views holds.
func rows(t testing.TB, e *awstest.Env) int {
	t.Helper()
	out, err := dynamodb.NewFromConfig(e.Config).Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String(e.Getenv("SUBJECTS_TABLE"))})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.Items)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func current(t testing.TB, s *dynamo.Subjects, subject string) *consent.SubjectView {
	t.Helper()
	found, err := s.Stored(t.Context(), []string{subject})
	must(t, err)
	return found[subject]
}

func TestSubjects_life(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	s := subjects(t, e)
	v := viewOf(t, "1", 1, profile("ines@example.test", "Inés Roca", "+39 333"))
	must(t, s.Save(t.Context(), nil, v))
	one, err := s.View(t.Context(), v.Subject)
	must(t, err)
	if diff := cmp.Diff(v, one, cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "Version" }, cmp.Ignore())); diff != "" || !one.Same(v) {
		t.Errorf("read back: %s", diff)
	}
	if got, want := rows(t, e), 1+len(v.Tokens); got != want {
		t.Errorf("%d rows, want %d", got, want)
	}

	// Another e-mail: entries come and go with the view.
	moved := viewOf(t, "1", 1, profile("ines@other.test", "Inés Roca", "+39 333"))
	must(t, s.Save(t.Context(), one, moved))
	for term, want := range map[string]int{"example": 0, "other": 1, "ines@other": 1, "ines@example": 0} {
		token, _ := consent.SearchToken(consent.FieldEmail, term)
		entries, err := s.Search(t.Context(), "s", token, 10)
		if err != nil || len(entries) != want {
			t.Errorf("%q finds %d, %v; want %d", term, len(entries), err, want)
		}
	}

	must(t, s.Save(t.Context(), current(t, s, v.Subject), nil))
	if n := rows(t, e); n != 0 {
		t.Errorf("%d rows after the view was removed", n)
	}
	if v, err := s.View(t.Context(), v.Subject); v != nil || err != nil {
		t.Errorf("%v, %v", v, err)
	}
}

// TestSubjects_versions: whoever has not seen the latest view changes nothing.
func TestSubjects_versions(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	s := subjects(t, e)
	first := viewOf(t, "1", 1, profile("a@x.test", "A"))
	must(t, s.Save(t.Context(), nil, first))
	old := current(t, s, first.Subject)
	second := viewOf(t, "1", 1, profile("b@x.test", "B"))
	must(t, s.Save(t.Context(), old, second))

	same := *second
	same.Updated = same.Updated.Add(time.Hour) // no entry changes: a plain write
	for name, change := range map[string]func() error{
		"new":               func() error { return s.Save(t.Context(), nil, first) },
		"stale":             func() error { return s.Save(t.Context(), old, first) },
		"stale, plain":      func() error { p := *second; p.Version = old.Version; return s.Save(t.Context(), &p, &same) },
		"removing":          func() error { return s.Save(t.Context(), old, nil) },
		"repairing":         func() error { return s.Repair(t.Context(), old, nil) },
		"removing, no rows": func() error { return s.Save(t.Context(), &consent.SubjectView{Subject: "none", Version: 1}, nil) },
	} {
		if err := change(); !errors.Is(err, consent.ErrViewChanged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := current(t, s, first.Subject); !got.Same(second) || rows(t, e) != 1+len(second.Tokens) {
		t.Errorf("something has changed: %+v, %d rows", got, rows(t, e))
	}

	// A view that is removed and made again never has a version of before.
	latest := current(t, s, first.Subject)
	must(t, s.Save(t.Context(), latest, nil))
	must(t, s.Save(t.Context(), nil, first))
	for _, prior := range []*consent.SubjectView{old, latest} {
		if err := s.Save(t.Context(), prior, second); !errors.Is(err, consent.ErrViewChanged) {
			t.Errorf("a view of before the removal: %v", err)
		}
	}
}

func TestSubjects_racing(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	s := subjects(t, e)
	for round := range 3 {
		var prior *consent.SubjectView
		subject := hasher(t).Subject("s", "1")
		if round > 0 {
			prior = current(t, s, subject)
		}
		var mu sync.Mutex
		var won []*consent.SubjectView
		var wait sync.WaitGroup
		for i := range 8 {
			wait.Go(func() {
				v := viewOf(t, "1", 1, profile(fmt.Sprintf("r%d-%d@x.test", round, i), "A"))
				err := s.Save(context.Background(), prior, v)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					won = append(won, v)
				case !errors.Is(err, consent.ErrViewChanged):
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if len(won) != 1 || !current(t, s, subject).Same(won[0]) {
			t.Fatalf("round %d: %d winners", round, len(won))
		}
		if got, want := rows(t, e), 1+len(won[0].Tokens); got != want {
			t.Errorf("round %d: %d rows, want %d: a loser left something", round, got, want)
		}
	}
}

// TestSubjects_find: filters on the real indexes mean what Match says.
func TestSubjects_find(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	s := subjects(t, e)
	people := []struct{ email, name, phone string }{
		{"i.Roca@Example.test", "Inés Roca", "+39 333 1"}, {"roca@x.test", "Jean-Pierre O’Neil", "0033 6"}, {"a#b@x.test", "Ines", "333 1"},
		{"ROCA.b@x.test", "", ""}, {"", "Rocard Inès", ""}, {"x+roca@y.test", "R", "+39 333"}, {"i.Roca@Example.test", "Zoé", ""},
	}
	var all []*consent.SubjectView
	for i, p := range people {
		v := viewOf(t, fmt.Sprint("id/", i), i/2, profile(p.email, p.name, p.phone)) // two a minute: the subject orders them
		all = append(all, v)
		must(t, s.Save(t.Context(), nil, v))
	}
	slices.SortFunc(all, func(a, b *consent.SubjectView) int { return a.Position().Compare(b.Position()) })
	finder := consent.NewFinder(s, hasher(t))
	yes, no := true, false
	for name, filter := range map[string]consent.SubjectFilter{
		"all": {}, "email": {Email: "roca"}, "email, case and domain": {Email: "I.ROCA@example"}, "email with #": {Email: "a#b"},
		"email of one character": {Email: "r"}, "email, two": {Email: "x y"}, "exact": {EmailExact: "i.Roca@Example.test"}, "exact, other case": {EmailExact: "i.roca@example.test"},
		"name": {FullName: "inés"}, "name, other accent": {FullName: "inès"}, "name, composed": {FullName: "INE\u0301S"}, "apostrophe": {FullName: "o'ne"},
		"phone": {Phone: "3331"}, "phone, country": {Phone: "+393331"}, "verified": {Verified: &yes}, "not verified": {Verified: &no},
		"id": {ID: "id/3"}, "from": {From: epoch.Add(2 * time.Minute)}, "to": {To: epoch.Add(time.Minute)}, "email, from": {Email: "roca", From: epoch.Add(2 * time.Minute)},
		"name and phone": {FullName: "ines", Phone: "3331"}, "exact and to": {EmailExact: "i.Roca@Example.test", To: epoch},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want, got []string
			for _, v := range all {
				if filter.Match(v) {
					want = append(want, v.SubjectID.Reveal())
				}
			}
			var after redact.String
			for more := true; more; {
				page, err := finder.FindSubjects(t.Context(), "s", filter, after, 2)
				must(t, err)
				for _, v := range page.Views {
					after = v.SubjectID
					got = append(got, v.SubjectID.Reveal())
				}
				more = page.More
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestViews_unprocessed: what DynamoDB leaves out of a batch is asked for again,
// but not for ever.
func TestViews_unprocessed(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	s := subjects(t, e)
	var partitions []string
	for i := range 5 {
		v := viewOf(t, fmt.Sprint(i), i, profile("a@x.test", "A"))
		must(t, s.Save(t.Context(), nil, v))
		partitions = append(partitions, v.Subject)
	}
	for name, tt := range map[string]struct {
		each int // keys that are answered at once
		want error
	}{"two at once": {2, nil}, "none": {0, errs.New(errs.Unavailable, "")}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			slow := subjects(t, e.With(func(next http.RoundTripper) http.RoundTripper { return leaveOut{next, tt.each} }))
			found, err := slow.Views(t.Context(), slices.Concat(partitions, []string{"none", partitions[0]}))
			if (err == nil) != (tt.want == nil) || err != nil && !errs.Is(err, errs.Unavailable) {
				t.Fatalf("got %v", err)
			}
			if err == nil && len(found) != len(partitions) {
				t.Errorf("%d of %d found", len(found), len(partitions))
			}
		})
	}
}

// leaveOut answers only some keys of a BatchGetItem.
type leaveOut struct {
	next http.RoundTripper
	each int
}

func (l leaveOut) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".BatchGetItem") {
		return l.next.RoundTrip(r)
	}
	var ask struct{ RequestItems map[string]map[string]any }
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
		return nil, err
	}
	left := map[string]map[string]any{}
	answer := map[string]any{"Responses": map[string]any{}}
	for table, keys := range ask.RequestItems {
		list := keys["Keys"].([]any)
		if n := min(l.each, len(list)); n < len(list) {
			left[table] = map[string]any{"Keys": list[n:]}
			keys["Keys"] = list[:n]
		}
	}
	if l.each > 0 {
		body, err := json.Marshal(ask)
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		out, err := l.next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		if err := json.NewDecoder(out.Body).Decode(&answer); err != nil {
			return nil, err
		}
	}
	answer["UnprocessedKeys"] = left
	body, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: r}, nil
}

// TestSubjects_canceled: why a transaction was canceled is told apart.
func TestSubjects_canceled(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	for code, want := range map[string]func(error) bool{
		"ConditionalCheckFailed":        func(err error) bool { return errors.Is(err, consent.ErrViewChanged) },
		"TransactionConflict":           func(err error) bool { return errors.Is(err, consent.ErrViewChanged) },
		"ThrottlingError":               func(err error) bool { return errs.Is(err, errs.Unavailable) },
		"ProvisionedThroughputExceeded": func(err error) bool { return errs.Is(err, errs.Unavailable) },
		"ValidationError":               func(err error) bool { return errs.Is(err, errs.Internal) },
	} {
		s := subjects(t, e.With(func(http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				body := `{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","Message":"ada@example.test","CancellationReasons":[{"Code":"None"},{"Code":"` + code + `","Message":"ada@example.test"}]}`
				return &http.Response{StatusCode: http.StatusBadRequest, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r}, nil
			})
		}))
		err := s.Save(t.Context(), nil, viewOf(t, "1", 1, profile("ada@example.test", "Ada")))
		if !want(err) || strings.Contains(err.Error(), "ada@") {
			t.Errorf("%s: %v", code, err)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
