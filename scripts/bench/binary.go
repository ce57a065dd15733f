package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// buildFunction makes the binary of a function as `sam build` does. goarch "" is this
// machine's.
func buildFunction(ctx context.Context, dir, function, goarch string) (string, error) {
	out := filepath.Join(dir, function+goarch, "bootstrap")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", out, "./functions/"+function)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if goarch != "" {
		cmd.Env = append(cmd.Env, "GOOS=linux", "GOARCH="+goarch)
	}
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", function, err, text)
	}
	return out, nil
}

// most is what the archive of a function may weigh in bytes: the doors of consents
// start on every page of a site, the others carry all connectors.
func most(function string) int {
	switch function {
	case "api", "collect", "preferences", "project":
		return 6_000_000
	}
	return 8_000_000
}

// archive is the size of what is deployed of a function.
func archive(ctx context.Context, dir, function string) (int, error) {
	binary, err := buildFunction(ctx, dir, function, "arm64")
	if err != nil {
		return 0, err
	}
	return zipped(binary)
}

// zipped is the size of the archive that Lambda gets of a binary.
func zipped(path string) (int, error) {
	binary, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestCompression) })
	w, err := z.Create("bootstrap")
	if err != nil {
		return 0, err
	}
	if _, err := w.Write(binary); err != nil {
		return 0, err
	}
	return b.Len(), z.Close()
}

// runtimeAPI is the Lambda runtime API for one function process: it hands out
// events and times the answers.
type runtimeAPI struct {
	listener net.Listener
	server   *http.Server
	events   chan []byte
	answers  chan []byte
}

func startRuntimeAPI() (*runtimeAPI, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	a := &runtimeAPI{listener: l, events: make(chan []byte), answers: make(chan []byte)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case event := <-a.events:
			h := w.Header()
			h.Set("Lambda-Runtime-Aws-Request-Id", "bench")
			h.Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(time.Minute).UnixMilli()))
			h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:000000000000:function:bench")
			_, _ = w.Write(event)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("POST /2018-06-01/runtime/", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusAccepted)
		a.answers <- body
	})
	a.server = &http.Server{Handler: mux}
	go func() { _ = a.server.Serve(l) }()
	return a, nil
}

// invoke hands an event to the process and waits for its answer.
func (a *runtimeAPI) invoke(ctx context.Context, event []byte) ([]byte, error) {
	select {
	case a.events <- event:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case answer := <-a.answers:
		return answer, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// process is a running function.
type process struct {
	cmd *exec.Cmd
	api *runtimeAPI
}

func start(binary string, env map[string]string) (*process, error) {
	api, err := startRuntimeAPI()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(binary)
	cmd.Env = []string{"AWS_LAMBDA_RUNTIME_API=" + api.listener.Addr().String(), "AWS_LAMBDA_FUNCTION_NAME=bench", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256"}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Stdout, cmd.Stderr = io.Discard, os.Stderr
	return &process{cmd, api}, cmd.Start()
}

func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	_ = p.api.server.Close()
}

// resident is the highest resident memory of the process so far, in bytes; 0
// where the system does not tell.
func (p *process) resident() int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		var kb int
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kb); err == nil {
			return kb << 10
		}
	}
	return 0
}
