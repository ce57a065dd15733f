package consent_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/site"
)

// large is content that does not stand in the event itself.
var large = strings.Repeat("large content, ", 1000)

// The same key with the same request gets the same answer, whoever asks again,
// however and however late; and nothing changes.
func TestRecord_replay(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		submission func() *consent.Submission
		later      func(*consent.Submission) // what a retry may change
	}{
		"nothing but the key": {submission: func() *consent.Submission { return &consent.Submission{Source: public} }},
		"public with an id":   {submission: func() *consent.Submission { return submission(public, "cust-1", "", "true") }},
		"public with an e-mail, from another network, later": {
			submission: func() *consent.Submission {
				s := submission(public, "", "q@x.test", "true")
				s.IP, s.SentAt = "203.0.113.7", minutePtr(0)
				return s
			},
			later: func(s *consent.Submission) { s.IP, s.SentAt, s.SignalGPC = "203.0.113.8", minutePtr(1), true },
		},
		"private with id and e-mail": {submission: func() *consent.Submission { return submission(private, "cust-1", "q@x.test", "true") }},
		"large content and a form": {submission: func() *consent.Submission {
			s := submission(private, "cust-1", "q@x.test", "true")
			s.Proofs = proofs(large, "<form>")
			return s
		}},
		"with a timestamp": {submission: func() *consent.Submission {
			s := submission(public, "cust-1", "", "true")
			s.Timestamp = minutePtr(-90)
			return s
		}},
		"key in capital letters": {
			submission: func() *consent.Submission { return submission(public, "cust-1", "", "true") },
			later:      func(s *consent.Submission) { s.IdempotencyKey = strings.ToUpper(s.IdempotencyKey) },
		},
		"preferences in another order": {
			submission: func() *consent.Submission {
				s := submission(public, "cust-1", "", "true")
				s.Preferences = append(s.Preferences, consent.Preference{Key: "ads", Value: "false"})
				return s
			},
			later: func(s *consent.Submission) {
				s.Preferences[0], s.Preferences[1] = s.Preferences[1], s.Preferences[0]
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBook(t)
			s := tt.submission()
			s.IdempotencyKey = b.key(4 * time.Minute) // a fast clock: the answer must not follow the receive time
			first := b.mustRecord(t, s)
			before := b.everything(t)
			if tt.later != nil {
				tt.later(s)
			}
			for _, instance := range []*book{b, b.instance(t)} {
				b.clock.advance(time.Minute)
				if diff := cmp.Diff(first, instance.mustRecord(t, s), cmp.Transformer("reveal", redact.String.Reveal)); diff != "" {
					t.Errorf("the answer of a retry (-first +retry):\n%s", diff)
				}
				b.wantUnchanged(t, before)
			}
		})
	}
}

// The same key with another request for the same subject is a conflict, and
// nothing changes.
func TestRecord_conflict(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	key := b.key(0)
	make := func() *consent.Submission {
		s := submission(private, "cust-1", "q@x.test", "true")
		s.IdempotencyKey = key
		s.Proofs = proofs("content", "<form>")
		return s
	}
	b.mustRecord(t, make())
	before := b.everything(t)
	for name, change := range map[string]func(*consent.Submission){
		"other value":        func(s *consent.Submission) { s.Preferences[0].Value = "false" },
		"other e-mail":       func(s *consent.Submission) { s.Profile.Email.Value = "other@x.test" },
		"no e-mail":          func(s *consent.Submission) { s.Profile.Email = nil },
		"other content":      func(s *consent.Submission) { s.Proofs = proofs("other", "<form>") },
		"no proof":           func(s *consent.Submission) { s.Proofs = nil },
		"other class of key": func(s *consent.Submission) { s.Source = public },
		"other act":          func(s *consent.Submission) { s.Act = consent.Paper },
		"expiry":             func(s *consent.Submission) { s.ExpiresAt = minutePtr(9) },
	} {
		for _, instance := range []*book{b, b.instance(t)} {
			s := make()
			change(s)
			if _, err := instance.record(t.Context(), s); !errs.Is(err, errs.Conflict) {
				t.Errorf("%s: %v, want a conflict", name, err)
			}
		}
	}
	b.wantUnchanged(t, before)
}

// A key belongs to site, subject and timestamp: with another of these it makes
// another consent.
func TestRecord_scopeOfKey(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	key := b.key(0)
	seen := map[string]string{}
	for name, change := range map[string]func(*consent.Submission){
		"as it was":         func(*consent.Submission) {},
		"other subject":     func(s *consent.Submission) { s.SubjectID = "cust-2" },
		"no subject":        func(s *consent.Submission) { s.SubjectID = "" },
		"by e-mail":         func(s *consent.Submission) { s.SubjectID, s.Profile = "", email("q@x.test") },
		"with a timestamp":  func(s *consent.Submission) { s.Timestamp = minutePtr(0) },
		"another timestamp": func(s *consent.Submission) { s.Timestamp = minutePtr(-1) },
	} {
		s := submission(public, "cust-1", "", "true")
		s.IdempotencyKey = key
		change(s)
		ack := b.mustRecord(t, s)
		if other, dup := seen[ack.ID]; dup {
			t.Errorf("%s and %s have the same id", name, other)
		}
		seen[ack.ID] = name
	}
	if n := b.events(t); n != len(seen) {
		t.Errorf("%d rows, want %d", n, len(seen))
	}
}

// Without a key every post is a consent of its own.
func TestRecord_withoutKey(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	one, two := b.mustRecord(t, submission(public, "cust-1", "", "true")), b.mustRecord(t, submission(public, "cust-1", "", "true"))
	if one.ID == two.ID || b.events(t) != 2 {
		t.Errorf("%s and %s, %d rows", one.ID, two.ID, b.events(t))
	}
	if one.SubjectID != two.SubjectID {
		t.Error("two subjects")
	}
	three, four := b.mustRecord(t, &consent.Submission{Source: public}), b.mustRecord(t, &consent.Submission{Source: public})
	if three.SubjectID == four.SubjectID {
		t.Error("two visitors of whom nothing is known became one subject")
	}
}

// A retry that comes after the erasure of the person gets its answer and brings
// nothing back.
func TestRecord_retryAfterErasure(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*consent.Submission{
		"public":                     submission(public, "", "q@x.test", "true"),
		"private with id and e-mail": submission(private, "cust-1", "q@x.test", "true"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBook(t)
			s.IdempotencyKey = b.key(-time.Minute)
			s.Proofs = proofs("content", "")
			first := b.mustRecord(t, s)
			b.erase(t, first)
			before := b.everything(t)
			for _, instance := range []*book{b, b.instance(t)} {
				b.clock.advance(time.Hour)
				ack := instance.mustRecord(t, s)
				if ack.ID != first.ID || ack.SubjectID != first.SubjectID || ack.Timestamp.IsZero() {
					t.Errorf("%+v, want %+v", ack, first)
				}
				b.wantUnchanged(t, before)
			}
			// Not even another request under that key is stored.
			other := *s
			other.Preferences = []consent.Preference{{Key: "news", Value: "false"}}
			b.mustRecord(t, &other)
			b.wantUnchanged(t, before)
		})
	}
}

// Proofs are kept before the event is put, so a retry after an erasure may bring
// an object back. It stands where another look at the person's prefix finds it;
// the ledger stays as it was.
func TestRecord_retryAfterErasureWithLargeContent(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	s := submission(public, "", "q@x.test", "true")
	s.IdempotencyKey = b.key(0)
	s.Proofs = proofs(large, "")
	first := b.mustRecord(t, s)
	b.erase(t, first)
	prefix := "content/" + b.Hasher.Subject("shop", first.SubjectID.Reveal()) + "/" + first.ID + "/"
	b.deleteObjects(t)
	ledger := scan(t, b.env, "EVENTS_TABLE")
	if again := b.instance(t).mustRecord(t, s); again.ID != first.ID {
		t.Errorf("%+v, want %+v", again, first)
	}
	if diff := cmp.Diff(ledger, scan(t, b.env, "EVENTS_TABLE")); diff != "" {
		t.Errorf("the ledger has changed:\n%s", diff)
	}
	for _, o := range b.objects(t) {
		if !strings.HasPrefix(*o.Key, prefix) {
			t.Errorf("%s has come back, outside of %s", *o.Key, prefix)
		}
	}
}

// 200 racers with one request make one record, on as many instances as one
// likes.
func TestRecord_race(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	instances := []*book{b, b.instance(t), b.instance(t), b.instance(t)}
	key := b.key(0)
	acks := make([]consent.Acknowledgement, 200)
	var wg sync.WaitGroup
	for i := range acks {
		wg.Go(func() {
			s := submission(private, "cust-1", "q@x.test", "true")
			s.IdempotencyKey = key
			s.Proofs = proofs(large, "<form>")
			var err error
			if acks[i], err = instances[i%len(instances)].record(t.Context(), s); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, ack := range acks {
		if ack != acks[0] {
			t.Fatal("two answers")
		}
	}
	stored := b.everything(t)
	want := map[string]int{"EVENTS_TABLE": 2, "FORMS_TABLE": 1, "content/": 1, "forms/": 1, "SITES_TABLE": 1}
	if diff := cmp.Diff(want, kinds(stored)); diff != "" {
		t.Errorf("rows and objects (-want +got):\n%s", diff)
	}
}

// kinds counts what is stored by table and by prefix of the bucket.
func kinds(stored map[string]string) map[string]int {
	counts := map[string]int{}
	for name := range stored {
		kind, _, object := strings.Cut(name, "/")
		if object {
			kind += "/"
		} else {
			kind, _, _ = strings.Cut(kind, " ")
		}
		counts[kind]++
	}
	return counts
}

// 100 racers with different requests under one key: one is acknowledged, or
// several times the same one; all others conflict.
func TestRecord_raceOfDifferentRequests(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	key := b.key(0)
	var mu sync.Mutex
	won := map[string]int{}
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			value := []string{"true", "false", `"x"`, `"y"`}[i%4]
			s := submission(public, "cust-1", "", value)
			s.IdempotencyKey = key
			_, err := b.record(t.Context(), s)
			if err != nil && !errs.Is(err, errs.Conflict) {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won[value]++
			}
		})
	}
	wg.Wait()
	if len(won) != 1 || b.events(t) != 1 {
		t.Fatalf("acknowledged: %v, rows %d", won, b.events(t))
	}
	for value, n := range won {
		if n != 25 {
			t.Errorf("%d of 25 that asked for %s were acknowledged", n, value)
		}
		e := b.event(t, consent.Acknowledgement{ID: rowID(t, b), SubjectID: "cust-1"})
		if e.Preferences[0].Value != value {
			t.Errorf("stored %s, acknowledged %s", e.Preferences[0].Value, value)
		}
	}
}

// rowID is the id of the only consent of cust-1.
func rowID(t *testing.T, b *book) string {
	t.Helper()
	rows, err := b.Events.Partition(t.Context(), b.Hasher.Subject(b.site.ID, "cust-1"), consent.MaxPerson)
	if err != nil || len(rows.Events) != 1 {
		t.Fatalf("%v, %v", rows, err)
	}
	return rows.Events[0].ID
}

// Everything that was posted is in the record.
func TestRecord_keepsWhatWasPosted(t *testing.T) {
	t.Parallel()
	b := newBook(t, func(s *site.Site) {
		s.Register = []site.Purpose{{Key: "sale", SaleOrSharing: true}, {Key: "news"}}
	})
	s := fullSubmission()
	s.IdempotencyKey, s.Token = b.key(0), ""
	ack := b.mustRecord(t, s)
	e := b.event(t, ack)
	want := &consent.Event{
		ID: ack.ID, Kind: consent.KindConsent, Site: "shop", Subject: b.Hasher.Subject("shop", "cust-1"), SubjectID: "cust-1",
		KeyID: b.Hasher.KeyID(), Source: public, Act: consent.Import, Claimed: day0, Received: day0,
		SentAt: s.SentAt, DeviceTime: s.DeviceTime, ExpiresAt: s.ExpiresAt,
		Profile: s.Profile, Preferences: s.Preferences, Objected: []string{"sale"}, GPC: true,
		LegalNotices: s.LegalNotices, Proofs: e.Proofs, DocumentIDs: s.DocumentIDs, IP: s.IP, ConsentType: s.ConsentType,
		OptIn:   &consent.OptIn{Channel: consent.ByEmail, Address: "q@x.test", Language: "fr", Until: day0.Add(week)},
		Request: s.Digest(),
	}
	if diff := cmp.Diff(want, e, cmp.Transformer("reveal", redact.String.Reveal)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A web page cannot name documents, and its address is kept unless it says no.
func TestRecord_defaultsOfASource(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	for name, tt := range map[string]struct {
		submission consent.Submission
		act        consent.Act
		documents  int
	}{
		"public":          {consent.Submission{Source: public, DocumentIDs: []string{"d"}}, consent.WebForm, 0},
		"public, banner":  {consent.Submission{Source: public, Act: consent.Banner}, consent.Banner, 0},
		"private":         {consent.Submission{Source: private, DocumentIDs: []string{"d"}}, consent.API, 1},
		"private, paper":  {consent.Submission{Source: private, Act: consent.Paper}, consent.Paper, 0},
		"import, no word": {consent.Submission{Source: private, Act: consent.Import}, consent.Import, 0},
	} {
		e := b.event(t, b.mustRecord(t, &tt.submission))
		if e.Act != tt.act || len(e.DocumentIDs) != tt.documents || e.Source != tt.submission.Source {
			t.Errorf("%s: act %s, documents %v, source %s", name, e.Act, e.DocumentIDs, e.Source)
		}
	}
}

func TestRecordSubject(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	state := func(s consent.SubjectStatement) (consent.Acknowledgement, error) {
		return b.Recorder.RecordSubject(t.Context(), b.Sites.Policy(b.site), &s)
	}
	key := b.key(-time.Minute)
	first, err := state(consent.SubjectStatement{IdempotencyKey: key, SubjectID: "cust-1", Profile: email("q@x.test")})
	if err != nil || first.SubjectID != "cust-1" || !first.Timestamp.Equal(day0.Add(-time.Minute)) {
		t.Fatalf("%+v, %v", first, err)
	}
	before := b.everything(t)
	b.clock.advance(time.Minute)
	if again, err := state(consent.SubjectStatement{IdempotencyKey: key, SubjectID: "cust-1", Profile: email("q@x.test")}); err != nil || again != first {
		t.Errorf("a retry: %+v, %v", again, err)
	}
	if _, err := state(consent.SubjectStatement{IdempotencyKey: key, SubjectID: "cust-1", Profile: email("r@x.test")}); !errs.Is(err, errs.Conflict) {
		t.Errorf("another statement under the same key: %v", err)
	}
	if _, err := state(consent.SubjectStatement{IdempotencyKey: b.key(-31 * day), SubjectID: "cust-1"}); !errs.Is(err, errs.Clock) {
		t.Errorf("an old key: %v", err)
	}
	b.wantUnchanged(t, before)

	// A consent under the same key and subject is no retry of it.
	s := submission(private, "cust-1", "", "true")
	s.IdempotencyKey = key
	b.mustRecord(t, s)

	// Without an id the e-mail gives one, the same each time; without either the key.
	one, err1 := state(consent.SubjectStatement{Profile: email("r@x.test")})
	two, err2 := state(consent.SubjectStatement{Profile: email(" R@x.TEST ")})
	if err1 != nil || err2 != nil || one.SubjectID != two.SubjectID {
		t.Errorf("%v, %v: two subjects for one e-mail", err1, err2)
	}
	three, err3 := state(consent.SubjectStatement{})
	four, err4 := state(consent.SubjectStatement{})
	if err3 != nil || err4 != nil || three.SubjectID == four.SubjectID {
		t.Errorf("%v, %v: one subject for two statements about nobody", err3, err4)
	}
}
