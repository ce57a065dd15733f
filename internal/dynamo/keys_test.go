package dynamo

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/pseudonym"
)

func drawID(t *rapid.T, h *pseudonym.Hasher, label string) string {
	// Around the ends of months, and close to one another.
	base := rapid.SampledFrom([]int64{0, 1, 1_769_903_999_999, 1_769_904_000_000, 1_770_113_730_123, 253_402_300_799_999}).Draw(t, label)
	at := max(0, base-rapid.Int64Range(0, 2).Draw(t, label+" before"))
	return h.ID(time.UnixMilli(at), rapid.StringN(0, 3, 3).Draw(t, label+" part"))
}

// The bounds of a range hold the ids that the range means, and no other row of
// a partition.
func TestBounds(t *testing.T) {
	t.Parallel()
	h, err := pseudonym.New(make([]byte, pseudonym.MinSecret))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		id := drawID(t, h, "id")
		at := consent.IDTime(id)
		var r consent.Range
		if rapid.Bool().Draw(t, "cursor") {
			r.Before = drawID(t, h, "before")
		}
		if rapid.Bool().Draw(t, "from") {
			r.From = consent.IDTime(drawID(t, h, "from"))
		}
		if rapid.Bool().Draw(t, "to") {
			r.To = consent.IDTime(drawID(t, h, "to"))
		}
		want := (r.Before == "" || id < r.Before) && (r.From.IsZero() || !at.Before(r.From)) && (r.To.IsZero() || !at.After(r.To))
		low, high := bounds(r)
		if got := low <= id && id <= high; got != want {
			t.Fatalf("%s is inside: %v, want %v (%q to %q for %+v)", id, got, want, low, high, r)
		}
		for _, other := range []string{subjectEventPrefix + id, bindingPrefix + "p"} {
			if low <= other && other <= high {
				t.Fatalf("%q is inside (%q to %q)", other, low, high)
			}
		}
	})
}

func TestBounds_beforeTheFirst(t *testing.T) {
	t.Parallel()
	const first = "00000000-0000-7000-8000-000000000000"
	low, high := bounds(consent.Range{Before: first})
	if low <= first && first <= high {
		t.Errorf("%q to %q holds the cursor", low, high)
	}
}

func TestShardOf(t *testing.T) {
	t.Parallel()
	h, err := pseudonym.New(make([]byte, pseudonym.MinSecret))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		id, shards := drawID(t, h, "id"), rapid.IntRange(-1, 64).Draw(t, "shards")
		shard := shardOf(id, shards)
		if shard < 0 || shard >= max(1, shards) || shard != shardOf(id, shards) {
			t.Fatalf("shard %d of %d", shard, shards)
		}
		if key := listing("shop", id, shards); key != listingShard("shop", consent.Month(id), shard) {
			t.Fatalf("listed under %q", key)
		}
	})
	counts := make([]int, 4)
	for i := range 4000 {
		counts[shardOf(h.ID(time.UnixMilli(int64(i)), "x"), 4)]++
	}
	if slices.Max(counts) > 1200 || slices.Min(counts) < 800 {
		t.Errorf("4000 ids fall into 4 shards like %v", counts)
	}
}

// No two rows of a partition meet, and what is no consent comes after them all.
func TestSortKeys(t *testing.T) {
	t.Parallel()
	const id = "019c22f1-d500-774e-a595-79648550181b"
	keys := []string{
		eventSort(&consent.Event{ID: id, Kind: consent.KindConsent}),
		bindingSort(&consent.Binding{Subject: id}),
		eventSort(&consent.Event{ID: id, Kind: consent.KindSubject}),
	}
	if keys[0] != id || !slices.IsSorted(keys) || len(slices.Compact(slices.Clone(keys))) != 3 {
		t.Errorf("sort keys %q", keys)
	}
	for _, k := range keys[1:] {
		if k <= strings.Repeat("f", 36) {
			t.Errorf("%q stands among the consents", k)
		}
	}
	if subject, ok := BoundSubject(keys[1]); !ok || subject != id {
		t.Errorf("%q binds %q", keys[1], subject)
	}
	if _, ok := BoundSubject(keys[0]); ok {
		t.Error("a consent binds")
	}
}
