package genesys

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
)

func ines() self {
	return newSelf(connector.Subject{Identifiers: []identity.Identifier{
		{Kind: identity.Email, Value: "ines@example.test"}, {Kind: "genesys.number", Value: "+33655000101"}, {Kind: identity.Name, Value: "Inès Martin"},
		{Kind: "genesys.social", Value: "TWITTER/ines_m"}, {Kind: "genesys.user_id", Value: "an-employee"},
	}})
}

// An access package never contains other people's messages.
func TestRecords(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text, want string // records, one per line
		withheld   int
		err        error
	}{
		"own":                 {`[{"from":"INES@example.test","body":"a"},{"senderId":"tel:+33 655 00 01 01","text":"b"}]`, "{\"body\":\"a\",\"from\":\"INES@example.test\"}\n{\"senderId\":\"tel:+33 655 00 01 01\",\"text\":\"b\"}", 0, nil},
		"another's":           {`[{"from":"sam@example.test","body":"SECRET"}]`, "", 1, nil},
		"nobody's":            {`[{"body":"SECRET"}]`, "", 1, nil},
		"of two":              {`[{"from":"ines@example.test","createdBy":{"id":"sam"},"body":"SECRET"}]`, "", 1, nil},
		"by an object":        {`{"sender":{"name":"Sam","email":"ines@example.test"},"body":"a"}`, `{"body":"a","sender":{"email":"ines@example.test","name":"Sam"}}`, 0, nil},
		"by the name alone":   {`{"sender":{"name":"Inès Martin"},"body":"SECRET"}`, "", 1, nil},
		"an employee's id":    {`{"userId":"an-employee","body":"SECRET"}`, "", 1, nil},
		"nested":              {`{"id":1,"messages":[{"from":"x","body":"SECRET"},{"from":"ines_m","body":"a"}]}`, `{"id":1,"messages":[{"body":"a","from":"ines_m"}]}`, 1, nil},
		"parts":               {`{"from":"ines_m","body":{"text":"a"},"replies":[{"text":"SECRET"}],"quote":{"from":"sam","text":"SECRET"}}`, `{"body":{"text":"a"},"from":"ines_m","replies":[]}`, 2, nil},
		"a list of words":     {`{"messages":[["SECRET"]]}`, "", 1, nil},
		"made by an agent":    {`{"createdBy":{"id":"sam"},"lastName":"Martin"}`, `{"createdBy":{"id":"sam"},"lastName":"Martin"}`, 0, nil},
		"a note by an agent":  {`{"createdBy":{"id":"sam"},"text":"SECRET"}`, "", 1, nil},
		"no author":           {`{"duration":12345678901234567890,"queue":"q"}`, `{"duration":12345678901234567890,"queue":"q"}`, 0, nil},
		"an author of nobody": {`{"from":"","from_":null,"body":"SECRET"}`, "", 1, nil},
		"several values":      {"{\"a\":1}\n{\"b\":2}", "{\"a\":1}\n{\"b\":2}", 0, nil},
		"empty list":          {`[]`, "", 0, nil},
		"breaks off":          {`[{"a":1},{"b"`, `{"a":1}`, 0, errHalf},
		"looks like a list":   {`[2026-01-01] SECRET`, ``, 1, errHalf},
		"only words":          {`["SECRET",["SECRET"]]`, ``, 2, nil},
		"no JSON":             {`RIFF SECRET`, "", 0, errNoJSON},
		"nothing":             {``, "", 0, errNoJSON},
		"deep":                {strings.Repeat(`{"a":`, maxDepth+5) + `"SECRET"` + strings.Repeat(`}`, maxDepth+5), "", 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			withheld, given, err := records(strings.NewReader(tt.text), ines(), func(v any) error {
				text, err := json.Marshal(v)
				got = append(got, string(text))
				return err
			})
			text := strings.Join(got, "\n")
			if name == "deep" { // the outside stays
				if strings.Contains(text, "SECRET") || withheld != 1 || err != nil {
					t.Errorf("%d, %v", withheld, err)
				}
				return
			}
			if text != tt.want || withheld != tt.withheld || given != len(got) || !errors.Is(err, tt.err) {
				t.Errorf("%s, %d withheld, %d given, %v", text, withheld, given, err)
			}
		})
	}
	if _, _, err := records(strings.NewReader(`["`+strings.Repeat("a", 2*maxRecord)+`"]`), ines(), func(any) error { return nil }); !errs.Is(err, errs.TooLarge) {
		t.Errorf("one value without end: %v", err)
	}
}

// A long list is read element by element: what bounds one value does not bound it.
func TestRecords_long(t *testing.T) {
	t.Parallel()
	one := `{"from":"ines@example.test","body":"` + strings.Repeat("a", 4000) + `"}`
	text := "[" + strings.Repeat(one+",", 9_999) + one + "]"
	if len(text) < 2*maxRecord {
		t.Fatalf("%d bytes", len(text))
	}
	if withheld, given, err := records(strings.NewReader(text), ines(), func(any) error { return nil }); withheld != 0 || given != 10_000 || err != nil {
		t.Errorf("%d withheld, %d given, %v", withheld, given, err)
	}
}

// FuzzRecords: whatever a file looks like, no words of somebody who is named as
// another come out.
func FuzzRecords(f *testing.F) {
	for _, seed := range []string{"", "[", "{}", `[[],{}]`, `{"a":[{"b":1}]}`, `[1,"a",null]`, `{"from":"ines@example.test","body":"b"}`, "\x00", `{"from":{"id":["x"]}}`} {
		f.Add(seed, "sender")
	}
	f.Fuzz(func(t *testing.T, text, key string) {
		inner := map[string]any{key: text, "from": "sam@example.test", "body": "SECRET-OF-SAM"}
		whole, err := json.Marshal([]any{inner, map[string]any{key: []any{inner}}, map[string]any{"x": map[string]any{key + "y": inner}}})
		if err != nil {
			t.Skip()
		}
		for _, text := range []string{text, string(whole)} {
			_, _, err := records(strings.NewReader(text), ines(), func(v any) error {
				out, err := json.Marshal(v)
				if strings.Contains(string(out), "SECRET-OF-SAM") && !strings.Contains(text, "SECRET-OF-SAM") || text == string(whole) && strings.Contains(string(out), `"from":"sam@example.test"`) {
					t.Fatalf("%s gives %s", text, out)
				}
				return err
			})
			if err != nil && strings.Contains(err.Error(), "SECRET") {
				t.Fatal(err)
			}
		}
	})
}

func zipped(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, err := z.Create(files[i])
		if err == nil {
			_, err = io.WriteString(w, files[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestEntries(t *testing.T) {
	t.Parallel()
	collect := func(text []byte) (names []string, err error) {
		err = entries(text, func(name string, r io.Reader) error {
			names = append(names, kit.FileName(name))
			if strings.HasSuffix(name, ".wav") {
				return errFile
			}
			_, err := io.Copy(io.Discard, r)
			return err
		}, func(name string, r io.Reader) error {
			text, err := io.ReadAll(r)
			names = append(names, "file of "+string(text))
			return err
		})
		return names, err
	}
	names, err := collect(zipped(t, "../../etc/a.json", "{}", "x/", "", "b.wav", "RIFF"))
	if strings.Join(names, ",") != "a.json,b.wav,file of RIFF" || err != nil {
		t.Errorf("%v, %v", names, err)
	}
	if names, err := collect([]byte(`{}`)); strings.Join(names, ",") != "results" || err != nil {
		t.Errorf("no archive: %v, %v", names, err)
	}
	if _, err := collect([]byte("PK\x03\x04 broken")); !errs.Is(err, errs.Unavailable) {
		t.Errorf("a broken archive: %v", err)
	}
	b := &bounded{r: strings.NewReader("abc"), left: 2}
	if _, err := io.ReadAll(b); !errs.Is(err, errs.TooLarge) {
		t.Errorf("a file that unpacks to more than it may: %v", err)
	}
}

func FuzzEntries(f *testing.F) {
	f.Add(zipped(f, "a.json", `[{"a":1}]`))
	f.Add([]byte("PK"))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		_ = entries(text, func(_ string, r io.Reader) error {
			_, _, _ = records(r, ines(), func(any) error { return nil })
			return errFile
		}, func(name string, _ io.Reader) error {
			if n := kit.FileName(name); n == "" || strings.ContainsAny(n, `/\`) {
				t.Fatalf("%q", n)
			}
			return nil
		})
	})
}

func TestDownloadID(t *testing.T) {
	t.Parallel()
	for link, want := range map[string]string{
		"/api/v2/downloads/a1": "a1", "https://api.mypurecloud.com/api/v2/downloads/a1?x=y": "a1", "https://evil.test/api/v2/downloads/a1": "a1",
		"https://s3.example.test/a": "", "/api/v2/downloads/": "", "/api/v2/downloads/a/b": "", "/api/v2/downloads/a%2fb": "", "\x7f": "", "": "",
	} {
		if got := downloadID(link); got != want {
			t.Errorf("%q: %q", link, got)
		}
	}
}

// FuzzDownloadID: an id is one part of a path, so that it can lead nowhere else.
func FuzzDownloadID(f *testing.F) {
	f.Add("/api/v2/downloads/a1")
	f.Add("https://evil.test/api/v2/downloads/..")
	base, _ := url.Parse("https://api.mypurecloud.ie/api/v2")
	c, err := kit.New(kit.Options{System: "genesys", Base: base.String(), Now: time.Now, Transport: http.NewFileTransport(http.Dir(f.TempDir()))})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, link string) {
		id := downloadID(link)
		if id == "" {
			return
		}
		if strings.ContainsAny(id, "/\\") {
			t.Fatalf("%q: %q", link, id)
		}
		_ = c.Get(t.Context(), kit.To("/downloads/{id}", id), &struct{}{}) // refuses what is no id; must not panic
	})
}

func TestExhausted(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"300 300 20": 20 * time.Second, "301 300 20": 20 * time.Second, "299 300 20": 0, "a 300 20": 0, "300 0 20": 0, "300 300 x": 0, "300 300 -5": 0, "  ": 0} {
		parts := strings.Split(text, " ")
		h := http.Header{"Inin-Ratelimit-Count": {parts[0]}, "Inin-Ratelimit-Allowed": {parts[1]}, "Inin-Ratelimit-Reset": {parts[2]}}
		if reset, yes := exhausted(h); reset != want || yes != (want > 0) {
			t.Errorf("%q: %v, %v", text, reset, yes)
		}
	}
}

func FuzzExhausted(f *testing.F) {
	f.Add("300", "300", "20")
	f.Fuzz(func(t *testing.T, count, allowed, reset string) {
		wait, yes := exhausted(http.Header{"Inin-Ratelimit-Count": {count}, "Inin-Ratelimit-Allowed": {allowed}, "Inin-Ratelimit-Reset": {reset}})
		if wait < 0 || wait > kit.LongestWait || !yes && wait != 0 {
			t.Fatalf("%v, %v", wait, yes)
		}
	})
}

// FuzzAsSubject: a request names exactly one identifier, or is none.
func FuzzAsSubject(f *testing.F) {
	for _, what := range []string{userID, contactID, dialerContact, journey, social, number, chatAddress, "x"} {
		f.Add("genesys."+what, "a/b")
	}
	f.Add("email", "a@example.test")
	c := &Connector{inventory: connector.Inventory{System: "genesys"}}
	f.Fuzz(func(t *testing.T, kind, value string) {
		s := c.asSubject(identity.Identifier{Kind: identity.Kind(kind), Value: redact.String(value)})
		if s == nil {
			return
		}
		n := len(s.Emails) + len(s.Phones)
		for _, text := range []string{s.External, s.UserID, s.ContactID} {
			if strings.TrimSpace(text) != "" {
				n++
			}
		}
		for _, text := range s.ids() {
			if strings.Contains(text, "/") && (s.Dialer != nil || s.Journey != nil || s.Social != nil) {
				n++
			}
		}
		if n != 1 {
			t.Fatalf("%q %q: %+v", kind, value, s)
		}
	})
}
