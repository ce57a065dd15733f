package emulator

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

//go:embed requirements.txt
var requirements string

// Pins names the versions of everything that a venv holds.
func Pins() string { return requirements }

// ErrNoVenv means that the Python environment is missing, unfinished or older
// than the pins.
var ErrNoVenv = errors.New("the Python environment of the local stack is missing or out of date: run `make venv`")

// A Venv is the Python environment that holds the emulator and the SAM
// translator.
type Venv struct{ dir string }

// Python is the interpreter of the environment.
func (v Venv) Python() string { return filepath.Join(v.dir, "bin", "python") }

// marker is written last: without it, or with other pins, an installation is
// done again.
func (v Venv) marker() string { return filepath.Join(v.dir, "installed.txt") }

func (v Venv) complete() bool {
	installed, err := os.ReadFile(v.marker())
	if err != nil || string(installed) != requirements {
		return false
	}
	_, err = os.Stat(v.Python()) // follows the link: the Python it was made from may be gone
	return err == nil
}

// OpenVenv gives the environment in the directory local, or ErrNoVenv.
func OpenVenv(local string) (Venv, error) {
	v := Venv{dir: filepath.Join(local, "venv")}
	if !v.complete() {
		return Venv{}, ErrNoVenv
	}
	return v, nil
}

// EnsureVenv gives the environment in the directory local and installs it
// first where that is needed, telling out about it.
func EnsureVenv(ctx context.Context, local string, out io.Writer) (Venv, error) {
	v := Venv{dir: filepath.Join(local, "venv")}
	if v.complete() {
		return v, nil
	}
	lock, err := awaitLock(ctx, filepath.Join(local, "venv.lock"), func(string) {
		fmt.Fprintln(out, "Waiting for another installation in this checkout …")
	})
	if err != nil {
		return Venv{}, err
	}
	defer lock.Close()
	if v.complete() {
		return v, nil
	}
	base, err := findPython(ctx)
	if err != nil {
		return Venv{}, err
	}
	if err := v.install(ctx, base, out); err != nil {
		return Venv{}, err
	}
	return v, nil
}

func (v Venv) install(ctx context.Context, base string, out io.Writer) error {
	start := time.Now()
	fmt.Fprintln(out, "Installing the AWS emulator into .local/venv, once; it takes about half a minute.")
	if err := os.RemoveAll(v.dir); err != nil {
		return err
	}
	if output, err := exec.CommandContext(ctx, base, "-m", "venv", v.dir).CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if bytes.Contains(output, []byte("ensurepip")) {
			return fmt.Errorf("%s cannot make virtual environments: install its venv module (Debian and Ubuntu: apt install python3-venv)", base)
		}
		return fmt.Errorf("making .local/venv: %w\n%s", err, output)
	}

	list := filepath.Join(v.dir, "requirements.txt")
	if err := os.WriteFile(list, []byte(requirements), 0o644); err != nil {
		return err
	}
	pip := exec.CommandContext(ctx, v.Python(), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar=off", "-r", list)
	if err := runPip(pip, out); ctx.Err() != nil {
		return ctx.Err()
	} else if err != nil {
		return err
	}
	if err := os.WriteFile(v.marker(), []byte(requirements), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(out, "  installed in %.0f s\n", time.Since(start).Seconds())
	return nil
}

// runPip shows that something happens, and everything only when it fails.
func runPip(pip *exec.Cmd, out io.Writer) error {
	reader, writer := io.Pipe()
	var output bytes.Buffer
	pip.Stdout, pip.Stderr = writer, writer
	done := make(chan struct{})
	go func() {
		defer close(done)
		var last time.Time
		packages := 0
		for lines := bufio.NewScanner(io.TeeReader(reader, &output)); lines.Scan(); {
			line := lines.Text()
			name, collecting := strings.CutPrefix(line, "Collecting ")
			if collecting {
				packages++
				name, _, _ = strings.Cut(name, " ")
			}
			switch {
			case strings.HasPrefix(line, "Installing collected"):
				fmt.Fprintf(out, "  %d packages found, installing them …\n", packages)
			case collecting && time.Since(last) > 2*time.Second:
				fmt.Fprintf(out, "  finding package %d: %s …\n", packages, name)
				last = time.Now()
			}
		}
		io.Copy(io.Discard, reader)
	}()
	err := pip.Run()
	writer.Close()
	<-done
	if err == nil {
		return nil
	}
	lines := strings.Split(strings.TrimSpace(output.String()), "\n")
	lines = lines[max(0, len(lines)-12):]
	return fmt.Errorf("pip could not install the emulator (%w); is there a network? Its last lines:\n  %s", err, strings.Join(lines, "\n  "))
}

// oldestPython is the oldest version that the pins run on.
const oldestPython = 10 // 3.10

// findPython looks for a Python that is new enough. The variable PYTHON names
// one where the search would take the wrong one.
func findPython(ctx context.Context) (string, error) {
	names := []string{"python3", "python"}
	for minor := oldestPython + 4; minor >= oldestPython; minor-- {
		names = append(names, fmt.Sprintf("python3.%d", minor))
	}
	if given := os.Getenv("PYTHON"); given != "" {
		names = []string{given}
	}
	tooOld := ""
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		output, err := exec.CommandContext(ctx, path, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])").Output()
		if err != nil {
			continue // a shim without a Python behind it
		}
		version := strings.TrimSpace(string(output))
		var major, minor int
		if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
			continue
		}
		if major == 3 && minor >= oldestPython {
			return path, nil
		}
		if tooOld == "" {
			tooOld = fmt.Sprintf("%s here is %s", name, version)
		}
	}
	if tooOld == "" {
		return "", fmt.Errorf("the local stack needs Python 3.%d or newer, and there is no python3 in the PATH", oldestPython)
	}
	return "", fmt.Errorf("the local stack needs Python 3.%d or newer, and %s", oldestPython, tooOld)
}
