package emulator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// ErrLocked means that another process holds the lock.
var ErrLocked = errors.New("locked by another process")

// Lock takes the lock file, or gives ErrLocked at once. The lock is held until
// the file is closed, also by the death of its holder, and by every process
// that inherited the file.
func Lock(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrLocked
		}
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return f, nil
}

// awaitLock waits until the lock is free. It says so once, with what the holder
// left in the file.
func awaitLock(ctx context.Context, path string, waiting func(holder string)) (*os.File, error) {
	said := false
	for {
		f, err := Lock(path)
		if !errors.Is(err, ErrLocked) {
			return f, err
		}
		if !said {
			holder, _ := os.ReadFile(path)
			waiting(strings.TrimSpace(string(holder)))
			said = true
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for %s: %w", filepath.Base(path), ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}
