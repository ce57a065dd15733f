package edge

import (
	"sync"
	"time"
)

// A Throttle is a token bucket: Rate tokens come in per second, up to Burst, and each request takes one.
type Throttle struct {
	Rate  float64
	Burst int
}

type throttles struct {
	limits map[string]Throttle

	mu      sync.Mutex
	buckets map[string]*bucket
}

type bucket struct {
	tokens float64
	last   time.Time
}

func newThrottles(limits map[string]Throttle) *throttles {
	return &throttles{limits: limits, buckets: map[string]*bucket{}}
}

// allow takes a token of the route, if there is one.
func (t *throttles) allow(routeKey string, now time.Time) bool {
	limit, ok := t.limits[routeKey]
	if !ok {
		limit = t.limits[""]
	}
	if limit.Rate == 0 {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.buckets[routeKey]
	if b == nil {
		b = &bucket{tokens: float64(limit.Burst), last: now}
		t.buckets[routeKey] = b
	}
	if since := now.Sub(b.last); since > 0 {
		b.tokens = min(b.tokens+since.Seconds()*limit.Rate, float64(limit.Burst))
		b.last = now
	}
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
