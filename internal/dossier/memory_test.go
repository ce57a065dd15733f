package dossier

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"time"
)

// A package of a million records needs no more memory than one of a few.
func TestBuild_memory(t *testing.T) {
	records := 1_000_000
	if testing.Short() {
		records = 100_000
	}
	const goal = 32 << 20
	s := newSynthetic(records, 10_000)
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
	start := time.Now()
	result, err := (&Builder{Store: s, Now: clock}).Build(t.Context(), input(s.chunks))
	took := time.Since(start)
	close(stop)
	<-watched
	if err != nil || !result.Done {
		t.Fatalf("%+v, %v", result, err)
	}
	read := int64(s.chunks * len(s.chunk))
	t.Logf("%d records, %d MB of records into %d MB in %v: %d MB/s, peak %.1f MB over idle", records, read>>20, result.Package.Bytes>>20,
		took.Round(time.Millisecond), int64(float64(read)/took.Seconds())>>20, float64(peak.Load()-idle)/(1<<20))
	if over := peak.Load() - idle; over > goal {
		t.Errorf("%d bytes over idle, want at most %d", over, goal)
	}
}

// resident is what the heap and the stacks hold from the system now.
func resident() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

func init() { debug.FreeOSMemory() }

func TestBuild_whole(t *testing.T) {
	t.Parallel()
	s := newSynthetic(6_000, 1_000)
	s.keep = true
	result, err := (&Builder{Store: s, Now: clock}).Build(t.Context(), input(s.chunks))
	if err != nil || !result.Done {
		t.Fatalf("%+v, %v", result, err)
	}
	all := s.all()
	if int64(len(all)) != result.Package.Bytes {
		t.Errorf("%d bytes, want %d", len(all), result.Package.Bytes)
	}
	z, err := zip.NewReader(bytes.NewReader(all), int64(len(all)))
	if err != nil {
		t.Fatal(err)
	}
	f, err := z.Open("data/desk.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []json.RawMessage
	if err := json.NewDecoder(f).Decode(&list); err != nil || len(list) != 6_000 {
		t.Errorf("%d records, %v", len(list), err)
	}
}

// BenchmarkBuild is how fast records become a package, without the network.
func BenchmarkBuild(b *testing.B) {
	s := newSynthetic(100_000, 10_000)
	b.SetBytes(int64(s.chunks * len(s.chunk)))
	b.ReportAllocs()
	for b.Loop() {
		s.state = nil
		if result, err := (&Builder{Store: s, Now: clock}).Build(b.Context(), input(s.chunks)); err != nil || !result.Done {
			b.Fatalf("%+v, %v", result, err)
		}
	}
}
