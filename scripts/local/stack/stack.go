// Package stack is `make run`: what template.yaml declares, on this machine. It
// creates tables, buckets, queues, keys and secrets in the emulator and state
// machines in their engine, runs the functions in this process, serves their
// HTTP API, feeds them the stream and calls them on schedule.
package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/avow-consent/avow/scripts/local/cfn"
	"github.com/avow-consent/avow/scripts/local/emulator"
	"github.com/avow-consent/avow/scripts/local/mailpage"
)

// A Component makes the handler of a function, as its binary does in AWS.
type Component func(ctx context.Context, getenv func(string) string) (lambda.Handler, error)

// Options say what runs.
type Options struct {
	Checkout   emulator.Checkout
	Components map[string]Component // by name of the function: CollectFunction is "collect"
	Parameters map[string]string    // of the template, instead of its defaults
	// Seed puts the first site and its two keys where they are missing; it
	// fills in what is empty.
	Seed func(ctx context.Context, getenv func(string) string, site *Site) error
	// Fakes are the servers that stand for vendors, by name. They go on after a
	// restart where they were.
	Fakes map[string]Fake
	// Configure writes what the functions read when they start: systems.json
	// and the systems' secrets. The addresses in i hold already. day is how long
	// a day of the policy lasts. Nil: nothing to write.
	Configure func(ctx context.Context, getenv func(string) string, i Info, day time.Duration) error
	// Day is how long a day lasts in policies and schedules; 0 is 24 hours.
	Day time.Duration
	// Rebuild makes the projection anew before anything is served: the
	// emulator forgets stream records that nobody had read.
	Rebuild func(ctx context.Context, getenv func(string) string) error
	// Publish gives the site what the demo page shows, through the API.
	Publish func(ctx context.Context, i Info) error
	Out     io.Writer
	// Signals ask the stack to stop. While it saves, the second is answered by
	// a word, the third gives the saving up.
	Signals <-chan os.Signal
}

// saving is how long the emulator may take to save; 8 s were measured with
// 100,000 records.
const saving = 3 * time.Minute

// Run runs the stack until a signal comes or something ends that must not end.
func Run(ctx context.Context, o Options) error {
	local := paths(o.Checkout.Local())
	lock, err := local.take()
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := remove(local.info()); err != nil { // left by a stack that was killed
		return err
	}

	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	hurry := o.watchSignals(stop)
	defer context.AfterFunc(ctx, func() { fmt.Fprintln(o.Out, "\nStopping …") })()

	venv, err := emulator.EnsureVenv(ctx, string(local), o.Out)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	resources, err := o.template(ctx, venv)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	server, err := emulator.Start(ctx, emulator.Options{Venv: venv, Port: emulatorPort, State: local.state(), Out: o.Out})
	if err != nil {
		return unlessStopped(ctx, err)
	}
	failed := unlessStopped(ctx, o.runOn(ctx, server, venv, local, resources))
	return errors.Join(failed, o.save(hurry, server))
}

// stopped is the cause of an end that was asked for.
type stopped struct{ by os.Signal }

func (s stopped) Error() string { return "stopped by " + s.by.String() }

// unlessStopped drops an error that only says that a signal has cut something
// short.
func unlessStopped(ctx context.Context, err error) error {
	asked := stopped{}
	if errors.As(context.Cause(ctx), &asked) && (errors.Is(err, context.Canceled) || errors.As(err, &asked)) {
		return nil
	}
	return err
}

var errHurry = errors.New("given up by the third Ctrl-C: what was written since the last start may be lost")

// watchSignals stops the stack at the first signal. The context it returns ends
// at the third.
func (o *Options) watchSignals(stop context.CancelCauseFunc) context.Context {
	hurry, giveUp := context.WithCancelCause(context.Background())
	go func() {
		for count := 1; ; count++ {
			s, open := <-o.Signals
			switch {
			case !open:
				return
			case count == 1:
				stop(stopped{s})
			case count == 2:
				fmt.Fprintln(o.Out, "\nStill saving; another Ctrl-C gives that up and may lose what was written since the last start.")
			default:
				giveUp(errHurry)
			}
		}
	}()
	return hurry
}

// runOn runs the stack on an emulator: everything is there before the first
// request is taken, and .local/stack.json before the first is invited.
func (o *Options) runOn(ctx context.Context, server *emulator.Server, venv emulator.Venv, local paths, resources *cfn.Stack) error {
	if err := emulator.SetEnvironment(server.URL()); err != nil {
		return err
	}
	cfg := emulator.Config(server.URL())
	if err := emulator.Provision(ctx, cfg, resources); err != nil {
		return err
	}
	log, err := logTo(local.log())
	if err != nil {
		return err
	}
	defer log.Close()
	doors, err := open(local, o.Fakes)
	if err != nil {
		return err
	}
	defer doors.close()
	machines, err := o.machines(ctx, server, venv, doors, resources)
	if err != nil {
		return err
	}
	defer machines.stop()
	site, err := o.site(ctx, local, resources)
	if err != nil {
		return err
	}
	info := Info{
		API: url(doors.api), Demo: url(doors.demo) + "/", Mail: url(doors.mail) + "/", Fakes: doors.urls(),
		Site: site.ID, PublicKey: site.PublicKey, PrivateKey: site.PrivateKey, RoleKeys: site.RoleKeys, TokenKey: site.TokenKey,
		Endpoints: endpoints(server.URL(), machines), Tables: environment(resources), PID: os.Getpid(),
	}
	functions, err := o.wire(ctx, resources, info)
	if err != nil {
		return err
	}
	if err := machines.create(ctx, o.Checkout.Root, resources, functions); err != nil {
		return err
	}
	if err := o.Rebuild(ctx, getenv(resources)); err != nil {
		return fmt.Errorf("rebuilding the projection: %w", err)
	}
	letters, err := mailpage.Open(server.URL(), local.letters())
	if err != nil {
		return err
	}
	vendors := restore(local, o.Fakes)
	defer vendors.stop() // after the services
	services, err := o.serve(ctx, cfg, doors, resources, functions, letters, info)
	if err != nil {
		return err
	}
	defer func() {
		services.stop()
		keep(letters)
	}()
	if err := writeJSON(local.ports(), doors.ports(machines)); err != nil {
		return err
	}
	if err := o.Publish(ctx, info); err != nil {
		return fmt.Errorf("publishing the demo's notices: %w", err)
	}
	if err := writeJSON(local.info(), info); err != nil {
		return err
	}
	defer os.Remove(local.info())
	announce(o.Out, info, o.day())
	return await(ctx, server, machines, services)
}

// keep saves the letters, if the emulator still answers.
func keep(letters *mailpage.Box) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := letters.Save(ctx); err != nil {
		slog.Warn("letters not kept", "error", err)
	}
}

// await returns when the stack is to end, or cannot go on.
func await(ctx context.Context, server *emulator.Server, machines *machines, services *services) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-services.failed:
		return err
	case <-machines.done():
		return errors.New("the Step Functions engine ended by itself; the next `make run` resumes the requests")
	case <-server.Done():
		return errors.New("the emulator ended by itself (.local/state/emulator/log): what was written since the last start may be lost")
	}
}

// template reads what the stack consists of and refuses a function that nobody
// has linked into this program.
func (o *Options) template(ctx context.Context, venv emulator.Venv) (*cfn.Stack, error) {
	expanded, err := emulator.ReadTemplate(ctx, o.Checkout, venv, o.Parameters)
	if err != nil {
		return nil, err
	}
	resources, err := cfn.Resolve(expanded, cfn.Options{Parameters: o.Parameters})
	if err != nil {
		return nil, fmt.Errorf("template.yaml: %w", err)
	}
	for _, f := range resources.Functions {
		if o.Components[f.Name] == nil {
			return nil, fmt.Errorf("template.yaml declares %s, but scripts/local/main.go has no component %q", f.ID, f.Name)
		}
	}
	return resources, nil
}

// wire writes the functions' configuration and makes their handlers, each with
// its own environment.
func (o *Options) wire(ctx context.Context, resources *cfn.Stack, info Info) (map[string]lambda.Handler, error) {
	if o.Configure != nil {
		if err := o.Configure(ctx, getenv(resources), info, o.day()); err != nil {
			return nil, fmt.Errorf("writing the configuration: %w", err)
		}
	}
	functions := map[string]lambda.Handler{}
	for _, f := range resources.Functions {
		handler, err := o.Components[f.Name](context.WithoutCancel(ctx), func(name string) string { return f.Env[name] })
		if err != nil {
			return nil, fmt.Errorf("starting function %s: %w", f.Name, err)
		}
		functions[f.Name] = handler
	}
	return functions, nil
}

// site is the one that the stack has had since its first start.
func (o *Options) site(ctx context.Context, local paths, resources *cfn.Stack) (Site, error) {
	var site Site
	if err := readJSON(local.keys(), &site); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Site{}, fmt.Errorf("reading the keys: %w (`make reset` forgets them)", err)
	}
	if err := o.Seed(ctx, getenv(resources), &site); err != nil {
		return Site{}, fmt.Errorf("creating the site: %w", err)
	}
	return site, writeJSON(local.keys(), site)
}

// environment is that of all functions together.
func environment(resources *cfn.Stack) map[string]string {
	all := map[string]string{}
	for _, f := range resources.Functions {
		maps.Copy(all, f.Env)
	}
	return all
}

func getenv(resources *cfn.Stack) func(string) string {
	all := environment(resources)
	return func(name string) string { return all[name] }
}

// save stops the emulator, with a word when that takes a moment.
func (o *Options) save(ctx context.Context, server *emulator.Server) error {
	select {
	case <-server.Done():
		return nil // by itself; that is said already
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, saving)
	defer cancel()
	notice := time.AfterFunc(time.Second, func() { fmt.Fprintln(o.Out, "Saving the data …") })
	defer notice.Stop()
	if err := server.Stop(ctx); err != nil {
		return err
	}
	fmt.Fprintln(o.Out, "Stopped; the data is kept for the next `make run`.")
	return nil
}
