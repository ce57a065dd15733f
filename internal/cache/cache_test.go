package cache_test

import (
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/avow-consent/avow/internal/cache"
)

var start = time.Date(2026, 2, 3, 10, 0, 0, 0, time.UTC)

func TestCache_ttl(t *testing.T) {
	t.Parallel()
	now := start
	c := cache.New[string, int](2, time.Minute, func() time.Time { return now })
	if v, ok := c.Get("a"); ok || v != 0 {
		t.Errorf("from an empty cache: %d, %v", v, ok)
	}
	c.Put("a", 1)
	now = start.Add(time.Minute - 1)
	if v, ok := c.Get("a"); !ok || v != 1 {
		t.Errorf("a moment before its time is over: %d, %v", v, ok)
	}
	now = start.Add(time.Minute)
	if v, ok := c.Get("a"); ok || v != 0 {
		t.Errorf("when its time is over: %d, %v", v, ok)
	}
	c.Put("a", 2) // begins anew
	now = start.Add(2*time.Minute - 1)
	if v, ok := c.Get("a"); !ok || v != 2 {
		t.Errorf("put again: %d, %v", v, ok)
	}
}

// A nil value is a value: what is known not to exist is remembered.
func TestCache_nil(t *testing.T) {
	t.Parallel()
	c := cache.New[string, *int](2, time.Minute, func() time.Time { return start })
	c.Put("a", nil)
	if v, ok := c.Get("a"); !ok || v != nil {
		t.Errorf("%v, %v", v, ok)
	}
}

// What is too old goes first.
func TestCache_evictsOld(t *testing.T) {
	t.Parallel()
	now := start
	c := cache.New[int, int](3, time.Minute, func() time.Time { return now })
	c.Put(1, 1)
	now = now.Add(30 * time.Second)
	c.Put(2, 2)
	c.Put(3, 3)
	now = now.Add(30 * time.Second) // 1 is too old
	c.Put(4, 4)
	for _, k := range []int{2, 3, 4} {
		if _, ok := c.Get(k); !ok {
			t.Errorf("%d is gone while an old value was there to go", k)
		}
	}
}

// Against a model that forgets nothing: what the cache returns was put last, and
// not too long ago; it never holds more than its size; and the last put is
// always there.
func TestCache_model(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const ttl = 3
		size := rapid.IntRange(1, 4).Draw(t, "size")
		now := start
		c := cache.New[int, int](size, ttl*time.Second, func() time.Time { return now })
		type entry struct {
			value int
			put   time.Time
		}
		model := map[int]entry{}
		for i := range rapid.IntRange(1, 30).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "seconds")) * time.Second)
			key := rapid.IntRange(0, 5).Draw(t, "key")
			c.Put(key, i)
			model[key] = entry{i, now}
			if v, ok := c.Get(key); !ok || v != i {
				t.Fatalf("what was just put: %d, %v", v, ok)
			}
			held := 0
			for k, e := range model {
				v, ok := c.Get(k)
				if ok {
					held++
				}
				if ok && (v != e.value || now.Sub(e.put) >= ttl*time.Second) {
					t.Fatalf("key %d: %d, put %v ago", k, v, now.Sub(e.put))
				}
			}
			if held > size {
				t.Fatalf("%d values in a cache of %d", held, size)
			}
		}
	})
}

func TestCache_concurrent(t *testing.T) {
	t.Parallel()
	c := cache.New[int, int](8, time.Minute, time.Now)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 500 {
				c.Put(i%16, i%16)
				if v, ok := c.Get((i + g) % 16); ok && v != (i+g)%16 {
					t.Errorf("key %d holds %d", (i+g)%16, v)
				}
			}
		})
	}
	wg.Wait()
}
