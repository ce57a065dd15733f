// Command snippet builds avow.js and the scripts beside it, each also as a module, from the TypeScript in
// internal/snippet/src and notes their integrity under the version of the package. Run it at the top of the repository: go run ./scripts/snippet
//
// With -out it also writes the files that a site puts on its own host: they carry the version in their names and never
// change, so they may be cached for ever.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/avow-consent/avow/internal/snippet"
	"github.com/avow-consent/avow/internal/snippet/build"
)

const (
	sourceDir = "internal/snippet/src"
	targetDir = "internal/snippet/dist"
)

func main() {
	log.SetFlags(0)
	out := flag.String("out", "", "folder for the files of a site's own host")
	flag.Parse()
	if err := run(*out); err != nil {
		log.Fatal(err)
	}
}

func run(out string) error {
	list := filepath.Join(targetDir, "integrity.json")
	published, err := build.ReadPublished(list)
	if err != nil {
		return err
	}
	scripts, files := build.Scripts(), map[string]string{}
	texts := make([][]byte, len(scripts))
	for i, s := range scripts {
		if texts[i], err = s.Bundle(sourceDir); err != nil {
			return err
		}
		files[s.Name] = build.Integrity(texts[i])
	}
	if err := published.Note(snippet.Version, snippet.Released, files); err != nil {
		return err
	}
	for i, s := range scripts {
		if err := write(targetDir, s.Name, texts[i]); err != nil {
			return err
		}
		if err := write(out, versioned(s.Name), texts[i]); err != nil {
			return err
		}
		fmt.Printf("%s: %d bytes, gzipped: %d bytes (goal %d), %s\n", s.Name, len(texts[i]), build.GzipSize(texts[i]), s.Goal, files[s.Name])
	}
	types, err := os.ReadFile(filepath.Join(sourceDir, build.Types))
	if err != nil {
		return err
	}
	if err := write(out, build.Types, types); err != nil {
		return err
	}
	text, err := json.MarshalIndent(published, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(list, append(text, '\n'), 0o644)
}

// versioned is a file's name with the version in it: avow-1.0.0.js.
func versioned(name string) string {
	ext := filepath.Ext(name)
	return strings.TrimSuffix(name, ext) + "-" + snippet.Version + ext
}

// write writes a file, nothing without a folder.
func write(dir, name string, text []byte) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name), text, 0o644)
}
