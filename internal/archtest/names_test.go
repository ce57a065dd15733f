package archtest

import (
	"go/ast"
	"go/token"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var variable = regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$`)

// variableFindings compares the names in the code of components with the
// environment that the template gives to every function, both ways. One that
// only scripts read is as good: they take the environment of a function.
func variableFindings(d *template, sources []source) []string {
	given := map[string]bool{} // by name: whether the code reads it
	for _, id := range d.ids("AWS::Lambda::Function") {
		variables, _ := d.Resources[id].get("Environment", "Variables").(map[string]any)
		for name := range variables {
			given[name] = strings.HasPrefix(name, "AWS_") // those are for the SDK
		}
	}
	components := componentsOf(sources)
	var findings []string
	for _, s := range sources {
		l, _ := layerOf(s.dir(), components)
		if l != component && l != wiring && l != script {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING || !variable.MatchString(unquote(lit)) {
				return true
			}
			if _, ok := given[unquote(lit)]; !ok && l == script {
				return true
			} else if !ok {
				findings = append(findings, s.at(lit)+": template.yaml gives no function the variable "+unquote(lit))
			}
			given[unquote(lit)] = true
			return true
		})
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !given[name] {
			findings = append(findings, "template.yaml: nobody reads "+name)
		}
	}
	return findings
}

func TestVariables(t *testing.T) {
	t.Parallel()
	holds(t, variableFindings(readTemplate(t), repository(t)))
}

func TestVariables_catches(t *testing.T) {
	t.Parallel()
	d := &template{Resources: map[string]resource{"AFunction": {Type: "AWS::Lambda::Function", Properties: map[string]any{
		"Environment": map[string]any{"Variables": map[string]any{"A_TABLE": "a", "B_TABLE": "b"}},
	}}}}
	catches(t, variableFindings(d, []source{
		parse(t, "functions/a/main.go", "package main\n"),
		parse(t, "internal/a/wire.go", "package a\nvar x = getenv(\"A_TABLE\")\nvar y = getenv(\"C_TABLE\")\n"),
		parse(t, "internal/errs/errs.go", "package errs\nvar x = \"D_TABLE\"\n"),
		parse(t, "scripts/site/main.go", "package main\nvar x = \"E_TABLE\"\n"),
	}), "wire.go:3: template.yaml gives no function the variable C_TABLE", "nobody reads B_TABLE")
}

var loggedEvent = regexp.MustCompile(`\$\.event = "([a-z_]+)"`)

// loggedFindings: what a metric filter looks for is written by some function,
// otherwise its alarm can never sound.
func loggedFindings(d *template, sources []source) []string {
	written := map[string]bool{}
	for _, s := range sources {
		if !strings.HasPrefix(s.path, "internal/") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				written[unquote(lit)] = true
			}
			return true
		})
	}
	var findings []string
	for _, id := range d.ids("AWS::Logs::MetricFilter") {
		pattern, _ := d.Resources[id].get("FilterPattern").(string)
		m := loggedEvent.FindStringSubmatch(pattern)
		if m == nil || !written[m[1]] {
			findings = append(findings, id+": nobody logs what it looks for: "+pattern)
		}
	}
	return findings
}

func TestMetricFilters(t *testing.T) {
	t.Parallel()
	holds(t, loggedFindings(readTemplate(t), repository(t)))
}

func TestMetricFilters_catches(t *testing.T) {
	t.Parallel()
	filter := func(event string) resource {
		return resource{Type: "AWS::Logs::MetricFilter", Properties: map[string]any{"FilterPattern": `{ $.event = "` + event + `" }`}}
	}
	d := &template{Resources: map[string]resource{"A": filter("seen"), "B": filter("unseen")}}
	catches(t, loggedFindings(d, []source{parse(t, "internal/a/a.go", "package a\nvar x = \"seen\"\n")}), "B: nobody logs")
}
