package asl_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/avow-consent/avow/internal/asl"
	"github.com/avow-consent/avow/internal/request"
)

// Executions that run keep the definition they began with, for months: the
// definitions of the release before must work with the functions of today. Once
// there is one, they stand in statemachines/previous.
func TestPrevious(t *testing.T) {
	t.Parallel()
	replayPrevious(t, os.DirFS(machines))
}

// replayer is what replayPrevious needs of a test.
type replayer interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Context() context.Context
}

func replayPrevious(t replayer, dir fs.FS) {
	t.Helper()
	entries, err := fs.ReadDir(dir, "previous")
	if errors.Is(err, fs.ErrNotExist) {
		t.Logf("there is no release before this one: nothing to replay")
		return
	}
	texts := map[string]string{}
	for _, e := range entries {
		if text, err := fs.ReadFile(dir, "previous/"+e.Name()); err == nil {
			texts[strings.TrimSuffix(filepath.Base(e.Name()), ".asl.json")] = string(text)
		}
	}
	if err != nil || texts["request"] == "" || texts["system"] == "" {
		t.Errorf("statemachines/previous has no request.asl.json and system.asl.json: %d files, %v", len(entries), err)
		return
	}
	for _, kind := range request.Types {
		s := asl.Scenario{
			Type: kind, Policy: request.Defaults(), Identity: day, Approval: 4 * day,
			Stages: [][]asl.SystemTimes{{{Works: day}, {Asks: day}}, {{}}},
		}
		f, err := s.Play(t.Context(), texts["request"], texts["system"])
		if err != nil {
			t.Errorf("%s, with the definitions before: %v", kind, err)
			continue
		}
		t.Logf("%s: %d executions, %d transitions", kind, f.Executions, f.Transitions)
	}
}

// heard keeps what a test would have said.
type heard struct {
	testing.TB
	logs, errors int
}

func (h *heard) Logf(string, ...any)   { h.logs++ }
func (h *heard) Errorf(string, ...any) { h.errors++ }

func TestPrevious_catches(t *testing.T) {
	t.Parallel()
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	request, system := definition(t, "request"), definition(t, "system")
	for name, tt := range map[string]struct {
		files  fstest.MapFS
		errors bool
	}{
		"no folder":       {fstest.MapFS{"request.asl.json": file(request)}, false},
		"an empty folder": {fstest.MapFS{"previous": &fstest.MapFile{Mode: fs.ModeDir}}, true},
		"one of two":      {fstest.MapFS{"previous/request.asl.json": file(request)}, true},
		"both":            {fstest.MapFS{"previous/request.asl.json": file(request), "previous/system.asl.json": file(system)}, false},
		"a verb that is gone": {fstest.MapFS{
			"previous/request.asl.json": file(strings.ReplaceAll(request, `"do": "plan"`, `"do": "ask"`)), "previous/system.asl.json": file(system),
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &heard{TB: t}
			replayPrevious(h, tt.files)
			if (h.errors > 0) != tt.errors || h.errors+h.logs == 0 {
				t.Errorf("%d complaints and %d lines", h.errors, h.logs)
			}
		})
	}
}
