package emulator

import (
	"errors"
	"os"
	"path/filepath"
)

// Checkout is a working copy of the repository.
type Checkout struct{ Root string }

// FindCheckout gives the checkout around the working directory.
func FindCheckout() (Checkout, error) {
	dir, err := os.Getwd()
	if err != nil {
		return Checkout{}, err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "template.yaml")); err == nil {
			return Checkout{Root: dir}, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return Checkout{}, errors.New("no template.yaml in this directory or above it: run this inside the checkout")
		}
		dir = parent
	}
}

// Local is the directory of everything that a machine makes for itself; git
// ignores it.
func (c Checkout) Local() string { return filepath.Join(c.Root, ".local") }
