package stack

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/avow-consent/avow/scripts/local/emulator"
)

// Reset forgets everything that the stack has kept: data, site and keys. It
// refuses while the stack runs.
func Reset(checkout emulator.Checkout, out io.Writer) error {
	local := paths(checkout.Local())
	lock, err := local.take()
	if err != nil {
		return err
	}
	defer lock.Close()
	saving, err := emulator.Lock(filepath.Join(local.state(), "lock"))
	if errors.Is(err, emulator.ErrLocked) {
		return errors.New("the emulator of an earlier run is still saving its state: try again in a moment")
	}
	if err != nil {
		return err
	}
	defer saving.Close()
	err = os.RemoveAll(local.state())
	for _, path := range []string{local.info(), local.keys(), local.log()} {
		err = errors.Join(err, remove(path))
	}
	if err == nil {
		fmt.Fprintln(out, "Forgotten: data, site and keys. The next `make run` starts afresh.")
	}
	return err
}
