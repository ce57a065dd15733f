package consent_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/site"
)

const day = 24 * time.Hour

// ago and ahead are offsets from the server's clock.
func ago(d time.Duration) *time.Duration {
	d = -d
	return &d
}

func ahead(d time.Duration) *time.Duration { return &d }

// at turns an offset into an instant.
func (b *book) at(offset *time.Duration) *time.Time {
	if offset == nil {
		return nil
	}
	t := b.clock.Now().Add(*offset)
	return &t
}

// How a post's times become the time at which it takes effect
// (docs/architecture.md §3, "When").
func TestRecord_when(t *testing.T) {
	t.Parallel()
	type times struct{ claimed, yes, no time.Duration } // from the receive time
	same := func(d time.Duration) times { return times{d, d, d} }
	b := newBook(t)
	for name, tt := range map[string]struct {
		source     consent.Source
		original   consent.Source // of an import
		key, stamp *time.Duration
		sent       *time.Duration
		want       times
		wantSource consent.Source
		wantIDTime time.Duration
	}{
		"public, no times":                                {source: public, want: same(0)},
		"public, key":                                     {source: public, key: ago(10 * time.Minute), want: times{-10 * time.Minute, -10 * time.Minute, 0}, wantIDTime: -10 * time.Minute},
		"public, key of a fast clock":                     {source: public, key: ahead(4 * time.Minute), want: same(0), wantIDTime: 4 * time.Minute},
		"public, timestamp":                               {source: public, stamp: ago(time.Hour), want: times{-time.Hour, -time.Hour, 0}, wantIDTime: -time.Hour},
		"public, timestamp and key":                       {source: public, key: ago(10 * time.Minute), stamp: ago(time.Hour), want: times{-time.Hour, -time.Hour, 0}, wantIDTime: -time.Hour},
		"public, timestamp of a fast clock":               {source: public, stamp: ahead(4 * time.Minute), want: same(0), wantIDTime: 4 * time.Minute},
		"public, sent at once by a right clock":           {source: public, stamp: ago(0), sent: ago(0), want: same(0)},
		"public, queued by a right clock":                 {source: public, stamp: ago(2 * time.Hour), sent: ago(0), want: same(-2 * time.Hour), wantIDTime: -2 * time.Hour},
		"public, sent at once by a slow clock":            {source: public, stamp: ago(time.Hour), sent: ago(time.Hour), want: times{-time.Hour, 0, 0}, wantIDTime: -time.Hour},
		"public, queued by a slow clock":                  {source: public, stamp: ago(3 * time.Hour), sent: ago(time.Hour), want: times{-3 * time.Hour, -2 * time.Hour, -2 * time.Hour}, wantIDTime: -3 * time.Hour},
		"public, queued by a clock slow by days":          {source: public, stamp: ago(20*day + time.Hour), sent: ago(20 * day), want: times{-20*day - time.Hour, -time.Hour, -time.Hour}, wantIDTime: -20*day - time.Hour},
		"public, sent at once by a fast clock":            {source: public, stamp: ahead(4 * time.Minute), sent: ahead(4 * time.Minute), want: same(0), wantIDTime: 4 * time.Minute},
		"public, queued by a fast clock":                  {source: public, stamp: ago(2*time.Hour - 4*time.Minute), sent: ahead(4 * time.Minute), want: times{-2*time.Hour + 4*time.Minute, -2 * time.Hour, -2 * time.Hour}, wantIDTime: -2*time.Hour + 4*time.Minute},
		"public, queued by a clock fast by days":          {source: public, stamp: ago(time.Hour), sent: ahead(5*day - time.Hour), want: times{-time.Hour, -5 * day, -5 * day}, wantIDTime: -time.Hour},
		"public, key stands for the timestamp":            {source: public, key: ago(3 * time.Hour), sent: ago(time.Hour), want: times{-3 * time.Hour, -2 * time.Hour, -2 * time.Hour}, wantIDTime: -3 * time.Hour},
		"public, sent before the act":                     {source: public, stamp: ago(time.Hour), sent: ago(2 * time.Hour), want: times{-time.Hour, 0, 0}, wantIDTime: -time.Hour},
		"public, sent a year after the act":               {source: public, stamp: ago(time.Hour), sent: ahead(365 * day), want: times{-time.Hour, -30 * day, -30 * day}, wantIDTime: -time.Hour},
		"public, sent a year before the act":              {source: public, stamp: ago(time.Hour), sent: ago(365 * day), want: times{-time.Hour, 0, 0}, wantIDTime: -time.Hour},
		"public, sent_at has nothing to be compared to":   {source: public, sent: ahead(365 * day), want: same(0)},
		"private, no times":                               {source: private, want: same(0)},
		"private, key":                                    {source: private, key: ago(10 * time.Minute), want: times{-10 * time.Minute, -10 * time.Minute, 0}, wantIDTime: -10 * time.Minute},
		"private, paper of years ago":                     {source: private, stamp: ago(5 * 365 * day), want: same(-5 * 365 * day), wantIDTime: -5 * 365 * day},
		"private, paper of years ago, key of now":         {source: private, key: ago(0), stamp: ago(5 * 365 * day), want: same(-5 * 365 * day), wantIDTime: -5 * 365 * day},
		"private, a little ahead":                         {source: private, stamp: ahead(4 * time.Minute), want: same(0), wantIDTime: 4 * time.Minute},
		"private, sent_at says nothing":                   {source: private, stamp: ago(3 * time.Hour), sent: ago(time.Hour), want: same(-3 * time.Hour), wantIDTime: -3 * time.Hour},
		"import of a public one folds at its claimed day": {source: private, original: public, stamp: ago(800 * day), want: same(-800 * day), wantIDTime: -800 * day, wantSource: public},
		"import of a private one":                         {source: private, original: private, stamp: ago(800 * day), want: same(-800 * day), wantIDTime: -800 * day},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := submission(tt.source, "when "+name, "", "true")
			s.Timestamp, s.SentAt = b.at(tt.stamp), b.at(tt.sent)
			if tt.key != nil {
				s.IdempotencyKey = b.key(*tt.key)
			}
			if tt.original != "" {
				s.Act, s.Original = consent.Import, tt.original
			}
			ack := b.mustRecord(t, s)
			e := b.event(t, ack)
			now := b.clock.Now()
			got := times{e.Claimed.Sub(now), e.Effective(true).Sub(now), e.Effective(false).Sub(now)}
			if got != tt.want {
				t.Errorf("claimed, yes, no: %v, want %v", got, tt.want)
			}
			if !e.Received.Equal(now) || !ack.Timestamp.Equal(e.Claimed) {
				t.Errorf("received %v, acknowledged %v for %v", e.Received, ack.Timestamp, e.Claimed)
			}
			if got := consent.IDTime(ack.ID).Sub(now); got != tt.wantIDTime {
				t.Errorf("the id's time is %v, want %v", got, tt.wantIDTime)
			}
			want := tt.source
			if tt.wantSource != "" {
				want = tt.wantSource
			}
			if e.Source != want {
				t.Errorf("source %s, want %s", e.Source, want)
			}
		})
	}
}

// Which clocks are refused (docs/architecture.md §3, "Clocks").
func TestRecord_clocks(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	b := newBook(t)
	week := newBook(t, func(s *site.Site) { s.Settings.BackdateDays = 7 })
	type post struct {
		book       *book
		source     consent.Source
		key, stamp *time.Duration
		field      string // of the refusal, "" when it is accepted
		kind       errs.Kind
	}
	for name, tt := range map[string]post{
		"public key, 30 days ago":               {source: public, key: ago(30 * day)},
		"public key, longer ago":                {source: public, key: ago(30*day + ms), field: "Idempotency-Key"},
		"public key, 5 minutes ahead":           {source: public, key: ahead(5 * time.Minute)},
		"public key, more than 5 minutes ahead": {source: public, key: ahead(5*time.Minute + ms), field: "Idempotency-Key"},
		"public key, a year ahead":              {source: public, key: ahead(365 * day), field: "Idempotency-Key"},
		"private key, 30 days ago":              {source: private, key: ago(30 * day)},
		"private key, longer ago":               {source: private, key: ago(30*day + ms), field: "Idempotency-Key"},
		"private key, 5 minutes ahead":          {source: private, key: ahead(5 * time.Minute)},
		"private key, more than 5 minutes":      {source: private, key: ahead(5*time.Minute + ms), field: "Idempotency-Key"},
		"public timestamp, 30 days ago":         {source: public, stamp: ago(30 * day)},
		"public timestamp, longer ago":          {source: public, stamp: ago(30*day + ms), field: "timestamp"},
		"public timestamp, 5 minutes ahead":     {source: public, stamp: ahead(5 * time.Minute)},
		"public timestamp, more than 5 minutes": {source: public, stamp: ahead(5*time.Minute + ms), field: "timestamp"},
		"public timestamp right, key wrong":     {source: public, stamp: ago(0), key: ago(31 * day), field: "Idempotency-Key"},
		"public key right, timestamp wrong":     {source: public, key: ago(0), stamp: ago(31 * day), field: "timestamp"},
		"private timestamp, 50 years ago":       {source: private, stamp: ago(50 * 365 * day)},
		"private timestamp, before 1970":        {source: private, stamp: ago(60 * 365 * day), field: "timestamp", kind: errs.Invalid},
		"private timestamp, 5 minutes ahead":    {source: private, stamp: ahead(5 * time.Minute)},
		"private timestamp, more than 5":        {source: private, stamp: ahead(5*time.Minute + ms), field: "timestamp"},
		"private timestamp past, key wrong":     {source: private, stamp: ago(365 * day), key: ago(31 * day), field: "Idempotency-Key"},
		"site allows a week":                    {book: week, source: public, key: ago(7 * day), stamp: ago(7 * day)},
		"site allows no more than a week":       {book: week, source: public, stamp: ago(7*day + ms), field: "timestamp"},
		"nor for a key":                         {book: week, source: private, key: ago(7*day + ms), field: "Idempotency-Key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := b
			if tt.book != nil {
				b = tt.book
			}
			b = b.instance(t) // its own calls
			s := submission(tt.source, "clocks "+name, "", "true")
			s.Proofs = proofs("content", "<form>"+name)
			s.Timestamp = b.at(tt.stamp)
			if tt.key != nil {
				s.IdempotencyKey = b.key(*tt.key)
			}
			ack, err := b.record(t.Context(), s)
			if tt.field == "" {
				if err != nil {
					t.Fatal(err)
				}
				if e := b.event(t, ack); e.Claimed.After(e.Received) {
					t.Errorf("claimed %v, received %v", e.Claimed, e.Received)
				}
				return
			}
			var refusal *errs.Error
			if !errors.As(err, &refusal) {
				t.Fatalf("%v, want a refusal of %s", err, tt.field)
			}
			kind := tt.kind
			if kind == "" {
				kind = errs.Clock
				if !refusal.ServerTime.Equal(b.clock.Now()) {
					t.Errorf("server time %v, want %v", refusal.ServerTime, b.clock.Now())
				}
			}
			if refusal.Kind != kind || len(refusal.Fields) != 1 || refusal.Fields[0].Field != tt.field {
				t.Errorf("%s %+v, want %s about %s", refusal.Kind, refusal.Fields, kind, tt.field)
			}
			if calls := b.net.Counts(); len(calls) != 0 {
				t.Errorf("AWS was asked to do something: %v", calls)
			}
		})
	}
}

func TestRecord_keyIsNoUUIDv7(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	fresh := b.key(0)
	for name, key := range map[string]string{
		"text": "retry-1", "random UUID": "3b0e3c1e-52a4-4d0f-9a55-0d5a9b7c1f10", "of version 1": "c232ab00-9414-11ec-b3c8-9f6bdeced846",
		"urn": "urn:uuid:" + fresh, "braces": "{" + fresh + "}", "without hyphens": fresh[:8] + fresh[9:13] + fresh[14:18] + fresh[19:23] + fresh[24:],
		"space": fresh + " ", "longer": fresh + "0", "shorter": fresh[:35], "NUL": fresh[:35] + "\x00",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := submission(public, "cust-1", "", "true")
			s.IdempotencyKey = key
			if _, err := b.record(t.Context(), s); !errs.Is(err, errs.Invalid) {
				t.Errorf("%v, want an invalid request", err)
			}
		})
	}
}

// What device clocks show is kept, whatever it is.
func TestRecord_deviceTime(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	for _, year := range []int{1, 1969, 2026, 9999} {
		s := submission(public, "", "", "true")
		at := time.Date(year, 3, 1, 2, 3, 4, 567_000_000, time.UTC)
		s.DeviceTime, s.SentAt, s.ExpiresAt = &at, &at, &at
		e := b.event(t, b.mustRecord(t, s))
		for name, got := range map[string]*time.Time{"device_time": e.DeviceTime, "sent_at": e.SentAt, "expires_at": e.ExpiresAt} {
			if got == nil || !got.Equal(at) {
				t.Errorf("%s: %v, want %v", name, got, at)
			}
		}
	}
}

// The posts of one act after another arrive in any order and from any clock:
// the answer is that of the acts.
func TestRecord_queuesInAnyOrder(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	for name, skew := range map[string]time.Duration{"right clock": 0, "slow clock": -20 * day, "fast clock": 4 * time.Minute} {
		for order, first := range map[string]int{"in order": 0, "in the other order": 1} {
			for last, values := range map[string][]string{"yes then no": {"true", "false"}, "no then yes": {"false", "true"}} {
				t.Run(name+", "+order+", "+last, func(t *testing.T) {
					t.Parallel()
					id := "queue " + name + order + last
					posts := make([]*consent.Submission, 2)
					for i, value := range values {
						posts[i] = submission(public, id, "", value)
						posts[i].Timestamp = b.at(ahead(skew - time.Duration(2-i)*time.Hour))
						posts[i].SentAt = b.at(ahead(skew))
						posts[i].IdempotencyKey = b.key(skew - time.Duration(2-i)*time.Hour)
					}
					b.mustRecord(t, posts[first])
					b.mustRecord(t, posts[1-first])
					if state := b.decide(t, id, "", "news")[0]; state.Granted != (values[1] == "true") {
						t.Errorf("granted %v, %s", state.Granted, state.Reason)
					}
				})
			}
		}
	}
}

func TestIDTime(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 2, 3, 10, 15, 30, 123_000_000, time.UTC)
	for id, want := range map[string]time.Time{
		"019c2300-064b-7000-8000-000000000000": at,
		"019C2300-064B-7FFF-BFFF-FFFFFFFFFFFF": at,
		"00000000-0000-7000-8000-000000000000": time.Unix(0, 0).UTC(),
		"3b0e3c1e-52a4-4d0f-9a55-0d5a9b7c1f10": {},
		"not an id":                            {}, "": {},
	} {
		if diff := cmp.Diff(want, consent.IDTime(id)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", id, diff)
		}
	}
}
