package harness

import (
	"maps"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/dynamo"
)

const (
	localDay = time.Second // how long a day lasts on the local engine
	look     = 100 * time.Millisecond
	patience = 5 * time.Minute // in which one of the requests that are played has to end
)

func (o Options) day() time.Duration {
	if o.Local {
		return localDay
	}
	return 24 * time.Hour
}

// PlayLocal does what Play does for requests of worlds on the local engine, one
// in each, all at the same time: most of it is waiting.
func PlayLocal(t testing.TB, requests map[*World]string) {
	t.Helper()
	left, swept, stores := maps.Clone(requests), map[*World]time.Time{}, map[*World]*dynamo.Requests{}
	for w := range requests {
		stores[w] = w.Store(t)
	}
	for ended := time.Now(); len(left) > 0; time.Sleep(look) {
		for w, id := range left {
			r, err := stores[w].Get(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if w.over(t, r) {
				delete(left, w)
				ended = time.Now()
				continue
			}
			if time.Since(ended) > patience {
				t.Fatalf("no request has ended for %v, this one is %s with %d open tasks\n%s", patience, r.State, r.Open, w.Log)
			}
			w.act(t, stores[w], r)
			if time.Since(swept[w]) >= localDay {
				w.Sweep(t)
				swept[w] = time.Now()
			}
		}
	}
}
