package httpapi

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
)

// maxPairs bounds the fields of a form.
const maxPairs = 2000

// decodeForm turns an urlencoded body into JSON. Names nest as in Rails:
// a[b]=v is {"a":{"b":"v"}}, a[]=v is {"a":["v"]}, and a[][b]=v adds to the last
// object of the array a unless it has b already. a[0][b]=v counts its elements
// by first appearance. Every value is a string.
func decodeForm(body []byte) (json.RawMessage, error) {
	if c := first(body); c == '{' || c == '[' {
		return nil, errs.New(errs.Invalid, "the body looks like JSON: send it with Content-Type: application/json")
	}
	root := &formNode{kind: formObject} // also when its first name is a number
	pairs := 0
	for pair := range strings.SplitSeq(string(body), "&") {
		if pair == "" {
			continue
		}
		if pairs++; pairs > maxPairs {
			return nil, errs.New(errs.Invalid, "the form has more than %d fields", maxPairs)
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err1 := url.QueryUnescape(rawName)
		value, err2 := url.QueryUnescape(rawValue)
		if err1 != nil || err2 != nil || !utf8.ValidString(name) || !utf8.ValidString(value) {
			return nil, errs.New(errs.Invalid, "the form is not valid urlencoded UTF-8 (field %d)", pairs)
		}
		if strings.Contains(name+value, "\x00") {
			return nil, errs.New(errs.Invalid, "the body holds a NUL character")
		}
		path, ok := formPath(name)
		if !ok || !root.set(path, value) {
			return nil, errs.New(errs.Invalid, "the form nests its names in a way that cannot be read (field %d)", pairs)
		}
	}
	return Encode(root.value())
}

// formPath takes a name apart: "a[b][]" is ["a", "b", ""].
func formPath(name string) ([]string, bool) {
	head, rest, nested := strings.Cut(name, "[")
	path := []string{head}
	if !nested {
		return path, head != ""
	}
	for {
		part, after, closed := strings.Cut(rest, "]")
		if !closed || strings.Contains(part, "[") || len(path) >= consent.MaxDepth {
			return nil, false
		}
		path = append(path, part)
		if after == "" {
			return path, head != ""
		}
		if after[0] != '[' {
			return nil, false
		}
		rest = after[1:]
	}
}

type formKind int

const (
	formNothing formKind = iota
	formText
	formObject
	formList
)

// formNode is a node of the tree that the names of a form describe.
type formNode struct {
	kind  formKind
	text  string
	names []string // of an object's children, or the written indexes of a list's
	nodes []*formNode
}

// set puts a value at a path. A repeated plain name keeps the last value, as
// form parsers do.
func (n *formNode) set(path []string, value string) bool {
	if len(path) == 0 {
		if n.kind != formNothing && n.kind != formText {
			return false
		}
		n.kind, n.text = formText, value
		return true
	}
	kind := formObject
	if index := path[0]; len(index) == 0 || isIndex(index) && n.kind != formObject {
		kind = formList
	}
	if n.kind == formNothing {
		n.kind = kind
	}
	if n.kind != kind {
		return false
	}
	return n.child(path[0], path[1:]).set(path[1:], value)
}

// child finds or adds the child that a path leads through.
func (n *formNode) child(name string, rest []string) *formNode {
	if n.kind == formList && name == "" {
		if last := len(n.nodes) - 1; last >= 0 && n.names[last] == "" && len(rest) > 0 && !n.nodes[last].has(rest) {
			return n.nodes[last]
		}
	} else if i := slices.Index(n.names, name); i >= 0 {
		return n.nodes[i]
	}
	added := &formNode{}
	n.names, n.nodes = append(n.names, name), append(n.nodes, added)
	return added
}

// has reports whether a value stands at the path already.
func (n *formNode) has(path []string) bool {
	for _, name := range path {
		i := slices.Index(n.names, name)
		if name == "" || i < 0 {
			return false
		}
		n = n.nodes[i]
	}
	return true
}

func isIndex(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}

func (n *formNode) value() any {
	switch n.kind {
	case formObject:
		object := make(map[string]any, len(n.nodes))
		for i, name := range n.names {
			object[name] = n.nodes[i].value()
		}
		return object
	case formList:
		list := make([]any, len(n.nodes))
		for i, node := range n.nodes {
			list[i] = node.value()
		}
		return list
	default:
		return n.text
	}
}
