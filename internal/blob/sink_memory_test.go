package blob_test

import (
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/blob"
)

// A step needs the same memory for 300 MB as for 30.
func TestSink_memory(t *testing.T) {
	env := awstest.New(t)
	s := blob.NewPackages(env.Config, env.Getenv("PACKAGES_BUCKET")) // faulty remembers what is sent
	size, records := int64(300<<20), 500_000
	if testing.Short() {
		size, records = 30<<20, 50_000
	}
	const goal = 32 << 20
	idle := resident()
	var peak atomic.Int64
	stop, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
				peak.Store(max(peak.Load(), resident()))
			}
		}
	}()
	k, err := s.Sink(t.Context(), "r", "desk", 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range records {
		if err := k.Record("messages", map[string]any{"id": i, "text": fmt.Sprintf("message %d of a long conversation with some words in it", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.File(t.Context(), "film.mp4", "video/mp4", io.LimitReader(endless{}, size)); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(stop)
	<-watched
	over := peak.Load() - idle
	t.Logf("%d records and a file of %d MB: peak %.1f MB over idle", records, size>>20, float64(over)/(1<<20))
	if over > goal {
		t.Errorf("%d bytes over idle, want at most %d", over, goal)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func resident() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
