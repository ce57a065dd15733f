package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseBenchmarks(t *testing.T) {
	t.Parallel()
	got := parseBenchmarks([]byte(`goos: linux
BenchmarkPack
BenchmarkPack/emulator/1000-2         	       1	2587544511 ns/op	   0.25 MB/s	        16.48 peak-MB	      1001 records
    figures_test.go:143: a line of a log
BenchmarkCertificate 	       5	100 ns/op
PASS
`))
	want := map[string]metrics{
		"Pack/emulator/1000": {"ns/op": 2587544511, "MB/s": 0.25, "peak-MB": 16.48, "records": 1001},
		"Certificate":        {"ns/op": 100},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
