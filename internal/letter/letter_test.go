package letter

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/redact"
)

var update = flag.Bool("update", false, "write the golden files anew")

func letters(t testing.TB, overrides map[string]string) *Letters {
	t.Helper()
	l, err := New(overrides)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Every letter, in every language and for every type, with everything and with
// the least. The texts are for people to read.
func TestRender_golden(t *testing.T) {
	t.Parallel()
	l := letters(t, nil)
	for _, language := range Languages {
		for _, kind := range Kinds {
			names := []string{"erasure"}
			if kind == Answer {
				names = types
			}
			for _, requestType := range names {
				var all strings.Builder
				for _, d := range []Data{sample(requestType), bare(requestType)} {
					m, err := l.Render(kind, language, d)
					if err != nil {
						t.Fatal(err)
					}
					fmt.Fprintf(&all, "Subject: %s\n\n%s\n--------\n\n", m.Subject, m.Text)
				}
				golden(t, nameOf(kind, requestType)+"."+language+".txt", all.String())
			}
		}
		m, err := l.Render(Answer, language, sample("erasure"))
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "answer_erasure."+language+".html", m.HTML)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}

// An objection counts at its receipt, which the letter that asks for proof does
// not hide.
// What goes into a template of a messenger is one line, and short.
func TestBrief_golden(t *testing.T) {
	t.Parallel()
	const room = 850 // of the 1,024 characters that a message by template may have
	l := letters(t, nil)
	for _, language := range Languages {
		var all strings.Builder
		for _, kind := range briefs {
			names := []string{"erasure"}
			if kind == Answer {
				names = types
			}
			for _, requestType := range names {
				for _, d := range []Data{sample(requestType), bare(requestType)} {
					said, err := l.Brief(kind, language, d)
					if err != nil {
						t.Fatal(err)
					}
					if strings.ContainsAny(said, "\n\t") || strings.Contains(said, "  ") || utf8.RuneCountInString(said) > room {
						t.Errorf("%s: %q", kind, said)
					}
					all.WriteString(nameOf(kind, requestType) + ": " + said + "\n\n")
				}
			}
		}
		golden(t, "brief."+language+".txt", all.String())
	}
	for _, kind := range Kinds {
		if _, err := l.Brief(kind, "en", sample("erasure")); (err == nil) != slices.Contains(briefs, kind) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestRender_objection(t *testing.T) {
	t.Parallel()
	l, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	for language, counts := range map[string]string{"en": "counts in our record of consents already", "fr": "compte déjà dans notre registre"} {
		for _, requestType := range types {
			m, err := l.Render(IdentityLink, language, sample(requestType))
			if err != nil || strings.Contains(m.Text, counts) != (requestType == "objection") {
				t.Errorf("%s, %s: %v\n%s", language, requestType, err, m.Text)
			}
		}
	}
}

// Our own letters say what the law wants in them.
func TestNew_own(t *testing.T) {
	t.Parallel()
	if err := letters(t, nil).check(); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, name := range Names() {
		if seen[name] {
			t.Errorf("%s stands twice", name)
		}
		seen[name] = true
	}
	files, err := own.ReadDir("templates")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(seen) {
		t.Errorf("%d templates, %d names", len(files), len(seen))
	}
}

func TestNew_overrides(t *testing.T) {
	t.Parallel()
	const close = "\n\n{{template \"close\" .}}\n"
	for name, tt := range map[string]struct {
		letter, text string
		says         string // "": accepted
	}{
		"good":              {"acknowledgement.fr", "Subject: Bien reçu\n\n{{template \"hello\" .}}\n\nMerci." + close, ""},
		"windows":           {"acknowledgement.en", "Subject: Got it\r\n\r\nThanks.\r\n\r\n{{.Reference}}\r\n", ""},
		"no such letter":    {"farewell.en", "Subject: x\n\nx", `letter "farewell.en": there is no letter of this name`},
		"brief without":     {"brief.en", "{{if eq .Letter \"refusal\"}}No.{{else}}{{.Ground}} {{.Authority}} {{.Due}} {{.Reason}} {{.Link}}{{end}}", `letter "brief.en": of the letter refusal it does not say`},
		"brief of less":     {"brief.fr", "{{if eq .Letter \"refusal\"}}{{.Ground}} {{.Authority}}{{end}}", `letter "brief.fr": it says nothing of the letter acknowledgement`},
		"no such language":  {"acknowledgement.de", "Subject: x\n\nx", "there is no letter of this name"},
		"does not parse":    {"held.en", "Subject: {{.Reference", `letter "held.en"`},
		"no such field":     {"held.en", "Subject: x\n\n{{.Shoe}}", `letter "held.en": held:3:2 at <.Shoe> cannot be written`},
		"no subject":        {"held.en", "Dear all", `must be "Subject:" and a subject`},
		"empty":             {"held.en", "Subject: x\n\n \n", "must not be empty"},
		"no reference":      {"withdrawn.en", "Subject: x\n\nBye", "the reference of the request"},
		"no link":           {"identity_link.en", "Subject: x\n\nConfirm!" + close, "the link"},
		"no ground":         {"refusal.fr", "Subject: x\n\nNon. {{.Authority}}" + close, "the ground"},
		"no complaint":      {"refusal.fr", "Subject: x\n\nNon. {{.Ground}}" + close, "where to complain"},
		"no reasons":        {"extension.en", "Subject: x\n\nLater: {{.Due}}" + close, "the reasons"},
		"no date":           {"extension.en", "Subject: x\n\nLater: {{.Reason}}" + close, "the new date"},
		"calls itself":      {"held.en", "Subject: x\n\n{{template \"held\" .}}", `letter "held.en"`},
		"never ends":        {"held.en", "Subject: x\n\n{{range 999999999}}xxxxxxxxxx{{end}}", `letter "held.en"`},
		"which agreement":   {"agreement.en", "Subject: x\n\n{{.What}}, {{.Due}}", "who runs it"},
		"layout":            {"layout", "<p>{{.Subject}}</p>{{range .Blocks}}{{.Link}}{{range .Lines}}<p>{{.}}</p>{{end}}{{end}}", ""},
		"layout says less":  {"layout", "<p>{{.Subject}}</p>", `letter "layout"`},
		"layout, no parse":  {"layout", "<p>{{.Subject", `letter "layout"`},
		"layout, unescaped": {"layout", "<script>{{range .Blocks}}{{.Link}}{{end}}", `letter "layout"`},
		"shared":            {"shared.en", "{{define \"hello\"}}Hi{{end}}", `letter`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := New(map[string]string{tt.letter: tt.text})
			if (err == nil) != (tt.says == "") {
				t.Fatalf("error: %v", err)
			}
			if err != nil && (!errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("error: %v, want %q", err, tt.says)
			}
			if err != nil && strings.Contains(err.Error(), "Camille") {
				t.Errorf("a value stands in the error: %v", err)
			}
		})
	}
}

// Whatever a person calls themselves, it neither adds a header, nor markup, nor
// a link, nor a paragraph.
func TestRender_hostile(t *testing.T) {
	t.Parallel()
	l := letters(t, nil)
	evil := []string{
		"x\r\nBcc: everybody@example.com", "<script>alert(1)</script>", "<a href=\"https://evil.example\">", "https://evil.example", "evil.example",
		"{{.Link}}", "a\n\nhttps://evil.example\n\nb", "- one", "\u202egnp.exe", "javascript:alert(1)", "<img src=x onerror=alert(1)>", strings.Repeat("a", 1<<20), "\xff\x00",
	}
	for _, text := range evil {
		for _, kind := range Kinds {
			d := sample("rectification")
			d.Name, d.Reason, d.Ground, d.What, d.Processor, d.Recipient = redact.String(text), text, text, text, text, redact.String(text)
			d.Controller, d.Address, d.DPO, d.Authority = text, text, text, text
			d.Changes = []Change{{Field: text, Old: redact.String(text), New: redact.String(text)}}
			d.Systems[0].Title, d.Systems[1].Kept[0].Reason, d.Recipients = text, text, []string{text}
			m, err := l.Render(kind, "en", d)
			if err != nil {
				t.Fatal(err)
			}
			if strings.ContainsAny(m.Subject, "\r\n\x00\u202e") || strings.ContainsAny(m.Text, "\r\x00\u202e") {
				t.Errorf("%s: %q: a line end or a control character", kind, text)
			}
			for _, tag := range tags(t, m.HTML) {
				if !strings.Contains("html head meta title body div p br ul li a", tag.Data) {
					t.Errorf("%s: %q has become <%s>", kind, text, tag.Data)
				}
				for _, a := range tag.Attr {
					if a.Key == "href" && a.Val != d.Link || strings.HasPrefix(a.Key, "on") {
						t.Errorf("%s: %q has become %s=%q", kind, text, a.Key, a.Val)
					}
				}
			}
			if kind == IdentityLink && strings.Contains(strings.Replace(m.Text, d.Link, "", 1), "hello "+text) {
				t.Errorf("%q greets", text)
			}
		}
	}
}

func tags(t *testing.T, page string) []html.Token {
	t.Helper()
	var list []html.Token
	for z := html.NewTokenizer(strings.NewReader(page)); z.Next() != html.ErrorToken; {
		if token := z.Token(); token.Type == html.StartTagToken || token.Type == html.SelfClosingTagToken {
			list = append(list, token)
		}
	}
	return list
}

// A reminder says what it is about, whatever that is.
func TestRender_matters(t *testing.T) {
	t.Parallel()
	l := letters(t, nil)
	for _, language := range Languages {
		seen := map[string]Matter{}
		for _, matter := range []Matter{Approval, Release, Task, Identity, Deadline, Overdue, Undeliverable, Unacknowledged, IdentityRefused} {
			d := bare("access")
			d.Matter = matter
			m, err := l.Render(Reminder, language, d)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(m.Text, "\n")
			if other, again := seen[first]; again || !strings.HasSuffix(first, ".") {
				t.Errorf("%s, %s: %q, as %s", language, matter, first, other)
			}
			seen[first] = matter
		}
	}
}

// The mail about an agreement says which, what is due, what waits and what to do.
func TestRender_agreement(t *testing.T) {
	t.Parallel()
	l := letters(t, nil)
	for _, language := range Languages {
		for matter, key := range map[Matter]string{Ended: "expires", Unreviewed: "review"} {
			for _, blocked := range []bool{false, true} {
				d := bare("")
				d.Matter, d.Blocked, d.Reference = matter, blocked, ""
				m, err := l.Render(Agreement, language, d)
				if err != nil {
					t.Fatal(err)
				}
				golden(t, fmt.Sprintf("agreement_%s_%v.%s.txt", matter, blocked, language), "Subject: "+m.Subject+"\n\n"+m.Text)
				if !strings.Contains(m.Text, "("+key+")") {
					t.Errorf("%s, %s:\n%s", language, matter, m.Text)
				}
			}
		}
	}
}

func TestSalutation(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Camille Martin": "Camille Martin", "  J.R.R. Tolkien ": "J.R.R. Tolkien", "Dr. Ó Séaghdha": "Dr. Ó Séaghdha", "王小明": "王小明", "O'Neill-Smith": "O'Neill-Smith",
		"evil.com": "", "see www.evil.com now": "", "a@b": "", "http:x": "", "a/b": "", strings.Repeat("n", 81): "", "Win 100% now": "", "": "",
	} {
		if got := salutation(redact.String(name)); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestDates(t *testing.T) {
	t.Parallel()
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, time.March, 31, 22, 5, 0, 0, time.UTC)
	for got, want := range map[string]string{
		date(at, paris, "fr"):         "1er avril 2026",
		date(at, paris, "en"):         "1 April 2026",
		date(at, nil, "en"):           "31 March 2026",
		moment(at, paris, "fr"):       "1er avril 2026 à 00 h 05 (CEST)",
		moment(at, paris, "en"):       "1 April 2026 at 00:05 (CEST)",
		date(time.Time{}, nil, "en"):  "",
		moment(time.Time{}, nil, "x"): "",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestLanguage(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]string{"fr": "fr", "fr-CA": "fr", "FR": "fr", "en-GB": "en", "de": "en", "": "en", "../fr": "en"} {
		if got := Language(tag); got != want {
			t.Errorf("%q: %s", tag, got)
		}
	}
}

func TestMessage_masked(t *testing.T) {
	t.Parallel()
	m := Message{To: "a@example.com", Subject: "secret", Text: "secret", HTML: "secret"}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "m", m)
	for _, text := range []string{fmt.Sprint(m), fmt.Sprintf("%v %+v %#v %s %q", m, m, m, m, m), log.String()} {
		if strings.Contains(text, "secret") || strings.Contains(text, "example.com") {
			t.Errorf("not masked: %s", text)
		}
	}
}

func FuzzRender(f *testing.F) {
	f.Add("Camille", "because", "https://avow.example/x")
	f.Add("<b>", "a\r\nb: c", "javascript:x")
	f.Add("{{.}}", "\u2028- x", "https://x\"y")
	l := letters(f, nil)
	f.Fuzz(func(t *testing.T, name, reason, address string) {
		d := sample("access")
		d.Name, d.Reason, d.Link, d.Ground = redact.String(name), reason, address, name
		for _, kind := range []Kind{IdentityLink, Refusal, PackageReady} {
			m, err := l.Render(kind, "fr", d)
			if err != nil {
				t.Fatal(err)
			}
			if strings.ContainsAny(m.Subject, "\r\n") {
				t.Fatalf("subject %q", m.Subject)
			}
			for _, tag := range tags(t, m.HTML) {
				for _, a := range tag.Attr {
					if a.Key == "href" && !strings.HasPrefix(a.Val, "http") {
						t.Fatalf("a link to %q", a.Val)
					}
				}
			}
		}
	})
}
