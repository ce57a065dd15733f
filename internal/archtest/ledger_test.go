package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	ledgerPackage = "internal/dynamo"
	ledgerType    = "Events"
	ledgerTable   = "EVENTS_TABLE"
)

// writes are the operations of DynamoDB that change something.
var writes = []string{
	"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems",
	"ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction",
}

// ledgerFindings checks that one function in the code puts events, always under
// attribute_not_exists:
//
//   - the name of the ledger's table is given to dynamo.NewEvents and to nobody
//     else, so only methods of dynamo.Events know it (import rules keep the SDK
//     inside the adapters);
//   - of those methods, and of everything else in the files that declare them,
//     exactly one calls an operation that writes, once: a PutItem whose
//     ConditionExpression says attribute_not_exists;
//   - beside it one function, Bury, may put: an item whose literal has the fields
//     of a tombstone and no other, in place of a row that is none;
//   - they hand their client to nothing but paginators, which only read.
func ledgerFindings(sources []source) []string {
	var findings, puts []string
	for _, s := range sources {
		if s.dir() == ledgerPackage && declaresLedger(s) {
			found, put := ledgerFile(s)
			findings, puts = append(findings, found...), append(puts, put...)
			continue
		}
		findings = append(findings, tableUses(s)...)
		if s.dir() == ledgerPackage {
			for _, m := range methods(s, ledgerType) {
				findings = append(findings, s.at(m)+": methods of "+ledgerType+" stand in the file that declares it")
			}
		}
	}
	if len(puts) != 1 {
		findings = append(findings, fmt.Sprintf("%d functions put events, want 1: %s", len(puts), strings.Join(puts, ", ")))
	}
	return findings
}

// declaresLedger reports whether the type of the ledger is declared here.
func declaresLedger(s source) bool {
	return slices.ContainsFunc(s.file.Decls, func(d ast.Decl) bool {
		g, ok := d.(*ast.GenDecl)
		return ok && g.Tok == token.TYPE && slices.ContainsFunc(g.Specs, func(spec ast.Spec) bool {
			return spec.(*ast.TypeSpec).Name.Name == ledgerType
		})
	})
}

func methods(s source, receiver string) []*ast.FuncDecl {
	var list []*ast.FuncDecl
	for _, d := range s.file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv == nil {
			continue
		}
		t := f.Recv.List[0].Type
		if star, ok := t.(*ast.StarExpr); ok {
			t = star.X
		}
		if name, ok := t.(*ast.Ident); ok && name.Name == receiver {
			list = append(list, f)
		}
	}
	return list
}

// ledgerFile checks the file of the ledger and lists its functions that put.
func ledgerFile(s source) (findings, puts []string) {
	for _, d := range s.file.Decls {
		name := ""
		if f, ok := d.(*ast.FuncDecl); ok {
			name = f.Name.Name
		}
		count := 0
		ast.Inspect(d, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if !slices.Contains(writes, n.Sel.Name) {
					return true
				}
				if count++; n.Sel.Name != "PutItem" {
					findings = append(findings, fmt.Sprintf("%s: %s on the ledger: it only grows", s.at(n), n.Sel.Name))
				}
			case *ast.CallExpr:
				if name == burial && buries(n) {
					return false
				}
				findings = append(findings, s.callFindings(n)...)
			}
			return true
		})
		if count > 1 {
			findings = append(findings, fmt.Sprintf("%s: %s writes %d times", s.at(d), name, count))
		}
		if count > 0 {
			puts = append(puts, s.path+" "+name)
		}
	}
	return findings, puts
}

// burial is the function that leaves tombstones.
const burial = "Bury"

// buries reports whether a call puts a tombstone and nothing else: the fields
// stand in a literal, and so does the condition.
func buries(call *ast.CallExpr) bool {
	if lastName(call.Fun) != "PutItem" {
		return false
	}
	var fields []string
	guarded := false
	ast.Inspect(call, func(n ast.Node) bool {
		pair, ok := n.(*ast.KeyValueExpr)
		if !ok {
			return true
		}
		switch lastName(pair.Key) {
		case "Item":
			lit, ok := pair.Value.(*ast.CompositeLit)
			if !ok {
				fields = append(fields, "unknown")
				return false
			}
			for _, e := range lit.Elts {
				key, _ := e.(*ast.KeyValueExpr)
				field, _ := key.Key.(*ast.BasicLit)
				fields = append(fields, unquote(field))
			}
		case "ConditionExpression":
			ast.Inspect(pair.Value, func(n ast.Node) bool {
				lit, ok := n.(*ast.BasicLit)
				guarded = guarded || ok && unquote(lit) == "attribute_exists(id) AND attribute_not_exists(erased_at)"
				return true
			})
		}
		return true
	})
	slices.Sort(fields)
	return guarded && slices.Equal(fields, []string{"erased_at", "id", "site", "subject"})
}

func (s source) callFindings(call *ast.CallExpr) []string {
	var findings []string
	callee := lastName(call.Fun)
	if callee == "PutItem" && !conditional(call) {
		findings = append(findings, s.at(call)+": a PutItem without attribute_not_exists in its ConditionExpression")
	}
	for _, argument := range call.Args {
		if lastName(argument) == "client" && !strings.HasSuffix(callee, "Paginator") {
			findings = append(findings, fmt.Sprintf("%s: the ledger's client is given to %s", s.at(call), callee))
		}
	}
	return findings
}

// conditional reports whether a call has, in a literal argument, a
// ConditionExpression that says attribute_not_exists.
func conditional(call *ast.CallExpr) bool {
	found := false
	ast.Inspect(call, func(n ast.Node) bool {
		pair, ok := n.(*ast.KeyValueExpr)
		if ok && lastName(pair.Key) == "ConditionExpression" {
			ast.Inspect(pair.Value, func(n ast.Node) bool {
				lit, ok := n.(*ast.BasicLit)
				found = found || ok && lit.Kind == token.STRING && strings.Contains(lit.Value, "attribute_not_exists(id)")
				return true
			})
		}
		return true
	})
	return found
}

// lastName is the name that an expression ends with: c for a.b.c.
func lastName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// tableUses finds the name of the ledger's table where it could reach another
// adapter than dynamo.NewEvents. It may stand in that call itself, or among the
// arguments of Require, whose results are told by position. Scripts may use it
// freely: they stand outside of what is deployed.
func tableUses(s source) []string {
	if l, _ := layerOf(s.dir(), nil); l == script || l == testkit {
		return nil
	}
	var findings []string
	required := map[ast.Node]bool{} // literals that Require reads
	complain := func(n ast.Node) {
		findings = append(findings, fmt.Sprintf("%s: %s is for dynamo.New%s only", s.at(n), ledgerTable, ledgerType))
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			for results, literals := range requires(n) {
				for i, lit := range literals {
					if required[lit] = true; lit != nil && unquote(lit) == ledgerTable {
						resultUses(n, results, i, complain)
					}
				}
			}
		case *ast.CallExpr:
			return !opensLedger(n)
		case *ast.BasicLit:
			if unquote(n) == ledgerTable && !required[n] {
				complain(n)
			}
		}
		return true
	})
	return findings
}

func opensLedger(call *ast.CallExpr) bool {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	return ok && selector.Sel.Name == "New"+ledgerType && lastName(selector.X) == "dynamo"
}

// requires gives, for each `name, err := base.Require("A", "B")` of a function,
// the name and the literals.
func requires(f *ast.FuncDecl) map[string][]*ast.BasicLit {
	found := map[string][]*ast.BasicLit{}
	ast.Inspect(f, func(n ast.Node) bool {
		assign, ok := n.(*ast.AssignStmt)
		if !ok || len(assign.Rhs) != 1 {
			return true
		}
		if call, ok := assign.Rhs[0].(*ast.CallExpr); ok && lastName(call.Fun) == "Require" {
			for _, argument := range call.Args {
				lit, _ := argument.(*ast.BasicLit) // nil for anything else
				found[lastName(assign.Lhs[0])] = append(found[lastName(assign.Lhs[0])], lit)
			}
		}
		return true
	})
	return found
}

// resultUses complains of each use of results[index], or of all results at
// once, outside of a call that opens the ledger.
func resultUses(f *ast.FuncDecl, results string, index int, complain func(ast.Node)) {
	ast.Inspect(f.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt: // the call of Require itself
			if call, ok := n.Rhs[0].(*ast.CallExpr); ok && lastName(call.Fun) == "Require" {
				return false
			}
		case *ast.CallExpr:
			return !opensLedger(n)
		case *ast.IndexExpr:
			if lastName(n.X) == results {
				if lit, ok := n.Index.(*ast.BasicLit); !ok || lit.Value == strconv.Itoa(index) {
					complain(n)
				}
				return false
			}
		case *ast.Ident:
			if n.Name == results {
				complain(n)
			}
		}
		return true
	})
}

func TestLedger_onePut(t *testing.T) {
	t.Parallel()
	holds(t, ledgerFindings(repository(t)))
}

func TestLedger_catches(t *testing.T) {
	t.Parallel()
	const good = `package dynamo
type Events struct { client *dynamodb.Client; table string }
func (s *Events) put(ctx any, row item) { s.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.table, ConditionExpression: aws.String("attribute_not_exists(id)")}) }
func (s *Events) List() { dynamodb.NewQueryPaginator(s.client, nil) }
`
	const bury = "func (s *Events) Bury() { s.client.PutItem(ctx, &dynamodb.PutItemInput{Item: item{\"subject\": s, \"id\": id, \"site\": site, \"erased_at\": at}, ConditionExpression: aws.String(\"attribute_exists(id) AND attribute_not_exists(erased_at)\")}) }\n"
	const wire = "package collect\nvar e = dynamo.NewEvents(cfg, getenv(\"EVENTS_TABLE\"))\n"
	const setup = `package setup
func (b *Base) Writing() {
	env, err := b.Require("FORMS_TABLE", "EVENTS_TABLE")
	e := dynamo.NewEvents(b.Config, env[1])
	f := dynamo.NewForms(b.Config, env[0])
}
`
	for name, tt := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"good":            {map[string]string{"internal/dynamo/events.go": good, "internal/collect/wire.go": wire}, nil},
		"burial":          {map[string]string{"internal/dynamo/events.go": good + bury}, nil},
		"burial, more":    {map[string]string{"internal/dynamo/events.go": good + strings.Replace(bury, `"site": site`, `"site": site, "email": email`, 1)}, []string{"PutItem without attribute_not_exists", "2 functions put events"}},
		"burial, any row": {map[string]string{"internal/dynamo/events.go": good + strings.Replace(bury, " AND attribute_not_exists(erased_at)", "", 1)}, []string{"PutItem without attribute_not_exists", "2 functions put events"}},
		"burial, by name": {map[string]string{"internal/dynamo/events.go": good + strings.Replace(bury, "Bury", "Drop", 1)}, []string{"PutItem without attribute_not_exists", "2 functions put events"}},
		"burial of a row": {map[string]string{"internal/dynamo/events.go": good + strings.Replace(bury, `item{"subject": s, "id": id, "site": site, "erased_at": at}`, "row", 1)}, []string{"PutItem without attribute_not_exists", "2 functions put events"}},
		"no put":          {map[string]string{"internal/dynamo/events.go": "package dynamo\ntype Events struct{}\n"}, []string{"0 functions put events"}},
		"second put":      {map[string]string{"internal/dynamo/events.go": good + "func (s *Events) Fix() { s.client.PutItem(nil, &in{ConditionExpression: f(\"attribute_not_exists(id)\")}) }\n"}, []string{"2 functions put events"}},
		"put twice":       {map[string]string{"internal/dynamo/events.go": strings.Replace(good, "{ s.client.PutItem", "{ f := s.client.PutItem; s.client.PutItem", 1)}, []string{"put writes 2 times"}},
		"update":          {map[string]string{"internal/dynamo/events.go": good + "func (s *Events) Fix() { s.client.UpdateItem(nil, nil) }\n"}, []string{"UpdateItem on the ledger", "2 functions"}},
		"method value":    {map[string]string{"internal/dynamo/events.go": good + "func (s *Events) Fix() { f := s.client.DeleteItem; f(nil, nil) }\n"}, []string{"DeleteItem on the ledger", "2 functions"}},
		"overwriting put": {map[string]string{"internal/dynamo/events.go": strings.Replace(good, "attribute_not_exists(id)", "attribute_exists(id)", 1)}, []string{"PutItem without attribute_not_exists"}},
		"helper":          {map[string]string{"internal/dynamo/events.go": good + "func (s *Events) Fix() { markOnce(s.client, s.table) }\n"}, []string{"client is given to markOnce"}},
		"another file":    {map[string]string{"internal/dynamo/events.go": good, "internal/dynamo/fix.go": "package dynamo\nfunc (s *Events) Fix() {}\n"}, []string{"fix.go:2: methods of Events"}},
		"another adapter": {map[string]string{"internal/dynamo/events.go": good, "internal/api/wire.go": "package api\nvar f = dynamo.NewForms(cfg, getenv(\"EVENTS_TABLE\"))\n"}, []string{"api/wire.go:2: EVENTS_TABLE"}},
		"required":        {map[string]string{"internal/dynamo/events.go": good, "internal/setup/setup.go": setup}, nil},
		"mixed up":        {map[string]string{"internal/dynamo/events.go": good, "internal/setup/setup.go": strings.Replace(setup, "env[0]", "env[1]", 1)}, []string{"setup.go:5: EVENTS_TABLE"}},
		"by variable":     {map[string]string{"internal/dynamo/events.go": good, "internal/setup/setup.go": strings.Replace(setup, "env[0]", "env[i]", 1)}, []string{"setup.go:5: EVENTS_TABLE"}},
		"handed on":       {map[string]string{"internal/dynamo/events.go": good, "internal/setup/setup.go": strings.Replace(setup, "env[0]", "env...", 1)}, []string{"setup.go:5: EVENTS_TABLE"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sources []source
			for path, text := range tt.files {
				sources = append(sources, parse(t, path, text))
			}
			catches(t, ledgerFindings(sources), tt.want...)
		})
	}
}
