package archtest

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
)

// A layer is a set of packages with the same rights.
type layer string

const (
	leaf      layer = "leaf"      // kinds and values, nothing but the standard library
	domain    layer = "domain"    // what Avow means, without a machine around it
	transport layer = "transport" // events and bodies to requests and back
	adapter   layer = "adapter"   // one AWS service each
	cloud     layer = "cloud"     // what adapters share
	vendor    layer = "vendor"    // connectors that speak HTTP, and what they share
	asset     layer = "asset"     // the snippet, embedded
	component layer = "component" // internal/<name> of functions/<name>
	wiring    layer = "wiring"    // the wire.go of a component, and what several of them share
	function  layer = "function"  // functions/<name>
	script    layer = "script"    // run on a developer's machine
	testkit   layer = "testkit"   // for tests only
)

// packages says where each package of internal/ stands. A new one must be
// added here, or have a function of its name.
var packages = map[string]layer{
	"apigw":                           transport,
	"archtest":                        testkit,
	"asl":                             testkit,
	"awstest":                         testkit,
	"blob":                            adapter,
	"cache":                           domain,
	"canon":                           domain,
	"centre":                          domain,
	"chat":                            domain,
	"certificate":                     domain,
	"cloud":                           cloud,
	"connector":                       domain,
	"connector/company":               testkit,
	"connector/company/vendors":       testkit,
	"connector/conformance":           testkit,
	"connector/fakekit":               testkit,
	"connector/genesys":               vendor,
	"connector/genesys/fake":          testkit,
	"connector/kit":                   vendor,
	"connector/ledger":                domain,
	"connector/manual":                domain,
	"connector/refdesk":               vendor,
	"connector/refdesk/fake":          testkit,
	"connector/salesforce":            vendor,
	"connector/salesforce/fake":       testkit,
	"connector/whatsapp":              vendor,
	"connector/whatsapp/fake":         testkit,
	"connector/zendeskchat":           vendor,
	"connector/zendeskchat/fake":      testkit,
	"connector/zendeskmessaging":      vendor,
	"connector/zendeskmessaging/fake": testkit,
	"connector/zendesksupport":        vendor,
	"connector/zendesksupport/fake":   testkit,
	"connector/zoom":                  vendor,
	"connector/zoom/fake":             testkit,
	"consent":                         domain,
	"contract":                        testkit,
	"dossier":                         domain,
	"dynamo":                          adapter,
	"errs":                            leaf,
	"faulty":                          testkit,
	"flow":                            adapter,
	"harness":                         testkit,
	"hook":                            domain,
	"httpapi":                         transport,
	"identity":                        leaf,
	"inventory":                       domain,
	"invoke":                          transport,
	"keys":                            domain,
	"letter":                          domain,
	"mail":                            adapter,
	"office":                          domain,
	"optin":                           domain,
	"outbox":                          domain,
	"page":                            asset,
	"pseudonym":                       domain,
	"redact":                          leaf,
	"request":                         domain,
	"secret":                          adapter,
	"settings":                        domain,
	"setup":                           wiring,
	"sheet":                           domain,
	"signer":                          adapter,
	"site":                            domain,
	"snippet":                         asset,
	"snippet/browser":                 testkit,
	"snippet/build":                   script,
	"snippet/npm":                     testkit,
	"stream":                          transport,
	"throttle":                        domain,
	"wire":                            transport,
}

// rights of a layer. An import is allowed when it stands in the standard
// library and not in without, when its own layer is one of layers, or when it
// begins with one of others.
type rights struct {
	without []string
	layers  []layer
	others  []string
}

const sdk = "github.com/aws/aws-sdk-go-v2"

var (
	noMachine = []string{"net/http", "os", "os/exec", "os/signal", "syscall", "testing"}
	noProcess = []string{"os", "os/exec", "os/signal", "syscall", "testing"}
)

var allowed = map[layer]rights{
	leaf:      {without: noMachine},
	domain:    {without: noMachine, layers: []layer{leaf, domain}, others: []string{"github.com/google/uuid", "github.com/go-json-experiment/json"}},
	transport: {without: noProcess, layers: []layer{leaf, domain, transport}, others: []string{"github.com/aws/aws-lambda-go", "github.com/go-json-experiment/json"}},
	cloud:     {without: noProcess, layers: []layer{leaf}, others: []string{sdk, "github.com/aws/smithy-go"}},
	adapter:   {without: noProcess, layers: []layer{leaf, domain, cloud}, others: []string{sdk, "github.com/aws/smithy-go"}},
	vendor:    {without: noProcess, layers: []layer{leaf, domain, vendor}},
	asset:     {without: noProcess},
	component: {without: noProcess, layers: []layer{leaf, domain, transport, asset}, others: []string{"github.com/aws/aws-lambda-go", "github.com/go-json-experiment/json", "github.com/google/uuid", "golang.org/x/sync", "golang.org/x/text"}},
	wiring:    {without: noProcess, layers: []layer{leaf, domain, transport, asset, cloud, adapter, vendor, wiring}, others: []string{"github.com/aws/aws-lambda-go", "github.com/google/uuid", sdk + "/aws"}},
	function:  {without: []string{"net/http", "os/exec", "syscall", "testing"}, others: []string{"github.com/aws/aws-lambda-go/lambda"}},
}

// exceptions are rights of single packages.
var exceptions = map[string][]string{
	"internal/identity":  {"golang.org/x/net/idna", "golang.org/x/text/unicode/norm", module + "/internal/redact"},
	"internal/inventory": {"golang.org/x/text/unicode/norm"}, // a notice is compared without its accents
}

// layerOf is the layer of a package of the module, given its directory.
// components are the names of the functions.
func layerOf(dir string, components []string) (layer, bool) {
	top, rest, _ := strings.Cut(dir, "/")
	switch {
	case top == "functions":
		return function, true
	case top == "scripts":
		return script, true
	case top == "internal" && slices.Contains(components, rest):
		return component, true
	case top == "internal":
		l, ok := packages[rest]
		return l, ok
	}
	return "", false
}

func importFindings(sources []source, components []string) []string {
	var findings []string
	for _, s := range sources {
		own, known := layerOf(s.dir(), components)
		if !known {
			findings = append(findings, s.path+": the layer of this package is not known: add it to packages in internal/archtest")
			continue
		}
		if own == script || own == testkit {
			continue
		}
		if own == component && path.Base(s.path) == "wire.go" {
			own = wiring
		}
		for _, imported := range s.imports() {
			if !mayImport(s.dir(), own, imported, components) {
				findings = append(findings, fmt.Sprintf("%s (%s) must not import %s", s.path, own, imported))
			}
		}
	}
	return findings
}

func mayImport(dir string, own layer, imported string, components []string) bool {
	within := func(prefix string) bool { return imported == prefix || strings.HasPrefix(imported, prefix+"/") }
	if slices.ContainsFunc(exceptions[dir], within) {
		return true
	}
	r := allowed[own]
	if inModule, ok := strings.CutPrefix(imported, module+"/"); ok {
		if own == function {
			return inModule == "internal/"+path.Base(dir) // its component
		}
		other, known := layerOf(inModule, components)
		return known && slices.Contains(r.layers, other)
	}
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") { // the standard library
		return !slices.Contains(r.without, imported)
	}
	return slices.ContainsFunc(r.others, within)
}

func TestImports(t *testing.T) {
	t.Parallel()
	sources := repository(t)
	holds(t, importFindings(sources, componentsOf(sources)))
}

func TestImports_catches(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		path    string
		imports []string
		want    []string // imports that are found
	}{
		"leaf":                    {"internal/errs/errs.go", []string{"fmt", "net/http", "os", module + "/internal/redact", "github.com/google/uuid"}, []string{"net/http", "os", "redact", "uuid"}},
		"identity may normalise":  {"internal/identity/email.go", []string{"golang.org/x/net/idna", "golang.org/x/text/unicode/norm", "golang.org/x/net/html"}, []string{"x/net/html"}},
		"domain":                  {"internal/consent/fold.go", []string{"net/http", "os", sdk + "/service/dynamodb", "github.com/aws/smithy-go", module + "/internal/errs", module + "/internal/httpapi", module + "/internal/dynamo"}, []string{"net/http", "os", "dynamodb", "smithy", "httpapi", "internal/dynamo"}},
		"adapters stay apart":     {"internal/dynamo/events.go", []string{sdk + "/service/dynamodb", module + "/internal/consent", module + "/internal/cloud", module + "/internal/blob", module + "/internal/httpapi"}, []string{"blob", "httpapi"}},
		"what adapters share":     {"internal/cloud/cloud.go", []string{sdk + "/aws", "net/http", module + "/internal/errs", module + "/internal/dynamo"}, []string{"internal/dynamo"}},
		"vendors":                 {"internal/connector/refdesk/refdesk.go", []string{"net/http", "os", module + "/internal/connector", module + "/internal/connector/kit", module + "/internal/connector/refdesk/fake", module + "/internal/secret", sdk + "/aws"}, []string{"os", "fake", "internal/secret", "aws-sdk"}},
		"component":               {"internal/collect/collect.go", []string{"net/http", "os", module + "/internal/consent", module + "/internal/httpapi", module + "/internal/snippet", module + "/internal/dynamo", module + "/internal/setup", module + "/internal/api", sdk + "/aws"}, []string{"os", "internal/dynamo", "internal/setup", "internal/api", "aws-sdk"}},
		"wire.go of a component":  {"internal/collect/wire.go", []string{"os", module + "/internal/dynamo", module + "/internal/cloud", module + "/internal/setup", sdk + "/aws", sdk + "/service/s3", module + "/internal/api"}, []string{"os", "service/s3", "internal/api"}},
		"wire.go elsewhere":       {"internal/httpapi/wire.go", []string{module + "/internal/dynamo"}, []string{"internal/dynamo"}},
		"main wires its own":      {"functions/collect/main.go", []string{"context", "os", "github.com/aws/aws-lambda-go/lambda", module + "/internal/collect", module + "/internal/api", module + "/internal/dynamo"}, []string{"internal/api", "internal/dynamo"}},
		"nothing imports scripts": {"internal/api/wire.go", []string{module + "/scripts/local/cfn", module + "/internal/awstest"}, []string{"scripts", "awstest"}},
		"unknown package":         {"internal/util/util.go", nil, []string{"layer of this package is not known"}},
		"scripts may everything":  {"scripts/local/main.go", []string{"os", module + "/internal/dynamo", sdk + "/service/s3"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var text strings.Builder
			text.WriteString("package p\n")
			for _, i := range tt.imports {
				fmt.Fprintf(&text, "import _ %q\n", i)
			}
			found := importFindings([]source{parse(t, tt.path, text.String())}, []string{"api", "collect"})
			catches(t, found, tt.want...)
		})
	}
}
