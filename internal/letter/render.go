package letter

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"maps"
	"slices"
	"strings"
	"text/template"

	"github.com/avow-consent/avow/internal/errs"
)

//go:embed templates
var own embed.FS

// Languages are those in which letters are written; the first is for all others.
var Languages = []string{"en", "fr"}

// types are the requests that an answer is written for.
var types = []string{"access", "portability", "rectification", "erasure", "restriction", "objection"}

const (
	layout     = "layout"   // the HTML around a letter
	shared     = "shared"   // what letters of a language have in common
	brief      = "brief"    // what letters to a person say in one line, for a message in a chat
	maxLetter  = 64 << 10   // bytes of a rendered letter
	maxSubject = 120        // characters
	opening    = "Subject:" // begins the first line of each template
)

// Letters are all letters, those of a company in place of our own.
type Letters struct {
	texts    map[string]*template.Template // by language
	versions map[string]string             // by name of the template
	layout   *htmltemplate.Template
}

// Names are the templates that a company may replace: "<letter>.<language>", an
// answer as "answer_<type>.<language>", "shared.<language>" for greeting and
// closing, "brief.<language>" for all of them in one line, "layout" for the HTML
// around.
func Names() []string {
	names := []string{layout}
	for _, language := range Languages {
		names = append(names, shared+"."+language, brief+"."+language)
		for _, name := range templates() {
			names = append(names, name+"."+language)
		}
	}
	return names
}

func templates() []string {
	var names []string
	for _, kind := range Kinds {
		if kind != Answer {
			names = append(names, string(kind))
			continue
		}
		for _, t := range types {
			names = append(names, nameOf(Answer, t))
		}
	}
	return names
}

func nameOf(kind Kind, requestType string) string {
	if kind == Answer {
		return string(Answer) + "_" + requestType
	}
	return string(kind)
}

// New reads our own letters and those of a company, by their name. One that
// cannot be read, or that renders without what the letter is for, is Invalid:
// the sentence names it.
func New(overrides map[string]string) (*Letters, error) {
	for _, name := range slices.Sorted(maps.Keys(overrides)) {
		if !slices.Contains(Names(), name) {
			return nil, refuse(name, errors.New("there is no letter of this name"))
		}
	}
	l := &Letters{texts: map[string]*template.Template{}, versions: map[string]string{}}
	read := func(name string) string {
		if text, ok := overrides[name]; ok {
			return strings.ReplaceAll(text, "\r\n", "\n")
		}
		extension := ".txt"
		if name == layout {
			extension = ".html"
		}
		text, err := own.ReadFile("templates/" + name + extension)
		if err != nil {
			panic("letter: no template " + name) // a test renders all
		}
		return string(text)
	}
	var err error
	if l.layout, err = htmltemplate.New(layout).Parse(read(layout)); err != nil {
		return nil, refuse(layout, err)
	}
	for _, language := range Languages {
		set := template.New(language).Option("missingkey=error")
		for _, name := range append(templates(), shared, brief) {
			text := read(name + "." + language)
			if _, err := set.New(name).Parse(text); err != nil {
				return nil, refuse(name+"."+language, err)
			}
			l.versions[name+"."+language] = version(text)
		}
		l.texts[language] = set
	}
	if len(overrides) == 0 {
		return l, nil // our own are tested
	}
	return l, l.check()
}

// version tells texts of a template apart.
func version(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}

func refuse(name string, err error) error {
	return errs.Wrap(errs.Invalid, err, "letter %q: %v", name, err)
}

// check renders every letter with everything and with nothing that may be
// missing, and demands what the law wants in it.
func (l *Letters) check() error {
	for _, language := range Languages {
		for _, kind := range Kinds {
			for _, t := range types {
				for _, d := range []Data{sample(t), bare(t)} {
					name := nameOf(kind, t) + "." + language
					m, err := l.Render(kind, language, d)
					if err != nil {
						return err
					}
					if err := l.checkBrief(kind, language, d); err != nil {
						return err
					}
					for what, text := range needed(kind, viewOf(d, language)) {
						if text != "" && !strings.Contains(m.Text, text) {
							return refuse(name, fmt.Errorf("it does not say %s", what))
						}
						if text != "" && !strings.Contains(m.HTML, htmltemplate.HTMLEscapeString(text)) {
							return refuse(layout, fmt.Errorf("it leaves out what the letter says"))
						}
					}
				}
			}
		}
	}
	return nil
}

// checkBrief demands of the short form what the law wants in the letter; the
// reference stands in the message around it.
func (l *Letters) checkBrief(kind Kind, language string, d Data) error {
	if !slices.Contains(briefs, kind) {
		return nil
	}
	said, err := l.Brief(kind, language, d)
	if err != nil {
		return err
	}
	v := viewOf(d, language)
	need := needed(kind, v)
	delete(need, needsReference)
	if kind == Answer && v.Link != "" && (d.Type == "access" || d.Type == "portability") {
		need["{{.Link}}, the link"] = v.Link
	}
	for what, text := range need {
		if text != "" && !strings.Contains(said, text) {
			return refuse(brief+"."+language, fmt.Errorf("of the letter %s it does not say %s", kind, what))
		}
	}
	return nil
}

// needsReference is what every letter about a request needs.
const needsReference = "{{.Reference}}, the reference of the request"

// needed is what a letter is no such letter without.
func needed(kind Kind, v view) map[string]string {
	if kind == Agreement {
		return map[string]string{"{{.What}}, the system": v.What, "{{.Processor}}, who runs it": v.Processor, "{{.Due}}, the date": v.Due}
	}
	need := map[string]string{needsReference: v.Reference}
	switch kind {
	case DoubleOptIn:
		need["{{.Link}}, the link"] = v.Link
		need["{{.Purposes}}, what is consented to (Art. 4(11) GDPR)"] = strings.Join(v.Purposes[:min(1, len(v.Purposes))], "")
		need["{{.Controller}}, who asks (recital 42 GDPR)"] = v.Controller
	case IdentityLink, PackageReady, PreferencesLink, Handover:
		need["{{.Link}}, the link"] = v.Link
	case Extension:
		need["{{.Reason}}, the reasons (Art. 12(3) GDPR)"], need["{{.Due}}, the new date"] = v.Reason, v.Due
	case Refusal, Held:
		need["{{.Ground}}, the ground (Art. 12(4) GDPR)"] = v.Ground
		need["{{.Authority}}, where to complain (Art. 12(4) GDPR)"] = v.Authority
	}
	return need
}

// Render writes a letter in a language (BCP 47), in English when it is none of
// ours. To and From are the caller's.
func (l *Letters) Render(kind Kind, language string, d Data) (Message, error) {
	language = Language(language)
	name := nameOf(kind, d.Type)
	set := l.texts[language].Lookup(name)
	if set == nil {
		return Message{}, errs.New(errs.Internal, "there is no letter %q", name)
	}
	v := viewOf(d, language)
	var text bytes.Buffer
	if err := set.Execute(&limited{w: &text, left: maxLetter}, v); err != nil {
		return Message{}, refuse(name+"."+language, scrub(err))
	}
	subject, body, ok := split(text.String())
	if !ok {
		return Message{}, refuse(name+"."+language, fmt.Errorf("the first line must be %q and a subject, the rest must not be empty", opening))
	}
	m := Message{Subject: subject, Text: body, Language: language, Template: name + "." + language}
	m.Version = l.versions[m.Template]
	var html bytes.Buffer
	page := struct {
		Language, Subject, Controller string
		Blocks                        []block
	}{language, subject, v.Controller, blocks(body, v.Link)}
	if err := l.layout.Execute(&limited{w: &html, left: 4 * maxLetter}, page); err != nil {
		return Message{}, refuse(layout, scrub(err))
	}
	m.HTML = html.String()
	return m, nil
}

// briefs are the letters that have a short form: those to the person about a
// request whose identity is proven.
var briefs = []Kind{Acknowledgement, Extension, Held, Refusal, Answer, PackageReady, Withdrawn}

// Brief says what a letter says in one line, in a language (BCP 47). One without a
// short form is Invalid.
func (l *Letters) Brief(kind Kind, language string, d Data) (string, error) {
	if !slices.Contains(briefs, kind) {
		return "", errs.New(errs.Invalid, "the letter %s has no short form", kind)
	}
	language = Language(language)
	v := viewOf(d, language)
	v.Letter = nameOf(kind, d.Type)
	var text bytes.Buffer
	if err := l.texts[language].Lookup(brief).Execute(&limited{w: &text, left: maxLetter}, v); err != nil {
		return "", refuse(brief+"."+language, scrub(err))
	}
	said := strings.Join(strings.Fields(text.String()), " ")
	if said == "" {
		return "", refuse(brief+"."+language, fmt.Errorf("it says nothing of the letter %s", kind))
	}
	return said, nil
}

// Language is the one of Languages that a tag means.
func Language(tag string) string {
	primary, _, _ := strings.Cut(strings.ToLower(tag), "-")
	if slices.Contains(Languages, primary) {
		return primary
	}
	return Languages[0]
}

// scrub keeps of an error of execution what is about the template, not about
// the values: those are a person's.
func scrub(err error) error {
	var failed template.ExecError
	if errors.As(err, &failed) {
		if text, _, ok := strings.Cut(failed.Error(), ": executing"); ok {
			field := ""
			if at := strings.LastIndex(failed.Error(), " at <"); at >= 0 {
				field, _, _ = strings.Cut(failed.Error()[at:], ">")
				field += ">"
			}
			return errors.New(strings.TrimPrefix(text, "template: ") + field + " cannot be written")
		}
	}
	return errors.New("cannot be written")
}

// split takes the subject off a rendered letter, tidies its blank lines, and
// makes the subject one line that a mail header can carry.
func split(text string) (subject, body string, ok bool) {
	first, rest, _ := strings.Cut(strings.TrimLeft(text, "\n"), "\n")
	subject, ok = strings.CutPrefix(first, opening)
	subject = inert(subject)
	if runes := []rune(subject); len(runes) > maxSubject {
		subject = string(runes[:maxSubject]) + "…"
	}
	var lines []string
	for line := range strings.SplitSeq(rest, "\n") {
		line = strings.TrimRight(line, " \t\r")
		if line != "" || len(lines) > 0 && lines[len(lines)-1] != "" {
			lines = append(lines, line)
		}
	}
	body = strings.TrimSpace(strings.Join(lines, "\n")) + "\n"
	return subject, body, ok && subject != "" && body != "\n"
}

// block is a paragraph, a list or the link of a letter in HTML.
type block struct {
	Lines []string
	List  bool
	Link  htmltemplate.URL // the address of a link; Lines are empty then
}

// blocks divides a letter at its blank lines. Values have one line each, so they
// cannot begin a block; and the only address that becomes a link is the
// letter's own.
func blocks(body, link string) []block {
	var list []block
	for part := range strings.SplitSeq(strings.TrimSpace(body), "\n\n") {
		lines := strings.Split(part, "\n")
		b := block{Lines: lines, List: true}
		for _, line := range lines {
			b.List = b.List && strings.HasPrefix(line, "- ")
		}
		if part == link && link != "" {
			b = block{Link: htmltemplate.URL(link)} // Data.Link has passed link()
		} else if b.List {
			for i := range b.Lines {
				b.Lines[i] = strings.TrimPrefix(b.Lines[i], "- ")
			}
		}
		list = append(list, b)
	}
	return list
}

// limited stops a template that writes without end.
type limited struct {
	w    io.Writer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, errors.New("the letter is too long")
	}
	return l.w.Write(p)
}
