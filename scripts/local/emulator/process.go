package emulator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A process is a Python program that listens on a port of 127.0.0.1 and ends
// with this process, however that ends.
type process struct {
	port int
	cmd  *exec.Cmd
	// alive is the writing end of the pipe that tells the program that this
	// process lives (launch.py).
	alive *os.File
	// work holds its log and its temporary files; kept says that they stay.
	work string
	kept bool
	done chan struct{}
}

// run starts a script. It gets a process group of its own: a Ctrl-C in the
// terminal is for the process that started it, which ends it in its turn.
func (p *process) run(python, script string, env []string, inherited ...*os.File) error {
	logFile, err := os.Create(filepath.Join(p.work, "log"))
	if err != nil {
		return err
	}
	defer logFile.Close()
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	defer reader.Close()
	p.alive, p.done = writer, make(chan struct{})
	p.cmd = exec.Command(python, "-c", script)
	p.cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + p.work, "PYTHONDONTWRITEBYTECODE=1",
		"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
	}, env...)
	p.cmd.Dir = p.work
	p.cmd.Stdout, p.cmd.Stderr = logFile, logFile
	p.cmd.ExtraFiles = append([]*os.File{reader}, inherited...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		p.discard()
		return err
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	return nil
}

// await waits until the program answers by the name it was given: another one
// may have taken the port.
func (p *process) await(ctx context.Context, name string, named func(ctx context.Context, client *http.Client, url string) string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		if named(ctx, client, p.URL()) == name {
			return nil
		}
		select {
		case <-p.done:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// URL is where it listens.
func (p *process) URL() string { return fmt.Sprintf("http://127.0.0.1:%d", p.port) }

// Port is the one that URL names.
func (p *process) Port() int { return p.port }

// PID is the id of the process.
func (p *process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended, by itself or not.
func (p *process) Done() <-chan struct{} { return p.done }

// Kill ends the process at once; what it had not saved is lost.
func (p *process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
	p.discard()
}

func (p *process) discard() {
	p.alive.Close()
	if !p.kept {
		os.RemoveAll(p.work)
	}
}

// log is the end of what the process wrote, for an error message.
func (p *process) log() string {
	content, _ := os.ReadFile(filepath.Join(p.work, "log"))
	lines := strings.Split(string(bytes.TrimSpace(content)), "\n")
	text := strings.Join(lines[max(0, len(lines)-8):], "\n  ")
	if text == "" {
		return ""
	}
	return "; its last words:\n  " + text
}
