package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/avow-consent/avow/scripts/local/emulator"
)

// Info describes a running stack to scripts, tests and people: .local/stack.json.
type Info struct {
	API        string            `json:"api"`  // base URL
	Demo       string            `json:"demo"` // page
	PublicKey  string            `json:"publicKey"`
	PrivateKey string            `json:"privateKey"`
	RoleKeys   map[string]string `json:"roleKeys"` // by role: viewer, operator, officer, admin
	Site       string            `json:"site"`
	TokenKey   TokenKey          `json:"tokenKey"`
	Mail       string            `json:"mail"`      // page of the letters; ?format=json lists them
	Fakes      map[string]string `json:"fakes"`     // servers that stand for vendors, by name
	Endpoints  map[string]string `json:"endpoints"` // of the AWS services
	Tables     map[string]string `json:"tables"`    // EVENTS_TABLE and the rest of the functions' environment
	PID        int               `json:"pid"`
}

// Site is what the demo and scripts act for: .local/keys.json.
type Site struct {
	ID         string            `json:"site"`
	PublicKey  string            `json:"publicKey"`
	PrivateKey string            `json:"privateKey"`
	RoleKeys   map[string]string `json:"roleKeys"`
	TokenKey   TokenKey          `json:"tokenKey"`
}

// TokenKey is what the site's back end signs subject tokens with.
type TokenKey struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
}

// paths are the files that the stack keeps in .local.
type paths string

func (p paths) lock() string  { return filepath.Join(string(p), "run.lock") }
func (p paths) info() string  { return filepath.Join(string(p), "stack.json") }
func (p paths) keys() string  { return filepath.Join(string(p), "keys.json") }
func (p paths) ports() string { return filepath.Join(string(p), "ports.json") }
func (p paths) state() string { return filepath.Join(string(p), "state") }
func (p paths) log() string   { return filepath.Join(string(p), "run.log") }

// letters lie with the state: they go with it.
func (p paths) letters() string { return filepath.Join(p.state(), "letters.json") }

// fake is where a fake's state lies: with the emulator's, so that it goes with it.
func (p paths) fake(name string) string { return filepath.Join(p.state(), "fakes", name+".json") }

// take gives the lock that one stack per checkout holds.
func (p paths) take() (*os.File, error) {
	lock, err := emulator.Lock(p.lock())
	if !errors.Is(err, emulator.ErrLocked) {
		return lock, err
	}
	var running Info
	if readJSON(p.info(), &running) == nil && running.API != "" {
		return nil, fmt.Errorf("the local stack of this checkout is running already, at %s: stop it there with Ctrl-C first", running.API)
	}
	return nil, errors.New("the local stack of this checkout is just starting or stopping: wait a moment")
}

func endpoints(url string, m *machines) map[string]string {
	all := map[string]string{
		"dynamodb": url, "dynamodbstreams": url, "kms": url, "s3": url, "secretsmanager": url, "sesv2": url, "sqs": url,
	}
	if engine := m.url(); engine != "" {
		all["sfn"] = engine
	}
	return all
}

// announce says what the person who typed `make run` needs next.
func announce(out io.Writer, i Info, day time.Duration) {
	var roles, vendors, answer strings.Builder
	if day < 24*time.Hour {
		fmt.Fprintf(&answer, "\nA day lasts %s in policies and deadlines: a month is over in %s.\n", day, 30*day)
	}
	for _, role := range slices.Sorted(maps.Keys(i.RoleKeys)) {
		fmt.Fprintf(&roles, "  %-12s %s    %s\n", strings.ToUpper(role[:1])+role[1:]+" key", i.RoleKeys[role], mayDo[role])
	}
	for _, name := range slices.Sorted(maps.Keys(i.Fakes)) {
		fmt.Fprintf(&vendors, "  %-17s  %s/_fake/state    what this vendor's stand-in holds; /_fake/calls: what it was asked\n", name, i.Fakes[name])
	}
	if len(i.RoleKeys) > 0 {
		fmt.Fprintf(&answer, `
Answer a request: ada asks for her data, proves who she is by the link in her letter (%[2]s), and an
officer approves the plan by its digest. README.md goes on, and erases somebody everywhere.

  curl -s %[1]s/public/requests -H 'ApiKey: %[3]s' -H 'Content-Type: application/json' -d '{"type":"access","email":"ada@example.com"}'
  curl -s %[1]s/requests -H 'ApiKey: %[4]s'
  curl -s %[1]s/requests/ID/plan -H 'ApiKey: %[4]s'
  curl -s %[1]s/requests/ID/approve -H 'ApiKey: %[4]s' -H 'Content-Type: application/json' -d '{"digest":"DIGEST"}'
`, i.API, i.Mail, i.PublicKey, i.RoleKeys["officer"])
	}
	fmt.Fprintf(out, `
Avow is running; Ctrl-C stops it. Its data stays in .local until `+"`make reset`"+`.

  Demo page    %[2]s
  Letters      %[5]s    what Avow has mailed
  API          %[1]s
  Public key   %[3]s    for web pages: it can only post consents and requests
  Private key  %[4]s    for the back end: the consent API
%[6]s%[8]s  Log          .local/run.log

Post a consent as a web page does, read it back, list all:

  curl -s %[1]s/public/consent -H 'ApiKey: %[3]s' -H 'Content-Type: application/json' -d '{"subject":{"id":"ada","email":"ada@example.com"},"preferences":{"newsletter":true}}'
  curl -s %[1]s/subjects/ada/consent/last -H 'ApiKey: %[4]s'
  curl -s %[1]s/consent -H 'ApiKey: %[4]s'
%[7]s
`, i.API, i.Demo, i.PublicKey, i.PrivateKey, i.Mail, roles.String(), answer.String(), vendors.String())
}

// mayDo says what the person of a role key may do.
var mayDo = map[string]string{
	"viewer": "reads requests", "operator": "opens requests, works on tasks",
	"officer": "approves, refuses, releases", "admin": "all that, and sites, keys, systems",
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// writeJSON replaces the file as a whole; only its owner may read it.
func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return replace(path, append(b, '\n'))
}

// replace writes a file so that a crash leaves the old one or the new one.
func replace(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
