package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/scripts/local/cfn"
	"github.com/avow-consent/avow/scripts/sam/event"
)

// emulateRuntime runs the built binaries under Lambda's runtime emulator, which
// comes with SAM, over every sample event.
func (r *runner) emulateRuntime(ctx context.Context) error {
	emulator, err := output(ctx, r.root, os.Environ(), filepath.Join(r.bin, "python"), "-c",
		"import os, samcli; print(os.path.join(os.path.dirname(samcli.__file__), 'local', 'rapid', 'aws-lambda-rie-"+r.arch+"'))")
	if err != nil {
		return err
	}
	functions := map[string]*runtimeEmulator{}
	for _, f := range r.stack.Functions {
		e, err := r.startRuntime(ctx, emulator, f)
		if err != nil {
			return fmt.Errorf("starting %s: %w", f.ID, err)
		}
		defer e.stop()
		functions[f.Name] = e
	}
	session, answers, err := event.Open(filepath.Join(r.root, "events"))
	if err != nil {
		return err
	}
	r.replies = map[string][]byte{}
	var wrong []error
	for _, a := range answers {
		f := functions[a.Function()]
		if f == nil {
			return fmt.Errorf("%s: the template declares no such function", a.Event)
		}
		if err := r.try(ctx, session, a, f); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", a.Event, err))
		}
	}
	for _, f := range r.stack.Functions {
		wrong = append(wrong, functions[f.Name].logFindings(f.Name)...)
		found, err := rightFindings(r.stack.expanded, f, functions[f.Name].calls.used)
		if slices.Contains(elsewhere, f.ID) {
			found = slices.DeleteFunc(found, func(err error) bool { return !strings.Contains(err.Error(), "does not allow") })
		}
		if err != nil {
			return err
		}
		wrong = append(wrong, found...)
	}
	if err := errors.Join(wrong...); err != nil {
		return fmt.Errorf("%d findings in %d events\n%w", len(wrong), len(answers), err)
	}
	fmt.Printf("  %d events answered as expected; the roles allow what they need and no more; no personal data in the logs\n", len(answers))
	return nil
}

func (r *runner) try(ctx context.Context, session *event.Session, a event.Answer, f *runtimeEmulator) error {
	payload, err := session.Payload(a)
	if err != nil {
		return err
	}
	returned, err := f.invoke(ctx, payload)
	if err != nil {
		return err
	}
	r.replies[a.Event] = returned
	return session.Check(a, returned)
}

// A runtimeEmulator runs one function.
type runtimeEmulator struct {
	*server
	calls *recorder
	url   string
}

func (e *runtimeEmulator) stop() {
	e.server.stop()
	e.calls.close()
}

func (r *runner) startRuntime(ctx context.Context, emulator string, f cfn.Function) (*runtimeEmulator, error) {
	// It listens on every address unless it is told both of its own.
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	api, err := freeAddress()
	if err != nil {
		return nil, err
	}
	env := []string{
		"PATH=/usr/bin:/bin", "AWS_REGION=" + cfn.Region, "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local",
		"AWS_LAMBDA_FUNCTION_NAME=" + f.ID, "AWS_LAMBDA_FUNCTION_TIMEOUT=" + strconv.Itoa(f.Timeout),
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=" + strconv.Itoa(f.Memory),
	}
	calls, err := r.stack.record()
	if err != nil {
		return nil, err
	}
	for name, value := range r.stack.environment(f, calls.url) {
		env = append(env, name+"="+value)
	}
	dir := filepath.Join(r.buildDir(r.arch), f.ID)
	s, err := serve(ctx, dir, filepath.Join(r.work, "rie-"+f.Name+".log"), env, address, emulator,
		"--runtime-interface-emulator-address", address, "--runtime-api-address", api, "./bootstrap")
	if err != nil {
		calls.close()
		return nil, err
	}
	return &runtimeEmulator{server: s, calls: calls, url: "http://" + address + "/2015-03-31/functions/function/invocations"}, nil
}

func (e *runtimeEmulator) invoke(ctx context.Context, payload []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(payload))
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, e.output())
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK || !bytes.HasPrefix(body, []byte("{")) { // a time-out is plain text
		return nil, fmt.Errorf("the runtime answered %d: %.300s\n%s", res.StatusCode, body, e.output())
	}
	return body, nil
}

// personal are texts of the sample events that may stand in no log.
var personal = []string{
	"example.test", "Roca", "Ines", "Kim", "Ruiz", "Mara", "Voss", "cust-88", "cust-89", "visitor-", "198.51.100.", "203.0.113.", "+33",
	"prvExample", "pubExample", "shop.example", "newsletter",
}

func (e *runtimeEmulator) logFindings(name string) []error {
	text, err := os.ReadFile(e.log)
	if err != nil {
		return []error{err}
	}
	var found []error
	for line := range strings.Lines(string(text)) {
		if i := slices.IndexFunc(personal, func(p string) bool { return strings.Contains(line, p) }); i >= 0 {
			found = append(found, fmt.Errorf("the log of %s holds %q: %s", name, personal[i], strings.TrimSpace(line)))
		}
	}
	return found
}
