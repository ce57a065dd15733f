package main

import (
	"os"
	"testing"
)

// What is deployed stays small, with every connector in it.
func TestArchives(t *testing.T) {
	if testing.Short() {
		t.Skip("runs with make test-full")
	}
	t.Chdir("../..") // where the functions are
	functions, err := os.ReadDir("functions")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range functions {
		size, err := archive(t.Context(), t.TempDir(), f.Name())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %.2f MB", f.Name(), float64(size)/1e6)
		if size > most(f.Name()) {
			t.Errorf("the zip of %s has %d bytes, more than %d", f.Name(), size, most(f.Name()))
		}
	}
}
