// Package build bundles the TypeScript source of avow.js and of the scripts beside it. Only the build tool and tests import it: it links a
// JavaScript compiler, which no deployed function needs.
package build

import (
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/evanw/esbuild/pkg/api"
)

// Script is one file that pages load. What is loaded only when used, such as the adapter of a banner, is a script of
// its own.
type Script struct {
	Name   string // of the file
	Entry  string // the module that it is built from
	Eager  bool   // whether browsers shall compile all of it while it arrives
	Goal   int    // the most that it may weigh on the wire, gzipped, in bytes
	format api.Format
}

// Scripts are all files that are built, the classic script first.
func Scripts() []Script {
	const core, adapter, centre = 5 << 10, 1 << 10, 6 << 10
	return slices.Concat(
		[]Script{
			{Name: "avow.js", Entry: "index.ts", Eager: true, Goal: core, format: api.FormatIIFE},
			{Name: "avow.mjs", Entry: "module.ts", Eager: true, Goal: core, format: api.FormatESModule},
		},
		extra("gate", adapter),
		extra("banner", adapter),
		extra("cookieconsent", adapter),
		extra("klaro", adapter),
		[]Script{
			{Name: "avow-preferences.js", Entry: "preferences.index.ts", Goal: centre, format: api.FormatIIFE},
			{Name: "avow-preferences.mjs", Entry: "preferences.module.ts", Goal: centre, format: api.FormatESModule},
		},
	)
}

// extra is what adds one function to window.avow, which the module exports as well.
func extra(name string, goal int) []Script {
	return []Script{
		{Name: "avow-" + name + ".js", Entry: name + ".ts", Goal: goal, format: api.FormatIIFE},
		{Name: "avow-" + name + ".mjs", Entry: name + ".ts", Goal: goal, format: api.FormatESModule},
	}
}

// Types is the source file with the types that the scripts are published with.
const Types = "avow.d.ts"

// compileHint has browsers compile every function while the script arrives, off the page's main thread, not on it when
// the function is first called (V8's explicit compile hints; a comment to other engines).
const compileHint = "//# allFunctionsCalledOnLoad"

// Bundle returns the script built from the modules in dir. The result depends on nothing but those files and the
// version of the compiler.
func (s Script) Bundle(dir string) ([]byte, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("resolving the source folder: %w", err)
	}
	var banner map[string]string
	if s.Eager {
		banner = map[string]string{"js": compileHint}
	}
	result := api.Build(api.BuildOptions{
		EntryPoints:       []string{s.Entry},
		AbsWorkingDir:     abs,
		Bundle:            true,
		Format:            s.format,
		Platform:          api.PlatformBrowser,
		Target:            api.ES2021,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
		Banner:            banner,
		TsconfigRaw:       "{}", // not whatever lies in a folder above
		LogLevel:          api.LogLevelSilent,
	})
	var errs []error
	for _, m := range append(result.Errors, result.Warnings...) {
		if m.Location == nil {
			errs = append(errs, errors.New(m.Text))
			continue
		}
		errs = append(errs, fmt.Errorf("%s:%d:%d: %s", m.Location.File, m.Location.Line, m.Location.Column, m.Text))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return result.OutputFiles[0].Contents, nil
}

// GzipSize returns the number of bytes that script takes gzipped at the best level.
func GzipSize(script []byte) int {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is a constant and valid
	w.Write(script)                                       // a bytes.Buffer takes everything
	w.Close()
	return b.Len()
}

// Integrity is the value of a script tag's integrity attribute (W3C Subresource Integrity).
func Integrity(script []byte) string {
	sum := sha512.Sum384(script)
	return "sha384-" + base64.StdEncoding.EncodeToString(sum[:])
}

// Published is the integrity of each file of each version.
type Published map[string]map[string]string

// Note lists the files of a version. Those of a released one are what sites pin and cache for ever: it refuses others.
func (p Published) Note(version string, isReleased bool, files map[string]string) error {
	if known, ok := p[version]; ok && isReleased && !maps.Equal(known, files) {
		return fmt.Errorf("version %s is released and has other files: raise snippet.Version and set snippet.Released to false", version)
	}
	p[version] = files
	return nil
}

// ReadPublished reads the list of published versions.
func ReadPublished(path string) (Published, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var p Published
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return p, nil
}
