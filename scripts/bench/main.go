// Command bench measures what the project promises and prints each figure
// beside its goal: make bench. Figures that do not depend on the machine are
// asserted by the tests too; times are only printed.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	records := flag.Int("records", 100_000, "records of the large site; 0 leaves the comparison of sites and the large exports out")
	flag.Parse()
	if err := run(ctx, *records); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, records int) error {
	dir, err := os.MkdirTemp("", "avow-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	row("figure", "measured", "goal")
	if err := consentWork(ctx); err != nil {
		return err
	}
	if err := sizes(ctx, dir); err != nil {
		return err
	}
	if err := starts(ctx, dir); err != nil {
		return err
	}
	if err := snippetSize(); err != nil {
		return err
	}
	if err := calls(ctx); err != nil {
		return err
	}
	if err := requestFigures(ctx, records > 0); err != nil {
		return err
	}
	if records == 0 {
		return nil
	}
	return scale(ctx, records)
}

func row(figure, measured, goal string) { fmt.Printf("%-62s %-48s %s\n", figure, measured, goal) }

// sizes prints the archives that are deployed.
func sizes(ctx context.Context, dir string) error {
	functions, err := os.ReadDir("functions")
	if err != nil {
		return err
	}
	for _, f := range functions {
		size, err := archive(ctx, dir, f.Name())
		if err != nil {
			return err
		}
		row("zip of "+f.Name()+", arm64", fmt.Sprintf("%.2f MB", float64(size)/1e6), fmt.Sprintf("at most %d MB", most(f.Name())/1_000_000))
	}
	return nil
}

// starts times a cold collect, from exec to its first answer, and measures its
// memory after 10,000 consents.
func starts(ctx context.Context, dir string) error {
	const tries, consents = 15, 10_000
	binary, err := buildFunction(ctx, dir, "collect", "")
	if err != nil {
		return err
	}
	aws := stubAWS()
	defer aws.Close()
	var times []time.Duration
	for range tries {
		began := time.Now()
		p, err := start(binary, stubEnv(aws.URL))
		if err != nil {
			return err
		}
		err = post(ctx, p, 1)
		times = append(times, time.Since(began))
		p.stop()
		if err != nil {
			return err
		}
	}
	slices.Sort(times)
	row("start of collect, exec to first answer (AWS stubbed)",
		fmt.Sprintf("median %d ms, worst %d ms of %d", times[tries/2].Milliseconds(), times[tries-1].Milliseconds(), tries), "60 ms")

	p, err := start(binary, stubEnv(aws.URL))
	if err != nil {
		return err
	}
	defer p.stop()
	began := time.Now()
	if err := post(ctx, p, consents); err != nil {
		return err
	}
	row("collect with SDK and runtime, AWS stubbed over HTTP", fmt.Sprintf("%d µs per consent", time.Since(began).Microseconds()/consents), "printed")
	row("memory of collect after 10,000 consents", fmt.Sprintf("%.1f MB", float64(p.resident())/1e6), "at most 40 MB")
	return nil
}

func post(ctx context.Context, p *process, n int) error {
	for i := range n {
		answer, err := p.api.invoke(ctx, consentEvent(i))
		if err != nil {
			return err
		}
		if !strings.Contains(string(answer), `"statusCode":200`) {
			return errors.New("collect answered " + string(answer))
		}
	}
	return nil
}

// consentEvent is the consent of the demo page, of another person each time.
func consentEvent(i int) []byte {
	form := "<form>" + strings.Repeat(`<label><input type="checkbox" name="newsletter"> I would like to hear from you</label>`, 20) + "</form>"
	body, _ := json.Marshal(map[string]any{
		"subject":       map[string]any{"email": fmt.Sprintf("person%d@example.test", i), "first_name": "Ines", "last_name": "Roca"},
		"preferences":   map[string]any{"newsletter": true, "profiling": false, "terms": true},
		"legal_notices": []any{map[string]any{"identifier": "privacy_policy"}, map[string]any{"identifier": "terms"}},
		"proofs":        []any{map[string]any{"content": `{"email":"person@example.test","newsletter":true}`, "form": form}},
	})
	event, _ := json.Marshal(map[string]any{
		"version": "2.0", "routeKey": "POST /public/{proxy+}", "rawPath": "/public/consent",
		"headers": map[string]string{
			"apikey": "bench", "content-type": "application/json",
			"idempotency-key": uuid.Must(uuid.NewV7()).String(), "origin": "https://shop.example",
		},
		"requestContext": map[string]any{
			"http":      map[string]any{"method": "POST", "path": "/public/consent", "sourceIp": "203.0.113.7"},
			"requestId": "bench", "stage": "$default", "domainName": "api.example.test",
		},
		"body": string(body),
	})
	return event
}
