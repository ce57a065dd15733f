package dossier

import (
	"bytes"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// The bounds of a record on a page.
const (
	maxText  = 16 << 10 // bytes of a text
	maxShown = 64 << 10 // bytes of all texts and names of a record
	maxDepth = 12
)

// node is a JSON value as a page shows it: fields, items, or a text.
type node struct {
	Label  string
	Fields []node
	Items  []node
	Text   string
	Time   string // RFC 3339, when the text is a moment
}

// Block reports whether the node takes lines of its own.
func (n node) Block() bool { return len(n.Fields) > 0 || len(n.Items) > 0 }

// tree reads a line into nodes.
type tree struct {
	words *words
	in    *jsontext.Decoder
	left  int // bytes that may still be shown
	cut   bool
}

// readRecord reads a line of a part. What is too long or too deep to show is cut.
// A line that is no record is shown as it is: nothing may hide data from the
// person.
func readRecord(line []byte, w *words) (kind string, record node, cut bool) {
	t := &tree{words: w, left: maxShown, in: jsontext.NewDecoder(bytes.NewReader(line), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))}
	if token, err := t.in.ReadToken(); err != nil || token.Kind() != '{' {
		return "", t.text(string(line)), t.cut
	}
	for t.in.PeekKind() == '"' {
		name, err := t.in.ReadToken()
		if err != nil {
			break
		}
		switch name.String() {
		case "kind":
			var token jsontext.Token
			if token, err = t.in.ReadToken(); err == nil {
				kind = token.String()
			}
		case "record":
			record, err = t.value(0)
		default:
			err = t.in.SkipValue()
		}
		if err != nil {
			return kind, t.text(string(line)), t.cut
		}
	}
	return kind, record, t.cut
}

// value reads the next value.
func (t *tree) value(depth int) (node, error) {
	switch kind := t.in.PeekKind(); {
	case (kind == '{' || kind == '[') && depth >= maxDepth:
		raw, err := t.in.ReadValue()
		return t.text(string(raw)), err
	case kind == '{':
		return t.object(depth)
	case kind == '[':
		return t.array(depth)
	}
	token, err := t.in.ReadToken()
	if err != nil {
		return node{}, err
	}
	switch token.Kind() {
	case 't':
		return t.text(t.words.Yes), nil
	case 'f':
		return t.text(t.words.No), nil
	case 'n':
		return node{Text: t.words.Empty}, nil
	case '"':
		return t.string(token.String()), nil
	}
	return t.text(token.String()), nil
}

func (t *tree) object(depth int) (node, error) {
	var n node
	if _, err := t.in.ReadToken(); err != nil {
		return n, err
	}
	for t.in.PeekKind() != '}' {
		name, err := t.in.ReadToken()
		if err != nil {
			return n, err
		}
		if t.left <= 0 {
			t.cut = true
			if err := t.in.SkipValue(); err != nil {
				return n, err
			}
			continue
		}
		title := t.text(t.words.field(name.String())).Text
		field, err := t.value(depth + 1)
		if err != nil {
			return n, err
		}
		field.Label = title
		n.Fields = append(n.Fields, field)
	}
	_, err := t.in.ReadToken()
	return n.orEmpty(t.words), err
}

func (t *tree) array(depth int) (node, error) {
	var n node
	if _, err := t.in.ReadToken(); err != nil {
		return n, err
	}
	for t.in.PeekKind() != ']' {
		if t.left <= 0 {
			t.cut = true
			if err := t.in.SkipValue(); err != nil {
				return n, err
			}
			continue
		}
		item, err := t.value(depth + 1)
		if err != nil {
			return n, err
		}
		t.left -= 8 // many small items are long as well
		n.Items = append(n.Items, item)
	}
	_, err := t.in.ReadToken()
	return n.inline().orEmpty(t.words), err
}

// inline makes one line of a few short texts.
func (n node) inline() node {
	const most = 80
	var texts []string
	length := 0
	for _, i := range n.Items {
		if length += len(i.Text) + 2; i.Block() || length > most || strings.ContainsAny(i.Text, ",\n") {
			return n
		}
		texts = append(texts, i.Text)
	}
	return node{Text: strings.Join(texts, ", ")}
}

// orEmpty shows that there is nothing in an object or array.
func (n node) orEmpty(w *words) node {
	if !n.Block() && n.Text == "" {
		n.Text = w.Empty
	}
	return n
}

// string shows a text, and a moment as one.
func (t *tree) string(s string) node {
	if s == "" {
		return node{Text: t.words.Empty}
	}
	if at, err := time.Parse(time.RFC3339, s); err == nil && at.Year() > 0 && at.Year() < 10000 {
		return node{Text: t.words.date(at), Time: stamp(at)}
	}
	return t.text(s)
}

// text shows a text as far as there is room.
func (t *tree) text(s string) node {
	if room := max(0, min(maxText, t.left)); len(s) > room {
		s, t.cut = string(bytes.ToValidUTF8([]byte(s[:room]), nil))+" …", true
	}
	t.left -= len(s)
	return node{Text: s}
}
