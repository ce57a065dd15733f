package consent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/pseudonym"
)

var noticeEpoch = time.Date(2026, 2, 4, 10, 0, 0, 0, time.UTC)

var errNoticeBoard = errs.New(errs.Unavailable, "the board did not answer")

// noticeBoard is a Notices that panics when a Publisher breaks what it promises.
type noticeBoard struct {
	mu       sync.Mutex
	memory   map[string]Publication
	versions map[string][]Notice // by site and identifier, lowest first
	texts    map[string]string   // by digest
	marked   []string
	races    int    // so many publications are beaten
	fails    string // the call that fails
	reads    int
}

func newNoticeBoard() *noticeBoard {
	return &noticeBoard{memory: map[string]Publication{}, versions: map[string][]Notice{}, texts: map[string]string{}}
}

func (s *noticeBoard) call(name string) (func(), error) {
	s.mu.Lock()
	if s.fails == name {
		return s.mu.Unlock, errNoticeBoard
	}
	return s.mu.Unlock, nil
}

func (s *noticeBoard) Publish(_ context.Context, key string, p Publication, notices []Notice) (*Publication, error) {
	done, err := s.call("publish")
	defer done()
	if err != nil {
		return nil, err
	}
	if prior, ok := s.memory[key]; ok {
		return &prior, nil
	}
	if s.races != 0 {
		s.races--
		return nil, ErrNoticeRace
	}
	s.memory[key] = p
	for _, n := range notices {
		list := s.versions[n.Site+" "+n.Identifier]
		if n.Version != len(list)+1 {
			panic(fmt.Sprintf("version %d after %d", n.Version, len(list)))
		}
		if len(list) > 0 && n.Published.Before(list[len(list)-1].Published) {
			panic("published before an earlier version")
		}
		for _, digest := range n.Texts {
			if _, kept := s.texts[digest]; !kept {
				panic("published a text that is not kept")
			}
		}
		s.versions[n.Site+" "+n.Identifier] = append(list, n)
	}
	return nil, nil
}

func (s *noticeBoard) Version(_ context.Context, site, identifier string, version int) (*Notice, error) {
	done, err := s.call("read")
	defer done()
	s.reads++
	if list := s.versions[site+" "+identifier]; err == nil && version >= 1 && version <= len(list) {
		return &list[version-1], nil
	}
	return nil, err
}

func (s *noticeBoard) Versions(_ context.Context, site, identifier string, before, limit int) ([]Notice, error) {
	done, err := s.call("read")
	defer done()
	s.reads++
	list := s.versions[site+" "+identifier]
	if before > 0 {
		list = list[:min(len(list), before-1)]
	}
	list = slices.Clone(list)
	slices.Reverse(list)
	return list[:min(len(list), limit)], err
}

func (s *noticeBoard) PutNotice(_ context.Context, _, digest string, body []byte) error {
	done, err := s.call("text")
	defer done()
	if err == nil {
		s.texts[digest] = string(body)
	}
	return err
}

func (s *noticeBoard) MarkReferenced(_ context.Context, _, id string) error {
	done, err := s.call("mark")
	defer done()
	if err == nil {
		s.marked = append(s.marked, id)
	}
	return err
}

var noticePolicy = Policy{Site: "shop", Backdate: 30 * 24 * time.Hour}

// publisher publishes on a notice board by a clock that a test sets.
func (s *noticeBoard) publisher(now *time.Time) *Publisher {
	hasher, err := pseudonym.New([]byte(strings.Repeat("s", pseudonym.MinSecret)))
	if err != nil {
		panic(err)
	}
	minted := 0
	return &Publisher{
		Notices: s, Texts: s, Documents: s, Hasher: hasher,
		Now: func() time.Time { return *now },
		NewID: func(at time.Time) string {
			minted++
			return hasher.ID(at, fmt.Sprint(minted))
		},
	}
}

func wording(identifier, text string) NoticeDraft {
	return NoticeDraft{Identifier: identifier, Texts: map[string]string{"": text}}
}

func TestPublish_versions(t *testing.T) {
	t.Parallel()
	s, now := newNoticeBoard(), noticeEpoch
	p := s.publisher(&now)
	got, err := p.Publish(t.Context(), noticePolicy, "", []NoticeDraft{wording("a", "1"), wording("b", "1"), wording("a", "2")})
	if err != nil {
		t.Fatal(err)
	}
	later := noticeEpoch.Add(time.Hour + time.Nanosecond)
	again, err := p.Publish(t.Context(), noticePolicy, "", []NoticeDraft{
		{Identifier: "a", Texts: map[string]string{"en": "3", "fr": "trois"}, Effective: &later, DocumentIDs: []string{"y", "x", "y"}}})
	if err != nil {
		t.Fatal(err)
	}
	text := func(s string) map[string]string { return map[string]string{"": hexDigest(s)} }
	want := []Notice{
		{Site: "shop", Identifier: "a", Version: 1, Texts: text("1"), Bytes: 1, Published: noticeEpoch, Effective: noticeEpoch},
		{Site: "shop", Identifier: "b", Version: 1, Texts: text("1"), Bytes: 1, Published: noticeEpoch, Effective: noticeEpoch},
		{Site: "shop", Identifier: "a", Version: 2, Texts: text("2"), Bytes: 1, Published: noticeEpoch, Effective: noticeEpoch},
		{Site: "shop", Identifier: "a", Version: 3, Texts: map[string]string{"en": hexDigest("3"), "fr": hexDigest("trois")},
			Bytes: 6, Published: noticeEpoch, Effective: noticeEpoch.Add(time.Hour), DocumentIDs: []string{"y", "x", "y"}},
	}
	if diff := cmp.Diff(want, append(got, again...)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"x", "y"}, slices.Sorted(slices.Values(s.marked))); diff != "" {
		t.Errorf("documents marked: %s", diff)
	}
}

// The time of publication never goes back, whatever the clock does, and nobody
// who was received before the call shares it.
func TestPublish_clock(t *testing.T) {
	t.Parallel()
	s, now := newNoticeBoard(), noticeEpoch
	p := s.publisher(&now)
	for _, tt := range []struct{ clock, want time.Duration }{
		{0, 0},
		{1500 * time.Microsecond, 2 * time.Millisecond},
		{time.Hour, time.Hour},
		{-time.Hour, time.Hour},
		{time.Hour + 1, time.Hour + time.Millisecond},
	} {
		now = noticeEpoch.Add(tt.clock)
		got, err := p.Publish(t.Context(), noticePolicy, "", []NoticeDraft{wording("a", "x")})
		if err != nil || !got[0].Published.Equal(noticeEpoch.Add(tt.want)) || !got[0].Effective.Equal(got[0].Published) {
			t.Errorf("at %v: %v, %v; want published after %v", tt.clock, got, err, tt.want)
		}
	}
	// One call has one time, the latest that any of its identifiers needs.
	now = noticeEpoch
	got, err := p.Publish(t.Context(), noticePolicy, "", []NoticeDraft{wording("b", "x"), wording("a", "x")})
	if err != nil || !got[0].Published.Equal(noticeEpoch.Add(time.Hour+time.Millisecond)) || got[0].Published != got[1].Published {
		t.Errorf("%v, %v", got, err)
	}
}

func TestPublish_replay(t *testing.T) {
	t.Parallel()
	s, now := newNoticeBoard(), noticeEpoch
	p := s.publisher(&now)
	key := p.Hasher.ID(noticeEpoch, "key")
	drafts := []NoticeDraft{wording("a", "x"), {Identifier: "b", Texts: map[string]string{"en": "x", "fr": "y"}, DocumentIDs: []string{"d"}}}
	first, err := p.Publish(t.Context(), noticePolicy, key, drafts)
	if err != nil {
		t.Fatal(err)
	}
	now = noticeEpoch.Add(time.Hour)
	if _, err := p.Publish(t.Context(), noticePolicy, "", drafts); err != nil {
		t.Fatal(err)
	}
	again, err := p.Publish(t.Context(), noticePolicy, strings.ToUpper(key), drafts)
	if diff := cmp.Diff(first, again); err != nil || diff != "" {
		t.Errorf("the retry got %v: %s", err, diff)
	}
	if _, err := p.Publish(t.Context(), noticePolicy, key, drafts[:1]); !errs.Is(err, errs.Conflict) {
		t.Errorf("another request: %v, want a conflict", err)
	}
	other := noticePolicy
	other.Site = "other"
	if got, err := p.Publish(t.Context(), other, key, drafts[:1]); err != nil || got[0].Version != 1 {
		t.Errorf("the same key of another site: %v, %v", got, err)
	}
	for bad, kind := range map[string]errs.Kind{
		"x": errs.Invalid, "3b0e3c1e-52a4-4d0f-9a55-0d5a9b7c1f10": errs.Invalid,
		p.Hasher.ID(noticeEpoch.Add(-31 * 24 * time.Hour)): errs.Clock, p.Hasher.ID(noticeEpoch.Add(2 * time.Hour)): errs.Clock,
	} {
		if _, err := p.Publish(t.Context(), noticePolicy, bad, drafts); !errs.Is(err, kind) {
			t.Errorf("key %s: %v, want %s", bad, err, kind)
		}
	}
	for _, n := range []int{0, MaxNotices + 1} {
		if _, err := p.Publish(t.Context(), noticePolicy, "", slices.Repeat([]NoticeDraft{wording("a", "x")}, n)); !errs.Is(err, errs.Invalid) {
			t.Errorf("%d notices: %v", n, err)
		}
	}
}

// Nothing is acknowledged unless all of it is kept, and a retry completes it.
func TestPublish_faults(t *testing.T) {
	t.Parallel()
	for call, published := range map[string]int{"text": 0, "read": 0, "publish": 0, "mark": 1} {
		s, now := newNoticeBoard(), noticeEpoch
		p := s.publisher(&now)
		key := p.Hasher.ID(noticeEpoch, "key")
		draft := wording("a", "x")
		draft.DocumentIDs = []string{"d"}
		s.fails = call
		if _, err := p.Publish(t.Context(), noticePolicy, key, []NoticeDraft{draft}); !errors.Is(err, errNoticeBoard) {
			t.Errorf("%s fails: %v", call, err)
		}
		if len(s.versions["shop a"]) != published {
			t.Errorf("%s fails: %d versions", call, len(s.versions["shop a"]))
		}
		s.fails = ""
		if got, err := p.Publish(t.Context(), noticePolicy, key, []NoticeDraft{draft}); err != nil || got[0].Version != 1 || len(s.marked) != 1 {
			t.Errorf("%s failed once: %v, %v; marked %v", call, got, err, s.marked)
		}
	}
}

func TestPublish_race(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, now := newNoticeBoard(), noticeEpoch
		p := s.publisher(&now)
		s.races = 40
		if _, err := p.Publish(t.Context(), noticePolicy, "", []NoticeDraft{wording("a", "x")}); err != nil {
			t.Errorf("beaten 40 times: %v", err)
		}
		s.races = -1 // for ever
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		if _, err := p.Publish(ctx, noticePolicy, "", []NoticeDraft{wording("a", "x")}); !errs.Is(err, errs.Unavailable) {
			t.Errorf("beaten for ever: %v", err)
		}
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("gave up after %v", took)
		}
	})
}

func TestDigestDrafts(t *testing.T) {
	t.Parallel()
	at, later := noticeEpoch, noticeEpoch.Add(time.Millisecond)
	drafts := map[string][]NoticeDraft{
		"plain":            {wording("a", "x")},
		"identifier":       {wording("b", "x")},
		"text":             {wording("a", "y")},
		"language":         {{Identifier: "a", Texts: map[string]string{"en": "x"}}},
		"two languages":    {{Identifier: "a", Texts: map[string]string{"en": "x", "fr": "y"}}},
		"exchanged":        {{Identifier: "a", Texts: map[string]string{"en": "y", "fr": "x"}}},
		"shifted":          {{Identifier: "a", Texts: map[string]string{"en": "xf", "r": "y"}}},
		"time":             {{Identifier: "a", Texts: map[string]string{"": "x"}, Effective: &at}},
		"later":            {{Identifier: "a", Texts: map[string]string{"": "x"}, Effective: &later}},
		"document":         {{Identifier: "a", Texts: map[string]string{"": "x"}, DocumentIDs: []string{"d"}}},
		"documents":        {{Identifier: "a", Texts: map[string]string{"": "x"}, DocumentIDs: []string{"d", "e"}}},
		"two":              {wording("a", "x"), wording("a", "x")},
		"document or text": {{Identifier: "a", Texts: map[string]string{"": "x"}, DocumentIDs: []string{"a", ""}}},
	}
	seen := map[[32]byte]string{}
	for name, list := range drafts {
		digest := digestDrafts(list)
		if other, taken := seen[digest]; taken {
			t.Errorf("%s and %s are the same request", name, other)
		}
		seen[digest] = name
		if digest != digestDrafts(list) {
			t.Errorf("%s has two digests", name)
		}
	}
}

func TestInForce(t *testing.T) {
	t.Parallel()
	s := newNoticeBoard()
	at := func(minutes int) time.Time { return noticeEpoch.Add(time.Duration(minutes) * time.Minute) }
	for i, v := range []struct{ published, effective int }{{0, 0}, {10, 10}, {20, 60}, {30, -1000}} {
		s.versions["shop terms"] = append(s.versions["shop terms"], Notice{Identifier: "terms", Version: i + 1, Published: at(v.published), Effective: at(v.effective)})
	}
	for name, tt := range map[string]struct {
		ref               NoticeRef
		received, claimed int
		want              int
	}{
		"before all":                 {NoticeRef{"terms", ""}, -1, -1, 0},
		"at the first":               {NoticeRef{"terms", ""}, 0, 0, 1},
		"acted before the first":     {NoticeRef{"terms", ""}, 5, -1, 0},
		"at the second":              {NoticeRef{"terms", ""}, 10, 10, 2},
		"acted before the second":    {NoticeRef{"terms", ""}, 15, 9, 1},
		"published, not effective":   {NoticeRef{"terms", ""}, 25, 25, 2},
		"effective, not published":   {NoticeRef{"terms", ""}, 19, 70, 2},
		"backdated":                  {NoticeRef{"terms", ""}, 30, -500, 4},
		"the highest, not latest":    {NoticeRef{"terms", ""}, 70, 70, 4},
		"explicit":                   {NoticeRef{"terms", "2"}, 70, 70, 2},
		"explicit with a fraction":   {NoticeRef{"terms", "2.0"}, 10, -9, 2},
		"explicit, not effective":    {NoticeRef{"terms", "3"}, 20, 20, 3},
		"explicit, not published":    {NoticeRef{"terms", "3"}, 19, 70, 0},
		"explicit and none":          {NoticeRef{"terms", "5"}, 70, 70, 0},
		"explicit and no number":     {NoticeRef{"terms", "draft"}, 70, 70, 0},
		"explicit and not a version": {NoticeRef{"terms", "0"}, 70, 70, 0},
		"unknown":                    {NoticeRef{"imprint", ""}, 70, 70, 0},
		"unknown and explicit":       {NoticeRef{"imprint", "1"}, 70, 70, 0},
	} {
		got, err := (Resolver{s}).InForce(t.Context(), "shop", tt.ref, at(tt.received), at(tt.claimed))
		if err != nil || got != tt.want {
			t.Errorf("%s: version %d, %v; want %d", name, got, err, tt.want)
		}
	}
}

func TestInForceAll(t *testing.T) {
	t.Parallel()
	s, now := newNoticeBoard(), noticeEpoch
	p := s.publisher(&now)
	var refs []NoticeRef
	var want []int
	for i := range 15 {
		id := fmt.Sprint("n", i)
		if _, err := p.Publish(t.Context(), noticePolicy, "", []NoticeDraft{wording(id, "1"), wording(id, "2")}); err != nil {
			t.Fatal(err)
		}
		refs, want = append(refs, NoticeRef{id, ""}, NoticeRef{id, "1"}), append(want, 2, 1)
	}
	refs, want = append(refs, NoticeRef{"n3", ""}, NoticeRef{"none", ""}), append(want, 2, 0)
	s.reads = 0
	got, err := (Resolver{s}).InForceAll(t.Context(), "shop", refs, now, now)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if s.reads != 31 {
		t.Errorf("%d reads of 31 different notices", s.reads)
	}
	s.fails = "read"
	if _, err := (Resolver{s}).InForceAll(t.Context(), "shop", refs, now, now); !errors.Is(err, errNoticeBoard) {
		t.Errorf("%v, want %v", err, errNoticeBoard)
	}
	if got, err := (Resolver{s}).InForceAll(t.Context(), "shop", nil, now, now); err != nil || len(got) != 0 {
		t.Errorf("no notices: %v, %v", got, err)
	}
}

// An identifier with many versions that are not in force yet is read in a few
// growing pages.
func TestInForce_manyVersions(t *testing.T) {
	t.Parallel()
	s := newNoticeBoard()
	for i := range 5000 {
		s.versions["shop terms"] = append(s.versions["shop terms"], Notice{Version: i + 1, Published: noticeEpoch.Add(time.Duration(i) * time.Hour), Effective: noticeEpoch})
	}
	for _, tt := range []struct{ received, want, reads int }{{4999, 5000, 1}, {4500, 4501, 3}, {0, 1, 7}, {-1, 0, 7}} {
		s.reads = 0
		got, err := (Resolver{s}).InForce(t.Context(), "shop", NoticeRef{Identifier: "terms"}, noticeEpoch.Add(time.Duration(tt.received)*time.Hour), noticeEpoch)
		if err != nil || got != tt.want || s.reads != tt.reads {
			t.Errorf("received in hour %d: version %d in %d reads, %v; want %d in %d", tt.received, got, s.reads, err, tt.want, tt.reads)
		}
	}
}

// What is published later never changes an answer that was given, even within
// one millisecond, and whatever it says of when it takes effect; and the answer
// is what the rule says.
func TestInForce_stable(t *testing.T) {
	t.Parallel()
	type answer struct {
		ref               NoticeRef
		received, claimed time.Time
		version           int
	}
	rapid.Check(t, func(t *rapid.T) {
		s, now := newNoticeBoard(), noticeEpoch
		p, r := s.publisher(&now), Resolver{s}
		var answers []answer
		offset := rapid.Int64Range(-int64(time.Hour), int64(time.Hour))
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			// From less than a millisecond to minutes; never none, as on a real clock.
			now = now.Add(time.Duration(rapid.OneOf(rapid.Int64Range(1, 1e6), rapid.Int64Range(1, 1e11)).Draw(t, "pass")))
			identifier := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "identifier")
			if rapid.Bool().Draw(t, "publish") {
				draft := wording(identifier, "x")
				if rapid.Bool().Draw(t, "dated") {
					effective := now.Add(time.Duration(offset.Draw(t, "effective")))
					draft.Effective = &effective
				}
				if _, err := p.Publish(context.Background(), noticePolicy, "", []NoticeDraft{draft, wording("c", "y")}); err != nil {
					t.Fatal(err)
				}
				continue
			}
			a := answer{ref: NoticeRef{Identifier: identifier}, received: now.Truncate(time.Millisecond)}
			a.claimed = earliest(a.received, a.received.Add(time.Duration(offset.Draw(t, "claimed"))))
			if rapid.Bool().Draw(t, "explicit") {
				a.ref.Version = fmt.Sprint(rapid.IntRange(1, 5).Draw(t, "version"))
			}
			var err error
			if a.version, err = r.InForce(context.Background(), "shop", a.ref, a.received, a.claimed); err != nil {
				t.Fatal(err)
			}
			answers = append(answers, a)
		}
		for _, a := range answers {
			got, err := r.InForce(context.Background(), "shop", a.ref, a.received, a.claimed)
			if err != nil || got != a.version {
				t.Fatalf("%v was version %d, now %d (%v)", a.ref, a.version, got, err)
			}
			want := 0
			for _, n := range s.versions["shop "+a.ref.Identifier] {
				explicit, given := a.ref.Number()
				if given && n.Version == explicit && !n.Published.After(a.received) ||
					!given && !n.Published.After(a.received) && !n.Effective.After(a.claimed) {
					want = n.Version
				}
			}
			if got != want {
				t.Fatalf("%v is version %d, the rule says %d", a.ref, got, want)
			}
		}
	})
}
