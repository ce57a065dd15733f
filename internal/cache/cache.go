// Package cache keeps a bounded number of values for a bounded time, by an
// injected clock, in one function instance.
package cache

import (
	"sync"
	"time"
)

// Cache maps keys to values. It is safe for concurrent use.
type Cache[K comparable, V any] struct {
	now func() time.Time
	ttl time.Duration
	max int

	mu      sync.Mutex
	entries map[K]entry[V]
}

type entry[V any] struct {
	value V
	until time.Time
}

// New returns a cache of at most size values, each kept for ttl at the longest.
func New[K comparable, V any](size int, ttl time.Duration, now func() time.Time) *Cache[K, V] {
	return &Cache[K, V]{now: now, ttl: ttl, max: size, entries: map[K]entry[V]{}}
}

// Get returns the value of a key that is kept and not too old.
func (c *Cache[K, V]) Get(key K) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[key]
	if !ok || !c.now().Before(e.until) {
		var none V
		return none, false
	}
	return e.value, true
}

// Put keeps a value. When the cache is full it first drops what is too old,
// and, when everything is fresh, any one value.
func (c *Cache[K, V]) Put(key K, value V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if _, known := c.entries[key]; !known && len(c.entries) >= c.max {
		c.evict(now)
	}
	c.entries[key] = entry[V]{value: value, until: now.Add(c.ttl)}
}

func (c *Cache[K, V]) evict(now time.Time) {
	for k, e := range c.entries {
		if !now.Before(e.until) {
			delete(c.entries, k)
		}
	}
	for k := range c.entries {
		if len(c.entries) < c.max {
			return
		}
		delete(c.entries, k)
	}
}
