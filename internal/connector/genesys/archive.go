package genesys

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
)

// Bounds of an archive: one that unpacks to more is no export of a person.
const (
	maxEntries = 20_000
	maxEntry   = 256 << 20 // bytes of a file in it
	maxRecord  = 16 << 20  // bytes of one value of JSON
	maxDepth   = 100
)

var (
	errNoJSON  = errors.New("no JSON")
	errHalf    = errors.New("JSON that breaks off")
	errFile    = errors.New("a file as it is")
	errTooLong = errs.New(errs.TooLarge, "the results of an export unpack to more than can be one person's")
)

// entries reads the files of an archive in order, or a text that is none as one
// file. What read answers with errFile is given to file from its beginning.
func entries(text []byte, read, file func(name string, r io.Reader) error) error {
	if !bytes.HasPrefix(text, []byte("PK")) {
		err := read("results", bytes.NewReader(text))
		if errors.Is(err, errFile) {
			return file("results", bytes.NewReader(text))
		}
		return err
	}
	archive, err := zip.NewReader(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		return broken
	}
	if len(archive.File) > maxEntries {
		return errTooLong
	}
	for _, f := range archive.File {
		if f.FileInfo().IsDir() {
			continue
		}
		err := open(f, read)
		if errors.Is(err, errFile) {
			err = open(f, file)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var broken = errs.New(errs.Unavailable, "the archive of an export cannot be read")

func open(f *zip.File, use func(name string, r io.Reader) error) error {
	r, err := f.Open()
	if err != nil {
		return broken
	}
	defer r.Close()
	return use(f.Name, &bounded{r: r, left: maxEntry})
}

// bounded ends with an error where io.LimitReader would end as if all were read.
type bounded struct {
	r    io.Reader
	left int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errTooLong
	}
	if err != nil && err != io.EOF {
		err = broken
	}
	return n, err
}

// self is what a person writes under, in normal form.
type self map[string]bool

func newSelf(s connector.Subject) self {
	mine := self{}
	for _, i := range s.Identifiers {
		if i.Kind == identity.Name { // others may have it
			continue
		}
		value := i.Value.Reveal()
		if s.Agent || !strings.HasSuffix(string(i.Kind), "."+userID) {
			mine[plain(value)] = true
		}
		if _, second, ok := strings.Cut(value, "/"); ok {
			mine[plain(second)] = true
		}
	}
	delete(mine, "")
	return mine
}

// plain is a value the way two are compared, whatever it is.
func plain(value string) string {
	value = strings.TrimPrefix(strings.ToLower(strings.TrimSpace(value)), "tel:")
	if phone, ok := (identity.Identifier{Kind: identity.Phone, Value: redact.String(value)}).Normal(); ok {
		return phone
	}
	return value
}

// Fields that say whose a record is, and fields that hold what somebody wrote.
// The results have no documented form: these are the names of Genesys's API.
var (
	authors = []string{"sender", "senderid", "senderuserid", "from", "fromuserid", "fromaddress", "author", "authorid", "userid", "user", "createdby", "participantid", "externalcontactid", "jid", "senderjid"}
	words   = []string{"body", "text", "message", "messages", "messagetext", "textbody", "htmlbody", "content", "transcript"}
	inside  = []string{"id", "userid", "email", "address", "jid", "jabberid", "addressnormalized", "externalcontactid"}
)

// records reads a stream of JSON, a list element by element, and gives what is
// the person's. A file that is no JSON is errNoJSON, as its first byte tells; one
// that stops being JSON later is errHalf.
func records(r io.Reader, mine self, give func(any) error) (withheld, given int, err error) {
	limit := &window{r: r, left: maxRecord}
	d := json.NewDecoder(limit)
	d.UseNumber()
	first, err := firstByte(limit)
	if err != nil {
		return 0, 0, err
	}
	if first == '[' {
		_, _ = d.Token()
	}
	for first != '[' || d.More() {
		limit.left = maxRecord
		var v any
		if err := d.Decode(&v); err == io.EOF && first != '[' {
			break
		} else if err != nil {
			return withheld, given, jsonError(err)
		}
		if _, ok := v.(map[string]any); !ok { // words without a word on whose they are
			withheld++
			continue
		}
		clean, n, ok := filter(v, mine, 0, false)
		withheld += n
		if !ok {
			continue
		}
		if err := give(clean); err != nil {
			return withheld, given, err
		}
		given++
	}
	if first == '[' {
		if _, err := d.Token(); err != nil {
			return withheld, given, jsonError(err)
		}
	}
	return withheld, given, nil
}

// jsonError tells a text that is no JSON from one that could not be read. Its own
// text would quote the file.
func jsonError(err error) error {
	if errs.Is(err, errs.TooLarge) || errs.Is(err, errs.Unavailable) {
		return err
	}
	return errHalf
}

// window bounds how much one value may read, and remembers a first byte.
type window struct {
	r    io.Reader
	left int64
	head []byte
}

// Read implements io.Reader.
func (w *window) Read(p []byte) (int, error) {
	if len(w.head) > 0 {
		n := copy(p, w.head)
		w.head = w.head[n:]
		return n, nil
	}
	if w.left <= 0 {
		return 0, errTooLong
	}
	n, err := w.r.Read(p[:min(len(p), 64<<10)])
	w.left -= int64(n)
	return n, err
}

// firstByte is the first byte of a JSON text that holds a list or an object.
func firstByte(w *window) (byte, error) {
	var b [1]byte
	for {
		switch _, err := io.ReadFull(w.r, b[:]); {
		case err == io.EOF:
			return 0, errNoJSON
		case err != nil:
			return 0, err
		}
		switch {
		case b[0] == '[' || b[0] == '{':
			w.head = []byte{b[0]}
			return b[0], nil
		case !strings.ContainsRune(" \t\r\n", rune(b[0])):
			return 0, errNoJSON
		}
	}
}

// filter takes out of a value what is not the person's; ok is false when nothing
// is left. A record that names an author is theirs or goes; words without an
// author go as well, unless they are part of a record that is theirs.
func filter(v any, mine self, depth int, part bool) (clean any, withheld int, ok bool) {
	if depth > maxDepth {
		return nil, 1, false
	}
	switch v := v.(type) {
	case []any:
		left := make([]any, 0, len(v))
		for _, one := range v {
			c, n, ok := filter(one, mine, depth+1, false) // each is a record of its own
			if withheld += n; ok {
				left = append(left, c)
			}
		}
		return left, withheld, true
	case map[string]any:
		named, theirs := author(v, mine)
		if named && !theirs || !named && !part && hasWords(v) {
			return nil, 1, false
		}
		left := map[string]any{}
		for key, one := range v {
			c, n, ok := filter(one, mine, depth+1, part || named)
			if withheld += n; ok {
				left[key] = c
			}
		}
		return left, withheld, true
	}
	return v, 0, true
}

// author reports whether a record names who it is of, and whether that is the
// person. One name of somebody else is enough to make it somebody else's. Who
// created it only matters for words: an agent created the person's contact, too.
func author(m map[string]any, mine self) (named, theirs bool) {
	theirs = true
	for key, value := range m {
		key = strings.ToLower(key)
		if !slices.Contains(authors, key) || key == "createdby" && !hasWords(m) {
			continue
		}
		some, own := names(value, mine)
		named = named || some
		theirs = theirs && (!some || own)
	}
	return named, named && theirs
}

// names reads a value that says who: a text, or an object with an id or address,
// any of which tells.
func names(value any, mine self) (some, own bool) {
	switch value := value.(type) {
	case string:
		return strings.TrimSpace(value) != "", mine[plain(value)]
	case json.Number:
		return true, mine[value.String()]
	case map[string]any:
		some = len(value) > 0
		for key, v := range value {
			if text, ok := v.(string); ok && slices.Contains(inside, strings.ToLower(key)) && mine[plain(text)] {
				own = true
			}
		}
		return some, own
	case []any:
		return len(value) > 0, false
	}
	return false, false
}

// hasWords reports whether a record itself says something, in one text or a list.
func hasWords(m map[string]any) bool {
	for key, value := range m {
		if slices.Contains(words, strings.ToLower(key)) && isText(value) {
			return true
		}
	}
	return false
}

func isText(value any) bool {
	switch value := value.(type) {
	case string:
		return strings.TrimSpace(value) != ""
	case []any:
		return slices.ContainsFunc(value, isText)
	}
	return false
}
