package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/avow-consent/avow/scripts/local/emulator"
	"github.com/avow-consent/avow/scripts/local/stack"
)

// asCommand makes the test binary be the command.
const asCommand = "AVOW_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	code := m.Run()
	if verifierDir != "" {
		os.RemoveAll(verifierDir)
	}
	os.Exit(code)
}

// checkout is a checkout of its own with the real template and the real venv. It
// has ports of its own, below those that the system gives away by itself: while
// its stack restarts, no other one takes them.
func checkout(t *testing.T) emulator.Checkout {
	t.Helper()
	real, err := emulator.FindCheckout()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := emulator.OpenVenv(real.Local()); err != nil {
		t.Fatal(err)
	}
	template, err := os.ReadFile(filepath.Join(real.Root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	c := emulator.Checkout{Root: t.TempDir()}
	given := map[string]int{}
	for name := range fakes(0) {
		given[name] = freePort(t)
	}
	ports, err := json.Marshal(map[string]any{"api": freePort(t), "demo": freePort(t), "mail": freePort(t), "engine": freePort(t), "fakes": given})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		os.WriteFile(filepath.Join(c.Root, "template.yaml"), template, 0o644),
		os.Mkdir(c.Local(), 0o755),
		os.WriteFile(filepath.Join(c.Local(), "ports.json"), ports, 0o600),
		os.Symlink(filepath.Join(real.Local(), "venv"), filepath.Join(c.Local(), "venv")),
		os.Symlink(filepath.Join(real.Root, "statemachines"), filepath.Join(c.Root, "statemachines")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func freePort(t *testing.T) int {
	t.Helper()
	for {
		port := 20000 + rand.IntN(12000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			l.Close()
			return port
		}
	}
}

func local(t *testing.T, c emulator.Checkout, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Dir = c.Root
	cmd.Env = append(os.Environ(), asCommand+"=1", "MAKELEVEL=")
	return cmd
}

// A process is a running stack, as `make run` starts it.
type process struct {
	stack.Info
	cmd  *exec.Cmd
	said *output
	log  string // file
	done chan struct{}
}

// launch runs the stack in a process of its own and waits until it says that it
// is ready. It ends with the test.
func launch(t *testing.T, c emulator.Checkout, args ...string) *process {
	t.Helper()
	p := &process{said: &output{}, log: filepath.Join(c.Local(), "run.log"), done: make(chan struct{})}
	p.cmd = local(t, c, append([]string{"run"}, args...)...)
	p.cmd.Stdout, p.cmd.Stderr = p.said, p.said
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() { p.end(c) })
	file := filepath.Join(c.Local(), "stack.json")
	eventually(t, "the stack is ready", func() bool {
		select {
		case <-p.done:
			t.Fatalf("the stack ended: %s", p.said)
		default:
		}
		text, err := os.ReadFile(file)
		return err == nil && json.Unmarshal(text, &p.Info) == nil && p.PID == p.cmd.Process.Pid && strings.Contains(p.said.String(), "list all")
	})
	return p
}

// stop sends a signal and wants a clean end.
func (p *process) stop(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	<-p.done
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("the stack ended with %d: %s", code, p.said)
	}
}

// end leaves nothing behind: not the process, not its emulator, which saves when
// it finds itself alone.
func (p *process) end(c emulator.Checkout) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if lock, err := emulator.Lock(filepath.Join(c.Local(), "state", "lock")); err == nil {
			lock.Close()
			return
		}
	}
}

// needs skips a test where a tool of a person's terminal is missing; in CI that
// is a failure.
func needs(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil && os.Getenv("CI") != "" {
			t.Fatal(err)
		} else if err != nil {
			t.Skip(err)
		}
	}
}

// eventually waits for something that comes by itself. The machine may be busy,
// and after a kill a call stays leased for as long as its function might have
// lived: five minutes and a quarter.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(12 * time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within twelve minutes: %s", what)
		}
	}
}

type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// The promise of the README: make run, paste the lines, see the record; and it
// is there after a restart, with the same keys.
func TestRun(t *testing.T) {
	t.Parallel()
	needs(t, "curl")
	c := checkout(t)
	first := launch(t, c)
	lines := regexp.MustCompile(`(?m)^ +curl .*$`).FindAllString(first.said.String(), -1)
	if len(lines) < 3 {
		t.Fatalf("not three lines to paste: %s", first.said)
	}
	lines = lines[:3]
	var posted struct {
		ID string `json:"id"`
	}
	if answer := paste(t, lines[0]); json.Unmarshal(answer, &posted) != nil || posted.ID == "" {
		t.Fatalf("posting: %s", answer)
	}
	var found struct {
		ID          string
		Preferences map[string]bool
	}
	if answer := paste(t, lines[1]); json.Unmarshal(answer, &found) != nil || found.ID != posted.ID || !found.Preferences["newsletter"] {
		t.Errorf("reading back: %s, want %s", answer, posted.ID)
	}
	if answer := paste(t, lines[2]); !bytes.Contains(answer, []byte(posted.ID)) {
		t.Errorf("listing: %s, want %s", answer, posted.ID)
	}
	first.stop(t, syscall.SIGTERM)

	second := launch(t, c)
	if answer := paste(t, lines[2]); !bytes.Contains(answer, []byte(posted.ID)) {
		t.Errorf("listing after the restart: %s, want %s", answer, posted.ID)
	}
	_, answer, err := call(t.Context(), second.Info, "GET", "/legal_notices", nil)
	if n := bytes.Count(answer, []byte(`"version":`)); err != nil || n != 2 {
		t.Errorf("%d versions of notices, want two, published once: %s", n, answer)
	}
	_, answer, err = call(t.Context(), second.Info, "GET", "/preferences", nil)
	if err != nil || !bytes.Contains(answer, []byte(`"newsletter"`)) {
		t.Errorf("the register: %s, %v", answer, err)
	}
	second.stop(t, os.Interrupt)
}

func paste(t *testing.T, line string) []byte {
	t.Helper()
	out, err := exec.Command("sh", "-c", line).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v %s", line, err, out)
	}
	return out
}

func TestCommand_refuses(t *testing.T) {
	t.Parallel()
	c := checkout(t)
	for args, want := range map[string]string{
		"":                      usage,
		"walk":                  usage,
		"run ThrottleRate":      `"ThrottleRate" is not of the form PARAMETER=VALUE`,
		"run Throttle=1":        `the template has no parameter "Throttle"; it has `,
		"run ThrottleRate=fast": `parameter ThrottleRate: "fast" is not a number`,
	} {
		out, err := local(t, c, strings.Fields(args)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%q: %v %s, want %q", args, err, out, want)
		}
	}
	if out, err := local(t, c, "reset").CombinedOutput(); err != nil {
		t.Errorf("reset: %v %s", err, out)
	}
}
