package dynamo_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/errs"
)

var noticeDay = time.Date(2026, 2, 4, 0, 0, 0, 0, time.UTC)

func notice(identifier string, version int, effective time.Duration) consent.Notice {
	return consent.Notice{
		Site: "shop", Identifier: identifier, Version: version, Texts: map[string]string{"en": "digest"}, Bytes: 7,
		Published: noticeDay, Effective: noticeDay.Add(effective), DocumentIDs: []string{"d2", "d1"},
	}
}

func notices(t *testing.T) (*awstest.Env, *dynamo.Notices) {
	t.Helper()
	e := awstest.New(t)
	return e, dynamo.NewNotices(e.Config, e.Getenv("NOTICES_TABLE"))
}

func TestNotices_publish(t *testing.T) {
	t.Parallel()
	e, s := notices(t)
	first := consent.Publication{Request: [32]byte{1}, Published: noticeDay, Versions: []int{1, 1}}
	a, b := notice("a", 1, 0), notice("b#1", 1, time.Millisecond)
	if prior, err := s.Publish(t.Context(), "k1", first, []consent.Notice{a, b}); prior != nil || err != nil {
		t.Fatalf("%v, %v", prior, err)
	}
	for _, want := range []consent.Notice{a, b} {
		got, err := s.Version(t.Context(), "shop", want.Identifier, 1)
		if diff := cmp.Diff(&want, got); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
	}
	// The memory of a call comes back before anything else is looked at.
	prior, err := s.Publish(t.Context(), "k1", consent.Publication{Request: [32]byte{2}}, []consent.Notice{a, notice("c", 1, 0)})
	if diff := cmp.Diff(&first, prior); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	// A version that exists beats the whole call.
	if _, err := s.Publish(t.Context(), "k2", consent.Publication{}, []consent.Notice{notice("c", 1, 0), a}); !errors.Is(err, consent.ErrNoticeRace) {
		t.Errorf("a version that exists: %v", err)
	}
	for _, missing := range []struct {
		site, identifier string
		version          int
	}{{"shop", "c", 1}, {"shop", "a", 2}, {"other", "a", 1}, {"shop", "b", 1}} {
		if got, err := s.Version(t.Context(), missing.site, missing.identifier, missing.version); got != nil || err != nil {
			t.Errorf("%v: %v, %v", missing, got, err)
		}
	}
	if prior, err := s.Publish(t.Context(), "k2", consent.Publication{}, []consent.Notice{notice("c", 1, 0)}); prior != nil || err != nil {
		t.Errorf("a call that was beaten left something behind: %v, %v", prior, err)
	}
	// The memory of calls is no notice: it stands in no list.
	out, err := dynamodb.NewFromConfig(e.Config).Scan(t.Context(), &dynamodb.ScanInput{
		TableName: aws.String(e.Getenv("NOTICES_TABLE")), IndexName: aws.String("BySite"),
	})
	if err != nil || out.Count != 3 {
		t.Errorf("%d rows in the index, want 3: %v", out.Count, err)
	}
}

func TestNotices_versions(t *testing.T) {
	t.Parallel()
	_, s := notices(t)
	for i := 1; i <= 12; i++ {
		if _, err := s.Publish(t.Context(), fmt.Sprint("k", i), consent.Publication{}, []consent.Notice{notice("a", i, 0), notice("a#", i, 0)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		before, limit int
		want          []int
	}{
		{0, 1, []int{12}}, {0, 3, []int{12, 11, 10}}, {3, 100, []int{2, 1}}, {1, 10, nil}, {100, 2, []int{12, 11}},
		{0, 100, []int{12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1}},
	} {
		list, err := s.Versions(t.Context(), "shop", "a", tt.before, tt.limit)
		var got []int
		for _, n := range list {
			if n.Identifier != "a" {
				t.Errorf("a version of %s", n.Identifier)
			}
			got = append(got, n.Version)
		}
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("before %d: %v %s", tt.before, err, diff)
		}
	}
	if list, err := s.Versions(t.Context(), "other", "a", 0, 10); err != nil || len(list) != 0 {
		t.Errorf("of another site: %v, %v", list, err)
	}
}

func TestNotices_list(t *testing.T) {
	t.Parallel()
	_, s := notices(t)
	long := strings.Repeat("x", 1023)
	all := []consent.Notice{ // newest first
		notice("z", 9, 250*365*24*time.Hour),
		notice("b", 1, time.Hour+time.Millisecond),
		notice("é", 1, time.Hour),
		notice("b#1", 1, time.Hour),
		notice("b", 12, time.Hour),
		notice("b", 3, time.Hour),
		notice("a", 1, time.Hour),
		notice("a", 2, 0),
		notice("old", 1, -250*365*24*time.Hour),
	}
	if _, err := s.Publish(t.Context(), "k", consent.Publication{}, all); err != nil {
		t.Fatal(err)
	}
	foreign := notice("a", 1, 0)
	foreign.Site = "other"
	if _, err := s.Publish(t.Context(), "f", consent.Publication{}, []consent.Notice{foreign}); err != nil {
		t.Fatal(err)
	}
	at := func(d time.Duration) time.Time { return noticeDay.Add(d) }
	for name, tt := range map[string]struct {
		r     consent.NoticeRange
		limit int
		want  []consent.Notice
	}{
		"all":                {consent.NoticeRange{}, 100, all},
		"limit":              {consent.NoticeRange{}, 2, all[:2]},
		"from":               {consent.NoticeRange{From: at(time.Hour)}, 100, all[:7]},
		"from, in between":   {consent.NoticeRange{From: at(time.Hour + 1)}, 100, all[:2]},
		"to":                 {consent.NoticeRange{To: at(time.Hour)}, 100, all[2:]},
		"to, in between":     {consent.NoticeRange{To: at(time.Hour - 1)}, 100, all[7:]},
		"one instant":        {consent.NoticeRange{From: at(time.Hour), To: at(time.Hour)}, 100, all[2:7]},
		"nothing":            {consent.NoticeRange{From: at(2 * time.Hour), To: at(time.Hour)}, 100, nil},
		"after":              {consent.NoticeRange{After: &all[3]}, 3, all[4:7]},
		"after, from":        {consent.NoticeRange{After: &all[3], From: at(time.Hour)}, 100, all[4:7]},
		"after, later to":    {consent.NoticeRange{After: &all[7], To: at(time.Hour)}, 100, all[8:]},
		"after, earlier to":  {consent.NoticeRange{After: &all[1], To: at(0)}, 100, all[7:]},
		"after the last":     {consent.NoticeRange{After: &all[8]}, 100, nil},
		"after, before from": {consent.NoticeRange{After: &all[8], From: at(0)}, 100, nil},
	} {
		got, err := s.List(t.Context(), "shop", tt.r, tt.limit)
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got)\n%s", name, err, diff)
		}
	}
	// Every notice can be gone on after, the longest identifiers too.
	if _, err := s.Publish(t.Context(), "l", consent.Publication{}, []consent.Notice{notice(long+"1", 1, 0), notice(long+"2", 1, 0), notice(long+"2", 2, 0)}); err != nil {
		t.Fatal(err)
	}
	var r consent.NoticeRange
	seen := 0
	for ; seen < 100; seen++ {
		list, err := s.List(t.Context(), "shop", r, 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		r.After = &list[0]
	}
	if seen != len(all)+3 {
		t.Errorf("one by one there are %d notices, want %d", seen, len(all)+3)
	}
}

// A reply that is lost after the transaction was applied is retried under the
// same token: it is not applied twice, and not taken for another's.
func TestNotices_lostReply(t *testing.T) {
	t.Parallel()
	e, _ := notices(t)
	lost := 0
	tokens := map[string]bool{}
	e = e.With(func(next http.RoundTripper) http.RoundTripper {
		return noticeWire(func(r *http.Request) (*http.Response, error) {
			if !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".TransactWriteItems") {
				return next.RoundTrip(r)
			}
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			_, after, _ := strings.Cut(string(body), `"ClientRequestToken":"`)
			token, _, _ := strings.Cut(after, `"`)
			tokens[token] = true
			response, err := next.RoundTrip(r)
			if lost++; lost <= 2 && err == nil {
				_ = response.Body.Close()
				return nil, errors.New("the reply is lost")
			}
			return response, err
		})
	})
	e.Config.Retryer = cloud.Retryer
	s := dynamo.NewNotices(e.Config, e.Getenv("NOTICES_TABLE"))
	prior, err := s.Publish(t.Context(), "k", consent.Publication{Versions: []int{1}}, []consent.Notice{notice("a", 1, 0)})
	if prior != nil || err != nil || lost != 3 || len(tokens) != 1 {
		t.Errorf("%v, %v after %d attempts with tokens %v", prior, err, lost, tokens)
	}
}

// Nobody answers: the failure is one that may pass.
func TestNotices_unavailable(t *testing.T) {
	t.Parallel()
	e := awstest.New(t).With(func(http.RoundTripper) http.RoundTripper {
		return noticeWire(func(*http.Request) (*http.Response, error) { return nil, errors.New("no route") })
	})
	e.Config.RetryMaxAttempts = 1
	n := dynamo.NewNotices(e.Config, e.Getenv("NOTICES_TABLE"))
	d := dynamo.NewDocuments(e.Config, e.Getenv("DOCUMENTS_TABLE"))
	for name, call := range map[string]func() error{
		"Publish": func() error {
			_, err := n.Publish(t.Context(), "k", consent.Publication{}, []consent.Notice{notice("a", 1, 0)})
			return err
		},
		"Version":        func() error { _, err := n.Version(t.Context(), "shop", "a", 1); return err },
		"Versions":       func() error { _, err := n.Versions(t.Context(), "shop", "a", 0, 1); return err },
		"List":           func() error { _, err := n.List(t.Context(), "shop", consent.NoticeRange{}, 1); return err },
		"Create":         func() error { _, err := d.Create(t.Context(), &consent.Document{Site: "shop", ID: "d"}); return err },
		"Get":            func() error { _, err := d.Get(t.Context(), "shop", "d"); return err },
		"BatchGet":       func() error { _, err := d.BatchGet(t.Context(), "shop", []string{"d"}); return err },
		"ListDocuments":  func() error { _, err := d.List(t.Context(), "shop", "", 1); return err },
		"MarkReferenced": func() error { return d.MarkReferenced(t.Context(), "shop", "d") },
	} {
		if err := call(); !errs.Is(err, errs.Unavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Why a transaction was refused decides whether it is tried again.
func TestNotices_canceled(t *testing.T) {
	t.Parallel()
	plain := awstest.New(t)
	const canceled = `{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","CancellationReasons":[{"Code":%q},{"Code":%q}]}`
	race := func(err error) bool { return errors.Is(err, consent.ErrNoticeRace) }
	for name, tt := range map[string]struct {
		body string
		want func(error) bool
	}{
		"the version exists":   {fmt.Sprintf(canceled, "None", "ConditionalCheckFailed"), race},
		"another at the row":   {fmt.Sprintf(canceled, "None", "TransactionConflict"), race},
		"another at the call":  {fmt.Sprintf(canceled, "TransactionConflict", "None"), race},
		"throttled":            {fmt.Sprintf(canceled, "None", "ThrottlingError"), race},
		"out of capacity":      {fmt.Sprintf(canceled, "ProvisionedThroughputExceeded", "None"), race},
		"refused":              {fmt.Sprintf(canceled, "None", "ValidationError"), func(err error) bool { return errs.Is(err, errs.Internal) }},
		"an unreadable memory": {fmt.Sprintf(canceled, "ConditionalCheckFailed", "None"), func(err error) bool { return errs.Is(err, errs.Internal) }},
		"the same is going on": {`{"__type":"com.amazonaws.dynamodb.v20120810#TransactionInProgressException"}`, race},
	} {
		e := plain.With(func(http.RoundTripper) http.RoundTripper {
			return noticeWire(func(r *http.Request) (*http.Response, error) {
				return &http.Response{
					StatusCode: http.StatusBadRequest, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
					Body: io.NopCloser(strings.NewReader(tt.body)), ContentLength: int64(len(tt.body)), Request: r,
				}, nil
			})
		})
		e.Config.RetryMaxAttempts = 1
		s := dynamo.NewNotices(e.Config, e.Getenv("NOTICES_TABLE"))
		if prior, err := s.Publish(t.Context(), "k", consent.Publication{}, []consent.Notice{notice("a", 1, 0)}); prior != nil || !tt.want(err) {
			t.Errorf("%s: %v, %v", name, prior, err)
		}
	}
}

type noticeWire func(*http.Request) (*http.Response, error)

func (f noticeWire) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
