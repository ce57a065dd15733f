package letter

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/avow-consent/avow/internal/redact"
)

// maxText is how much of a single value a letter shows, in characters.
const maxText = 2000

// view is what templates see: plain texts of one line, dates as words. Its
// fields are the vocabulary of letters that a company writes itself.
type view struct {
	Controller, Address, DPO, DPOEmail, Authority string
	Reference, Type, Regime, Name                 string
	OnBehalf                                      bool
	Letter                                        string // of "brief": which one, such as "answer_access"
	Received, Due                                 string // dates
	Link, Expires, Until                          string
	Ground, Reason                                string
	Systems                                       []viewSystem
	Partial                                       bool // something is kept or was not done
	HasKept                                       bool // something is kept
	Changes                                       []viewChange
	Recipients                                    []string
	Looks                                         []string
	Certificate, Recipient, Matter, What          string
	Purposes                                      []string
	Notice                                        string
	Processor                                     string
	Blocked                                       bool // the processor gets no more data
}

type viewSystem struct {
	Title, At, Undone, Backups string
	Records                    int
	Last                       bool // it is done as soon as this message is out
	Kept                       []viewKept
}

type viewKept struct{ What, Ground, Reason, Until string }

type viewChange struct{ Field, Old, New string }

// viewOf makes the data of a letter inert and writes its dates out.
func viewOf(d Data, language string) view {
	day := func(t time.Time) string { return date(t, d.Zone, language) }
	v := view{
		Controller: inert(d.Controller), Address: inert(d.Address), DPO: inert(d.DPO), DPOEmail: inert(d.DPOEmail),
		Authority: inert(d.Authority), Reference: inert(d.Reference), Type: inert(d.Type), Regime: inert(d.Regime),
		Name: salutation(d.Name), OnBehalf: d.OnBehalf, Received: day(d.Received), Due: day(d.Due),
		Link: link(d.Link), Expires: moment(d.Expires, d.Zone, language), Until: day(d.Until),
		Ground: inert(d.Ground), Reason: inert(d.Reason), Certificate: inert(d.Certificate),
		Recipient: inert(d.Recipient.Reveal()), Matter: string(d.Matter), What: inert(d.What),
		Notice: link(d.Notice), Processor: inert(d.Processor), Blocked: d.Blocked,
	}
	for _, p := range d.Purposes {
		v.Purposes = append(v.Purposes, inert(p))
	}
	for _, s := range d.Systems {
		one := viewSystem{Title: inert(s.Title), At: day(s.At), Undone: inert(s.Undone), Backups: inert(s.Backups), Records: s.Records, Last: s.Last}
		for _, k := range s.Kept {
			one.Kept = append(one.Kept, viewKept{What: inert(k.What), Ground: inert(k.Ground), Reason: inert(k.Reason), Until: inert(k.Until)})
		}
		v.HasKept = v.HasKept || len(one.Kept) > 0
		v.Partial = v.Partial || one.Undone != "" || len(one.Kept) > 0
		v.Systems = append(v.Systems, one)
	}
	for _, c := range d.Changes {
		v.Changes = append(v.Changes, viewChange{Field: inert(c.Field), Old: inert(c.Old.Reveal()), New: inert(c.New.Reveal())})
	}
	for _, r := range d.Recipients {
		v.Recipients = append(v.Recipients, inert(r))
	}
	for _, at := range d.Looks {
		v.Looks = append(v.Looks, day(at))
	}
	return v
}

// inert makes a text of one line that can neither begin a paragraph nor hide
// what it says: no control characters, none that turn the direction of writing.
func inert(text string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) || r == '\u2028' || r == '\u2029':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError:
			return -1
		}
		return r
	}, text)
	clean = strings.Join(strings.Fields(clean), " ")
	if runes := []rune(clean); len(runes) > maxText {
		return string(runes[:maxText]) + "…"
	}
	return clean
}

// salutation is a name that may stand in a greeting. Whoever asks chooses it, so
// what a mail program would turn into a link is no name: nobody is to use
// letters as a vehicle.
func salutation(name redact.String) string {
	text := inert(name.Reveal())
	if utf8.RuneCountInString(text) > 80 || strings.ContainsAny(text, `:/\@<>[](){}=&#%"`) {
		return ""
	}
	for word := range strings.FieldsSeq(text) {
		for i, part := range strings.Split(word, ".") {
			if i > 0 && utf8.RuneCountInString(part) > 1 { // "evil.com", but not "J.R.R."
				return ""
			}
		}
	}
	return text
}

// link passes only what Avow itself makes: an address without blanks.
func link(address string) string {
	if strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("<>\"'`\\", r) }) {
		return ""
	}
	if !strings.HasPrefix(address, "https://") && !strings.HasPrefix(address, "http://") {
		return ""
	}
	return address
}

var months = map[string][]string{
	"en": {"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"},
	"fr": {"janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"},
}

// date writes a day out: "5 April 2026", "1er avril 2026"; "" for none.
func date(t time.Time, zone *time.Location, language string) string {
	if t.IsZero() {
		return ""
	}
	t = in(t, zone)
	day := fmt.Sprint(t.Day())
	if t.Day() == 1 && language == "fr" {
		day = "1er"
	}
	return fmt.Sprintf("%s %s %d", day, months[language][t.Month()-1], t.Year())
}

// Date writes a day out in a language (BCP 47) as letters do; "" for none.
func Date(t time.Time, zone *time.Location, language string) string {
	return date(t, zone, Language(language))
}

// moment writes an instant out, with its zone.
func moment(t time.Time, zone *time.Location, language string) string {
	if t.IsZero() {
		return ""
	}
	clock := in(t, zone)
	if language == "fr" {
		return fmt.Sprintf("%s à %s (%s)", date(t, zone, language), clock.Format("15 h 04"), clock.Format("MST"))
	}
	return fmt.Sprintf("%s at %s (%s)", date(t, zone, language), clock.Format("15:04"), clock.Format("MST"))
}

func in(t time.Time, zone *time.Location) time.Time {
	if zone == nil {
		return t.UTC()
	}
	return t.In(zone)
}
