// Command systems checks systems.json and puts it, and the credentials of the
// systems that it names, where the functions read them. See systems help.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/avow-consent/avow/internal/office"
	"github.com/avow-consent/avow/internal/secret"
	"github.com/avow-consent/avow/internal/settings"
	"github.com/avow-consent/avow/internal/setup"
	"github.com/avow-consent/avow/scripts/site/admin"
	"github.com/avow-consent/avow/scripts/stackenv"
)

const help = `usage: go run ./scripts/systems [-outputs FILE | -local FILE] COMMAND

Commands:
  check FILE     say what is wrong with a systems.json; changes nothing
  put FILE       check it, then make it the stack's: functions follow within half a minute
  show           print the stack's systems.json
  secret SYSTEM  keep the credentials of a system of the stack, read from standard input;
                 what was kept before is replaced, and functions follow within half a minute
A FILE of - is standard input. The format: docs/connectors/systems.md.

` + stackenv.Help

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdin, os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "systems:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, in io.Reader, out io.Writer, args []string) error {
	flags := flag.NewFlagSet("systems", flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(out, help) }
	flags.SetOutput(out)
	outputs := flags.String("outputs", "", "")
	local := flags.String("local", stackenv.Local, "")
	if err := flags.Parse(args); err != nil {
		return nil // the flag package has said it
	}
	t := tool{in: in, out: out, open: func() (*store, error) { return open(ctx, *outputs, *local) }}
	switch command, operand := flags.Arg(0), flags.Arg(1); {
	case command == "" || command == "help":
		fmt.Fprint(out, help)
		return nil
	case command == "show" && flags.NArg() == 1:
		return t.show(ctx)
	case flags.NArg() != 2:
		return fmt.Errorf("see go run ./scripts/systems help")
	case command == "check":
		_, err := t.check(operand)
		return err
	case command == "put":
		return t.put(ctx, operand)
	case command == "secret":
		return t.secret(ctx, operand)
	}
	return fmt.Errorf("there is no command %q: see go run ./scripts/systems help", flags.Arg(0))
}

// store is where a stack keeps its configuration.
type store struct {
	*secret.Store
	desk    *office.Desk
	systems string // the secret with systems.json
	prefix  string // of the systems' own secrets
}

func open(ctx context.Context, outputs, local string) (*store, error) {
	cfg, getenv, err := stackenv.Open(ctx, outputs, local)
	if err != nil {
		return nil, err
	}
	desk, err := admin.NewDesk(cfg, getenv, time.Now)
	if err != nil {
		return nil, err
	}
	s := &store{secret.NewStore(cfg), desk, getenv("SYSTEMS_SECRET"), getenv("SYSTEM_SECRET_PREFIX")}
	if s.systems == "" || s.prefix == "" {
		return nil, errors.New("the stack has no secret for systems.json: update it first")
	}
	return s, nil
}

type tool struct {
	in   io.Reader
	out  io.Writer
	open func() (*store, error)
}

// check reads a file, says what is wrong with it, and warns.
func (t tool) check(file string) ([]byte, error) {
	text, err := t.read(file)
	if err != nil {
		return nil, err
	}
	warnings, err := setup.CheckSystems(text, time.Now())
	if err != nil {
		return nil, err
	}
	for _, warning := range warnings {
		fmt.Fprintln(t.out, "warning:", warning)
	}
	s, err := settings.Parse(text)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(t.out, "systems.json is fine: %d systems\n", len(s.Systems))
	return text, nil
}

func (t tool) read(file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(t.in)
	}
	return os.ReadFile(file)
}

func (t tool) put(ctx context.Context, file string) error {
	text, err := t.check(file)
	if err != nil {
		return err
	}
	s, err := t.open()
	if err != nil {
		return err
	}
	_, version, err := s.Current(ctx, s.systems)
	if err != nil {
		return err
	}
	if err := s.desk.Note(ctx, admin.Script, office.Stack, office.PutSystems, office.Systems(text, version)); err != nil {
		return err
	}
	if err := s.Replace(ctx, s.systems, text, version); err != nil {
		return err
	}
	fmt.Fprintln(t.out, "put; functions follow within half a minute")
	return nil
}

func (t tool) show(ctx context.Context) error {
	s, err := t.open()
	if err != nil {
		return err
	}
	text, err := s.Value(ctx, s.systems)
	if err != nil {
		return err
	}
	var pretty bytes.Buffer
	if json.Indent(&pretty, text, "", "  ") != nil {
		pretty.Reset()
		pretty.Write(text)
	}
	fmt.Fprintln(t.out, pretty.String())
	return nil
}

// secret keeps a system's credentials. They are read from standard input, so
// that they stand neither in the shell's history nor in the list of processes.
func (t tool) secret(ctx context.Context, system string) error {
	s, err := t.open()
	if err != nil {
		return err
	}
	text, err := s.Value(ctx, s.systems)
	if err != nil {
		return err
	}
	parsed, err := settings.Parse(text)
	if err != nil {
		return err
	}
	one, ok := parsed.System(system)
	switch {
	case !ok:
		return fmt.Errorf("the stack's systems.json has no system %q: put it first", system)
	case one.Secret == "":
		return fmt.Errorf("system %q has no credentials", system)
	}
	value, err := io.ReadAll(io.LimitReader(t.in, settings.MaxBytes))
	if err != nil {
		return err
	}
	if value = bytes.TrimSpace(value); !json.Valid(value) {
		return errors.New("the credentials must be JSON, as docs/connectors says for the kind of system")
	}
	if err := s.Put(ctx, s.prefix+one.Secret, value); err != nil {
		return err
	}
	fmt.Fprintf(t.out, "kept the credentials of %q; functions follow within half a minute\n", system)
	return nil
}
