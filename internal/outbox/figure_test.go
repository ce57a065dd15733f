package outbox_test

import (
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/outbox"
)

func TestPercentile(t *testing.T) {
	t.Parallel()
	hundred := []time.Duration{}
	for i := 100; i > 0; i-- {
		hundred = append(hundred, time.Duration(i))
	}
	for _, c := range []struct {
		list []time.Duration
		p    int
		want time.Duration
	}{{nil, 50, 0}, {[]time.Duration{7}, 50, 7}, {[]time.Duration{9, 7}, 50, 7}, {[]time.Duration{9, 7}, 99, 9}, {hundred, 50, 50}, {hundred, 99, 99}, {hundred, 100, 100}} {
		if got := outbox.Percentile(c.list, c.p); got != c.want {
			t.Errorf("percentile %d of %d: %d, want %d", c.p, len(c.list), got, c.want)
		}
	}
}
