package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"

	"github.com/avow-consent/avow/internal/snippet"
	"github.com/avow-consent/avow/internal/snippet/build"
)

// metrics is what one benchmark has measured, by unit ("ns/op").
type metrics map[string]float64

var processors = regexp.MustCompile(`-\d+$`) // at the end of a benchmark's name

// benchmark runs benchmarks that stand beside the code they measure, by name
// without "Benchmark". One that printed nothing is an error.
func benchmark(ctx context.Context, pkg, pattern, benchtime string, names ...string) (map[string]metrics, error) {
	out, err := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", pattern, "-benchtime", benchtime, "-timeout", "30m", pkg).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("go test -bench %s: %w\n%s", pattern, err, out)
	}
	all := parseBenchmarks(out)
	for _, name := range names {
		if all[name] == nil {
			return nil, fmt.Errorf("go test -bench %s printed no %s:\n%s", pattern, name, out)
		}
	}
	return all, nil
}

// parseBenchmarks reads lines such as "BenchmarkPack/x-2  1  123 ns/op  4 MB/s".
func parseBenchmarks(out []byte) map[string]metrics {
	all := map[string]metrics{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		m := metrics{}
		for i := 2; i+1 < len(fields); i += 2 {
			if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
				m[fields[i+1]] = v
			}
		}
		all[processors.ReplaceAllString(strings.TrimPrefix(fields[0], "Benchmark"), "")] = m
	}
	return all
}

// consentWork prints what collect itself does for a consent.
func consentWork(ctx context.Context) error {
	all, err := benchmark(ctx, "./internal/collect", "^BenchmarkConsent$", "3s", "Consent")
	if err != nil {
		return err
	}
	m := all["Consent"]
	row("collect's own work per consent, AWS stubbed at the interface",
		fmt.Sprintf("%.0f ns of CPU, %.0f allocations, %.0f B", m["cpu-ns/op"], m["allocs/op"], m["B/op"]), "at most 100 µs")
	return nil
}

func snippetSize() error {
	core := build.Scripts()[0]
	row(core.Name+" minified and gzipped", fmt.Sprintf("%d B", build.GzipSize(snippet.Source())), fmt.Sprintf("at most %d B", core.Goal))
	return nil
}
