package connector_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	busy := errs.New(errs.Unavailable, "refdesk GET /users/search: 429")
	for name, tt := range map[string]struct {
		err   error
		after time.Duration
		ok    bool
	}{
		"none":     {nil, 0, false},
		"not said": {busy, 0, false},
		"said":     {connector.Later(time.Minute, busy), time.Minute, true},
		"wrapped":  {fmt.Errorf("locating: %w", connector.Later(time.Hour, busy)), time.Hour, true},
		"at once":  {connector.Later(-time.Second, busy), 0, true},
	} {
		if after, ok := connector.RetryAfter(tt.err); after != tt.after || ok != tt.ok {
			t.Errorf("%s: %v, %v", name, after, ok)
		}
		if tt.err != nil && (!errs.Is(tt.err, errs.Unavailable) || !errors.Is(tt.err, busy)) {
			t.Errorf("%s: the cause is lost", name)
		}
	}
	if connector.Later(time.Second, nil) != nil {
		t.Error("an error out of none")
	}
}
