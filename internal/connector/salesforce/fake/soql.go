package fake

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// statement is a query: SELECT fields FROM object [WHERE …] [ORDER BY Id] [LIMIT n].
type statement struct {
	fields []string
	count  bool
	from   string
	where  func(*Record) bool
	limit  int
}

var errSyntax = errors.New("unexpected token")

// parser reads the part of SOQL that a client of this fake may use.
type parser struct {
	tokens []string
	object object
	bad    string // a field that the object has not
}

// tokens splits a query; a literal keeps its leading quote.
func tokens(text string) (list []string, err error) {
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == ' ':
			i++
		case c == '\'':
			literal, n, err := literalAt(text[i+1:])
			if err != nil {
				return nil, err
			}
			list, i = append(list, "'"+literal), i+1+n
		case strings.ContainsRune("(),=", rune(c)):
			list, i = append(list, string(c)), i+1
		case c == '>' || c == '<' || c == '!':
			n := 1
			if i+1 < len(text) && text[i+1] == '=' {
				n = 2
			}
			list, i = append(list, text[i:i+n]), i+n
		default:
			j := i
			for j < len(text) && (text[j] == '_' || text[j] == '.' || text[j] < 128 && (unicode.IsLetter(rune(text[j])) || unicode.IsDigit(rune(text[j]))) || j > i && (text[j] == '-' || text[j] == ':')) {
				j++
			}
			if j == i {
				return nil, errSyntax
			}
			list, i = append(list, text[i:j]), j
		}
	}
	return list, nil
}

// literalAt reads a literal after its opening quote, and how long it is.
func literalAt(text string) (value string, n int, err error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '\'':
			return b.String(), i + 1, nil
		case '\n', '\r':
			return "", 0, errSyntax
		case '\\':
			i++
			if i == len(text) {
				return "", 0, errSyntax
			}
			switch text[i] {
			case 'n':
				b.WriteByte('\n')
			case 'r':
				b.WriteByte('\r')
			case 't':
				b.WriteByte('\t')
			case '\\', '\'', '"':
				b.WriteByte(text[i])
			case '_', '%': // stays escaped, for LIKE
				b.WriteByte('\\')
				b.WriteByte(text[i])
			default:
				return "", 0, errSyntax
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", 0, errSyntax
}

func (p *parser) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *parser) next() string {
	t := p.peek()
	if len(p.tokens) > 0 {
		p.tokens = p.tokens[1:]
	}
	return t
}

func (p *parser) accept(word string) bool {
	if strings.EqualFold(p.peek(), word) {
		p.next()
		return true
	}
	return false
}

func (p *parser) name() string {
	name := p.next()
	if p.object.field(name) == nil && p.bad == "" {
		p.bad = name
	}
	return name
}

// or, and, one are the grammar of conditions.
func (p *parser) or() (func(*Record) bool, error) {
	left, err := p.and()
	for err == nil && p.accept("OR") {
		var right func(*Record) bool
		a := left
		if right, err = p.and(); err == nil {
			left = func(r *Record) bool { return a(r) || right(r) }
		}
	}
	return left, err
}

func (p *parser) and() (func(*Record) bool, error) {
	left, err := p.one()
	for err == nil && p.accept("AND") {
		var right func(*Record) bool
		a := left
		if right, err = p.one(); err == nil {
			left = func(r *Record) bool { return a(r) && right(r) }
		}
	}
	return left, err
}

func (p *parser) one() (func(*Record) bool, error) {
	if p.accept("(") {
		inner, err := p.or()
		if err == nil && !p.accept(")") {
			err = errSyntax
		}
		return inner, err
	}
	name := p.name()
	switch op := strings.ToUpper(p.next()); op {
	case "=", "!=":
		value, err := p.value()
		return func(r *Record) bool { return equal(r.value(name), value) == (op == "=") }, err
	case ">", "<=":
		value, err := p.value()
		if at, ok := value.(time.Time); ok {
			return func(r *Record) bool {
				have, err := time.Parse(instantForm, r.text(name))
				return err == nil && have.After(at) == (op == ">")
			}, nil
		}
		text, ok := value.(string)
		if !ok || op != ">" {
			return nil, errSyntax
		}
		return func(r *Record) bool { return r.text(name) > text }, err
	case "LIKE":
		value, err := p.value()
		text, _ := value.(string)
		return func(r *Record) bool { return like(r.text(name), text) }, err
	case "IN":
		var values []any
		ok := p.accept("(")
		for ok {
			value, err := p.value()
			if err != nil {
				return nil, err
			}
			values = append(values, value)
			if p.accept(")") {
				return func(r *Record) bool {
					return slices.ContainsFunc(values, func(v any) bool { return equal(r.value(name), v) })
				}, nil
			}
			ok = p.accept(",")
		}
	}
	return nil, errSyntax
}

func (p *parser) value() (any, error) {
	switch t := p.next(); {
	case strings.HasPrefix(t, "'"):
		return strings.NewReplacer(`\_`, "_", `\%`, "%").Replace(t[1:]), nil
	case strings.EqualFold(t, "true"), strings.EqualFold(t, "false"):
		return strings.EqualFold(t, "true"), nil
	case strings.EqualFold(t, "null"):
		return nil, nil
	default:
		if at, err := time.Parse(time.RFC3339, t); err == nil {
			return at, nil
		}
	}
	return nil, errSyntax
}

// equal compares as Salesforce does: texts without regard to case, and a flag
// that was never set is false.
func equal(have, want any) bool {
	switch want := want.(type) {
	case string:
		text, _ := have.(string)
		return strings.EqualFold(text, want)
	case bool:
		flag, _ := have.(bool)
		return flag == want
	}
	return have == nil || have == ""
}

// like knows "%text%" only.
func like(text, pattern string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(strings.Trim(pattern, "%")))
}

// parse reads a query. code is the error code of one that cannot be run.
func (s *Server) parse(text string) (q statement, code string) {
	list, err := tokens(text)
	if err != nil || len(list) < 4 {
		return q, "MALFORMED_QUERY"
	}
	p := &parser{tokens: list}
	if !p.accept("SELECT") {
		return q, "MALFORMED_QUERY"
	}
	for {
		name := p.next()
		if strings.EqualFold(name, "COUNT") && p.accept("(") && p.accept(")") {
			q.count = true
		} else {
			q.fields = append(q.fields, name)
		}
		if !p.accept(",") {
			break
		}
	}
	if !p.accept("FROM") {
		return q, "MALFORMED_QUERY"
	}
	q.from = p.next()
	object, ok := s.object(q.from)
	if !ok {
		return q, "INVALID_TYPE"
	}
	p.object = object
	q.where = func(*Record) bool { return true }
	for _, name := range q.fields {
		if object.field(name) == nil || s.o.NoPrivacy && name == "IndividualId" {
			return q, "INVALID_FIELD"
		}
	}
	if p.accept("WHERE") {
		if q.where, err = p.or(); err != nil {
			return q, "MALFORMED_QUERY"
		}
	} else if q.from == "ContentDocumentLink" {
		return q, "MALFORMED_QUERY" // it must be filtered by the document or the record
	}
	if p.accept("ORDER") && !(p.accept("BY") && p.accept("Id")) {
		return q, "MALFORMED_QUERY"
	}
	if p.accept("LIMIT") {
		if q.limit, err = strconv.Atoi(p.next()); err != nil {
			return q, "MALFORMED_QUERY"
		}
	}
	switch {
	case len(p.tokens) > 0:
		return q, "MALFORMED_QUERY"
	case p.bad != "" || s.o.NoPrivacy && strings.Contains(text, "IndividualId"):
		return q, "INVALID_FIELD"
	}
	return q, ""
}

func (s *Server) query(r *http.Request) (int, any) {
	text := r.URL.Query().Get("q")
	return s.page(text, strings.HasSuffix(r.URL.Path, "queryAll"), 0)
}

// queryMore goes on with a query by the address that its last page gave.
func (s *Server) queryMore(r *http.Request) (int, any) {
	text, err := base64.RawURLEncoding.DecodeString(r.PathValue("locator"))
	from, rest, ok := strings.Cut(string(text), " ")
	bin, query, ok2 := strings.Cut(rest, " ")
	n, err2 := strconv.Atoi(from)
	if err != nil || err2 != nil || !ok || !ok2 {
		return problem(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
	}
	return s.page(query, bin == "all", n)
}

func (s *Server) page(text string, bin bool, from int) (int, any) {
	q, code := s.parse(text)
	if code != "" {
		return problem(400, code, "the query cannot be run: "+text)
	}
	var rows []*Record
	for _, r := range s.all(q.from, bin) {
		if q.where(r) && (q.limit == 0 || len(rows) < q.limit) {
			rows = append(rows, r)
		}
	}
	if q.count {
		return 200, map[string]any{"totalSize": len(rows), "done": true, "records": []any{}}
	}
	to := min(from+s.o.PageSize, len(rows))
	records := []map[string]any{}
	for _, r := range rows[min(from, to):to] {
		records = append(records, s.row(r, q.fields))
	}
	body := map[string]any{"totalSize": len(rows), "done": to == len(rows), "records": records}
	if to < len(rows) {
		where := "live"
		if bin {
			where = "all"
		}
		body["nextRecordsUrl"] = "/services/data/v" + Version + "/query/" + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %s %s", to, where, text))
	}
	return 200, body
}

// row is a record with some of its fields.
func (s *Server) row(r *Record, fields []string) map[string]any {
	row := map[string]any{"attributes": map[string]string{"type": r.Type, "url": "/services/data/v" + Version + "/sobjects/" + r.Type + "/" + r.ID}}
	for _, name := range fields {
		f := schema[r.Type].field(name)
		if f == nil {
			continue
		}
		row[name] = r.value(name)
		if row[name] == nil && f.kind == "boolean" {
			row[name] = false
		}
	}
	return row
}

// search is the form of SOSL that finds telephone numbers: their digits in any
// notation.
func (s *Server) search(r *http.Request) (int, any) {
	text := r.URL.Query().Get("q")
	term, rest, ok := strings.Cut(strings.TrimPrefix(text, "FIND {"), "} IN PHONE FIELDS RETURNING ")
	if !ok || !strings.HasPrefix(text, "FIND {") || len(term) < 2 {
		return problem(400, "MALFORMED_SEARCH", "the search cannot be run")
	}
	found := []map[string]any{}
	for _, part := range strings.Split(rest, "), ") {
		name, fields, ok := strings.Cut(strings.TrimSuffix(part, ")"), "(")
		if _, known := s.object(name); !ok || !known {
			return problem(400, "INVALID_TYPE", "no such object")
		}
		for _, r := range s.all(name, false) {
			if alike(r.text("Phone"), term) || alike(r.text("MobilePhone"), term) {
				found = append(found, s.row(r, strings.Split(strings.ReplaceAll(fields, " ", ""), ",")))
			}
		}
	}
	return 200, map[string]any{"searchRecords": found}
}

func digits(text string) string {
	return strings.Map(func(c rune) rune {
		if c < '0' || c > '9' {
			return -1
		}
		return c
	}, text)
}

// alike: there is no wildcard in front of a term.
func alike(number, terms string) bool {
	return number != "" && slices.Contains(strings.Split(terms, " OR "), digits(number))
}
