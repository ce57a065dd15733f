package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/avow-consent/avow/scripts/local/cfn"
	"github.com/avow-consent/avow/scripts/sam/event"
	"github.com/avow-consent/avow/scripts/sam/sample"
)

// invoked are the events that `sam local invoke` runs, one for each function.
var invoked = []string{
	"api/consent_show", "collect/consent_json", "erase/close_access", "project/consent", "requests/keys", "steps/begin_ended", "sweep/bounce",
}

// skipped is the exit code of scripts/sam/docker for "Docker cannot run here".
const skipped = 77

// samLocal runs the functions in containers. Where Docker cannot run, CI fails
// and a user's machine says so in one line.
func (r *runner) samLocal(ctx context.Context) error {
	docker := filepath.Join(r.root, "scripts/sam/docker")
	// What it started is stopped even when the rest was interrupted.
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if _, err := output(ctx, r.root, os.Environ(), docker, "down"); err != nil {
			fmt.Fprintln(os.Stderr, "sam: stopping Docker:", err)
		}
	}()
	err := r.step("Docker and the base image", func() error {
		for _, command := range []string{"up", "image"} {
			if _, err := output(ctx, r.root, os.Environ(), docker, command); err != nil {
				return err
			}
		}
		return nil
	})
	if exitCode(err) == skipped && !r.ci {
		_, reason, _ := strings.Cut(strings.TrimSpace(err.Error()), "sam local: ")
		fmt.Println("sam local:", reason)
		return nil
	}
	if err != nil {
		return err
	}
	bridge, err := output(ctx, r.root, os.Environ(), "docker", "network", "inspect", "bridge", "--format", `{{index .Options "com.docker.network.bridge.name"}}`)
	if err != nil {
		return err
	}
	gateway, err := address(bridge)
	if err != nil {
		return err
	}
	l, err := relay(net.JoinHostPort(gateway, "0"), r.stack.address())
	if err != nil {
		return fmt.Errorf("listening where containers reach it: %w", err)
	}
	defer l.Close()
	r.endpoint = "http://" + l.Addr().String()
	if err := r.writeEnvironment(); err != nil {
		return err
	}
	if err := r.step("sam local invoke", func() error { return r.localInvoke(ctx) }); err != nil {
		return err
	}
	return r.step("sam local start-api", func() error { return r.localAPI(ctx) })
}

func (r *runner) environmentFile() string { return filepath.Join(r.work, "env.json") }

// writeEnvironment says what the template's references are in the emulator:
// SAM knows logical ids only.
func (r *runner) writeEnvironment() error {
	env := map[string]map[string]string{}
	for _, f := range r.stack.Functions {
		env[f.ID] = r.stack.environment(f, r.endpoint)
	}
	text, err := json.MarshalIndent(env, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(r.environmentFile(), text, 0o644)
}

// localFlags are those of every `sam local` command.
func (r *runner) localFlags() []string {
	return []string{
		"--template", filepath.Join(r.buildDir(r.arch), "template.yaml"), "--region", cfn.Region,
		"--parameter-overrides", "Architecture=" + r.arch + " EmulatorUrl=" + r.endpoint, "--env-vars", r.environmentFile(), "--skip-pull-image",
	}
}

// localInvoke runs one event of each function in a container and compares the
// answer with the expected one and with that of the runtime emulator.
func (r *runner) localInvoke(ctx context.Context) error {
	session, answers, err := event.Open(filepath.Join(r.root, "events"))
	if err != nil {
		return err
	}
	for _, a := range answers {
		if !slices.Contains(invoked, a.Event) {
			continue
		}
		payload, err := session.Payload(a)
		if err != nil {
			return err
		}
		file := filepath.Join(r.work, "event.json")
		if err := os.WriteFile(file, payload, 0o644); err != nil {
			return err
		}
		id := r.functionID(a.Function())
		returned, err := r.invoke(ctx, id, file)
		if err != nil {
			return fmt.Errorf("%s: %w", a.Event, err)
		}
		if err := session.Check(a, []byte(returned)); err != nil {
			return fmt.Errorf("%s: %w", a.Event, err)
		}
		if here, there := plain([]byte(returned)), plain(r.replies[a.Event]); here != there {
			return fmt.Errorf("%s: sam local returned\n%s\nthe runtime emulator\n%s", a.Event, here, there)
		}
	}
	fmt.Printf("  %s: as expected, and as under the runtime emulator\n", strings.Join(invoked, ", "))
	return nil
}

// starts is how often a container may fail to start: the function's timeout runs
// while SAM builds its image and the machine is busy, and then nothing is answered.
const starts = 3

// invoke runs one event in a container.
func (r *runner) invoke(ctx context.Context, id, file string) (returned string, err error) {
	for n := range starts {
		var said string
		returned, said, err = outputs(ctx, r.root, r.samEnvironment(), filepath.Join(r.bin, "sam"),
			append([]string{"local", "invoke", id, "--event", file}, r.localFlags()...)...)
		if err != nil || strings.TrimSpace(returned) != "" {
			break
		}
		fmt.Printf("  %s answered nothing at start %d; SAM said:\n%s", id, n+1, tail(said))
	}
	return returned, err
}

func (r *runner) functionID(name string) string {
	for _, f := range r.stack.Functions {
		if f.Name == name {
			return f.ID
		}
	}
	return name
}

var variable = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)

// plain is an answer without the ids and times that differ from call to call.
func plain(returned []byte) string {
	var v any
	if err := json.Unmarshal(returned, &v); err != nil {
		return string(returned)
	}
	text, _ := json.MarshalIndent(v, "", "  ") // sorts the keys
	return variable.ReplaceAllString(string(text), "…")
}

// localAPI posts a consent as a page does and reads it back as a back end does.
func (r *runner) localAPI(ctx context.Context) error {
	address, err := freeAddress()
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	s, err := serve(ctx, r.root, filepath.Join(r.work, "start-api.log"), r.samEnvironment(), address, filepath.Join(r.bin, "sam"),
		append([]string{"local", "start-api", "--host", host, "--port", port, "--warm-containers", "EAGER"}, r.localFlags()...)...)
	if err != nil {
		return err
	}
	defer s.stop()
	c := &caller{base: "http://" + address}
	if err := c.consent(ctx); err != nil {
		return fmt.Errorf("%w\n%s", err, s.output())
	}
	fmt.Println("  a consent posted with the public key came back through the private one; the snippet was served")
	return nil
}

// A caller is a client of the API.
type caller struct{ base string }

const page = `{"subject":{"id":"sam-1","email":"sam@example.test"},"preferences":{"newsletter":true,"profiling":false},` +
	`"legal_notices":[{"identifier":"privacy_policy"}],"proofs":[{"content":"{\"news\":true}","form":"<form id=\"f\"></form>"}]}`

func (c *caller) consent(ctx context.Context) error {
	var ack struct {
		ID        string `json:"id"`
		SubjectID string `json:"subject_id"`
	}
	if err := c.call(ctx, http.MethodPost, "/public/consent", sample.PublicKey, page, &ack); err != nil {
		return err
	}
	var record struct {
		ID, Source   string
		Subject      struct{ ID string }
		Preferences  map[string]bool
		LegalNotices []struct{ Identifier string } `json:"legal_notices"`
		Proofs       []struct{ Content, Form string }
	}
	if err := c.call(ctx, http.MethodGet, "/consent/"+ack.ID+"?subject_id=sam-1", sample.PrivateKey, "", &record); err != nil {
		return err
	}
	var decision struct {
		Granted bool
		Reason  string
	}
	if err := c.call(ctx, http.MethodGet, "/decide?subject_id=sam-1&preference=newsletter", sample.PrivateKey, "", &decision); err != nil {
		return err
	}
	switch {
	case ack.SubjectID != "sam-1" || record.ID != ack.ID || record.Subject.ID != "sam-1" || record.Source != "public":
		return fmt.Errorf("posted %+v, read back %+v", ack, record)
	case !record.Preferences["newsletter"] || record.Preferences["profiling"] || len(record.Preferences) != 2:
		return fmt.Errorf("preferences read back: %+v", record.Preferences)
	case len(record.LegalNotices) != 1 || record.LegalNotices[0].Identifier != "privacy_policy":
		return fmt.Errorf("notices read back: %+v", record.LegalNotices)
	case len(record.Proofs) != 1 || record.Proofs[0].Content != `{"news":true}` || record.Proofs[0].Form != `<form id="f"></form>`:
		return fmt.Errorf("proofs read back: %+v", record.Proofs)
	case !decision.Granted:
		return fmt.Errorf("decided %+v", decision)
	}
	// The public key opens nothing but its own path, and the snippet needs none.
	if err := c.call(ctx, http.MethodGet, "/consent/"+ack.ID, sample.PublicKey, "", nil); err == nil || !strings.Contains(err.Error(), "403") {
		return fmt.Errorf("reading with the public key: %v, want 403", err)
	}
	return c.call(ctx, http.MethodGet, "/avow.js", "", "", nil)
}

func (c *caller) call(ctx context.Context, method, path, key, body string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	if key != "" {
		req.Header.Set("ApiKey", key)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %d %.300s", method, path, res.StatusCode, answer)
	}
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(bytes.NewReader(answer)).Decode(into); err != nil {
		return errors.Join(fmt.Errorf("%s %s: %.300s", method, path, answer), err)
	}
	return nil
}
