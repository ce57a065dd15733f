package archtest

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// maxMain is how many lines a main.go may have: it is wiring only.
const maxMain = 30

// componentsOf are the names of the functions, each with a component of its
// name in internal/.
func componentsOf(sources []source) []string {
	var names []string
	for _, s := range sources {
		if name, ok := strings.CutPrefix(s.dir(), "functions/"); ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func mainFindings(sources []source) []string {
	var findings []string
	for _, s := range sources {
		if !strings.HasPrefix(s.path, "functions/") {
			continue
		}
		if path.Base(s.path) != "main.go" || strings.Count(s.path, "/") != 2 {
			findings = append(findings, s.path+": a function is functions/<name>/main.go and nothing else")
		}
		if s.lines > maxMain {
			findings = append(findings, fmt.Sprintf("%s has %d lines, at most %d are wiring", s.path, s.lines, maxMain))
		}
	}
	return findings
}

func TestMain_isWiring(t *testing.T) {
	t.Parallel()
	holds(t, mainFindings(repository(t)))
}

func TestMain_catches(t *testing.T) {
	t.Parallel()
	long := "package main\n" + strings.Repeat("\n", maxMain)
	catches(t, mainFindings([]source{
		parse(t, "functions/a/main.go", "package main\n"),
		parse(t, "functions/b/main.go", long),
		parse(t, "functions/a/extra.go", "package main\n"),
		parse(t, "scripts/local/main.go", long),
	}), "functions/b/main.go has 31 lines", "functions/a/extra.go")
}

// environment finds who reads the environment of the process. Components get
// it handed over, so that tests and the local stack can give them another.
func environmentFindings(sources []source) []string {
	readers := []string{"Getenv", "LookupEnv", "Environ", "ExpandEnv", "Setenv", "Unsetenv", "Clearenv"}
	var findings []string
	for _, s := range sources {
		switch l, _ := layerOf(s.dir(), nil); l {
		case script, testkit, function:
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := selector.X.(*ast.Ident)
			if ok && (pkg.Name == "os" || pkg.Name == "syscall") && slices.Contains(readers, selector.Sel.Name) {
				findings = append(findings, fmt.Sprintf("%s: %s.%s: only functions/*/main.go and scripts read the environment", s.at(n), pkg.Name, selector.Sel.Name))
			}
			return true
		})
	}
	return findings
}

func TestEnvironment_isHandedOver(t *testing.T) {
	t.Parallel()
	holds(t, environmentFindings(repository(t)))
}

func TestEnvironment_catches(t *testing.T) {
	t.Parallel()
	const text = "package p\nimport \"os\"\nvar a = os.Getenv(\"A\")\nvar b, _ = os.LookupEnv(\"B\")\nvar get = os.Getenv\nvar f = os.ReadFile\n"
	catches(t, environmentFindings([]source{
		parse(t, "internal/collect/config.go", text),
		parse(t, "functions/collect/main.go", text),
		parse(t, "scripts/local/main.go", text),
	}), "config.go:3: os.Getenv", "config.go:4: os.LookupEnv", "config.go:5: os.Getenv")
}

// linkable are the modules that a deployed function may carry. Everything else
// in go.mod is for tests and tools.
var linkable = []string{
	module,
	"github.com/aws/aws-lambda-go",
	"github.com/aws/aws-sdk-go-v2",
	"github.com/aws/smithy-go",
	"github.com/go-json-experiment/json",
	"github.com/google/uuid",
	"golang.org/x/net",
	"golang.org/x/sync",
	"golang.org/x/text",
}

// A dependency is a package that is linked into a function.
type dependency struct {
	ImportPath string
	Standard   bool
	Module     *struct{ Path string }
}

func linkedFindings(deps []dependency) []string {
	var findings []string
	for _, d := range deps {
		if d.Standard {
			if d.ImportPath == "testing" || strings.HasPrefix(d.ImportPath, "testing/") {
				findings = append(findings, d.ImportPath+" is linked into a function")
			}
			continue
		}
		allowed := d.Module != nil && slices.ContainsFunc(linkable, func(m string) bool {
			return d.Module.Path == m || strings.HasPrefix(d.Module.Path, m+"/")
		})
		if dir, ok := strings.CutPrefix(d.ImportPath, module+"/"); ok {
			l, known := layerOf(dir, []string{path.Base(dir)})
			allowed = known && l != script && l != testkit
		}
		if !allowed {
			findings = append(findings, d.ImportPath+" is linked into a function")
		}
	}
	return findings
}

func dependencies(t *testing.T, patterns ...string) []dependency {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-deps", "-json=ImportPath,Standard,Module"}, patterns...)...)
	cmd.Dir = root
	var errors strings.Builder
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, errors.String())
	}
	var deps []dependency
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var dep dependency
		if err := d.Decode(&dep); err != nil {
			t.Fatal(err)
		}
		deps = append(deps, dep)
	}
	return deps
}

func TestLinked(t *testing.T) {
	t.Parallel()
	deps := dependencies(t, "./functions/...")
	if len(deps) == 0 {
		t.Fatal("there are no functions")
	}
	holds(t, linkedFindings(deps))
}

func TestLinked_catches(t *testing.T) {
	t.Parallel()
	found := linkedFindings(dependencies(t, "./internal/archtest/testdata/devonly"))
	for _, want := range []string{"scripts/local/cfn", "github.com/google/go-cmp/cmp", "testing"} {
		if !slices.ContainsFunc(found, func(f string) bool { return strings.Contains(f, want) }) {
			t.Errorf("no finding says %q:\n%s", want, strings.Join(found, "\n"))
		}
	}
}
