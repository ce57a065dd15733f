package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/scripts/local/emulator"
)

// What README.md says of answering and erasing in five minutes, pasted line by
// line into a shell.
func TestREADME(t *testing.T) {
	if testing.Short() {
		t.Skip("runs with make test-full")
	}
	t.Parallel()
	needs(t, "bash", "curl", "python3")
	real, err := emulator.FindCheckout()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(real.Root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	c := checkout(t)
	for _, name := range []string{"go.mod", "go.sum", "internal", "scripts"} { // for go run ./scripts/verify
		if err := os.Symlink(filepath.Join(real.Root, name), filepath.Join(c.Root, name)); err != nil {
			t.Fatal(err)
		}
	}
	s := shop{process: launch(t, c, "-policy", "fast")}
	sh := newShell(t, c.Root)

	answer := blocks(t, string(text), "Answer an access request in five minutes", 4)
	sh.paste(answer[0])
	ada := person{id: "ada", email: "ada@example.com"}
	id := s.mine(t, ada)
	s.identify(t, id, ada.email, "Please confirm your request")
	s.stands(t, id, request.WaitingApproval, 0)
	sh.paste(answer[1])
	s.stands(t, id, request.WaitingOperator, 1)
	sh.paste(answer[2])
	s.stands(t, id, request.WaitingRelease, 0)
	sh.paste(answer[3])
	s.letter(t, id, ada.email, "Your personal data")

	erase := blocks(t, string(text), "Erase someone in five minutes", 5)
	sh.paste(erase[0])
	id = strings.TrimSpace(sh.paste("echo $ID"))
	s.stands(t, id, request.WaitingApproval, 2)
	if plan := sh.paste(erase[1]); !strings.Contains(plan, "zendesk-support") {
		t.Errorf("the plan: %s", plan)
	}
	s.stands(t, id, request.WaitingApproval, 0)
	sh.paste(erase[2])
	s.stands(t, id, request.WaitingOperator, 1)
	sh.paste(erase[3])
	s.until(t, id, request.Answered, request.Reverifying, request.Closed)
	said := sh.paste(erase[4])
	for _, want := range []string{"The certificate is right", `zendesk-chat +erased`, `zendesk-message +by_hand`, `zendesk-messaging +(erased|partly)`, `zendesk-support +(erased|partly)`, `zoom +(erased|partly)`, `salesforce +erased`} {
		if !regexp.MustCompile(want).MatchString(said) {
			t.Errorf("no %s: %s", want, said)
		}
	}
}

// stands waits for a state with so many open tasks, and does nothing about it.
func (s shop) stands(t *testing.T, id string, state request.State, tasks int) {
	t.Helper()
	eventually(t, fmt.Sprintf("request %s is %s with %d tasks", id, state, tasks), func() bool {
		if s.show(t, id).Text("state") != string(state) || len(s.tasks(t, id)) != tasks {
			return false
		}
		plan := s.do(t, s.role(keys.Officer), "GET", "/requests/"+id+"/plan", nil)
		current, _ := plan.Get("current").(bool)
		return plan.Status == 200 && (current || state != request.WaitingApproval)
	})
}

// blocks are the shell commands below a heading.
func blocks(t *testing.T, text, heading string, want int) []string {
	t.Helper()
	_, section, found := strings.Cut(text, "\n## "+heading+"\n")
	if section, _, _ = strings.Cut(section, "\n## "); !found {
		t.Fatalf("README.md has no %q", heading)
	}
	var list []string
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(section, -1) {
		list = append(list, m[1])
	}
	if len(list) != want {
		t.Fatalf("%q has %d blocks of commands, not %d", heading, len(list), want)
	}
	return list
}

// shell is a person's terminal.
type shell struct {
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Reader
}

func newShell(t *testing.T, dir string) *shell {
	t.Helper()
	cmd := exec.Command("bash")
	cmd.Dir = dir
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	return &shell{t: t, in: in, out: bufio.NewReader(out)}
}

// paste runs commands and returns what they print. A command that fails says so
// by what it prints: nobody checks exit codes in a terminal.
func (s *shell) paste(commands string) string {
	s.t.Helper()
	const end = "-- the end of the block --"
	if _, err := fmt.Fprintf(s.in, "%s\necho; echo '%s'\n", commands, end); err != nil {
		s.t.Fatal(err)
	}
	var said strings.Builder
	for {
		line, err := s.out.ReadString('\n')
		if err != nil {
			s.t.Fatalf("the shell has ended: %s", said.String())
		}
		if strings.TrimSpace(line) == end {
			break
		}
		said.WriteString(line)
	}
	if wrong := regexp.MustCompile(`"message":|Traceback|command not found|syntax error`).FindString(said.String()); wrong != "" {
		s.t.Errorf("%s\nsays %s", commands, said.String())
	}
	return said.String()
}
