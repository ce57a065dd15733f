package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/avow-consent/avow/internal/asl"
	"github.com/avow-consent/avow/internal/request"
)

// requestFigures prints what data-subject requests cost. The figures that do not
// depend on the machine are asserted by the tests that stand beside the
// benchmarks; large adds the exports of 100,000 and a million records.
func requestFigures(ctx context.Context, large bool) error {
	names := []string{"History/month", "History/operation", "Certificate/calls", "Certificate/engine"}
	whole, err := benchmark(ctx, "./internal/harness", "^Benchmark(History|Certificate)$", "3x", names...)
	if err != nil {
		return err
	}
	if err := histories(ctx, whole["History/month"]); err != nil {
		return err
	}
	if err := operations(ctx, whole["History/operation"]); err != nil {
		return err
	}
	m := whole["Certificate/calls"]
	row("approval to certificate, the ledger alone",
		fmt.Sprintf("%.0f calls, %.0f invocations, %.0f s of pauses", m["calls"], m["invocations"], m["pause-s"]), "at most 100 and 6")
	row("the same through the local engine", fmt.Sprintf("%.1f s", whole["Certificate/engine"]["ns/op"]/1e9), "printed")
	return exports(ctx, large)
}

const day = 24 * time.Hour

// histories prints what Step Functions bills: first of the real functions, as
// measured, then of stubs that take their time.
func histories(ctx context.Context, m metrics) error {
	row("erasure over 5 systems, 30 days, 3 looks, real functions",
		fmt.Sprintf("%.0f transitions, %.2f US cents, %.0f events", m["transitions"], m["cents"], m["events"]), "at most 1 US cent")
	text := map[string]string{}
	for _, machine := range []string{"request", "system"} {
		b, err := os.ReadFile(filepath.Join("statemachines", machine+".asl.json"))
		if err != nil {
			return err
		}
		text[machine] = string(b)
	}
	for _, s := range scenarios() {
		var dearest asl.Figures
		for _, kind := range s.types {
			s.Type = kind
			f, err := s.Play(ctx, text["request"], text["system"])
			if err != nil {
				return err
			}
			if f.Transitions > dearest.Transitions {
				dearest = f
			}
		}
		row(s.figure, fmt.Sprintf("%d transitions, %.2f US cents, %d events", dearest.Transitions, 100*dearest.Dollars(asl.TransitionPrice), dearest.Events), s.goal)
	}
	return nil
}

// scenario is a request over stubs; of several types the dearest is printed.
type scenario struct {
	figure, goal string
	types        []request.Type
	asl.Scenario
}

func scenarios() []scenario {
	usual := func(fifth asl.SystemTimes) asl.Scenario {
		return asl.Scenario{Policy: request.Defaults(), Identity: 2 * time.Hour, Approval: 2 * day,
			Stages: [][]asl.SystemTimes{{{}, {Works: 4 * time.Hour}, fifth}, {{}}, {{}}}}
	}
	slow := func(systems int, works time.Duration) asl.Scenario {
		stage := make([]asl.SystemTimes, systems)
		for i := range stage {
			stage[i].Works = works
		}
		return asl.Scenario{Policy: request.Defaults(), Identity: 13 * day, Approval: 30 * day, Stages: [][]asl.SystemTimes{stage}}
	}
	return []scenario{
		{"the dearest type over 5 systems, one by a job of 3 days", "at most 1 US cent", request.Types, usual(asl.SystemTimes{Works: 3 * day})},
		{"the dearest type over 5 systems, one by hand after a week", "at most 1 US cent", request.Types, usual(asl.SystemTimes{Asks: 7 * day})},
		{"erasure over 5 systems, all polled for 30 days", "printed", []request.Type{request.Erasure}, slow(5, 30*day)},
		{"erasure over 10 systems, all polled for 90 days", "events below 25000", []request.Type{request.Erasure}, slow(10, 90*day)},
	}
}

// operations prints what one operation on one system costs beside the system's
// own work: what its execution takes, as measured, and what the runner asks of
// AWS.
func operations(ctx context.Context, execution metrics) error {
	all, err := benchmark(ctx, "./internal/request", "^BenchmarkAdvance$", "200x", "Advance/export", "Advance/erase", "Advance/look")
	if err != nil {
		return err
	}
	for _, name := range []string{"export", "erase", "look"} {
		m := all["Advance/"+name]
		row("overhead of an operation on an instant system: "+name,
			fmt.Sprintf("%.0f calls, %.0f WU, %.1f ms (emulator)", m["calls/op"], m["units/op"], m["ns/op"]/1e6), "6 calls, at most 12 WU")
	}
	row("its execution", fmt.Sprintf("%.0f transitions, %.0f events", execution["transitions"], execution["events"]), "at most 7 and 15")
	return nil
}

// exports prints what the package of a person takes, from locating them on: from
// the emulator's tables, then from a pager that makes events up. The package is
// written to the emulator's bucket.
func exports(ctx context.Context, large bool) error {
	pattern, names := "^BenchmarkPack$/./^1000$", []string{"emulator/1000", "synthetic/1000"}
	if large {
		pattern, names = "^BenchmarkPack$", []string{"emulator/1000", "emulator/100000", "synthetic/1000", "synthetic/100000", "synthetic/1000000"}
	}
	var wanted []string
	for _, name := range names {
		wanted = append(wanted, "Pack/"+name)
	}
	all, err := benchmark(ctx, "./internal/connector/ledger", pattern, "1x", wanted...)
	if err != nil {
		return err
	}
	for _, name := range names {
		m := all["Pack/"+name]
		row(fmt.Sprintf("export and package of %.0f records (%s)", m["records"], filepath.Dir(name)),
			fmt.Sprintf("peak %.1f MB over idle, %.2f MB/s", m["peak-MB"], m["MB/s"]), "at most 32 MB, flat")
	}
	return nil
}
