package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/avow-consent/avow"

// root is the checkout, seen from this package.
const root = "../.."

// A source is one Go file; path is relative to the checkout, with slashes.
type source struct {
	path  string
	lines int
	file  *ast.File
	fset  *token.FileSet
}

func (s source) dir() string { return path.Dir(s.path) }

// at is the place of a node, for a finding.
func (s source) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", s.path, s.fset.Position(n.Pos()).Line)
}

// imports are the import paths of the file.
func (s source) imports() []string {
	var list []string
	for _, spec := range s.file.Imports {
		list = append(list, unquote(spec.Path))
	}
	return list
}

func unquote(lit *ast.BasicLit) string {
	text, err := strconv.Unquote(lit.Value)
	if err != nil {
		return ""
	}
	return text
}

func parse(t *testing.T, name, text string) source {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return source{path: name, lines: strings.Count(text, "\n"), file: file, fset: fset}
}

// repository is every Go file of the checkout but tests.
func repository(t *testing.T) []source {
	t.Helper()
	var list []source
	for _, top := range []string{"functions", "internal", "scripts"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".")) {
				return filepath.SkipDir
			}
			if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return nil
			}
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			relative, err := filepath.Rel(root, name)
			if err != nil {
				return err
			}
			list = append(list, parse(t, filepath.ToSlash(relative), string(text)))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(list) < 20 {
		t.Fatalf("found %d files only: is the checkout at %s?", len(list), root)
	}
	return list
}

// holds reports every finding on the repository.
func holds(t *testing.T, findings []string) {
	t.Helper()
	for _, f := range findings {
		t.Error(f)
	}
}

// catches reports a finding that is missing, and one too many. Each want is a
// part of one finding.
func catches(t *testing.T, findings []string, want ...string) {
	t.Helper()
	if len(findings) != len(want) {
		t.Errorf("%d findings, want %d:\n%s", len(findings), len(want), strings.Join(findings, "\n"))
	}
	for _, part := range want {
		if !slices.ContainsFunc(findings, func(f string) bool { return strings.Contains(f, part) }) {
			t.Errorf("no finding says %q:\n%s", part, strings.Join(findings, "\n"))
		}
	}
}
