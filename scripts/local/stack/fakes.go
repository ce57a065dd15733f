package stack

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Fake is a server that stands for a vendor. Its state is kept like the
// emulator's: what was deleted there must not be back after a restart.
type Fake interface {
	http.Handler
	Save() ([]byte, error)
	Restore([]byte) error
	Served() int // calls so far: nothing changes without one
}

// vendors keeps the fakes' states while the stack runs, because it may be killed.
type vendors struct {
	local paths
	fakes map[string]Fake
	saved map[string]int // Served at the last time
	ended chan struct{}
	done  sync.WaitGroup
}

// keptEvery bounds what a killed stack forgets of its vendors.
const keptEvery = time.Second

// restore gives the fakes back what they held, and keeps it from then on. A
// state that cannot be read is that of another version: the fake begins anew.
func restore(local paths, fakes map[string]Fake) *vendors {
	v := &vendors{local: local, fakes: fakes, saved: map[string]int{}, ended: make(chan struct{})}
	for name, fake := range fakes {
		text, err := os.ReadFile(local.fake(name))
		if err == nil {
			err = fake.Restore(text)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			slog.Warn("a vendor begins anew", "vendor", name, "error", err)
		}
	}
	v.done.Go(v.run)
	return v
}

func (v *vendors) run() {
	ticks := time.NewTicker(keptEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
			v.keep()
		case <-v.ended:
			v.keep()
			return
		}
	}
}

func (v *vendors) keep() {
	for name, fake := range v.fakes {
		served := fake.Served()
		if served == v.saved[name] {
			continue
		}
		text, err := fake.Save()
		if err == nil {
			err = errors.Join(os.MkdirAll(filepath.Dir(v.local.fake(name)), 0o700), replace(v.local.fake(name), text))
		}
		if err != nil {
			slog.Warn("a vendor was not kept", "vendor", name, "error", err)
			continue
		}
		v.saved[name] = served
	}
}

// stop saves for the last time.
func (v *vendors) stop() {
	close(v.ended)
	v.done.Wait()
}
