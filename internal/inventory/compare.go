package inventory

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/avow-consent/avow/internal/connector"
)

// Field is what of a system is looked for in a notice (Art. 13(1), (2) GDPR), or is
// missing in the record.
type Field string

// The fields.
const (
	Processor Field = "processor"
	Recipient Field = "recipient"
	Data      Field = "data"
	Purpose   Field = "purpose"
	Retention Field = "retention"
	Basis     Field = "basis"
	Handover  Field = "flow"     // what a system hands to another, and to which
	Transfer  Field = "transfer" // the country outside the European Economic Area
)

// Finding is something of the record whose words were not found in the text of a
// notice. It says nothing about the law: the notice may say the same in other
// words.
type Finding struct {
	System   string   `json:"system"`
	Field    Field    `json:"field"`
	Text     string   `json:"text"`      // as the record has it
	Language string   `json:"language"`  // of that text; another than the notice's where the record has none in its language
	NotFound []string `json:"not_found"` // the parts whose words were not found
}

// Compare lists what of the record was not found in a notice of a language
// (BCP 47, "" is read as English). The text may be HTML, Markdown or plain. What
// is looked for are words, whatever their case, accents and markup.
func Compare(r Record, language, notice string) []Finding {
	c := comparison{language: language, notice: fold(notice), seen: map[string]bool{}, list: []Finding{}}
	for _, s := range r.Systems {
		c.system = s.System
		if s.Processor != nil {
			c.look(Processor, s.Processor.Name, "", []string{company(s.Processor.Name)})
		}
		for _, t := range s.Recipients {
			text, language := in(t, c.language)
			c.look(Recipient, text, language, []string{head(text)})
		}
		for _, d := range s.Data {
			c.text(Data, d.Name, parts)
			c.text(Purpose, d.Purpose, parts)
			c.text(Retention, d.Retention, spans)
			c.basis(d.Basis)
		}
		for _, f := range r.Flows {
			if f.From == s.System {
				c.flow(f, r.Systems)
			}
		}
		if !s.EEA && s.Region != "" {
			c.country(s.Region)
		}
	}
	return c.list
}

// comparison is one notice being read.
type comparison struct {
	language, notice, system string
	seen                     map[string]bool
	list                     []Finding
}

func (c *comparison) text(f Field, t connector.Text, split func(string) []string) {
	text, language := in(t, c.language)
	c.look(f, text, language, split(text))
}

// look adds a finding, once for a system, if any of the parts is not found.
func (c *comparison) look(f Field, text, language string, parts []string) {
	c.add(f, text, language, slices.DeleteFunc(parts, func(p string) bool { return says(c.notice, p) }))
}

func (c *comparison) add(f Field, text, language string, missing []string) {
	key := strings.Join([]string{c.system, string(f), text}, "\x00")
	if len(missing) == 0 || c.seen[key] {
		return
	}
	c.seen[key] = true
	c.list = append(c.list, Finding{c.system, f, text, language, missing})
}

// basis looks for the grounds that a text names (Art. 6(1) GDPR), however either of
// them writes the reference, or for its words where it names none. One that nobody
// has stated is missing in the record, not in the notice.
func (c *comparison) basis(t connector.Text) {
	text, language := in(t, c.language)
	named := grounds(fold(text))
	if len(named) == 0 {
		c.look(Basis, text, language, parts(text))
		return
	}
	told := grounds(c.notice)
	c.add(Basis, text, language, slices.DeleteFunc(named, func(g string) bool { return slices.Contains(told, g) }))
}

// ground is a reference to one of the grounds of Art. 6(1) in a folded text: "art 6 1
// b", "art 6 par 1 point b", "art 6 abs 1 lit b".
var ground = regexp.MustCompile(`\b6 (?:(?:par|paragraph|paragraphe|al|alinea|abs|absatz|section) )?1 (?:(?:point|lit|litt|let|letter|lettre|buchstabe) )?([a-f])\b`)

// grounds are those that a folded text refers to.
func grounds(folded string) []string {
	var list []string
	for _, m := range ground.FindAllStringSubmatch(folded, -1) {
		if g := "Art. 6(1)(" + m[1] + ")"; !slices.Contains(list, g) {
			list = append(list, g)
		}
	}
	return list
}

// flow looks for what is handed over, and for whom it is handed to: by any name that
// the record has for them.
func (c *comparison) flow(f Flow, systems []connector.Inventory) {
	data, language := in(f.Data, c.language)
	missing := parts(data)
	names := []string{f.To}
	for _, to := range systems {
		if to.System != f.To {
			continue
		}
		title, _ := in(to.Title, c.language)
		names = []string{title, to.Kind}
		if to.Processor != nil {
			names = append(names, company(to.Processor.Name))
		}
	}
	missing = slices.DeleteFunc(missing, func(p string) bool { return says(c.notice, p) })
	if !slices.ContainsFunc(names, func(n string) bool { return says(c.notice, n) }) {
		missing = append([]string{names[0]}, missing...)
	}
	c.add(Handover, f.To+": "+data, language, missing)
}

// country looks for any of the names of the country.
func (c *comparison) country(region string) {
	names := countryNames(region, c.language)
	if !slices.ContainsFunc(names, func(n string) bool { return says(c.notice, n) }) {
		c.look(Transfer, region, "", names[:1])
	}
}

// in is a text in a language or the main part of it, else in English, else in
// any, and the language that it is in.
func in(t connector.Text, language string) (text, of string) {
	main, _, _ := strings.Cut(strings.ToLower(language), "-")
	for _, l := range []string{language, main, "en"} {
		if s, ok := t[l]; ok && l != "" {
			return s, l
		}
	}
	for _, l := range slices.Sorted(maps.Keys(t)) {
		return t[l], l
	}
	return "", ""
}

var legalForm = regexp.MustCompile(`(?i)[\s,]+(?:inc|llc|ltd|limited|corp|corporation|plc|gmbh|ag|se|sa|sas|sarl|bv|b\.v|nv|s\.a|s\.a\.s|pbc)\.?$`)

// company is a company's name without its legal form.
func company(name string) string {
	for {
		short := legalForm.ReplaceAllString(strings.TrimSpace(name), "")
		if short == name || short == "" {
			return name
		}
		name = short
	}
}

// head is a recipient's name, before what is said about them.
func head(text string) string {
	name, _, _ := strings.Cut(text, ":")
	name, _, _ = strings.Cut(name, "(")
	return company(strings.TrimSpace(name))
}

var between = regexp.MustCompile(`[,;:()]|\s(?:and|or|et|ou)\s`)

// parts are the things that a text lists.
func parts(text string) []string {
	var list []string
	for _, p := range between.Split(text, -1) {
		if p = strings.TrimSpace(p); p != "" {
			list = append(list, p)
		}
	}
	return list
}

var span = regexp.MustCompile(`(?i)\d+\s+\pL+`)

// spans are the periods that a text names ("30 days"), or all of it.
func spans(text string) []string {
	if list := span.FindAllString(text, -1); list != nil {
		return list
	}
	return []string{text}
}
