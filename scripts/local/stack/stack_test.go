package stack_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
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

// A running stack is a process of its own, as `make run` is.
type running struct {
	stack.Info
	cmd  *exec.Cmd
	said *output
	done chan struct{}
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

func command(t *testing.T, c emulator.Checkout, env ...string) (*exec.Cmd, *output) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	said := &output{}
	cmd := exec.Command(self)
	cmd.Env = append(append(os.Environ(), runIn+"="+c.Root), env...)
	cmd.Stdout, cmd.Stderr = said, said
	return cmd, said
}

func run(t *testing.T, c emulator.Checkout) *running {
	t.Helper()
	cmd, said := command(t, c)
	r := &running{cmd: cmd, said: said, done: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait()
		close(r.done)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-r.done
		eventually(t, "the emulator ends", func() bool {
			lock, err := emulator.Lock(filepath.Join(c.Local(), "state", "lock"))
			if err == nil {
				lock.Close()
			}
			return err == nil
		})
	})
	eventually(t, "the stack runs", func() bool {
		select {
		case <-r.done:
			t.Fatalf("the stack ended: %s", said)
		default:
		}
		b, err := os.ReadFile(filepath.Join(c.Local(), "stack.json"))
		return err == nil && json.Unmarshal(b, &r.Info) == nil && r.PID == cmd.Process.Pid
	})
	return r
}

// stop sends the signal and wants a clean end.
func (r *running) stop(t *testing.T, s os.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	<-r.done
	if code := r.cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("the stack ended with %d: %s", code, r.said)
	}
}

func (r *running) do(t *testing.T, method, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.API+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func (r *running) has(t *testing.T, path string) bool {
	t.Helper()
	status, _ := r.do(t, "GET", path)
	return status == http.StatusOK
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within two minutes: %s", what)
		}
	}
}

// emulatorOf is the process that a stack in this checkout has started.
func emulatorOf(t *testing.T, c emulator.Checkout) string {
	t.Helper()
	pid, err := os.ReadFile(filepath.Join(c.Local(), "state", "lock"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(pid))
}

func TestRun_restart(t *testing.T) {
	t.Parallel()
	c := checkout(t)
	first := run(t, c)
	if status, body := first.do(t, "POST", "/notes/one"); status != http.StatusOK {
		t.Fatalf("writing: %d %s", status, body)
	}
	eventually(t, "the stream reaches its function", func() bool { return first.has(t, "/copies/one") })
	if mode := stat(t, c, "stack.json").Mode().Perm(); mode != 0o600 {
		t.Errorf("stack.json has mode %o", mode)
	}
	if mode := stat(t, c, "keys.json").Mode().Perm(); mode != 0o600 {
		t.Errorf("keys.json has mode %o", mode)
	}
	for _, want := range []string{first.API + "/public/consent", "ApiKey: private", first.Demo, "ApiKey: public"} {
		if !strings.Contains(first.said.String(), want) {
			t.Errorf("the stack does not tell %q: %s", want, first.said)
		}
	}
	if first.Tables["NOTES_TABLE"] != "avow-NotesTable" || first.Endpoints["s3"] == "" {
		t.Errorf("stack.json: %+v", first.Info)
	}
	first.stop(t, os.Interrupt)
	if _, err := os.Stat(filepath.Join(c.Local(), "stack.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("stack.json is left: %v", err)
	}

	second := run(t, c)
	if !second.has(t, "/notes/one") || !second.has(t, "/copies/one") {
		t.Error("the data is gone")
	}
	if second.API != first.API || second.Demo != first.Demo || second.Site != first.Site {
		t.Errorf("after the restart %+v, before %+v", second.Info, first.Info)
	}
	if status, body := second.do(t, "POST", "/notes/two"); status != http.StatusOK {
		t.Fatalf("writing: %d %s", status, body)
	}
	eventually(t, "the stream reaches its function", func() bool { return second.has(t, "/copies/two") })
	second.stop(t, syscall.SIGTERM)
}

// kill -9 of the stack: its emulator ends, and nothing that was answered is
// lost.
func TestRun_killed(t *testing.T) {
	t.Parallel()
	c := checkout(t)
	first := run(t, c)
	first.do(t, "POST", "/notes/one")
	pid := emulatorOf(t, c)
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-first.done
	second := run(t, c) // at once, while the emulator saves
	if !second.has(t, "/notes/one") {
		t.Error("the data is gone")
	}
	if other := emulatorOf(t, c); other == pid {
		t.Error("the emulator is still that of the killed stack")
	}
	second.stop(t, os.Interrupt)
}

func TestRun_twice(t *testing.T) {
	t.Parallel()
	c := checkout(t)
	first := run(t, c)
	cmd, said := command(t, c)
	if err := cmd.Run(); err == nil || !strings.Contains(said.String(), "is running already, at "+first.API) {
		t.Errorf("the second stack: %v, %s", err, said)
	}
	if err := stack.Reset(c, io.Discard); err == nil || !strings.Contains(err.Error(), first.API) {
		t.Errorf("Reset of a running stack: %v", err)
	}

	other := run(t, checkout(t)) // another checkout has ports of its own
	if other.API == first.API || other.Demo == first.Demo || other.Endpoints["s3"] == first.Endpoints["s3"] {
		t.Errorf("two checkouts share a port: %+v, %+v", first.Info, other.Info)
	}
	other.stop(t, os.Interrupt)
	first.stop(t, os.Interrupt)

	if err := stack.Reset(c, io.Discard); err != nil {
		t.Fatal(err)
	}
	again := run(t, c)
	if again.Site == first.Site {
		t.Error("Reset has kept the site")
	}
	again.stop(t, os.Interrupt)
}

func TestRun_portTaken(t *testing.T) {
	t.Parallel()
	c := checkout(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	usePorts(t, c, port, port)
	r := run(t, c)
	if strings.HasSuffix(r.API, fmt.Sprintf(":%d", port)) || r.API+"/" == r.Demo {
		t.Errorf("%+v, although port %d is taken", r.Info, port)
	}
	r.stop(t, os.Interrupt)
}

// A signal during the start ends it as cleanly as a later one.
func TestRun_stoppedWhileStarting(t *testing.T) {
	t.Parallel()
	c := checkout(t)
	cmd, said := command(t, c)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the emulator starts", func() bool {
		pid, err := os.ReadFile(filepath.Join(c.Local(), "state", "lock"))
		return err == nil && len(pid) > 0
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the stack ended with %v: %s", err, said)
	}
	lock, err := emulator.Lock(filepath.Join(c.Local(), "state", "lock"))
	if err != nil {
		t.Errorf("the emulator lives on: %v", err)
	} else {
		lock.Close()
	}
}

// Another Ctrl-C while the emulator saves is answered, the third gives up.
func TestRun_impatient(t *testing.T) {
	t.Parallel()
	c := checkout(t)
	r := run(t, c)
	pid := emulatorOf(t, c)
	kill(t, "-STOP", pid) // it will not come to save
	for _, want := range []string{"Stopping …", "Still saving", ""} {
		if err := r.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		eventually(t, want, func() bool { return strings.Contains(r.said.String(), want) })
	}
	<-r.done
	if code := r.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(r.said.String(), "may be lost") {
		t.Errorf("the stack ended with %d: %s", code, r.said)
	}
}

func TestRun_emulatorDies(t *testing.T) {
	t.Parallel()
	c := checkout(t)
	r := run(t, c)
	kill(t, "-KILL", emulatorOf(t, c))
	<-r.done
	if code := r.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(r.said.String(), "the emulator ended by itself") {
		t.Errorf("the stack ended with %d: %s", code, r.said)
	}
}

func TestRun_functionWithoutComponent(t *testing.T) {
	t.Parallel()
	cmd, said := command(t, checkout(t), "AVOW_TEST_FEWER=1")
	if err := cmd.Run(); err == nil || !regexp.MustCompile(`declares CopyFunction, but .* no component "copy"`).MatchString(said.String()) {
		t.Errorf("the stack: %v, %s", err, said)
	}
}

func stat(t *testing.T, c emulator.Checkout, name string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(filepath.Join(c.Local(), name))
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func kill(t *testing.T, how, pid string) {
	t.Helper()
	if out, err := exec.Command("kill", how, pid).CombinedOutput(); err != nil {
		t.Fatalf("kill: %v %s", err, out)
	}
}
