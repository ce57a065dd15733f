package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// output runs a command and returns what it wrote to stdout, without the line
// end. What it wrote to stderr becomes part of the error.
func output(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	stdout, _, err := outputs(ctx, dir, env, name, args...)
	return stdout, err
}

// outputs is output with what the command says beside it.
func outputs(ctx context.Context, dir string, env []string, name string, args ...string) (out, said string, err error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, env
	cmd.SysProcAttr = attributes(false)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", "", fmt.Errorf("%w: %s", err, strings.TrimSpace(tail(stdout.String())+tail(stderr.String())))
	}
	return strings.TrimRight(stdout.String(), "\n"), stderr.String(), nil
}

// tail is the end of an output, for an error message.
func tail(text string) string {
	lines := strings.SplitAfter(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-25):], "") + "\n"
}

// A server is a process that runs beside this one.
type server struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// serve starts a process with its output in a file, in a group of its own, and
// waits until it listens.
func serve(ctx context.Context, dir, log string, env []string, address, name string, args ...string) (*server, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, file, file
	cmd.SysProcAttr = attributes(true)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{cmd: cmd, log: log, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(s.done)
	}()
	if err := s.await(ctx, address); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *server) await(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var dialer net.Dialer
	for {
		if conn, err := dialer.DialContext(ctx, "tcp", address); err == nil {
			return conn.Close()
		}
		select {
		case <-s.done:
			return fmt.Errorf("it ended at once\n%s", s.output())
		case <-ctx.Done():
			return fmt.Errorf("it does not listen: %w\n%s", ctx.Err(), s.output())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// output is the end of what the process wrote.
func (s *server) output() string {
	text, _ := os.ReadFile(s.log)
	return tail(string(text))
}

// stop asks the process to end, then makes its whole group end.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(20 * time.Second):
	}
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	<-s.done
}

// freeAddress is an address on 127.0.0.1 that nobody listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// address is the IPv4 address of an interface of this machine, which is how
// containers on Docker's bridge reach it. Docker itself names its gateway only
// from the second start of its daemon on.
func address(name string) (string, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return "", fmt.Errorf("the bridge %q of Docker: %w", name, err)
	}
	all, err := i.Addrs()
	if err != nil {
		return "", fmt.Errorf("the bridge %q of Docker: %w", name, err)
	}
	for _, a := range all {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil {
			return ip.IP.String(), nil
		}
	}
	return "", fmt.Errorf("the bridge %q of Docker has no IPv4 address", name)
}

// relay passes connections to an address of one network on to another: the
// emulator listens on 127.0.0.1 only, which containers do not reach.
func relay(listen, target string) (net.Listener, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			go pass(from, target)
		}
	}()
	return l, nil
}

func pass(from net.Conn, target string) {
	defer from.Close()
	to, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer to.Close()
	go func() {
		_, _ = io.Copy(to, from)
		_ = to.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(from, to)
}
