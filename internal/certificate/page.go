package certificate

import (
	"bufio"
	"cmp"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/sheet"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("").Funcs(sheet.Funcs).Parse(pageText))

// view is what the page shows.
type view struct {
	W                                              *words
	C                                              *Certificate
	S                                              *Signed
	Intro, Trial                                   string
	Received, Identity, Approved, Answered, Issued string
	SerialText, LogText, Signature                 string
	Systems                                        []systemView
	Told                                           []string
	Covered                                        []identifierView
}

type identifierView struct{ Kind, Hash string }

type systemView struct {
	N                           int
	Title, OutcomeText, Tone    string
	When, Found, Deleted, Where string
	Order, Looks                []string
	AgesOut, Reason             string
	Hold                        *Hold
	Kept                        []connector.Kept
	Evidence                    []evidenceView
}

type evidenceView struct{ At, Call, Answer, Digest string }

// Page shows a certificate to people, in French or English. Text is that of a
// Signed. The page says what the certificate says; only Verify tells whether it
// is true.
func Page(out io.Writer, text []byte, language string) error {
	c, s, err := Parse(text)
	if err != nil {
		return err
	}
	w := wordsOf(language)
	v := view{
		W: w, C: c, S: s, Intro: fmt.Sprintf(w.Intro, c.Controller), Signature: base64.StdEncoding.EncodeToString(s.Signature),
		Received: w.when(c.Request.Received), Answered: w.when(c.Request.Answered), Issued: w.when(c.Issued),
		Identity: w.by(c.Request.Identity.At, c.Request.Identity.Role), Approved: w.by(c.Request.Approved.At, c.Request.Approved.Role),
		SerialText: fmt.Sprintf(w.Serial, c.Serial), LogText: fmt.Sprintf(w.LogText, c.Log.Entries, c.Log.SHA256),
	}
	if c.Final {
		v.SerialText += ", " + w.Final
	}
	for _, i := range c.Identifiers {
		v.Covered = append(v.Covered, identifierView{w.kind(i.Kind), i.Hash})
	}
	for i, one := range c.Systems {
		v.Systems = append(v.Systems, w.system(i+1, one))
		if one.Outcome == DryRun {
			v.Trial = w.Trial
		}
	}
	for _, t := range c.Told {
		v.Told = append(v.Told, t.System+w.Colon+w.outcome(t.Outcome)+after(w.when(t.At)))
	}
	buffered := bufio.NewWriter(out)
	if err := cmp.Or(pageTemplate.Execute(buffered, v), buffered.Flush()); err != nil {
		return errs.Wrap(errs.Internal, err, "writing the page of a certificate")
	}
	return nil
}

func after(s string) string {
	if s == "" {
		return ""
	}
	return ", " + s
}

func (w *words) system(n int, s System) systemView {
	v := systemView{
		N: n, Title: cmp.Or(s.Title.In(w.Language), s.System), OutcomeText: w.outcome(s.Outcome), Tone: " is-left_out",
		Found: w.counts(s.Found), Deleted: w.counts(s.Deleted), AgesOut: s.AgesOut.In(w.Language), Reason: s.Reason, Hold: s.Hold, Kept: s.Kept,
	}
	switch s.Outcome {
	case Erased, ByHand, Nothing:
		v.Tone = " is-included"
	case DryRun:
		v.Deleted = ""
	}
	if s.Outcome == Nothing {
		v.AgesOut = ""
	}
	v.When = w.when(s.Started)
	if end := w.when(s.Ended); end != "" && end != v.When {
		v.When = strings.Trim(v.When+" – "+end, " –")
	}
	v.Where = s.Region
	if s.Processor != "" {
		v.Where = s.Processor + ", " + s.Region
	}
	for _, r := range s.After {
		v.Order = append(v.Order, fmt.Sprintf(w.After, r.System, r.Why))
	}
	for _, l := range s.Looks {
		line := w.look(l.Outcome)
		if at := w.when(l.At); at != "" {
			line = at + w.Colon + line
		}
		if l.Reason != "" {
			line += " (" + l.Reason + ")"
		}
		v.Looks = append(v.Looks, line)
	}
	for _, e := range s.Evidence {
		v.Evidence = append(v.Evidence, evidenceView{w.when(stamp(e.At)), e.Call, e.Answer, e.Digest})
	}
	return v
}

// when shows a time of a certificate; one that is no time is shown as it is.
func (w *words) when(stamp string) string {
	t, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		return stamp
	}
	return sheet.Date(w.Language, t)
}

func (w *words) by(at, role string) string {
	text := w.when(at)
	if known, ok := w.Roles[role]; ok && text != "" {
		text += " · " + known
	}
	return text
}

func (w *words) counts(counts map[string]int) string {
	var list []string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, fmt.Sprintf("%s × %s", sheet.Number(w.Language, counts[kind]), w.kind(kind)))
	}
	return strings.Join(list, ", ")
}

// kind names a kind of record or identifier; one that the language does not know
// as the system calls it.
func (w *words) kind(kind string) string {
	return cmp.Or(w.Kinds[kind], strings.ReplaceAll(kind, "_", " "))
}

func (w *words) outcome(o Outcome) string { return cmp.Or(w.Outcomes[o], string(o)) }

func (w *words) look(o Outcome) string {
	if o == Erased {
		return w.Gone
	}
	return w.outcome(o)
}
